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
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

from ablate import DISTRIBUTION

if TYPE_CHECKING:
    from ablate.study.records import Record
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

_PACKAGE = "ablate"
_ALWAYS = ("ablate.training.loop", "ablate.data.dataset", "ablate.models.encoder_weights")
_KEYED = ("settings", "trial", "data.settings", "models.settings")
_NAMING = ("data.load", "models.build")
_GATES = ("data.room", "errors", "files")
_PACKAGES = (
    "data", "metrics", "models", "training", "training.augmentations", "training.losses", "training.optimizers",
    "training.schedules",
)  # fmt: skip
APART = frozenset(("ablate", *(f"ablate.{name}" for name in (*_KEYED, *_NAMING, *_GATES, *_PACKAGES))))
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

    @property
    def decides(self) -> tuple[str, str]:
        """What seeds must share to be one cell without a remark. A build of PyTorch (+cpu, +cu130) is its device's."""
        return self.code, self.torch.partition("+")[0]

    def __str__(self) -> str:
        """`torch 2.12.1, code 0123456789ab of ablate 0.1.0`."""
        return f"torch {self.torch or 'unknown'}, {self._code()}"

    def _code(self) -> str:
        return f"code {self.code} of ablate {self.ablate}" if self.code else "code that was not recorded"

    def beside(self, other: Origin) -> str:
        """What of this is not as in `other`, in words."""
        (code, torch), (its_code, its_torch) = self.decides, other.decides
        differs = [f"torch {self.torch or 'unknown'}"] if torch != its_torch else []
        return " and ".join([*differs, *([self._code()] if code != its_code else [])])


def origin_of(trial: TrialConfig) -> Origin:
    """What would make `trial` here and now."""
    return Origin(code=_code_of(modules_of(trial)), **_versions())


@cache
def _versions() -> Mapping[str, str]:
    names = {"ablate": DISTRIBUTION, "torch": "torch", "numpy": "numpy"}
    return {name: importlib.metadata.version(of) for name, of in names.items()} | {"python": platform.python_version()}


def modules_of(trial: TrialConfig) -> tuple[str, ...]:
    """The modules that decide the numbers of `trial`, sorted."""
    from ablate.data.load import READERS
    from ablate.models.build import MODELS

    own = [READERS[trial.data.name].__module__]
    if not trial.is_trivial:
        own.append(MODELS[type(trial.model)].__module__)
    return _with_what_they_import((*_ALWAYS, *own))


@cache
def _with_what_they_import(names: tuple[str, ...]) -> tuple[str, ...]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in APART:
            found.add(name)
            waiting += _imported(_parsed(name))
    return tuple(sorted(found))


def _imported(tree: ast.Module) -> Iterator[str]:
    """The modules of this package that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in named if name.partition(".")[0] == _PACKAGE and _is_module(name))


@cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what is before its last dot is no package
        return False


@cache
def _code_of(names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name.removeprefix(_PACKAGE)}\n{meaning(_parsed(name))}\n".encode())
    return digest.hexdigest()[:_DIGITS]


@cache
def _parsed(name: str) -> ast.Module:
    spec = importlib.util.find_spec(name)
    source = spec.loader.get_source(name) if spec and isinstance(spec.loader, importlib.abc.InspectLoader) else None
    if source is None:
        raise ModuleNotFoundError(f"the source of {name} is not there")
    return ast.parse(source)


def meaning(tree: ast.AST) -> str:
    """A parsed source as text, the same whatever its layout, comments and docstrings, and in each version of Python.

    (`ast.dump` is not: versions differ in which empty fields they show.)
    """
    return f"{type(tree).__name__}({','.join(_fields(tree))})"


def _fields(node: ast.AST) -> Iterator[str]:
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            value = _without_docstring(value)
        if value is None or value == [] or name in ("type_comment", "type_ignores", "kind"):
            continue
        if name == "module":  # what this package is called decides nothing
            value = value.removeprefix(f"{_PACKAGE}.")
        yield f"{name}={_text(value)}"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """Without strings that stand alone: docstrings, and those after an attribute."""
    return [node for node in body if not (isinstance(node, ast.Expr) and _is_text(node.value))]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return meaning(value) if isinstance(value, ast.AST) else f"{type(value).__name__}:{value!r}"


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
    by_cell: dict[str, dict[tuple[str, str], list[Origin]]] = {}
    for cell, origin in origins:
        by_cell.setdefault(cell, {}).setdefault(origin.decides, []).append(origin)
    return {
        cell: "; ".join(f"{len(made)} of {made[0]}" for made in kinds.values())
        for cell, kinds in by_cell.items()
        if len(kinds) > 1
    }
