"""The report's part on factors: what each level is worth, alone and together with others."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.figures.effects import cost_text, effects_figure, signed
from ablate.analysis.figures.heatmap import LevelMeans, heatmap_figure
from ablate.analysis.figures.parallel import Parallel, parallel_figure
from ablate.analysis.format import several, shortened
from ablate.analysis.pareto import COSTS
from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, Part, laid_out, made, plot, together
from ablate.analysis.report.sections.base import Section
from ablate.analysis.report.table import Header, Place, Table, TableRow, headed, number, worded
from ablate.metrics.counts import METRICS
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.analysis.effects import Effect, Effects, Interaction

_MOST_ROWS, _MOST_NOTES, _MOST_INTERACTIONS = 500, 4, 10


class Worths(Section):
    """What each level is worth, alone and together with others."""

    name: Literal["effects"] = "effects"
    title: str = "What each part is worth"
    place: Number = 60

    def parts(self, content: Content) -> Iterable[Part]:
        found = content.evidence
        return [lambda: effects_section(found.effects, found.maps, found.parallels, lambda: content.on_a_front)]


def effects_section(
    found: Effects | None,
    maps: Sequence[LevelMeans],
    parallels: Sequence[Parallel],
    front: Callable[[], Collection[str]],
) -> Markup:
    """The effects of levels, their interactions and importances, and the networks across factors; `front` gives cells.

    Each is made by itself.
    """
    parts: list[Part] = []
    if found is not None:
        places = list(dict.fromkeys((effect.space, effect.task) for effect in found.effects))
        parts += [partial(_effects, found, at, places) for at in range(len(places))]
        parts += [partial(laid_out, "effects_marks", metric=METRICS[found.metric].label)] if places else []
        parts += [partial(_interactions, found), partial(_importances, found), partial(_remarks, found.notes)]
    parts += [partial(_map, record, at) for at, record in enumerate(maps)]
    drawn = [record for record in parallels if len(record.lines) > 1]
    parts += [partial(_parallel, at, drawn, front) for at in range(len(drawn))]
    return together(parts)


def _effects(found: Effects, at: int, places: Sequence[tuple[str, str]]) -> Markup:
    """The effects in the space and task at one of `places`."""
    space, task = places[at]
    of_place = [effect for effect in found.effects if (effect.space, effect.task) == (space, task)]

    def drawn() -> Markup:
        return laid_out(
            "figure", plot=plot(effects_figure(of_place), f"effects{at or ''}", "Effect of each level on the score")
        )

    place = _place(space, task, places)
    return laid_out("effects", place=place, figure=made(drawn), numbers=_effect_table(of_place))


def _map(record: LevelMeans, at: int) -> Markup:
    return laid_out(
        "level_means",
        factors=" × ".join(shortened(factor) for factor in record.factors),
        plot=plot(heatmap_figure(record), f"heatmap{at or ''}", "Mean score of each combination of levels"),
        metric=METRICS[record.metric].label,
        averaged=any(n > 1 for row in record.cells for n in row),
        tasks=record.tasks,
    )


def _parallel(at: int, drawn: Sequence[Parallel], front: Callable[[], Collection[str]]) -> Markup:
    record = drawn[at]
    return laid_out(
        "parallel",
        place=_place(record.space, record.task, [(one.space, one.task) for one in drawn]) or record.space,
        plot=plot(parallel_figure(record, front()), f"parallel{at or ''}", "Parallel coordinates"),
        left_out=record.left_out,
    )


def _remarks(texts: Sequence[str]) -> Markup:
    """What the designs cannot tell; many such notes are folded."""
    fold = f"{len(texts)} remarks on what the designs can tell" if len(texts) > _MOST_NOTES else ""
    return laid_out("remarks", texts=texts, fold=fold) if texts else NOTHING


def _place(space: str, task: str, places: Sequence[tuple[str, str]]) -> str:
    """What tells one pair of space and task from the others."""
    several_spaces, several_tasks = (len({place[at] for place in places}) > 1 for at in (0, 1))
    return ", ".join([*([space.replace("_", " ")] if several_spaces else []), *([task] if several_tasks else [])])


# Tables --------------------------------------------------------------------------------------------------------------


def _table(title: str, kind: str, names: Sequence[str], rows: Sequence[TableRow]) -> Table:
    return Table(title, kind, tuple(map(Header, names)), tuple(rows))


def _optional(value: float | None, digits: str, mark: str = "") -> Place:
    return number(value, "" if value is None else f"{value:{digits}}{mark}")


def _effect_table(effects: Sequence[Effect]) -> Table:
    def row(effect: Effect) -> TableRow:
        found = effect.difference
        p = found.p_value if found.p_holm is None else found.p_holm
        estimate, low, high = found.interval[:3]
        return TableRow(
            (
                headed(effect.factor),
                worded(effect.level),
                worded(effect.reference),
                number(estimate, signed(estimate)),
                worded(f"[{signed(low)}, {signed(high)}]" if math.isfinite(low) else found.note or "one seed"),
                _optional(p, ".3g", " *" if found.significant else ""),
                number(effect.params, cost_text(effect.params)),
                number(effect.macs, cost_text(effect.macs)),
                number(found.seeds, found.interval.over or str(found.seeds)),
            )
        )

    names = ("Factor", "Level", "Reference", "Difference", "95 % interval", "p (Holm)", "Parameters", "MACs", "Over")
    return _table("Effects", "effects", names, [row(effect) for effect in effects])


def _interactions(found: Effects) -> Markup:
    if not found.interactions:
        return NOTHING

    def row(one: Interaction) -> TableRow:
        estimate, low, high = one.interval[:3]
        return TableRow(
            (
                headed(" × ".join(one.factors)),
                worded(" × ".join(one.levels)),
                number(estimate, signed(estimate)),
                worded(f"[{signed(low)}, {signed(high)}]" if math.isfinite(low) else one.interval.why or "–"),
                _optional(one.p_value, ".3g"),
            )
        )

    rows = [row(one) for one in sorted(found.interactions, key=lambda one: -abs(one.interval.estimate))]
    largest, smaller = rows[:_MOST_INTERACTIONS], rows[_MOST_INTERACTIONS:_MOST_ROWS]
    table = partial(
        _table, "Interactions", "effects interactions", ("Factors", "Levels", "Interaction", "95 % interval", "p")
    )
    return laid_out(
        "interactions",
        largest=table(largest),
        smaller=table(smaller),
        fold=several(len(smaller), "smaller interaction"),
    )


def _importances(found: Effects) -> Markup:
    if not found.importances:
        return NOTHING
    costs: dict[str, str] = dict(COSTS.items())
    rows = [
        TableRow(
            (
                headed(one.factor),
                worded(one.space),
                worded(one.task),
                worded(costs.get(one.target) or METRICS[one.target].label),
                _optional(one.fanova, ".2f"),
                _optional(one.ped_anova, ".2f"),
            )
        )
        for one in found.importances
    ]
    names = ("Factor", "Space", "Data", "For", "fANOVA", "PED-ANOVA")
    return laid_out("importances", importances=_table("Importance of factors", "effects importances", names, rows))
