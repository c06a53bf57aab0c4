"""`ablate cost`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ablate.errors import InputError
from ablate.runners.cli import completion
from ablate.runners.cli.output import console, note, plain_table, print_json
from ablate.runners.cli.shared import json_option, parse_input, parse_settings

if TYPE_CHECKING:
    from ablate.part import Part

_MOST_REFUSED = 4
"""Configurations that cannot be, of which it is said why."""


@click.command()
@click.option("--model", help="A network by name.", shell_complete=completion.networks)
@click.option("--space", help="A space: every network in it.", shell_complete=completion.spaces)
@click.option(
    "--input", "size", metavar="CxHxW", default="3x512x512", show_default=True, help="Channels x height x width."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Set a field: model.width=16.",
    shell_complete=completion.fields,
)
@json_option
def cost(model: str | None, space: str | None, size: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Parameters and MACs (multiply-accumulates; the paper's "FLOPs").

    One output channel. Nothing is trained and no memory is taken.

    \b
    Examples:
      ablate cost --space baselines --input 3x512x512
      ablate cost --model pyconvunet --set model.block=bottleneck
    """
    from ablate.analysis.paper.published import TABLE_3, TABLE_3_INPUT
    from ablate.cost.counted import cost as price
    from ablate.models.network import network as named

    def is_default(given: Part) -> bool:
        return ":" not in given.name and given == named(given.name)

    if (model is None) == (space is None):
        raise InputError("give either --model or --space")
    channels, height, width = parse_input(size)
    networks = _networks(model, space, settings)
    rows = [
        (label, levels, network, price(network, channels, 1, (height, width))) for label, levels, network in networks
    ]
    if as_json:
        print_json(
            [
                {"model": n.name, "params": c.params, "macs": c.macs, "input": size, "label": label, "levels": levels}
                for label, levels, n, c in rows
            ]
        )
        return
    as_published = (channels, height, width) == TABLE_3_INPUT and any(is_default(n) for _, _, n, _ in rows)
    out = console()
    paper = ("paper M", "paper GMac") if as_published else ()
    table = plain_table("network", "params M", "GMac", *paper, right=("params M", "GMac", *paper))
    marked = False
    for label, _, network, (params, macs) in rows:
        cells = [label, f"{params / 1e6:.2f}", f"{macs / 1e9:.2f}"]
        if as_published and network.name in TABLE_3 and is_default(network):
            published = TABLE_3[network.name]
            mark = "" if published.reproducible else " *"
            marked = marked or not published.reproducible
            cells += [f"{published.params_m:.2f}{mark}", f"{published.gmacs:.2f}{mark}"]
        table.add_row(*cells)
    out.print(table)
    out.print(f"for an input of {size} and one output channel", style="dim")
    if marked:
        out.print(
            "* the paper's column is not reproducible: its published code cannot run, and no reading of it gives both "
            "figures (see docs/networks.md)"
        )


def _networks(
    model: str | None, space: str | None, settings: tuple[str, ...]
) -> list[tuple[str, dict[str, str], Part]]:
    """Each distinct network with its label and levels."""
    from ablate.analysis.format import cut, level_label
    from ablate.models.network import network
    from ablate.search_spaces.networks import networks_of
    from ablate.search_spaces.space import load_space

    fields = parse_settings(settings)
    for path in fields:
        if not path.startswith("model."):
            raise InputError(f"--set {path}: only fields of the model matter to its cost")
    if model is not None:
        found = network(model, **{path.removeprefix("model."): value for path, value in fields.items()})
        return [(model, {}, found)]
    assert space is not None
    refused: list[str] = []
    made = networks_of(load_space(space), fields, lambda levels, why: refused.append(f"{level_label(levels)}: {why}"))
    shown, others = cut(refused, _MOST_REFUSED)
    for line in [*(f"left out {one}" for one in shown), *([f"left out {others} others"] if others else [])]:
        note(line)
    return [(level_label(levels), levels, one) for levels, one in made]
