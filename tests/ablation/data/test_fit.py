"""How images come to a trial's size and back, and arrays of different sizes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.data.dataset import assemble
from ablate.data.fit import at_least, back, box_of, fit_image, fit_mask, resize_mask
from ablate.data.ragged import Ragged, chosen
from ablate.data.settings import Folder
from ablate.data.source import IGNORED, Sample
from ablate.errors import InputError
from ablate.settings import parse

sides = st.integers(1, 60)


@settings(deadline=None, max_examples=60)
@given(st.tuples(sides, sides), st.tuples(st.integers(8, 40), st.integers(8, 40)))
def test_padding_keeps_the_aspect_and_fills_one_direction(own, size):
    box = box_of(own, size, "pad")
    assert box.height == size[0] or box.width == size[1]
    assert box.top >= 0
    assert box.left >= 0
    assert box.top + box.height <= size[0]
    assert box.left + box.width <= size[1]
    factor = min(size[0] / own[0], size[1] / own[1])
    assert abs(box.height - own[0] * factor) <= max(0.5, 1 - own[0] * factor)
    assert abs(box.width - own[1] * factor) <= max(0.5, 1 - own[1] * factor)
    assert abs((size[0] - box.height) - 2 * box.top) <= 1
    mask = fit_mask(np.ones(own, np.uint8), size, "pad")
    assert (mask == 1).sum() == box.height * box.width
    assert (mask == IGNORED).sum() == mask.size - box.height * box.width


def test_padding_is_as_dark_as_the_image_and_the_image_is_not_distorted():
    rows, columns = np.mgrid[0:40, 0:20]
    disc = ((rows - 20) ** 2 + (columns - 10) ** 2 <= 64).astype(np.float32) + 0.25
    planes = np.stack([disc, disc + 3])
    found = fit_image(planes, (32, 32), "pad")
    assert found.shape == (2, 32, 32)
    for plane, lowest in zip(found, (0.25, 3.25), strict=True):
        assert (plane[:, :8] == np.float32(lowest)).all()
        assert (plane[:, 24:] == np.float32(lowest)).all()
    inside = fit_image(planes, (32, 32), "pad")[0] > 0.75
    assert abs(inside.any(axis=0).sum() - inside.any(axis=1).sum()) <= 1  # still as wide as high
    stretched = fit_image(planes, (32, 32), "stretch")[0] > 0.75
    assert stretched.any(axis=0).sum() > 1.8 * stretched.any(axis=1).sum()


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("own", [(16, 16), (48, 20), (7, 33), (100, 100), (1, 30)])
def test_what_was_found_comes_back_to_where_it_was(own, fit):
    """A half plane, brought to the trial's size and back, lies where it lay."""
    mask = np.zeros(own, np.uint8)
    mask[:, own[1] // 2 :] = 1
    there = fit_mask(mask, (32, 32), fit)
    probabilities = torch.tensor((there == 1).astype(np.float32))[None, None]
    found = back(probabilities, own, fit)[0, 0].numpy()
    assert found.shape == own
    edge = max(2, round(own[1] / 32) + 1)
    known = np.abs(np.arange(own[1]) - own[1] // 2) >= edge
    np.testing.assert_array_equal(found[:, known] >= 0.5, mask[:, known] == 1)


def test_back_is_as_predictions_always_were():
    """Bilinear, as `ablate predict` did it, of stretched images."""
    probabilities = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(probabilities, size=(40, 24), mode="bilinear", align_corners=False)
    assert torch.equal(back(probabilities, (40, 24), "stretch"), expected)


def test_a_border_is_in_equal_parts_and_is_taken_off_again():
    image = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
    wide, box = at_least(image, (8, 4))
    assert wide.shape == (2, 8, 5)
    np.testing.assert_array_equal(wide[:, *box.within], image)
    assert (wide[0, :2] == 0).all()
    assert (wide[1, :2] == 15).all()
    same, _ = at_least(image, (3, 5))
    assert same is image


def samples(*shapes: tuple[int, int]) -> list[Sample]:
    draw = np.random.default_rng(0)
    return [
        Sample(
            f"i{i}", f"i{i}", draw.integers(0, 256, shape).astype(np.uint8), (draw.random(shape) < 0.4).astype(np.uint8)
        )
        for i, shape in enumerate(shapes)
    ]


SHAPES = [(20, 30), (16, 16), (9, 41)]


def test_masks_are_kept_as_drawn_only_where_they_are_scored():
    found = samples(*SHAPES)
    plain = assemble(found, Folder(size=(16, 16)))
    assert plain.drawn is None
    assert plain.own_sizes == tuple(SHAPES)
    assert plain.judged_by is plain.masks
    own = assemble(found, Folder(size=(16, 16), scored_at="image"))
    np.testing.assert_array_equal(own.masks, plain.masks)
    np.testing.assert_array_equal(own.images, plain.images)
    for sample, mask in zip(found, own.judged_by, strict=True):
        np.testing.assert_array_equal(mask, sample.mask)
    assert own.drawn.values.dtype == np.uint8
    assert own.drawn.values.nbytes == sum(h * w for h, w in SHAPES)
    assert own.config.fingerprint == plain.config.fingerprint
    assert own.config.text != plain.config.text


def test_patches_leave_images_as_they_are_and_keep_masks_once():
    found = samples(*SHAPES)
    cut = assemble(found, Folder(size=(16, 16), fit="patches"))
    for sample, image, mask in zip(found, cut.images, cut.masks, strict=True):
        np.testing.assert_allclose(image[0], sample.image / 127.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(mask, sample.mask)
    assert cut.drawn is cut.masks
    assert cut.holds_ignored()  # the border of the third
    assert any("1 of 3 images" in note and "smaller" in note for note in cut.notes)
    assert any("one window of 16x16" in note for note in cut.notes)
    assert not assemble(found[:2], Folder(size=(16, 16), fit="patches")).holds_ignored()


def test_padded_images_are_said_to_hold_what_is_not_known():
    found = samples((20, 30))
    assert assemble(found, Folder(size=(16, 16), fit="pad")).holds_ignored()
    assert not assemble(found, Folder(size=(16, 16))).holds_ignored()
    assert not assemble(samples((30, 30)), Folder(size=(16, 16), fit="pad")).holds_ignored()


def test_arrays_of_different_sizes_travel_without_a_copy():
    ragged = Ragged.empty(SHAPES, np.uint8)
    for i, array in enumerate(ragged):
        array[...] = i
    assert [array.shape for array in ragged] == SHAPES
    assert [int(array.mean()) for array in chosen(ragged, [2, 0])] == [2, 0]
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(ragged, protocol=5, buffer_callback=buffers.append)
    assert len(data) < 1000  # the values are beside it
    again = pickle.loads(data, buffers=[memoryview(buffer.raw()).toreadonly() for buffer in buffers])
    assert not again.values.flags.writeable
    for one, other in zip(again, ragged, strict=True):
        np.testing.assert_array_equal(one, other)
    empty = Ragged.empty([], np.uint8)
    assert len(empty) == 0
    assert list(empty) == []


def test_room_is_asked_for_what_is_kept(monkeypatch):
    found = samples((64, 64), (32, 64))
    own = 64 * 64 + 32 * 64
    needed = {
        (): 2 * 16 * 16 * 5,
        (("scored_at", "image"),): 2 * 16 * 16 * 5 + own,
        (("fit", "patches"),): own * 5,
    }
    for fields, most in needed.items():
        monkeypatch.setattr("ablate.data.room.available_memory", lambda most=most: most)
        assert len(assemble(found, Folder(size=(16, 16), **dict(fields)))) == 2
        monkeypatch.setattr("ablate.data.room.available_memory", lambda most=most: most - 1)
        with pytest.raises(InputError, match="of memory are available"):
            assemble(found, Folder(size=(16, 16), **dict(fields)))


def test_patches_are_scored_at_own_size_and_nothing_else():
    assert Folder(fit="patches").scored_at == "image"
    with pytest.raises(InputError, match="leave it out"):
        parse(Folder, {"fit": "patches", "scored_at": "size"}, "data")
    with pytest.raises(InputError, match="fit"):
        parse(Folder, {"fit": "crop"}, "data")
    assert "fit" not in Folder().canonical()
    assert "scored_at" not in Folder().canonical()


def test_resizing_takes_what_is_ignored_for_a_class_of_its_own():
    mask = np.array([[IGNORED] * 3 + [1]] * 2, np.uint8)
    assert resize_mask(mask, (1, 1)).item() == IGNORED
