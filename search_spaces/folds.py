"""Folds: how many a space's splits have, and which of them are trained. Those of a configuration are one cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ablate.data.dataset import Dataset
from ablate.data.settings import Split
from ablate.errors import InputError, brief
from ablate.search_spaces.space import Fields, Space
from ablate.settings import parse
from ablate.trial import Protocol

_METHOD, _FOLDS, FOLD = (f"protocol.split.{name}" for name in ("method", "folds", "fold"))


def fold_fields(space: Space, folds: int | None, overrides: Fields) -> Fields:
    """What `folds` sets in every trial, and `overrides` over it; by default the space's number.

    Raises `InputError` where the command line gives the split in two ways.
    """
    number = folds if folds is not None else space.folds
    if number is None:
        return overrides
    wanted: Fields = {_METHOD: "kfold", _FOLDS: number}
    if folds is not None:
        for path, value in wanted.items():
            if overrides.get(path, value) != value:
                raise InputError(f"--folds {folds}: --set {path} is {brief(overrides[path])}; leave one of them out")
    return wanted | overrides


def check_factor(space: Space, factor: str, paths: Collection[str]) -> None:
    """Raises `InputError` where the levels of a factor, which set `paths`, are folds."""
    if FOLD in paths:
        raise InputError(
            f"factor {factor} of space {space.name} varies {FOLD}: the folds of a configuration are one cell, whose "
            "scores are pooled; take the factor out, and give folds: 5 instead (or --folds 5)"
        )


def protocol_on(dataset: Dataset, fields: Mapping[str, Any], protocol: Protocol) -> Protocol:
    """The protocol of a configuration on its data: a split that the data set fixes is the one, unless `fields` (of the
    configuration, nested) name a method."""
    given = _split_fields(fields)
    if not dataset.fixed or "method" in given:
        return protocol
    return protocol.model_copy(update={"split": parse(Split, {**given, "method": "fixed"}, "protocol.split")})


def unused_parts(dataset: Dataset, split: Split) -> str:
    """What must be said where a data set fixes its split, and another is asked for."""
    if not dataset.fixed or split.method == "fixed":
        return ""
    return (
        f"the split that {dataset.config.name} fixes (data.parts) is not used: protocol.split.method is {split.method}"
    )


def folds_of(fields: Mapping[str, Any], split: Split, only: Sequence[int]) -> Sequence[int]:
    """The folds that are trained of a configuration: the one that its `fields` name, those of `only`, or all.

    Raises `InputError` for a fold that there is not.
    """
    if split.method != "kfold":
        if only:
            raise InputError(f"--fold {only[0]}: {_METHOD} is {split.method}, which has no folds; give --folds too")
        return [0]
    if "fold" in _split_fields(fields):
        if only:
            raise InputError(f"--fold {only[0]}: {FOLD} is {split.fold} already; leave one of them out")
        return [split.fold]
    strange = [fold for fold in only if fold >= split.folds]
    if strange:
        raise InputError(f"--fold {strange[0]}: there are {split.folds} folds, counted from 0")
    return sorted(set(only)) or range(split.folds)


def _split_fields(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = fields.get("protocol", {}).get("split", {})
    return found
