"""`ablate check`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError, brief
from ablate.runners.cli import completion
from ablate.runners.cli.output import console, print_json, waiting
from ablate.runners.cli.shared import json_option, parse_input

if TYPE_CHECKING:
    from ablate.contracts.contract import Checked
    from ablate.kinds import Kind
    from ablate.part import Part


@click.command()
@click.argument("name", shell_complete=completion.parts)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SETTING=VALUE",
    help="A setting: width=8 (or model.width=8).",
    shell_complete=completion.settings,
)
@click.option(
    "--kind",
    "asked",
    help="What it is, where its class does not tell: network, loss, ….",
    shell_complete=completion.kinds,
)
@click.option(
    "--code", type=click.Path(path_type=Path), help="The folder of your own modules [default: the current one]."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Of a data set: the folder that holds its files.")
@click.option(
    "--input", "image", metavar="CxHxW", help="Of a network: channels x height x width [default: the least it takes]."
)
@click.option("--classes", type=click.IntRange(1, 255), help="Of a network: its output channels [default: 1].")
@json_option
def check(
    name: str,
    settings: tuple[str, ...],
    asked: str | None,
    code: Path | None,
    data_dir: Path | None,
    image: str | None,
    classes: int | None,
    as_json: bool,
) -> int:
    """Try whether a part does what its kind must, and say what to mend.

    NAME is a part's short name, or module:attribute: a module beside you, or
    of a library. Seconds, on the smallest images that decide. Exits with 0 if
    every check holds, with 1 if one fails, with 2 for what cannot be tried.

    \b
    Examples:
      ablate check my_nets:LightNet
      ablate check my_nets:LightNet --set width=8 --classes 3
      ablate check torch.optim:NAdam
      ablate check my_losses:overlap --kind loss
    """
    from ablate.contracts.contract import run_contract

    with waiting(f"trying {name}"):
        kind, part = _named(name, _fields(settings), asked, code, data_dir)
        tried = _of_network(kind, image, classes)
        found = run_contract(kind, part, **tried)
    fails = any(one.problem for one in found)
    if as_json:
        checks = [one._asdict() | {"holds": not one.problem} for one in found]
        print_json({"kind": kind.name, "name": name, "made_by": part.made_by, "holds": not fails, "checks": checks})
    else:
        _print(kind, part, found)
    return int(fails)


def _named(
    name: str, settings: dict[str, Any], asked: str | None, code: Path | None, data_dir: Path | None
) -> tuple[Kind, Part]:
    from ablate.kind_of import kinds_of
    from ablate.kinds import parse, place_of
    from ablate.modules import use_code
    from ablate.runners.request import code_folders
    from ablate.user_code import UserCode

    use_code(UserCode(code_folders({}, code)))
    kinds = kinds_of(name, asked)
    if len(kinds) > 1:
        raise InputError(f"{name} is a {' and a '.join(kind.name for kind in kinds)}: say which by --kind")
    kind = kinds[0]
    prefix = f"{place_of(kind)}."
    for path in settings:
        if path.startswith(prefix) and path.removeprefix(prefix) in settings:
            raise InputError(f"--set {path} and --set {path.removeprefix(prefix)} are one setting: leave one out")
    own = {path.removeprefix(prefix): value for path, value in settings.items()}
    if data_dir is not None and kind.name != "data set":
        raise InputError(f"--data-dir {data_dir}: {name} is a {kind.name}; leave it out")
    return kind, parse(kind, {"name": name, **own}, local={"root": str(data_dir)} if data_dir else None)


def _fields(settings: tuple[str, ...]) -> dict[str, Any]:
    from ablate.yaml_files import yaml_value

    found: dict[str, Any] = {}
    for setting in settings:
        path, separator, value = setting.partition("=")
        if not separator or not path:
            raise InputError(f"--set {brief(setting)}: expected a setting, then =value (width=8)")
        if path in found:
            raise InputError(f"--set {brief(path)} is given twice: leave one out")
        found[path] = yaml_value(value)
    return found


def _of_network(kind: Kind, image: str | None, classes: int | None) -> dict[str, Any]:
    if kind.name != "network":
        for option, given in (("--input", image), ("--classes", classes)):
            if given is not None:
                raise InputError(f"{option} {given}: belongs to a network; leave it out")
        return {}
    tried: dict[str, Any] = {"classes": classes or 1}
    if image is not None:
        channels, height, width = parse_input(image)
        tried |= {"in_channels": channels, "size": (height, width)}
    return tried


def _print(kind: Kind, part: Part, found: list[Checked]) -> None:
    from rich.text import Text

    out = console()
    made_by = f", {part.made_by}" if part.made_by else ""
    out.print(Text.assemble((f"{kind.name} {part.name}", "bold"), made_by))
    for one in found:
        word, style = ("fails", "bold red") if one.problem else ("doubt", "yellow") if one.doubt else ("holds", "green")
        out.print(Text.assemble((word, style), "  ", one.name))
        if one.problem or one.doubt:
            out.print(textwrap.indent(textwrap.fill(one.problem or one.doubt, out.width - 7), " " * 7))
    fails = sum(bool(one.problem) for one in found)
    out.print(f"{len(found) - fails} of {len(found)} checks hold" + (f", {fails} fail" if fails else ""))
