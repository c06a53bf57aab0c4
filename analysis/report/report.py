"""The report: one HTML page that says what a study found, how surely, and how it was made.

`render` puts it together from records that others computed: a section that has no record is not there. Each of its
parts is made by itself, and what a part needs is computed when it asks: what fails is a note in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from ablate.analysis.format import shortened
from ablate.analysis.report.confirmation import confirmation_section
from ablate.analysis.report.content import About, Content, Evidence
from ablate.analysis.report.effects import effects_section
from ablate.analysis.report.findings import findings_section
from ablate.analysis.report.front import disagreements_section, front_marks, front_section, spent_section
from ablate.analysis.report.method import failed_section, left_out, method_section
from ablate.analysis.report.page import NOTHING, cautions_of, figure_page, made, report_page, section
from ablate.analysis.report.results import Results, best_first, results_section
from ablate.analysis.report.segmentations import Picture, Prediction, images_section, overlay
from ablate.analysis.report.training import training_section
from ablate.analysis.report.verdict import claim_section

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

__all__ = ["About", "Evidence", "Picture", "Prediction", "figure_page", "overlay", "render"]


def render(frames: Frames, about: About, pictures: Sequence[Picture] = (), evidence: Evidence | None = None) -> str:
    """The whole document."""
    evidence = evidence or Evidence()
    pictured = {cell for picture in pictures for cell in picture.predictions}
    content = Content(frames, about, evidence, pictured)
    sections = [
        section(
            "Verdict",
            *(partial(claim_section, claim, first=claim is evidence.claims[0]) for claim in evidence.claims),
        ),
        section("What the front is worth", lambda: confirmation_section(evidence.confirmation)),
        section("What was found", lambda: _of_tasks(content, findings_section)),
        section(
            "Score against cost",
            lambda: _of_tasks(content, front_section),
            lambda: front_marks(content),
            lambda: spent_section(evidence.spent),
        ),
        section("Fewer MACs, more time", lambda: disagreements_section(evidence.disagreements)),
        section(
            "What each part is worth",
            lambda: effects_section(evidence.effects, evidence.maps, evidence.parallels, lambda: content.on_a_front),
        ),
        section("Training", lambda: training_section(content)),
        section("Test images", lambda: _images(content, pictures)),
        section("All results", lambda: _results(content)),
        section(
            "How this was made",
            lambda: method_section(about),
            lambda: left_out(content),
            lambda: failed_section(frames.trials),
        ),
    ]
    return report_page(about.title, about.question, [*about.cautions, *cautions_of(about.profiles)], sections)


def _of_tasks(content: Content, make: Callable[[Content, str], Markup]) -> Markup:
    """A part for each data set, under its name."""
    return NOTHING.join(made(partial(make, content, task), content.heading(task)) for task in content.by_task)


def _images(content: Content, pictures: Sequence[Picture]) -> Markup:
    names = {cell.id: shortened(cell.label, 60) for cell in best_first(content.known)}
    return images_section(pictures, names) if pictures else NOTHING


def _results(content: Content) -> Markup:
    if not content.known:
        return NOTHING
    chances = {name: chance for task in content.fronts for name, chance in content.chances(task).items()}
    records = [record for found in content.fronts.values() for record in found]
    return results_section(content.known, Results(records, content.evidence.intervals, chances, content.pictured))
