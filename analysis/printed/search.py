"""What a search spent: its hypervolume against seconds, and the seconds of its networks by what became of them."""

from __future__ import annotations

from matplotlib.figure import Figure

from ablate.analysis.figures.style import INK
from ablate.analysis.printed.sheet import quiet, sheet
from ablate.analysis.searches import FAILED, FINISHED, FRONT, Spending

_BARS = {FRONT: (INK, ""), FINISHED: ("#8c8c8c", ""), FAILED: ("white", "xxxx")}
_STOPPED = ("#dedede", "")
"""Fills from dark to light, so that grey tells them apart."""
_MOST_NAMED = 40


def path_figure(spending: Spending, width: float) -> Figure:
    """The hypervolume, as a share of what it was at the end, against the seconds that were spent by then."""
    figure = sheet(width, 0.55 * min(width, 120))
    axes = figure.add_subplot()
    seconds = [0.0, *(one.seconds for one in spending.path)]
    axes.step(seconds, [0.0, *(one.share for one in spending.path)], where="post", color=INK)
    axes.set_xlabel("Seconds of training")
    axes.set_ylabel("Hypervolume, share of\nthat at the end")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.04)
    return figure


def spending_figure(spending: Spending, width: float) -> Figure:
    """A bar a network, in the order in which they were begun, filled by what became of it."""
    figure = sheet(width, 0.6 * min(width, 120) + 6)
    axes = figure.add_subplot()
    place = {one.cell: at for at, one in enumerate(spending.networks)}
    named: set[str] = set()
    for fate, networks in spending.by_fate.items():
        fill, hatch = _BARS.get(fate, _STOPPED)
        said = fate if fate in _BARS else "stopped early"
        axes.bar(
            [place[one.cell] for one in networks],
            [one.seconds for one in networks],
            width=0.85, color=fill, hatch=hatch, edgecolor=INK, lw=0.4, label="" if said in named else said,
        )  # fmt: skip
        named.add(said)
    many = len(place) > _MOST_NAMED
    every = -(-len(place) // 12) if many else 1
    shown = list(spending.networks)[::every]
    turned = sum(len(one.named.name) + 2 for one in shown) > 0.55 * width
    axes.set_xticks([place[one.cell] for one in shown], [one.named.name for one in shown], rotation=90 if turned else 0)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.8, len(place) - 0.2)
    axes.set_xlabel("Networks, as they were begun")
    axes.set_ylabel("Seconds of training")
    quiet(axes, along=False)
    figure.legend(loc="outside lower center", ncols=2 if width < 120 else 4)
    return figure
