"""`ablate replay`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ablate.analysis.format import several
from ablate.errors import InputError
from ablate.files import kind
from ablate.modules import code_from
from ablate.part import label_of
from ablate.runners.cli import completion
from ablate.runners.cli.named_parts import named_part
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import check_target, console, plain_table, print_json, progress, write
from ablate.runners.cli.shared import json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from numpy.typing import NDArray

    from ablate.runners.replay.curves import Grid
    from ablate.runners.replay.reached import Path as Reached
    from ablate.runners.replay.strategy import Strategy

SHARES = (0.95, 0.99)
_MOST_RESTART = 1e6
_MOST_REPEATS, _MOST_TRIALS, _MOST_WORKERS = 10_000, 10_000, 10_000
_MOST_EPOCHS = 20_000_000
"""Simulated in all: some hours."""
_COLUMNS = {
    "trials": ("key", "cell", "state", "params", "macs", "dice"),
    "epochs": ("key", "epoch", "val_dice", "seconds"),
}


class Whole(NamedTuple):
    """What the full grid takes of each of `MEASURES`: wall time is that of all trials with as many workers."""

    spent: float
    epochs: int
    seconds: float


class Result(NamedTuple):
    """A strategy's repeats."""

    strategy: Strategy
    paths: tuple[Reached, ...]


