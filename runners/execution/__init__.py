"""Trials on machines: through Ray Tune, on their resources, into the study."""
