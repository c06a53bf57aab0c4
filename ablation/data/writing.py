"""What was found in an image as a file of the image's own kind: pages as pages, a volume as a volume.

A mask holds the values that the training masks had. PNG, JPEG and TIFF images whose classes are colours become
pictures with a palette, whose indices are the classes.
"""

from __future__ import annotations

import gzip
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.data.images import suffix
from ablate.data.nifti import Volume
from ablate.data.picture import UPRIGHT, Picture, stored_again
from ablate.part import DataPart

_TYPES = ("uint8", "uint16", "int16", "int32", "float32")
_COLOUR = re.compile("#[0-9a-fA-F]{6}")
_WHITE = 255
_MOST_OF_A_TIFF = 2**31
"""Bytes of pixels up to which a TIFF needs no wide offsets, however badly they are compressed."""
_Palette = Sequence[tuple[int, int, int]]
ORIENTATION = 274
"""EXIF's and TIFF's number of the tag."""


class Values(NamedTuple):
    """What files hold for class 0 (the background), 1, …"""

    numbers: tuple[float, ...]
    colours: tuple[tuple[int, int, int], ...] = ()
    """Where the classes are colours: red, green and blue, from 0 to 255. `numbers` are then the class indices."""
    are_given: bool = True
    """Whether the data set says so (`data.labels`), or they are the class indices."""

    @property
    def type(self) -> np.dtype[Any]:
        """The smallest type that holds all of `numbers`."""
        whole = all(float(number).is_integer() for number in self.numbers)
        for name in _TYPES[: 4 if whole else 0]:
            limits = np.iinfo(name)
            if limits.min <= min(self.numbers) and max(self.numbers) <= limits.max:
                return np.dtype(name)
        single = all(float(np.float32(number)) == number for number in self.numbers)
        return np.dtype(np.float32 if single else np.float64)

    def of(self, classes: NDArray[np.uint8]) -> NDArray[Any]:
        """Class indices as these values."""
        return np.array(self.numbers, dtype=self.type)[classes]


def values_of(data: DataPart) -> Values:
    """What the masks of a data set held for its classes: of several values of a class, the least; without `labels`,
    the class indices."""
    firsts = _firsts(getattr(data, "labels", ()))
    if len(firsts) != max(data.classes, 2):
        return Values(tuple(range(max(data.classes, 2))), are_given=False)
    if not isinstance(firsts[0], str):
        return Values(tuple(firsts))
    return Values(tuple(range(len(firsts))), tuple(map(_colour, firsts)))


def _firsts(labels: Any) -> list[Any]:
    """The first value of each class: all numbers, or all colours. Empty for what is no `data.labels`: a data set of a
    user's own may have a setting of this name, which is something else."""
    firsts = [one[0] for one in labels if isinstance(one, tuple) and one] if isinstance(labels, tuple) else []
    numbers = all(isinstance(value, int | float) for value in firsts)
    colours = all(isinstance(value, str) and _COLOUR.fullmatch(value) for value in firsts)
    return firsts if numbers or colours else []


def _colour(text: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def mask_ending(image: Path, data: DataPart) -> str:
    """What the mask's name ends with: as the image's, `.png` for JPEG, and `.tif` for values that PNG does not hold."""
    ending = suffix(image)
    if ending not in (".png", ".jpg", ".jpeg"):
        return ending
    return ".png" if values_of(data).type in (np.uint8, np.uint16) else ".tif"


def probability_ending(image: Path) -> str:
    """What the name of a file of probabilities ends with: as the image's, or `.tif` where that cannot hold them."""
    return ".tif" if suffix(image) in (".png", ".jpg", ".jpeg") else suffix(image)


def mask_file(image: Path, picture: Picture, classes: NDArray[np.uint8], data: DataPart) -> bytes:
    """A file, with `mask_ending`, of the class indices (slices, H, W) found in `picture`, which was read from `image`.

    The slices are upright. The file's are as the image's, with its tag of orientation. A PNG of two classes without
    values of their own is black and white.
    """
    ending, values = mask_ending(image, data), values_of(data)
    palette = values.colours if ending in (".png", ".tif", ".tiff") else ()
    if ending == ".png" and len(values.numbers) == 2 and not values.are_given:
        values = Values((0, _WHITE))
    return _file(image, ending, picture, classes if palette else values.of(classes), palette)


def probability_file(image: Path, picture: Picture, probabilities: NDArray[np.float32]) -> bytes:
    """A file, with `probability_ending`, of the probabilities (slices, H, W) of one class, as `mask_file`."""
    return _file(image, probability_ending(image), picture, probabilities)


def _file(image: Path, ending: str, picture: Picture, planes: NDArray[Any], palette: _Palette = ()) -> bytes:
    planes = np.ascontiguousarray(stored_again(planes, picture.orientation))
    if ending == ".png":
        return _png(planes[0], picture.orientation, palette)
    if ending == ".npy":
        return _npy(planes, picture.stored)
    if ending in (".tif", ".tiff"):
        return _tiff(image, planes, picture.orientation, palette)
    return _nifti(picture.volume, planes, zipped=ending == ".nii.gz")


def _png(plane: NDArray[Any], orientation: int, palette: _Palette) -> bytes:
    from PIL import Image

    picture = Image.fromarray(plane)
    if palette:
        picture.putpalette([level for colour in palette for level in colour])
    tags = Image.Exif()
    if orientation != UPRIGHT:
        tags[ORIENTATION] = orientation
    file = io.BytesIO()
    picture.save(file, format="PNG", exif=tags)
    return file.getvalue()


def _npy(planes: NDArray[Any], shape: tuple[int, ...]) -> bytes:
    """(slices, H, W), or (H, W) where the image, of this shape, had no axis of slices."""
    has_slices = len(planes) > 1 or len(shape) == 4 or shape == planes.shape
    file = io.BytesIO()
    np.save(file, planes if has_slices else planes[0], allow_pickle=False)
    return file.getvalue()


def _tiff(image: Path, planes: NDArray[Any], orientation: int, palette: _Palette) -> bytes:
    """A page for each slice, with the resolution of the image's first page."""
    import tifffile

    how: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib", "metadata": None, "software": False}
    if palette:
        table = np.zeros((3, 256), dtype=np.uint16)
        table[:, : len(palette)] = np.array(palette).T * 257
        how |= {"photometric": "palette", "colormap": table}
    if orientation != UPRIGHT:
        how["extratags"] = [(ORIENTATION, "H", 1, orientation, True)]
    if suffix(image) in (".tif", ".tiff"):
        with tifffile.TiffFile(image) as tiff:
            first = tiff.pages.first
            if "XResolution" in first.tags and "YResolution" in first.tags:
                how |= {"resolution": first.resolution, "resolutionunit": first.resolutionunit}
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=planes.nbytes > _MOST_OF_A_TIFF) as writer:
        for plane in planes:
            writer.write(plane, contiguous=False, **how)
    return file.getvalue()


def _nifti(volume: Volume | None, planes: NDArray[Any], *, zipped: bool) -> bytes:
    """A volume in the image's own order of voxels, with its header but for what says how values are stored."""
    import nibabel

    assert volume is not None
    header = volume.header.copy()
    header.set_data_dtype(planes.dtype)
    header.set_slope_inter(1, 0)
    header.set_intent("none")
    header["cal_min"] = header["cal_max"] = 0  # the image's window
    voxels = volume.to_file_order(planes)
    shape = header.get_data_shape()
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    content: bytes = kind(voxels.reshape(shape) if voxels.size == math.prod(shape) else voxels, None, header).to_bytes()
    return gzip.compress(content, mtime=0) if zipped else content
