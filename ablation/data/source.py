"""What a source of images gives: samples in their native form, and a description for people."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

IGNORED = 255
"""What a mask holds where nobody decided what is there: no class, neither learnt from nor scored."""


class Sample(NamedTuple):
    """One image with its mask, as decoded: not yet scaled or resized."""

    id: str
    group: str
    """The case it came from (a patient, a volume), which a split never divides; the id where images are independent."""
    image: np.ndarray
    """(H, W) or (H, W, channels), in the file's dtype."""
    mask: np.ndarray
    """(H, W) uint8 class indices, 0 the background, `IGNORED` where it is not known."""
    limits: tuple[float, float] | None = None
    """The values that are scaled to 0 and 1, where the source fixes them; see `ablate.data.dataset`."""
    labels: tuple[float, ...] = ()
    """What the mask files hold for classes 0, 1, … where those are numbered anew; the same for all of a data set."""
    spacing: tuple[float, float] | None = None
    """Millimetres from one row to the next, and from one column to the next; None where that is not known."""
    part: str = ""
    """`train`, `val` or `test`, where the data set fixes its split."""
    stratum: str = ""
    """What a stratified split has as much of in each part, where the data set says it."""
    volume: str = ""
    """The volume it is a slice of, over which its values are scaled; where empty, that is the case."""


class DatasetInfo(NamedTuple):
    """What `ablate datasets` says of a source."""

    name: str
    what: str
    layout: str
    """The files expected under `--data-dir`, in one line; empty if none are."""
    needs_dir: bool
    citation: str
