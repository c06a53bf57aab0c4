"""What a search learns from earlier studies: read once, when it begins, and written down."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ablate.errors import InputError, brief
from ablate.runners.search.freeze_thaw.earlier import EarlierCurve, earlier_curve, evenly
from ablate.runners.search.freeze_thaw.journal import Event, Learnt

if TYPE_CHECKING:
    from ablate.study.records import Record
    from ablate.study.study import Study


def learnt(past: Iterable[Event], studies: Sequence[Path], factors: Collection[str]) -> Learnt | None:
    """What a search of `factors` knows of earlier `studies`: what it wrote down when it began, or what they have now.

    Raises `InputError` as `read_earlier` does, and where two of them have one name.
    """
    if not studies:
        return None
    names = [_name(study) for study in studies]
    if len(set(names)) < len(names):
        raise InputError(f"--learn-from: two studies are called {', '.join(sorted(names))[:200]}; give each once")
    known = next((event for event in past if isinstance(event, Learnt)), None)
    return known or Learnt(
        studies={name: read_earlier(study, factors) for name, study in sorted(zip(names, studies, strict=True))}
    )


def memory_of(studies: Sequence[Path]) -> str:
    """What tells the memories of searches that learn from other studies apart: nothing, where there are none.

    By the studies' names, so that it goes on where they have moved, or are gone.
    """
    names = sorted(map(_name, studies))
    return f"-learnt_{hashlib.sha256(chr(0).join(names).encode()).hexdigest()[:8]}" if names else ""


def read_earlier(path: Path, factors: Collection[str]) -> tuple[EarlierCurve, ...]:
    """The learning curves of a study's configurations, by their levels of `factors`; failed ones are passed over.

    No code that the study names is imported. Raises `InputError` where it is no study, shares no factor, or has no
    complete trial.
    """
    from ablate.study.study import Study

    study = Study.open(path)
    levels: dict[str, dict[str, str]] = {}
    for run in study.manifest.runs:
        for key, of_trial in run.trials.items():
            levels.setdefault(key, {}).update(of_trial)
    records = [record for key, record in study.records().items() if key in levels and record.state != "trivial"]
    failed = {record.cell for record in records if record.state == "failed"}
    cells: dict[str, list[Record]] = {}
    for record in records:
        if record.cell not in failed and record.epochs:
            cells.setdefault(record.cell, []).append(record)
    last = max((one.epochs for found in cells.values() for one in found if one.state == "complete"), default=0)
    if not last:
        raise InputError(f"--learn-from '{path}': no trial of it is complete; give a study that has curves")
    varied = {name for found in cells.values() for name in levels[found[0].key]}
    if not varied & set(factors):
        shown = brief(", ".join(sorted(varied)) or "none")
        raise InputError(
            f"--learn-from '{path}': its factors ({shown}) are none of this space's ({brief(', '.join(factors))})"
        )
    offered = [
        (EarlierCurve({n: v for n, v in levels[found[0].key].items() if n in factors}, found[0].params, ()), found)
        for found in cells.values()
    ]
    chosen = evenly(offered, last, of=lambda one: one[0])
    return tuple(
        earlier_curve(curve.levels, curve.params, [_best(study, record) for record in found], last)
        for curve, found in chosen
    )


def _best(study: Study, record: Record) -> Mapping[int, float]:
    """The best score so far of a trial, by epoch."""
    scores = study.table(record.key, "epochs")["val_dice"].to_numpy(dtype=np.float64)
    best = np.maximum.accumulate(np.where((scores >= 0) & (scores <= 1), scores, 0.0))
    return dict(enumerate(map(float, best), start=1))


def _name(study: Path) -> str:
    return study.resolve().name
