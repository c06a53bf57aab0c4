"""The study: a directory of trials, what was planned into it, and whether it is still what was written."""
