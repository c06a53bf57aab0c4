"""Every setting of every network as a path with a text, from the configurations that a study keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ablate.analysis.format import setting
from ablate.analysis.guard import attempt

if TYPE_CHECKING:
    import pandas as pd

    from ablate.study.study import Study
    from ablate.trial import TrialConfig

_NOT_OF_THE_NETWORK = ("seed", "schema_version")


def settings_by_cell(study: Study, trials: pd.DataFrame) -> dict[str, dict[str, str]]:
    """By cell: `{"model.width": "16", …}`, as its first trial has them; without those that cannot be read."""
    firsts = trials.drop_duplicates("cell")
    found = {
        str(cell): attempt(partial(_settings, study, key), lambda _: dict[str, str]())
        for cell, key, state in zip(firsts["cell"], firsts["key"], firsts["state"], strict=True)
        if state != "trivial"
    }
    return {cell: settings for cell, settings in found.items() if settings}


def _settings(study: Study, key: str) -> dict[str, str]:
    return flat(study.config(key))


def flat(config: TrialConfig) -> dict[str, str]:
    """Every setting of a configuration but its seed, by its path: `protocol.epochs`, `loss.name`."""
    return dict(_flat("", config.canonical(*_NOT_OF_THE_NETWORK)))


def _flat(place: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inside in value.items():
            yield from _flat(f"{place}.{name}" if place else name, inside)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        yield place, json.dumps(value, ensure_ascii=False)
    else:
        yield place, setting(value) if value not in (None, [], {}) else ""
