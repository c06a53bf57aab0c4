"""The report: one HTML page that says what a study found, how surely, and how it was made.

`render` puts it together from records that others computed, by the sections that there are: one that has nothing to say
is not shown. Each of its parts is made by itself, and what a part needs is computed when it asks: what fails is a note
in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ablate.analysis.report.content import About, Content, Evidence, Picture, Prediction
from ablate.analysis.report.page import cautions_of, figure_page, report_page, section, together
from ablate.analysis.report.sections.found import found_sections
from ablate.analysis.report.sections.segmentations import overlay

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.part import Part
    from ablate.study.study import Study

__all__ = ["About", "Evidence", "Picture", "Prediction", "figure_page", "overlay", "render"]


def render(
    frames: Frames,
    about: About,
    pictures: Sequence[Picture] = (),
    evidence: Evidence | None = None,
    *,
    study: Study | None = None,
    more: Iterable[Part] = (),
) -> str:
    """The whole document. `more`: sections that were asked for, beside those that there are; `study`: for users'."""
    content = Content(frames, about, evidence or Evidence(), pictures, study)
    sections = [section(one.heading, partial(_inside, one, content)) for one in found_sections(more)]
    return report_page(
        about.title, about.question, [*about.cautions, *cautions_of(about.profiles)], sections, about.head
    )


def _inside(one: Any, content: Content) -> Markup:
    return together(one.parts(content))
