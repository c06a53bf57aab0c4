"""A look at data before anything is spent: what is counted, what is doubted, and what stops."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from ablate.data.check import Look, look, require
from ablate.data.dataset import Dataset, assemble
from ablate.data.load import load_data
from ablate.data.seen import Doubt
from ablate.data.settings import Folder, Mni152, Phantom, Split
from ablate.data.source import IGNORED, Sample
from ablate.errors import InputError

Array = NDArray[Any]
CONTIGUOUS = Split(shuffle=False)


def disc(seed: int, height: int = 32, width: int = 32, radius: float = 6) -> Sample:
    """A bright disc on noise, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    mask = (y - height * rng.uniform(0.3, 0.7)) ** 2 + (x - width * rng.uniform(0.3, 0.7)) ** 2 < radius**2
    image = np.clip(60 + 80 * mask + rng.normal(0, 12, mask.shape), 0, 255).astype(np.uint8)
    return Sample(f"im{seed}", f"im{seed}", image, mask.astype(np.uint8))


def discs(count: int = 20, **fields: Any) -> list[Sample]:
    return [disc(seed, **fields) for seed in range(count)]


def masked(sample: Sample, mask: Any) -> Sample:
    return sample._replace(mask=np.broadcast_to(np.asarray(mask, np.uint8), sample.mask.shape).copy())


def seen(samples: list[Sample], split: Split = CONTIGUOUS, size: tuple[int, int] = (32, 32), **fields: Any) -> Look:
    data = assemble(samples, Folder(size=size, **fields))
    return look(data, data.split(split))


def kinds(found: Look) -> dict[str, Doubt]:
    return {one.kind: one for one in found.doubts}


# What is counted -----------------------------------------------------------------------------------------------------


def test_parts_are_counted_by_class_as_drawn_and_at_the_size() -> None:
    samples = discs(10, height=64, width=64)
    samples = [masked(one, np.where(np.arange(64) < 3, 2, one.mask)) for one in samples]
    samples[9] = masked(samples[9], 0)
    found = seen(samples, n_classes=3)
    train, val, test = found.parts
    assert [(part.images, part.cases, part.empty) for part in found.parts] == [(6, 6, 0), (2, 2, 0), (2, 2, 1)]
    drawn = np.stack([one.mask for one in samples[:6]])
    for index, one in enumerate(train.classes, 1):
        assert one.name == f"class {index}"
        assert one.images == 6
        assert one.drawn == pytest.approx((drawn == index).mean())
        assert one.kept == pytest.approx(one.drawn, rel=0.4)
        assert one.objects == sum(label(mask == index, np.ones((3, 3)))[1] for mask in drawn)
    assert test.classes[0].images == val.classes[0].images - 1
    assert (found.least, found.most, dict(found.stored)) == ((64, 64), (64, 64), {"uint8": 10})


def test_classes_go_by_their_names() -> None:
    samples = [masked(one, np.arange(32) // 12) for one in discs(10)]
    found = seen(samples, n_classes=3, class_names=("background", "liver", "tumour"))
    assert [one.name for one in found.parts[0].classes] == ["liver", "tumour"]


def test_what_is_kept_is_plain_and_bounded() -> None:
    found = seen([masked(one, np.arange(32) % 200) for one in discs(10)], n_classes=200)
    plain = found.plain()
    assert len(plain["parts"]["train"]["classes"]) == 40
    assert len(repr(plain)) < 20_000


# What stops ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda one: masked(one, 0), r"no mask of 20 has any foreground \(the first: 'im0'\)"),
        (lambda one: masked(one, 1), r"every pixel of all 20 masks is foreground"),
        (lambda one: masked(one, IGNORED), r"every pixel of all 20 masks is ignored"),
        (lambda one: masked(one, np.where(one.mask, 1, IGNORED)), r"every pixel of all 20 masks is foreground"),
        (lambda one: masked(one, 0) if int(one.id[2:]) < 12 else one, r"none of the 12 training masks has any"),
        (lambda one: masked(one, np.arange(32) == 3), r"no training mask has any foreground left at 8x8"),
    ],
)
def test_what_nothing_can_be_learnt_on_stops(make: Callable[[Sample], Sample], message: str) -> None:
    size = (8, 8) if "8x8" in message else (32, 32)
    found = seen([make(one) for one in discs()], size=size)
    with pytest.raises(InputError, match=message):
        require(found)


