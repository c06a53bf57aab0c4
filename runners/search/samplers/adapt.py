"""A sampler that is any callable: one of Optuna's samplers as it is, or a function that gives one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.calls import call, check_settings
from ablate.errors import InputError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ablate.runners.search.samplers.base import Setting

CONSTANTS: dict[str, Any] = {}
_SEEDS = ("seed", "rng_seed", "random_seed", "random_state")


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """Arguments that are no settings: the search has its seed by `--sampler-seed`."""
    return _SEEDS


class CalledSampler(NamedTuple):
    """A sampler as its class or function gives it; see `ablate.runners.search.samplers.base.Sampler`."""

    target: Callable[..., Any]
    settings: dict[str, Any]
    called: str

    def build(self, setting: Setting) -> BaseSampler:
        found: BaseSampler = call(self.target, self.settings, dict.fromkeys(_SEEDS, setting.fresh), self.called)
        return found


def adapt(target: Callable[..., Any], settings: dict[str, Any], what: str) -> CalledSampler:
    """`target` called with `settings` for each question. Raises `InputError` for a class that is no sampler."""
    from optuna.samplers import BaseSampler

    check_settings(target, settings, what, data_names(target))
    if inspect.isclass(target) and not issubclass(target, BaseSampler):
        raise InputError(
            f"{what} is a class, and no optuna.samplers.BaseSampler: expected one, or a function giving one"
        )
    return CalledSampler(target, settings, what)
