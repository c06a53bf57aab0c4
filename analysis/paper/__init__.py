"""The paper's published numbers, and what of them can be checked."""
