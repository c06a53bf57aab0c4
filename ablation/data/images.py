"""Read one image file, of any supported format, to slices × height × width × channels.

PNG, JPEG, TIFF (several pages are slices), NPY and NIfTI; 8- and 16-bit, floating point; grey, colour, palette, and as
many channels as there are. An alpha channel is dropped where the format says that it is one. 16-bit colour PNGs are the
exception: Pillow reads them as 8-bit.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ablate.data.axes import Reading, arranged, axes_of, taken
from ablate.data.nifti import forms_that_differ, read_volume
from ablate.data.picture import UPRIGHT, Picture, stored_again, upright
from ablate.data.tiff import black_is_zero, joined, of_pages, orientation, read_tiff, spacing
from ablate.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 274
"""EXIF's number of it."""
_ROWS_AND_COLUMNS_SWAPPED = 4
"""The orientation above which Pillow 13 misplaces the pixels of a TIFF that is not compressed."""
_PILLOW_INVERTS = 8
"""Bits of a TIFF whose zero is white up to which Pillow has turned the values round."""
SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".npy", ".nii", ".nii.gz")


def suffix(path: Path) -> str:
    """The supported suffix that `path` ends with, in lower case, or the empty string."""
    return next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")


def stem(path: Path) -> str:
    """The file name without its supported suffix (`.nii.gz` is one suffix)."""
    return path.name[: len(path.name) - len(suffix(path))]


def one_form(name: str) -> str:
    """A name as it is compared: file systems and archives keep an accent with its letter, or after it."""
    return unicodedata.normalize("NFC", name)


def read_slices(path: Path, reading: Reading = Reading()) -> np.ndarray:  # noqa: B008 (immutable)
    """The image, or the volume's slices, upright: (slices, H, W, channels), in the file's dtype.

    NIfTI volumes are turned to canonical orientation and cut across `reading.plane` (`ablate.data.nifti`). Raises
    `InputError` naming the file if it cannot be read, is empty, is not an image, or has other channels than asked for.
    """
    return upright(read_image(path, reading)).slices


def read_image(path: Path, reading: Reading) -> Picture:
    """The image as its file has it: not yet turned upright. Raises as `read_slices` does."""
    picture = _read(path, reading, is_mask=False)
    return picture._replace(slices=taken(picture.slices, path, reading))


def read_labels(path: Path) -> np.ndarray:
    """The values of a mask, upright: (slices, H, W), in the file's dtype.

    A palette of colours is read as its indices (class labels), a palette of greys as its greys. A mask saved in colour
    must be grey all the same. Raises `InputError` as `read_slices` does.
    """
    return upright(read_mask(path, Reading())).slices[..., 0]


def read_mask(path: Path, reading: Reading, affine: np.ndarray | None = None) -> Picture:
    """A mask as its file has it, of one channel, or where it is read as colours of three: not yet turned upright.

    `affine`: of its image, where its own header does not count. Raises as `read_labels` does.
    """
    picture = _read(path, reading, is_mask=True, affine=affine)
    slices = picture.slices
    if reading.colours:
        return picture
    if slices.shape[3] > 1 and (slices != slices[..., :1]).any():
        raise InputError(
            f"mask '{path}' is in colour: expected one channel of class values, or a palette PNG; or name the colours "
            "of the classes by data.labels"
        )
    return picture._replace(slices=slices[..., :1])


def _read(path: Path, reading: Reading, is_mask: bool, affine: np.ndarray | None = None) -> Picture:
    if not suffix(path):
        raise InputError(f"'{path}': expected one of {', '.join(SUFFIXES)}")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"'{path}' is empty (0 bytes)")
        picture = _decode(path, reading, is_mask, affine)
    except InputError:
        raise
    except Exception as error:  # decoders raise anything at all on a broken file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"'{path}' cannot be read: {reason}") from error
    return picture._replace(slices=_checked(picture.slices, path))


def _decode(path: Path, reading: Reading, is_mask: bool, affine: np.ndarray | None) -> Picture:
    """Not yet checked."""
    kind, by_index = suffix(path), is_mask and not reading.colours
    if kind in (".tif", ".tiff"):
        return read_tiff(path, reading, is_mask) or _tiff_by_pillow(path, reading, is_mask)
    if kind == ".npy":
        array = np.load(path, allow_pickle=False)
        slices = arranged(array, axes_of(path, array.shape, reading, is_mask)) if array.size else array
        return Picture(slices, stored=array.shape)
    if kind in (".nii", ".nii.gz"):
        return _nifti(path, reading, affine)
    return _pillow(path, by_index)


def _pillow(path: Path, labels: bool) -> Picture:
    from PIL import Image

    with Image.open(path) as image:
        slices = _frame(image, labels)[None]
        tag = image.getexif().get(_ORIENTATION, UPRIGHT)
    return Picture(slices, orientation=tag if tag in range(1, 9) else UPRIGHT)


def _tiff_by_pillow(path: Path, reading: Reading, is_mask: bool) -> Picture:
    import tifffile
    from PIL import Image, ImageSequence

    with Image.open(path) as image:
        by_index = is_mask and not reading.colours
        frames = [_frame(frame, by_index)[None] for frame in ImageSequence.all_frames(image)]
    with tifffile.TiffFile(path) as tiff:
        turned, first = orientation(tiff), tiff.pages.first
        if turned > _ROWS_AND_COLUMNS_SWAPPED and first.compression == tifffile.COMPRESSION.NONE:
            raise InputError(f"'{path}' is to be turned (orientation {turned}) and is not compressed: save it upright")
        slices = stored_again(joined(frames, path), turned)  # Pillow turns TIFFs itself
        if first.photometric == tifffile.PHOTOMETRIC.MINISWHITE and first.bitspersample > _PILLOW_INVERTS:
            slices = black_is_zero(slices, first.bitspersample, path)
        return Picture(of_pages(slices, tiff, path, reading, is_mask), spacing(tiff), turned)


def _frame(image: Image.Image, labels: bool) -> np.ndarray:
    """(H, W, channels), without alpha."""
    if image.mode in ("P", "PA"):
        entries = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        if (entries == entries[:, :1]).all():
            array = np.asarray(image.convert("RGBA"))[..., 0]
        elif labels:
            array = np.asarray(image)[..., 0] if image.mode == "PA" else np.asarray(image)
        else:
            array = np.asarray(image.convert("RGBA"))[..., :3]
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        array = np.asarray(image.convert("RGB"))
    else:
        array = np.asarray(image)
        array = array[..., :-1] if image.mode in ("LA", "La", "RGBA", "RGBa") else array
    return array if array.ndim == 3 else array[..., None]


def _nifti(path: Path, reading: Reading, affine: np.ndarray | None) -> Picture:
    volume = read_volume(path, reading.plane, affine)
    if affine is None and not reading.geometry and (both := forms_that_differ(volume.header)):
        raise InputError(
            f"'{path}' says two orientations: {both[0]} by its sform, {both[1]} by its qform; mend its header, or set "
            "data.geometry=each to take the sform of each file"
        )
    return Picture(volume.slices, volume.spacing if volume.says_orientation else None, UPRIGHT, volume)


def _checked(array: np.ndarray, path: Path) -> np.ndarray:
    """Contiguous, in native byte order. Raises `InputError` if it is not an image."""
    if array.size == 0:
        raise InputError(f"'{path}' is empty (shape {array.shape})")
    if array.dtype.kind not in "buif":
        raise InputError(f"'{path}' holds {array.dtype} values: expected numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"'{path}' has values that are not finite (NaN or infinity)")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
