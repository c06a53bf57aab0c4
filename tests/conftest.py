"""In which order tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

_LONGEST_FIRST = (
    "runners/test_run.py",
    "runners/execution/test_storm.py",
    "runners/execution/test_daemons.py",
    "runners/execution/test_faults.py",
    "runners/test_versions.py",
    "runners/search/test_search.py",
    "runners/test_run_function.py",
    "runners/test_own_folders.py",
    "runners/test_own_network.py",
    "docs/test_extending.py",
    "runners/cli/test_init.py",
    "fuzz/test_studies.py",
    "runners/execution/test_storage_s3.py",
    "runners/execution/test_start_up.py",
    "runners/test_several_data_sets.py",
    "fuzz/test_mutants.py",
)
"""Files that take minutes: they begin first, so that no process is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / file: place for place, file in enumerate(_LONGEST_FIRST)}
    assert all(file.is_file() for file in places), "a file that begins first has moved"
    items.sort(key=lambda item: places.get(item.path, len(places)))
