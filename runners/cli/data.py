"""`ablate data check`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ablate.errors import InputError, brief
from ablate.runners.cli import completion
from ablate.runners.cli.output import check_target, console, plain_table, print_json, say, waiting, write
from ablate.runners.cli.shared import json_option, parse_settings, space_options

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.search_spaces.looks import Taken


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Look at a data set before anything is spent on it.

    \b
    Example:
      ablate data check images/
    """
    if context.invoked_subcommand is None:
        say(context.get_help())


@data.command()
@click.argument("target", metavar="DIR|NAME|SPACE", shell_complete=completion.folders_or_spaces)
@partial(space_options, named=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A page of the images with their masks (.html).")
@click.option("--strict", is_flag=True, help="Exit with 1 where there is any doubt.")
@json_option
def check(target: str, output: Path | None, strict: bool, as_json: bool, **options: Any) -> int:
    """Say what a data set holds, and what may not be as it was meant.

    DIR holds images with their masks, in images/ and masks/, or as its
    dataset.yaml, dataset.json (nnU-Net, Decathlon) or --data says. NAME is a
    data set's own (mni152). Of a SPACE every data set that it names is looked
    at; its options are those of `ablate plan`. Nothing is trained. Exits with
    2 where nothing can be learnt on what was found.

    \b
    Examples:
      ablate data check images/ -o page.html
      ablate data check isbi/ --data isbi2012 --set data.size=[256,256]
      ablate data check scans/ --set "data.case='(patient[0-9]+)_'"
      ablate data check my_space.yaml --strict
      ablate data check mni152 --json
    """
    check_target(output, ".html", ".htm")
    with waiting(f"looking at {target}"):
        seen = _seen(target, **options)
    if output is not None:
        from ablate.analysis.report.data_page import data_page

        with waiting("drawing the page"):
            write(output, data_page(f"The data of {Path(target).name or target}", seen.taken, seen.errors).encode())
    if as_json:
        print_json(_document(seen))
    else:
        _print(console(), seen, output)
    if seen.errors:
        raise InputError(seen.errors[0])
    return int(strict and any(one.doubts for one in seen.taken))


class _Seen(NamedTuple):
    """The data sets that were looked at, and why others, or a split of them, could not be, or are of no use."""

    taken: list[Taken]
    errors: list[str]


def _seen(target: str, *, settings: tuple[str, ...], **options: Any) -> _Seen:
    from ablate.kinds import KINDS, own_parts
    from ablate.runners.request import basis
    from ablate.search_spaces.designs import expand
    from ablate.search_spaces.plan import Planner
    from ablate.search_spaces.space import packaged

    space: Any = target
    if Path(target).is_dir():
        if options["data_dir"] is not None:
            raise InputError(f"--data-dir {options['data_dir']}: '{target}' is the folder with the files; leave it out")
        options["data_dir"] = Path(target)
        space = _one(_layout(Path(target)))
    elif target in own_parts(KINDS["data set"]) and options["data"] in (None, target):
        space = _one(target)
    elif target not in packaged() and Path(target).suffix not in (".yaml", ".yml"):
        raise InputError(
            f"'{brief(target)}' is neither a folder nor a space: give the folder that holds images/ and masks/"
        )
    found = basis(space, settings=parse_settings(settings), **options)
    planner = Planner(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    errors: dict[str, None] = {}
    for variant in expand(found.space):
        try:
            planner.look(variant)
        except InputError as error:
            errors[str(error)] = None
    return _Seen(planner.looks.taken(), list(errors))


def _one(name: str) -> dict[str, Any]:
    """A space that varies nothing, of which the data alone are looked at."""
    return {
        "name": "data",
        "question": "What is in it?",
        "design": "grid",
        "base": {"data": {"name": name}},
        "factors": {"network": {"any": {"model.name": "unet"}}},
    }


def _layout(root: Path) -> str:
    """The data set that a folder is read as where neither `--data` nor its dataset.yaml says it."""
    from ablate.data.dataset_json import FILE, read_json

    if not (root / FILE).is_file():
        return "folder"
    return "msd" if isinstance(read_json(root).get("training"), list) else "nnunet"


def _document(seen: _Seen) -> dict[str, Any]:
    sets = [
        {
            "name": one.look.called,
            "fingerprint": one.dataset.config.fingerprint,
            **one.look.plain(),
            "doubts": [doubt.text for doubt in one.doubts],
            "stops": one.look.stops,
        }
        for one in seen.taken
    ]
    return {"data_sets": sets, "errors": seen.errors}


def _print(out: Console, seen: _Seen, output: Path | None) -> None:
    from rich.text import Text

    from ablate.analysis.report.data_facts import LookFacts

    for one in seen.taken:
        out.print(Text(one.look.called, style="bold"))
        out.print(Text(LookFacts.model_validate(one.look.plain()).in_words()))
        _print_parts(out, one)
        for doubt in one.doubts:
            word, style = ("Stop", "bold red") if doubt.doubt.stops else ("Doubt", "yellow")
            out.print(Text(f"{word}: {doubt.text}", style=style))
        if not one.doubts:
            out.print("Nothing is in doubt.")
    if output is not None:
        out.print(Text(f"Wrote {output}"), soft_wrap=True)


def _print_parts(out: Console, taken: Taken) -> None:
    from ablate.analysis.report.data_facts import share
    from ablate.data.seen import IN_WORDS

    height, width = taken.look.size
    at_size = f"at {height}x{width}"
    numbers = ("cases", "images", "empty", "in", "drawn", at_size)
    table = plain_table("part", "cases", "images", "empty", "class", "in", "drawn", at_size, right=numbers)
    for part in taken.look.parts:
        first = (IN_WORDS[part.part], f"{part.cases:,}", f"{part.images:,}", f"{part.empty:,}")
        if not part.classes:
            table.add_row(*first)
        for place, found in enumerate(part.classes):
            lead = first if not place else ("", "", "", "")
            table.add_row(*lead, found.name, f"{found.images:,}", share(found.drawn), share(found.kept))
    out.print(table)
