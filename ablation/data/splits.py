"""Which images train, which select the epoch, and which judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ablate.data.settings import Split
from ablate.errors import InputError, brief


class Parts(NamedTuple):
    """Indices of images, ascending. Disjoint and complete, except that `paper` validates and tests on the same."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


class Known(NamedTuple):
    """What a data set says of its images beside the cases they are of, an entry an image each; empty where nothing."""

    fixed: Sequence[str] = ()
    """The part that the data set puts it in."""
    strata: Sequence[str] = ()
    foreground: Sequence[tuple[float, float]] = ()
    """Its pixels of the foreground, and all that were decided."""


NOTHING_MORE = Known()


def split(groups: Sequence[str], config: Split, known: Known = NOTHING_MORE) -> Parts:
    """The parts of a data set whose image i is of case `groups[i]`; `config`'s docstring has the methods.

    Cases stay whole, and fractions and folds count cases (each image, where they are independent). Only the slices of
    a single volume are divided among themselves, in contiguous blocks. Sizes are rounded half up, at least 1.
    `paper` divides images whatever they came from, as the paper's code does.
    Raises `InputError` if a part or a fold would be empty, if the slices of a single volume were to be shuffled, and
    where `config` asks for parts or strata that `known` has not.
    """
    if config.method == "paper":
        return _paper(len(groups))
    if config.method == "fixed":
        return _fixed(groups, config, known)
    units = _units(groups, config)
    if config.method == "kfold":
        train, val, test = _fold(units, config, known)
    else:
        train, val, test = _fractions(units, config, known)
    parts = Parts(_images(train), _images(val), _images(test))
    unit = _counted(units, groups)
    _check(parts, len(groups), unit, len(units.images))
    if config.method == "kfold" and config.folds > len(units.images):
        raise InputError(f"too few images for the split: {len(units.images)} {unit} cannot fill {config.folds} folds")
    return parts


class _Units(NamedTuple):
    """What is dealt out, in order: the images of each case, or of a single volume each image; and the cases' names."""

    images: list[list[int]]
    cases: list[str]


_Dealt = list[list[int]]


def _units(groups: Sequence[str], config: Split, among: Sequence[int] | None = None) -> _Units:
    """The units of the images `among`, or of all."""
    volumes: dict[str, list[int]] = {}
    for i in range(len(groups)) if among is None else among:
        volumes.setdefault(groups[i], []).append(i)
    if len(set(groups)) == 1 and len(groups) > 1:
        if config.shuffle:
            raise InputError(
                f"all {len(groups)} images are slices of one volume, '{groups[0]}': shuffled, a test slice would lie "
                "between training slices that look like it; set protocol.split.shuffle=false for contiguous blocks"
            )
        if config.stratify:
            raise InputError(
                f"protocol.split.stratify {config.stratify}: all {len(groups)} images are slices of one volume, "
                f"'{groups[0]}', whose parts are contiguous blocks; leave it out"
            )
        return _Units([[i] for images in volumes.values() for i in images], [])
    cases, images = list(volumes), list(volumes.values())
    if config.shuffle:
        order = np.random.default_rng(config.seed).permutation(len(images))
        cases, images = [cases[i] for i in order], [images[i] for i in order]
    return _Units(images, cases)


def _images(units: _Dealt) -> tuple[int, ...]:
    return tuple(sorted(i for unit in units for i in unit))


def _counted(units: _Units, groups: Sequence[str]) -> str:
    return "volumes" if len(units.images) < len(groups) else "images"


def _fractions(units: _Units, config: Split, known: Known) -> tuple[_Dealt, _Dealt, _Dealt]:
    dealt = units.images
    val, test = (max(1, _round(len(dealt) * fraction)) for fraction in (config.val, config.test))
    if config.stratify:
        rest, tests = _spread(_by_stratum(units, config, known, math.ceil(1 / min(config.val, config.test))), test)
        return (*_spread(rest, val), tests)
    train = max(0, len(dealt) - val - test)
    return dealt[:train], dealt[train : train + val], dealt[train + val :]


