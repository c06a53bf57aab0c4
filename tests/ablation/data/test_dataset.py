"""Scaling, resizing and the fingerprint, on samples made here."""

import pickle
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ablate.data.dataset import Dataset, assemble, fingerprint
from ablate.data.fit import resize_image, resize_mask
from ablate.data.load import load_data
from ablate.data.settings import Folder, Phantom
from ablate.data.source import Sample
from ablate.errors import InputError

RNG = np.random.default_rng(0)


def sample(image: np.ndarray, name: str = "a", group: str | None = None, mask: np.ndarray | None = None) -> Sample:
    mask = np.zeros(image.shape[:2], np.uint8) if mask is None else mask
    return Sample(name, group or name, image, mask)


def loaded(*samples: Sample, size: tuple[int, int] = (8, 8), channels: int = 1) -> Dataset:
    return assemble(samples, Folder(size=size, channels=channels))  # type: ignore[arg-type]


def random_samples(count: int = 3, size: tuple[int, int] = (20, 16)) -> list[Sample]:
    images = RNG.integers(0, 256, (count, *size), dtype=np.uint8)
    return [sample(image, f"{i}", mask=(image > 99).astype(np.uint8)) for i, image in enumerate(images)]


# Scaling -------------------------------------------------------------------------------------------------------------


def test_8_bit_is_divided_by_255_whatever_is_in_the_image() -> None:
    image = RNG.integers(50, 90, (8, 8), dtype=np.uint8)
    np.testing.assert_allclose(loaded(sample(image)).images[0, 0], image / 127.5 - 1, atol=1e-6)


def test_a_boolean_image_is_black_and_white_even_where_it_is_all_of_one() -> None:
    image = RNG.random((8, 8)) > 0.5
    assert (loaded(sample(image)).images[0, 0] == np.where(image, 1, -1)).all()
    assert (loaded(sample(np.ones((8, 8), bool))).images == 1).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float16, np.float32, np.float64, ">i2"])
def test_other_types_are_stretched_from_minimum_to_maximum(dtype: str) -> None:
    image = np.arange(64).reshape(8, 8).astype(dtype) * 100
    expected = np.linspace(-1, 1, 64).reshape(8, 8)
    np.testing.assert_allclose(loaded(sample(image)).images[0, 0], expected, atol=1e-5)


def test_a_whole_int16_range_does_not_overflow() -> None:
    image = np.zeros((8, 8), np.int16)
    image[0, 0], image[0, 1] = -32768, 32767
    assert loaded(sample(image)).images[0, 0, 0, :2].tolist() == [-1, 1]


def test_slices_of_a_volume_share_one_stretch_and_images_do_not() -> None:
    dark, bright = (np.linspace(low, high, 64).reshape(8, 8) for low, high in ((0, 1), (1, 4)))
    volume = loaded(sample(dark, "z0", "v"), sample(bright, "z1", "v"), sample(dark, "other"))
    assert volume.images.min(axis=(1, 2, 3)).tolist() == pytest.approx([-1, -0.5, -1])
    assert volume.images.max(axis=(1, 2, 3)).tolist() == pytest.approx([-0.5, 1, 1])


@pytest.mark.parametrize("value", [-3.5, 0, 7])
def test_a_constant_image_is_the_minimum(value: float) -> None:
    assert np.unique(loaded(sample(np.full((8, 8), value))).images).tolist() == [-1]


def test_bits_are_0_and_1_even_if_all_are_set() -> None:
    assert np.unique(loaded(sample(np.ones((8, 8), bool))).images).tolist() == [1]


