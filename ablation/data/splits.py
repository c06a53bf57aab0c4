"""Which images train, which select the epoch, and which judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ablate.data.settings import Split
from ablate.errors import InputError


class Parts(NamedTuple):
    """Indices of images, ascending. Disjoint and complete, except that `paper` validates and tests on the same."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


def split(groups: Sequence[str], config: Split) -> Parts:
    """The parts of a data set whose image i came from volume `groups[i]`; `config`'s docstring has the methods.

    Volumes stay whole, and fractions and folds count volumes (each image, where they are independent). Only the slices
    of a single volume are divided among themselves, in contiguous blocks. Sizes are rounded half up, at least 1.
    `paper` divides images whatever they came from, as the paper's code does.
    Raises `InputError` if a part or a fold would be empty, or if the slices of a single volume were to be shuffled.
    """
    if config.method == "paper":
        return _paper(len(groups))
    units = _units(groups, config)
    if config.method == "kfold":
        train, val, test = _fold(units, config)
    else:
        train, val, test = _fractions(units, config)
    parts = Parts(*(tuple(sorted(i for unit in part for i in unit)) for part in (train, val, test)))
    unit = "volumes" if len(units) < len(groups) else "images"
    _check(parts, len(groups), unit, len(units))
    if config.method == "kfold" and config.folds > len(units):
        raise InputError(f"too few images for the split: {len(units)} {unit} cannot fill {config.folds} folds")
    return parts


Units = list[list[int]]


def _units(groups: Sequence[str], config: Split) -> Units:
    """What is dealt out, in order: the images of each volume, or of a single volume each image."""
    volumes: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        volumes.setdefault(group, []).append(i)
    if len(volumes) == 1 and len(groups) > 1:
        if config.shuffle:
            raise InputError(
                f"all {len(groups)} images are slices of one volume, '{groups[0]}': shuffled, a test slice would lie "
                "between training slices that look like it; set protocol.split.shuffle=false for contiguous blocks"
            )
        return [[i] for i in range(len(groups))]
    units = list(volumes.values())
    if config.shuffle:
        units = [units[i] for i in np.random.default_rng(config.seed).permutation(len(units))]
    return units


def _fractions(units: Units, config: Split) -> tuple[Units, Units, Units]:
    val, test = (max(1, _round(len(units) * fraction)) for fraction in (config.val, config.test))
    train = max(0, len(units) - val - test)
    return units[:train], units[train : train + val], units[train + val :]


def _fold(units: Units, config: Split) -> tuple[Units, Units, Units]:
    edges = [len(units) * fold // config.folds for fold in range(config.folds + 1)]
    blocks = [units[start:stop] for start, stop in pairwise(edges)]
    validates = (config.fold + 1) % config.folds
    train = [unit for i, block in enumerate(blocks) if i not in (config.fold, validates) for unit in block]
    return train, blocks[validates], blocks[config.fold]


def _paper(count: int) -> Parts:
    if count < 2:
        raise InputError(f"too few images for the split: the paper's needs at least 2, not {count}")
    from sklearn.model_selection import train_test_split

    train, test = (tuple(sorted(part)) for part in train_test_split(range(count), test_size=0.2, random_state=41))
    return Parts(train, test, test)


def _check(parts: Parts, images: int, unit: str, units: int) -> None:
    if not all(parts):
        sizes = ", ".join(f"{name} {len(part)}" for name, part in parts._asdict().items())
        raise InputError(f"too few images for the split: {images} images in {units} {unit} give {sizes}")


def _round(value: float) -> int:
    """Half up; 0.29 · 50 counts as the 14.5 it is meant to be."""
    return math.floor(value + 0.5 + 1e-9)
