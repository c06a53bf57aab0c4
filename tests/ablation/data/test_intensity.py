"""`data.intensity` and `data.channels`: from the values of files to what a network sees, held against MONAI."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from monai.transforms import NormalizeIntensity, ScaleIntensityRange, ScaleIntensityRangePercentiles

from ablate.data import folder
from ablate.data.dataset import Dataset, assemble, prepare_images
from ablate.data.intensity import scalings, visible
from ablate.data.load import load_data
from ablate.data.settings import Folder, KaggleLung, Mni152, Phantom
from ablate.data.source import IGNORED, Sample
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.part import DataPart
from ablate.prediction import Ensemble, Predictor
from ablate.settings import parse
from ablate.trial import Protocol, TrialConfig

RNG = np.random.default_rng(3)
SIZE = (10, 12)
WINDOW = {"name": "window", "low": -1000, "high": 400}


def sample(image: np.ndarray, name: str = "a", **fields: object) -> Sample:
    return Sample(name, **({"group": name, "mask": np.zeros(image.shape[:2], np.uint8)} | fields), image=image)  # type: ignore[arg-type]


def config(channels: int = 1, intensity: object = (), size: tuple[int, int] = SIZE) -> DataPart:
    return DataPart.of(parse(Folder, {"size": size, "channels": channels, "intensity": intensity}, "data"))


def seen(*images: np.ndarray, group: str = "", **fields: object) -> np.ndarray:
    """(N, channels, H, W): images of their own, or the slices of a volume `group`."""
    samples = [sample(image, f"{n}", group=group or f"{n}") for n, image in enumerate(images)]
    return prepare_images(samples, config(**fields))  # type: ignore[arg-type]


def values(dtype: str, *more: int) -> np.ndarray:
    found = RNG.gamma(2, 40, (*SIZE, *more))
    return found.astype(dtype) if np.dtype(dtype).kind != "u" else found.clip(0, 255).astype(dtype)


DTYPES = ["uint8", "uint16", "int16", "float32", "float64"]


# One image, against MONAI --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_zscore_is_monais(dtype):
    image = values(dtype)
    expected = NormalizeIntensity(dtype=np.float64)(image[None].astype(np.float64))
    np.testing.assert_allclose(seen(image, intensity="zscore")[0], np.asarray(expected), atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bounds", [(0.5, 99.5), (5, 90), (0, 100)])
def test_percentiles_are_monais(dtype, bounds):
    image = values(dtype)
    given = {"name": "percentiles", "low": bounds[0], "high": bounds[1]}
    expected = ScaleIntensityRangePercentiles(*bounds, -1, 1, clip=True, dtype=np.float64)(image[None].astype(float))
    np.testing.assert_allclose(seen(image, intensity=given)[0], np.asarray(expected), atol=1e-5)
    if bounds == (0.5, 99.5):
        np.testing.assert_array_equal(seen(image, intensity="percentiles"), seen(image, intensity=given))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_window_is_monais(dtype):
    image = values(dtype)
    given = {"name": "window", "low": 20, "high": 130}
    expected = ScaleIntensityRange(20, 130, -1, 1, clip=True, dtype=np.float64)(image[None].astype(float))
    found = seen(image, intensity=given)
    np.testing.assert_allclose(found[0], np.asarray(expected), atol=1e-5)
    assert (found.min(), found.max()) == (-1, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_range_is_what_there_is_without(dtype):
    image = values(dtype)
    np.testing.assert_array_equal(seen(image, intensity="range"), seen(image))
    low, high = (0, 255) if dtype == "uint8" else (image.min(), image.max())
    np.testing.assert_allclose(seen(image)[0, 0], (image.astype(float) - low) / (high - low) * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("value", [0, 0.1, 7, -1e6])
@pytest.mark.parametrize(("intensity", "expected"), [("zscore", 0), ("percentiles", -1), ("range", -1)])
def test_a_constant_image_stays_constant(value, intensity, expected):
    assert np.unique(seen(np.full(SIZE, value, np.float64), intensity=intensity)).tolist() == [expected]


def test_a_window_cuts_off_what_is_beyond():
    image = np.array([[-3024, -1000, -300, 400, 30000, -650, 50, 401]] * 8, np.int16)
    found = seen(image, intensity=WINDOW, size=(8, 8))[0, 0, 0]
    np.testing.assert_allclose(found, [-1, -1, 0, 1, 1, -0.5, 0.5, 1], atol=1e-6)


# Slices of a volume --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intensity", ["zscore", "percentiles"])
def test_slices_of_a_volume_are_scaled_as_one_and_images_each_by_itself(intensity):
    slices = [values("float32") * factor for factor in (1, 3, 9)]
    volume = np.stack(slices)[None].astype(np.float64)
    monai = NormalizeIntensity(dtype=np.float64) if intensity == "zscore" else None
    monai = monai or ScaleIntensityRangePercentiles(0.5, 99.5, -1, 1, clip=True, dtype=np.float64)
    expected = np.asarray(monai(volume))[0]
    np.testing.assert_allclose(seen(*slices, group="v", intensity=intensity)[:, 0], expected, atol=1e-5)
    apart = seen(*slices, intensity=intensity)
    for n, one in enumerate(slices):
        np.testing.assert_array_equal(apart[n], seen(one, intensity=intensity)[0])
    assert np.abs(apart[:, 0] - expected).max() > 0.5


@pytest.mark.parametrize("intensity", ["range", "zscore", "percentiles"])
def test_a_case_of_several_volumes_is_scaled_volume_by_volume(intensity):
    first, second = values("float32"), values("float32") * 50
    both = [sample(image, str(n), group="patient", volume=f"scan{n}") for n, image in enumerate((first, second))]
    found = prepare_images(both, config(intensity=intensity))
    np.testing.assert_array_equal(found, seen(first, second, intensity=intensity))


def test_slices_that_are_not_in_a_row_are_of_one_volume_all_the_same():
    one, other, two = values("int16"), values("int16") * 3, values("int16") * 9
    mixed = [sample(image, str(n), group=g) for n, (image, g) in enumerate(((one, "v"), (other, "w"), (two, "v")))]
    found = prepare_images(mixed, config(intensity="zscore"))
    np.testing.assert_array_equal(found[[0, 2]], seen(one, two, group="v", intensity="zscore"))
    np.testing.assert_array_equal(found[1:2], seen(other, intensity="zscore"))


# Channels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [2, 4, 7])
@pytest.mark.parametrize("intensity", ["range", "zscore", "percentiles", WINDOW])
def test_each_of_many_channels_is_scaled_by_itself(channels, intensity):
    image = values("float32", channels) * 10.0 ** np.arange(channels)
    found = seen(image, channels=channels, intensity=intensity)
    for channel in range(channels):
        np.testing.assert_array_equal(found[0, channel], seen(image[..., channel], intensity=intensity)[0, 0])


def test_each_channel_may_have_an_intensity_of_its_own():
    image = values("float32", 4)
    each = ["range", "zscore", "percentiles", {"name": "window", "low": 20, "high": 130}]
    found = seen(image, channels=4, intensity=each)
    for channel, intensity in enumerate(each):
        np.testing.assert_array_equal(found[0, channel], seen(image[..., channel], intensity=intensity)[0, 0])


def test_bytes_in_many_channels_keep_their_range():
    image = RNG.integers(50, 90, (*SIZE, 4), dtype=np.uint8)
    np.testing.assert_allclose(seen(image, channels=4)[0], np.moveaxis(image, -1, 0) / 127.5 - 1, atol=1e-6)


def test_colour_of_16_bits_is_scaled_as_one():
    image = values("uint16", 3)
    expected = (image - image.min()) / (image.max() - image.min()) * 2.0 - 1
    np.testing.assert_allclose(seen(image, channels=3)[0], np.moveaxis(expected, -1, 0), atol=1e-6)
    np.testing.assert_allclose(seen(image)[0, 0], expected.mean(axis=2), atol=1e-6)


def test_colour_becomes_grey_before_it_is_measured_and_grey_is_repeated():
    image = values("float32", 3)
    np.testing.assert_allclose(seen(image, intensity="zscore"), seen(image.mean(axis=2), intensity="zscore"), atol=1e-5)
    three = seen(image[..., 0], channels=3, intensity="zscore")
    assert three.shape == (1, 3, *SIZE)
    np.testing.assert_array_equal(three[0, 1], seen(image[..., 0], intensity="zscore")[0, 0])
    each = seen(image[..., 0], channels=3, intensity=["zscore", "range", "percentiles"])
    np.testing.assert_array_equal(each[0, 2], seen(image[..., 0], intensity="percentiles")[0, 0])


@pytest.mark.parametrize(("held", "wanted"), [(4, 1), (4, 3), (2, 3), (1, 2), (3, 4), (7, 4), (3, 2)])
def test_other_channels_than_there_are_are_refused(held, wanted):
    image = values("uint8", held) if held > 1 else values("uint8")
    says = rf"image 'odd' has {held} channels? and data.channels is {wanted}: .*data.channels={held}"
    fine = sample(values("uint8", *([wanted] if wanted > 1 else [])), "fine")
    with pytest.raises(InputError, match=says):
        assemble([fine, sample(image, "odd")], config(wanted))
    with pytest.raises(InputError, match=says):
        prepare_images([sample(image, "odd")], config(wanted, "zscore"))


def read(root: Path, **fields: object) -> list[Sample]:
    return folder.read(parse(Folder, {"root": root, **fields}, "data"))


def test_channels_are_picked_in_the_order_given(tmp_path):
    image = values("uint8", 3)
    for kind, array in (("images", image), ("masks", np.zeros(SIZE, np.uint8))):
        (tmp_path / kind).mkdir()
        np.save(tmp_path / kind / "a.npy", array)
    (found,) = read(tmp_path, use_channels=[2, 0])
    np.testing.assert_array_equal(found.image, image[..., [2, 0]])
    (found,) = read(tmp_path, use_channels=[1])
    np.testing.assert_array_equal(found.image, image[..., 1])
    (found,) = read(tmp_path, use_channels=[1], channels=3)
    np.testing.assert_array_equal(found.image, image[..., 1])
    (found,) = read(tmp_path, use_channels=[2, 1, 0], channels=1)
    np.testing.assert_array_equal(found.image, image[..., ::-1])
    with pytest.raises(
        InputError, match=r"images/a\.npy' has 3 channels.*data\.use_channels (takes channel|asks for) 3"
    ):
        read(tmp_path, use_channels=[0, 3])
    with pytest.raises(InputError, match=r"images/a\.npy' has 3 channels and data\.channels is 5: "):
        read(tmp_path, channels=5)


# CT ------------------------------------------------------------------------------------------------------------------


def lungs(root: Path) -> KaggleLung:
    """Lung at −800 HU and tissue at 40; in some slices a pixel of metal, or padding at −3024."""
    for kind in ("2d_images", "2d_masks"):
        (root / kind).mkdir(parents=True)
    for case in range(6):
        mask = np.zeros((32, 32), bool)
        mask[5 + case : 15 + case, 6:20] = True
        hu = (np.where(mask, -800, 40) + np.random.default_rng(case).integers(-20, 20, mask.shape)).astype(np.int16)
        hu[-1, -1] = 30_000 if case in (1, 3) else 1200
        if case == 5:
            hu[0, :4] = -3024
        tifffile.imwrite(root / f"2d_images/{case}.tif", hu)
        tifffile.imwrite(root / f"2d_masks/{case}.tif", mask.astype(np.uint8) * 255)
    return KaggleLung(root=root, size=(32, 32))


def contrast(data: Dataset) -> np.ndarray:
    """Tissue less lung in each slice."""
    both = [(data.images[n][0], data.masks[n]) for n in range(len(data))]
    return np.array([image[mask == 0].mean() - image[mask > 0].mean() for image, mask in both])


def test_by_a_window_lung_and_tissue_are_as_far_apart_in_every_slice(tmp_path):
    source = lungs(tmp_path)
    by_range = contrast(load_data(source))
    assert by_range.min() < 0.1 * by_range.max()
    windowed = load_data(parse(KaggleLung, {**dict(source), "fingerprint": "", "intensity": WINDOW}, "data"))
    np.testing.assert_allclose(contrast(windowed), 840 / 700, atol=0.02)
    assert windowed.config.fingerprint == load_data(source).config.fingerprint
    assert windowed.config.text != load_data(source).config.text


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": 4, "intensity": ["zscore", "range", "percentiles", {"name": "window", "low": 20, "high": 99}]},
        {"use_channels": [3, 1], "intensity": "zscore"},
        {"channels": 4, "intensity": "percentiles"},
        {"use_channels": [2], "channels": 3},
        {"channels": 4},
    ],
)
@pytest.mark.parametrize("slices", [1, 5])
def test_a_new_image_is_prepared_as_those_that_trained_were(fields, slices, tmp_path, monkeypatch):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for name in "ab":
        image = values("float32", 4)[None] * np.arange(1, slices + 1)[:, None, None, None]
        np.save(tmp_path / f"images/{name}.npy", image[0] if slices == 1 else image.astype(np.float32))
        np.save(tmp_path / f"masks/{name}.npy", np.resize([0, 1], SIZE if slices == 1 else (slices, *SIZE)))
    data = load_data(parse(Folder, {"root": tmp_path, "size": SIZE, **fields}, "data"))
    predictor = Predictor.__new__(Predictor)
    predictor.trial = TrialConfig(model=UNet(width=4, stages=2), data=data.config, protocol=Protocol(augment=()))
    given: list[np.ndarray] = []

    def found(_: Predictor, samples: list[Sample]) -> list[torch.Tensor]:
        given.extend(prepare_images(samples, data.config))
        return [torch.zeros(1, *SIZE) for _ in samples]

    monkeypatch.setattr(Predictor, "probabilities", found)
    Ensemble([predictor]).segment(tmp_path / "images/b.npy")
    np.testing.assert_array_equal(np.stack(given), data.images[slices:])


# What else is prepared -----------------------------------------------------------------------------------------------


def test_a_source_that_fixes_its_limits_keeps_them():
    for source in (Phantom(count=5, size=(16, 16)), Mni152(size=(16, 16), slices=5)):
        data = load_data(source)
        samples = source.read()
        assert all(scaling.offset.tolist() == [0] for scaling in scalings(samples, data.config))
        unit = 1 if isinstance(source, Phantom) else 255
        assert all(scaling.unit.tolist() == [unit] for scaling in scalings(samples, data.config))


def test_a_setting_of_that_name_of_somebody_elses_is_no_intensity():
    part = DataPart({"name": "my:data", "size": [10, 12], "channels": 1, "fingerprint": "", "intensity": 0.5})
    image = values("float32")
    np.testing.assert_array_equal(prepare_images([sample(image)], part), seen(image))


@pytest.mark.parametrize(
    ("channels", "shape"), [(1, SIZE), (2, SIZE), (3, (*SIZE, 3)), (4, (*SIZE, 3)), (7, (*SIZE, 3))]
)
def test_what_is_shown_of_an_image_is_a_picture(channels, shape):
    image = values("float32", channels) if channels > 1 else values("float32")
    for intensity in ("range", "zscore"):
        picture = visible(seen(image, channels=channels, intensity=intensity)[0], config(channels, intensity))
        assert (picture.shape, picture.dtype) == (shape, np.uint8)
        assert np.ptp(picture) > 100
    shown = visible(seen(image, channels=channels, intensity="zscore")[0], config(channels, "zscore"))
    assert (shown == 255).mean() < 0.05  # within three deviations nothing is cut off


# Masks ---------------------------------------------------------------------------------------------------------------


def with_mask(*of: int) -> list[Sample]:
    mask = np.resize(np.array(of, np.uint8), SIZE)
    return [sample(values("uint8"), name, mask=mask) for name in "ab"]


def test_ignored_pixels_stay_ignored_at_any_size():
    masks = assemble(with_mask(0, 1, IGNORED), config(size=(40, 36))).masks
    assert set(np.unique(masks).tolist()) == {0, 1, IGNORED}


@pytest.mark.parametrize(("of", "classes"), [((0, 1, 2), 1), ((0, 1, 200), 1), ((0, 5), 4), ((0, 1, 255, 3), 3)])
def test_a_class_that_there_is_not_is_refused(of, classes):
    part = DataPart.of(parse(Folder, {"size": SIZE, "n_classes": classes}, "data"))
    with pytest.raises(
        InputError, match=rf"mask 'a' of folder has class \d+ and n_classes is {classes}: expected 0 to"
    ):
        assemble(with_mask(*of), part)


def test_white_for_foreground_is_refused_where_nothing_else_is():
    with pytest.raises(InputError, match="the masks of folder hold 0 and 255 alone, and 255 is where it is not known"):
        assemble(with_mask(0, 255), config())
    ignoring = DataPart.of(parse(Folder, {"size": SIZE, "ignore": 9}, "data"))
    assert assemble(with_mask(0, 255), ignoring).masks.max() == IGNORED
