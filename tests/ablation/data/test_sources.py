"""Each source reads its layout, generated here (and real where it is there), and says what is wrong in one line."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from ablate.data import folder, isbi2012, kaggle_lung, liver
from ablate.data.load import described, load_data
from ablate.data.settings import DataSource, Folder, Isbi2012, KaggleLung, Liver, Mni152, Phantom
from ablate.data.source import Sample
from ablate.errors import InputError
from ablate.kinds import KINDS, parse
from ablate.modules import code_from
from ablate.part import DataPart

REAL = Path(__file__).parents[4] / "shared" / "data"
RNG = np.random.default_rng(0)

INFO = {info.name: info for info in described()}


def images(count: int, size: tuple[int, int] = (16, 12)) -> np.ndarray:
    return RNG.integers(0, 256, (count, *size), dtype=np.uint8)


def masks(count: int, size: tuple[int, int] = (16, 12)) -> np.ndarray:
    return np.where(images(count, size) > 99, 255, 0).astype(np.uint8)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="minisblack")
    else:
        Image.fromarray(array).save(path)


def folder_of(root: Path, picture: np.ndarray, mask: np.ndarray, suffix: str = ".png") -> Path:
    """A `folder` data set of one image."""
    save(root / f"images/a{suffix}", picture)
    save(root / f"masks/a{suffix}", mask)
    return root


def read_real(config: DataSource) -> list[Sample]:
    if config.root is None or not config.root.is_dir():
        pytest.skip(f"{config.root} is not here; the generated layouts cover the same code")
    return {"isbi2012": isbi2012, "liver": liver, "kaggle_lung": kaggle_lung}[config.name].read(config)


# ISBI 2012 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_folder", "mask_folder"),
    [("images", "labels"), ("images", "label"), ("train/images", "train/label"), ("train/images", "train/labels")],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_isbi2012_as_folders_and_as_stacks_is_the_same_data(
    image_folder: str, mask_folder: str, suffix: str, tmp_path: Path
) -> None:
    volume, labels = images(12), masks(12)
    for i in range(12):  # not padded: natural order, not alphabetical
        save(tmp_path / "folders" / image_folder / f"{i}{suffix}", volume[i])
        save(tmp_path / "folders" / mask_folder / f"{i}{suffix}", labels[i])
    save(tmp_path / "stacks/train-volume.tif", volume)
    save(tmp_path / "stacks/train-labels.tif", labels)
    samples = isbi2012.read(Isbi2012(root=tmp_path / "folders"))
    assert [sample.id for sample in samples] == [f"{i:02d}" for i in range(12)]
    assert {sample.group for sample in samples} == {"isbi2012"}
    for i, sample in enumerate(samples):
        np.testing.assert_array_equal(sample.image, volume[i])
        np.testing.assert_array_equal(sample.mask, labels[i] == 255)
    of_folders, of_stacks = (load_data(Isbi2012(root=tmp_path / name)) for name in ("folders", "stacks"))
    assert of_folders.config.fingerprint == of_stacks.config.fingerprint
    assert of_folders.ids == of_stacks.ids
    np.testing.assert_array_equal(of_folders.images, of_stacks.images)


def test_the_real_isbi2012_has_the_papers_foreground() -> None:
    samples = read_real(Isbi2012(root=REAL / "isbi2012"))
    assert len(samples) == 30
    assert {sample.image.shape for sample in samples} == {(512, 512)}
    # An all-foreground predictor scores an IoU of 0.777 to 0.782 (the range over two 20 % splits, and all 30).
    assert 0.775 < np.mean([sample.mask.mean() for sample in samples]) < 0.785


# Kaggle lung and liver -----------------------------------------------------------------------------------------------


def test_kaggle_lung_reads_16_bit_images_by_name(tmp_path: Path) -> None:
    names = ["ID_0000_Z_0142", "ID_0001_Z_0146", "ID_0010_Z_0001"]
    for name in names:
        save(tmp_path / f"2d_images/{name}.tif", (images(1)[0].astype(np.int16) - 100) * 4)
        save(tmp_path / f"2d_masks/{name}.tif", masks(1)[0])
    data = load_data(KaggleLung(root=tmp_path, size=(16, 16)))
    assert data.ids == data.groups == tuple(names)
    assert data.images.min(axis=(1, 2, 3)).max() < -0.5  # each image from its own minimum


def test_the_real_kaggle_lung_sample() -> None:
    (sample,) = read_real(KaggleLung(root=REAL / "kaggle_lung_sample"))
    assert sample.id == "ID_0000_Z_0142"
    assert sample.image.shape == (512, 512, 3)
    assert 0.05 < sample.mask.mean() < 0.5


@pytest.mark.parametrize("parts", [("train",), ("train", "val")])
def test_liver_reads_train_then_val(parts: tuple[str, ...], tmp_path: Path) -> None:
    for part in parts:
        for name in ("000", "001", "010"):
            save(tmp_path / f"{part}/{name}.png", RNG.integers(0, 256, (16, 12, 3), dtype=np.uint8))
            save(tmp_path / f"{part}/{name}_mask.png", masks(1)[0])
    samples = liver.read(Liver(root=tmp_path))
    assert [sample.id for sample in samples] == [f"{part}/{name}" for part in parts for name in ("000", "001", "010")]
    assert all(sample.group == sample.id and sample.image.shape == (16, 12, 3) for sample in samples)


def test_the_real_liver_sample() -> None:
    samples = read_real(Liver(root=REAL / "liver_sample"))
    assert [sample.id for sample in samples] == ["train/000", "val/000"]
    assert all(0 < sample.mask.mean() < 0.3 for sample in samples)


# Folder --------------------------------------------------------------------------------------------------------------


def test_a_folder_mixes_formats_sizes_and_stray_files(tmp_path: Path) -> None:
    a, b, c, d = (images(1, size)[0] for size in ((16, 12), (20, 30), (8, 8), (9, 11)))
    save(tmp_path / "images/img10.png", a)
    save(tmp_path / "images/img2.tif", b)
    save(tmp_path / "images/img1.npy", c)
    Image.fromarray(d).save(tmp_path / "images/IMG3.JPG")
    for stem, size in (("img10", (16, 12)), ("img2", (20, 30)), ("img1", (8, 8)), ("IMG3", (9, 11))):
        save(tmp_path / f"masks/{stem}.png", masks(1, size)[0])
    (tmp_path / "images/README.txt").write_text("not an image")
    (tmp_path / "images/._img1.png").write_bytes(b"macOS leaves such files")
    samples = folder.read(Folder(root=tmp_path))
    assert [sample.id for sample in samples] == ["IMG3", "img1", "img2", "img10"]
    np.testing.assert_array_equal(samples[2].image, b)
    assert load_data(Folder(root=tmp_path, size=(24, 24), channels=3)).images.shape == (4, 3, 24, 24)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".npy", ".tif"])
def test_a_volume_becomes_slices_of_one_group(suffix: str, tmp_path: Path) -> None:
    volume, labels = images(4).astype(np.int16) * 3 - 99, masks(4)
    for kind, array in (("images", volume), ("masks", labels)):
        path = tmp_path / kind / f"scan{suffix}"
        path.parent.mkdir()
        if suffix.startswith(".nii"):  # x, y, z from slices with the front up
            nibabel.save(nibabel.Nifti1Image(array[:, ::-1].transpose(2, 1, 0), np.eye(4)), path)
        else:
            save(path, array)
    save(tmp_path / "images/single.png", images(1)[0])
    save(tmp_path / "masks/single.png", masks(1)[0])
    samples = folder.read(Folder(root=tmp_path))
    assert [sample.id for sample in samples] == [f"scan_z{z:03d}" for z in range(4)] + ["single"]
    assert [sample.group for sample in samples] == ["scan"] * 4 + ["single"]
    for z in range(4):
        np.testing.assert_array_equal(samples[z].image, volume[z])
        np.testing.assert_array_equal(samples[z].mask, labels[z] == 255)


@pytest.mark.parametrize(
    ("classes", "given", "expected"),
    [
        (1, [0, 255], [0, 1]),
        (1, [0, 7], [0, 1]),
        (1, [1, 2], [0, 1]),
        (1, [5], [1]),
        (1, [0], [0]),
        (2, [0, 255], [0, 1]),
        (3, [0, 1, 2], [0, 1, 2]),
        (4, [1, 3], [1, 3]),  # a class that happens to be absent is not closed up
        (3, [0, 128, 255], [0, 1, 2]),
        (2, [0.0, 1.0], [0, 1]),
        (2, [0.0, 0.5], [0, 1]),
        (2, [-1, 1], [0, 1]),
    ],
)
def test_mask_values_become_class_indices(
    classes: int, given: list[float], expected: list[int], tmp_path: Path
) -> None:
    mask = np.resize(np.array(given), (9, 9))
    (sample,) = folder.read(Folder(root=folder_of(tmp_path, images(1, (9, 9))[0], mask, ".npy"), n_classes=classes))
    assert sample.mask.dtype == np.uint8
    np.testing.assert_array_equal(sample.mask, np.resize(np.array(expected), (9, 9)))


def test_values_are_mapped_over_the_whole_data_set(tmp_path: Path) -> None:
    for name, value in (("a", 0), ("b", 100), ("c", 200)):
        save(tmp_path / f"images/{name}.png", images(1)[0])
        save(tmp_path / f"masks/{name}.png", np.full((16, 12), value, np.uint8))
    samples = folder.read(Folder(root=tmp_path, n_classes=3))
    assert [int(sample.mask.max()) for sample in samples] == [0, 1, 2]


def test_values_with_a_gap_that_fill_the_classes_are_kept_beside_them(tmp_path: Path) -> None:
    folder_of(tmp_path, images(1)[0], np.array([0, 2, 4], np.uint8)[RNG.integers(0, 3, (16, 12))])
    assert folder.read(Folder(root=tmp_path, n_classes=3))[0].labels == (0, 2, 4)
    assert folder.read(Folder(root=tmp_path, n_classes=5))[0].labels == ()


def test_the_number_of_classes_reaches_the_data_set(tmp_path: Path) -> None:
    root = folder_of(tmp_path, images(1)[0], images(1)[0] % 3)
    data = load_data(Folder(root=root, n_classes=3, size=(8, 8)))
    assert data.config.classes == 3
    assert set(np.unique(data.masks)) <= {0, 1, 2}


FUNCTIONS = """
import numpy as np
from ablate import Sample


