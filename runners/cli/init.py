"""`ablate init`."""

from __future__ import annotations

from pathlib import Path

import click

from ablate.errors import InputError
from ablate.runners.cli.output import check_place, say, write

_TEMPLATES = Path(__file__).parent / "templates"
_AS_TEXT = ".txt"
"""Ends the name of a template that is Python, so that it is not taken for a module of this package."""


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Make a folder to start from: a network, a space, a claim and a README.

    What it holds runs at once, on images that ablate draws by itself.
    Nothing is overwritten.

    \b
    Example:
      ablate init mine
    """
    texts = {file.name.removesuffix(_AS_TEXT): file.read_bytes() for file in sorted(_TEMPLATES.iterdir())}
    for name in texts:
        check_place(folder / name)
        if (folder / name).exists():
            raise InputError(f"'{folder / name}' is there already and is not overwritten: give another folder")
    for name, content in texts.items():
        write(folder / name, content)
    say(f"{folder}: {', '.join(texts)}")
    say("Next: " + ("" if folder == Path() else f"cd {folder}; ") + "ablate check my_nets:LightNet")
