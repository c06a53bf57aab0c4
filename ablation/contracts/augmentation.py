"""What an augmentation must do: `build()` gives a function of images, masks and a generator.

Images are (N, C, H, W) float32, nominally in [-1, 1]; masks (N, H, W) uint8 class indices.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ablate.contracts.contract import Contract, Doubt, everything_from
from ablate.data.source import IGNORED
from ablate.kinds import KINDS, make
from ablate.part import Part

_SIDE = 32
_IMAGES = 4
_DRAWS = 20
_ALIKE = 0.5
"""Correlation of a mask with the image drawn from it, below which one of them has been moved alone."""


class TriedAugmentation:
    def __init__(self, part: Part) -> None:
        self.augmentation = make(KINDS["augmentation"], part)

    def of(self, images: Tensor, masks: Tensor, draw: int = 0) -> tuple[Tensor, Tensor]:
        """Changed copies, as a generator seeded by `draw` has it."""
        found: tuple[Tensor, Tensor] = self.augmentation.build()(
            images.clone(), masks.clone(), torch.Generator().manual_seed(draw)
        )
        return found

    def draws(self, images: Tensor, masks: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for draw in range(_DRAWS):
            yield self.of(images, masks, draw)


def _examples(channels: int = 1) -> tuple[Tensor, Tensor]:
    """Grey noise, and masks of three classes in one corner, which no flip or turn leaves in place."""
    images = torch.rand(_IMAGES, channels, _SIDE, _SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    masks = torch.zeros(_IMAGES, _SIDE, _SIDE, dtype=torch.uint8)
    masks[:, 4:20, 3:12] = 2
    masks[:, 10:16, 5:10] = 1
    return images, masks


def it_builds(tried: TriedAugmentation) -> str:
    found = tried.of(*_examples())
    if isinstance(found, tuple) and len(found) == 2 and all(isinstance(one, Tensor) for one in found):
        return ""
    return f"it gives a {type(found).__name__}: expected (images, masks), both tensors"


def shapes_and_types_stay(tried: TriedAugmentation) -> str:
    for channels in (1, 3, 4):
        before = _examples(channels)
        for after in tried.draws(*before):
            for what, one, was in zip(("images", "masks"), after, before, strict=True):
                if one.shape != was.shape or one.dtype != was.dtype:
                    return (
                        f"{what} {tuple(was.shape)} {was.dtype} became {tuple(one.shape)} {one.dtype}: "
                        "keep their shape and type"
                    )
    return ""


def images_stay_finite(tried: TriedAugmentation) -> str:
    images, masks = _examples()
    for given in (images, torch.full_like(images, -1.0)):
        if not all(changed.isfinite().all() for changed, _ in tried.draws(given, masks)):
            return "it gives NaN or infinite pixels: look for a division, a root or a power of what may be negative"
    return ""


def masks_keep_their_labels(tried: TriedAugmentation) -> str:
    images, masks = _examples()
    for which in ((0, 2), (0, 1, 2), (0, IGNORED)):
        given = masks if 1 in which else (masks > 0).to(torch.uint8) * which[1]
        for _, changed in tried.draws(images, given):
            new = set(changed.unique().tolist()) - set(which)
            if new:
                return (
                    f"masks of {list(which)} got the label {min(new)}: move masks by nearest neighbour, never by an "
                    "interpolation"
                )
    return ""


def the_same_generator_gives_the_same(tried: TriedAugmentation) -> str:
    before = _examples()
    for draw in range(_DRAWS):
        everything_from(1)
        first = tried.of(*before, draw)
        everything_from(2)
        if not all(map(torch.equal, first, tried.of(*before, draw))):
            return "one generator gives two results: draw all from the generator (torch.rand(…, generator=generator))"
    return ""


def other_generators_give_others(tried: TriedAugmentation) -> str:
    images, masks = _examples()
    different = {(one.numpy().tobytes(), other.numpy().tobytes()) for one, other in tried.draws(images, masks)}
    if len(different) > 1:
        return ""
    only = next(iter(different)) == (images.numpy().tobytes(), masks.numpy().tobytes())
    return Doubt(f"{_DRAWS} draws all gave {'what they were given: it changes nothing' if only else 'one result'}")


def the_global_random_state_is_left_alone(tried: TriedAugmentation) -> str:
    before = _global_states()
    for _ in tried.draws(*_examples()):
        pass
    after = _global_states()
    for whose in before:
        if before[whose] != after[whose]:
            return f"it draws from {whose} global random state: draw from the generator, or resuming changes results"
    return ""


def _global_states() -> dict[str, str]:
    return {"PyTorch's": str(torch.get_rng_state().tolist()), "NumPy's": repr(np.random.get_state(legacy=False)),
            "Python's": repr(random.getstate())}  # fmt: skip


def a_mask_moves_with_its_image(tried: TriedAugmentation) -> str:
    _, masks = _examples()
    masks = (masks > 0).to(torch.uint8)
    images = masks[:, None].float() * 2 - 1
    alike, apart = 0, 0
    for changed, moved in tried.draws(images, masks):
        for image, mask, of, was in zip(changed[:, 0], moved.float(), images[:, 0], masks.float(), strict=True):
            same = torch.equal(image, of) and torch.equal(mask, was)
            if same or image.std() == 0 or mask.std() == 0:
                continue
            likeness = torch.corrcoef(torch.stack([image.flatten(), mask.flatten()]))[0, 1].abs()
            alike, apart = (alike + 1, apart) if likeness >= _ALIKE else (alike, apart + 1)
    if apart <= alike:
        return ""
    return (
        f"of {alike + apart} changed images {apart} no longer fit their masks: move both by the same draw, or leave "
        "both where they are"
    )


CONTRACT = Contract(
    TriedAugmentation,
    first=(it_builds, shapes_and_types_stay, images_stay_finite),
    then=(
        masks_keep_their_labels,
        the_global_random_state_is_left_alone,
        other_generators_give_others,
        a_mask_moves_with_its_image,
    ),
    last=(the_same_generator_gives_the_same,),
    quick=(masks_keep_their_labels,),
)
