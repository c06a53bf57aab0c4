"""Checks of a part, tried on the smallest input that decides: each holds, or fails in one line that says what to do."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import random
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch

from ablate.errors import InputError, brief
from ablate.kinds import Kind
from ablate.part import Part

_PYTHON = Path(sysconfig.get_path("stdlib"))
_INSTALLED = {"site-packages", "dist-packages"}


class Checked(NamedTuple):
    """One check of a part. Without a problem it holds."""

    name: str
    problem: str = ""
    """What is wrong and what to do, in one line."""
    doubt: str = ""
    """What must be said although it holds."""


class Doubt(str):
    """A check's answer that is no failure, but may not be what was meant."""

    __slots__ = ()


Check = Callable[[Any], str]
"""Of what a contract tries: empty where it holds, else what is wrong and what to do; or a `Doubt`. May raise."""


class Contract(NamedTuple):
    """The checks of a kind, in order. Their functions' names are theirs."""

    tried: Callable[..., Any]
    """What the checks are given, of a part."""
    first: tuple[Check, ...]
    """Those that all others rest on: where one fails, nothing after it is tried."""
    then: tuple[Check, ...]
    quick: tuple[Check, ...] = ()
    """Those of a plan: milliseconds, and nothing is trained."""
    last: tuple[Check, ...] = ()
    """Those that rest on all others, which a failure of any of them would only say again."""

    @property
    def checks(self) -> tuple[Check, ...]:
        return (*self.first, *self.then, *self.last)


def contract_of(kind: Kind) -> Contract:
    """The contract of a kind."""
    here = f"{__package__}.{kind.name.replace(' ', '_')}"
    place = here if importlib.util.find_spec(here) else f"{kind.home}.contract"
    found: Contract = importlib.import_module(place).CONTRACT
    return found


def run_contract(kind: Kind, part: Part, **tried: Any) -> list[Checked]:
    """All checks of a part's kind, but for those that rest on one that fails.

    `tried`: what the contract takes beside the part (`in_channels`, `classes`, `size` of a network, …).
    Raises `InputError` where the part cannot be found.
    """
    contract = contract_of(kind)
    return _run(contract, contract.checks, contract.tried(part, **tried))


def quick_problems(kind: Kind, part: Part, in_channels: int, classes: int, size: tuple[int, int]) -> list[str]:
    """What a plan wants to know of a part of others, a line for each thing that is wrong: nothing is trained.

    It is tried for so many classes alone, a network on images of the smallest size that it takes, at most `size`
    (height, width). Of a data set, which a plan reads, and of what trains nothing, nothing is tried.
    Raises `InputError` where the part cannot be found.
    """
    known: dict[str, dict[str, Any]] = {
        "network": {"in_channels": in_channels, "classes": classes, "size": size},
        "loss": {"classes": (classes,)},
        "metric": {"classes": (max(classes, 2),)},
        "optimizer": {},
        "schedule": {},
        "augmentation": {},
    }
    if kind.name not in known:
        return []
    contract = contract_of(kind)
    subject = contract.tried(part, **known[kind.name])
    found = _run(contract, (*contract.first, *(contract.quick or contract.then)), subject)
    return [f"{part.name}: {checked.name}: {checked.problem}" for checked in found if checked.problem]


def _run(contract: Contract, checks: tuple[Check, ...], subject: Any) -> list[Checked]:
    found: list[Checked] = []
    for check in checks:
        if check in contract.last and any(one.problem for one in found):
            continue
        found.append(_checked(check, subject))
        if found[-1].problem and check in contract.first:
            break
    return found


def name_of(check: Check) -> str:
    """A check's name as people read it."""
    return str(getattr(check, "__name__", check)).replace("_", " ")


def _checked(check: Check, subject: Any) -> Checked:
    try:
        with undisturbed():
            answer = check(subject)
    except Exception as error:  # of the part's own code, which may raise anything
        answer = reason(error)
    return Checked(name_of(check), doubt=answer) if isinstance(answer, Doubt) else Checked(name_of(check), answer)


@contextlib.contextmanager
def undisturbed(seed: int = 0) -> Iterator[None]:
    """All that is random begins at `seed`, and the process has its own random states, and settings, again after it."""
    python, numpy, strict = random.getstate(), np.random.get_state(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            everything_from(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def everything_from(seed: int, *, others: int | None = None) -> None:
    """Seed PyTorch's global random state, and Python's and NumPy's (with `others`)."""
    torch.manual_seed(seed)
    random.seed(seed if others is None else others)
    np.random.seed(seed if others is None else others)


def reason(error: Exception) -> str:
    """What was raised, in one line, with the part's own file and line."""
    if isinstance(error, InputError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {brief(lines[0])}" if lines else type(error).__name__
    place = _place(error.__traceback__)
    return f"{text} ({place})" if place else text


def _place(trace: TracebackType | None) -> str:
    """The deepest line on the way to an error that is of no library, and not of this project."""
    found = ""
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        ours = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] == __name__.partition(".")[0]
        others = ours or _INSTALLED & set(file.parts) or file.is_relative_to(_PYTHON)
        if file.is_absolute() and not others:
            found = f"{file}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
