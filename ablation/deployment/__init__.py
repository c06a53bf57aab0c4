"""A trained network as a file that runs without this project: exported, held against the network, and loaded again."""
