"""`ablate parts`."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError
from ablate.runners.cli import completion
from ablate.runners.cli.output import console, print_json
from ablate.runners.cli.shared import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ablate.documented import Setting
    from ablate.kinds import Kind

_COMMON = {
    "protocol": ("ablate.trial:Protocol", "how a network is trained and judged, whatever its recipe"),
    "data": ("ablate.data.settings:DataSource", "what every data set has"),
}
"""What a configuration has that is of no single part."""


class _Described:
    """A part, or what all trials have, with its settings."""

    def __init__(self, what: str, place: str, said: str, settings: Iterable[Setting], below: str) -> None:
        self.what, self.place, self.said, self.settings, self.below = what, place, said, list(settings), below

    def document(self) -> dict[str, Any]:
        from ablate.documented import REQUIRED

        return {
            "name": self.what,
            "place": self.place,
            "what": self.said,
            "settings": [
                one._asdict()
                | {"name": self.below + one.name, "required": one.default is REQUIRED}
                | {"default": None if one.default is REQUIRED else one.default, "choices": list(one.choices)}
                for one in self.settings
            ],
        }


@click.command()
@click.argument("name", required=False, shell_complete=completion.parts_or_kinds)
@click.option(
    "--kind",
    "asked",
    help="The kind of NAME, where several have it or none tells; without NAME, this kind.",
    shell_complete=completion.kinds,
)
@click.option(
    "--code", type=click.Path(path_type=Path), help="The folder of your own modules [default: the current one]."
)
@json_option
def parts(name: str | None, asked: str | None, code: Path | None, as_json: bool) -> None:
    """List what can be named in a space, and what each part can be set to.

    NAME is a kind (network, loss, ...), a part by its short name or as
    module:attribute, or protocol, or data: what every trial has.

    \b
    Examples:
      ablate parts                     every kind with its parts
      ablate parts losses              one kind
      ablate parts pyconvunet          a part's settings
      ablate parts monai.networks.nets:SegResNet
      ablate parts protocol            epochs, batch size, split, ...
    """
    from ablate.kind_of import kind_named
    from ablate.kinds import KINDS
    from ablate.modules import use_code
    from ablate.runners.request import code_folders
    from ablate.user_code import UserCode

    use_code(UserCode(code_folders({}, code)))
    kind = kind_named(asked) if name is None and asked is not None else None
    if name is not None and asked is None:
        kind = _kind(name)
    if name is None or kind is not None:
        listed = {one: _named(one) for one in ([kind] if kind else KINDS.values())}
        if as_json:
            print_json({one.name: {"what": one.what, "parts": found} for one, found in listed.items()})
        else:
            _print_kinds(listed, everything=name is None)
        return
    described = [_common(name)] if name in _COMMON and asked is None else _described(name, asked)
    if as_json:
        print_json([one.document() for one in described])
        return
    for one in described:
        _print_settings(one)


def _kind(name: str) -> Kind | None:
    from ablate.kind_of import kind_named

    try:
        return None if name in _COMMON else kind_named(name)
    except InputError:
        return None


def _named(kind: Kind) -> dict[str, str]:
    """The short names of a kind, each with a line."""
    from ablate.documented import summary
    from ablate.kinds import own_parts, packaged

    return {name: summary(kind, name) for name in (*own_parts(kind), *packaged(kind))}


def _described(name: str, asked: str | None) -> list[_Described]:
    from ablate.documented import description, settings_of
    from ablate.kind_of import kinds_of
    from ablate.kinds import find, own_parts, place_of

    found = []
    for kind in kinds_of(name, asked):
        target = find(kind, name).target
        place = own_parts(kind).get(name, "") if ":" not in name else ""
        settings = settings_of(target)
        found.append(_Described(f"{kind.name} {name}", place, description(target), settings, f"{place_of(kind)}."))
    return found


def _common(name: str) -> _Described:
    from ablate.documented import description, fields_of
    from ablate.modules import load

    place, what = _COMMON[name]
    config = load(place)
    said = what if name == "data" else description(config)
    return _Described(name, place, said, fields_of(config), f"{name}.")


def _print_kinds(listed: dict[Kind, dict[str, str]], *, everything: bool) -> None:
    from rich.text import Text

    out = console()
    width = max((len(name) for names in listed.values() for name in names), default=0)
    for kind, names in listed.items():
        out.print(Text.assemble((kind.name, "bold"), "  ", (kind.what, "dim")))
        for name, line in names.items():
            out.print(_hanging(name.ljust(width), line, out.width))
    out.print()
    more = ["ablate parts NAME says what a part can be set to."]
    if everything:
        more += [f"{name}: {what} (ablate parts {name})" for name, (_, what) in _COMMON.items()]
    out.print("\n".join(more), style="dim")
    out.print("Beside these, module:attribute names a class or function of yours, or of a library.", style="dim")


def _hanging(start: str, text: str, width: int) -> str:
    """A line that goes on below its own text."""
    indent = " " * (len(start) + 4)
    return textwrap.fill(f"  {start}  {text}".rstrip(), width, subsequent_indent=indent, break_on_hyphens=False)


def _print_settings(described: _Described) -> None:
    from rich.text import Text

    out = console()
    out.print(Text.assemble((described.what, "bold"), f"  {described.place}" if described.place else ""))
    for paragraph in _paragraphs(described.said):
        out.print(textwrap.fill(paragraph, out.width, initial_indent="  ", subsequent_indent="  "))
    out.print()
    if not described.settings:
        out.print("It has no settings.")
    for one in described.settings:
        start = f"{described.below}{one.name}{_default(one)}"
        text = Text(textwrap.fill(f"{start}  ({one.type})", out.width, subsequent_indent="    "))
        text.stylize("bold", 0, len(described.below + one.name))
        out.print(text)
        if one.what:
            out.print(textwrap.fill(one.what, out.width, initial_indent="    ", subsequent_indent="    "))


def _paragraphs(said: str) -> list[str]:
    """What a docstring says before it lists arguments, which are shown as settings."""
    text = re.split(r"\n(?:Args|Arguments|Parameters|Returns|Raises|Examples?|Note):?[ ]*\n|\n\s*:param ", said)[0]
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def _default(setting: Setting) -> str:
    from ablate.documented import REQUIRED

    if setting.default is REQUIRED:
        return ", to be given"
    text = setting.default if isinstance(setting.default, str) and setting.default else json.dumps(setting.default)
    return f" = {text}"
