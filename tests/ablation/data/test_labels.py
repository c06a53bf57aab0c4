"""What stored values mean: `data.labels`, `data.ignore`, and which values are no guess without them."""

import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from ablate.data import folder
from ablate.data.load import load_data
from ablate.data.masks import class_indices
from ablate.data.settings import Folder, Isbi2012, Liver
from ablate.data.source import IGNORED, Sample
from ablate.data.value_settings import in_words
from ablate.errors import InputError
from ablate.part import DataPart
from ablate.settings import parse

RNG = np.random.default_rng(5)
SHAPE = (12, 10)
INDEX = RNG.integers(0, 3, SHAPE)
"""Which of three values a mask of these tests has where."""
INDEX[0, :3] = 0, 1, 2


def root_with(tmp_path: Path, mask: np.ndarray, name: str = "a.npy", save=None) -> Path:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir(exist_ok=True)
    stem, suffix = name.split(".", 1)
    shape = mask.shape[:2]
    if suffix == "npy":
        np.save(tmp_path / "masks" / name, mask)
    elif suffix.startswith("nii"):
        nibabel.save(nibabel.Nifti1Image(np.flip(mask, 0).T[..., None], np.eye(4)), tmp_path / "masks" / name)
    elif suffix == "tif":
        tifffile.imwrite(tmp_path / "masks" / name, mask)
    else:
        (save or (lambda array, path: Image.fromarray(array).save(path)))(mask, tmp_path / "masks" / name)
    if suffix.startswith("nii"):
        nibabel.save(nibabel.Nifti1Image(np.ones((*shape[::-1], 1)), np.eye(4)), tmp_path / f"images/{stem}.nii.gz")
    else:
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"images/{stem}.png")
    return tmp_path


def read(root: Path, **fields: object) -> np.ndarray:
    (sample,) = folder.read(parse(Folder, {"root": root, **fields}, "data"))
    assert sample.mask.dtype == np.uint8
    return sample.mask


def of(*values: float, dtype: str = "uint8") -> np.ndarray:
    return np.array(values, dtype)[INDEX]


# Labels that say what values are -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.png"])
@pytest.mark.parametrize(
    ("mask", "labels", "expected"),
    [
        (of(0, 2, 4), [0, 1, 2, 4], [0, 2, 3]),  # a gap: the class 1 is nowhere
        (of(0, 2, 4), [[0, 4], 2], [0, 1, 0]),
        (of(0, 128, 255), [255, 0, 128], [1, 2, 0]),  # in any order
        (of(1, 2, 3), [1, 2, 3], [0, 1, 2]),  # none is zero
        (of(255, 0, 0), [255, 0], [0, 1, 1]),  # inverted
        (of(7, 8, 9), [[7, 8], 9], [0, 0, 1]),
        (of(7, 8, 9), [7, [9, 8]], [0, 1, 1]),
    ],
)
def test_labels_say_which_value_has_which_class(name, mask, labels, expected, tmp_path):
    found = read(root_with(tmp_path, mask, name), labels=labels)
    np.testing.assert_array_equal(found, np.array(expected)[INDEX])


@pytest.mark.parametrize(
    ("dtype", "values", "labels"),
    [
        ("uint16", (0, 300, 65535), [0, 300, 65535]),
        ("int16", (-1000, 0, 40), [-1000, 0, 40]),
        ("int32", (0, 70_000, -3), [0, 70_000, -3]),
        ("uint32", (0, 1, 2**32 - 1), [0, 1, 2**32 - 1]),
        ("float32", (0, 0.1, 0.7), [0, 0.1, 0.7]),
        ("float64", (0, 1, 2), [0.0, 1.0, 2.0]),
        ("bool", (0, 1, 1), [0, [1, 2]]),
        ("int8", (-1, 0, 1), [-1, 0, 1]),
    ],
)
def test_labels_may_be_numbers_of_any_type(dtype, values, labels, tmp_path):
    found = read(root_with(tmp_path, of(*values, dtype=dtype)), labels=labels)
    np.testing.assert_array_equal(found, of(0, 1, 1) if dtype == "bool" else INDEX)


