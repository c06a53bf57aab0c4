"""What all printed figures share: sizes in millimetres, type, marks that survive a grey print, and the file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.analysis.figures.style import FAINT, GRID, INK

COLUMN, PAGE = 85.0, 174.0
"""Millimetres: one column, and two, of most journals of this field."""
SUFFIXES = (".pdf", ".svg", ".png")
DOTS = 600
"""An inch, of PNG: what journals ask of line art."""
_INCH = 25.4
_TYPE = 7.0
"""Points: what journals take as the least in a figure at its printed size."""
_RC: Any = {
    "font.size": _TYPE,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "axes.labelsize": _TYPE,
    "xtick.labelsize": _TYPE - 0.5,
    "ytick.labelsize": _TYPE - 0.5,
    "legend.fontsize": _TYPE - 0.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # TrueType, as it is: journals refuse bitmap fonts
    "svg.fonttype": "path",  # no viewer's font takes its place
    "svg.hashsalt": "ablate",
    "figure.constrained_layout.use": True,
}
MARKERS = {
    "circle": "o",
    "diamond": "D",
    "square": "s",
    "triangle-up": "^",
    "triangle-down": "v",
    "cross": "P",
    "x": "X",
    "star": "*",
    "hexagon": "h",
    "pentagon": "p",
}
"""By what the interactive figures call them."""
DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (4, 2)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
    "longdash": (0, (7, 2)),
    "longdashdot": (0, (7, 1.5, 1, 1.5)),
}


@contextmanager
def in_print() -> Iterator[None]:
    """Within it figures are made and written; outside of it matplotlib is as it was."""
    with mpl.rc_context(_RC):
        yield


def sheet(width: float, height: float) -> Figure:
    """An empty figure of so many millimetres."""
    return Figure(figsize=(width / _INCH, height / _INCH))


def content(figure: Figure, suffix: str) -> bytes:
    """The file of a figure, by one of `SUFFIXES`: the same bytes for the same figure, for it has no date."""
    buffer = io.BytesIO()
    form = suffix.removeprefix(".")
    undated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form, {})
    figure.savefig(buffer, format=form, dpi=DOTS, metadata={**undated, **({} if form == "png" else {"Creator": None})})
    return buffer.getvalue()


def quiet(axes: Axes, *, across: bool = True, along: bool = True) -> None:
    """Grid lines only where they are asked for: `across` for values of y."""
    axes.grid(visible=along, axis="x")
    axes.grid(visible=across, axis="y")


def note(axes: Axes, text: str) -> None:
    """A small line beneath the plot's lower left corner, within it."""
    axes.text(0.01, 0.015, text, transform=axes.transAxes, color=FAINT, fontsize=_TYPE - 1.5, ha="left", va="bottom")
