"""`ablate figure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError, brief
from ablate.runners.cli import completion
from ablate.runners.cli.costs import cost_option, in_runtime, runtime_option
from ablate.runners.cli.naming import open_study, study_argument
from ablate.runners.cli.output import check_place, check_target, console, note, print_json, waiting, write
from ablate.runners.cli.shared import class_option, json_option, metric_option, notes, tables_with, unit_option

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.pareto import Cost
    from ablate.analysis.printed.drawing import Asked
    from ablate.analysis.scores import Unit
    from ablate.metrics.counts import MetricName
    from ablate.study.study import Study

ALL = "all"

_LEAST, _MOST = 40.0, 400.0


@click.command()
@study_argument
@click.argument("name", shell_complete=completion.figures)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The file: .pdf, .svg or .png; of all, a folder.",
)
@click.option("--width", default="column", show_default=True, help="column (85 mm), page (174 mm), or millimetres.")
@click.option("--data", help="Of several data sets, which.")
@cost_option
@metric_option("--y")
@class_option
@runtime_option
@unit_option
@json_option
def figure(
    study: Path,
    name: str,
    output: Path,
    width: str,
    data: str | None,
    x: Cost,
    y: MetricName,
    of_class: str,
    runtime: str | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """Write one of a report's figures for print.

    \b
    NAME is one of
      front     score against cost, with the front
      effects   what each level of each factor is worth
      levels    mean score of every combination of two factors' levels
      networks  networks across factors, costs and score
      curves    training loss and validation scores by epoch
      spent     hypervolume of the front by epochs spent
      images    test images with what was found and missed
      search    hypervolume of a search by seconds
      spending  seconds of each network that a search tried
      paper-fig-2, paper-fig-3, paper-fig-4
                training losses, scores by epoch, and predictions, as the
                PyConvU-Net paper's Figs. 2, 3 and 4 have them
      all       each of these that the study has, with its tables and a
                LaTeX document that has them all

    At a column's width, in vectors with their fonts, legible in grey. The
    caption is printed, with what letters stand for where names are long.

    \b
    Examples:
      ablate figure STUDY front -o front.pdf
      ablate figure STUDY front --x macs --y miou -o front.svg
      ablate figure STUDY effects --width page -o effects.pdf
      ablate figure STUDY all -o paper/          then there: pdflatex paper.tex
    """
    from ablate.analysis.deployed import scored_where
    from ablate.analysis.printed.drawing import Asked

    millimetres = _checked(name, output, width)
    opened = open_study(study)
    frames, y = tables_with(opened, y, of_class, unit, None)
    frames = in_runtime(frames, opened, runtime)
    asked = Asked(data, x, y, millimetres)
    document = _all(opened, frames, asked, output) if name == ALL else _one(opened, frames, name, asked, output)
    if as_json:
        print_json(document)
        return
    _print(document, output)
    for line in [*scored_where(frames), *notes(opened)]:
        note(line)


def _checked(name: str, output: Path, width: str) -> float:
    """The width in millimetres. Raises `InputError` for what cannot be drawn so, or written there."""
    from ablate.analysis.printed.figures import FIGURES
    from ablate.analysis.printed.sheet import SUFFIXES
    from ablate.errors import unknown

    if name not in (*FIGURES, ALL):
        raise unknown("figure", name, [*FIGURES, ALL])
    if name == ALL:
        _check_folder(output, width)
    else:
        check_target(output, *SUFFIXES)
    return _millimetres(width)


def _one(study: Study, frames: Frames, name: str, asked: Asked, output: Path) -> dict[str, Any]:
    from ablate.analysis.printed.figures import printed

    made = printed(study, frames, name, output.suffix.lower(), asked)
    write(output, made.content)
    return {
        "figure": name,
        "file": str(output),
        "width_mm": asked.width,
        "caption": made.caption,
        "key": made.key,
    }


def _all(study: Study, frames: Frames, asked: Asked, folder: Path) -> dict[str, Any]:
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.printed.page import DOCUMENT, page
    from ablate.analysis.report.about import about

    with waiting("drawing"):
        made = page(study, frames, about(study, frames), [*remarks(frames), *notes(study)], asked)
    for file in made.files:
        check_place(folder / file)
    for file, content in made.files.items():
        write(folder / file, content)
    return {"files": [str(folder / file) for file in made.files], "page": DOCUMENT, "left_out": made.left_out}


def _print(document: dict[str, Any], output: Path) -> None:
    from ablate.analysis.format import listing

    out = console()
    if "files" in document:
        out.print(f"{output}: {len(document['files'])} files; to see them: pdflatex {document['page']}, there, twice")
        by_reason: dict[str, list[str]] = {}
        for name, why in document["left_out"].items():
            by_reason.setdefault(why, []).append(name)
        for why, names in by_reason.items():
            out.print(f"Without {listing(names)}: {why}.", markup=False)
        return
    out.print(f"{output}: {document['width_mm']:g} mm wide", soft_wrap=True)
    out.print(document["caption"], markup=False)
    for letter, stands_for in document["key"].items():
        out.print(f"  {letter}  {stands_for}", soft_wrap=True, markup=False)


def _check_folder(folder: Path, width: str) -> None:
    """Raises `InputError` for what cannot be the folder of `all`."""
    if width != "column":
        raise InputError("`all` is laid out for a page: leave out --width")
    if folder.suffix.lower() in (".pdf", ".svg", ".png", ".tex"):
        raise InputError(f"-o {folder}: `all` writes a folder of files: give its name, without an ending")
    if folder.is_file():
        raise InputError(f"-o {folder}: it is a file, and `all` writes a folder of files")
    check_place(folder / "paper.tex")


def _millimetres(text: str) -> float:
    """Raises `InputError` for what is no width."""
    from ablate.analysis.printed.sheet import COLUMN, PAGE

    named = {"column": COLUMN, "page": PAGE}
    if text in named:
        return named[text]
    try:
        found = float(text.removesuffix("mm"))
    except ValueError:
        found = 0.0
    if not _LEAST <= found <= _MOST:
        raise InputError(f"--width {brief(text)}: expected column, page, or {_LEAST:g} to {_MOST:g} millimetres")
    return found
