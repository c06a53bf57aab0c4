"""Calling what others wrote, a class or a function: by its own arguments, with what the trial knows filled in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ablate.errors import InputError, brief, unknown

Known = Mapping[str, Any]
"""What a trial knows, by the customary names of arguments: `in_channels`, `num_classes`, `total_steps`, …"""


def parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments of `target` that have a name and can be given by it."""
    found = _signature(target)
    return {one.name: one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}


def takes_any(target: Callable[..., Any]) -> bool:
    """Whether `target` takes arguments of any other name too, or does not say."""
    found = _signature(target)
    return not found or any(one.kind is one.VAR_KEYWORD for one in found)


def _signature(target: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    try:
        return tuple(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # of some compiled code
        return ()


def check_settings(target: Callable[..., Any], settings: Iterable[str], what: str, taken: Iterable[str] = ()) -> None:
    """Raises `InputError` for a setting that `target` does not take, or that is not a setting (`taken`)."""
    if takes_any(target):
        return
    named = parameters(target)
    free = [name for name in named if name not in set(taken)]
    for name in settings:
        if name not in free:
            raise unknown(f"{what}: setting", name, free)


def without_defaults(target: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that differ from what `target` does without them: two ways to write one thing are one."""
    named = parameters(target)
    return {
        name: value for name, value in settings.items() if name not in named or not _same(named[name].default, value)
    }


def _same(default: Any, value: Any) -> bool:
    if isinstance(default, bool) is not isinstance(value, bool):
        return False
    plain = list(default) if isinstance(default, tuple) else default
    return type(plain) in (bool, int, float, str, list, type(None)) and plain == value


def call(target: Callable[..., Any], settings: Mapping[str, Any], known: Known, what: str) -> Any:
    """`target` called with `settings`, and with those of `known` that it takes and that are not set.

    A setting `$name` is what is known by that name. Raises `InputError` for a setting that `target` does not take, for
    a name that is not known, and in one line for whatever `target` raises.
    """
    check_settings(target, settings, what)
    named = parameters(target)
    filled = {name: value for name, value in known.items() if name in named}
    given = {name: _known(value, known, what) for name, value in settings.items()}
    try:
        return target(**{**filled, **given})
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} cannot be made: {said(error)}") from error


def _known(value: Any, known: Known, what: str) -> Any:
    if isinstance(value, list | tuple):
        return [_known(one, known, what) for one in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value[1:] not in known:
        raise unknown(f"{what}: what a trial knows", value[1:], known)
    return known[value[1:]]


def said(error: BaseException) -> str:
    """What went wrong in others' code, in one line, with the file and line where it did."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {brief(lines[0])}" if lines else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    last = None
    trace = error.__traceback__
    while trace is not None:
        last = trace
        trace = trace.tb_next
    if last is None or last.tb_frame.f_code.co_filename == __file__:
        return text
    return f"{text} ({last.tb_frame.f_code.co_filename}, line {last.tb_lineno})"
