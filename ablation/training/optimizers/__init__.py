"""How weights follow gradients: each a part with typed settings, and what others wrote, adapted."""
