"""`ablate measure`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ablate.errors import InputError, TrialError
from ablate.runners.cli.output import console, note, plain_table, print_json
from ablate.runners.cli.shared import (
    code_option,
    json_option,
    open_study,
    parse_input,
    say_imports,
    study_argument,
    use_own_code,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from ablate.analysis.measured import Disagreement
    from ablate.cost.measured import Device, Measured
    from ablate.part import Part
    from ablate.study.study import Study

_MOST_PAIRS = 12


class _Job(NamedTuple):
    """A network with its input, and the cells that have it."""

    label: str
    network: Part
    channels: int
    classes: int
    size: tuple[int, int]
    cells: list[str]


@click.command()
@study_argument
@click.option("--input", "size", metavar="CxHxW", help="Channels x height x width [default: each trial's own].")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where [default: cuda where there is a GPU].")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
@click.option("--repeats", type=click.IntRange(5, 10_000), default=20, show_default=True, help="Rounds at least.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=60,
    show_default=True,
    help="After so long no network is timed further.",
)
@code_option
@json_option
def measure(
    study: Path,
    size: str | None,
    device: Device | None,
    threads: int,
    repeats: int,
    seconds: float,
    code: Path | None,
    as_json: bool,
) -> None:
    """Measure latency and peak memory of a study's networks.

    Inference of one image, one network at a time, each in a process of its
    own. It is timed in rounds of a tenth of a second or one forward pass
    until the median is known to 2 %; what stays wider after --seconds, or was
    disturbed, is said. CPU ms is what a pass takes of the processor, over all
    threads. Have nothing else run on the machine meanwhile. The figures go
    into the study, with the device they are of; measuring again replaces them.

    \b
    Examples:
      ablate measure studies/pyramid_levels-mni152-quick
      ablate measure STUDY --input 1x512x512 --threads 4
    """
    from ablate.analysis.frames import load
    from ablate.analysis.measured import disagreements, doubted
    from ablate.cost.measured import choose_device

    opened = open_study(study)
    if opened.is_being_written():
        raise InputError(f"a run is writing '{study}': measure when it has ended, with the machine idle")
    use_own_code(code)
    jobs = _jobs(opened, None if size is None else parse_input(size), threads)
    opened.measurements()  # damaged, they could not be added to
    place = choose_device(device)
    _say_if_busy()
    results: dict[str, Measured] = {}
    failed: dict[str, str] = {}
    with opened.writing():
        for job, outcome in _measured(jobs, partial(_timed, place, threads, repeats, seconds), quiet=as_json):
            if isinstance(outcome, str):
                failed |= dict.fromkeys(job.cells, outcome)
            else:
                found = dict.fromkeys(job.cells, outcome)
                opened.keep_measurements(found)
                results |= found
    trials = load(opened).trials
    pairs = [pair for pair in disagreements(trials) if pair.a.cell in results and pair.b.cell in results]
    if as_json:
        print_json({"study": str(study)} | _document(results, failed, pairs))
        return
    out = console()
    _print_table(out, jobs, results, failed)
    for doubt in doubted({job.cells[0]: results[job.cells[0]] for job in jobs if job.cells[0] in results}, trials):
        out.print(doubt, style="yellow")
    _print_disagreements(out, [pair.text for pair in pairs], len(results))


def _document(
    results: dict[str, Measured], failed: dict[str, str], pairs: list[Disagreement]
) -> dict[str, dict[str, Any] | list[dict[str, Any]]]:
    return {
        "measurements": {cell: found.model_dump(mode="json") for cell, found in results.items()},
        "doubts": {cell: found.doubt for cell, found in results.items() if found.doubt is not None},
        "failed": failed,
        "disagreements": [pair._asdict() | {"a": pair.a._asdict(), "b": pair.b._asdict()} for pair in pairs],
    }


def _say_if_busy() -> None:
    from ablate.cost.measured import busy

    load_average = busy()
    if load_average is not None:
        note(
            f"The machine is busy (load average {load_average:.1f}): latencies will be too high and unsteady. "
            "Measure again when it is idle."
        )


def _print_disagreements(out: Console, pairs: list[str], measured: int) -> None:
    from rich.padding import Padding

    if pairs:
        out.print("\nFewer MACs, yet slower:", style="bold")
        for pair in pairs[:_MOST_PAIRS]:
            out.print(Padding(pair, (0, 0, 0, 2)))
        if len(pairs) > _MOST_PAIRS:
            out.print(f"  and {len(pairs) - _MOST_PAIRS} other pairs", style="dim")
    elif measured > 1:
        out.print("\nMACs and latency order these networks alike, as far as the spread can tell.")


def _jobs(study: Study, given: tuple[int, int, int] | None, threads: int) -> list[_Job]:
    """Each distinct network of the study's complete trials once, by rising MACs.

    Raises `InputError` if one of them cannot be measured so, before any is.
    """
    from ablate.analysis.frames import load
    from ablate.cost.measured import check

    trials = load(study).trials
    complete = trials[trials["state"] == "complete"].drop_duplicates("cell").sort_values(["macs", "label"])
    if complete.empty:
        raise InputError(f"'{study.path}' has no complete trial: there is no network to measure yet")
    say_imports([study.config(key) for key in complete["key"]])
    jobs: dict[str, _Job] = {}
    for key, cell, label in complete[["key", "cell", "label"]].itertuples(index=False):
        config = study.config(key)
        channels, *sides = given or (config.data.channels, *config.data.size)
        job = _Job(label, config.model, channels, config.data.classes, (sides[0], sides[1]), [])
        check(job.network, job.channels, job.classes, job.size, threads)
        jobs.setdefault(f"{job.network.text} {job[2:5]}", job).cells.append(cell)
    return list(jobs.values())


def _timed(device: Device, threads: int, repeats: int, seconds: float, job: _Job) -> Measured:
    from ablate.cost.measured import measure

    return measure(job.network, job.channels, job.classes, job.size, device, repeats, threads, seconds)


def _measured(
    jobs: list[_Job], measure: Callable[[_Job], Measured], *, quiet: bool
) -> Iterator[tuple[_Job, Measured | str]]:
    """Each job with what was measured, or why it could not be, saying on standard error which one is under way."""
    for number, job in enumerate(jobs, start=1):
        if not quiet:
            sides = f"{job.channels}x{job.size[0]}x{job.size[1]}"
            note(f"measuring {number} of {len(jobs)}: {job.label} at {sides}")
        try:
            yield job, measure(job)
        except TrialError as error:
            yield job, str(error)


def _print_table(out: Console, jobs: list[_Job], results: dict[str, Measured], failed: dict[str, str]) -> None:
    columns = ("latency ms", "95 % CI", "CPU ms", "memory MB")
    table = plain_table("network", "input", *columns, right=columns)
    devices: dict[tuple[str, str], None] = {}
    for job in jobs:
        if job.cells[0] in results:
            found = results[job.cells[0]]
            times = found.latency_ms, found.latency_low_ms, found.latency_high_ms, found.latency_cpu_ms
            latency, low, high, cpu = map(_digits, times)
            table.add_row(job.label, found.input, latency, f"{low}–{high}", cpu, f"{found.peak_memory_mb:.0f}")
            devices[found.device, found.precision] = None
    if results:
        out.print(table)
        for device, precision in devices:
            out.print(f"{device}, {precision}, batch 1, median of rounds", style="dim", soft_wrap=True)
    for job in jobs:
        if job.cells[0] in failed:
            out.print(f"{job.label} could not be measured: {failed[job.cells[0]]}", style="red")


def _digits(milliseconds: float | None) -> str:
    """With three digits at least, or one decimal: an interval of 2 % can be seen in them."""
    if milliseconds is None:
        return "?"
    return f"{milliseconds:.{1 if milliseconds >= 10 else 2 if milliseconds >= 1 else 3}f}"
