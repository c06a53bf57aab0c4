"""What the axes of a stored array are: slices (Z), rows (Y), columns (X) and channels (C), by its shape and by what is
asked for. And which of its channels are read.

A plain array does not say what its axes are. Without a description it is read as it always was: a last axis of at most
four is of channels, a first one of three is of slices. What another number of channels is asked for decides otherwise
where that number is found along one axis alone; where two would do, `data.axes` has to say it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablate.errors import InputError

if TYPE_CHECKING:
    from ablate.data.settings import DataSource
    from ablate.part import DataPart

LETTERS = "ZYXC"
_READINGS = {2: ("YX",), 3: ("ZYX", "YXC", "CYX"), 4: ("ZYXC", "CZYX", "ZCYX")}
_MOST_BY_SHAPE = 4
"""Places along a last axis that make it one of channels."""
_GREY_OR_COLOUR = (1, 3)


class Reading(NamedTuple):
    """How the files of a data set are to be read, as its settings say."""

    channels: int = 0
    """As the network takes them; 0 for whatever there is."""
    use_channels: tuple[int, ...] = ()
    plane: str = "axial"
    axes: str = ""
    geometry: str = ""
    colours: bool = False
    """Whether masks are read as colours, and a palette's indices as the colours they stand for."""

    @classmethod
    def of(cls, config: DataSource | DataPart) -> Reading:
        """Of any data set; what its files' settings are called means nothing where it has settings of other types."""
        use, plane = getattr(config, "use_channels", ()), getattr(config, "slices", "axial")
        texts = [getattr(config, name, "") for name in ("axes", "geometry")]
        axes, geometry = (text if isinstance(text, str) else "" for text in texts)
        plane = plane if plane in ("axial", "coronal", "sagittal") else "axial"
        use = use if isinstance(use, tuple) else ()
        return cls(config.channels, use, plane, axes, geometry, getattr(config, "in_colour", False) is True)

    def fits(self, count: int) -> bool:
        """Whether a file of so many channels is what is asked for."""
        if self.use_channels:
            return max(self.use_channels) < count
        both_plain = self.channels in _GREY_OR_COLOUR and count in _GREY_OR_COLOUR
        return self.channels in (0, count) or both_plain


def taken(slices: np.ndarray, path: Path, reading: Reading) -> np.ndarray:
    """The channels of (slices, H, W, channels) that are asked for; grey and colour are left to be made of each other.

    Raises `InputError` where the file has another number of channels.
    """
    count = slices.shape[3]
    if not reading.fits(count):
        has = f"'{path}' has {count} channel{'s' if count > 1 else ''}"
        if reading.use_channels:
            raise InputError(f"{has}, counted from 0, and data.use_channels asks for {max(reading.use_channels)}")
        remedy = f"--set data.channels={count} takes what there is"
        if count > 1:
            some = list(range(min(count - 1, 3)))
            shown = str(some).replace(" ", "")
            remedy += f", --set data.use_channels={shown} --set data.channels={len(some)} some of them"
        raise InputError(f"{has} and data.channels is {reading.channels}: {remedy}")
    return slices[..., list(reading.use_channels)] if reading.use_channels else slices


def arranged(array: np.ndarray, axes: str) -> np.ndarray:
    """(Z, Y, X, C) of an array whose axes are named; those that it lacks are of one place."""
    ordered = array.transpose([axes.index(letter) for letter in LETTERS if letter in axes])
    if "C" not in axes:
        ordered = ordered[..., None]
    return ordered if "Z" in axes else ordered[None]


def described(shape: tuple[int, ...], reading: Reading, is_mask: bool) -> str:
    """The axes of an array by `data.axes`, empty without; those of a mask of one axis less are without the channels."""
    axes = reading.axes
    return axes.replace("C", "") if is_mask and len(shape) == len(axes) - 1 else axes


def axes_of(path: Path, shape: tuple[int, ...], reading: Reading, is_mask: bool) -> str:
    """The axes of a plain array. Raises `InputError` for a shape that none fits, or two of the number asked for."""
    if axes := described(shape, reading, is_mask):
        check_described(path, shape, axes)
        return axes
    usual = _usual(shape)
    if usual and (is_mask or "C" in usual or reading.fits(1)):
        return usual
    others = [] if is_mask or not reading.channels else _READINGS.get(len(shape), ())
    others = [axes for axes in others if "C" in axes and reading.fits(shape[axes.index("C")])]
    if len(others) > 1:
        raise InputError(
            f"'{path}' has shape {shape}, whose axes may be {' or '.join(others)}: set data.axes to what they are"
        )
    if not others and not usual:
        raise InputError(
            f"'{path}' has shape {shape}: expected (H, W), (H, W, channels) or (slices, H, W), or data.axes that names "
            "them (ZCYX: slices, channels, rows, columns)"
        )
    return others[0] if others else usual


def check_described(path: Path, shape: tuple[int, ...], axes: str) -> None:
    """Raises `InputError` where an array has another number of axes than `axes` names."""
    if len(shape) != len(axes):
        raise InputError(f"'{path}' has shape {shape} and data.axes is {axes}: expected {len(axes)} axes")


def would_fit(image: tuple[int, ...], mask: tuple[int, ...]) -> str:
    """By what axes an array of shape `image` would have slices of `mask`'s (slices, H, W); empty if by none."""
    for axes in _READINGS.get(len(image), ()):
        sizes = dict(zip(axes, image, strict=True))
        if (sizes.get("Z", 1), sizes["Y"], sizes["X"]) == mask:
            return axes
    return ""


def _usual(shape: tuple[int, ...]) -> str:
    """What an array of this shape always was; empty for one that was refused."""
    has_channels = len(shape) > 2 and shape[-1] <= _MOST_BY_SHAPE
    return {2: "YX", 3: "YXC" if has_channels else "ZYX", 4: "ZYXC" if has_channels else ""}.get(len(shape), "")
