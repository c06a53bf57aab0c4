"""Several studies on one command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import InputError

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study


def by_name(studies: tuple[Path, ...]) -> dict[str, Path]:
    """The studies by their directories' names; with as much of their paths as tells them apart.

    Raises `InputError` where one is named twice.
    """
    if len({study.resolve() for study in studies}) < len(studies):
        raise InputError("a study is named twice: name each once")
    names = [study.resolve().name for study in studies]
    return {name if names.count(name) == 1 else str(study): study for name, study in zip(names, studies, strict=True)}


def judged_on(study: Study, frames: Frames, runtime: str | None = None) -> Frames:
    """What claims are judged on: of a search that was confirmed the fresh seeds, for its own flatter it; scored by the
    masks that files find in a runtime, where the claim names one."""
    from ablate.analysis.confirmation import of_fresh_seeds, searched_and_fresh

    _, fresh = searched_and_fresh(study.manifest.runs)
    found = of_fresh_seeds(frames, fresh) if fresh else frames
    if not runtime:
        return found
    from ablate.analysis.by_runtime import scored_in

    return scored_in(found, study, runtime)
