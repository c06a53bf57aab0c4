"""What made a trial's numbers: the code of this project that decided them, and the libraries under it.

The code's hash is of the parsed source of the trial's network, its data's reader, training and metrics, and of what
those import here: layout, comments and docstrings do not count, nor does what only reads, plots or asks.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from ablate import DISTRIBUTION
from ablate.kinds import Kind, kind_at, names_within, own_parts
from ablate.sources import imports, meaning

if TYPE_CHECKING:
    from ablate.study.records import Record
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

_PACKAGE = "ablate"
_ALWAYS = ("ablate.training.loop", "ablate.data.dataset", "ablate.models.encoder_weights")
_KEYED = (
    "settings", "trial", "data.cases", "data.layouts", "data.settings", "data.value_settings", "models.settings",
)  # fmt: skip
_NAMING = (
    "calls", "data.load", "kinds", "models.build", "models.network", "modules", "part", "reachable", "sources",
    "user_code",
)  # fmt: skip
_ADAPTING = ("data.adapt", "models.adapt", "training.recipe")
_TABLES = ("study", "study.tables")
_GATES = ("data.room", "data.store", "errors", "files", "training.keeping")
_OF_PATCHES = "training.windows"
"""What decides the numbers of trials on patches alone."""
_PACKAGES = (
    "data", "metrics", "models", "training", "training.augmentations", "training.losses", "training.optimizers",
    "training.schedules",
)  # fmt: skip
_APART = (*_KEYED, *_NAMING, *_ADAPTING, *_TABLES, *_GATES, *_PACKAGES, _OF_PATCHES)
APART = frozenset(("ablate", *(f"ablate.{name}" for name in _APART)))
"""What decides no number of a trial that its key does not hold, or only names the parts that do."""
_DIGITS = 12

_Text = Annotated[str, StringConstraints(max_length=80)]


class Origin(BaseModel):
    """The versions and the code that made a trial. Empty: not recorded, as by earlier versions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ablate: _Text = ""
    code: _Text = ""
    torch: _Text = ""
    numpy: _Text = ""
    python: _Text = ""
    monai: _Text = ""
    """Where a part of the trial is built on it."""

    @property
    def decides(self) -> tuple[str, str, str]:
        """What seeds must share to be one cell without a remark. A build of PyTorch (+cpu, +cu130) is its device's."""
        return self.code, self.torch.partition("+")[0], self.monai

    def __str__(self) -> str:
        """`torch 2.12.1, monai 1.6.1, code 0123456789ab of ablate 0.1.0`; of MONAI only where it is in it."""
        monai = f"monai {self.monai}, " if self.monai else ""
        return f"torch {self.torch or 'unknown'}, {monai}{self._code()}"

    def _code(self) -> str:
        return f"code {self.code} of ablate {self.ablate}" if self.code else "code that was not recorded"

    def beside(self, other: Origin) -> str:
        """What of this is not as in `other`, in words."""
        (code, torch, monai), (its_code, its_torch, its_monai) = self.decides, other.decides
        differs = [f"torch {self.torch or 'unknown'}"] if torch != its_torch else []
        differs += [f"monai {self.monai or 'unknown'}"] if monai != its_monai else []
        return " and ".join([*differs, *([self._code()] if code != its_code else [])])


def origin_of(trial: TrialConfig) -> Origin:
    """What would make `trial` here and now."""
    modules = modules_of(trial)
    monai = importlib.metadata.version("monai") if any(map(_is_on_monai, modules)) else ""
    return Origin(code=_code_of(modules), monai=monai, **_versions())


@cache
def _is_on_monai(module: str) -> bool:
    return any(name.partition(".")[0] == "monai" for name in imports(_parsed(module), module, is_package=False))


@cache
def _versions() -> Mapping[str, str]:
    names = {"ablate": DISTRIBUTION, "torch": "torch", "numpy": "numpy"}
    return {name: importlib.metadata.version(of) for name, of in names.items()} | {"python": platform.python_version()}