def test_colour_is_averaged_to_one_channel_and_grey_repeated_to_three() -> None:
    colour = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(loaded(sample(colour)).images[0, 0], colour.mean(axis=2) / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(
        loaded(sample(colour), channels=3).images[0], np.moveaxis(colour, 2, 0) / 127.5 - 1, atol=1e-6
    )
    three = loaded(sample(colour[..., 0]), channels=3).images[0]
    assert (three == three[:1]).all()
    assert three.shape == (3, 8, 8)


# Resizing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(12, 9), (40, 30), (64, 20)])
def test_images_are_resized_as_pillow_does(size: tuple[int, int]) -> None:
    image = RNG.random((40, 30)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resize_image(image[None], size)[0], expected, atol=1e-5)


def test_the_right_size_is_left_alone() -> None:
    image, mask = RNG.random((1, 5, 6)).astype(np.float32), np.ones((5, 6), np.uint8)
    assert resize_image(image, (5, 6)) is image
    assert resize_mask(mask, (5, 6)) is mask


def test_a_binary_mask_is_foreground_where_at_least_half_of_the_pixel_is() -> None:
    mask = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]], np.uint8)
    assert resize_mask(mask, (2, 2)).tolist() == [[1, 0], [1, 0]]


def test_a_line_two_thirds_of_a_pixel_wide_survives_wherever_it_lies() -> None:
    for column in range(10, 20):
        mask = np.zeros((30, 30), np.uint8)
        mask[:, column : column + 3] = 1
        assert resize_mask(mask, (10, 10)).any(axis=1).all()


@given(
    mask=hnp.arrays(np.uint8, (12, 18), elements=st.integers(0, 4)),
    factor=st.sampled_from([(1, 2), (2, 3), (4, 6), (3, 1), (12, 18)]),
)
@settings(max_examples=50, deadline=None)
def test_each_pixel_gets_the_class_with_most_of_its_block(mask: np.ndarray, factor: tuple[int, int]) -> None:
    height, width = 12 // factor[0], 18 // factor[1]
    blocks = mask.reshape(height, factor[0], width, factor[1]).transpose(0, 2, 1, 3).reshape(height, width, -1)
    counts = np.stack([(blocks == value).sum(axis=2) for value in range(5)])
    resized = resize_mask(mask, (height, width))
    chosen = np.take_along_axis(counts, resized[None].astype(int), axis=0)[0]
    np.testing.assert_array_equal(chosen, counts.max(axis=0))


@given(
    mask=hnp.arrays(np.uint8, st.tuples(st.integers(8, 40), st.integers(8, 40)), elements=st.integers(0, 2)),
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
)
@settings(max_examples=50, deadline=None)
def test_any_size_to_any_size_keeps_to_the_classes_there_are(mask: np.ndarray, size: tuple[int, int]) -> None:
    resized = resize_mask(mask, size)
    assert resized.shape == size
    assert resized.dtype == np.uint8
    assert set(np.unique(resized)) <= set(np.unique(mask))


def overlap(at: int, old: int, place: int, new: int) -> Fraction:
    """What of row `at` of `old` lies in row `place` of `new`, in rows of `old`."""
    start, end = Fraction(place * old, new), Fraction((place + 1) * old, new)
    return max(Fraction(0), min(end, Fraction(at + 1)) - max(start, Fraction(at)))


@pytest.mark.parametrize(("old", "new"), [((7, 5), (5, 3)), ((4, 9), (7, 4)), ((3, 3), (8, 7)), ((9, 2), (2, 9))])
def test_at_any_ratio_the_class_that_covers_most_of_a_pixel_is_chosen(old: tuple, new: tuple) -> None:
    mask = RNG.integers(0, 3, old).astype(np.uint8)
    resized = resize_mask(mask, new)
    for y, x in np.ndindex(*new):
        areas = [Fraction(0)] * 3
        for row, column in np.ndindex(*old):
            areas[mask[row, column]] += overlap(row, old[0], y, new[0]) * overlap(column, old[1], x, new[1])
        assert sum(areas) == Fraction(old[0] * old[1], new[0] * new[1])
        assert areas[resized[y, x]] == max(areas)


def test_a_disc_keeps_its_area_at_a_ratio_that_is_no_integer() -> None:
    y, x = np.ogrid[:100, :100]
    disc = ((y - 50) ** 2 + (x - 47) ** 2 < 30**2).astype(np.uint8)
    assert resize_mask(disc, (37, 37)).mean() == pytest.approx(disc.mean(), rel=0.02)


# The fingerprint -----------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_of_the_content_not_of_size_or_channels() -> None:
    samples = random_samples()
    small, large = loaded(*samples), loaded(*samples, size=(32, 32), channels=3)
    assert small.config.fingerprint == large.config.fingerprint == fingerprint(samples)
    assert len(small.config.fingerprint) == 12
    assert set(small.config.fingerprint) <= set("0123456789abcdef")


