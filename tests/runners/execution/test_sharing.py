"""Trials that share a card are told of MPS."""

from __future__ import annotations

import pytest

from ablate.runners.execution.resources import Resources
from ablate.runners.execution.sharing import advice


@pytest.fixture
def pipes(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    return tmp_path


def resources(gpus: float, shares=None) -> Resources:
    return Resources(1, gpus, None, 1, shares)


def test_trials_that_share_a_card_are_told_to_start_mps(pipes):
    assert "nvidia-cuda-mps-control -d" in advice(resources(0.5))
    assert advice(resources(1, shares=object())) == advice(resources(0.5))


def test_nothing_is_said_where_it_runs_or_nothing_is_shared(pipes):
    assert [advice(resources(gpus)) for gpus in (0, 1, 2)] == [None] * 3
    (pipes / "control").touch()
    assert advice(resources(0.5)) is None
