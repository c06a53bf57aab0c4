"""Read one image file, of any supported format, to slices × height × width × channels.

PNG, JPEG, TIFF (several pages are slices), NPY and NIfTI; 8- and 16-bit, floating point; grey, colour, palette. An
alpha channel is dropped. 16-bit colour PNGs are the exception: Pillow reads them as 8-bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".npy", ".nii", ".nii.gz")


def suffix(path: Path) -> str:
    """The supported suffix that `path` ends with, in lower case, or the empty string."""
    return next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")


def stem(path: Path) -> str:
    """The file name without its supported suffix (`.nii.gz` is one suffix)."""
    return path.name[: len(path.name) - len(suffix(path))]


def read_slices(path: Path) -> np.ndarray:
    """The image, or the volume's slices: (slices, H, W, channels), one channel or three, in the file's dtype.

    NIfTI volumes are turned to canonical orientation and cut axially, bottom to top, each slice with the front up.
    Raises `InputError` naming the file if it cannot be read, is empty, or is not an image.
    """
    return _read(path, labels=False)


def read_labels(path: Path) -> np.ndarray:
    """The values of a mask: (slices, H, W), in the file's dtype.

    A palette of colours is read as its indices (class labels), a palette of greys as its greys. A mask saved in colour
    must be grey all the same. Raises `InputError` as `read_slices` does.
    """
    array = _read(path, labels=True)
    if array.shape[3] > 1 and (array != array[..., :1]).any():
        raise InputError(f"mask '{path}' is in colour: expected one channel of class values, or a palette PNG")
    return array[..., 0]


def _read(path: Path, labels: bool) -> np.ndarray:
    kind = suffix(path)
    if not kind:
        raise InputError(f"'{path}': expected one of {', '.join(SUFFIXES)}")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"'{path}' is empty (0 bytes)")
        array = _decode(path, kind, labels)
    except InputError:
        raise
    except Exception as error:  # decoders raise anything at all on a broken file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"'{path}' cannot be read: {reason}") from error
    return _checked(array, path)


def _decode(path: Path, kind: str, labels: bool) -> np.ndarray:
    """(slices, H, W, channels), not yet checked."""
    if kind in (".tif", ".tiff"):
        return _tiff(path, labels)
    if kind == ".npy":
        return _npy(path)
    if kind in (".nii", ".nii.gz"):
        return _nifti(path)
    return _pillow(path, labels)


def _pillow(path: Path, labels: bool, all_frames: bool = False) -> np.ndarray:
    from PIL import Image, ImageSequence

    with Image.open(path) as image:
        frames = ImageSequence.all_frames(image) if all_frames else [image]
        return _joined([_frame(frame, labels)[None] for frame in frames], path)


def _frame(image: Image.Image, labels: bool) -> np.ndarray:
    if image.mode in ("P", "PA"):
        entries = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        if (entries == entries[:, :1]).all():
            array = np.asarray(image.convert("RGBA"))[..., 0]
        elif labels:
            array = np.asarray(image)
        else:
            array = np.asarray(image.convert("RGBA"))
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        array = np.asarray(image.convert("RGB"))
    else:
        array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def _tiff(path: Path, labels: bool) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        if tiff.pages.first.photometric in (tifffile.PHOTOMETRIC.PALETTE, tifffile.PHOTOMETRIC.MINISWHITE):
            return _pillow(path, labels, all_frames=True)
        try:
            return _joined([_channels_last(series.asarray(), series.axes) for series in tiff.series], path)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
    return _pillow(path, labels, all_frames=True)  # it has codecs that tifffile lacks


def _channels_last(array: np.ndarray, axes: str) -> np.ndarray:
    """(slices, H, W, channels) from tifffile's `axes`, where S or C are the channels, Y and X the plane."""
    for channels in ("S", "C"):
        if channels in axes:
            array = np.moveaxis(array, axes.index(channels), -1)
            return array.reshape(-1, *array.shape[-3:])
    return array.reshape(-1, *array.shape[-2:], 1)


def _joined(parts: list[np.ndarray], path: Path) -> np.ndarray:
    if len({part.shape[1:] for part in parts}) > 1:
        raise InputError(f"'{path}' has pages of different sizes: expected the slices of one volume")
    return np.concatenate(parts)


def _npy(path: Path) -> np.ndarray:
    array = np.load(path, allow_pickle=False)
    has_channels = array.ndim > 2 and array.shape[-1] <= 4
    if array.ndim - has_channels not in (2, 3):
        raise InputError(f"'{path}' has shape {array.shape}: expected (H, W), (H, W, channels) or (slices, H, W)")
    if not has_channels:
        array = array[..., None]
    return array if array.ndim == 4 else array[None]


def _nifti(path: Path) -> np.ndarray:
    import nibabel

    file: Any = nibabel.load(path)
    array = np.asanyarray(file.dataobj)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise InputError(f"'{path}' has shape {array.shape}: expected one volume of three dimensions")
    canonical = nibabel.apply_orientation(array, nibabel.io_orientation(file.affine))  # right, anterior, superior
    return np.flip(canonical.transpose(2, 1, 0), axis=1)[..., None]


def _checked(array: np.ndarray, path: Path) -> np.ndarray:
    """Without alpha, contiguous, in native byte order. Raises `InputError` if it is not an image."""
    if array.size == 0:
        raise InputError(f"'{path}' is empty (shape {array.shape})")
    if array.dtype.kind not in "buif":
        raise InputError(f"'{path}' holds {array.dtype} values: expected numbers")
    if array.shape[3] > 4:
        raise InputError(f"'{path}' has {array.shape[3]} channels: expected 1 to 4")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"'{path}' has values that are not finite (NaN or infinity)")
    has_alpha = array.shape[3] in (2, 4)
    if has_alpha:
        array = array[..., :-1]
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
