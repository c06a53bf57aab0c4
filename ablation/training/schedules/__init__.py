"""How the learning rate goes through a training: each a part with typed settings, and others', adapted."""