@pytest.mark.parametrize("noise", [0, 1e-7, -1e-7])
def test_a_number_rounded_on_its_way_is_that_number(noise, tmp_path):
    mask = of(0, 1, 4, dtype="float32") * np.float32(1 + noise) + np.float32(abs(noise))
    np.testing.assert_array_equal(read(root_with(tmp_path, mask), labels=[0, 1, 4]), INDEX)
    np.testing.assert_array_equal(read(tmp_path, n_classes=5), of(0, 1, 4))
    np.testing.assert_array_equal(read(tmp_path, n_classes=3), INDEX)


def test_nifti_with_a_slope_holds_the_labels_that_it_means(tmp_path):
    root = root_with(tmp_path, of(0, 1, 2), "a.nii.gz")
    file = nibabel.load(root / "masks/a.nii.gz")
    stored = nibabel.Nifti1Image(np.asarray(file.dataobj).astype(np.int16) * 3, np.eye(4))
    stored.header.set_slope_inter(1 / 3, 0)
    nibabel.save(stored, root / "masks/a.nii.gz")
    np.testing.assert_array_equal(read(root, labels=[0, 1, 2]), INDEX)
    np.testing.assert_array_equal(read(root, n_classes=3), INDEX)


@pytest.mark.parametrize(
    ("mask", "fields", "said"),
    [
        (of(0, 1, 7), {"labels": [0, 1]}, "has the value 7, which no label stands for: give each a class"),
        (of(0, 6, 7), {"labels": [0, 1]}, "has the values 6, 7, which no label"),
        (of(0, 0.5, 1, dtype="float32"), {"labels": [0, 1]}, "has the value 0.5, which"),
        (of(-1, 0, 1, dtype="int8"), {"labels": [0, 1]}, "has the value -1, which"),
        (of(0, 1, 1.001, dtype="float64"), {"labels": [0, 1]}, "has the value 1.001, which"),
        (np.arange(120).reshape(SHAPE), {"labels": [0, 1]}, r"has the values 2, 3, 4, 5, 6, 7, \.\.\., .* as PNG"),
        (of(0, 1, 9), {"labels": [0, 1], "ignore": 8}, "has the value 9, which"),
    ],
)  # fmt: skip
def test_a_value_that_no_label_stands_for_is_refused_with_its_file(mask, fields, said, tmp_path):
    root_with(tmp_path, of(0, 1, 1), "fine.npy")
    with pytest.raises(InputError, match=rf"^mask '.*masks/wrong\.npy' {said}") as caught:
        read(root_with(tmp_path, mask, "wrong.npy"), **fields)
    assert "\n" not in str(caught.value)


# Colours -------------------------------------------------------------------------------------------------------------

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)
COLOURS = np.array([BLACK, RED, GREEN], np.uint8)[INDEX]
NAMED = {"nothing": "#000000", "liver": "#FF0000", "tumour": "#00ff00"}


def palette(mask: np.ndarray, path: Path) -> None:
    image = Image.fromarray(mask, "P") if mask.dtype == np.uint8 else None
    assert image is not None
    image.putpalette([*BLACK, *GREEN, *RED])
    image.save(path)


@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
def test_colours_stand_for_classes(suffix, tmp_path):
    data = load_data(parse(Folder, {"root": root_with(tmp_path, COLOURS, f"a.{suffix}"), "labels": NAMED,
                                    "size": SHAPE}, "data"))  # fmt: skip
    np.testing.assert_array_equal(data.masks[0], INDEX)
    assert (data.config.classes, data.config.class_names) == (3, ("nothing", "liver", "tumour"))


def test_a_palette_is_its_colours_where_labels_are_and_its_indices_where_they_are_not(tmp_path):
    root = root_with(tmp_path, INDEX.astype(np.uint8), "a.png", palette)
    np.testing.assert_array_equal(read(root, n_classes=3), INDEX)
    np.testing.assert_array_equal(read(root, labels=[0, 2, 1]), of(0, 2, 1))
    np.testing.assert_array_equal(read(root, labels=["#000000", "#ff0000", "#00ff00"]), of(0, 2, 1))