def test_any_change_of_pixel_mask_type_shape_id_or_order_changes_the_fingerprint() -> None:
    samples = random_samples()
    first = samples[0]
    pixel, label = first.image.copy(), first.mask.copy()
    pixel[3, 4] += 1
    label[3, 4] ^= 1
    changed = [
        [first._replace(image=pixel), *samples[1:]],
        [first._replace(mask=label), *samples[1:]],
        [first._replace(image=first.image.astype(np.uint16)), *samples[1:]],
        [first._replace(image=first.image.reshape(16, 20)), *samples[1:]],
        [first._replace(id="b"), *samples[1:]],
        samples[::-1],
        samples[1:],
    ]
    prints = {fingerprint(variant) for variant in [samples, *changed]}
    assert len(prints) == len(changed) + 1


def test_the_fingerprint_does_not_depend_on_memory_layout() -> None:
    samples = random_samples()
    turned = [s._replace(image=np.asfortranarray(s.image), mask=s.mask[::-1].copy()[::-1]) for s in samples]
    assert fingerprint(turned) == fingerprint(samples)


def test_data_that_changed_since_is_an_error() -> None:
    samples = random_samples()
    config = loaded(*samples).config
    assert assemble(samples, config).config == config
    with pytest.raises(InputError, match=rf"folder changed: .* is [0-9a-f]{{12}}, not {config.fingerprint}"):
        assemble(samples[1:], config)


# Transport -----------------------------------------------------------------------------------------------------------


def test_a_data_set_travels_without_copies_and_arrives_whole() -> None:
    data = loaded(*random_samples())
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps(data, protocol=5, buffer_callback=buffers.append)
    arrays = (data.images, data.masks, data.facts.thumbnails)
    assert sum(buffer.raw().nbytes for buffer in buffers) == sum(array.nbytes for array in arrays)
    assert len(message) < 2000
    arrived = pickle.loads(message, buffers=[bytes(buffer.raw()) for buffer in buffers])
    assert (arrived.config, arrived.ids, arrived.groups) == (data.config, data.ids, data.groups)
    np.testing.assert_array_equal(arrived.images, data.images)
    np.testing.assert_array_equal(arrived.masks, data.masks)
    assert arrived.facts.images == data.facts.images
    assert not arrived.images.flags.writeable
    assert len(arrived) == 3


def test_arrays_have_the_promised_types() -> None:
    data = loaded(*random_samples(), channels=3)
    assert (data.images.dtype, data.images.shape) == (np.float32, (3, 3, 8, 8))
    assert (data.masks.dtype, data.masks.shape) == (np.uint8, (3, 8, 8))
    assert data.images.flags.c_contiguous
    assert data.masks.flags.c_contiguous
    assert data.images.min() >= -1
    assert data.images.max() <= 1


# What is said, and what is refused -----------------------------------------------------------------------------------


def test_colour_made_grey_is_said_with_how_many_images() -> None:
    grey, colour = (RNG.integers(0, 256, (8, 8, *rest), dtype=np.uint8) for rest in ((), (3,)))
    mixed = [sample(grey, "a"), sample(colour, "b"), sample(colour, "c")]
    (note,) = loaded(*mixed).notes
    assert note.startswith("2 of 3 images of folder are stored in colour and were made grey, since data.channels is 1")
    assert loaded(*mixed, channels=3).notes == ()
    assert loaded(mixed[0]).notes == ()


def test_a_class_that_no_mask_has_is_said() -> None:
    masks = [np.full((8, 8), value, np.uint8) for value in (0, 1, 2)]
    samples = [sample(np.zeros((8, 8), np.uint8), str(i), mask=mask) for i, mask in enumerate(masks)]
    (note,) = assemble(samples, Folder(size=(8, 8), n_classes=5)).notes
    assert note.startswith("data.n_classes is 5, but no mask of folder has class 3, 4: ")
    assert assemble(samples, Folder(size=(8, 8), n_classes=3)).notes == ()
    for one in samples[:2]:
        assert assemble([one], Folder(size=(8, 8))).notes == ()  # of one class there is no mean over classes
    (note,) = assemble(samples[:1], Folder(size=(8, 8), n_classes=2)).notes
    assert note.startswith("data.n_classes is 2, but no mask of folder has class 1: ")


