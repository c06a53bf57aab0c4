"""What was found in an image as a file of the image's own kind, held against nibabel, tifffile, Pillow and NumPy."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from ablate.data.axes import Reading
from ablate.data.images import read_image, read_labels
from ablate.data.picture import upright
from ablate.data.settings import Folder
from ablate.data.writing import mask_ending, mask_file, probability_ending, probability_file, values_of
from ablate.part import DataPart

SHAPE = (5, 7, 4)
RNG = np.random.default_rng(0)


def data(**settings: Any) -> DataPart:
    return DataPart.of(Folder(**settings))


def classes_of(path: Path, count: int, reading: Reading = Reading()) -> tuple[Any, np.ndarray]:  # noqa: B008
    """What is read of an image, and classes that follow from its values alone: wherever they end, they can be told."""
    picture = read_image(path, reading)
    return picture, (upright(picture).slices[..., 0].astype(int) % count).astype(np.uint8)


def written(path: Path, target: Path, description: DataPart, count: int, reading: Reading = Reading()) -> Path:  # noqa: B008
    picture, classes = classes_of(path, count, reading)
    file = target.with_name(f"{target.name}{mask_ending(path, description)}")
    file.write_bytes(mask_file(path, picture, classes, description))
    return file


def affines() -> list[np.ndarray]:
    """All 48 ways in which the axes of a file can lie, with three spacings and an origin; and an oblique one."""
    found = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = np.diag([0, 0, 0, 1.0])
        for axis, (direction, sign) in enumerate(zip(order, signs, strict=True)):
            affine[direction, axis] = sign * (0.7, 0.8, 3.0)[axis]
        affine[:3, 3] = 20, -30, 5
        found.append(affine)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    return [*found, turn @ found[0], turn @ found[17]]


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_volume_s_mask_lies_on_it_however_it_is_stored_and_cut(ending, plane, tmp_path):
    for number, affine in enumerate(affines()):
        array = RNG.integers(0, 100, SHAPE).astype(np.int16)
        path = tmp_path / f"{number}{ending}"
        nibabel.save(nibabel.Nifti1Image(array, affine), path)
        mask = written(path, tmp_path / "mask", data(n_classes=5), 5, Reading(plane=plane))
        assert mask.name == f"mask{ending}"
        found: Any = nibabel.load(mask)
        np.testing.assert_array_equal(np.asanyarray(found.dataobj), array % 5)
        np.testing.assert_array_equal(found.affine, nibabel.load(path).affine)  # type: ignore[attr-defined]
        assert found.get_data_dtype() == np.uint8


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 4), (5, 7, 4, 1), (5, 7, 4, 1, 1)])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_mask_has_the_shape_and_the_header_of_its_scan_but_not_its_scaling(kind, shape, tmp_path):
    scan = kind(RNG.integers(-1000, 1000, shape).astype(np.int16), np.diag([0.5, 0.5, 2, 1]))
    scan.header.set_xyzt_units("micron", "sec")
    scan.header.set_qform(np.diag([0.5, 0.5, 2, 1]), 1)
    scan.header.set_sform(np.diag([0.5, 0.5, 2, 1]), 4)
    scan.header["descrip"], scan.header["cal_max"], scan.header["cal_min"] = b"CT", 400, -160
    scan.header.set_slope_inter(2, -1024)
    scan.header.set_intent("t test", (3,))
    nibabel.save(scan, tmp_path / "scan.nii.gz")
    path = tmp_path / "scan.nii.gz"
    picture = read_image(path, Reading())
    classes = (picture.slices[..., 0] > -1024).astype(np.uint8)
    (tmp_path / "mask.nii.gz").write_bytes(mask_file(path, picture, classes, data()))
    found: Any = nibabel.load(tmp_path / "mask.nii.gz")
    read: Any = nibabel.load(path)
    assert type(found) is kind
    assert found.shape == read.shape == shape
    np.testing.assert_array_equal(np.asanyarray(found.dataobj), read.get_fdata() > -1024)
    assert (found.dataobj.slope, found.dataobj.inter, found.get_data_dtype()) == (1, 0, np.uint8)
    kept = ("qform_code", "sform_code", "pixdim", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x", "xyzt_units")
    for field in kept:
        np.testing.assert_array_equal(found.header[field], read.header[field])
    for field in ("cal_max", "cal_min", "intent_code", "intent_p1"):
        assert found.header[field] == 0
    assert (tmp_path / "mask.nii.gz").read_bytes()[4:8] == b"\0" * 4, "no time of writing"


def test_a_scan_without_an_orientation_gets_a_mask_without_one(tmp_path):
    scan = nibabel.Nifti1Image(np.arange(140, dtype=np.uint8).reshape(SHAPE), None)
    scan.header.set_zooms((0.5, 0.6, 0.7))
    path = tmp_path / "scan.nii"
    nibabel.save(scan, path)
    found: Any = nibabel.load(written(path, tmp_path / "mask", data(n_classes=3), 3))
    assert (found.header["sform_code"], found.header["qform_code"]) == (0, 0)
    np.testing.assert_allclose(found.header.get_zooms(), (0.5, 0.6, 0.7))
    np.testing.assert_array_equal(found.dataobj, np.arange(140).reshape(SHAPE) % 3)


def test_channels_of_a_volume_are_one_mask(tmp_path):
    array = RNG.integers(0, 100, (*SHAPE, 2)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-2, 1, 3, 1])), tmp_path / "scan.nii.gz")
    mask = written(tmp_path / "scan.nii.gz", tmp_path / "mask", data(n_classes=3), 3, Reading(channels=2))
    np.testing.assert_array_equal(nibabel.load(mask).dataobj, array[..., 0] % 3)  # type: ignore[attr-defined]


VALUES: list[tuple[dict[str, Any], list[float], str]] = [
    ({}, [0, 1], "u1"),
    ({"n_classes": 3}, [0, 1, 2], "u1"),
    ({"labels": [0, 255]}, [0, 255], "u1"),
    ({"labels": [[0, 7], [4, 2]]}, [0, 2], "u1"),
    ({"labels": {"nothing": 0, "liver": 500, "tumour": [600, 3000]}}, [0, 500, 600], "u2"),
    ({"labels": [-1, 0, 1]}, [-1, 0, 1], "i2"),
    ({"labels": [0, 1, 70_000]}, [0, 1, 70_000], "i4"),
    ({"labels": [0, 0.5, 1]}, [0, 0.5, 1], "f4"),
    ({"labels": [0, 0.1, 1]}, [0, 0.1, 1], "f8"),
]


@pytest.mark.parametrize(("settings", "values", "kind"), VALUES)
@pytest.mark.parametrize("ending", [".nii.gz", ".tif", ".npy", ".png", ".jpg"])
def test_a_mask_holds_the_values_that_the_training_masks_had(ending, settings, values, kind, tmp_path):
    array = np.arange(6 * len(values), dtype=np.uint8).reshape(len(values), 6)
    path, description = tmp_path / f"scan{ending}", data(**settings)
    save(path, array)
    mask = written(path, tmp_path / "mask", description, len(values))
    white = ending in (".png", ".jpg") and not settings
    expected = np.array([0, 255] if white else values, dtype=kind)[classes_of(path, len(values))[1]]
    fits = kind in ("u1", "u2")
    assert mask.name == f"mask{ending if ending not in ('.png', '.jpg') else '.png' if fits else '.tif'}"
    found = load(mask)
    if ending == ".nii.gz":
        expected = np.flip(expected, 1).transpose(2, 1, 0)
    np.testing.assert_array_equal(found, expected.reshape(found.shape))
    assert found.dtype == np.dtype(kind)


def save(path: Path, array: np.ndarray) -> None:
    if path.name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(array[..., None], np.eye(4)), path)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array)
    elif path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)


def load(path: Path) -> np.ndarray:
    if ".nii" in path.name:
        return np.asanyarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
    if path.suffix == ".tif":
        return tifffile.imread(path)
    return np.load(path) if path.suffix == ".npy" else np.array(Image.open(path))


COLOURS = {"labels": ["#000000", "#ff0000", "#00ff80"]}


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
def test_classes_that_are_colours_become_colours(ending, tmp_path):
    array = np.arange(30, dtype=np.uint8).reshape(5, 6)
    save(tmp_path / f"scan{ending}", array)
    mask = written(tmp_path / f"scan{ending}", tmp_path / "mask", data(**COLOURS), 3)
    classes = classes_of(tmp_path / f"scan{ending}", 3)[1][0]
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 128]], dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(mask).convert("RGB")), colours[classes])
    np.testing.assert_array_equal(read_labels(mask)[0], classes)


@pytest.mark.parametrize("ending", [".npy", ".nii.gz"])
def test_classes_that_are_colours_are_indices_where_there_are_no_colours(ending, tmp_path):
    save(tmp_path / f"scan{ending}", np.arange(30, dtype=np.uint8).reshape(5, 6))
    found = load(written(tmp_path / f"scan{ending}", tmp_path / "mask", data(**COLOURS), 3))
    assert set(np.unique(found)) == {0, 1, 2}


@pytest.mark.parametrize(
    "labels", ["liver", 3, [3, 4], [[], []], [["a"], ["b"]], [[0], ["#ffffff"]], [[0], [1], [2]], {}]
)
def test_a_setting_called_labels_that_is_something_else_means_nothing(labels):
    fields = {"name": "mine:Own", "size": [16, 16], "channels": 1, "fingerprint": "", "labels": labels}
    assert values_of(DataPart(fields)) == values_of(data())


@pytest.mark.parametrize("ending", [".tif", ".TIFF"])
@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 5, 6), (4, 6, 3), (7, 5, 4)])
def test_pages_become_as_many_pages_with_the_resolution(shape, ending, tmp_path):
    array = RNG.integers(0, 60_000, shape).astype(np.uint16)
    path = tmp_path / f"stack{ending}"
    with tifffile.TiffWriter(path) as stack:
        for page in array:
            stack.write(page, photometric="minisblack", resolution=(2_000, 1_000), resolutionunit="CENTIMETER")
    mask = written(path, tmp_path / "mask", data(n_classes=4), 4)
    assert mask.suffix == ending.lower()
    with tifffile.TiffFile(mask) as found:
        assert len(found.pages) == len(array)
        for page, original in zip(found.pages, array, strict=True):
            np.testing.assert_array_equal(page.asarray(), original % 4)
        assert found.pages.first.resolution == (2_000, 1_000)
        assert found.pages.first.resolutionunit == tifffile.RESUNIT.CENTIMETER
    np.testing.assert_array_equal(read_labels(mask), array % 4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_a_turned_image_s_mask_is_stored_and_seen_as_it_is(ending, orientation, tmp_path):
    array = np.add.outer(np.arange(0, 160, 8), np.arange(0, 64, 4)).astype(np.uint8)
    path = tmp_path / f"scan{ending}"
    if ending == ".tif":
        tifffile.imwrite(path, array, extratags=[(274, "H", 1, orientation, True)])
    else:
        tags = Image.Exif()
        tags[274] = orientation
        Image.fromarray(array).save(path, exif=tags, quality=100)
    picture = read_image(path, Reading())
    seen = upright(picture).slices[0, ..., 0]
    mask = tmp_path / ("mask.tif" if ending == ".tif" else "mask.png")
    mask.write_bytes(mask_file(path, picture, (seen[None] > 90).astype(np.uint8), data(labels=[0, 1])))
    stored = tifffile.imread(path) if ending == ".tif" else np.array(Image.open(path))
    found = tifffile.imread(mask) if ending == ".tif" else np.array(Image.open(mask))
    np.testing.assert_array_equal(found, stored > 90)
    np.testing.assert_array_equal(read_labels(mask)[0], seen > 90)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 6), (5, 6)), ((5, 6, 3), (5, 6)), ((1, 5, 6), (1, 5, 6)), ((4, 5, 6), (4, 5, 6)), ((1, 5, 6, 3), (1, 5, 6)),
     ((4, 5, 6, 1), (4, 5, 6)), ((1, 5, 6, 1), (1, 5, 6))],
)  # fmt: skip
def test_an_array_s_mask_has_its_axes_but_the_channels(shape, expected, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.float32))
    assert np.load(written(tmp_path / "a.npy", tmp_path / "mask", data(), 2)).shape == expected


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".tif", ".npy", ".png", ".jpeg"])
def test_probabilities_are_float32_wherever_they_can_be(ending, tmp_path):
    path = tmp_path / f"scan{ending}"
    array = np.arange(30, dtype=np.uint8).reshape(5, 6)
    if ending == ".nii":
        nibabel.save(nibabel.Nifti1Image(array[..., None], np.eye(4)), path)
    else:
        save(path, array)
    picture = read_image(path, Reading())
    found = RNG.random(picture.slices.shape[:3], dtype=np.float32)
    kept = tmp_path / f"kept{probability_ending(path)}"
    kept.write_bytes(probability_file(path, picture, found))
    assert kept.suffixes == ([".tif"] if ending in (".png", ".jpeg") else path.suffixes)
    again = load(kept)
    assert again.dtype == np.float32
    expected = np.flip(found, 1).transpose(2, 1, 0) if "nii" in ending else found
    np.testing.assert_array_equal(again, expected.reshape(again.shape))


def test_the_same_mask_is_the_same_file(tmp_path):
    for ending in (".nii.gz", ".tif", ".npy", ".png"):
        save(tmp_path / f"scan{ending}", np.arange(30, dtype=np.uint8).reshape(5, 6))
        first = written(tmp_path / f"scan{ending}", tmp_path / "one", data(), 2).read_bytes()
        assert first == written(tmp_path / f"scan{ending}", tmp_path / "two", data(), 2).read_bytes()
