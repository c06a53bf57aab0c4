"""`ablate effects`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import unknown
from ablate.runners.cli import completion
from ablate.runners.cli.costs import in_runtime, runtime_option
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import console, print_json
from ablate.runners.cli.shared import (
    class_option,
    empty_option,
    json_option,
    metric_option,
    notes,
    tables_with,
    unit_option,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ablate.analysis.crossed import Interval
    from ablate.analysis.effects import Effect, Effects, Importance, Interaction
    from ablate.analysis.failures import Failures
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty, MetricName


@click.command()
@study_argument
@metric_option("--metric")
@click.option("--space", help="Only this space of the study.", shell_complete=completion.spaces_of_study)
@class_option
@empty_option
@fail_below_option
@runtime_option
@unit_option
@json_option
def effects(
    study: Path,
    metric: MetricName,
    space: str | None,
    of_class: str,
    empty: Empty | None,
    fail_below: FailBelow | None,
    runtime: str | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """What each level of each factor is worth against its reference.

    Differences are of the test images' mean score, everything else equal, with 95 % intervals that hold for
    other seeds and other images; p is corrected for all effects of the space (Holm). Sampled spaces get importances.

    \b
    Examples:
      ablate effects STUDY
      ablate effects STUDY --metric miou --space pyramid_levels
      ablate effects STUDY --metric sensitivity --class tumour
    """
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.effects import effects as estimate
    from ablate.analysis.failure_words import failed_trainings, legend, lost_cases
    from ablate.analysis.failures import failing, failures

    opened = open_study(study)
    runs = [run for run in opened.manifest.runs if space in (None, run.space)]
    if space is not None and not runs:
        raise unknown("space", space, {run.space for run in opened.manifest.runs})
    frames, metric = tables_with(opened, metric, of_class, unit, empty)
    frames = failing(in_runtime(frames, opened, runtime), fail_below)
    found = estimate(frames, runs, metric)
    lost = failures(frames, metric)
    unlike = [*failed_trainings(frames.trials), *lost_cases(lost), legend(lost, frames, metric)]
    cautions = [*found.notes, *unlike, *remarks(frames), *notes(opened)]
    if as_json:
        print_json(_document(found, lost, cautions))
        return
    out = console()
    _print_effects(found, out)
    _print_interactions(found, out)
    _print_importances(found, out)
    for caution in cautions:
        out.print(caution, style="yellow")


def _print_effects(found: Effects, out: Console) -> None:
    from ablate.analysis.crossed import counted
    from ablate.metrics.counts import METRICS

    for (space, task), group in groupby(found.effects, key=lambda effect: (effect.space, effect.task)):
        rows = list(group)
        out.print(f"{space}, {task}: effect on {METRICS[found.metric].heading}", style="bold")
        table = _table("", "level", "effect", "95 % interval", "p", "seeds", "params", "MACs")
        for (factor, reference), levels in groupby(rows, key=lambda effect: (effect.factor, effect.reference)):
            for place, effect in enumerate(levels):
                if place == 0:
                    table.add_row("", factor, style="bold")
                    table.add_row("", f"  {reference}", "", "(reference)", style="dim")
                table.add_row(*_effect_row(effect))
        out.print(table)
        out.print(
            "* significant at 5 %; p is after Holm, intervals are each for itself. "
            "seeds: trained, and how many would likely decide. "
            "params, MACs: ratio to the reference."
        )
        if over := counted(effect.difference.interval for effect in rows):
            out.print(f"Intervals are over {over}.")
        for said, about in _remarks(rows).items():
            out.print(f"{'All' if len(about) == len(rows) else ', '.join(about)}: {said}.", style="yellow")
        out.print()


def _effect_row(effect: Effect) -> list[str]:
    difference = effect.difference
    p = difference.p_value if difference.p_holm is None else difference.p_holm
    needed = f"{difference.seeds}\N{RIGHTWARDS ARROW}{difference.seeds_needed}"
    return [
        "*" if difference.significant else "",
        f"  {effect.level}",
        f"{difference.interval.estimate:+.4f}",
        _range(difference.interval),
        _p(p),
        needed if difference.seeds_needed else str(difference.seeds),
        _ratio(effect.params),
        _ratio(effect.macs),
    ]


def _remarks(rows: Iterable[Effect]) -> dict[str, list[str]]:
    """What must be said of single effects, each with the levels it is about."""
    remarks: dict[str, list[str]] = {}
    for effect in rows:
        if effect.difference.note:
            remarks.setdefault(effect.difference.note, []).append(effect.level)
    return remarks


def _print_interactions(found: Effects, out: Console) -> None:
    for (space, task), group in groupby(found.interactions, key=lambda one: (one.space, one.task)):
        out.print(f"{space}, {task}: interactions", style="bold")
        table = _table("", "levels", "effect", "95 % interval", "p")
        for factors, rows in groupby(group, key=lambda one: one.factors):
            for place, one in enumerate(rows):
                if place == 0:
                    table.add_row("", " \N{MULTIPLICATION SIGN} ".join(factors), style="bold")
                table.add_row(*_interaction_row(one))
        out.print(table)
        out.print(
            "What the first level is worth more at the second than at the second's reference; "
            "p is not corrected for their number."
        )
        out.print()


def _interaction_row(one: Interaction) -> list[str]:
    return [
        "*" if one.p_value is not None and one.p_value <= 1 - one.interval.level else "",
        "  " + " \N{MULTIPLICATION SIGN} ".join(one.levels),
        f"{one.interval.estimate:+.4f}",
        _range(one.interval),
        _p(one.p_value),
    ]


def _print_importances(found: Effects, out: Console) -> None:
    for (space, task), group in groupby(found.importances, key=lambda one: (one.space, one.task)):
        out.print(f"{space}, {task}: importance of each factor", style="bold")
        table = _table("", "factor", "for", "fANOVA", "PED-ANOVA")
        for one in group:
            table.add_row("", one.factor, one.target, _share(one.fanova), _share(one.ped_anova))
        out.print(table)
        out.print("fANOVA: share of the variance over the space. PED-ANOVA: share in being among the best.")
        out.print()


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for place, column in enumerate(columns):
        words = place < 2 or column == "for"
        table.add_column(column, justify="left" if words else "right", overflow="fold", no_wrap=place != 1)
    return table


def _range(interval: Interval) -> str:
    if math.isnan(interval.low):
        return "none"
    return f"[{interval.low:+.4f}, {interval.high:+.4f}]"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _ratio(value: float) -> str:
    return "–" if math.isnan(value) else f"\N{MULTIPLICATION SIGN}{value:.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _document(found: Effects, lost: Mapping[str, Failures], cautions: list[str]) -> dict[str, Any]:
    def effect(one: Effect) -> dict[str, Any]:
        difference = one.difference
        return one._asdict() | {
            "difference": difference._asdict()
            | {"interval": difference.interval._asdict(), "significant": difference.significant}
        }

    def interaction(one: Interaction) -> dict[str, Any]:
        return one._asdict() | {"interval": one.interval._asdict()}

    def importance(one: Importance) -> dict[str, Any]:
        return one._asdict()

    return _finite(
        {
            "metric": found.metric,
            "effects": [effect(one) for one in found.effects],
            "interactions": [interaction(one) for one in found.interactions],
            "importances": [importance(one) for one in found.importances],
            "failures": {cell: {"label": one.label} | one.counted.document() for cell, one in lost.items()},
            "notes": cautions,
        }
    )


def _finite(value: Any) -> Any:
    """`value` with null for every number that JSON has no word for."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
