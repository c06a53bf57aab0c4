"""Several studies on one command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import InputError, unknown

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
    return judged_in(study, frames, None, runtime)[0]


def judged_in(study: Study, frames: Frames, space: str | None, runtime: str | None = None) -> tuple[Frames, list[str]]:
    """As `judged_on`, or the trials of one space alone, whatever they are; and what is to be said of those.

    Raises `InputError` for a space that the study has not.
    """
    from ablate.analysis.confirmation import DESIGN, of_fresh_seeds, searched_and_fresh

    runs, said = study.manifest.runs, []
    _, keys = searched_and_fresh(runs)
    if space is not None:
        chosen = [run for run in runs if run.space == space]
        if not chosen:
            raise unknown("space", space, {run.space for run in runs})
        if keys and all(run.design != DESIGN for run in chosen):
            said = [f"Judged on the seeds by which {space} was searched, which flatter what it found."]
        keys = [key for run in chosen for key in run.trials]
    found = of_fresh_seeds(frames, keys) if keys else frames
    if runtime:
        from ablate.analysis.by_runtime import scored_in

        found = scored_in(found, study, runtime)
    return found, said
