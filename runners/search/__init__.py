"""Searches: what a sampler proposes, what it costs, and which trials go on."""
