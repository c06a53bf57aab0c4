"""The option that says which test cases count as lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ablate.errors import InputError, brief

if TYPE_CHECKING:
    from ablate.analysis.scoring import FailBelow

F = TypeVar("F", bound=Callable[..., Any])


def fail_below_option(command: F) -> F:
    """None is as a study, or a claim, has it."""
    return click.option(
        "--fail-below",
        metavar="DICE",
        callback=lambda context, option, text: _fail_below(text),
        help="A test case with a Dice below this is lost, and counted as a failure; half: of what the data set's best "
        "network typically reaches [default: half].",
    )(command)


def _fail_below(text: str | None) -> FailBelow | None:
    if text is None or text == "half":
        return None if text is None else "half"
    try:
        below = float(text)
    except ValueError:
        below = math.nan
    if not 0 < below <= 1:
        raise InputError(f"--fail-below {brief(text)}: expected a Dice above 0 and up to 1 (0.5), or half")
    return below