@pytest.mark.parametrize(
    "make",
    [
        lambda one: one,
        lambda one: masked(one, 1 - one.mask),
        lambda one: masked(one, 0) if int(one.id[2:]) % 3 else one,
        lambda one: masked(one, 1) if int(one.id[2:]) else one,
        lambda one: masked(one, np.where(one.mask, one.mask, IGNORED)) if int(one.id[2:]) % 2 else one,
        lambda one: masked(one, np.arange(1024).reshape(32, 32) == 500),
    ],
)
def test_what_can_be_learnt_on_is_never_refused(make: Callable[[Sample], Sample]) -> None:
    require(seen([make(one) for one in discs()]))


# What is doubted of images and masks ---------------------------------------------------------------------------------


def replaced(samples: list[Sample], place: int, **fields: Any) -> list[Sample]:
    return [one._replace(**fields) if i == place else one for i, one in enumerate(samples)]


def test_nothing_is_doubted_of_sound_data() -> None:
    assert seen(discs()).doubts == ()
    assert seen(discs(), Split()).doubts == ()
    for source in (Mni152(), Mni152(slices=20), Phantom(count=30), Phantom(count=60, noise=0.0, scale=0.25)):
        data = load_data(source)
        split = CONTIGUOUS if source.called == "mni152" else Split()
        assert look(data, data.split(split)).doubts == (), source


def empties(samples: list[Sample]) -> list[Sample]:
    return [masked(one, 0) if i % 4 == 1 else one for i, one in enumerate(samples)]


@pytest.mark.parametrize(
    ("kind", "samples", "said", "images"),
    [
        ("empty", empties(discs()), r"5 of 20 masks \(the first: 'im1'\) have no foreground", (1, 5, 9, 13, 17)),
        ("inverted", [masked(s, 1 - s.mask) for s in discs()], r"foreground is 8\d % .* frames 20 of 20", None),
        ("constant", replaced(discs(), 4, image=np.full((32, 32), 9, np.uint8)), r"1 of 20 .*'im4'", (4,)),
        ("image is mask", replaced(discs(), 3, image=disc(3).mask * 255), r"1 of 20 images .*'im3'", (3,)),
        ("image is mask", replaced(discs(), 3, image=7 - disc(3).mask * 5), r"1 of 20 images .*'im3'", (3,)),
        ("types", replaced(discs(), 3, image=disc(3).image.astype(np.uint16)), "19 uint8, 1 uint16", ()),
        ("stretched", [*discs(19), disc(19, 32, 60)], r"1 of 20 .*from 32x60, at most by 8[78]", (19,)),
        ("enlarged", [*discs(19), disc(19, 20, 20)], r"1 of 20 .*from 20x20", (19,)),
        ("sizes", [*discs(19), disc(19, 96, 96)], r"from 32x32 \('im0'\) to 96x96 \('im19'\)", (0, 19)),
    ],
)
def test_images_and_masks_are_doubted_by_name(
    kind: str, samples: list[Sample], said: str, images: tuple[int, ...] | None
) -> None:
    import re

    found = kinds(seen(samples))
    assert re.search(said.replace(" %", "%"), found[kind].said), found[kind].said
    assert images is None or found[kind].images == images
    assert "\n" not in found[kind].said
    assert len(found[kind].said) < 400


def test_tissue_that_fills_the_image_is_not_called_inverted() -> None:
    rng = np.random.default_rng(0)
    walls = [masked(one, rng.random((32, 32)) > 0.2) for one in discs()]
    assert "inverted" not in kinds(seen(walls))


def test_padding_and_patches_stretch_nothing() -> None:
    samples = [disc(seed, 32, 60) for seed in range(20)]
    assert "stretched" in kinds(seen(samples))
    assert "stretched" not in kinds(seen(samples, fit="pad"))
    assert not {"stretched", "sizes", "enlarged"} & kinds(seen(samples, fit="patches")).keys()


