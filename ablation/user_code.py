"""The user's own code: found beside a space, read once, fingerprinted by what it means, and run as it was read.

What counts is a module's parsed source and that of the modules of theirs that it imports, so comments, layout and
docstrings do not. What was read is what runs, also on other machines, to which it travels.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from ablate.errors import PartError
from ablate.reachable import reachable
from ablate.sources import imports, meaning

_DIGITS = 12
_STUDY = "study.yaml"
"""What no folder of code has in it or above it: code inside a study may be a stranger's."""


_SERIALS = itertools.count()


class Source(NamedTuple):
    """A module as it was read. `path`: where it was, for tracebacks."""

    path: str
    is_package: bool
    text: str


class UserCode:
    """Modules of the user's, by name: those read so far, and those that can be read from `folders`."""

    def __init__(self, folders: Sequence[Path] = (), read: Mapping[str, Source] | None = None) -> None:
        self.folders = [Path(folder).absolute() for folder in folders]
        self.read = dict(read or {})
        self.serial = next(_SERIALS)

    def __reduce__(self) -> tuple[type[UserCode], tuple[tuple[()], dict[str, Source]]]:
        """Elsewhere there is what was read, and no folder."""
        return UserCode, ((), self.read)

    def has(self, module: str) -> bool:
        """Whether the module is here. Raises `PartError` for a file that lies in a study."""
        return module in self.read or self._file(module) is not None

    def add(self, folder: Path) -> None:
        """Look in `folder` too."""
        if folder.absolute() not in self.folders:
            self.folders.append(folder.absolute())

    def modules(self, module: str) -> dict[str, Source]:
        """A module with the packages it is in, and whatever of the user's they import, by name.

        Raises `PartError` for a source that cannot be read or parsed.
        """
        found: dict[str, Source] = {}
        waiting = [module]
        while waiting:
            name = waiting.pop()
            parents = [name.rsplit(".", up)[0] for up in range(name.count(".") + 1)]
            for one in parents:
                if one not in found and self.has(one):
                    found[one] = self._source(one)
                    waiting += imports(parsed(found[one]), one, is_package=found[one].is_package)
        return dict(sorted(found.items()))

    def fingerprint(self, module: str, attribute: str = "") -> str:
        """SHA-256 (first 12 hex) of what a module's source means, with what it imports of the user's.

        Of one `attribute` of it, what else is in the module does not count (`ablate.reachable`).
        """
        digest = hashlib.sha256()
        for name, source in self.modules(module).items():
            tree = parsed(source)
            if name == module and attribute:
                tree = reachable(tree, attribute.partition(".")[0])
            digest.update(f"{name}\n{meaning(tree)}\n".encode())
        return digest.hexdigest()[:_DIGITS]

    def load(self, module: str) -> ModuleType:
        """Import a module as it was read. Raises whatever it raises."""
        sources = self.modules(module)
        if True in [_is_other(name, source) for name, source in sources.items()]:  # all are looked at
            for name in sources:  # what imports one that changed holds it as it was
                sys.modules.pop(name, None)
        with _finding(sources):
            return importlib.import_module(module)

    def _source(self, module: str) -> Source:
        if module not in self.read:
            file = self._file(module)
            assert file is not None
            self.read[module] = _read(file)
        return self.read[module]

    def _file(self, module: str) -> Path | None:
        way = Path(*module.split("."))
        for folder in self.folders:
            for file in (folder / way / "__init__.py", folder / way.with_name(f"{way.name}.py")):
                if file.is_file():
                    _refuse_in_study(file)
                    return file
        return None


def _read(file: Path) -> Source:
    try:
        with file.open("rb") as opened:
            text = importlib.util.decode_source(opened.read())
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise PartError(f"'{file}' cannot be read: {error}") from None
    return Source(str(file), file.name == "__init__.py", text)


def parsed(source: Source) -> ast.Module:
    """Raises `PartError` for what is no Python, with its line."""
    try:
        return ast.parse(source.text, source.path)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise PartError(f"'{source.path}'{line}: {getattr(error, 'msg', error)}") from None


def _refuse_in_study(file: Path) -> None:
    for folder in file.resolve().parents:
        if (folder / _STUDY).exists():
            raise PartError(
                f"'{file}' is inside the study '{folder}', whose code is never run: put what you trust elsewhere, and "
                "name that folder (--code)"
            )


# Importing -----------------------------------------------------------------------------------------------------------


class _Loader(importlib.abc.InspectLoader):
    """Runs a source that was read."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def get_source(self, fullname: str) -> str:
        return self.source.text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source.text, self.source.path, "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return self.source.is_package

    def get_filename(self, fullname: str) -> str:
        return self.source.path


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        source = self.sources.get(fullname)
        if source is None:
            return None
        spec = importlib.util.spec_from_loader(fullname, _Loader(source), origin=source.path)
        assert spec is not None
        spec.has_location = True
        if source.is_package:
            spec.submodule_search_locations = [str(Path(source.path).parent)]
        return spec


_FINDER = _Finder()


def found_on_path(module: str) -> importlib.machinery.ModuleSpec | None:
    """A top-level module as Python would find it, had nothing of the user's been read. Raises what finders raise."""
    for finder in sys.meta_path:
        spec = finder.find_spec(module, None) if finder is not _FINDER else None
        if spec is not None:
            return spec
    return None


@contextlib.contextmanager
def _finding(sources: Mapping[str, Source]) -> Iterator[None]:
    """What is imported now, or later by what is: the user's first, as it was read."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.sources |= sources
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def is_users(target: object) -> bool:
    """Whether a class or function is defined in a module of the user's."""
    module = sys.modules.get(str(getattr(target, "__module__", "")))
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _Loader)


def _is_other(name: str, source: Source) -> bool:
    """Whether a module was imported from another source of the user's. Raises `PartError` for one of another's."""
    there = sys.modules.get(name)
    loader = getattr(getattr(there, "__spec__", None), "loader", None)
    if isinstance(loader, _Loader):
        return loader.source != source
    if there is None:
        return False
    own = getattr(there, "__file__", None)
    if own and Path(own).resolve() != Path(source.path).resolve():
        raise PartError(f"'{source.path}' has the name of a module that is in use ('{own}'): give it another name")
    return True
