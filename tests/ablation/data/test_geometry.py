"""An image and its mask lie on each other by what their headers say, or by what the user says; else nothing is read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from ablate.data.folder import read
from ablate.data.images import read_slices
from ablate.data.picture import stored_again
from ablate.data.settings import Folder
from ablate.errors import InputError

SHAPE = (10, 12, 5)
VOLUME = np.random.default_rng(0).integers(1, 99, SHAPE).astype(np.int16)
LABELS = (VOLUME > 50).astype(np.uint8)
BASE = nibabel.affines.from_matvec(np.diag([0.7, 0.7, 2.5]), [-123.4, 88.2, 1034.6])


def turned(degrees: float, axis: int = 2) -> np.ndarray:
    a = np.radians(degrees)
    rotation = np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    rotation[i, i] = rotation[j, j] = np.cos(a)
    rotation[i, j], rotation[j, i] = -np.sin(a), np.sin(a)
    return nibabel.affines.from_matvec(rotation, [0, 0, 0])


def save(path: Path, array: np.ndarray, affine: np.ndarray | None, *, qform: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, affine)
    if qform:
        image.set_sform(None, 0)
        image.set_qform(affine, 1)
    nibabel.save(image, path)


def pair(root: Path, mask: np.ndarray | None, image: np.ndarray | None = BASE, **of_mask: bool) -> Folder:
    save(root / "images/a.nii.gz", VOLUME, image)
    save(root / "masks/a.nii.gz", LABELS, mask, **of_mask)
    return Folder(root=root)


def scaled(*factors: float) -> np.ndarray:
    return BASE @ np.diag([*factors, 1.0])


def moved(*millimetres: float) -> np.ndarray:
    return nibabel.affines.from_matvec(np.eye(3), millimetres) @ BASE


AGREE = {
    "the same": BASE,
    "single precision": BASE.astype(np.float32).astype(float),
    "rounded to four digits": BASE.round(4),
    "a tiny shear": BASE @ np.array([[1, 1e-4, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    "a hundredth of a voxel": moved(0.005, 0, 0),
}
DIFFER = {
    "identity": (np.eye(4), r"spacing \(0.7, 0.7, 2.5\) and \(1, 1, 1\), origin \(-123.4, 88.2, 1034.6\) and"),
    "mirrored": (scaled(-1, 1, 1), "orientation RAS and LAS"),
    "upside down": (scaled(1, 1, -1), "orientation RAS and RAI"),
    "half a turn": (turned(180) @ BASE, "orientation RAS and LPS"),
    "axes swapped": (BASE[:, [1, 0, 2, 3]], "orientation RAS and ARS"),
    "oblique": (turned(7) @ BASE, "directions 7 degrees apart"),
    "slightly oblique": (turned(0.3, axis=0) @ BASE, "directions 0.3 degrees apart"),
    "thicker slices": (scaled(1, 1, 1.2), r"spacing \(0.7, 0.7, 2.5\) and \(0.7, 0.7, 3\)"),
    "one per cent": (scaled(1.01, 1, 1), r"spacing \(0.7, 0.7, 2.5\) and \(0.707, 0.7, 2.5\)"),
    "half a voxel": (moved(0.35, 0, 0), r"origin \(-123.4, 88.2, 1034.6\) and \(-123.05, 88.2, 1034.6\)"),
    "a slice higher": (moved(0, 0, 2.5), r"origin .* and \(-123.4, 88.2, 1037.1\)"),
    "no orientation": (None, "only the first says an orientation"),
}


@pytest.mark.parametrize("qform", [False, True])
@pytest.mark.parametrize("case", AGREE)
def test_headers_that_agree_but_for_rounding_are_read(case: str, qform: bool, tmp_path: Path) -> None:
    samples = read(pair(tmp_path, AGREE[case], qform=qform))
    assert len(samples) == 5
    for sample in samples:
        np.testing.assert_array_equal(sample.image > 50, sample.mask)
        assert sample.spacing == pytest.approx((0.7, 0.7), rel=1e-5)


@pytest.mark.parametrize("codes", ["LPS", "LAS", "RPI", "SPL"])
def test_a_qform_rounded_at_half_a_turn_still_agrees(codes: str, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOLUME, turned(0.01, 0) @ turned(0.02, 1) @ BASE)
    wanted = nibabel.orientations.axcodes2ornt(codes)
    transform = nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), wanted)
    stored = image.as_reoriented(transform)
    array = np.asanyarray(stored.dataobj)
    save(tmp_path / "images/a.nii", array, stored.affine)
    save(tmp_path / "masks/a.nii", (array > 50).astype(np.uint8), stored.affine, qform=True)
    for sample in read(Folder(root=tmp_path)):
        np.testing.assert_array_equal(sample.image > 50, sample.mask)


@pytest.mark.parametrize("case", DIFFER)
def test_headers_that_differ_are_refused_with_both_files_and_the_numbers(case: str, tmp_path: Path) -> None:
    affine, expected = DIFFER[case]
    with pytest.raises(InputError, match=expected) as caught:
        read(pair(tmp_path, affine))
    message = str(caught.value)
    assert str(tmp_path / "images/a.nii.gz") in message
    assert str(tmp_path / "masks/a.nii.gz") in message
    assert "data.geometry=image" in message
    assert "\n" not in message


@pytest.mark.parametrize("case", DIFFER)
def test_the_user_may_say_that_the_voxels_lie_on_each_other(case: str, tmp_path: Path) -> None:
    source = pair(tmp_path, DIFFER[case][0]).model_copy(update={"geometry": "image"})
    for sample in read(source):
        np.testing.assert_array_equal(sample.image > 50, sample.mask)


@pytest.mark.parametrize("codes", ["LPS", "ASR", "IRP"])
def test_or_that_each_header_is_right(codes: str, tmp_path: Path) -> None:
    """The mask was reoriented, voxels and header: stored otherwise, at the same place."""
    image = nibabel.Nifti1Image(LABELS, BASE)
    wanted = nibabel.orientations.axcodes2ornt(codes)
    other = image.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(BASE), wanted))
    source = pair(tmp_path, BASE)
    save(tmp_path / "masks/a.nii.gz", np.asanyarray(other.dataobj), other.affine)
    if codes == "LPS":  # the arrays have one shape, so that nothing but the headers tells
        with pytest.raises(InputError, match=r"if each header is right, data\.geometry=each"):
            read(source)
    for sample in read(source.model_copy(update={"geometry": "each"})):
        np.testing.assert_array_equal(sample.image > 50, sample.mask)


def test_each_header_is_not_right_where_they_lie_apart(tmp_path: Path) -> None:
    source = pair(tmp_path, moved(0, 0, 5)).model_copy(update={"geometry": "each"})
    with pytest.raises(InputError, match="origin") as caught:
        read(source)
    assert "geometry=each" not in str(caught.value)


def test_without_any_orientation_voxel_sizes_must_agree(tmp_path: Path) -> None:
    source = pair(tmp_path, None, None)
    (sample, *_) = read(source)
    assert sample.spacing is None
    image = nibabel.Nifti1Image(LABELS, None)
    image.header.set_zooms((2, 1, 1))
    nibabel.save(image, tmp_path / "masks/a.nii.gz")
    with pytest.raises(InputError, match=r"spacing \(1, 1, 1\) and \(2, 1, 1\)"):
        read(source)


def test_a_file_whose_two_transforms_disagree_is_refused_unless_the_user_says_which(tmp_path: Path) -> None:
    source = pair(tmp_path, BASE)
    image = nibabel.Nifti1Image(VOLUME, BASE)
    image.set_qform(scaled(-1, 1, 1), 1)
    nibabel.save(image, tmp_path / "images/a.nii.gz")
    with pytest.raises(
        InputError, match=r"images/a\.nii\.gz' says two orientations: RAS by its sform, LAS by its qform"
    ):
        read(source)
    for geometry in ("each", "image"):
        for sample in read(source.model_copy(update={"geometry": geometry})):
            np.testing.assert_array_equal(sample.image > 50, sample.mask)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_planes_are_cut_alike_from_image_and_mask(plane: str, tmp_path: Path) -> None:
    source = pair(tmp_path, BASE).model_copy(update={"slices": plane})
    samples = read(source)
    assert len(samples) == {"axial": 5, "coronal": 12, "sagittal": 10}[plane]
    assert samples[0].spacing == pytest.approx((0.7, 0.7) if plane == "axial" else (2.5, 0.7))
    for sample in samples:
        np.testing.assert_array_equal(sample.image > 50, sample.mask)


# Orientation of photographs ------------------------------------------------------------------------------------------

PHOTO = np.add.outer(np.arange(16) * 9, np.arange(24) * 4).astype(np.uint8)


def photo(path: Path, orientation: int | None, array: np.ndarray = PHOTO) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".tif":
        tags = [(274, "H", 1, orientation, True)] if orientation else []
        tifffile.imwrite(path, array, extratags=tags)
        return
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    options = {"quality": 95} if path.suffix == ".jpg" else {}
    Image.fromarray(array).save(path, exif=exif, **options)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_pillow_turns_it(orientation: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    photo(path, orientation)
    reference = path if suffix != ".tif" else tmp_path / "reference.png"
    photo(reference, orientation)
    with Image.open(reference) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    found = read_slices(path)[..., 0]
    np.testing.assert_array_equal(found[0], expected)
    with Image.open(reference) as image:
        stored = np.asarray(image)
    np.testing.assert_array_equal(stored_again(found, orientation)[0], stored)


def test_a_palette_that_pillow_would_misplace_is_refused(tmp_path: Path) -> None:
    tags = [(274, "H", 1, 6, True)]
    colormap = np.arange(3 * 256, dtype=np.uint16).reshape(3, 256)
    tifffile.imwrite(tmp_path / "a.tif", PHOTO, photometric="palette", colormap=colormap, extratags=tags)
    with pytest.raises(InputError, match=r"a\.tif' is to be turned \(orientation 6\)"):
        read_slices(tmp_path / "a.tif")


def test_a_compressed_tiff_is_turned_once(tmp_path: Path) -> None:
    """Pillow, which reads what tifffile cannot, turns TIFFs by itself."""
    Image.fromarray(PHOTO).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={274: 6})
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif")[0, ..., 0], np.rot90(PHOTO, -1))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_that_says_another_orientation_than_its_image_is_refused_until_the_user_decides(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    photo(tmp_path / f"images/a{suffix}", orientation)
    photo(tmp_path / "masks/a.png", None, (PHOTO > 100) * np.uint8(255))  # drawn on the pixels as they are stored
    source = Folder(root=tmp_path)
    with pytest.raises(InputError, match=f"EXIF orientation {orientation} and 1.*data.geometry=each"):
        read(source)
    (sample,) = read(source.model_copy(update={"geometry": "image"}))
    assert ((sample.image > 100) == sample.mask).mean() > 0.9  # JPEG is lossy
    seen = read_slices(tmp_path / f"images/a{suffix}")[0, ..., 0]
    np.testing.assert_array_equal(sample.image, seen)
    photo(tmp_path / "masks/a.png", None, (seen > 100) * np.uint8(255))  # drawn on what a viewer shows
    (sample,) = read(source.model_copy(update={"geometry": "each"}))
    np.testing.assert_array_equal(sample.image > 100, sample.mask)
    np.testing.assert_array_equal(sample.image, seen)


def test_where_both_say_the_same_both_are_turned(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.png", 6)
    photo(tmp_path / "masks/a.png", 6, (PHOTO > 100) * np.uint8(255))
    (sample,) = read(Folder(root=tmp_path))
    np.testing.assert_array_equal(sample.image, np.rot90(PHOTO, -1))
    np.testing.assert_array_equal(sample.image > 100, sample.mask)


# Millimetres of a TIFF -----------------------------------------------------------------------------------------------


def ome(path: Path, **metadata: object) -> None:
    tifffile.imwrite(path, PHOTO, ome=True, metadata={"axes": "YX", **metadata}, photometric="minisblack")


def resolution(columns: float, rows: float, unit: str) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, PHOTO, resolution=(columns, rows), resolutionunit=unit)


def imagej(unit: str) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, PHOTO, imagej=True, resolution=(2, 4), metadata={"unit": unit})


OME_MM = {"PhysicalSizeX": 3, "PhysicalSizeXUnit": "mm", "PhysicalSizeY": 2, "PhysicalSizeYUnit": "mm"}
SPACINGS: dict[str, tuple[Callable[[Path], object], tuple[float, float] | None]] = {
    "none": (lambda p: tifffile.imwrite(p, PHOTO), None),
    "centimetres": (resolution(100, 50, "CENTIMETER"), (0.2, 0.1)),
    "inches": (resolution(254, 508, "INCH"), (0.05, 0.1)),
    "no unit": (resolution(300, 300, "NONE"), None),
    "a screen's": (resolution(72, 72, "INCH"), None),
    "imagej": (imagej("um"), (0.00025, 0.0005)),
    "imagej micron": (imagej("micron"), (0.00025, 0.0005)),
    "imagej pixels": (imagej("pixel"), None),
    "ome": (lambda p: ome(p, PhysicalSizeX=0.5, PhysicalSizeY=0.25), (0.00025, 0.0005)),
    "ome mm": (lambda p: ome(p, **OME_MM), (2, 3)),
    "ome without": (ome, None),
}


@pytest.mark.parametrize("case", SPACINGS)
def test_the_spacing_of_a_tiff_is_known_where_it_says_it_in_a_unit_of_length(case: str, tmp_path: Path) -> None:
    write, expected = SPACINGS[case]
    (tmp_path / "images").mkdir()
    write(tmp_path / "images/a.tif")
    photo(tmp_path / "masks/a.png", None, (PHOTO > 100) * np.uint8(255))
    (sample,) = read(Folder(root=tmp_path))
    assert sample.spacing == (None if expected is None else pytest.approx(expected))


def test_two_dimensional_files_are_held_together_too(tmp_path: Path) -> None:
    for kind, affine in (("images", BASE), ("masks", scaled(1, -1, 1))):
        save(tmp_path / kind / "a.nii", LABELS[..., 0], affine)
    with pytest.raises(InputError, match="orientation RAS and RPS"):
        read(Folder(root=tmp_path))
    shutil.copy(tmp_path / "images/a.nii", tmp_path / "masks/a.nii")
    (sample,) = read(Folder(root=tmp_path))
    np.testing.assert_array_equal(sample.image, sample.mask)
