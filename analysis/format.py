"""Numbers and names as people read them, the same in the terminal, in figures and in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence

_NAMES = {
    "unet": "U-Net",
    "unet_plus_plus": "UNet++",
    "attention_unet": "Attention U-Net",
    "resnet34_unet": "ResNet34-UNet",
    "fcn8s": "FCN-8s",
    "pyconvunet": "PyConvU-Net",
}
_PREFIXES = ("", "k", "M", "G", "T", "P")
NO_BREAK = "\N{NO-BREAK SPACE}"


def model_name(model: str) -> str:
    """A network's name as a paper prints it; one that is not known stays as it is."""
    return _NAMES.get(model, model.replace("_", " "))


def si(value: float) -> str:
    """A count with three significant digits and an SI prefix: `7.77 M`, `48.6 G`, `512`."""
    if not math.isfinite(value):
        return "–"
    step = 0
    while abs(value) >= 999.5 and step < len(_PREFIXES) - 1:
        value, step = value / 1000, step + 1
    if step == 0:
        return f"{value:.0f}"
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}{NO_BREAK}{_PREFIXES[step]}"


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


def several(count: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listing(items: Sequence[str], most: int = 8) -> str:
    """`a`, `a and b`, `a, b and c`; of more than `most`, the first of them `and 12 others`."""
    if len(items) > most:
        items = [*items[: most - 1], f"{len(items) - most + 1} others"]
    return " and ".join(items) if len(items) < 3 else ", ".join(items[:-1]) + f" and {items[-1]}"
