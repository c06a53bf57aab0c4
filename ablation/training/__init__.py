"""How a network is trained on a data set, and judged."""
