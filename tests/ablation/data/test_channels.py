"""A channel is thrown away only where the file's format says that it is alpha; what an array's axes are is not guessed
where two readings would do."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from ablate.data.axes import Reading
from ablate.data.folder import read
from ablate.data.images import read_labels, read_slices
from ablate.data.settings import Folder, Mni152
from ablate.errors import InputError
from ablate.settings import parse

RNG = np.random.default_rng(0)
FOUR = RNG.integers(0, 255, (12, 10, 4), dtype=np.uint8)
TWO, FIVE = FOUR[..., :2], np.concatenate([FOUR, FOUR[..., :1] // 2], axis=2)
FIRST = np.moveaxis(FOUR, -1, 0)


def ome(path: Path, array: np.ndarray, axes: str = "CYX") -> None:
    tifffile.imwrite(path, array, ome=True, metadata={"axes": axes}, photometric="minisblack")


def imagej(path: Path, array: np.ndarray, axes: str = "CYX") -> None:
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": axes})


def compressed(path: Path, **kind: bool) -> None:
    """As other programs write it: pages that tifffile cannot decode alone (LZW), with what it says of its axes."""
    tifffile.imwrite(path, FIRST, metadata={"axes": "CYX"}, photometric="minisblack", **kind)
    with tifffile.TiffFile(path) as tiff:
        text = tiff.pages.first.description
    pages = [Image.fromarray(page) for page in FIRST]
    options = {"tiffinfo": {270: text}, "compression": "tiff_lzw"}
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)


def nifti(path: Path, array: np.ndarray) -> None:
    """(H, W, channels) as one axial slice of a RAS volume."""
    nibabel.save(nibabel.Nifti1Image(np.flip(array, 0).swapaxes(0, 1)[:, :, None], np.eye(4)), path)


MEASURED: dict[str, tuple[Callable[[Path], object], np.ndarray]] = {
    "two.npy": (lambda p: np.save(p, TWO), TWO),
    "four.npy": (lambda p: np.save(p, FOUR), FOUR),
    "five.npy": (lambda p: np.save(p, FIVE), FIVE),
    "float.npy": (lambda p: np.save(p, FOUR.astype(np.float32)), FOUR.astype(np.float32)),
    "first.npy": (lambda p: np.save(p, FIRST), FOUR),
    "five_first.npy": (lambda p: np.save(p, np.moveaxis(FIVE, -1, 0)), FIVE),
    "ome.tif": (lambda p: ome(p, FIRST), FOUR),
    "two_ome.tif": (lambda p: ome(p, FIRST[:2]), TWO),
    "imagej.tif": (lambda p: imagej(p, FIRST), FOUR),
    "two_imagej.tif": (lambda p: imagej(p, FIRST[:2].astype(np.uint16)), TWO.astype(np.uint16)),
    "pages.tif": (lambda p: tifffile.imwrite(p, FIRST, photometric="minisblack"), FOUR),
    "compressed_ome.tif": (lambda p: compressed(p, ome=True), FOUR),
    "compressed_imagej.tif": (lambda p: compressed(p, imagej=True), FOUR),
    "contig.tif": (lambda p: tifffile.imwrite(p, FIVE, photometric="minisblack", planarconfig="contig"), FIVE),
    "unnamed_extra.tif": (
        lambda p: tifffile.imwrite(p, FOUR, photometric="rgb", extrasamples=["unspecified"]),
        FOUR,
    ),
    "four.nii.gz": (lambda p: nifti(p, FOUR), FOUR),
    "two.nii": (lambda p: nifti(p, TWO), TWO),
}


def folder_with(root: Path, name: str, mask: np.ndarray | None = None) -> Path:
    write, expected = MEASURED[name]
    (root / "images").mkdir()
    (root / "masks").mkdir()
    write(root / "images" / name)
    stem = name.split(".")[0]
    np.save(root / "masks" / f"{stem}.npy", expected[..., 0] > 99 if mask is None else mask)
    return root


@pytest.mark.parametrize("name", MEASURED)
def test_measured_channels_are_read_where_their_number_is_said(name: str, tmp_path: Path) -> None:
    expected = MEASURED[name][1]
    (sample,) = read(Folder(root=folder_with(tmp_path, name), channels=expected.shape[2]))
    np.testing.assert_array_equal(sample.image, expected)
    assert sample.image.dtype == expected.dtype


NAMED = [name for name in MEASURED if name not in ("first.npy", "five_first.npy", "five.npy", "pages.tif")]
"""Those whose files say that it is channels they have, or whose shape always meant it; the others are slices then."""


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_measured_channels_are_refused_in_one_line_where_it_is_not(name: str, channels: int, tmp_path: Path) -> None:
    count = MEASURED[name][1].shape[2]
    with pytest.raises(InputError) as caught:
        read(Folder(root=folder_with(tmp_path, name), channels=channels))
    message = str(caught.value)
    assert f"images/{name}' has {count} channels and data.channels is {channels}" in message
    assert f"--set data.channels={count}" in message
    assert "data.use_channels=[0" in message
    assert "\n" not in message


@pytest.mark.parametrize("use", [(0,), (3,), (2, 0, 3), (3, 2, 1, 0), (1, 1)])
@pytest.mark.parametrize("name", ["four.npy", "ome.tif", "imagej.tif", "unnamed_extra.tif", "four.nii.gz"])
def test_chosen_channels_are_read_in_their_order(name: str, use: tuple[int, ...], tmp_path: Path) -> None:
    (sample,) = read(Folder(root=folder_with(tmp_path, name), channels=len(use), use_channels=use))
    np.testing.assert_array_equal(sample.image, FOUR[..., list(use)] if len(use) > 1 else FOUR[..., use[0]])


def test_a_channel_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    root = folder_with(tmp_path, "four.npy")
    with pytest.raises(
        InputError, match=r"four\.npy' has 4 channels, counted from 0, and data.use_channels asks for 4"
    ):
        read(Folder(root=root, channels=1, use_channels=[4]))


def rgba(path: Path) -> None:
    Image.fromarray(FOUR, "RGBA").save(path)


def palette_with_alpha(path: Path) -> None:
    image = Image.fromarray(FOUR[..., 0] % 3)
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(path, transparency=b"\x00\x80\xff")


ALPHA: dict[str, tuple[Callable[[Path], object], int]] = {
    "rgba.png": (rgba, 3),
    "grey.png": (lambda p: Image.fromarray(TWO, "LA").save(p), 1),
    "palette.png": (palette_with_alpha, 3),
    "rgba.tif": (rgba, 3),
    "declared.tif": (lambda p: tifffile.imwrite(p, FOUR, photometric="rgb", extrasamples=["assocalpha"]), 3),
    "grey.tif": (lambda p: Image.fromarray(TWO, "LA").save(p), 1),
    "planar.tif": (
        lambda p: tifffile.imwrite(p, FIRST, photometric="rgb", planarconfig="separate", extrasamples=["unassalpha"]),
        3,
    ),
    "lzw.tif": (lambda p: Image.fromarray(FOUR, "RGBA").save(p, compression="tiff_lzw"), 3),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ALPHA)
def test_what_the_format_calls_alpha_is_dropped(name: str, channels: int, tmp_path: Path) -> None:
    write, count = ALPHA[name]
    write(tmp_path / name)
    found = read_slices(tmp_path / name, Reading(channels))
    assert found.shape == (1, 12, 10, count)
    if name != "palette.png":
        np.testing.assert_array_equal(found[0], FOUR[..., :count])
    with pytest.raises(InputError, match=f"has {count} channels?"):
        read_slices(tmp_path / name, Reading(4))


def test_a_channel_that_pillow_leaves_out_is_refused(tmp_path: Path) -> None:
    Image.fromarray(FOUR, "RGBX").save(tmp_path / "a.tif", compression="tiff_lzw")
    for channels in (1, 3, 4):
        with pytest.raises(InputError, match=r"a\.tif' has 4 channels, of which 3 can be read as it is compressed"):
            read_slices(tmp_path / "a.tif", Reading(channels))


# Which axis is which -------------------------------------------------------------------------------------------------

SHAPES = [  # stored, data.channels, data.axes: what is read, or what is said
    ((12, 10), 1, "", (1, 12, 10, 1)),
    ((12, 10, 3), 1, "", (1, 12, 10, 3)),
    ((5, 12, 10), 1, "", (5, 12, 10, 1)),
    ((4, 12, 10), 1, "", (4, 12, 10, 1)),  # slices, as it always was
    ((3, 12, 10), 3, "", (3, 12, 10, 1)),
    ((3, 12, 3), 1, "", (1, 3, 12, 3)),
    ((5, 12, 10, 3), 3, "", (5, 12, 10, 3)),
    ((4, 12, 10), 4, "", (1, 12, 10, 4)),  # the only reading of four channels
    ((12, 10, 5), 5, "", (1, 12, 10, 5)),
    ((12, 12, 12), 12, "", "axes may be YXC or CYX: set data.axes"),
    ((4, 5, 12, 10), 4, "", (5, 12, 10, 4)),
    ((5, 4, 12, 10), 4, "", (5, 12, 10, 4)),
    ((4, 4, 12, 10), 4, "", "axes may be CZYX or ZCYX"),
    ((5, 12, 10, 7), 7, "", (5, 12, 10, 7)),
    ((5, 12, 10, 7), 1, "", r"has shape \(5, 12, 10, 7\): expected .*data.axes"),
    ((4, 12, 10), 1, "ZYX", (4, 12, 10, 1)),
    ((3, 12, 10), 3, "CYX", (1, 12, 10, 3)),
    ((12, 10, 5), 1, "YXZ", (5, 12, 10, 1)),
    ((10, 12), 1, "XY", (1, 12, 10, 1)),
    ((10, 12, 5, 4), 4, "XYZC", (5, 12, 10, 4)),
    ((12, 12, 12), 12, "CYX", (1, 12, 12, 12)),
    ((12, 10), 1, "CYX", r"has shape \(12, 10\) and data.axes is CYX: expected 3 axes"),
    ((4, 12, 10), 3, "CYX", "has 4 channels and data.channels is 3"),
    ((2, 3, 4, 5, 6), 1, "", r"has shape \(2, 3, 4, 5, 6\)"),
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".npy", ".tif"])
@pytest.mark.parametrize(("shape", "channels", "axes", "expected"), SHAPES)
def test_the_axes_of_an_array(
    shape: tuple[int, ...], channels: int, axes: str, expected: object, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    if suffix == ".npy":
        np.save(path, array)
    elif axes:
        tifffile.imwrite(path, array, photometric="minisblack")
    else:
        return  # a TIFF names its axes: see above
    reading = Reading.of(Folder(channels=channels, axes=axes))
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected) as caught:
            read_slices(path, reading)
        assert str(path) in str(caught.value)
        return
    found = read_slices(path, reading)
    assert found.shape == expected
    if axes:
        order = [axes.index(letter) for letter in "ZYXC" if letter in axes]
        np.testing.assert_array_equal(found.ravel(), array.transpose(order).ravel())


def test_described_axes_hold_for_masks_too_with_channels_or_without(tmp_path: Path) -> None:
    stored = RNG.integers(0, 255, (12, 10, 5, 2), dtype=np.uint8)  # rows, columns, slices, channels
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "images/a.npy", stored)
    np.save(tmp_path / "masks/a.npy", stored[..., 0] > 99)
    samples = read(Folder(root=tmp_path, channels=2, axes="YXZC"))
    assert len(samples) == 5
    for z, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.image, stored[:, :, z])
        np.testing.assert_array_equal(sample.mask, stored[:, :, z, 0] > 99)


@pytest.mark.parametrize(
    ("stored", "mask", "axes"),
    [((4, 12, 10), (12, 10), "CYX"), ((12, 10, 5), (12, 10), "YXC"), ((3, 12, 3), (12, 3), "CYX")],
)
def test_an_image_that_another_reading_would_lay_on_its_mask_is_refused_with_it(
    stored: tuple[int, ...], mask: tuple[int, ...], axes: str, tmp_path: Path
) -> None:
    for kind, shape in (("images", stored), ("masks", mask)):
        (tmp_path / kind).mkdir()
        np.save(tmp_path / kind / "a.npy", np.ones(shape, np.uint8))
    with pytest.raises(InputError, match=f"but its mask .* set data.axes={axes}$"):
        read(Folder(root=tmp_path))


@pytest.mark.parametrize("axes", ["YY", "Y", "CZ", "YXQ", "ZYXCC", "xy", "Y X"])
def test_axes_that_are_none_are_refused(axes: str) -> None:
    with pytest.raises(InputError, match="axes"):
        parse(Folder, {"axes": axes}, "data")


def test_a_time_series_is_no_volume(tmp_path: Path) -> None:
    for kind, shape in (("images", (12, 10, 5, 2)), ("masks", (12, 10, 5))):
        (tmp_path / kind).mkdir()
        nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)), tmp_path / kind / "a.nii")
    with pytest.raises(InputError, match=r"a\.nii' has 2 channels and data\.channels is 1"):
        read(Folder(root=tmp_path))


def test_what_other_data_sets_call_slices_is_no_plane() -> None:
    assert Reading.of(Mni152(slices=20)) == Reading(1)


# White is zero -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_white_is_zero_is_turned_round_at_every_depth(dtype: type, compression: str | None, tmp_path: Path) -> None:
    array = (FOUR[..., 0] > 99) if dtype is bool else FOUR[..., 0].astype(dtype) * (1 if dtype is np.uint8 else 200)
    most = {np.uint8: 255, np.uint16: 65535, bool: True}[dtype]
    if compression:  # Pillow turns round what it writes up to eight bits
        image = Image.fromarray(most - array if dtype is np.uint16 else array)
        image.save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0})
        with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
            assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    else:
        stored = ~array if dtype is bool else most - array
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif")[0, ..., 0], array)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif")[0], array)


def test_white_is_zero_of_numbers_without_a_white_is_refused(tmp_path: Path) -> None:
    for dtype in (np.float32, np.int16):
        tifffile.imwrite(tmp_path / "a.tif", FOUR[..., 0].astype(dtype), photometric="miniswhite")
        with pytest.raises(InputError, match=r"a\.tif' says that white is zero"):
            read_slices(tmp_path / "a.tif")
