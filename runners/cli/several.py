"""Several studies on one command line."""

from __future__ import annotations

from pathlib import Path

from ablate.errors import InputError


def by_name(studies: tuple[Path, ...]) -> dict[str, Path]:
    """The studies by their directories' names; with as much of their paths as tells them apart.

    Raises `InputError` where one is named twice.
    """
    if len({study.resolve() for study in studies}) < len(studies):
        raise InputError("a study is named twice: name each once")
    names = [study.resolve().name for study in studies]
    return {name if names.count(name) == 1 else str(study): study for name, study in zip(names, studies, strict=True)}
