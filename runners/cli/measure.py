"""`ablate measure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.cost.names import PYTORCH, RUNTIMES, runtimes_named
from ablate.errors import InputError
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import console, note, plain_table, print_json
from ablate.runners.cli.shared import code_option, json_option, parse_input, use_own_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from rich.console import Console

    from ablate.analysis.measured import Disagreement
    from ablate.cost.measured import Device, Measured
    from ablate.runners.cli.measured_jobs import Figures, Job
    from ablate.study.in_runtimes import InRuntime
    from ablate.study.study import Study

_MOST_PAIRS = 12
_RAN = ("onnxruntime", "executorch", "torch")
"""Distributions whose version is told."""


@click.command()
@study_argument
@click.option(
    "--runtime",
    "runtimes",
    default=PYTORCH,
    show_default=True,
    metavar="NAME,…",
    help=f"Where: {', '.join((PYTORCH, *RUNTIMES))}; several with commas.",
)
@click.option("--input", "size", metavar="CxHxW", help="Channels x height x width [default: each trial's own].")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="Of PyTorch [default: cuda where there is a GPU, but cpu beside files].",
)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads.")
@click.option("--repeats", type=click.IntRange(5, 10_000), default=20, show_default=True, help="Rounds at least.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=60,
    show_default=True,
    help="After so long no network is timed further.",
)
@click.option("--again", is_flag=True, help="Also what was measured before, just so.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data's files [default: where they were].")
@code_option
@json_option
def measure(
    study: Path,
    runtimes: str,
    size: str | None,
    device: Device | None,
    threads: int,
    repeats: int,
    seconds: float,
    again: bool,
    data_dir: Path | None,
    code: Path | None,
    as_json: bool,
) -> None:
    """Measure latency and peak memory of a study's networks.

    Inference of one image, one network at a time, each in a process of its
    own. It is timed in rounds of a tenth of a second or one forward pass
    until the median is known to 2 %; what stays wider after --seconds, or was
    disturbed, is said. CPU ms is what a pass takes of the processor, over all
    threads. Have nothing else run on the machine meanwhile.

    In other runtimes than torch the files that networks leave as are measured
    (`ablate export-model`): latency, memory and size of one trial's, a round
    of each runtime in turn, and the scores of all trials' on the test images.
    They are costs on fronts and in claims: latency_ms@onnx, say.

    The figures go into the study, with the device they are of. What was
    measured before on it, so and by these versions, is left as it is; but
    what is in doubt is measured again where the machine is idle now.

    \b
    Examples:
      ablate measure studies/pyramid_levels-mni152-quick
      ablate measure STUDY --input 1x512x512 --threads 4
      ablate measure STUDY --runtime torch,onnx,onnx-int8
    """
    from ablate.runners.cli.measured_jobs import Asked, Figures, jobs_of, measured

    named = tuple(runtimes_named(runtimes))
    opened = open_study(study)
    if opened.is_being_written():
        raise InputError(f"a run is writing '{study}': measure when it has ended, with the machine idle")
    use_own_code(code)
    asked = Asked(named, _device(named, device), threads, repeats, seconds, again, data_dir)
    jobs = jobs_of(opened, None if size is None else parse_input(size), asked)
    figures, idle = Figures(opened), _is_idle()
    with opened.writing():
        new = measured(opened, jobs, asked._replace(idle=idle), figures, quiet=as_json)
    pairs = _disagreements(opened, jobs) if PYTORCH in named else []
    if as_json:
        print_json({"study": str(study)} | _document(jobs, new, named, figures, pairs))
    else:
        _print(opened, jobs, new, named, figures, pairs)


def _device(named: Sequence[str], asked: Device | None) -> Device:
    """Where PyTorch runs. Raises `InputError` where a runtime, or the device, is not there."""
    from ablate.cost.measured import choose_device

    files = [name for name in named if name != PYTORCH]
    if files:
        from ablate.deployment.measured import check_runtimes

        check_runtimes(files)
    return choose_device(asked or ("cpu" if files else None))


def _disagreements(study: Study, jobs: Sequence[Job]) -> list[Disagreement]:
    from ablate.analysis.frames import load
    from ablate.analysis.measured import disagreements

    cells = {cell for job in jobs for cell in job.cells}
    return [pair for pair in disagreements(load(study).trials) if {pair.a.cell, pair.b.cell} <= cells]


def _print(
    study: Study,
    jobs: Sequence[Job],
    new: Sequence[Job],
    named: Sequence[str],
    figures: Figures,
    pairs: Sequence[Disagreement],
) -> None:
    from ablate.analysis.frames import load
    from ablate.analysis.measured import doubted

    out, trials = console(), load(study).trials
    if named == (PYTORCH,):
        _print_table(out, jobs, figures.networks, figures.failed)
        known = {job.cell: figures.networks[job.cell] for job in jobs if job.cell in figures.networks}
        for doubt in doubted(known, trials):
            out.print(doubt, style="yellow")
    else:
        _print_files(out, jobs, named, figures, trials)
    if left := len(jobs) - len(new):
        networks = "1 network was" if left == 1 else f"{left} networks were"
        out.print(f"{networks} measured before: left as they are (--again measures them too).")
    if PYTORCH in named:
        timed = sum(cell in figures.networks for job in jobs for cell in job.cells)
        _print_disagreements(out, [pair.text for pair in pairs], timed)


def _document(
    jobs: Sequence[Job], new: Sequence[Job], named: Sequence[str], figures: Figures, pairs: Sequence[Disagreement]
) -> dict[str, Any]:
    cells = [cell for job in jobs for cell in job.cells]
    found = {cell: figures.networks[cell] for cell in cells if PYTORCH in named and cell in figures.networks}
    return {
        "measurements": {cell: one.model_dump(mode="json") for cell, one in found.items()},
        "files": {
            cell: {name: one.model_dump(mode="json") for name, one in figures.files[cell].items() if name in named}
            for cell in cells
            if cell in figures.files
        },
        "left_as_they_are": [cell for job in jobs if job not in new for cell in job.cells],
        "doubts": {cell: one.doubt for cell, one in found.items() if one.doubt is not None}
        | {
            f"{cell}@{name}": files.measured.doubt
            for cell in cells
            for name, files in figures.files.get(cell, {}).items()
            if name in named and files.measured and files.measured.doubt is not None
        },
        "failed": figures.failed,
        "disagreements": [pair._asdict() | {"a": pair.a._asdict(), "b": pair.b._asdict()} for pair in pairs],
    }


def _is_idle() -> bool:
    """Whether nothing else uses the machine; that it is busy is said."""
    from ablate.cost.measured import busy

    load_average = busy()
    if load_average is not None:
        note(
            f"The machine is busy (load average {load_average:.1f}): latencies will be too high and unsteady. "
            "Measure again when it is idle."
        )
    return load_average is None


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


def _print_table(out: Console, jobs: Sequence[Job], results: dict[str, Measured], failed: dict[str, str]) -> None:
    columns = ("latency ms", "95 % CI", "CPU ms", "memory MB")
    table = plain_table("network", "input", *columns, right=columns)
    devices: dict[tuple[str, str], None] = {}
    for job in jobs:
        if job.cell in results:
            found = results[job.cell]
            times = found.latency_ms, found.latency_low_ms, found.latency_high_ms, found.latency_cpu_ms
            latency, low, high, cpu = map(_digits, times)
            table.add_row(job.label, found.input, latency, f"{low}–{high}", cpu, f"{found.peak_memory_mb:.0f}")
            devices[found.device, found.precision] = None
    if results:
        out.print(table)
        for device, precision in devices:
            out.print(f"{device}, {precision}, batch 1, median of rounds", style="dim", soft_wrap=True)
    for job in jobs:
        if job.cell in failed:
            out.print(f"{job.label} could not be measured: {failed[job.cell]}", style="red")


def _print_files(
    out: Console, jobs: Sequence[Job], named: Sequence[str], figures: Figures, trials: pd.DataFrame
) -> None:
    """Of each network a row in each runtime; beneath, what ran them, what has no file, and what is in doubt."""
    columns = ("latency ms", "CPU ms", "memory MB", "file MB", "Dice", "differs")
    table = plain_table("network", *columns, right=columns)
    dice = trials[trials["state"] == "complete"].groupby("cell")["dice"].mean()
    on, ran = dict[str, None](), dict[str, None]()
    doubts, timed = list[float](), 0
    for job in jobs:
        table.add_row(job.label, style="bold")
        for name in named:
            files = figures.files.get(job.cell, {}).get(name)
            of_file = None if files is None else files.measured
            taken = figures.networks.get(job.cell) if name == PYTORCH else of_file
            if taken is None:
                continue
            row = [_digits(taken.latency_ms), _digits(taken.latency_cpu_ms), f"{taken.peak_memory_mb:.0f}"]
            table.add_row(f"  {name}", *row, *(_of_file(files) if files else ("", f"{dice[job.cell]:.4f}", "")))
            on |= dict.fromkeys((taken.device, taken.input))
            ran |= {f"{library} {taken.versions[library]}": None for library in _RAN if library in taken.versions}
            doubts += [taken.others or 0.0] if taken.doubt is not None else []
            timed += 1
    out.print(table)
    out.print(
        f"{', '.join((*on, *ran))}: batch 1, median of rounds, of one trial's file. Dice is of the test images, mean "
        "over a network's trials; differs: pixels of another class than the network's.",
        style="dim",
    )
    for job in jobs:
        for name, found in figures.files.get(job.cell, {}).items():
            if name in named and found.why_not is not None:
                out.print(f"{job.label} has no file for {RUNTIMES[name]}: {found.why_not}", style="red")
        if job.cell in figures.failed:
            out.print(f"{job.label} could not be measured: {figures.failed[job.cell]}", style="red")
    if doubts:
        out.print(
            f"{len(doubts)} of {timed} latencies are in doubt: others kept up to {max(doubts):.1f} cores busy. CPU ms "
            "hang less on that. Measure again on an idle machine; --json says why of each.",
            style="yellow",
        )


def _of_file(files: InRuntime) -> tuple[str, str, str]:
    """Its size, Dice, and the share of pixels of another class."""
    found = files.trials.values()
    share = sum(one.others for one in found) / max(1, sum(one.pixels for one in found))
    mean = sum(one.dice for one in found) / max(1, len(found))
    return f"{files.file_mb or 0.0:.1f}", f"{mean:.4f}", f"{share:.2%}"


def _digits(milliseconds: float | None) -> str:
    """With three digits at least, or one decimal: an interval of 2 % can be seen in them."""
    if milliseconds is None:
        return "?"
    return f"{milliseconds:.{1 if milliseconds >= 10 else 2 if milliseconds >= 1 else 3}f}"
