"""Every format gives the same slices × height × width × channels, and a file that is no image gives one line."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from ablate.data.images import read_labels, read_slices, stem, suffix
from ablate.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 10), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (12, 10), dtype=np.uint16)
FLOAT = RNG.normal(size=(12, 10)).astype(np.float32)
FIVE = RNG.integers(0, 256, (12, 10, 5), dtype=np.uint8)
STACK = RNG.integers(0, 256, (5, 12, 10), dtype=np.uint8)


def png(array: np.ndarray, path: Path) -> None:
    Image.fromarray(array).save(path)


def alpha(array: np.ndarray) -> np.ndarray:
    channels = array if array.ndim == 3 else array[..., None]
    return np.concatenate([channels, np.full((*array.shape[:2], 1), 200, np.uint8)], axis=-1)


WRITERS: dict[str, tuple[Callable[[Path], object], np.ndarray]] = {
    "grey.png": (lambda p: png(GREY, p), GREY),
    "GREY.PNG": (lambda p: png(GREY, p), GREY),
    "deep.png": (lambda p: png(DEEP, p), DEEP),
    "colour.png": (lambda p: png(COLOUR, p), COLOUR),
    "rgba.png": (lambda p: png(alpha(COLOUR), p), COLOUR),
    "grey_alpha.png": (lambda p: png(alpha(GREY), p), GREY),
    "bits.png": (lambda p: png(GREY > 99, p), GREY > 99),
    "grey.tif": (lambda p: tifffile.imwrite(p, GREY), GREY),
    "deep.tiff": (lambda p: tifffile.imwrite(p, DEEP), DEEP),
    "big_endian.tif": (lambda p: tifffile.imwrite(p, DEEP, byteorder=">"), DEEP),
    "float.tif": (lambda p: tifffile.imwrite(p, FLOAT), FLOAT),
    "colour.tif": (lambda p: tifffile.imwrite(p, COLOUR, photometric="rgb"), COLOUR),
    "planar.tif": (
        lambda p: tifffile.imwrite(p, np.moveaxis(COLOUR, 2, 0), photometric="rgb", planarconfig="separate"),
        COLOUR,
    ),
    "rgba.tif": (lambda p: tifffile.imwrite(p, alpha(COLOUR), photometric="rgb", extrasamples=["unassalpha"]), COLOUR),
    "lzw.tif": (lambda p: Image.fromarray(GREY).save(p, compression="tiff_lzw"), GREY),
    "white_is_zero.tif": (lambda p: tifffile.imwrite(p, 255 - GREY, photometric="miniswhite"), GREY),
    "grey.npy": (lambda p: np.save(p, GREY), GREY),
    "big_endian.npy": (lambda p: np.save(p, DEEP.astype(">u2")), DEEP),
    "float.npy": (lambda p: np.save(p, FLOAT), FLOAT),
    "colour.npy": (lambda p: np.save(p, COLOUR), COLOUR),
    "one_channel.npy": (lambda p: np.save(p, GREY[..., None]), GREY),
    "two_channels.npy": (lambda p: np.save(p, alpha(GREY)), alpha(GREY)),
    "four_channels.npy": (lambda p: np.save(p, alpha(COLOUR)), alpha(COLOUR)),
    "grey_alpha.tif": (lambda p: Image.fromarray(alpha(GREY), "LA").save(p), GREY),
    "five_channels.tif": (
        lambda p: tifffile.imwrite(p, FIVE, photometric="minisblack", planarconfig="contig"),
        FIVE,
    ),
}
STACKS = {
    "pages.tif": lambda p: tifffile.imwrite(p, STACK, photometric="minisblack"),
    "separate_pages.tif": lambda p: [tifffile.imwrite(p, page, append=True) for page in STACK],
    "pillow_pages.tif": lambda p: Image.fromarray(STACK[0]).save(
        p, save_all=True, append_images=[Image.fromarray(page) for page in STACK[1:]], compression="tiff_lzw"
    ),
    "imagej.tif": lambda p: tifffile.imwrite(p, STACK, imagej=True, metadata={"axes": "ZYX"}),
    "stack.npy": lambda p: np.save(p, STACK),
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_gives_the_pixels_that_were_written(name: str, tmp_path: Path) -> None:
    write, expected = WRITERS[name]
    write(tmp_path / name)
    array = read_slices(tmp_path / name)
    np.testing.assert_array_equal(array, expected.reshape(1, 12, 10, -1))
    assert array.dtype == expected.dtype
    assert array.dtype.isnative
    assert array.flags.c_contiguous


@pytest.mark.parametrize("name", STACKS)
def test_pages_are_slices(name: str, tmp_path: Path) -> None:
    STACKS[name](tmp_path / name)
    np.testing.assert_array_equal(read_slices(tmp_path / name), STACK[..., None])


def test_pages_in_colour_are_slices_in_colour(tmp_path: Path) -> None:
    stack = RNG.integers(0, 256, (4, 12, 10, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb")
    np.save(tmp_path / "a.npy", stack)
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif"), stack)
    np.testing.assert_array_equal(read_slices(tmp_path / "a.npy"), stack)


def test_jpeg_is_close_to_what_was_written(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=95)
    array = read_slices(tmp_path / "a.jpg")
    assert array.shape == (1, 64, 64, 1)
    assert np.abs(array[0, ..., 0].astype(int) - ramp).max() <= 3


def test_a_coloured_palette_is_colours_in_an_image_and_classes_in_a_mask(tmp_path: Path) -> None:
    indices = RNG.integers(0, 3, (12, 10), dtype=np.uint8)
    image = Image.fromarray(indices)
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "a.png")
    expected = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)[indices]
    np.testing.assert_array_equal(read_slices(tmp_path / "a.png")[0], expected)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png")[0], indices)


def test_a_palette_of_greys_is_read_as_greys(tmp_path: Path) -> None:
    """Programs that save small PNGs may give white the index 0: the index means nothing then."""
    image = Image.fromarray((GREY > 99).astype(np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "a.png")
    expected = np.where(GREY > 99, 0, 255)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png")[0], expected)
    np.testing.assert_array_equal(read_slices(tmp_path / "a.png")[0, ..., 0], expected)


def test_a_tiff_palette_is_applied(tmp_path: Path) -> None:
    indices = RNG.integers(0, 3, (12, 10), dtype=np.uint8)
    colormap = np.zeros((3, 256), np.uint16)
    colormap[0, 1], colormap[1, 2] = 65535, 65535
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=colormap)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif")[0], indices)
    assert read_slices(tmp_path / "a.tif").shape == (1, 12, 10, 3)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_slices_are_axial_with_the_front_up_whatever_the_storage_order(name: str, tmp_path: Path) -> None:
    volume = np.zeros((6, 7, 5), np.int16)  # x to the right, y to the front, z up
    volume[4, 6, 3] = 9
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / name)
    flipped = nibabel.Nifti1Image(volume[::-1, ::-1], np.diag([-1, -1, 1, 1]))
    nibabel.save(flipped, tmp_path / f"flipped_{name}")
    for path in (tmp_path / name, tmp_path / f"flipped_{name}"):
        array = read_slices(path)
        assert array.shape == (5, 7, 6, 1)
        assert array.dtype == np.int16
        assert np.argwhere(array).tolist() == [[3, 0, 4, 0]]


def test_nifti_of_two_dimensions_or_a_trailing_one_is_an_image(tmp_path: Path) -> None:
    for i, shape in enumerate([(6, 7), (6, 7, 1), (6, 7, 1, 1)]):
        nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)), tmp_path / f"{i}.nii")
        assert read_slices(tmp_path / f"{i}.nii").shape == (1, 7, 6, 1)


def test_a_mask_saved_in_colour_must_be_grey(tmp_path: Path) -> None:
    png(alpha(np.repeat(GREY[..., None], 3, axis=2)), tmp_path / "grey.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "grey.png")[0], GREY)
    png(COLOUR, tmp_path / "colour.png")
    with pytest.raises(InputError, match=r"colour\.png' is in colour: expected one channel"):
        read_labels(tmp_path / "colour.png")


def broken_pages(path: Path) -> None:
    tifffile.imwrite(path, GREY)
    tifffile.imwrite(path, GREY[:4], append=True)


def truncated(path: Path) -> None:
    noise = RNG.integers(0, 256, (64, 64), dtype=np.uint8)
    if path.suffix == ".tif":
        tifffile.imwrite(path, noise)
    elif path.suffix == ".npy":
        np.save(path, noise)
    elif path.suffix == ".gz":
        nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), path)
    else:
        png(noise, path)
    path.write_bytes(path.read_bytes()[:900])


BROKEN = {
    "missing.png": (lambda p: None, "cannot be read: .*No such file"),
    "empty.png": (lambda p: p.write_bytes(b""), r"is empty \(0 bytes\)"),
    "empty.nii.gz": (lambda p: p.write_bytes(b""), r"is empty \(0 bytes\)"),
    "text.png": (lambda p: p.write_text("hello\nthere"), "cannot be read: cannot identify"),
    "text.tif": (lambda p: p.write_text("hello\nthere"), "cannot be read: "),
    "text.jpg": (lambda p: p.write_text("hello\nthere"), "cannot be read: "),
    "text.npy": (lambda p: p.write_text("hello\nthere"), "cannot be read: "),
    "text.nii": (lambda p: p.write_text("hello\nthere"), "cannot be read: "),
    "text.nii.gz": (lambda p: p.write_text("hello\nthere"), "cannot be read: "),
    **{f"truncated{s}": (truncated, "cannot be read: ") for s in (".png", ".tif", ".jpg", ".npy", ".nii.gz")},
    "image.bmp": (lambda p: png(GREY, p), r"expected one of \.png, \.tif"),
    "folder.png": (lambda p: p.mkdir(), "cannot be read: .*[Dd]irectory"),
    "no_pixels.npy": (lambda p: np.save(p, np.zeros((0, 5))), r"is empty \(shape"),
    "line.npy": (lambda p: np.save(p, np.zeros(5)), r"has shape \(5,\): expected \(H, W\)"),
    "five.npy": (lambda p: np.save(p, np.zeros((2, 3, 4, 5, 6))), r"has shape \(2, 3, 4, 5, 6\)"),
    "pickle.npy": (lambda p: np.save(p, np.array([[{}]]), allow_pickle=True), "cannot be read: .*allow_pickle"),
    "words.npy": (lambda p: np.save(p, np.array([["a", "b"]] * 2)), "holds <U1 values: expected numbers"),
    "complex.npy": (lambda p: np.save(p, np.ones((9, 9), complex)), "holds complex128 values"),
    "nan.npy": (lambda p: np.save(p, np.full((9, 9), np.nan)), "not finite"),
    "pages.tif": (broken_pages, "pages of different sizes"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_an_image_is_one_line_that_names_the_file(name: str, tmp_path: Path) -> None:
    write, expected = BROKEN[name]
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError, match=expected) as caught:
        read_slices(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stems() -> None:
    assert [stem(Path(name)) for name in ("a.png", "b.nii.gz", "c.1.TIF", "d.nii")] == ["a", "b", "c.1", "d"]
    assert suffix(Path("notes.txt")) == ""


def test_an_array_whose_last_axis_is_too_long_for_channels_is_of_slices(tmp_path: Path) -> None:
    for channels, shape in ((3, (1, 12, 10, 3)), (4, (1, 12, 10, 4)), (5, (12, 10, 5, 1))):
        np.save(tmp_path / "a.npy", np.zeros((12, 10, channels), np.uint8))
        assert read_slices(tmp_path / "a.npy").shape == shape


def test_a_nifti_volume_may_have_a_fourth_axis_of_one(tmp_path: Path) -> None:
    volume = RNG.integers(0, 99, (6, 5, 4, 1)).astype(np.int16)
    for name, array in (("four.nii", volume), ("three.nii", volume[..., 0])):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / name)
    np.testing.assert_array_equal(read_slices(tmp_path / "four.nii"), read_slices(tmp_path / "three.nii"))


# At their edges ------------------------------------------------------------------------------------------------------


def test_a_png_of_several_frames_is_its_first(tmp_path: Path) -> None:
    frames = [Image.fromarray(page) for page in STACK]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "a.png") as image:
        assert image.n_frames == 5
    np.testing.assert_array_equal(read_slices(tmp_path / "a.png"), STACK[:1, ..., None])


def test_every_page_of_a_tiff_with_a_palette_is_a_slice(tmp_path: Path) -> None:
    pages = []
    for page in STACK[:3] % 3:
        image = Image.fromarray(page)
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        pages.append(image)
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), STACK[:3] % 3)
    assert read_slices(tmp_path / "a.tif").shape == (3, 12, 10, 3)


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.tif", "a.nii"])
def test_one_pixel_is_an_image(name: str, tmp_path: Path) -> None:
    pixel = np.full((1, 1), 7, np.uint8)
    if name == "a.png":
        png(pixel, tmp_path / name)
    elif name == "a.npy":
        np.save(tmp_path / name, pixel)
    elif name == "a.tif":
        tifffile.imwrite(tmp_path / name, pixel)
    else:
        nibabel.save(nibabel.Nifti1Image(pixel, np.eye(4)), tmp_path / name)
    assert read_slices(tmp_path / name).tolist() == [[[[7]]]]


def test_a_file_of_one_byte_is_not_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be read"):
        read_slices(tmp_path / "a.png")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_single_value_that_is_not_finite_is_refused(value: float, tmp_path: Path) -> None:
    array = FLOAT.copy()
    array[3, 4] = value
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match="not finite"):
        read_slices(tmp_path / "a.npy")


def test_a_single_coloured_pixel_makes_a_mask_coloured(tmp_path: Path) -> None:
    grey = np.repeat(GREY[..., None], 3, axis=2)
    grey[3, 4, 2] ^= 1
    png(grey, tmp_path / "a.png")
    with pytest.raises(InputError, match="is in colour"):
        read_labels(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_spaces_of_colour_are_read_as_red_green_and_blue(mode: str, tmp_path: Path) -> None:
    name = tmp_path / ("a.jpg" if mode != "LAB" else "a.tif")
    Image.fromarray(np.full((12, 10, 3), 200, np.uint8)).convert("RGB" if mode == "LAB" else mode).save(name)
    found = read_slices(name)
    assert found.shape == (1, 12, 10, 3)
    assert np.abs(found.astype(int) - 200).max() < 6
