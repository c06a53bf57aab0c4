"""`ablate replay`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ablate.errors import InputError
from ablate.files import kind
from ablate.modules import code_from
from ablate.part import label_of
from ablate.runners.cli.named_parts import named_part
from ablate.runners.cli.output import check_target, console, plain_table, print_json, progress, write
from ablate.runners.cli.shared import json_option, open_study

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from ablate.runners.simulate import Path as Reached
    from ablate.runners.simulate import Strategy

SHARES = (0.95, 0.99)
_MOST_REPEATS, _MOST_TRIALS, _MOST_WORKERS = 10_000, 10_000, 10_000
_MOST_EPOCHS = 20_000_000
"""Simulated in all: some hours."""
_COLUMNS = {
    "trials": ("key", "cell", "state", "params", "macs", "dice"),
    "epochs": ("key", "epoch", "val_dice", "seconds"),
}


class Result(NamedTuple):
    """A strategy's repeats. `seconds` of the full grid are simulated with as many workers."""

    strategy: Strategy
    paths: tuple[Reached, ...]
    grid_epochs: int
    grid_seconds: float


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--scheduler",
    "schedulers",
    metavar="PART",
    multiple=True,
    callback=named_part,
    help="none, pareto, pareto-promote, asha, median, hyperband, or your own; give it again to compare [default: "
    "pareto-promote].",
)
@click.option(
    "--sampler",
    "samplers",
    metavar="PART",
    multiple=True,
    callback=named_part,
    help="shuffled (all trials, in random order), plan (the most expensive first), or a sampler: random, tpe, nsgaii, "
    "gp, known_cost, …; give it again to compare [default: shuffled].",
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
    trials: int | None,
    repeats: int,
    workers: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """What a search would have found in a finished study, and at what cost.

    Searches and schedulers are simulated on the study's recorded curves, with
    the code that real runs use; your own are looked for in the current folder.
    STUDY may also be a folder with trials.parquet (key, params, macs) and
    epochs.parquet (key, epoch, val_dice, seconds).

    \b
    Examples:
      ablate replay STUDY --scheduler none --scheduler pareto-promote
      ablate replay STUDY --sampler tpe --scheduler asha --trials 24
      ablate replay STUDY --workers 8 -o replay.html
    """
    from ablate.runners.simulate import Strategy, recorded, trivial_bar

    check_target(output, ".html")
    table, epochs = _tables(study)
    curves = recorded(table, epochs)
    if len(curves) > _MOST_TRIALS:
        raise InputError(f"'{study}' has {len(curves):,} complete trials: expected at most {_MOST_TRIALS:,} to replay")
    strategies = [
        Strategy(scheduler, sampler, workers, trials)
        for sampler in samplers or ("shuffled",)
        for scheduler in schedulers or ("pareto-promote",)
    ]
    simulated = sum(len(curve.scores) for curve in curves.values()) * repeats * len(strategies)
    if simulated > _MOST_EPOCHS:
        raise InputError(f"{simulated:,} epochs to simulate: expected at most {_MOST_EPOCHS:,}; give fewer --repeats")
    bar = trivial_bar(table)
    with code_from(Path.cwd()):
        results = [_run(strategy, table, curves, repeats, bar) for strategy in strategies]
    if output:
        write(output, _page(study, results).encode())
    if as_json:
        print_json(
            {
                "curves": len(curves),
                "grid_epochs": results[0].grid_epochs,
                "grid_seconds": results[0].grid_seconds,
                "bar": bar,
                "workers": workers,
                "repeats": repeats,
                "strategies": [_document(result) for result in results],
            }
        )
        return
    _print(results, bar, len(curves), repeats, workers)
    if output:
        console().print(f"Page: {output}", soft_wrap=True)


def _tables(study: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables `trials` and `epochs` of a study, or of a folder of Parquet files."""
    if kind(study) == "link" or not kind(study / "trials.parquet"):
        from ablate.analysis.frames import load

        frames = load(open_study(study))
        return frames.trials, frames.epochs
    return _foreign(study, "trials"), _foreign(study, "epochs")


def _foreign(folder: Path, name: str) -> pd.DataFrame:
    """A table of another system: the columns that a replay knows, and the levels of factors."""
    from ablate.foreign import read_parquet

    found = read_parquet(folder / f"{name}.parquet")
    return found[[column for column in map(str, found) if column in _COLUMNS[name] or column.startswith("factor.")]]


def _run(strategy: Strategy, table: pd.DataFrame, curves: Any, repeats: int, bar: float) -> Result:
    from ablate.runners.simulate import reached, reference
    from ablate.runners.simulate import replay as simulated

    against = reference(curves, bar)
    grid = simulated(strategy._replace(scheduler="none", sampler="plan"), table, curves, 0)
    with progress() as shown:
        paths = tuple(
            reached(simulated(strategy, table, curves, repeat), curves, against)
            for repeat in shown.track(range(repeats), description=_name(strategy))
        )
    return Result(strategy, paths, len(grid), grid[-1].time)


def _name(strategy: Strategy) -> str:
    scheduler = label_of(strategy.scheduler)
    return scheduler if strategy.sampler == "shuffled" else f"{scheduler}, {label_of(strategy.sampler)}"


def _page(study: Path, results: list[Result]) -> str:
    from ablate.analysis.figures.replay import band, replay_caption, replay_figure
    from ablate.analysis.report.report import figure_page

    bands = [band(_name(result.strategy), [path.hypervolume for path in result.paths]) for result in results]
    figure = replay_figure(bands, results[0].grid_epochs, SHARES)
    title = f"Replay of {study.name}"
    return figure_page({title: figure}, title, captions={title: replay_caption(bands, results[0].strategy.workers)})


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


def _document(result: Result) -> dict[str, Any]:
    def numbers(spread: Spread) -> dict[str, float | None]:
        return {name: value if math.isfinite(value) else None for name, value in spread._asdict().items()}

    return {
        "scheduler": result.strategy.scheduler,
        "sampler": result.strategy.sampler,
        "trials": result.strategy.trials,
        "epochs_to": {
            f"{share:g}": numbers(_spread(path.epochs_to(share) for path in result.paths)) for share in SHARES
        },
        "seconds_to": {
            f"{share:g}": numbers(_spread(path.seconds_to(share) for path in result.paths)) for share in SHARES
        },
        "reached": {
            f"{share:g}": sum(math.isfinite(path.epochs_to(share)) for path in result.paths) for share in SHARES
        },
        "epochs": numbers(_spread(len(path.seconds) for path in result.paths)),
        "hypervolume": numbers(_spread(float(path.hypervolume[-1]) for path in result.paths)),
    }


def _print(results: list[Result], bar: float, curves: int, repeats: int, workers: int) -> None:
    out = console()
    first = results[0]
    out.print(
        f"{curves} recorded trials, {first.grid_epochs:,} epochs in all. {repeats} simulated runs of each strategy, "
        f"{workers} at a time."
    )
    out.print("Epochs are shares of the full grid's: median (tenth to ninetieth percentile).")
    columns = [f"to {share:.0%}" for share in SHARES]
    table = plain_table("strategy", *columns, "in all", "time to 99%", "reached", right=(*columns, "in all", "reached"))
    for result in results:
        ended = _spread(len(path.seconds) for path in result.paths)
        times = _spread(path.seconds_to(0.99) for path in result.paths)
        table.add_row(
            _name(result.strategy),
            *(_share(_spread(path.epochs_to(share) for path in result.paths), result.grid_epochs) for share in SHARES),
            _percent(ended.median, result.grid_epochs),
            _percent(times.median, result.grid_seconds),
            f"{_spread(float(path.hypervolume[-1]) for path in result.paths).median:.3f}",
        )
    out.print(table)
    out.print(
        f"Hypervolume: validation Dice above {bar:.3f}, by the logarithms of parameters and MACs; 1 is the full grid's."
    )


def _share(spread: Spread, whole: float) -> str:
    if math.isinf(spread.low):
        return "never"
    return f"{_percent(spread.median, whole)} ({_percent(spread.low, whole)}–{_percent(spread.high, whole)})"


def _percent(part: float, whole: float) -> str:
    if not math.isfinite(part):
        return "never"
    return f"{part / whole:.0%}" if whole else "–"  # where epochs take no time, no share of it is known
