"""The report's part on factors: what each level is worth, alone and together with others."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ablate.analysis.figures.effects import cost_text, effects_figure, signed
from ablate.analysis.figures.heatmap import LevelMeans, heatmap_figure
from ablate.analysis.figures.parallel import Parallel, parallel_figure
from ablate.analysis.format import several, shortened
from ablate.analysis.pareto import COSTS, METRICS
from ablate.analysis.report.page import cell, escape, figure, folded, items, made, note, number, plain_header, table

if TYPE_CHECKING:
    from ablate.analysis.effects import Effect, Effects

_MOST_ROWS, _MOST_NOTES, _MOST_INTERACTIONS = 500, 4, 10


def effects_section(
    found: Effects | None,
    maps: Sequence[LevelMeans],
    parallels: Sequence[Parallel],
    front: Callable[[], Collection[str]],
) -> str:
    """The effects of levels, their interactions and importances, and the networks across factors; `front` gives cells.

    Each is made by itself.
    """
    parts: list[Callable[[], str]] = []
    if found is not None:
        places = list(dict.fromkeys((effect.space, effect.task) for effect in found.effects))
        parts += [partial(_effects, found, at, places) for at in range(len(places))]
        parts += [partial(_effects_marks, found)] if places else []
        parts += [partial(_interactions, found), partial(_importances, found), partial(_notes, found.notes)]
    parts += [partial(_map, record, at) for at, record in enumerate(maps)]
    drawn = [record for record in parallels if len(record.lines) > 1]
    parts += [partial(_parallel, at, drawn, front) for at in range(len(drawn))]
    return "".join(map(made, parts))


def _effects(found: Effects, at: int, places: Sequence[tuple[str, str]]) -> str:
    """The effects in the space and task at one of `places`."""
    space, task = places[at]
    of_place = [effect for effect in found.effects if (effect.space, effect.task) == (space, task)]
    name = escape(_place(space, task, places))
    return (
        (f"<h3>{name}</h3>" if name else "")
        + made(lambda: figure(effects_figure(of_place), f"effects{at or ''}", "Effect of each level on the score"))
        + folded("The effects in numbers", _effect_table(of_place))
    )


def _effects_marks(found: Effects) -> str:
    return note(
        f"Difference in mean test {METRICS[found.metric]} from the reference level, all else equal, paired "
        "by seed and image, with 95 % interval. A filled diamond is significant after Holm’s correction "
        "over the family; an open circle is not (among several, even with an interval clear of zero); a "
        "bare line is one seed, which tells nothing of chance. × is the cost in units of the reference’s."
    )


def _map(record: LevelMeans, at: int) -> str:
    return (
        f"<h3>{escape(' × '.join(shortened(factor) for factor in record.factors))}</h3>"
        + figure(heatmap_figure(record), f"heatmap{at or ''}", "Mean score of each combination of levels")
        + note(
            f"Mean test {METRICS[record.metric]} of each combination"
            + (", over the levels of the other factors" if any(n > 1 for row in record.cells for n in row) else "")
            + (f"; columns or rows differ in their test images ({record.tasks} data sets)" if record.tasks > 1 else "")
            + "."
        )
    )


def _parallel(at: int, drawn: Sequence[Parallel], front: Callable[[], Collection[str]]) -> str:
    record = drawn[at]
    name = _place(record.space, record.task, [(one.space, one.task) for one in drawn]) or record.space
    return (
        f"<h3>Every network of {escape(name)}</h3>"
        + figure(parallel_figure(record, front()), f"parallel{at or ''}", "Parallel coordinates")
        + note(
            "A line is a network: its levels, its costs and its score. Strong lines are on a front."
            + (f" {record.left_out} of the middle and lower ranks are left out." if record.left_out else "")
        )
    )


def _notes(texts: Sequence[str]) -> str:
    """What the designs cannot tell; many such notes are folded."""
    if len(texts) <= _MOST_NOTES:
        return items(texts)
    return folded(f"{len(texts)} remarks on what the designs can tell", items(texts))


def _place(space: str, task: str, places: Sequence[tuple[str, str]]) -> str:
    """What tells one pair of space and task from the others."""
    several_spaces, several_tasks = (len({place[at] for place in places}) > 1 for at in (0, 1))
    return ", ".join([*([space.replace("_", " ")] if several_spaces else []), *([task] if several_tasks else [])])


def _effect_table(effects: Sequence[Effect]) -> str:
    names = ("Factor", "Level", "Reference", "Difference", "95 % interval", "p (Holm)", "Parameters", "MACs", "Seeds")

    def row(effect: Effect) -> str:
        found = effect.difference
        p = found.p_value if found.p_holm is None else found.p_holm
        low, high = found.interval.low, found.interval.high
        return (
            f'<tr><th scope="row">{escape(effect.factor)}</th>{cell(effect.level)}{cell(effect.reference)}'
            + number(found.interval.estimate, signed(found.interval.estimate))
            + cell(f"[{signed(low)}, {signed(high)}]" if math.isfinite(low) else found.note or "one seed")
            + number(math.nan if p is None else p, "" if p is None else f"{p:.3g}{' *' if found.significant else ''}")
            + number(effect.params, cost_text(effect.params))
            + number(effect.macs, cost_text(effect.macs))
            + number(found.seeds, str(found.seeds))
            + "</tr>"
        )

    return table("effects", map(plain_header, names), map(row, effects), "Effects")


def _interactions(found: Effects) -> str:
    if not found.interactions:
        return ""
    rows = [
        f'<tr><th scope="row">{escape(" × ".join(one.factors))}</th>{cell(" × ".join(one.levels))}'
        + number(one.interval.estimate, signed(one.interval.estimate))
        + cell(f"[{signed(one.interval.low)}, {signed(one.interval.high)}]" if math.isfinite(one.interval.low) else "–")
        + number(math.nan if one.p_value is None else one.p_value, "" if one.p_value is None else f"{one.p_value:.3g}")
        + "</tr>"
        for one in sorted(found.interactions, key=lambda one: -abs(one.interval.estimate))
    ]
    names = ("Factors", "Levels", "Interaction", "95 % interval", "p")

    def shown(some: Sequence[str]) -> str:
        return table("effects interactions", map(plain_header, names), some, "Interactions")

    rest = rows[_MOST_INTERACTIONS:_MOST_ROWS]
    return (
        "<h3>Interactions</h3>"
        + shown(rows[:_MOST_INTERACTIONS])
        + (folded(f"{several(len(rest), 'smaller interaction')}", shown(rest)) if rest else "")
        + note("By how much the two levels together differ from the sum of their effects; p is not corrected.")
    )


def _importances(found: Effects) -> str:
    if not found.importances:
        return ""

    targets: dict[str, str] = {**dict(METRICS.items()), **dict(COSTS.items())}

    def share(value: float | None) -> str:
        return number(math.nan if value is None else value, "" if value is None else f"{value:.2f}")

    rows = [
        f'<tr><th scope="row">{escape(one.factor)}</th>{cell(one.space)}{cell(one.task)}'
        f"{cell(targets[one.target])}{share(one.fanova)}"
        f"{share(one.ped_anova)}</tr>"
        for one in found.importances
    ]
    names = ("Factor", "Space", "Data", "For", "fANOVA", "PED-ANOVA")
    return (
        "<h3>Importance</h3>"
        + table("effects importances", map(plain_header, names), rows, "Importance of factors")
        + note("The share of the variance that a factor explains: over the whole space, and among its best networks.")
    )
