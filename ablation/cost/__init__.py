"""What a network costs: counted before training, and measured on a machine."""