def test_spacings_that_differ_are_said() -> None:
    spaced = [one._replace(spacing=(0.5, 0.5)) for one in discs()]
    assert "spacings" not in kinds(seen(spaced))
    assert "0.5 to 1 mm" in kinds(seen(replaced(spaced, 3, spacing=(1.0, 1.0))))["spacings"].said
    assert "1 of 20" in kinds(seen(replaced(spaced, 3, spacing=None)))["spacing unknown"].said


# What resizing erases ------------------------------------------------------------------------------------------------


def dotted(count: int, side: int, *, large: bool) -> list[Sample]:
    """Four single pixels in each mask, far apart; a large object besides."""
    samples = []
    for one in discs(count, height=side, width=side, radius=side / 4 if large else 0):
        mask = one.mask.copy() if large else np.zeros_like(one.mask)
        mask[1, 1] = mask[1, -2] = mask[-2, 1] = mask[-2, -2] = 1
        samples.append(masked(one, mask))
    return samples


def test_objects_of_one_pixel_are_gone_at_an_eighth_of_the_size() -> None:
    found = kinds(seen(dotted(20, 256, large=True)))
    assert found["objects vanish 1"].said.startswith("80 of 100 objects of foreground")
    assert "masks vanish" not in found
    found = seen(dotted(20, 256, large=False))
    assert "20 of 20 masks" in kinds(found)["masks vanish"].said
    with pytest.raises(InputError, match="left at 32x32"):
        require(found)


@pytest.mark.parametrize("fit", ["stretch", "pad", "patches"])
@pytest.mark.parametrize("shape", [(64, 64), (96, 48), (33, 70)])
def test_an_object_is_gone_where_no_pixel_of_it_is_left_where_it_lies(fit: Any, shape: tuple[int, int]) -> None:
    """Each object alone in a mask: it vanishes where that mask, brought to the size, is empty."""
    rng = np.random.default_rng(1)
    mask = np.zeros(shape, np.uint8)
    for row in range(2, shape[0] - 8, 12):
        for column in range(2, shape[1] - 8, 12):
            height, width = rng.integers(1, 10, 2)
            mask[row : row + height, column : column + width] = 1
    sample = Sample("a", "a", rng.integers(0, 255, shape).astype(np.uint8), mask)
    whole = assemble([sample], Folder(size=(16, 16), fit=fit)).facts.images[0].classes[1]
    labels, count = label(mask)
    alone = [
        assemble([sample._replace(mask=(labels == i).astype(np.uint8))], Folder(size=(16, 16), fit=fit))
        for i in range(1, count + 1)
    ]
    gone = [not (data.masks[0] == 1).any() for data in alone]
    assert (whole.objects, whole.vanished) == (count, sum(gone))
    assert whole.lost == sum((labels == i).sum() for i, one in enumerate(gone, 1) if one)
    assert not any(gone) if fit == "patches" else any(gone) and not all(gone)


# What is doubted of a split ------------------------------------------------------------------------------------------


def test_a_part_without_foreground_is_said_with_what_it_does() -> None:
    for name, places in (("validation", range(12, 16)), ("test", range(16, 20))):
        found = kinds(seen([masked(one, 0) if i in places else one for i, one in enumerate(discs())]))
        kind = {"validation": "val", "test": "test"}[name]
        assert (
            f"no {name} image has foreground: who claims nothing scores 1" in found[f"{kind} without foreground"].said
        )
        assert found[f"{kind} without foreground"].images == tuple(places)


