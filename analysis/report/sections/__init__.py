"""The sections of a study's report, a file each; users' own are named beside them."""
