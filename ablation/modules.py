"""From `module:attribute` to what it names: in the user's code first, then among what is installed.

Python's own modules are refused, and so is whatever lies in a study.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import inspect
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ablate.calls import said
from ablate.errors import InputError, PartError, brief, unknown
from ablate.user_code import UserCode, found_on_path, is_users


class Found(NamedTuple):
    """What a name stands for."""

    target: Any
    made_by: str
    """The code or distribution that it is; empty for this project's own."""


_STANDARD = {*sys.stdlib_module_names, "__main__"}
_WRAP = "call it in a function of your own, and name that"
_EXPECTED = "expected what is yours, or a library's"
_CODE: list[UserCode] = [UserCode()]


@contextlib.contextmanager
def code_from(code: UserCode | Path | None) -> Iterator[UserCode]:
    """While it lasts, `module:attribute` is looked for in this code, or the code of this folder, first."""
    given = code if isinstance(code, UserCode) else UserCode([code] if code else [])
    _CODE.append(given)
    try:
        yield given
    finally:
        _CODE.pop()


def used_code() -> UserCode:
    """The code in which it is looked for, with what was read of it."""
    return _CODE[-1]


def use_code(code: UserCode) -> None:
    """From now on, in this process, a worker's, it is looked for in this."""
    _CODE[:] = [code]


def load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def named(place: str, what: str) -> Found:
    module, _, attribute = place.partition(":")
    try:
        loaded, made_by = _imported(module, attribute, what)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise PartError(f"{what}: module {module} does not import: {said(error)}") from error
    target: Any = loaded
    for step in attribute.split("."):
        if not hasattr(target, step):
            names = [name for name in vars(target) if not name.startswith("_")] if hasattr(target, "__dict__") else []
            raise unknown(f"{what}: attribute of {module}", step, names, PartError)
        target = getattr(target, step)
    if not callable(target):
        raise PartError(f"{what} is {brief(repr(target))}: expected a class, or a function")
    if (inspect.isclass(target) or inspect.isroutine(target)) and _of_python(target):
        raise PartError(f"{what} is {target.__module__}.{target.__name__}, of Python itself; {_EXPECTED}")
    return Found(target, made_by)


_PARTS_OF_LIBRARIES = {
    ("torch.nn.modules.module", "Module"),
    ("torch.optim.optimizer", "Optimizer"),
    ("monai.transforms.transform", "Transform"),
    ("optuna.samplers._base", "BaseSampler"),
}


def check_may_be_called(target: Any, what: str) -> None:
    """Raises `PartError` for what of a library is neither the user's nor a class of modules, transforms and the like.

    Else a study of a stranger's could have any function that is installed called, with what it likes.
    """
    above = {(cls.__module__, cls.__name__) for cls in getattr(target, "__mro__", ())}
    if not is_users(target) and not above & _PARTS_OF_LIBRARIES:
        raise PartError(f"{what} is a library's, and no module of a network or transform: {_WRAP}")


def whereabouts(place: str) -> str:
    """In words, from where `module:attribute` would be imported; nothing is. Raises `PartError` as `named` does."""
    module, _, attribute = place.partition(":")
    library = _library(module, place)
    if library:
        return f"{module} ({library})"
    code = _CODE[-1]
    return f"{module} ('{code.modules(module)[module].path}', code {code.fingerprint(module, attribute)})"


def _imported(module: str, attribute: str, what: str) -> tuple[Any, str]:
    """A module, and what it is of."""
    if module.partition(".")[0] == "ablate":
        return importlib.import_module(module), ""
    library = _library(module, what)
    if library:
        return importlib.import_module(module), library
    code = _CODE[-1]
    return code.load(module), f"code {code.fingerprint(module, attribute)}"


def _library(module: str, what: str) -> str:
    """The distribution and version that a module is of; nothing for one of the user's own."""
    code = _CODE[-1]
    if not code.has(module):
        top = module.partition(".")[0]
        if top in _STANDARD:
            raise PartError(f"{what}: {top} is a module of Python itself; {_EXPECTED}")
        spec = found_on_path(top)
        if spec is None:
            where = ", ".join(f"'{folder}'" for folder in code.folders)
            looked = f"neither in {where} nor installed; name its folder (--code)" if where else "it is not installed"
            raise PartError(f"{what}: there is no module {top}: {looked}")
        origin = _origin(spec)
        if origin is None:
            raise PartError(f"{what}: {top} lies in no folder; {_EXPECTED}")
        if any(origin.resolve() == place for place in _site()):
            return _distribution(top)
        code.add(origin)
        if not code.has(module):
            raise PartError(f"{what}: there is no source of {module} in '{origin}'")
    return ""


def fingerprint_on_path(module: str) -> str:
    """The fingerprint of a module as Python would find it here, without the user's folder; nothing if it does not."""
    try:
        origin = _origin(found_on_path(module.partition(".")[0]))
    except (ImportError, ValueError):
        origin = None
    there = UserCode([origin] if origin else [])
    return there.fingerprint(module) if there.has(module) else ""


def _origin(spec: Any) -> Path | None:
    """The folder in which a top-level module or package lies; None for what has none."""
    if spec is None or spec.origin in (None, "built-in", "frozen"):
        places = list(spec.submodule_search_locations or []) if spec else []
        return Path(places[0]).parent if places else None
    file = Path(spec.origin)
    return file.parent.parent if file.stem == "__init__" else file.parent


@cache
def _site() -> tuple[Path, ...]:
    """Where libraries are installed."""
    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), site.getusersitepackages()]
    found += [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    return tuple(Path(folder).resolve() for folder in dict.fromkeys(found))


def _of_python(target: Any) -> bool:
    return str(getattr(target, "__module__", "")).partition(".")[0] in _STANDARD


@cache
def _distribution(top: str) -> str:
    """The distribution that a top-level module is of, with its version, without its build (+cpu)."""
    names = importlib.metadata.packages_distributions().get(top)
    if not names:
        raise PartError(f"module {top} is installed by no distribution, so its version is not known: install it by pip")
    return f"{names[0]} {importlib.metadata.version(names[0]).partition('+')[0]}"
