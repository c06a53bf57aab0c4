"""Whether a file is an image, as far as that can be told without reading its pixels."""

from __future__ import annotations

from pathlib import Path

from ablate.data.images import SUFFIXES, suffix
from ablate.errors import InputError


def check_header(path: Path) -> None:
    """Raises `InputError` for what is no file, has no supported suffix, or does not begin as an image of its suffix."""
    ending = suffix(path)
    if path.is_dir():
        raise InputError(f"'{path}' is a folder: give images, or --all '{path}' for every image below it")
    if not ending:
        raise InputError(f"'{path}': expected one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"'{path}' is {'no file' if path.exists() else 'not there'}: expected an image")
    if path.stat().st_size == 0:
        raise InputError(f"'{path}' is empty (0 bytes)")
    try:
        _open(path, ending)
    except Exception as error:  # decoders raise anything at all on a broken file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"'{path}' cannot be read: {reason}") from error


def _open(path: Path, ending: str) -> None:
    if ending in (".nii", ".nii.gz"):
        import nibabel

        nibabel.load(path)
    elif ending == ".npy":
        import numpy as np

        np.load(path, mmap_mode="r", allow_pickle=False)
    elif ending in (".tif", ".tiff"):
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            len(tiff.pages)
    else:
        from PIL import Image

        Image.open(path).close()