def test_grey_levels_are_colours_too_and_alpha_is_none(tmp_path):
    opaque = np.dstack([COLOURS, np.where(INDEX > 0, 255, 7).astype(np.uint8)])
    np.testing.assert_array_equal(read(root_with(tmp_path, opaque, "a.png"), labels=NAMED), INDEX)
    grey = of(0, 128, 255)
    for number, mask in enumerate((grey, np.dstack([grey, grey // 2 + 9]))):
        root = root_with(tmp_path / str(number), mask, "a.png") if (tmp_path / str(number)).mkdir() is None else None
        assert root is not None
        np.testing.assert_array_equal(read(root, labels=["#000000", "#808080", "#ffffff"]), INDEX)
        np.testing.assert_array_equal(read(root, labels=[0, 128, 255]), INDEX)


def test_two_bits_of_black_and_white_are_colours(tmp_path):
    root = root_with(tmp_path, INDEX > 0, "a.png")
    np.testing.assert_array_equal(read(root, labels=["#000000", "#ffffff"]), of(0, 1, 1))


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.array([BLACK, RED, (1, 2, 3)], np.uint8)[INDEX], "has the colour #010203, which no label stands for"),
        (np.array([BLACK, RED, (254, 0, 0)], np.uint8)[INDEX], "has the colour #fe0000, which"),
        (RNG.integers(0, 255, (*SHAPE, 3), dtype=np.uint8), r"has the colours #.*, \.\.\., .*: edges were smoothed"),
        (COLOURS.astype(np.uint16) * 257, "holds uint16 values and data.labels are colours: expected 8-bit"),
        (of(0, 1, 2), "has the colours #010101, #020202, which"),
    ],
)
def test_a_colour_that_no_label_stands_for_is_refused(mask, said, tmp_path):
    with pytest.raises(InputError, match=rf"^mask '.*masks/a\.(npy|png)' {said}"):
        read(root_with(tmp_path, mask), labels=NAMED)


def test_an_ignored_colour_is_no_class(tmp_path):
    found = read(root_with(tmp_path, COLOURS), labels=["#000000", "#ff0000"], ignore="#00FF00")
    np.testing.assert_array_equal(found, of(0, 1, IGNORED))


# What is ignored -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "dtype", "fields", "expected"),
    [
        ((0, 1, 255), "uint8", {"ignore": 255}, (0, 1, IGNORED)),
        ((0, 1, 255), "uint8", {"ignore": 255, "n_classes": 3}, (0, 1, IGNORED)),
        ((-1, 0, 1), "int8", {"ignore": -1}, (IGNORED, 0, 1)),
        ((0, 128, 255), "uint8", {"ignore": 128}, (0, IGNORED, 1)),
        ((1, 2, 3), "uint8", {"ignore": [3]}, (0, 1, IGNORED)),
        ((9, 8, 7), "uint8", {"ignore": [9, 8, 7]}, (IGNORED, IGNORED, IGNORED)),
        ((0, 2, 4), "uint8", {"ignore": 0, "labels": [2, 4]}, (IGNORED, 0, 1)),
        ((0, 2, 4), "float32", {"ignore": [4], "labels": [0, 2]}, (0, 1, IGNORED)),
        ((0, 0.25, 1), "float32", {"ignore": 0.25}, (0, IGNORED, 1)),
    ],
)
def test_what_is_ignored_is_no_class(values, dtype, fields, expected, tmp_path):
    np.testing.assert_array_equal(read(root_with(tmp_path, of(*values, dtype=dtype)), **fields), of(*expected))


def test_ignored_pixels_reach_the_data_set_and_a_value_that_no_mask_has_is_said(tmp_path):
    root = root_with(tmp_path, of(0, 1, 200))
    data = load_data(parse(Folder, {"root": root, "ignore": 200, "size": SHAPE}, "data"))
    np.testing.assert_array_equal(data.masks[0], of(0, 1, IGNORED))
    assert data.notes == ()
    data = load_data(parse(Folder, {"root": root, "ignore": [9], "n_classes": 3, "size": SHAPE}, "data"))
    assert data.notes[0].startswith("data.ignore is 9, and no mask of folder '")


# Without labels ------------------------------------------------------------------------------------------------------


