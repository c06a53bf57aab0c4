"""Replay: what a strategy would have found on recorded curves, and at what cost."""