def test_values_that_are_numbered_anew_are_said() -> None:
    samples = [sample(np.zeros((8, 8), np.uint8), mask=np.arange(64, dtype=np.uint8).reshape(8, 8) % 3)]
    samples = [one._replace(labels=(0, 2, 4)) for one in samples]
    (note,) = assemble(samples, Folder(size=(8, 8), n_classes=3)).notes
    assert note == "the values 0, 2, 4 in the masks of folder became classes 0 to 2"
    of_two = [one._replace(mask=one.mask % 2, labels=(1, 2)) for one in samples]
    (note,) = assemble(of_two, Folder(size=(8, 8))).notes
    assert note == "the values 1, 2 in the masks of folder became background and foreground"


def test_what_does_not_fit_into_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 3 * 16 * 16 * (4 * 3 + 1)
    for available, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr("ablate.data.room.available_memory", lambda available=available: available)
        if fits:
            assert len(loaded(*random_samples(3), size=(16, 16), channels=3)) == 3
        else:
            with pytest.raises(InputError, match=r"folder: 3 images at 3x16x16 take 0\.0 GB, and 0\.0 GB of"):
                loaded(*random_samples(3), size=(16, 16), channels=3)


def test_a_phantom_is_not_generated_where_it_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.data.room.available_memory", lambda: 1e9)
    with pytest.raises(InputError, match=r"phantom: 10,000 images at 1x16384x16384 take 13,421.8 GB, and 1.0 GB"):
        load_data(Phantom(count=10_000, size=(16384, 16384)))


def test_available_memory_heeds_the_process_own_limit() -> None:
    code = """
import resource
from ablate.data.room import available_memory
free = available_memory()
assert 0 < free < float("inf")
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 50_000_000,) * 2)
assert available_memory() <= 50_000_000
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("count", [6, 7])
def test_six_values_are_the_most_that_are_listed(count: int) -> None:
    values = [sample(np.zeros((8, 8), np.uint8))._replace(labels=tuple(range(0, 2 * count, 2)))]
    renamed, absent = assemble(values, Folder(size=(8, 8), n_classes=count + 1)).notes
    more = ", …" if count > 6 else ""
    assert renamed.startswith(f"the values 0, 2, 4, 6, 8, 10{more} in the masks")
    assert renamed.endswith(f"became classes 0 to {count - 1}")
    assert f"has class 1, 2, 3, 4, 5, 6{more}: " in absent


def test_limits_that_a_source_gives_are_what_becomes_0_and_1() -> None:
    image = np.linspace(-1, 3, 64).reshape(8, 8)
    found = loaded(sample(image)._replace(limits=(0.0, 2.0))).images[0, 0]
    np.testing.assert_allclose(found, image - 1, atol=1e-6)
    bytes_ = np.full((8, 8), 100, np.uint8)
    assert loaded(sample(bytes_)._replace(limits=(0.0, 100.0))).images.max() == 1


def test_of_classes_that_cover_as_much_the_higher_is_taken() -> None:
    mask = np.array([[0, 1, 2, 1], [2, 2, 1, 2], [0, 0, 1, 0], [0, 1, 1, 0]], np.uint8)
    assert resize_mask(mask, (2, 2)).tolist() == [[2, 2], [0, 1]]


def test_memory_is_counted_of_images_and_masks_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2 images of 3 channels of 8 by 16: 4 bytes a value, and a byte a pixel of their masks."""
    monkeypatch.setattr("ablate.data.room.available_memory", lambda: 2 * 3 * 8 * 16 * 4 + 2 * 8 * 16)
    assert loaded(*random_samples(2), size=(8, 16), channels=3).images.nbytes == 2 * 3 * 8 * 16 * 4
    with pytest.raises(InputError, match="memory"):
        loaded(*random_samples(2), size=(16, 9), channels=3)
