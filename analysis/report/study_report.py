"""A study's report: its tables, what they are about, and pictures of its test images, put into one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.analysis.by_seed import remarks
from ablate.analysis.failure_words import failed_trainings
from ablate.analysis.frames import scored
from ablate.analysis.guard import noted
from ablate.analysis.report.about import about
from ablate.analysis.report.evidence import evidence
from ablate.analysis.report.pictures import pictures
from ablate.analysis.report.report import render
from ablate.analysis.scoring import by_class

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.part import Part
    from ablate.study.study import Study


_MOST_CLASSES = 8
"""That have a column of their own."""


def study_report(study: Study, frames: Frames, sections: Sequence[Part] = ()) -> str:
    """The HTML document of `study`, whose tables are `frames`. Whatever cannot be made of it is said in its place.

    `sections` are shown beside those that there are.
    """
    notes: list[str] = []
    classes, more = noted(notes, "classes", lambda: by_class(frames, "dice", _MOST_CLASSES), ([], ""))
    frames = noted(notes, "classes", lambda: scored(frames, classes), frames)
    notes += [more] if more else []
    notes += noted(notes, "what is scored", lambda: remarks(frames), [])
    notes += noted(notes, "failed trainings", lambda: failed_trainings(frames.trials), [])
    shown = noted(notes, "test images", lambda: pictures(study, frames, notes), [])
    found = evidence(study, frames)
    found = found._replace(notes=(*found.notes, *notes))
    return render(frames, about(study, frames), shown, found, study=study, more=sections)
