"""How figures look: white, quiet, and told apart without colour.

Colours are Okabe and Ito's, which survive the common colour-blindnesses; every colour comes with a symbol and a dash,
so that a grey print loses nothing either.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable
from typing import NamedTuple

import plotly.graph_objects as go

from ablate.analysis.format import model_name, shortened, shown
from ablate.analysis.levels import natural

INK, FAINT, GRID = "#222222", "#666666", "#e6e6e6"
FONT = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif'
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "responsive": True,
    "displayModeBar": False,
    "doubleClick": "reset",
}
"""Configuration of plotly.js: nothing that leads off the page."""

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hoverlabel": {"bgcolor": "white", "bordercolor": INK, "align": "left", "font": {"family": FONT, "color": INK}},
        "xaxis": {"showgrid": True, "gridcolor": GRID, "zeroline": False, "automargin": True, "title": {"standoff": 8}},
        "yaxis": {"showgrid": True, "gridcolor": GRID, "zeroline": False, "automargin": True, "title": {"standoff": 8}},
    }
)
LEGEND = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 12}}
"""Beneath the plot, however high it is."""

_OKABE_ITO = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
}
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down", "x", "star")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_FAMILIES = {
    "unet": ("blue", "circle"),
    "pyconvunet": ("vermillion", "diamond"),
    "unet_plus_plus": ("sky", "square"),
    "attention_unet": ("purple", "triangle-up"),
    "resnet34_unet": ("orange", "triangle-down"),
    "fcn8s": ("green", "cross"),
}
_MOST_GROUPS = len(_SYMBOLS)
_MOST_WRAPPED = 1000
SIGNIFICANT, UNDECIDED, UNKNOWN = "diamond", "circle-open", "line-ns-open"
"""Symbols of a difference: beyond chance, within it, and not known (one seed)."""


class Style(NamedTuple):
    """How one cell is drawn, and the group of cells that share its legend entry.

    `colour` is the group's, `shade` the cell's own of it: lines of one family differ from light to dark.
    """

    group: str
    colour: str
    symbol: str
    dash: str
    shade: str


def styles(cells: Iterable[tuple[str, str, str]]) -> dict[str, Style]:
    """The style of each (cell, label, model).

    Cells are coloured by their network's family; where there is one family only, and few cells, each by itself.
    Dashes go round the cells, so that lines differ without colour too.
    """
    known = sorted(set(cells), key=lambda cell: (cell[2], natural(cell[1]), cell[0]))
    families = list(dict.fromkeys(model for _, _, model in known))
    alone = len(families) == 1 and 1 < len(known) <= _MOST_GROUPS
    found: dict[str, Style] = {}
    for index, (cell, label, model) in enumerate(known):
        if alone:
            colour, symbol = list(_OKABE_ITO.values())[index % len(_OKABE_ITO)], _SYMBOLS[index]
        elif model in _FAMILIES:
            name, symbol = _FAMILIES[model]
            colour = _OKABE_ITO[name]
        else:
            others = [family for family in families if family not in _FAMILIES]
            colour, symbol = _OKABE_ITO["black"], ("x", "star", "hexagon", "pentagon")[others.index(model) % 4]
        group = shortened(label) if alone else model_name(model)
        if alone and any(style.group == group for style in found.values()):
            group += f" ({cell})"
        family = [other for other, _, its in known if its == model and not alone]
        shade = _shade(colour, family.index(cell) / (len(family) - 1)) if len(family) > 1 else colour
        found[cell] = Style(group, colour, symbol, _DASHES[index % len(_DASHES)], shade)
    return found


def _shade(colour: str, place: float) -> str:
    """A colour between a lighter (`place` 0) and a darker (1) form of `colour`."""
    towards, share = (255, 0.45 - 0.9 * place) if place < 0.5 else (0, 0.9 * place - 0.45)
    mixed = (round(int(colour[at : at + 2], 16) * (1 - share) + towards * share) for at in (1, 3, 5))
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def plain(text: str) -> str:
    """Text as Plotly shows it literally: its strings are a small HTML."""
    return html.escape(shown(text), quote=False)


def wrapped(text: str, width: int = 64) -> str:
    """Plain text in lines of at most `width`, broken at spaces where there are any."""
    lines = textwrap.wrap(shortened(text, _MOST_WRAPPED), width, break_on_hyphens=False)
    return "<br>".join(map(plain, lines))
