"""The report's part on what was found: the answer in a few sentences, of Dice and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from markupsafe import Markup

from ablate.analysis.format import NO_BREAK, cut, score, shortened
from ablate.analysis.front_words import beside_the_best, chosen_note, told_apart
from ablate.analysis.pareto import Cell, amount
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import Part, laid_out
from ablate.analysis.report.sections.base import Section, of_tasks
from ablate.settings import Number


class Named(NamedTuple):
    """A network's name and what is said of it."""

    name: str
    said: str


class Listed(NamedTuple):
    """Networks in a sentence; of many, the first, and how many `others` there are."""

    networks: tuple[Named, ...]
    others: int


class Findings(NamedTuple):
    """The front, the best, the cheapest, and the trivial bar, of `scored` networks."""

    scored: int
    on_front: int
    front: Listed
    chances: bool
    """Whether `front` says how probable it is that each is on it."""
    told: tuple[str, ...]
    """Who else may be on the front, and who surely is."""
    cheapest: Named
    best: Named
    alike: str
    """Whom the best is not told apart from, in a sentence, or nothing."""
    corrected: str
    """What the mark of corrected intervals says, or nothing."""
    bar: Named | None
    """The best of the trivial rows."""
    below: Listed
    """Networks that are no better than it."""
    one_seed: bool


class Found(Section):
    """The answer in a few sentences, for each data set."""

    name: Literal["findings"] = "findings"
    title: str = "What was found"
    place: Number = 30

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: of_tasks(content, findings_section)]


def findings_section(content: Content, task: str) -> Markup:
    found, short = _findings(content, task), content.has_short_names
    return laid_out("findings", task=content.heading(task), found=found, short=short)


def _findings(content: Content, task: str) -> Findings | None:
    """None where no network has been scored."""
    front = content.fronts[task][0]
    if not front.points:
        return None
    by_id = {cell.id: cell for cell in content.known}
    chances = content.chances(task)

    def on_front(found: Cell) -> Named:
        chance = f", P{NO_BREAK}{chances[found.id]:.2f}" if found.id in chances else ""
        return _named(found, f"{amount('params', found.params)}, {content.scored(found)}{chance}")

    scored = [by_id[point.cell] for point in front.points]
    sure = content.sure(front, task)
    alike = beside_the_best(front, sure) if sure else ""
    marked = any(content.corrected(cell, "dice") for cell in front.front)
    best = max(scored, key=lambda cell: cell.dice.mean)
    cheapest = min(scored, key=lambda cell: (cell.params, -cell.dice.mean))
    bar = front.trivial[0] if front.trivial else None
    below = [cell for cell in scored if bar is not None and cell.dice.mean <= bar.y]
    return Findings(
        scored=len(scored),
        on_front=len(front.front),
        front=_listed([on_front(by_id[cell]) for cell in front.front]),
        chances=bool(chances),
        told=tuple(told_apart(front, sure)) if sure else (),
        cheapest=_named(cheapest, f"{amount('params', cheapest.params)}, with Dice {content.scored(cheapest)}"),
        best=_named(
            best,
            f"Dice {content.scored(best)} with {amount('params', best.params)} parameters and "
            f"{amount('macs', best.macs)} MACs",
        ),
        alike=f"It is {alike}." if alike else "",
        corrected=chosen_note("networks on the front") if marked else "",
        bar=None if bar is None else Named(bar.label, f"Dice {score(bar.y)}"),
        below=_listed([_named(cell, content.scored(cell)) for cell in below]),
        one_seed=all(cell.seeds == 1 for cell in scored),
    )


def _named(found: Cell, said: str) -> Named:
    return Named(shortened(found.label, 60), said)


def _listed(networks: Sequence[Named]) -> Listed:
    first, others = cut(networks)
    return Listed(tuple(first), others)
