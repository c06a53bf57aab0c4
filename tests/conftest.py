"""In which order tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

_LONGEST_FIRST = (
    ("runners", ("run", "storm", "daemons", "faults", "versions", "search", "run_function", "own_folders")),
    ("fuzz", ("studies",)),
    ("runners", ("storage_s3", "start_up", "several_data_sets")),
    ("fuzz", ("mutants",)),
)
"""Files that take minutes: they begin first, so that no process is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = [f"{folder}/test_{name}.py" for folder, names in _LONGEST_FIRST for name in names]
    places = {Path(__file__).parent / file: place for place, file in enumerate(files)}
    items.sort(key=lambda item: places.get(item.path, len(files)))
