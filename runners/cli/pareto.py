"""`ablate pareto`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError
from ablate.runners.cli.costs import cost_option, in_runtime, runtime_option
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import check_target, console, print_json, write
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
    import pandas as pd
    from rich.console import Console

    from ablate.analysis.crossed import Interval
    from ablate.analysis.failures import Failures
    from ablate.analysis.figures.networks import Networks
    from ablate.analysis.frames import Frames
    from ablate.analysis.names import Named
    from ablate.analysis.pareto import Cost, Pareto
    from ablate.analysis.report.content import Intervals
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.analysis.uncertainty import UncertainFront
    from ablate.metrics.counts import Empty, MetricName
    from ablate.study.study import Study


@click.command()
@study_argument
@cost_option
@metric_option("--y")
@click.option(
    "--resamples",
    type=click.IntRange(1, 100_000),
    default=1000,
    show_default=True,
    help="Bootstrap resamples of seeds and test images.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write an interactive page here.")
@class_option
@empty_option
@fail_below_option
@runtime_option
@unit_option
@json_option
def pareto(
    study: Path,
    x: Cost,
    y: MetricName,
    resamples: int,
    output: Path | None,
    of_class: str,
    empty: Empty | None,
    fail_below: FailBelow | None,
    runtime: str | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """The Pareto front of a study and how sure it is, printed or as a page.

    Scores are of the test images, means over seeds. A network's probability is
    the share of resamples in which it is on the front; who else may be on it,
    and who surely is, is at 95 %. Latency and memory are there once
    `ablate measure STUDY` was run; `ablate confirm STUDY` trains a front anew.

    \b
    Examples:
      ablate pareto STUDY --x macs --y miou
      ablate pareto STUDY --y hd95 --class liver --empty skip
      ablate pareto STUDY --x latency_ms@onnx-int8 --runtime onnx-int8
      ablate pareto STUDY -o front.html
    """
    from ablate.analysis.by_seed import by_seed, remarks
    from ablate.analysis.failure_words import failed_trainings, legend
    from ablate.analysis.failures import failing, failures
    from ablate.analysis.report.networks_part import networks_page
    from ablate.analysis.scores import metrics_of
    from ablate.analysis.summary import front_summary

    check_target(output, ".html")
    opened = open_study(study)
    frames, y = tables_with(opened, y, of_class, unit, empty)
    frames = failing(in_runtime(frames, opened, runtime), fail_below)
    lost = failures(frames, y)
    seeds = by_seed(frames)
    known = [*metrics_of(frames.images), *frames.scoring.asked]
    records = _fronts(seeds, x, y, study)
    wanted = known if output else [y]  # a page has every pair of axes; the terminal has one
    intervals, uncertain = _sure(frames, records, wanted, resamples)
    firsts = {task: (found[0], uncertain[task][0]) for task, found in records.items()}
    said = [*remarks(frames), *_of_fronts(firsts.values(), notes(opened))]
    explained = legend(lost, frames, y)
    everything = [*failed_trainings(frames.trials), explained, *said]
    if output:
        found = _networks(opened, frames, seeds, uncertain, intervals, lost)
        write(output, networks_page(_title(opened), found, x, y, " ".join(everything)).encode())
    if as_json:
        print_json(_as_json(x, y, resamples, firsts, intervals[y], lost, frames.named, everything))
        return
    out, first = console(), {task: sure for task, (_, sure) in firsts.items()}
    shown: dict[str, Any] = {"intervals": intervals, "uncertain": first, "failures": lost, "lost": explained}
    front_summary(seeds, out, x=x, y=y, caution=" ".join(said), named=frames.named, **shown)
    _print_sureness(out, firsts)
    if output:
        out.print(f"Page: {output}", soft_wrap=True)


def _of_fronts(firsts: Iterable[tuple[Pareto, UncertainFront]], noted: Sequence[str]) -> list[str]:
    """What must be said of fronts over what files cost; then of the study, and of resamples."""
    from ablate.analysis.deployed import file_words

    pairs = list(firsts)
    of_files = dict.fromkeys(line for found, _ in pairs for line in file_words(found))
    return [*of_files, *noted, *dict.fromkeys(f"Resamples: {sure.note}." for _, sure in pairs if sure.note)]


def _print_sureness(out: Console, firsts: Mapping[str, tuple[Pareto, UncertainFront]]) -> None:
    for task, (front, sure) in firsts.items():
        for line in _sureness(front, sure):
            out.print(f"{task}: {line}" if len(firsts) > 1 else line)


def _sure(
    frames: Frames, records: Mapping[str, Sequence[Pareto]], wanted: Sequence[MetricName], resamples: int
) -> tuple[dict[MetricName, dict[str, Interval]], dict[str, tuple[UncertainFront, ...]]]:
    """The intervals of these scores, by cell; and how sure each data set's fronts of them are."""
    from ablate.analysis.scores import cell_scores
    from ablate.analysis.significance import mean_interval
    from ablate.analysis.uncertainty import uncertain_fronts

    scores = {metric: cell_scores(frames, metric) for metric in wanted}
    intervals = {metric: {cell: mean_interval(one) for cell, one in found.items()} for metric, found in scores.items()}
    shown = {task: found if len(wanted) > 1 else found[:1] for task, found in records.items()}
    return intervals, {task: uncertain_fronts(found, scores, resamples=resamples) for task, found in shown.items()}


