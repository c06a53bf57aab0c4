"""`ablate export-model`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError, brief
from ablate.runners.cli import completion
from ablate.runners.cli.naming import open_study, study_argument, trial_named
from ablate.runners.cli.output import check_place, console, print_json, waiting, write
from ablate.runners.cli.shared import code_option, json_option, say_imports, use_own_code

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.deployment.export import Made


@click.command()
@study_argument
@click.argument("key", shell_complete=completion.trials)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file: .onnx, .pt, .pt2 or .pte."
)
@click.option("--format", "form", help="onnx, torchscript, pt2, executorch [default: as the file's name ends].")
@click.option("--int8", is_flag=True, help="In whole numbers of 8 bits, calibrated on training images; onnx alone.")
@click.option("--size", metavar="HxW", help="Height x width of the images [default: the trial's].")
@click.option("--with-script", is_flag=True, help="Also a Python file that segments pictures without ablate.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The data's files [default: where they were].")
@code_option
@json_option
def export_model(
    study: Path,
    key: str,
    output: Path,
    form: str | None,
    int8: bool,
    size: str | None,
    with_script: bool,
    data_dir: Path | None,
    code: Path | None,
    as_json: bool,
) -> None:
    """Write a trained network as a file that runs without ablate.

    KEY is a trial's key, its first four or more characters, the short name
    (n7) or the label (levels=4) of a cell with one trial, or "best": the trial
    of the latest space with the highest Dice on its validation images. The
    batch is free (but for .pte, which takes one image), the size of images is
    not.

    The file segments the trial's test images before it counts as made: each
    of its outputs must be within 1e-4 of the network's. An int8 file differs,
    and the Dice that it loses is said.

    \b
    Examples:
      ablate export-model STUDY best -o net.onnx --with-script
      ablate export-model STUDY 1f0c -o net-int8.onnx --int8
      ablate export-model STUDY 1f0c -o net.pt2 --size 512x512
      ablate export-model STUDY best -o net.pte
    """
    from ablate.deployment.formats import format_of
    from ablate.study.where_data_are import data_of

    chosen = format_of(output, form)
    script = output.with_suffix(".py") if with_script else None
    for path in (output, script):
        if path is not None:
            check_place(path)
    sides = None if size is None else _sides(size)
    opened = open_study(study)
    trial = trial_named(opened, key)
    use_own_code(code)
    say_imports([opened.config(trial)])
    from ablate.deployment.export import export_network

    with waiting(f"exporting trial {trial} as {chosen.name}"):
        made = export_network(opened, trial, chosen, data_of(opened, data_dir), size=sides, int8=int8)
    write(output, made.content)
    if script is not None:
        from ablate.deployment.script import script_of, settings_of

        write(script, script_of(settings_of(made.trial, chosen, output.name)).encode())
    if as_json:
        print_json(_document(made, trial, output, script, int8=int8))
        return
    _say(console(), made, trial, output, script)


def _sides(text: str) -> tuple[int, int]:
    """`512x384` as height and width. Raises `InputError` for anything else."""
    found = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text, flags=re.ASCII)
    if not found or not all(map(int, found.groups())):
        raise InputError(f"--size {brief(text)}: expected height x width, such as 512x512")
    return int(found[1]), int(found[2])


def _document(made: Made, trial: str, output: Path, script: Path | None, *, int8: bool) -> dict[str, Any]:
    held = made.whole or made.held
    return {
        "trial": trial,
        "file": str(output),
        "bytes": len(made.content),
        "script": None if script is None else str(script),
        "input": [made.trial.data.channels, *made.trial.data.size],
        "float32": held._asdict(),
        "int8": made.held._asdict() if int8 else None,
    }


def _say(out: Console, made: Made, trial: str, output: Path, script: Path | None) -> None:
    from ablate.analysis.format import si

    data, held = made.trial.data, made.whole or made.held
    batch = "one at a time" if output.suffix.lower() == ".pte" else "any batch"
    taken = f"{data.channels}x{data.size[0]}x{data.size[1]}"
    out.print(f"{output}: {si(len(made.content))}B, trial {trial} ({made.trial.model.name}), images {taken}, {batch}")
    out.print(
        f"Held against the network on {held.images} test images: outputs within {held.difference:.0e} of the "
        f"greatest, {held.others:,} of {held.pixels:,} pixels of another class, Dice {held.dice:.4f}"
    )
    if made.whole is not None:
        small = made.held
        out.print(
            f"In int8: Dice {small.dice:.4f}, {small.dice - held.dice:+.4f}; {small.others / small.pixels:.2%} of the "
            "pixels are of another class"
        )
    if script is not None:
        out.print(f"{script}: segments pictures with it; needs NumPy, Pillow and the runtime")