@click.command()
@study_argument
@click.option(
    "--scheduler",
    "schedulers",
    metavar="PART",
    multiple=True,
    callback=named_part,
    shell_complete=completion.parts_of_kind("scheduler"),
    help="none, pareto, pareto-promote, asha, median, hyperband, or your own; give it again to compare [default: "
    "pareto-promote].",
)
@click.option(
    "--sampler",
    "samplers",
    metavar="PART",
    multiple=True,
    callback=named_part,
    shell_complete=completion.parts_of_kind("sampler"),
    help="shuffled (all trials, in random order), plan (as `ablate run` starts them), or a sampler: random, tpe, "
    "nsgaii, gp, known_cost, …; give it again to compare [default: shuffled].",
)
@click.option("--search", "searches", is_flag=True, help="What `ablate run --search` does.")
@click.option(
    "--cost",
    "costs",
    metavar="NAME",
    multiple=True,
    help="What a network costs: a column of table trials (params, macs, latency_ms, …); give it again, up to four "
    "times [default: params and macs].",
)
@click.option(
    "--bar",
    type=click.FloatRange(0, 1),
    help="The score above which hypervolume counts [default: that of the best trivial predictor; without any, 0].",
)
@click.option(
    "--restart",
    type=click.FloatRange(0, _MOST_RESTART),
    default=0.0,
    show_default=True,
    help="Seconds that a worker takes to begin with a trial, or to go on with one that had paused.",
)
@click.option(
    "--trials", type=click.IntRange(1, _MOST_TRIALS), help="Configurations that a sampler proposes [default: all]."
)
@click.option(
    "--repeats", type=click.IntRange(1, _MOST_REPEATS), default=50, show_default=True, help="Simulated runs of each."
)
@click.option(
    "--workers", type=click.IntRange(1, _MOST_WORKERS), default=1, show_default=True, help="Trials at a time."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a page with the figure here.")
@json_option
def replay(
    study: Path,
    schedulers: tuple[str | dict[str, Any], ...],
    samplers: tuple[str | dict[str, Any], ...],
    searches: bool,
    costs: tuple[str, ...],
    bar: float | None,
    restart: float,
    trials: int | None,
    repeats: int,
    workers: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """What a search would have found in a finished study, and at what cost.

    Searches and schedulers are simulated on the study's recorded curves, with
    the code that real runs use; your own are looked for in the current folder.
    The seeds and folds of a configuration are one network, which scores their
    mean. STUDY may also be a folder with trials.parquet (key, params, macs;
    cell, state) and epochs.parquet (key, epoch, val_dice; seconds).

    \b
    Examples:
      ablate replay STUDY --search --scheduler pareto-promote
      ablate replay STUDY --sampler tpe --scheduler asha --trials 24
      ablate replay STUDY --cost latency_ms --bar 0.6 --restart 3
      ablate replay STUDY --workers 8 -o replay.html
    """
    from ablate.runners.replay.curves import COSTS, Grid

    check_target(output, ".html")
    grid = Grid.of(*_tables(study), costs or COSTS, bar, restart)
    if len(grid.curves) > _MOST_TRIALS:
        raise InputError(f"'{study}' has {len(grid.curves):,} trials: expected at most {_MOST_TRIALS:,} to replay")
    strategies = _strategies(schedulers, samplers, workers, trials, searches=searches)
    simulated = grid.epochs * repeats * len(strategies)
    if simulated > _MOST_EPOCHS:
        raise InputError(f"{simulated:,} epochs to simulate: expected at most {_MOST_EPOCHS:,}; give fewer --repeats")
    whole = _whole(grid, workers)
    with code_from(Path.cwd()):
        results = [_run(strategy, grid, repeats) for strategy in strategies]
    if output:
        write(output, _page(study, grid, whole, results).encode())
    if as_json:
        print_json(_document(grid, whole, workers, repeats, results))
        return
    _print(grid, whole, workers, repeats, results)
    if output:
        console().print(f"Page: {output}", soft_wrap=True)


def _strategies(
    schedulers: tuple[str | dict[str, Any], ...],
    samplers: tuple[str | dict[str, Any], ...],
    workers: int,
    trials: int | None,
    *,
    searches: bool,
) -> list[Strategy]:
    """Those that were asked for; where that is a search alone, it alone."""
    from ablate.runners.replay.strategy import Strategy

    found = []
    if searches:
        from ablate.runners.search.freeze_thaw.in_replay import search

        found = [Strategy(workers=workers, search=search)]
        if not (schedulers or samplers):
            return found
    return found + [
        Strategy(scheduler, sampler, workers, trials)
        for sampler in samplers or ("shuffled",)
        for scheduler in schedulers or ("pareto-promote",)
    ]


def _tables(study: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables `trials` and `epochs` of a study, or of a folder of Parquet files."""
    if kind(study) == "link" or not kind(study / "trials.parquet"):
        from ablate.analysis.frames import load

        frames = load(open_study(study))
        return frames.trials, frames.epochs
    return _foreign(study, "trials"), _foreign(study, "epochs")


def _foreign(folder: Path, name: str) -> pd.DataFrame:
    """A table of another system: the columns that a replay knows, the levels of factors, and all that are numbers."""
    from pandas.api.types import is_numeric_dtype

    from ablate.foreign import read_parquet

    found = read_parquet(folder / f"{name}.parquet")
    kept = [
        str(column) in _COLUMNS[name] or str(column).startswith("factor.") or is_numeric_dtype(dtype)
        for column, dtype in zip(found.columns, found.dtypes, strict=True)
    ]
    return found.loc[:, kept]


def _whole(grid: Grid, workers: int) -> Whole:
    from ablate.runners.replay.strategy import Strategy
    from ablate.runners.replay.strategy import replay as simulated

    steps = simulated(Strategy("none", "plan", workers), grid, 0)
    return Whole(grid.seconds, grid.epochs, steps[-1].time)


def _run(strategy: Strategy, grid: Grid, repeats: int) -> Result:
    from ablate.runners.replay.reached import reached, reference
    from ablate.runners.replay.strategy import replay as simulated

    against = reference(grid.curves, grid.bar)
    with progress() as shown:
        paths = tuple(
            reached(simulated(strategy, grid, repeat), grid.curves, against, grid.restart)
            for repeat in shown.track(range(repeats), description=_name(strategy))
        )
    return Result(strategy, paths)


def _name(strategy: Strategy) -> str:
    return ", ".join(_names(strategy))


def _names(strategy: Strategy) -> list[str]:
    """The scheduler, and the sampler unless all trials run in random order; or the search that is both."""
    if strategy.search is not None:
        return [strategy.called]
    return [label_of(strategy.scheduler), *([] if strategy.sampler == "shuffled" else [label_of(strategy.sampler)])]


def _page(study: Path, grid: Grid, whole: Whole, results: list[Result]) -> str:
    from ablate.analysis.figures.replay import band, replay_caption, replay_figure
    from ablate.analysis.report.report import figure_page

    bands = [
        band(_name(result.strategy), [(path.spent, path.hypervolume) for path in result.paths]) for result in results
    ]
    figure = replay_figure(bands, whole.spent, SHARES)
    title = f"Replay of {study.name}"
    caption = " ".join([replay_caption(bands, results[0].strategy.workers, grid.costs), *_states(grid)])
    return figure_page({title: figure}, title, captions={title: caption})


# Numbers -------------------------------------------------------------------------------------------------------------


class Spread(NamedTuple):
    """The median over repeats, and the limits of all but the outer tenths; infinite where it was not reached."""

    median: float
    low: float
    high: float


def _spread(values: Iterable[float]) -> Spread:
    import numpy as np

    low, median, high = np.quantile(sorted(values), (0.1, 0.5, 0.9), method="nearest")  # an infinity stays one
    return Spread(float(median), float(low), float(high))


class Measure(NamedTuple):
    """Something that is spent. `to`: how much until a share of the hypervolume; `ended`: how much in all."""

    name: str
    label: str
    to: Callable[[Reached, float], float]
    ended: Callable[[Reached], float]


MEASURES = (
    Measure("machine_seconds", "seconds", lambda path, share: path.spent_to(share), lambda path: _last(path.spent)),
    Measure("epochs", "epochs", lambda path, share: path.epochs_to(share), lambda path: len(path.seconds)),
    Measure("seconds", "wall", lambda path, share: path.seconds_to(share), lambda path: _last(path.seconds)),
)


def _last(values: NDArray[Any]) -> float:
    return float(values[-1]) if len(values) else 0.0  # where nothing was trained


def _document(grid: Grid, whole: Whole, workers: int, repeats: int, results: list[Result]) -> dict[str, Any]:
    return {
        "curves": len(grid.curves),
        "cells": len(grid.cells),
        **{state: grid.states[state] for state in ("stopped", "failed")},
        "costs": list(grid.costs),
        "bar": grid.bar,
        "restart": grid.restart,
        "workers": workers,
        "repeats": repeats,
        **{f"grid_{measure.name}": value for measure, value in zip(MEASURES, whole, strict=True)},
        "strategies": [_documented(result) for result in results],
    }


def _documented(result: Result) -> dict[str, Any]:
    def numbers(values: Iterable[float]) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in _spread(values)._asdict().items()}

    strategy, paths = result
    to = {
        f"{measure.name}_to": {f"{share:g}": numbers(measure.to(path, share) for path in paths) for share in SHARES}
        for measure in MEASURES
    }
    return {
        "scheduler": strategy.scheduler,
        "sampler": strategy.sampler,
        "search": strategy.called if strategy.search else None,
        "trials": strategy.trials,
        **to,
        "reached": {f"{share:g}": sum(math.isfinite(path.epochs_to(share)) for path in paths) for share in SHARES},
        **{measure.name: numbers(map(measure.ended, paths)) for measure in MEASURES},
        "starts": numbers(_last(path.starts) for path in paths),
        "hypervolume": numbers(_last(path.hypervolume) for path in paths),
    }


def _states(grid: Grid) -> list[str]:
    """What is to be said of cells of several trials, and of trials that are not complete."""
    stopped, failed = grid.states["stopped"], grid.states["failed"]
    said = []
    if len(grid.cells) < len(grid.curves):
        said.append(f"They are the seeds and folds of {len(grid.cells):,} networks, which score their means.")
    if stopped:
        said.append(f"{several(stopped, 'trial')} had been stopped: where its curve ends, no more of it can be had.")
    if failed:
        said.append(f"{several(failed, 'trial')} had failed: it trains what was recorded and fails, worth the bar.")
    return said


def _print(grid: Grid, whole: Whole, workers: int, repeats: int, results: list[Result]) -> None:
    out = console()
    out.print(
        f"{len(grid.curves):,} recorded trials: {whole.epochs:,} epochs, {whole.spent:,.0f} s of one machine. "
        f"{repeats:,} simulated runs of each strategy, {workers:,} at a time.",
        *_states(grid),
    )
    out.print("Shares of what the full grid takes: median (tenth to ninetieth percentile).")
    columns = [f"to {share:.0%}" for share in SHARES]
    table = plain_table("strategy", "of", *columns, "in all", "reached", right=(*columns, "in all", "reached"))
    shown = MEASURES if workers > 1 else MEASURES[:2]  # one worker's wall time is its machine time
    for strategy, paths in results:
        names = [*_names(strategy), "", ""]
        ends = [f"{_spread(_last(path.hypervolume) for path in paths).median:.3f}", "", ""]
        for name, measure, all_of_it, end in zip(names, shown, whole, ends, strict=False):
            to = [_share(_spread(measure.to(path, share) for path in paths), all_of_it) for share in SHARES]
            in_all = _spread(map(measure.ended, paths)).median
            table.add_row(name, measure.label, *to, _percent(in_all, all_of_it), end)
    out.print(table)
    out.print(
        f"Hypervolume: validation Dice above {grid.bar:.3f}, by the logarithms of {' and '.join(grid.costs)}; 1 is the "
        "full grid's. Seconds are of machines: what epochs took when they were recorded"
        + (f", and {grid.restart:g} s a start." if grid.restart else "; a start is taken to cost none (--restart).")
    )


def _share(spread: Spread, whole: float) -> str:
    if math.isinf(spread.low):
        return "never"
    low, high = (_percent(value, whole).removesuffix("%") for value in (spread.low, spread.high))
    return f"{_percent(spread.median, whole)} ({low}–{high})"


def _percent(part: float, whole: float) -> str:
    if not math.isfinite(part):
        return "never"
    if not whole:
        return "–"  # where epochs take no time, no share of it is known
    share = 100 * part / whole
    return f"{share:.0f}%" if share >= 9.95 else f"{share:.1f}%"
