"""A part of every kind, for ablate."""
