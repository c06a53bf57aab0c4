"""What the study's searches remember of themselves, `searches/*.jsonl`, as far as it is told to people.

A search's own memory is its package's. Here it is read like any part of a study that may come from anyone: what is no
event, or is damaged, is a fault of that search, and stops nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.files import read_regular
from ablate.study.runs import is_key
from ablate.study.sealed_lines import read_lines

if TYPE_CHECKING:
    from ablate.study.study import Study

FREEZE_THAW = "freeze_thaw"
"""The strategy of `ablate run --search`, at the beginning of what its file's name has of it."""
_LONGEST_WHY = 300
_MOST_EPOCHS = 10**9


class Step(NamedTuple):
    """A trial had been trained up to an epoch."""

    key: str
    epoch: int


class Search(NamedTuple):
    """What one search remembers. Its file's name says its space, profile, strategy (or sampler) and seed."""

    space: str
    profile: str
    strategy: str
    seed: str
    cells: tuple[str, ...] = ()
    """Configurations that it began, in order."""
    steps: tuple[Step, ...] = ()
    """Rungs that trials reached, in order; none of a sampler's search, which knows of no rungs."""
    ended: str = ""
    """Why its last run ended by itself; empty if it did not, or if it does not say."""
    fault: str = ""
    """Why its memory cannot be read; then nothing else is known of it."""
    learnt: tuple[str, ...] = ()
    """Earlier studies that it learns from, by their folders' names."""


def searches(study: Study) -> tuple[Search, ...]:
    """The study's searches, by their files' names."""
    folder = study.path / "searches"
    places = {(run.space, run.profile) for run in study.plans.runs}
    return tuple(_search(file, places) for file in sorted(folder.glob("*.jsonl")))


def _search(file: Path, places: Collection[tuple[str, str]]) -> Search:
    stem, _, seed = file.stem.rpartition("-")
    fitting = [place for place in places if stem.startswith("-".join(place) + "-")]
    space, profile = max(fitting, key=lambda place: len("-".join(place)), default=("", ""))
    named = Search(space, profile, stem[len(f"{space}-{profile}-") :] if space else stem, seed)
    try:
        lines = read_lines(read_regular(file), of_earlier_versions=True)
        if lines.damaged:
            raise ValueError(f"line {lines.damaged[0]}")
        return _told(named, [_event(line) for line in lines.lines])
    except OSError as error:
        return named._replace(fault=f"'searches/{file.name}' cannot be read: {error.strerror or error}")
    except (ValueError, TypeError, KeyError, RecursionError):
        return named._replace(fault=f"'searches/{file.name}' is damaged: what it did is not known")


def _event(line: bytes) -> dict[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("no event")
    return found


def _told(named: Search, events: list[dict[str, Any]]) -> Search:
    """The search with what its events say. Raises `ValueError`, `TypeError` or `KeyError` for what are none."""
    cells: dict[str, None] = {}
    steps: list[Step] = []
    learnt: tuple[str, ...] = ()
    ended = ""
    for event in events:
        kind = event.get("event")
        if kind != "ended":
            ended = ""
        match kind:
            case None | "went":  # None: a sampler's proposal
                cells[_key(event["cell"])] = None
            case "saw":
                steps.append(Step(_key(event["key"]), _epoch(event["epoch"])))
            case "learnt":
                learnt = tuple(str(name)[:_LONGEST_WHY] for name in event["studies"])
            case "ended":
                ended = str(event["why"])[:_LONGEST_WHY]
    return named._replace(cells=tuple(cells), steps=tuple(steps), learnt=learnt, ended=ended)


def _key(value: Any) -> str:
    if not isinstance(value, str) or not is_key(value):
        raise ValueError("no key")
    return value


def _epoch(value: Any) -> int:
    if not isinstance(value, int) or not 0 < value < _MOST_EPOCHS:
        raise ValueError("no epoch")
    return value
