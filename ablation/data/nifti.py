"""Read a NIfTI volume as slices, and bring masks of these slices back to where the file has its voxels.

A volume is turned to canonical orientation (right, anterior, superior) by its affine, and cut across `plane`:

- `axial`: from the feet to the head, each slice with the front up and the right at the right;
- `coronal`: from the back to the front, each slice with the head up and the right at the right;
- `sagittal`: from left to right, each slice with the head up and the front at the right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ablate.errors import InputError

_AXES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
"""Of a canonical volume (right, anterior, superior), what slices, rows and columns run along; rows run backwards."""
_CANONICAL = np.array([[0, 1], [1, 1], [2, 1]])
_MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
"""Of the units that a header may say; of any other, and without, a unit is a millimetre."""


class Volume(NamedTuple):
    """A NIfTI file as slices, with what leads back to it."""

    slices: np.ndarray
    """(slices, H, W, channels), in the file's dtype, or as its header scales them."""
    plane: str
    """`axial`, `coronal` or `sagittal`."""
    affine: np.ndarray
    """(4, 4): from a voxel's place in the file to where it is, in the header's unit; NIfTI's right, anterior,
    superior. Of masks that are said to lie on their image (`data.geometry: image`), the image's."""
    header: Any
    """The file's own, as nibabel has it."""
    shape: tuple[int, ...]
    """Of the file's array: (X, Y), (X, Y, Z), or (X, Y, Z, channels)."""
    says_orientation: bool
    """Whether the header has a transform; without, `affine` is nibabel's fallback, which nobody vouches for."""

    @property
    def axes(self) -> str:
        """The directions that the file's axes run in, as `RAS`."""
        import nibabel

        return "".join(nibabel.aff2axcodes(self.affine))

    @property
    def canonical(self) -> np.ndarray:
        """(4, 4): the affine of the volume turned to right, anterior, superior; of equal grids it is the same."""
        from nibabel import orientations

        ornt = orientations.io_orientation(self.affine)
        found: np.ndarray = self.affine @ orientations.inv_ornt_aff(ornt, _spatial(self.shape))
        return found

    @property
    def canonical_shape(self) -> tuple[int, ...]:
        """Voxels to the right, to the front, and up."""
        return tuple(self.slices.shape[i] for i in np.argsort(_AXES[self.plane]))

    @property
    def voxel(self) -> tuple[float, float, float]:
        """Millimetres from a voxel to the next: to the right, to the front, and up."""
        unit = _MILLIMETRES.get(self.header.get_xyzt_units()[0], 1.0)
        x, y, z = (float(side) * unit for side in np.linalg.norm(self.canonical[:3, :3], axis=0))
        return x, y, z

    @property
    def spacing(self) -> tuple[float, float]:
        """Millimetres from one row of a slice to the next, and from one column to the next."""
        _, row, column = _AXES[self.plane]
        return self.voxel[row], self.voxel[column]

    def to_file_order(self, masks: np.ndarray) -> np.ndarray:
        """Masks of the slices, (slices, H, W), as the file has its voxels: (X, Y), or (X, Y, Z).

        Raises `ValueError` for masks of another shape than the slices'.
        """
        from nibabel import orientations

        if masks.shape != self.slices.shape[:3]:
            raise ValueError(f"masks of shape {masks.shape} for slices of shape {self.slices.shape[:3]}")
        canonical = np.flip(masks, axis=1).transpose(np.argsort(_AXES[self.plane]))
        back = orientations.ornt_transform(_CANONICAL, orientations.io_orientation(self.affine))
        found: np.ndarray = orientations.apply_orientation(canonical, back)
        return np.ascontiguousarray(found[..., 0] if len(self.shape) == 2 else found)


def read_volume(path: Path, plane: str = "axial", affine: np.ndarray | None = None) -> Volume:
    """The file's volume, cut across `plane`; a fourth or fifth axis is the channels.

    `affine`: taken for the header's own, whatever that says. Raises `InputError` for another number of axes, for a
    header without an orientation where the plane needs one, and for a file of a single plane that is not `plane`; what
    nibabel raises for a broken file.
    """
    import nibabel
    from nibabel import orientations

    file: Any = nibabel.load(path)
    array = np.asanyarray(file.dataobj)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 5 and array.shape[3] == 1:  # NIfTI's fourth axis is time, its fifth a vector of values
        array = array[:, :, :, 0]
    shape = array.shape
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim not in (3, 4):
        raise InputError(f"'{path}' has shape {shape}: expected one volume of three dimensions, or with channels last")
    says = affine is not None or bool(file.header["sform_code"] > 0 or file.header["qform_code"] > 0)
    affine = file.affine if affine is None else affine
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise InputError(f"'{path}' has a header whose affine gives no directions: save it with its affine")
    if plane != "axial" and not says:
        raise InputError(
            f"'{path}' has a header without orientation, so that its {plane} planes are not known: save it with its "
            "affine, or leave data.slices out"
        )
    canonical = orientations.apply_orientation(array, orientations.io_orientation(affine))
    channels = range(3, canonical.ndim)
    slices = np.flip(canonical.transpose(*_AXES[plane], *channels), axis=1)
    slices = slices if channels else slices[..., None]
    if 1 in slices.shape[1:3] and len(slices) > 1 and (own := _single_plane(canonical.shape)) != plane:
        raise InputError(
            f"'{path}' is a single {own} plane, and is cut into {plane} ones: set data.slices={own}, or save it with "
            "its affine"
        )
    return Volume(slices, plane, affine, file.header, shape, says)


def forms_that_differ(header: Any) -> tuple[str, str] | None:
    """The directions by a header's sform and by its qform, where it has both and they name other ones."""
    import nibabel

    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    if not (sform[1] and qform[1]):
        return None
    found = ["".join(nibabel.aff2axcodes(affine)) for affine in (sform[0], qform[0])]
    return (found[0], found[1]) if found[0] != found[1] else None


def _single_plane(shape: tuple[int, ...]) -> str:
    """The plane that a canonical volume of one slice lies in."""
    return next(plane for plane, axes in _AXES.items() if shape[axes[0]] == 1)


def _spatial(shape: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*shape, 1)[:3]
    return x, y, z