def indices(mask: np.ndarray, classes: int, ignore: tuple[float, ...] = ()) -> tuple[list[int], tuple[float, ...]]:
    (found,), anew = class_indices([mask], [Path("masks/a.png")], classes, ignore)
    assert found.dtype == np.uint8
    return [int(found[index == INDEX][0]) for index in range(3)], anew


@pytest.mark.parametrize(
    ("values", "classes", "expected"),
    [
        ((0, 1, 1), 1, [0, 1, 1]),
        ((0, 255, 255), 1, [0, 1, 1]),
        ((0, 128, 128), 1, [0, 1, 1]),
        ((0, 0.25, 0.25), 1, [0, 1, 1]),
        ((1, 2, 2), 1, [0, 1, 1]),
        ((-1, 1, 1), 1, [0, 1, 1]),
        ((-2, -1, -1), 1, [0, 1, 1]),
        ((0, 1e-5, 1e-5), 1, [0, 1, 1]),
        ((0, 1, 2), 3, [0, 1, 2]),
        ((0, 2, 2), 3, [0, 2, 2]),
        ((1, 2, 3), 3, [0, 1, 2]),
        ((0, 2, 4), 3, [0, 1, 2]),
        ((-1, 0, 1), 3, [0, 1, 2]),
        ((0, 0.5, 1), 3, [0, 1, 2]),
    ],
)
def test_values_that_fill_the_classes_are_these_in_their_order(values, classes, expected):
    for dtype in ("float64", "float32", *(["int32"] if all(value == int(value) for value in values) else [])):
        assert indices(of(*values, dtype=dtype), classes)[0] == expected


@pytest.mark.parametrize(
    ("values", "classes", "remedy"),
    [
        ((0, 2, 4), 4, "and data.n_classes is 4: say what each class is, .*: data.labels=[0,1,2,4]"),
        ((0, 255, 255), 3, "data.labels=[0,1,255]"),
        ((0, 128, 255), 4, "data.labels=[0,1,128,255]"),
        ((10, 300, 300), 3, "data.labels=[0,10,300]"),
        ((3, 1, 1), 3, "data.labels=[0,1,3]"),
        ((0, 200, 4), 30, "data.labels, a value for each class"),
        ((-1, 0, 0), 1, "if -1 marks what nobody decided, set data.ignore=-1; else say .*: data.labels=[-1,0]"),
        ((-1, -1, -1), 1, "set data.ignore=-1"),
        ((-1, 0, 1), 4, "set data.ignore=-1; else .*data.labels=[-1,0,1,2]"),
        ((0, 0.5, 0.5), 3, "data.labels=[0,0.5,1]"),
    ],
)
def test_what_would_be_a_guess_is_refused_with_what_to_write(values, classes, remedy):
    pattern = ".*".join(map(_plain, remedy.split(".*")))
    with pytest.raises(InputError, match=rf"^the masks in 'masks' hold .*{pattern}"):
        indices(of(*values, dtype="float64"), classes)


def _plain(text: str) -> str:
    return text.replace("[", r"\[").replace("]", r"\]").replace(".", r"\.")


@pytest.mark.parametrize(
    ("mask", "classes", "advice"),
    [
        (of(0, 1, 2), 1, r"if these are classes, set data\.n_classes=3, or data\.labels=\[0,1,2\]"),
        (of(0, 2, 4), 2, r"set data\.n_classes=3, or data\.labels=\[0,2,4\]"),
        (of(0, 1, 255), 1, r"if 255 marks what nobody decided, set data\.ignore=255; .*\[0,\[1,255\]\]; if it is"),
        (of(-1, 0, 1, dtype="int16"), 2, r"if -1 marks what nobody decided, set data\.ignore=-1; if"),
        (of(0, 0.5, 1, dtype="float32"), 1, "fractions are no classes"),
        (RNG.random(SHAPE), 1, "fractions are no classes"),
        (RNG.random(SHAPE).astype(np.float32), 200, "at most 200 fit|the masks"),
        (np.arange(120).reshape(SHAPE).astype(np.uint16), 2, "where they number objects, give all objects of a class"),
        (np.arange(120).reshape(SHAPE) * 1000, 1, "so many are hardly classes"),
    ],
)  # fmt: skip
def test_too_many_values_are_refused_with_what_they_may_be(mask, classes, advice):
    with pytest.raises(InputError, match=advice) as caught:
        indices(mask, classes)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_remedies_that_are_proposed_work(tmp_path):
    root = root_with(tmp_path, of(0, 2, 4))
    assert sorted(np.unique(read(root, labels=[0, 1, 2, 4]))) == [0, 2, 3]
    root = root_with(tmp_path, of(0, 1, 255))
    assert sorted(np.unique(read(root, ignore=255))) == [0, 1, IGNORED]