@pytest.mark.parametrize(
    ("places", "kind"), [(range(12), "train lacks"), (range(12, 16), "val lacks"), (range(16, 20), "test lacks")]
)
def test_a_class_that_a_part_lacks_is_said(places: range, kind: str) -> None:
    samples = [one if i in places else masked(one, np.arange(32) // 11) for i, one in enumerate(discs())]
    found = kinds(seen(samples, n_classes=3, class_names=("nothing", "liver", "tumour")))
    assert " tumour, which others have" in found[kind].said
    assert {"train lacks", "val lacks", "test lacks"} & found.keys() == {kind}


def again(one: Sample, how: str) -> Array:
    image = one.image.copy()
    if how == "a pixel":
        image[20, 20] = 255 - image[20, 20]
    if how == "contrast":
        image = (image * 0.7 + 20).astype(np.uint8)
    if how == "16 bit":
        image = image.astype(np.uint16) * 257
    if how == "colour":
        image = np.repeat(image[..., None], 3, axis=2)
    if how == "jpeg":
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=90)
        image = np.asarray(Image.open(file))
    return image


@pytest.mark.parametrize("how", ["itself", "a pixel", "contrast", "16 bit", "colour", "jpeg"])
@pytest.mark.parametrize("place", [13, 18])
def test_an_image_that_is_in_two_parts_is_said(how: str, place: int) -> None:
    samples = discs(20, height=96, width=96, radius=24)
    samples[place] = samples[place]._replace(image=again(samples[5], how), mask=samples[5].mask)
    found = {**kinds(seen(samples, size=(96, 96)))}
    [one] = [found[kind] for kind in ("same", "alike") if kind in found]
    part = "validation" if place == 13 else "test"
    assert f"the first: 'im{place}' of {part} is 'im5' of training" in one.said
    assert one.images == (5, place)
    assert how != "itself" or "pixel for pixel" in one.said


def test_an_image_that_is_twice_in_one_part_is_not_said() -> None:
    assert seen(replaced(discs(), 3, image=disc(5).image, mask=disc(5).mask)).doubts == ()


def warped(count: int) -> list[Sample]:
    """Slices of different brains, aligned, at about one level: what unrelated patients look like."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    rng = np.random.default_rng(0)
    slices = Mni152(slices=60).read()[22:38]
    y, x = np.mgrid[:192, :192].astype(float)
    samples = []
    for place in range(count):
        one = slices[int(rng.integers(len(slices)))]
        down, right = (gaussian_filter(rng.standard_normal((192, 192)), 12) * 170 for _ in range(2))
        where = [y * rng.uniform(0.94, 1.06) + down, x * rng.uniform(0.94, 1.06) + right]
        image = map_coordinates(one.image.astype(float), where, order=1) * rng.uniform(0.8, 1.2)
        image = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
        samples.append(Sample(f"{place:02d}", f"{place:02d}", image, one.mask))
    return samples


def test_aligned_patients_are_not_taken_for_one() -> None:
    data = assemble(warped(24), Folder(size=(96, 96)))
    for seed in range(3):
        assert look(data, data.split(Split(seed=seed))).doubts == ()


def stack(count: int = 40) -> Dataset:
    """A brain's slices under names that say nothing, each as its own."""
    slices = Mni152(slices=count).read()
    samples = [one._replace(id=f"{i:02d}", group=f"{i:02d}") for i, one in enumerate(slices)]
    return assemble(samples, Folder(size=(96, 96)))


@pytest.mark.parametrize(
    "split", [*(Split(seed=seed) for seed in range(3)), Split(method="kfold"), Split(method="paper")]
)
def test_slices_of_a_stack_that_were_shuffled_are_said(split: Split) -> None:
    data = stack()
    assert "as slices of one volume are" in kinds(look(data, data.split(split)))["neighbours"].said


@pytest.mark.parametrize("split", [CONTIGUOUS, Split(method="kfold", shuffle=False, fold=2)])
def test_slices_of_a_stack_in_contiguous_blocks_are_not(split: Split) -> None:
    data = stack()
    assert look(data, data.split(split)).doubts == ()


def test_stacks_of_several_patients_that_were_shuffled_are_said() -> None:
    samples = []
    for patient, brain in enumerate(warped(6)):
        for z in range(5):
            image = np.roll(brain.image, z, axis=0).astype(float) * (1 + 0.02 * z)
            name = f"{'abcdefghijklmnopqrstuvwxyz'[5 * patient // 2]}{chr(97 + z)}{patient * 7 % 5}"
            samples.append(Sample(f"{len(samples):03d}", name + str(len(samples)), image.clip(0, 255), brain.mask))
    data = assemble(samples, Folder(size=(96, 96)))
    assert "neighbours" in kinds(look(data, data.split(Split())))


def named(pattern: str, cases: int = 6, slices: int = 5) -> list[Sample]:
    names = [pattern.format(case=case, slice=z) for case in range(1, cases + 1) for z in range(1, slices + 1)]
    return [disc(i)._replace(id=name, group=name) for i, name in enumerate(names)]


NAMES = [
    "patient{case:02d}_slice{slice:03d}",
    "case_{case}-{slice:02d}",
    "ID_{case:04d}_Z_{slice:04d}",
    "img_{case}_{slice}",
    "TCGA_CS_49{case}_19960909_{slice}",
    "p{case}s{slice}",
    "{case:03d}/{slice:02d}",
    "patient{case}_{slice}_T1",
    "scan-{case}.{slice}",
]


@pytest.mark.parametrize("pattern", NAMES)
def test_names_that_suggest_cases_are_said_with_a_pattern_that_keeps_them_whole(pattern: str) -> None:
    import re

    samples = named(pattern)
    found = kinds(seen(samples, Split()))["names"]
    assert re.match(r"names suggest 6 cases \(patients, volumes\), and slices or images of \d of them", found.said)
    [suggested] = re.findall(r"data\.case='(.*?)' keeps", found.said)
    cases = [re.search(suggested, one.id)[1] for one in samples]  # type: ignore[index]
    assert [len({*cases[5 * i : 5 * i + 5]}) for i in range(6)] == [1] * 6
    assert len(set(cases)) == 6
    whole = [one._replace(group=case) for one, case in zip(samples, cases, strict=True)]
    assert "names" not in kinds(seen(whole, Split(), case=suggested))


@pytest.mark.parametrize(
    "names",
    [
        [f"{i:02d}" for i in range(30)],
        [f"ID_{i:04d}_Z_{142 + i}" for i in range(30)],
        [f"{part}/{i:03d}" for part in ("train", "val") for i in range(15)],
        [f"{what} ({i})" for what in ("benign", "malignant", "normal") for i in range(10)],
        [f"img{i}_mask" for i in range(30)],
        [f"{i * 7919 % 997:x}f{i}" for i in range(30)],
    ],
)
def test_names_that_suggest_none_are_not(names: list[str]) -> None:
    samples = [disc(i)._replace(id=name, group=name) for i, name in enumerate(names)]
    assert "names" not in kinds(seen(samples, Split()))


# Folders -------------------------------------------------------------------------------------------------------------


def folder(root: Path, count: int = 10, mask: Callable[[Array], Array] = lambda mask: mask * 255) -> Path:
    for i in range(count):
        one = disc(i)
        for kind, array in (("images", one.image), ("masks", mask(one.mask))):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / kind / f"{i}.png")
    return root


