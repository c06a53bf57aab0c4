"""Schedulers: which trials stop early. A file each; users' own are named beside them."""
