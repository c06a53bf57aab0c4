"""Data sets as they were made ready, kept in the user's cache: the next run decodes nothing, and memory need not hold
what is read from the disk as it is used.

A folder each, by what was asked and where the files are. It is believed as long as every file there has the size and
the time of its last change that it had, and the code that made it ready and the libraries under it are the same;
otherwise it is made anew. `$ABLATE_CACHE` says where, `~/.cache/ablate` if not; nothing in it is ever needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.dataset import Dataset
from ablate.data.facts import ClassFacts, Facts, ImageFacts
from ablate.data.ragged import Arrays, Ragged
from ablate.errors import InputError
from ablate.part import DataPart

VARIABLE = "ABLATE_CACHE"
_MADE_BY = ("numpy", "torch", "pillow", "tifffile", "nibabel", "scipy")
_ABOUT = "about.json"
_FORM = 1


def cache_folder() -> Path | None:
    """Where data sets are kept; None where there is no such place: a home that is not there is not made for it."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "ablate"
    with contextlib.suppress(RuntimeError):  # nobody's home is known
        return Path.home() / ".cache" / "ablate" if Path.home().is_dir() else None
    return None


class Shelf:
    """The place of one data set in the cache: arrays are made there, and then it is kept, or left as it was."""

    def __init__(self, place: Path, listing: str) -> None:
        self._place, self._listing = place, listing
        self._making: Path | None = None
        self.what = f"disk at '{place.parent.parent}' (${VARIABLE})"

    @classmethod
    def of(cls, part: DataPart, root: Path) -> Shelf | None:
        """Of a data set with its files under `root`; None where nothing can be kept."""
        folder = cache_folder()
        if folder is None:
            return None
        asked = json.dumps([part.but(fingerprint="").text, str(root.absolute())])
        shelf = cls(folder / "data" / hashlib.sha256(asked.encode()).hexdigest()[:24], _listing(root))
        try:
            (folder / "data").mkdir(parents=True, exist_ok=True)
        except OSError:
            return None
        return shelf if os.access(folder / "data", os.W_OK) else None

    def found(self, part: DataPart) -> Dataset | None:
        """The data set as it was kept, if its files are what they were."""
        try:
            about = json.loads((self._place / _ABOUT).read_bytes())
            if (about["form"], about["listing"], about["made_by"]) != (_FORM, self._listing, made_by()):
                return None
            return opened(self._place, part.but(fingerprint=about["fingerprint"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # A `Room` --------------------------------------------------------------------------------------------------------

    def empty(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        if self._making is None:
            self._making = Path(tempfile.mkdtemp(prefix=f"{self._place.name}.", dir=self._place.parent))
        if 0 in shape:
            return np.empty(shape, dtype)
        made: np.ndarray = np.lib.format.open_memmap(self._making / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        return made

    def available(self) -> float:
        return shutil.disk_usage(self._place.parent).free

    # -----------------------------------------------------------------------------------------------------------------

    def keep(self, dataset: Dataset) -> Dataset:
        """The data set whose arrays were made here, kept, and read from there."""
        assert self._making is not None
        about = {"form": _FORM, "listing": self._listing, "made_by": made_by(), **_plain(dataset)}
        for array in (dataset.images, dataset.masks, dataset.drawn, dataset.facts.thumbnails):
            _flush(array)
        (self._making / _ABOUT).write_text(json.dumps(about))
        shutil.rmtree(self._place, ignore_errors=True)
        with contextlib.suppress(OSError):  # another run was quicker: its is as good
            self._making.rename(self._place)
            self._making = None
        self.leave()
        return opened(self._place, dataset.config)

    def keep_copy(self, dataset: Dataset) -> None:
        """Keep a data set that is in memory, where that can be done."""
        arrays = {"images": dataset.images, "masks": dataset.masks, "thumbnails": dataset.facts.thumbnails}
        plain = {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
        if plain.keys() != arrays.keys() or dataset.drawn is not None:
            return
        with contextlib.suppress(OSError):
            for name, array in plain.items():
                made = self.empty(name, array.shape, array.dtype.type)
                made[...] = array
                _flush(made)
            self.keep(dataset)
        self.leave()

    def leave(self) -> None:
        """Remove what was begun."""
        if self._making is not None:
            shutil.rmtree(self._making, ignore_errors=True)
            self._making = None


class Kept(Dataset):
    """A data set whose arrays are files of this machine, and travel between its processes as the place of these."""

    place: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return opened, (self.place, self.config)


def in_memory(kept: Dataset) -> Dataset:
    """The same data set with its arrays in memory, whatever becomes of the cache."""
    found = {field.name: getattr(kept, field.name) for field in fields(Dataset)}
    facts = kept.facts._replace(thumbnails=np.array(kept.facts.thumbnails))
    return Dataset(**found | {"images": np.array(kept.images), "masks": np.array(kept.masks), "facts": facts})


def as_it_travels(dataset: Dataset, *, far: bool) -> Dataset:
    """What other processes get of it: its place, where it is kept, or where they are `far`, on other machines, all."""
    if not far or not isinstance(dataset, Kept):
        return dataset
    return Dataset(**{field.name: getattr(dataset, field.name) for field in fields(Dataset)})


def opened(place: Path, part: DataPart) -> Kept:
    """A data set as it was kept at `place`, its arrays read-only and read as they are used. `part`: its configuration.

    Raises `InputError` where it is not there any more.
    """
    try:
        about = json.loads((place / _ABOUT).read_bytes())
        images, masks = (_array(place, name, about) for name in ("images", "masks"))
        drawn = _array(place, "drawn", about) if "drawn" in about["shapes"] else None
        thumbnails = _array(place, "thumbnails", about)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the data set kept in '{place}' cannot be read any more ({type(error).__name__}): run the command again"
        ) from None
    assert isinstance(thumbnails, np.ndarray)
    if about["is_cut"]:
        assert isinstance(drawn, Ragged)
        masks = drawn
    found = Kept(
        config=part,
        ids=tuple(about["ids"]),
        groups=tuple(about["groups"]),
        images=images,
        masks=masks,
        notes=tuple(about["notes"]),
        spacings=tuple(None if one is None else (one[0], one[1]) for one in about["spacings"]),
        fixed=tuple(about["fixed"]),
        strata=tuple(about["strata"]),
        own_sizes=tuple((one[0], one[1]) for one in about["own_sizes"]),
        drawn=drawn if about["is_drawn"] and isinstance(drawn, Ragged) else None,
        facts=Facts(tuple(map(_facts, about["facts"])), thumbnails),
        passed_over=tuple(about["passed_over"]),
    )
    object.__setattr__(found, "place", place)  # it is frozen
    return found


@cache
def made_by() -> str:
    """Of the code that makes data sets ready, and the libraries it calls."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    for name in _MADE_BY:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()[:24]


def _listing(root: Path) -> str:
    """Of every file under `root`: its name, size, and the time of its last change."""
    digest = hashlib.sha256()
    for path, status in sorted(_files(root)):
        told = f"{path.relative_to(root)}\0{status.st_size} {status.st_mtime_ns} {status.st_ino}\n"
        digest.update(told.encode(errors="surrogateescape"))
    return digest.hexdigest()


def stored_under(root: Path) -> int:
    """Bytes of the files under a folder."""
    return sum(status.st_size for _, status in _files(root))


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for at, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(OSError):  # a link that leads nowhere
                yield Path(at, name), Path(at, name).stat()


# As plain data -------------------------------------------------------------------------------------------------------


def _plain(dataset: Dataset) -> dict[str, Any]:
    arrays = {"images": dataset.images, "masks": dataset.masks, "thumbnails": dataset.facts.thumbnails}
    is_cut = isinstance(dataset.masks, Ragged)
    arrays |= {"drawn": dataset.masks} if is_cut else {"drawn": dataset.drawn} if dataset.drawn is not None else {}
    if is_cut:
        del arrays["masks"]
    return {
        "fingerprint": dataset.config.fingerprint,
        "ids": dataset.ids,
        "groups": dataset.groups,
        "notes": dataset.notes,
        "spacings": dataset.spacings,
        "fixed": dataset.fixed,
        "strata": dataset.strata,
        "own_sizes": dataset.own_sizes,
        "passed_over": dataset.passed_over,
        "facts": [
            one._asdict() | {"digest": one.digest.hex(), "classes": list(one.classes.items())}
            for one in dataset.facts.images
        ],
        "is_cut": is_cut,
        "is_drawn": dataset.drawn is not None,
        "shapes": {
            name: array.shapes.tolist() if isinstance(array, Ragged) else None for name, array in arrays.items()
        },
    }


def _facts(plain: dict[str, Any]) -> ImageFacts:
    classes = {int(index): ClassFacts(*found) for index, found in plain["classes"]}
    height, width = plain["size"]
    read = {"size": (height, width), "classes": classes, "digest": bytes.fromhex(plain["digest"])}
    return ImageFacts(**plain | read)


def _array(place: Path, name: str, about: dict[str, Any]) -> Arrays:
    if name not in about["shapes"]:  # masks as drawn are all that there are
        return np.empty(0, np.uint8)
    values = np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
    shapes = about["shapes"][name]
    return values if shapes is None else Ragged.of(values, shapes)


def _flush(array: Arrays | None) -> None:
    values = array.values if isinstance(array, Ragged) else array
    if isinstance(values, np.memmap):
        values.flush()