def _title(study: Study) -> str:
    return f"Pareto front: {', '.join(run.space for run in study.manifest.runs)}"


def _networks(
    study: Study,
    frames: Frames,
    seeds: pd.DataFrame,
    uncertain: Mapping[str, Sequence[UncertainFront]],
    intervals: Intervals,
    lost: Mapping[str, Failures],
) -> tuple[Networks, ...]:
    """What the page shows, as the report does."""
    from ablate.analysis.figures.networks import Known, by_task
    from ablate.analysis.figures.networks_settings import settings_by_cell
    from ablate.analysis.pareto import tasks
    from ablate.analysis.scores import cell_scores

    scores, settings = cell_scores(frames, "dice"), settings_by_cell(study, frames.trials)
    known = {
        task: Known(intervals, found, lost, scores, settings, study.manifest.runs) for task, found in uncertain.items()
    }
    return by_task(frames, tasks(seeds), known)


def _as_json(
    x: Cost,
    y: MetricName,
    resamples: int,
    firsts: dict[str, tuple[Pareto, UncertainFront]],
    intervals: dict[str, Interval],
    lost: Mapping[str, Failures],
    named: Mapping[str, Named],
    said: list[str],
) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "level": next((sure.level for _, sure in firsts.values()), None),
        "resamples": resamples,
        "points": [row for task, pair in firsts.items() for row in _points(task, *pair, intervals, lost, named)],
        "front": [cell for front, _ in firsts.values() for cell in front.front],
        "trivial": [{"data": task} | point._asdict() for task, (front, _) in firsts.items() for point in front.trivial],
        "hypervolume": {task: _numbers(sure.hypervolume._asdict()) for task, (_, sure) in firsts.items()},
        "best": [cell for _, sure in firsts.values() for cell in sure.best],
        "notes": said,
    }


def _fronts(trials: pd.DataFrame, x: Cost, y: MetricName, study: Path) -> dict[str, tuple[Pareto, ...]]:
    """The fronts of each data set, that of the asked axes first. Raises `InputError` where no cost is known."""
    from ablate.analysis.pareto import COST_WORDS, fronts, tasks
    from ablate.cost.names import how_to_measure

    records = {task: fronts(rows, x, y) for task, rows in tasks(trials).items()}
    complete = bool((trials["state"] == "complete").any())
    if complete and not any(found[0].points for found in records.values()):
        no_file = [
            why for found in records.values() for why in (found[0].of_files.no_file if found[0].of_files else ())
        ]
        do = f"none has a file ({no_file[0]})" if no_file else f"run `{how_to_measure(x, study)}` first"
        raise InputError(f"no network's {COST_WORDS[x]} is known: {do}")
    return records


def _sureness(front: Pareto, sure: UncertainFront) -> list[str]:
    """In words: who is on the front how likely, and how much it dominates."""
    from ablate.analysis.format import listing
    from ablate.analysis.pareto import amount, most_dominated
    from ablate.metrics.counts import METRICS

    if not sure.probability:
        return []
    likely = sorted(front.points, key=lambda point: -sure.probability.get(point.cell, 0.0))
    named = [f"{point.label} {sure.probability[point.cell]:.2f}" for point in likely if point.cell in sure.probability]
    named = [text for text in named if not text.endswith(" 0.00")]
    area, (cost, bar) = sure.hypervolume, sure.hypervolume.reference
    largest = most_dominated((cost, bar), front.y)
    known = largest > 0 and math.isfinite(area.low)
    between = f" [{area.low / largest:.3f}, {area.high / largest:.3f}]" if known else ""
    return [
        f"Probability of being on the front: {listing(named)}.",
        *([f"Measured on {front.device}."] if front.device else []),
        *(
            [
                f"Hypervolume: {area.estimate / largest:.3f}{between} of "
                f"the largest possible, up to {amount(front.x, cost)} and {METRICS[front.y].label} {bar:.3f}."
            ]
            if largest > 0
            else []
        ),
    ]


def _points(
    task: str,
    front: Pareto,
    sure: UncertainFront,
    intervals: dict[str, Interval],
    lost: Mapping[str, Failures],
    named: Mapping[str, Named],
) -> list[dict[str, Any]]:
    """The cells of a front: the interval of each mean score, corrected and plain, how it stands to the front, what it
    lost, and, where a search proposed it, its short name and its levels."""
    from ablate.analysis.names import document
    from ablate.analysis.uncertainty import with_chosen

    corrected = with_chosen({front.y: intervals}, [sure])[front.y]

    def row(cell: str) -> dict[str, Any]:
        found, plain = corrected.get(cell), intervals.get(cell)
        standing = "sure" if cell in sure.sure else "possible" if cell in sure.possible else "excluded"
        return {
            "low": found.low if found else math.nan,
            "high": found.high if found else math.nan,
            "plain_low": plain.low if plain else math.nan,
            "plain_high": plain.high if plain else math.nan,
            "over": found.over if found else "",
            "why_none": found.why if found else "",
            "probability": sure.probability.get(cell, math.nan),
            "standing": standing if cell in sure.probability else None,
            "failures": lost[cell].counted.document() if cell in lost else None,
            **document(named.get(cell)),
        }

    return [{"data": task} | point._asdict() | _numbers(row(point.cell)) for point in front.points]


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON has them: a number that is not known is null."""
    return {name: None if isinstance(one, float) and math.isnan(one) else one for name, one in values.items()}
