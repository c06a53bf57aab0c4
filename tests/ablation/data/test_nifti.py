"""A volume is cut as its affine says, whatever its storage order, and its masks find their way back to the voxels."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ablate.data.nifti import forms_that_differ, read_volume
from ablate.errors import InputError

CODES = ["".join(code) for code in itertools.product("LR", "AP", "IS")]
ORDERS = [*CODES, "SRA", "IPL", "PSR", "ASL", "RSA", "LIP"]
"""All reflections, and some orders, of the axes."""
PLANES = {"axial": (5, 7, 6), "coronal": (7, 5, 6), "sagittal": (6, 5, 7)}
VOLUME = np.arange(6 * 7 * 5, dtype=np.int16).reshape(6, 7, 5)  # right, front, up
AFFINE = np.array([[2.0, 0, 0, -11], [0, 3, 0, 5], [0, 0, 4, 7], [0, 0, 0, 1]])


def written(path: Path, codes: str = "RAS", array: np.ndarray = VOLUME, affine: np.ndarray = AFFINE) -> Path:
    """`array`, canonical, as a scanner of other axes would store it: the same voxels at the same places."""
    image = nibabel.Nifti1Image(array, affine)
    wanted = nibabel.orientations.axcodes2ornt(codes)
    nibabel.save(image.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), wanted)), path)
    return path


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("codes", ORDERS)
def test_whatever_the_storage_order_the_slices_are_the_same(codes: str, plane: str, tmp_path: Path) -> None:
    volume = read_volume(written(tmp_path / "a.nii.gz", codes), plane)
    assert volume.axes == codes
    assert volume.slices.shape == (*PLANES[plane], 1)
    for right, front, up in itertools.product(range(6), range(7), range(5)):
        place = {
            "axial": (up, 6 - front, right),
            "coronal": (front, 4 - up, right),
            "sagittal": (right, 4 - up, front),
        }[plane]
        assert volume.slices[place][0] == VOLUME[right, front, up]
    assert volume.spacing == pytest.approx({"axial": (3, 2), "coronal": (4, 2), "sagittal": (4, 3)}[plane])
    np.testing.assert_allclose(volume.canonical, AFFINE, atol=1e-5)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("codes", ORDERS)
def test_masks_go_back_to_the_files_own_order(codes: str, plane: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii.gz", codes)
    volume = read_volume(path, plane)
    stored = np.asanyarray(nibabel.load(path).dataobj)
    np.testing.assert_array_equal(volume.to_file_order(volume.slices[..., 0]), stored)
    with pytest.raises(ValueError, match="masks of shape"):
        volume.to_file_order(volume.slices[:-1, ..., 0])


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 1), (6, 7, 1, 1)])
def test_a_file_of_one_plane_is_an_image(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.arange(42, dtype=np.uint8).reshape(shape)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1, -1, 1, 1])), tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert volume.slices.shape == (1, 7, 6, 1)
    back = volume.to_file_order(volume.slices[..., 0])
    np.testing.assert_array_equal(back, array.reshape(shape[:3]))
    assert volume.shape == back.shape


@pytest.mark.parametrize("shape", [(6, 7, 5, 4), (6, 7, 5, 1, 4)])
def test_a_fourth_or_fifth_axis_is_of_channels(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 99, shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1, 1, 1, 1])), tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert volume.slices.shape == (5, 7, 6, 4)
    np.testing.assert_array_equal(volume.to_file_order(volume.slices[..., 2]), array.reshape(6, 7, 5, 4)[..., 2])


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("unknown", 1), ("meter", 1000), ("micron", 0.001)])
def test_spacing_is_in_millimetres_whatever_the_headers_unit(unit: str, factor: float, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOLUME, AFFINE)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    assert read_volume(tmp_path / "a.nii").spacing == pytest.approx((3 * factor, 2 * factor))


def test_without_orientation_only_axial_slices_are_cut(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOLUME, None), tmp_path / "a.nii")
    assert not read_volume(tmp_path / "a.nii").says_orientation
    for plane in ("coronal", "sagittal"):
        with pytest.raises(InputError, match=rf"a\.nii' has a header without orientation.*{plane}"):
            read_volume(tmp_path / "a.nii", plane)


@pytest.mark.parametrize(("codes", "plane"), [("RSA", "coronal"), ("ASR", "sagittal"), ("RAS", "axial")])
def test_a_single_plane_is_not_cut_across(codes: str, plane: str, tmp_path: Path) -> None:
    canonical = {"axial": VOLUME[:, :, :1], "coronal": VOLUME[:, :1], "sagittal": VOLUME[:1]}[plane]
    path = written(tmp_path / "a.nii", codes, canonical)
    assert len(read_volume(path, plane).slices) == 1
    for other in PLANES.keys() - {plane}:
        with pytest.raises(InputError, match=f"a single {plane} plane.*data.slices={plane}"):
            read_volume(path, other)


@pytest.mark.parametrize("broken", [np.zeros((4, 4)), np.diag([1.0, 1, 0, 1]), np.full((4, 4), np.nan)])
def test_an_affine_without_directions_is_refused(broken: np.ndarray, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOLUME, np.eye(4))
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    for row, values in zip(("srow_x", "srow_y", "srow_z"), broken, strict=False):
        image.header[row] = values
    data = image.header.binaryblock + b"\0\0\0\0" + VOLUME.tobytes(order="F")
    (tmp_path / "a.nii").write_bytes(data)
    with pytest.raises(InputError, match="gives no directions"):
        read_volume(tmp_path / "a.nii")


def test_two_transforms_of_one_file_that_name_other_directions_are_known(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOLUME, np.eye(4))
    assert forms_that_differ(image.header) is None  # it has one
    image.set_qform(AFFINE, 1)
    assert forms_that_differ(image.header) is None
    image.set_qform(np.diag([-1.0, -1, 1, 1]), 1)
    assert forms_that_differ(image.header) == ("RAS", "LPS")
