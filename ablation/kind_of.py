"""Of which kind a part is that was named without its kind."""

from __future__ import annotations

import inspect
from typing import Any

from ablate.calls import parameters
from ablate.errors import InputError, unknown
from ablate.kinds import KINDS, Kind, own_parts, packaged
from ablate.models.network import CHANNELS, CLASSES
from ablate.modules import load, named

_LIBRARIES = (
    ("torch.nn.modules.loss", "_Loss", "loss"),
    ("torch.optim.optimizer", "Optimizer", "optimizer"),
    ("torch.optim.lr_scheduler", "LRScheduler", "schedule"),
    ("torch.nn.modules.module", "Module", "network"),
    ("optuna.samplers._base", "BaseSampler", "sampler"),
    ("ray.tune.schedulers.trial_scheduler", "TrialScheduler", "scheduler"),
)
"""What others' classes derive from, the first that fits, by module and class: nothing is imported to ask."""


_ARGUMENTS = {
    "network": ({*CHANNELS}, {*CLASSES}),
    "loss": ({"logits", "outputs", "output"}, {"masks", "mask", "target", "targets"}),
    "augmentation": ({"images", "image"}, {"masks", "mask", "generator", "rng"}),
    "metric": ({"predicted", "prediction", "y_pred"}, {"masks", "mask", "y", "target"}),
}
"""What others' functions take, by kind: one of each group."""


def kinds_of(name: str, asked: str | None = None) -> list[Kind]:
    """The kinds that have a part of this name: of a short name all of them, of `module:attribute` the one it is.

    `asked`: the kind, where the user says it. Raises `InputError` for a name that no kind has, for a kind that does
    not exist, and for a function whose arguments do not tell.
    """
    if asked is not None:
        return [kind_named(asked)]
    if ":" not in name:
        found = [kind for kind in KINDS.values() if name in own_parts(kind) or name in packaged(kind)]
        if not found:
            every = {one for kind in KINDS.values() for one in (*own_parts(kind), *packaged(kind))}
            raise unknown("part", name, every)
        return found
    target = named(name, name).target
    kind = _of_class(target) if inspect.isclass(target) else _of_function(target)
    if kind is None:
        raise InputError(f"{name} may be of any kind: say which by --kind ({', '.join(KINDS)})")
    return [kind]


def kind_named(name: str) -> Kind:
    """A kind by its name, also in the plural, or as a configuration calls it. Raises `InputError` for none."""
    words = {"model": "network", "data": "data set", "dataset": "data set", "lr_scheduler": "schedule"}
    single = words.get(name, name).replace("_", " ").replace("-", " ")
    for one in (single, single.removesuffix("s"), single.removesuffix("es")):
        if words.get(one, one) in KINDS:
            return KINDS[words.get(one, one)]
    raise unknown("kind", name, KINDS)


def _of_function(target: Any) -> Kind | None:
    """By what its arguments are customarily called."""
    given = set(parameters(target))
    kinds = [kind for kind, of_each in _ARGUMENTS.items() if all(given & names for names in of_each)]
    return KINDS[kinds[0]] if len(kinds) == 1 else None


def _of_class(target: Any) -> Kind | None:
    for kind in KINDS.values():
        if own_parts(kind) and issubclass(target, load(kind.base)):
            return kind
    above = {(cls.__module__, cls.__name__) for cls in target.__mro__}
    kinds = [kind for module, name, kind in _LIBRARIES if (module, name) in above]
    if kinds and kinds[0] == "network" and "loss" in target.__name__.lower():
        return KINDS["loss"]
    return KINDS[kinds[0]] if kinds else None
