"""What is seen of a run, here and in other tools."""
