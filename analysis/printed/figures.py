"""The figures of a report by name, as files for print."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.paper.published import CITED, NAMES
from ablate.analysis.printed.drawing import Asked, Drawing, Drawn
from ablate.analysis.printed.labels import key_of
from ablate.analysis.printed.sheet import COLUMN, PAGE, content, in_print
from ablate.errors import InputError, unknown

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study


class Printed(NamedTuple):
    """A file, its caption, and what letters in it stand for."""

    content: bytes
    caption: str
    key: dict[str, str]

    @property
    def whole_caption(self) -> str:
        """With the letters."""
        listed = "; ".join(f"{letter}: {name}" for letter, name in self.key.items())
        return f"{self.caption} {listed}." if listed else self.caption


FIGURES: dict[str, tuple[str, Callable[[Drawing], Drawn]]] = {
    "front": ("score against cost, with the front", Drawing.of_front),
    "effects": ("what each level of each factor is worth", Drawing.of_effects),
    "levels": ("mean score of every combination of two factors' levels", Drawing.of_levels),
    "networks": ("networks across factors, costs and score", Drawing.of_networks),
    "curves": ("training loss and validation scores by epoch", Drawing.of_curves),
    "spent": ("hypervolume of the front by epochs spent", Drawing.of_spent),
    "images": ("test images with what was found and missed", Drawing.of_images),
    "search": ("hypervolume of a search by seconds", Drawing.of_search),
    "spending": ("seconds of each network that a search tried", Drawing.of_spending),
    "paper-fig-2": (f"training losses, as Fig. 2 of {CITED}", Drawing.of_paper_2),
    "paper-fig-3": (f"IoU and Dice by epoch, as Fig. 3 of {CITED}", Drawing.of_paper_3),
    "paper-fig-4": (f"predictions side by side, as Fig. 4 of {CITED}", Drawing.of_paper_4),
}
"""By name: what it shows, and how it is drawn."""
ACROSS = ("curves", "images", "paper-fig-3", "paper-fig-4")
"""Those that take a page's width, where all are laid out."""


def printed(study: Study, frames: Frames, name: str, suffix: str, asked: Asked | None = None) -> Printed:
    """Figure `name` of a study, whose tables are `frames`, as a file of one of `sheet.SUFFIXES`.

    Raises `InputError` for a name that is none, and where the study has nothing for it.
    """
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES)
    drawing = Drawing(study, frames, asked or Asked())
    return _printed(drawing, name, suffix)


def all_printed(study: Study, frames: Frames, asked: Asked) -> dict[str, Printed | str]:
    """By name each figure of `FIGURES` as a PDF, most at a column's width, or in a line why there is none.

    Raises `InputError` where no trial is complete.
    """
    found: dict[str, Printed | str] = {}
    by_width = {width: Drawing(study, frames, asked._replace(width=width)) for width in (COLUMN, PAGE)}
    few = len({cell.model for cell in by_width[COLUMN].ranked} & set(NAMES)) < 2
    for name in FIGURES:
        if name.startswith("paper-") and few:
            found[name] = "the study has fewer than two of the paper's networks: `ablate run --space baselines` has all"
            continue
        try:
            found[name] = _printed(by_width[PAGE if name in ACROSS else COLUMN], name, ".pdf")
        except InputError as error:
            found[name] = str(error)
    return found


def _printed(drawing: Drawing, name: str, suffix: str) -> Printed:
    with in_print():
        drawn = FIGURES[name][1](drawing)
        key = key_of(drawing.called, drawing.names, drawn.labels) if drawn.labels else {}
        return Printed(content(drawn.figure, suffix), drawn.caption, key)