def modules_of(trial: TrialConfig) -> tuple[str, ...]:
    """The modules that decide the numbers of `trial`, sorted."""
    judged_alone = {"model", "loss", "optimizer", "schedule"} if trial.is_trivial else set()
    parts = [(kind_at(place), part) for place, part in trial.parts.items() if place not in judged_alone]
    own = {_module(kind, name) for kind, part in parts for name in names_within(part.canonical())}
    found = _with_what_they_import((*_ALWAYS, *sorted(own - {""})))
    is_cut = getattr(trial.data, "fit", "") == "patches"
    return tuple(sorted((*found, f"{_PACKAGE}.{_OF_PATCHES}"))) if is_cut else found


def _module(kind: Kind, name: str) -> str:
    """Where this project has the code of a part of that name; nothing of one of others, whose code is in the key."""
    place = own_parts(kind).get(name, "")
    if not place:
        return ""
    module, _, attribute = place.partition(":")
    return (_module_of_class(module, attribute) or module).partition(":")[0]


@cache
def _module_of_class(module: str, name: str) -> str:
    """What a class of settings has for `module`, if it has it: where the part itself is. Nothing is imported."""
    lines = [
        line
        for node in _parsed(module).body
        if isinstance(node, ast.ClassDef) and node.name == name
        for line in node.body
    ]
    for line in lines:
        match line:
            case ast.Assign(targets=[ast.Name("module")], value=ast.Constant(str(elsewhere))):
                return elsewhere
    return ""


@cache
def _with_what_they_import(names: tuple[str, ...]) -> tuple[str, ...]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in APART:
            found.add(name)
            waiting += (one for one in imports(_parsed(name), name, is_package=False) if _is_own(one))
    return tuple(sorted(found))


@cache
def _is_own(name: str) -> bool:
    """Whether that is a module of this package."""
    return name.partition(".")[0] == _PACKAGE and _spec(name) is not None


@cache
def _code_of(names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name.removeprefix(_PACKAGE)}\n{meaning(_parsed(name))}\n".encode())
    return digest.hexdigest()[:_DIGITS]


@cache
def _spec(name: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, which imports what is before the last dot; None where that is no package."""
    before, _, _ = name.rpartition(".")
    if not before:
        return importlib.util.find_spec(name)
    above = _spec(before)
    if above is None or above.submodule_search_locations is None:
        return None
    finders = (finder.find_spec(name, above.submodule_search_locations) for finder in sys.meta_path)
    return next((spec for spec in finders if spec is not None), None)


@cache
def _parsed(name: str) -> ast.Module:
    spec = _spec(name)
    source = spec.loader.get_source(name) if spec and isinstance(spec.loader, importlib.abc.InspectLoader) else None
    if source is None:
        raise ModuleNotFoundError(f"the source of {name} is not there")
    return ast.parse(source)


def unlike_today(study: Study, trials: Iterable[TrialConfig]) -> dict[str, str]:
    """Those of `trials` in the study, by key, that code or PyTorch of another version made, with which."""
    records = study.records()
    found = {trial.key: made_otherwise(study, records[trial.key], trial) for trial in trials if trial.key in records}
    return {key: other for key, other in found.items() if other}


def made_otherwise(study: Study, record: Record, trial: TrialConfig) -> str:
    """What code or PyTorch of another version made a trial of the study, in words; empty for today's."""
    return "" if trial.is_trivial else study.origin(record).beside(origin_of(trial))


def mixed(origins: Iterable[tuple[str, Origin]]) -> dict[str, str]:
    """Of (cell, origin) of each trial: the cells whose seeds code or PyTorch of several versions made, with which."""
    by_cell: dict[str, dict[tuple[str, ...], list[Origin]]] = {}
    for cell, origin in origins:
        by_cell.setdefault(cell, {}).setdefault(origin.decides, []).append(origin)
    return {
        cell: "; ".join(f"{len(made)} of {made[0]}" for made in kinds.values())
        for cell, kinds in by_cell.items()
        if len(kinds) > 1
    }
