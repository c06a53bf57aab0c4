"""Samplers: what a search trains next. A file each; users' own are named beside them."""
