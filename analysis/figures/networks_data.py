"""The record of a data set's networks as the JSON that a page's views read: column by column, every text once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from ablate.analysis.figures.networks import Factor, Networks, Quantity, Sure
from ablate.analysis.format import shown

_MOST_TEXT, _DECIMALS, _THOUSAND = 400, 4, 1000
_ACTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What would end the element that holds the JSON, or begin another in it."""


def json_of(found: Sequence[Networks], x: str = "params", y: str = "dice") -> str:
    """What stands in a page's `<script type="application/json">`: it holds no `<`, whatever the names are.

    `x` and `y` are the quantities that a plot opens with, where there are such.
    """
    text = json.dumps(
        [document(one) | {"start": [x, y]} for one in found], ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return text.translate(_ACTS)


def document(found: Networks) -> dict[str, Any]:
    """The record as JSON has it: numbers that are not known are null, texts as they can be shown.

    Scores of single cases and of validation are whole thousandths and ten-thousandths, to be small.
    """
    rows = found.networks
    return {
        "task": _text(found.task),
        "cells": [_text(row.cell) for row in rows],
        "names": [_text(row.name) for row in rows],
        "labels": [_text(row.label) for row in rows],
        "models": _coded(row.model for row in rows),
        "configurations": _coded(row.configuration for row in rows) if not found.settings.varied else None,
        "trivial": sum(row.trivial for row in rows),
        "seeds": [row.seeds for row in rows],
        "epochs": [_number(row.epochs, 1) for row in rows],
        "seconds": [_number(row.seconds, 1) for row in rows],
        "quantities": [_quantity(one) for one in found.quantities],
        "factors": [_factor(one) for one in found.factors],
        "sure": [_sure(one) for one in found.sure],
        "settings": {
            "shared": {_text(path): _text(text) for path, text in found.settings.shared.items()},
            "varied": {_text(path): _coded(texts) for path, texts in found.settings.varied.items()},
        },
        "progress": {
            "epochs": found.progress.epochs,
            "spent": found.progress.spent,
            "scores": {
                name: [_scaled(row, 10 * _THOUSAND) for row in table.tolist()]
                for name, table in found.progress.scores.items()
            },
        },
        "tested": {
            "metric": found.tested.metric,
            "unit": found.tested.unit,
            "units": [_text(unit) for unit in found.tested.units],
            "networks": found.tested.networks,
            "scores": [_scaled(row, _THOUSAND) for row in found.tested.scores],
        },
        "lost": {str(at): text for at, text in found.lost.items()},
        "leftOut": found.left_out,
    }


def _factor(one: Factor) -> dict[str, Any]:
    levels = [_text(level) for level in one.levels]
    return {"name": _text(one.name), "levels": levels, "at": one.at, "numeric": one.numeric, "log": one.log}


def _sure(one: Sure) -> dict[str, Any]:
    return {
        "x": one.x,
        "y": one.y,
        "chance": {str(at): round(share, 2) for at, share in one.probability.items() if share >= 0.005},
        "possible": one.possible,
        "sure": one.sure,
        "band": [[_number(value, 6) for value in line] for line in one.band],
        "seeds": one.seeds,
    }


def _quantity(one: Quantity) -> dict[str, Any]:
    """`values` are whole: a front must not have ties that are none."""
    return {
        "name": one.name,
        "label": _text(one.label),
        "title": _text(one.title),
        "kind": one.kind,
        "maximise": one.maximise,
        "unit": one.unit,
        "values": [_whole(value) for value in one.values],
        "low": [_number(value, _DECIMALS) for value in one.low],
        "high": [_number(value, _DECIMALS) for value in one.high],
        "spread": [_number(value, _DECIMALS) for value in one.spread],
        "corrected": one.corrected,
    }


def _text(text: str) -> str:
    return shown(str(text), _MOST_TEXT).encode(errors="replace").decode()


def _coded(texts: Iterable[str]) -> dict[str, Any]:
    """Each text once, and which of them each row has."""
    rows = [_text(text) for text in texts]
    place = {text: at for at, text in enumerate(dict.fromkeys(rows))}
    return {"texts": list(place), "at": [place[text] for text in rows]}


def _number(value: float, decimals: int) -> float | None:
    return round(value, decimals) if math.isfinite(value) else None


def _whole(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def _scaled(values: Iterable[float], scale: int) -> list[int | None]:
    return [round(value * scale) if math.isfinite(value) else None for value in values]
