"""From folders of images and masks to pairs of files, and what lies there besides."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ablate.data.images import one_form, stem, suffix
from ablate.data.settings import DataSource, FileSource
from ablate.data.source import DatasetInfo
from ablate.errors import InputError


class Pair(NamedTuple):
    """An image file, or a volume's, and the file of its mask."""

    id: str
    """Its name, with the sub-folder it is in (`patient1/a`) where sub-folders are read."""
    image: Path
    mask: Path
    others: tuple[Path, ...] = ()
    """Further files of the same image, each of further channels, in their order."""


class Layout(NamedTuple):
    """What a data set's files are."""

    pairs: tuple[Pair, ...]
    """In the order in which they are read."""
    passed_over: tuple[Path, ...]
    """The other files under its folder, in natural order, but for hidden ones and those that describe it."""


def layout_of(source: FileSource) -> Layout:
    """The files that a data set reads, and those that it passes over. No image is opened.

    Raises `InputError`, as reading them does, where images and masks do not go together.
    """
    pairs = pairs_of(source)
    used = {path for pair in pairs for path in (pair.image, pair.mask, *pair.others)}
    return Layout(tuple(pairs), tuple(_others_under(Path(source.root or ""), used, source)))


def pairs_of(source: FileSource) -> list[Pair]:
    """Of a data set of this project, as its module's `pairs` finds them. Raises as `layout_of` does."""
    found: list[Pair] = importlib.import_module(source.module).pairs(source)
    return found


def data_root(config: DataSource, info: DatasetInfo) -> Path:
    """The folder given as `--data-dir`. Raises `InputError` with the expected layout if there is none."""
    if config.root is None:
        raise InputError(f"{info.name} needs its files: give --data-dir a folder with {info.layout}")
    if not config.root.is_dir():
        raise InputError(f"--data-dir '{config.root}' is not a folder: {info.name} expects one with {info.layout}")
    return config.root


def subfolder(root: Path, names: Sequence[str], info: DatasetInfo) -> Path:
    """The first of `names` under `root` that is a folder. Raises `InputError` naming the first if none is."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise InputError(f"folder '{root / names[0]}' is missing: {info.name} expects {info.layout}")


def files_in(folder: Path, *, below: bool = False) -> dict[str, Path]:
    """The image files of `folder` by stem, in natural order (2 before 10); with `below`, of its sub-folders too, each
    with the sub-folder before its stem (`patient1/a`). What is hidden is left out.

    Raises `InputError` if two have the same name, in whatever Unicode form.
    """
    found = (Path(at) / name for at, _, names in os.walk(folder) for name in names) if below else folder.iterdir()
    files: dict[str, Path] = {}
    forms: dict[str, Path] = {}
    for path in sorted(found, key=lambda path: natural(path.relative_to(folder).as_posix())):
        if not suffix(path) or _is_hidden(path.relative_to(folder)):
            continue
        name = path.relative_to(folder).with_name(stem(path)).as_posix()
        if (other := forms.setdefault(one_form(name), path)) != path:
            same = "the same stem" if stem(other) == stem(path) else "one name in two Unicode forms"
            raise InputError(f"'{path}' and '{other.name}' have {same}: keep one of them")
        files[name] = path
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def natural(name: str) -> tuple[list[str | int], str]:
    """A sort key that compares runs of digits as numbers."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def match(images: Mapping[str, Path], masks: Mapping[str, Path], where: Path, info: DatasetInfo) -> list[Pair]:
    """Pairs of image and mask by stem, in the images' order.

    Raises `InputError` if there is no image (in the folder `where`), or an image or a mask stays alone.
    """
    if not images:
        raise InputError(f"no images in '{where}': {info.name} expects {info.layout}")
    of_name = {one_form(name): path for name, path in masks.items()}
    wanted = {one_form(name) for name in images}
    alone = [path for name, path in images.items() if one_form(name) not in of_name]
    _check_none_alone(alone, len(images), "images", "mask", info)
    _check_none_alone(
        [path for name, path in of_name.items() if name not in wanted], len(masks), "masks", "image", info
    )
    return [Pair(name, path, of_name[one_form(name)]) for name, path in images.items()]


def _check_none_alone(alone: list[Path], count: int, kind: str, other: str, info: DatasetInfo) -> None:
    if alone:
        raise InputError(
            f"{len(alone)} of {count} {kind} have no {other}, the first is '{alone[0]}': "
            f"{info.name} expects {info.layout}"
        )


def _others_under(root: Path, used: Collection[Path], source: FileSource) -> Iterable[Path]:
    described = {"dataset.json", "dataset.yaml", source.case, source.parts}
    every = (Path(at) / name for at, _, names in os.walk(root) for name in names)
    others = [
        path
        for path in every
        if path not in used
        and not _is_hidden(path.relative_to(root))
        and not (path.parent == root and path.name in described)
    ]
    return sorted(others, key=lambda path: natural(path.relative_to(root).as_posix()))
