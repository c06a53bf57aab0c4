"""Whether an image and its mask lie on each other, by what their files say.

Two headers say the same where directions, voxel sizes and the middle of the volume agree beyond what rounding makes:
a qform keeps a rotation as three 32-bit numbers, which leaves some 6e-4 radians of doubt at half a turn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablate.data.nifti import Volume
from ablate.data.picture import Picture
from ablate.errors import InputError

_ANGLE = 2e-3
"""Radians between the directions of two axes that are the same."""
_SIZE = 1e-3
"""Share of its size that a voxel may be larger or smaller."""
_SHIFT = 0.1
"""Voxels that the middles of two volumes may lie apart."""


def check_together(image: Picture, path: Path, other: Picture, other_path: Path, geometry: str, is_mask: bool) -> None:
    """Raises `InputError`, naming both files and what differs, where `geometry` (`data.geometry`) does not decide."""
    if geometry == "image":
        return
    one_size = image.slices.shape[:3] == other.slices.shape[:3]
    if image.volume and other.volume:
        if not one_size and (geometry == "each" or image.volume.shape[:3] != other.volume.shape[:3]):
            return  # which is said of their sizes
        found = _volumes_differ(image.volume, other.volume, own=geometry == "each")
        may_be_turned = geometry == "" and one_size and not _volumes_differ(image.volume, other.volume, own=True)
    else:
        differ = image.orientation != other.orientation and geometry == ""
        found = f"EXIF orientation {image.orientation} and {other.orientation}" if differ else ""
        may_be_turned = True
    if found:
        called, plural = ("its mask", "the masks'") if is_mask else ("its further channel", "the further files'")
        unit = "voxels" if image.volume else "pixels"
        each = "; if each header is right, data.geometry=each" if may_be_turned else ""
        raise InputError(
            f"the headers of '{path}' and of {called} '{other_path}' do not agree: {found}. If {plural} {unit} lie on "
            f"the images' as they are stored, set data.geometry=image{each}"
        )


def _volumes_differ(image: Volume, mask: Volume, own: bool) -> str:
    """What differs between two volumes of one shape, with the numbers; `own`: once each is turned as it says."""
    if image.says_orientation != mask.says_orientation:
        return "only the first says an orientation" if image.says_orientation else "only the second says an orientation"
    one, two = (image.canonical, mask.canonical) if own else (image.affine, mask.affine)
    shape = image.canonical_shape if own else (*image.shape, 1)[:3]
    middle = np.array([*((side - 1) / 2 for side in shape), 1.0])
    sizes = [np.linalg.norm(affine[:3, :3], axis=0) for affine in (one, two)]
    found = []
    cosines = ((one[:3, :3] / sizes[0]) * (two[:3, :3] / sizes[1])).sum(axis=0)
    angle = float(np.arccos(np.clip(cosines.min(), -1, 1)))
    if angle > _ANGLE:
        apart = f"{np.degrees(angle):.3g} degrees apart"
        found.append(f"orientation {image.axes} and {mask.axes}" if image.axes != mask.axes else f"directions {apart}")
    if (np.abs(sizes[0] - sizes[1]) > _SIZE * sizes[0]).any():
        found.append(f"spacing {_numbers(sizes[0])} and {_numbers(sizes[1])}")
    place = middle if not found else np.array([0, 0, 0, 1.0])  # what else differs moves the middle too
    if np.linalg.norm(((one - two) @ place)[:3] / sizes[0].min()) > _SHIFT:
        found.append(f"origin {_numbers(one[:3, 3])} and {_numbers(two[:3, 3])}")
    return ", ".join(found)


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
