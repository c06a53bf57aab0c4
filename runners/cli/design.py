"""What `ablate plan --design` does: writes a space out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablate.errors import InputError
from ablate.runners.cli.output import check_target, data, print_json, say, write
from ablate.runners.cli.shared import parse_settings


def write_design(output: Path | None, as_json: bool, *, model: str | None, code: Path | None, **options: Any) -> None:
    """The leave-one-out space of a network, into a file or on standard output.

    Raises `InputError` for options that belong to a space that is there, and for a network without components.
    """
    import yaml

    from ablate.modules import use_code
    from ablate.runners.request import code_folders
    from ablate.search_spaces.components import leave_one_out
    from ablate.user_code import UserCode

    if model is None:
        raise InputError("--design leave_one_out is of a network: give --model (my_nets:LightNet)")
    settings = parse_settings(options.pop("settings"))
    given = [name for name, value in options.items() if value not in (None, ())]
    if given:
        raise InputError(f"--{given[0].replace('_', '-')} is not for --design, which only writes a space: leave it out")
    check_target(output, ".yaml", ".yml")
    use_code(UserCode(code_folders({}, code)))
    found = leave_one_out(model, settings)
    if as_json:
        print_json({"space": found.space, "left_out": found.left_out})
    notes = "".join(f"# Left out: {line}\n" for line in found.left_out)
    text = notes + yaml.safe_dump(found.space, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
    if output is not None:
        write(output, text.encode())
        if not as_json:
            for line in found.left_out:
                say(f"left out {line}")
            say(f"{output}: {', '.join(found.space['factors'])}; next: ablate plan --space {output}")
    elif not as_json:
        data(text.encode())
