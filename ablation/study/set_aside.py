"""What is taken out of a study and kept: `set-aside/`, which nothing reads."""

from __future__ import annotations

import datetime
from pathlib import Path

from ablate.files import kind

SET_ASIDE = "set-aside"


def set_aside(study: Path, path: str, name: str) -> None:
    """Move what is at `path` of a study, if anything is, to a name that says when."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")
    aside = study / SET_ASIDE / f"{name}-{now}"
    if kind(study / path):
        aside.parent.mkdir(exist_ok=True)
        (study / path).rename(aside)
