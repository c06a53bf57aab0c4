"""Numbers and names as people read them, the same in the terminal, in figures and in the report."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ablate.part import DataPart

_NAMES = {
    "unet": "U-Net",
    "unet_plus_plus": "UNet++",
    "attention_unet": "Attention U-Net",
    "resnet34_unet": "ResNet34-UNet",
    "fcn8s": "FCN-8s",
    "pyconvunet": "PyConvU-Net",
}
MIXED = " ‡"
"""Ends the label of a cell whose seeds were made by several versions, in every table and figure."""
CHOSEN = "§"
"""Marks an interval that is corrected for its network's having been chosen from the data, in every table."""
PREFIXES = ("", "k", "M", "G", "T", "P")
NO_BREAK = "\N{NO-BREAK SPACE}"
T = TypeVar("T")

_MOST_SHOWN = 2000
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that end lines or turn text round, and halves of characters, which no encoding has."""


def shown(text: str, most: int = _MOST_SHOWN) -> str:
    """Text from anywhere as it can be shown: what would act or break is visible (`␛`, `�`), what is endless is cut."""

    def visible(found: re.Match[str]) -> str:
        code = ord(found[0])
        return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"

    return _UNSEEN.sub(visible, text if len(text) <= most else shortened(text, most))


def shortened(text: str, most: int = 40) -> str:
    """A name that fits beside a point or in a legend: a long one keeps its beginning and its end."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 1].rstrip()}…{text[-end:].lstrip()}"


def model_name(model: str) -> str:
    """A network's name as a paper prints it; one that is not known stays as it is."""
    return _NAMES.get(model, model.replace("_", " "))


def resolution(data: DataPart) -> str:
    """At which size the scores of a data set's trials are."""
    height, width = data.size
    from ablate.data.fit import is_scored_at_own_size  # numpy, which help does without

    return "at each image's own size" if is_scored_at_own_size(data) else f"at {height}x{width} pixels"


def si(value: float) -> str:
    """A count with three significant digits and an SI prefix: `7.77 M`, `48.6 G`, `512`."""
    if not math.isfinite(value):
        return "–"
    step = 0
    while abs(value) >= 999.5 and step < len(PREFIXES) - 1:
        value, step = value / 1000, step + 1
    if step == 0:
        return f"{value:.0f}"
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}{NO_BREAK}{PREFIXES[step]}"


def score(mean: float, spread: float | None = None) -> str:
    """A score with its spread over seeds, where there is one: `0.842 ± 0.004`."""
    if not math.isfinite(mean):
        return "–"
    return f"{mean:.3f}" if spread is None else f"{mean:.3f}{NO_BREAK}±{NO_BREAK}{spread:.3f}"


def between(mean: float, low: float, high: float) -> str:
    """A score with its interval: `0.842 [0.831, 0.853]`; without one, the score alone."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return score(mean)
    return f"{mean:.3f}{NO_BREAK}[{low:.3f},{NO_BREAK}{high:.3f}]"


def setting(value: Any) -> str:
    """A setting's value, compactly: `0.9`, `3,5,7`, `3,5/3,7`."""
    if isinstance(value, list | tuple) and value:
        return ("/" if isinstance(value[0], list | tuple) else ",").join(map(setting, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def several(count: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def cut(items: Sequence[T], most: int = 8) -> tuple[Sequence[T], int]:
    """Of more than `most` items the first, and how many others there are: together `most` things to say."""
    return (items, 0) if len(items) <= most else (items[: most - 1], len(items) - most + 1)


def listing(items: Sequence[str], most: int = 8) -> str:
    """`a`, `a and b`, `a, b and c`; of more than `most`, the first of them `and 12 others`."""
    first, others = cut(items, most)
    said = [*first, *([f"{others} others"] if others else [])]
    return " and ".join(said) if len(said) < 3 else ", ".join(said[:-1]) + f" and {said[-1]}"


def level_label(levels: dict[str, str]) -> str:
    """The levels of a design as a short name: `levels=4`; a network is its own name.

    Where components are left out one at a time: `without residual`, or `full`.
    """
    if levels and set(levels.values()) <= {"with", "without"}:
        gone = [name.split(".")[-1] for name, level in levels.items() if level == "without"]
        return f"without {', '.join(gone)}" if gone else "full"
    return ", ".join(level if name == "network" else f"{name.split('.')[-1]}={level}" for name, level in levels.items())