def _fold(units: _Units, config: Split, known: Known) -> tuple[_Dealt, _Dealt, _Dealt]:
    if config.stratify:
        dealt = _by_stratum(units, config, known, config.folds)
        blocks = [dealt[fold :: config.folds] for fold in range(config.folds)]
    else:
        dealt = units.images
        edges = [len(dealt) * fold // config.folds for fold in range(config.folds + 1)]
        blocks = [dealt[start:stop] for start, stop in pairwise(edges)]
    validates = (config.fold + 1) % config.folds
    train = [unit for i, block in enumerate(blocks) if i not in (config.fold, validates) for unit in block]
    return train, blocks[validates], blocks[config.fold]


def _fixed(groups: Sequence[str], config: Split, known: Known) -> Parts:
    """As the data set says; where it names no validation images, `config.val` of the training cases are."""
    if not known.fixed:
        raise InputError(
            "protocol.split.method fixed: the data set fixes no split; give data.parts (folder, or a CSV with columns "
            "image and part), or another method"
        )
    names = Parts._fields
    strange = [i for i, part in enumerate(known.fixed) if part not in names]
    if strange:
        first = groups[strange[0]]
        raise InputError(
            f"protocol.split.method fixed: {len(strange)} of {len(groups)} images have no part, the first of case "
            f"'{brief(first)}'; data.parts must put every image in {', '.join(names)}"
        )
    chosen = {name: [i for i, part in enumerate(known.fixed) if part == name] for name in names}
    if len(set(groups)) > 1:
        first_part: dict[str, str] = {}
        for case, part in zip(groups, known.fixed, strict=True):
            if first_part.setdefault(case, part) != part:
                raise InputError(
                    f"protocol.split.method fixed: case '{brief(case)}' is in {first_part[case]} and in {part}; "
                    "data.parts must keep a case in one part"
                )
    train, val = [chosen["train"]] if chosen["train"] else [], [[i] for i in chosen["val"]]
    if not val and train:
        units = _units(groups, config, chosen["train"])
        count = max(1, _round(len(units.images) * config.val))
        if config.stratify:
            train, val = _spread(_by_stratum(units, config, known, math.ceil(1 / config.val)), count)
        else:
            cut = len(units.images) - count
            train, val = units.images[:cut], units.images[cut:]
    parts = Parts(_images(train), _images(val), tuple(chosen["test"]))
    _check(parts, len(groups), "cases", len(set(groups)))
    return parts


def _paper(count: int) -> Parts:
    if count < 2:
        raise InputError(f"too few images for the split: the paper's needs at least 2, not {count}")
    from sklearn.model_selection import train_test_split

    train, test = (tuple(sorted(part)) for part in train_test_split(range(count), test_size=0.2, random_state=41))
    return Parts(train, test, test)


def _check(parts: Parts, images: int, unit: str, units: int) -> None:
    if not all(parts):
        sizes = ", ".join(f"{name} {len(part)}" for name, part in parts._asdict().items())
        these = "1 image gives" if images == 1 else f"{images} images{f' in {units} {unit}' * (units < images)} give"
        raise InputError(f"too few images for the split: {these} {sizes}")


def _round(value: float) -> int:
    """Half up; 0.29 · 50 counts as the 14.5 it is meant to be."""
    return math.floor(value + 0.5 + 1e-9)


# Strata --------------------------------------------------------------------------------------------------------------

MOST_BINS = 10
"""Of the cases' share of foreground."""


def _by_stratum(units: _Units, config: Split, known: Known, parts: int) -> _Dealt:
    """The cases one stratum after the other, within each as they were dealt: what is taken of them evenly has its share
    of every stratum. `parts`: how many cases a bin of foreground has at least, where there are as many."""
    labels = _strata(units, known) if config.stratify == "stratum" else _bins(units, known, parts)
    order = sorted(range(len(labels)), key=lambda i: labels[i])  # stable
    return [units.images[i] for i in order]


def _strata(units: _Units, known: Known) -> list[str]:
    if not known.strata:
        raise InputError(
            "protocol.split.stratify stratum: the data set has no strata; give data.case a CSV with columns image, "
            "case and stratum"
        )
    found = []
    for case, images in zip(units.cases, units.images, strict=True):
        held = sorted({known.strata[i] for i in images})
        if len(held) > 1 or not held[0]:
            shown = " and ".join(f"'{brief(one)}'" for one in held[:2]) if len(held) > 1 else "none"
            raise InputError(
                f"protocol.split.stratify stratum: case '{brief(case)}' has {shown}; a case needs one stratum"
            )
        found.append(held[0])
    return found


def _bins(units: _Units, known: Known, parts: int) -> list[int]:
    """The quantile bin of each case's share of foreground; equal shares go by name, so that no shuffle moves a bin."""
    assert known.foreground, "the data set counts it where it is asked for"
    counts = np.asarray(known.foreground, dtype=np.float64)
    sums = [counts[images].sum(axis=0) for images in units.images]
    shares = [float(foreground / decided) if decided else 0.0 for foreground, decided in sums]
    bins = min(max(len(shares) // parts, 1), MOST_BINS)
    ranked = sorted(range(len(shares)), key=lambda i: (shares[i], units.cases[i]))
    found = [0] * len(shares)
    for rank, i in enumerate(ranked):
        found[i] = rank * bins // len(shares)
    return found


def _spread(units: _Dealt, count: int) -> tuple[_Dealt, _Dealt]:
    """The units but for `count` of them, and those: taken at even distances, so of any stretch as many as its share."""
    taken = {(2 * place + 1) * len(units) // (2 * count) for place in range(min(count, len(units)))}
    return [unit for i, unit in enumerate(units) if i not in taken], [units[i] for i in sorted(taken)]
