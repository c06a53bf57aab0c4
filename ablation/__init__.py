"""Distributed ablation studies of segmentation networks, with evidence: one package, installed as `DISTRIBUTION`."""

DISTRIBUTION = "ablate-study"
"""What this is called where packages are installed; `ablate` is another's on the Python package index."""
