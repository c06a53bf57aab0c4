"""The columns are listed once; what writes them has as many."""

from __future__ import annotations

from ablate.metrics.counts import METRICS, Scores
from ablate.study.tables import EPOCH_COLUMNS, TRIAL_COLUMNS, VALIDATION
from ablate.training.loop import Epoch


def test_an_epoch_has_the_columns_of_its_table() -> None:
    assert ("key", *Epoch._fields) == EPOCH_COLUMNS


def test_every_metric_is_a_score_and_has_its_two_columns() -> None:
    assert set(METRICS) == set(Scores._fields)
    assert {f"val_{name}" for name in METRICS} == set(VALIDATION)
    assert {*METRICS, *VALIDATION} <= set(TRIAL_COLUMNS)
    assert [metric.name for metric in METRICS.values()] == list(METRICS)
