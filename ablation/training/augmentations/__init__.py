"""Changes of training images beyond the paper's flips: each a part with typed settings, and others', adapted."""
