"""What training makes small: each a part with typed settings, and what others wrote, adapted."""
