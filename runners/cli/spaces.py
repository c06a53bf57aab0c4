"""`ablate spaces`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ablate.runners.cli.output import console, indented, print_json
from ablate.runners.cli.shared import json_option

if TYPE_CHECKING:
    from ablate.search_spaces.space import Space


@click.command()
@json_option
def spaces(as_json: bool) -> None:
    """List the search spaces that come with ablate.

    \b
    Example:
      ablate spaces

    A space of your own is a YAML file: copy one of these (the path is shown
    with --json) and give its path to --space.
    """
    from ablate.search_spaces.designs import expand
    from ablate.search_spaces.space import load_space, packaged

    found = {name: (load_space(name), path) for name, path in packaged().items()}
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "question": space.question,
                    "design": space.design,
                    "factors": {f: list(levels) for f, levels in space.factors.items() if isinstance(levels, dict)},
                    "configurations": len(expand(space)),
                    "path": str(path),
                }
                for name, (space, path) in found.items()
            ]
        )
        return
    from rich.text import Text

    out = console()
    for name, (space, _) in found.items():
        out.print(Text.assemble((name, "bold"), "  ", (_what(space), "dim")))
        out.print(indented(space.question))


def _what(space: Space) -> str:
    from ablate.search_spaces.designs import expand
    from ablate.search_spaces.space import Range

    count = len(expand(space))
    if any(isinstance(factor, Range) for factor in space.factors.values()):
        return f"{count} random draws, or to be searched with --sampler"
    return f"{space.design}, {count} configurations"