def test_what_is_passed_over_is_said_where_it_may_be_an_image(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    for name in (".DS_Store", "images/Thumbs.db", "notes.txt", "README"):
        (root / name).write_text("x")
    data = load_data(Folder(root=root, size=(32, 32)))
    assert "passed over" not in kinds(look(data, data.split(Split())))
    (root / "images" / "late.dcm").write_text("x")
    (root / "old").mkdir()
    (root / "old" / "a.png").write_text("x")
    data = load_data(Folder(root=root, size=(32, 32)))
    found = look(data, data.split(Split()))
    assert kinds(found)["passed over"].said.startswith("2 files of the folder are passed over (the first: 'images/late")
    assert found.passed_over == len(data.passed_over) >= 2


def alpha_only(mask: Array) -> Array:
    return np.dstack([np.zeros((*mask.shape, 3), np.uint8), mask * 255])


@pytest.mark.parametrize("mask", [alpha_only, lambda mask: mask * 0, lambda mask: mask * 0 + 255])
def test_masks_that_were_lost_stop(tmp_path: Path, mask: Callable[[Array], Array]) -> None:
    data = load_data(Folder(root=folder(tmp_path / "data", mask=mask), size=(32, 32)))
    with pytest.raises(InputError, match="nothing can be learnt"):
        require(look(data, data.split(Split())))
