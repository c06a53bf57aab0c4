"""Read a TIFF: its pages are slices, and its channels, its alpha, what is white in it and how far its pixels lie apart
are what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from ablate.data.axes import Reading, arranged, check_described, described
from ablate.data.picture import UPRIGHT, Picture
from ablate.errors import InputError

if TYPE_CHECKING:
    import tifffile

_NAMELESS = "QI"
"""What tifffile calls an axis that the file does not name."""
_MILLIMETRES = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "\\u00b5m": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "micrometer": 1e-3, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4,
}  # fmt: skip
"""Of the units of length as ImageJ and OME write them."""
_SCREENS = (72, 96)
"""Pixels an inch that programs write without having measured anything."""


def read_tiff(path: Path, reading: Reading, is_mask: bool) -> Picture | None:
    """The file's pages, or None for one that Pillow has to read: with a palette, with white as zero in up to eight bits
    (which Pillow turns round), or of a codec that tifffile lacks.

    Raises `InputError` for pages of several sizes, and where what is white cannot be told.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages.first
        white_is_zero = first.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        if first.photometric == tifffile.PHOTOMETRIC.PALETTE or (white_is_zero and first.bitspersample <= 8):
            return None
        try:
            parts = [_series(one, path, reading, is_mask) for one in tiff.series]
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            return None
        slices = joined(parts, path)
        if white_is_zero:
            slices = black_is_zero(slices, first.bitspersample, path)
        stored = tiff.series[0].shape if set(tiff.series[0].axes) & set(_NAMELESS) else ()
        return Picture(slices, spacing(tiff), orientation(tiff), None, stored)


def orientation(tiff: tifffile.TiffFile) -> int:
    """As its first page says, 1 to 8."""
    tag = tiff.pages.first.tags.get("Orientation")
    return int(tag.value) if tag and 1 <= int(tag.value) <= 8 else UPRIGHT


def joined(parts: list[np.ndarray], path: Path) -> np.ndarray:
    """The slices of all parts. Raises `InputError` if they are of several sizes."""
    if len({part.shape[1:] for part in parts}) > 1:
        raise InputError(f"'{path}' has pages of different sizes: expected the slices of one volume")
    return np.concatenate(parts)


def _series(series: Any, path: Path, reading: Reading, is_mask: bool) -> np.ndarray:
    array, axes = series.asarray(), str(series.axes)
    if "S" in axes and (alpha := _declared_alpha(series.keyframe)):
        array = np.take(array, range(array.shape[axes.index("S")] - alpha), axis=axes.index("S"))
    return by_axes(array, axes, path, reading, is_mask)


def _declared_alpha(page: Any) -> int:
    return sum(int(extra) in (1, 2) for extra in page.extrasamples)


def by_axes(array: np.ndarray, axes: str, path: Path, reading: Reading, is_mask: bool) -> np.ndarray:
    """(slices, H, W, channels) of tifffile's axes: S and C are channels, Y and X the plane, all others are slices."""
    if asked := described(array.shape, reading, is_mask):
        check_described(path, array.shape, asked)
        return arranged(array, asked)
    channels = [letter for letter in "CS" if letter in axes]
    nameless = [letter for letter in axes if letter in _NAMELESS]
    if not channels and len(nameless) == 1 and not is_mask and not reading.fits(1):
        count = array.shape[axes.index(nameless[0])]
        channels = nameless if reading.channels and reading.fits(count) else []
    others = [letter for letter in axes if letter not in ("Y", "X", *channels)]
    ordered = array.transpose([axes.index(letter) for letter in (*others, "Y", "X", *channels)])
    height, width = (array.shape[axes.index(letter)] for letter in "YX")
    count = int(np.prod([array.shape[axes.index(letter)] for letter in channels], dtype=int))
    return ordered.reshape(-1, height, width, count)


def of_pages(pages: np.ndarray, tiff: tifffile.TiffFile, path: Path, reading: Reading, is_mask: bool) -> np.ndarray:
    """(slices, H, W, channels) of pages that Pillow decoded, (pages, H, W, channels), by the file's axes.

    Raises `InputError` where it left channels out, as it does with those that have no meaning.
    """
    import tifffile

    first, series = tiff.pages.first, tiff.series[0]
    samples = first.samplesperpixel - _declared_alpha(first)
    plain = first.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK)
    if plain and pages.shape[3] < samples:
        raise InputError(
            f"'{path}' has {samples} channels, of which {pages.shape[3]} can be read as it is compressed: save it "
            "without compression"
        )
    sizes = {letter: size for letter, size in zip(series.axes, series.shape, strict=True) if letter not in "YXS"}
    if len(tiff.series) > 1 or np.prod([*sizes.values()], dtype=int) != len(pages):
        return pages
    colour = pages.shape[3] > 1
    array = pages.reshape(*sizes.values(), *pages.shape[1:3], *pages.shape[3 if colour else 4 :])
    return by_axes(array, "".join(sizes) + "YX" + "S" * colour, path, reading, is_mask)


def black_is_zero(slices: np.ndarray, bits: int, path: Path) -> np.ndarray:
    """Values whose zero is white, turned round. Raises `InputError` where their white and black are not known."""
    if slices.dtype.kind == "u":
        inverted: np.ndarray = slices.dtype.type(2**bits - 1) - slices
        return inverted
    raise InputError(f"'{path}' says that white is zero, of {slices.dtype} values: save it with black as zero")


def spacing(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """As OME, ImageJ or the resolution says it, in a unit of length; None for what a program writes unmeasured."""
    if tiff.is_ome and tiff.ome_metadata:
        return _of_ome(tiff.ome_metadata)
    tags = tiff.pages.first.tags
    rows, columns = (_pixels(tags.get(name)) for name in ("YResolution", "XResolution"))
    if not rows or not columns:
        return None
    if tiff.is_imagej and tiff.imagej_metadata:
        unit = _MILLIMETRES.get(str(tiff.imagej_metadata.get("unit", "")).strip().lower())
    else:
        tag = tags.get("ResolutionUnit")
        unit = {2: 25.4, 3: 10.0}.get(int(tag.value) if tag else 1)
        if unit == _MILLIMETRES["inch"] and round(rows) in _SCREENS:
            return None
    return (unit / rows, unit / columns) if unit else None


def _pixels(tag: Any) -> float:
    """Pixels a unit; 0 where that is not said."""
    if tag is None:
        return 0.0
    above, below = tag.value
    return above / below if above > 0 and below > 0 else 0.0


def _of_ome(text: str) -> tuple[float, float] | None:
    try:
        elements = ElementTree.fromstring(text).iter()
    except ElementTree.ParseError:
        return None
    pixels = next((one.attrib for one in elements if one.tag.endswith("}Pixels")), {})
    found = []
    for axis in "YX":
        unit = _MILLIMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            size = float(pixels.get(f"PhysicalSize{axis}", "nan"))
        except ValueError:
            return None
        if unit is None or not 0 < size < float("inf"):
            return None
        found.append(size * unit)
    return found[0], found[1]
