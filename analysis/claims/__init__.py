"""Claims: named hypotheses over a study's cells, each supported, refuted or inconclusive."""