def test_an_instance_mask_of_many_files_is_refused_soon_and_names_the_first():
    masks = [np.zeros(SHAPE), *(np.arange(120).reshape(SHAPE) + 1000.5 * n for n in range(1, 4))]
    with pytest.raises(InputError, match=r"^mask 'b\.png' makes it 121 distinct values"):
        class_indices(masks, [Path(f"{name}.png") for name in "abcd"], 1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_thousand_large_masks_would_take_seconds(dtype):
    """Twenty of 512² within a fiftieth of that, and without an object for each pixel."""
    masks = [RNG.integers(0, 4, (1, 512, 512)).astype(dtype) for _ in range(20)]
    start = time.perf_counter()
    found, _ = class_indices(masks, [Path("a.png")] * 20, 4)
    assert time.perf_counter() - start < 2
    np.testing.assert_array_equal(found[-1], masks[-1])


# The settings --------------------------------------------------------------------------------------------------------


def text(**fields: object) -> str:
    part = DataPart.of(parse(Folder, fields, "data"))
    again = parse(Folder, {name: value for name, value in part.canonical().items() if name != "name"}, "data")
    assert DataPart.of(again).text == part.text
    return part.text


@pytest.mark.parametrize(
    "alike",
    [
        [{"labels": [0, 1]}, {"labels": [0.0, 1.0]}, {"labels": [[0], [1]]}, {"labels": {"nothing": 0, "cell": 1}},
         {"labels": [0, 1], "n_classes": 1}, {"labels": [0, 1], "n_classes": 2}, {"labels": (0, 1)}],
        [{"labels": [0, [1, 2], 3]}, {"labels": [0, [2, 1], 3], "n_classes": 3}, {"labels": [[0], [2, 1, 2], [3.0]]}],
        [{"labels": ["#000000", "#ABCDEF"]}, {"labels": ["#000000", "#abcdef"]}, {"labels": [0, "#abcdef"]}],
        [{"labels": ["#ff0000", [7, "#00ff00"]], "ignore": 255},
         {"labels": ["#ff0000", ["#00ff00", "#070707"]], "ignore": "#ffffff"}],
        [{"ignore": 255}, {"ignore": [255]}, {"ignore": [255.0, 255]}],
        [{"ignore": [1, 2]}, {"ignore": [2, 1]}],
        [{}, {"labels": []}, {"ignore": []}, {"intensity": "range"}, {"intensity": []}, {"intensity": ["range"]},
         {"intensity": {"name": "range"}}, {"class_names": ["nothing", "cell"]}],
        [{"intensity": "zscore"}, {"intensity": [{"name": "zscore"}]}],
        [{"intensity": "percentiles"}, {"intensity": {"name": "percentiles", "low": 0.5, "high": 99.5}},
         {"intensity": {"name": "percentiles", "high": 99.5}}],
        [{"channels": 3}, {"channels": 3, "intensity": ["range"] * 3}],
        [{"channels": 2, "intensity": ["zscore", "zscore"]}, {"channels": 2, "intensity": "zscore"}],
        [{"use_channels": [1, 3]}, {"use_channels": [1, 3], "channels": 2}],
    ],
)  # fmt: skip
def test_one_meaning_has_one_canonical_form(alike):
    first, *others = [text(**fields) for fields in alike]
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"labels": [0, 1]}, {}),
        ({"labels": [0, 1]}, {"labels": [1, 0]}),
        ({"ignore": 255}, {}),
        ({"intensity": "zscore"}, {}),
        ({"intensity": "percentiles"}, {"intensity": {"name": "percentiles", "low": 1}}),
        ({"channels": 2, "intensity": ["zscore", "range"]}, {"channels": 2, "intensity": ["range", "zscore"]}),
        ({"use_channels": [0, 1]}, {"use_channels": [1, 0]}),
    ],
)
def test_another_meaning_has_another(one, other):
    assert text(**one) != text(**other)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"labels": [0, 1, 2], "n_classes": 2}, "labels has 3 classes and n_classes is 2"),
        ({"labels": [0, 1, 1]}, "labels: 1 stands for two classes"),
        ({"labels": [0, 1], "ignore": 1}, "ignore: 1 stands for a class in labels"),
        ({"labels": [0]}, "expected a value for the background and for each class"),
        ({"labels": [0, []]}, "expected a value for the background and for each class"),
        ({"labels": [0, "#ff0000", 256]}, "256 is neither a colour nor a grey level"),
        ({"labels": ["#ff0000", 0.5]}, "0.5 is neither a colour nor a grey level"),
        ({"labels": [0, "#000000"]}, "labels: #000000 stands for two classes"),
        ({"labels": [0, 1], "ignore": "#ff0000"}, "labels must say which colours"),
        ({"ignore": "#ff0000"}, "labels must say which colours"),
        ({"labels": [0, "red"]}, "'red': expected a number, or a colour"),
        ({"labels": [0, "#ff00"]}, "'#ff00': expected a number, or a colour"),
        ({"labels": [0, True]}, "expected a number, not true"),
        ({"labels": [0, float("nan")]}, "nan: expected a number below"),
        ({"labels": {0: "background", 1: "liver"}}, "expected names with their values, such as {background: 0"),
        ({"labels": {"a": 0, "b": 1}, "class_names": ["c", "d"]}, "leave class_names out"),
        ({"class_names": ["a"]}, "class_names: 1 for 2 classes"),
        ({"class_names": ["a", "a"]}, "expected names that differ"),
        ({"labels": [*range(256)]}, "less than or equal to 255"),
        ({"use_channels": [-1]}, "use_channels.*greater than or equal to 0"),
        ({"use_channels": [0, 1], "channels": 3}, "use_channels takes 2 channels and data.channels is 3"),
        ({"intensity": ["zscore", "range"], "channels": 3}, "expected one, or one for each of 3 channels"),
        ({"intensity": "log"}, "intensity"),
        ({"intensity": {"name": "window", "low": 1, "high": 1}}, "low 1 must be below high 1"),
        ({"intensity": {"name": "window", "high": 1}}, "window needs low and high"),
        ({"intensity": {"name": "percentiles", "low": 99.9}}, "low 99.9 must be below high 99.5"),
        ({"intensity": {"name": "percentiles", "high": 101}}, "from 0 to 100"),
        ({"intensity": {"name": "zscore", "low": 0}}, "zscore takes no low and high"),
    ],
)
def test_settings_that_mean_nothing_are_one_line(fields, said):
    with pytest.raises(InputError, match=said) as caught:
        parse(Folder, fields, "data folder")
    assert "\n" not in str(caught.value)


def test_names_show_an_intensity_in_words():
    each = Folder(channels=2, intensity=["zscore", {"name": "window", "low": -1000, "high": 400.5}])  # type: ignore[arg-type]
    assert in_words(DataPart.of(each).canonical()["intensity"]) == "zscore, window -1000 400.5"
    assert (in_words(0.5), in_words([1, 2]), in_words("a")) == (0.5, (1, 2), "a")


def test_labels_are_for_every_data_set_of_files():
    assert Isbi2012(labels=[0, 255]).classes == 1  # type: ignore[arg-type]
    assert Liver(labels={"nothing": 0, "liver": 1, "tumour": 2}).class_names == ("nothing", "liver", "tumour")  # type: ignore[arg-type]


def test_masks_of_samples_are_kept_small(tmp_path):
    (sample,) = folder.read(Folder(root=root_with(tmp_path, of(0, 1, 4, dtype="float64")), labels=[0, 1, 4]))  # type: ignore[arg-type]
    assert isinstance(sample, Sample)
    assert sample.mask.nbytes == sample.mask.size
