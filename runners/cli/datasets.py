"""`ablate datasets`."""

from __future__ import annotations

import click

from ablate.runners.cli.output import console, indented, print_json
from ablate.runners.cli.shared import json_option


@click.command()
@json_option
def datasets(as_json: bool) -> None:
    """List the data sets, and the files that each expects in --data-dir.

    \b
    Example:
      ablate datasets
    """
    from ablate.data.load import described

    if as_json:
        print_json([info._asdict() for info in described()])
        return
    from rich.text import Text

    out = console()
    for info in described():
        where = "needs --data-dir" if info.needs_dir else "built in"
        out.print(Text.assemble((info.name, "bold"), "  ", (where, "dim")))
        out.print(indented(info.what))
        if info.needs_dir:
            out.print(indented(f"files: {info.layout}"))
        if info.citation:
            out.print(indented(f"source: {info.citation}"), style="dim")