def lines(size, count=6, n_classes=2):
    for n in range(count):
        mask = np.zeros(size, np.uint8)
        mask[n] = n_classes - 1
        yield f"{n}", mask * 50, mask


def files(root):
    return [Sample(file.stem, "one", np.load(file), np.load(file) > 1) for file in sorted(root.glob("*.npy"))]


def numbers():
    return [1, 2]
"""


@pytest.fixture
def functions(tmp_path: Path):
    (tmp_path / "my_data.py").write_text(FUNCTIONS)
    with code_from(tmp_path):
        yield tmp_path


def of_function(name: str, root: Path | None = None, **settings: object) -> DataPart:
    part = parse(KINDS["data set"], {"name": f"my_data:{name}", **settings}, local={"root": root})
    assert isinstance(part, DataPart)
    return part


def test_a_function_is_a_data_set_and_is_told_what_every_one_has(functions: Path) -> None:
    data = load_data(of_function("lines", size=[8, 12], n_classes=3))
    assert data.images.shape == (6, 1, 8, 12)
    assert data.masks.max() == 2
    assert data.config.settings == {
        "size": [8, 12], "channels": 1, "n_classes": 3, "fingerprint": data.config.fingerprint,
    }  # fmt: skip
    again = load_data(DataPart(data.config.canonical()))
    assert np.array_equal(again.images, data.images)


def test_what_a_function_is_told_may_be_left_out(functions: Path) -> None:
    plain = of_function("lines")
    assert (plain.size, plain.channels, plain.classes) == ((128, 128), 1, 1)
    assert of_function("lines", n_classes=1, count=6, channels=1, size=[128, 128]).text == plain.text
    assert of_function("lines", count=7).text != plain.text


def test_a_function_is_told_where_its_files_are(functions: Path) -> None:
    for n in range(3):
        np.save(functions / f"{n}.npy", np.eye(8, dtype=np.uint8) * (n + 2))
    data = load_data(of_function("files", functions, size=[8, 8]))
    assert data.ids == ("0", "1", "2")
    assert str(functions) not in data.config.text


def test_a_function_that_gives_no_samples_is_refused(functions: Path) -> None:
    with pytest.raises(
        InputError, match=r"my_data:numbers gives int: expected ablate.Sample, or \(name, image, mask\)"
    ):
        load_data(of_function("numbers"))
    with pytest.raises(InputError, match="setting 'cuont': did you mean 'count'"):
        of_function("lines", cuont=3)


# What is wrong with the input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [info.name for info in described() if info.needs_dir])
def test_a_missing_root_is_explained_with_the_layout(name: str, tmp_path: Path) -> None:
    for root in (None, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="--data-dir") as caught:
            load_data(parse(KINDS["data set"], {"name": name}, local={"root": root}))
        assert INFO[name].layout in str(caught.value)
        assert "\n" not in str(caught.value)


def nothing(root: Path) -> None:
    root.mkdir(exist_ok=True)


def only(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).mkdir(parents=True)


def empty(*names: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for name in names:
            (root / name).mkdir(parents=True)

    return write


def unpaired(image_names: str, mask_names: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for name in image_names:
            save(root / f"images/{name}.png", images(1)[0])
        for name in mask_names:
            save(root / f"masks/{name}.png", masks(1)[0])

    return write


def liver_without_mask(root: Path) -> None:
    save(root / "train/000.png", images(1)[0])


def sizes(image: tuple[int, ...], mask: tuple[int, ...]) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        folder_of(root, np.zeros(image, np.uint8), np.zeros(mask, np.uint8), ".npy")

    return write


def twins(root: Path) -> None:
    folder_of(root, images(1)[0], masks(1)[0])
    save(root / "images/a.tif", images(1)[0])


def values(*given: int) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        folder_of(root, images(1)[0], masks(1)[0])
        save(root / "images/b.png", images(1)[0])
        save(root / "masks/b.png", np.resize(np.array(given, np.uint8), (16, 12)))

    return write


def jpeg_masks(root: Path) -> None:
    save(root / "images/a.png", images(1)[0])
    (root / "masks").mkdir()
    Image.fromarray(masks(1)[0]).save(root / "masks/a.jpg")


def lung_values(root: Path) -> None:
    save(root / "2d_images/a.png", images(1)[0])
    save(root / "2d_masks/a.png", images(1)[0] % 3)


def isbi_unequal_stacks(root: Path) -> None:
    save(root / "train-volume.tif", images(5))
    save(root / "train-labels.tif", masks(4))


def half_a_stack(root: Path) -> None:
    save(root / "train-volume.tif", images(5))


@pytest.mark.parametrize(
    ("source", "write", "expected"),
    [
        (Isbi2012, nothing, r"folder '.*/images' is missing: isbi2012 expects images/00\.png"),
        (Isbi2012, only("images"), r"folder '.*/labels' is missing"),
        (Isbi2012, only("train/images"), r"folder '.*/train/labels' is missing"),
        (Isbi2012, half_a_stack, r"folder '.*/images' is missing: .*train-labels\.tif"),
        (Isbi2012, isbi_unequal_stacks, r"16x12 with 5 slices but its mask 'train-labels.tif' is 16x12 with 4 slices"),
        (KaggleLung, nothing, r"folder '.*/2d_images' is missing"),
        (KaggleLung, only("2d_images"), r"folder '.*/2d_masks' is missing"),
        (KaggleLung, lung_values, r"2d_masks/a\.png' makes it 3 distinct values \(0, 1, 2\), at most 2 fit"),
        (Liver, nothing, r"folder '.*/train' is missing"),
        (Liver, empty("train", "val"), r"no images in '.*/train': liver expects"),
        (Liver, liver_without_mask, r"1 of 1 images have no mask, the first is '.*/train/000\.png'"),
        (Folder, nothing, r"folder '.*/images' is missing"),
        (Folder, only("images"), r"folder '.*/masks' is missing"),
        (Folder, empty("images", "masks"), r"no images in '.*/images'"),
        (Folder, unpaired("abc", "a"), r"2 of 3 images have no mask, the first is '.*/images/b\.png'"),
        (Folder, unpaired("a", "abc"), r"2 of 3 masks have no image, the first is '.*/masks/b\.png'"),
        (Folder, sizes((16, 12), (12, 16)), r"images/a\.npy' is 16x12 but its mask 'a\.npy' is 12x16"),
        (
            Folder,
            sizes((5, 16, 12), (16, 12)),
            r"is 16x12 with 5 slices but its mask 'a\.npy' is 16x12: if its shape \(5, 16, 12\) is CYX, "
            r"set data\.axes=CYX$",
        ),
        (Folder, twins, r"a\.tif' and 'a\.png' have the same stem|a\.png' and 'a\.tif' have the same stem"),
        (Folder, values(0, 128, 255), r"masks/b\.png' makes it 3 distinct values \(0, 128, 255\).*data\.n_classes=3"),
        (Folder, values(*range(20)), r"masks/b\.png' makes it 21 distinct values \(0, 1, 2, 3, 4, 5, \.\.\.\)"),
        (Folder, jpeg_masks, r"masks/a\.jpg' makes it \d+ distinct values .*JPEG is lossy, save the masks as PNG"),
    ],
)
def test_unfit_files_are_one_line_that_says_which(
    source: type, write: Callable[[Path], None], expected: str, tmp_path: Path
) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match=expected) as caught:
        load_data(source(root=tmp_path))
    assert "\n" not in str(caught.value)


def test_more_values_than_classes_is_an_error_for_several_classes_too(tmp_path: Path) -> None:
    values(0, 1, 2, 3)(tmp_path)
    with pytest.raises(InputError, match=r"at most 3 fit: .*data\.n_classes=5"):
        load_data(Folder(root=tmp_path, n_classes=3))


# The registry --------------------------------------------------------------------------------------------------------


def test_every_configurable_source_can_be_read_and_is_described() -> None:
    for name, info in INFO.items():
        assert info.name == name
        assert info.what
        assert bool(info.layout) == info.needs_dir
        assert "\n" not in info.what + info.layout + info.citation


@pytest.mark.parametrize("config", [Mni152(slices=5), Phantom(count=5)], ids=lambda config: config.name)
def test_embedded_data_needs_no_directory(config: DataSource) -> None:
    assert len(load_data(config)) == 5
