"""An image at a time, each from a seed of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from ablate.errors import TrialError
from ablate.training.augmentations.base import AugmentationFunction

if TYPE_CHECKING:
    import torch
    from torch import Tensor

One = Callable[["Tensor", "Tensor", int], tuple[Any, Any]]
"""From an image (C, H, W), its mask (H, W) and a seed to another of each; a mask may have a channel before."""


def each_image(one: One, what: str, p: float = 1.0) -> AugmentationFunction:
    """`one` of each image of a batch, with probability `p`.

    What it makes is checked: raises `TrialError` where it is not as it was.
    """

    def augmented(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        import torch

        seeds = torch.randint(0, 2**32, (len(images),), generator=generator).tolist()
        heads = (torch.rand(len(images), generator=generator) < p).tolist()
        pairs = list(zip(images, masks, strict=True))
        for at, (image, mask) in enumerate(pairs):
            if heads[at]:
                made = one(image.clone(), mask.clone(), seeds[at])
                pairs[at] = checked(image, mask, *made, what)
        return torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs])

    return augmented


def checked(image: Tensor, mask: Tensor, new_image: Any, new_mask: Any, what: str) -> tuple[Tensor, Tensor]:
    """What was made of image and mask, or of batches of them, as tensors of their types.

    Raises `TrialError` where a shape is another, a value is not finite, or a mask holds what is no class.
    """
    import torch

    found, labels = _plain(new_image), _plain(new_mask)
    labels = labels.reshape(mask.shape) if labels.numel() == mask.numel() and labels.ndim == mask.ndim + 1 else labels
    for name, before, now in (("images", image, found), ("masks", mask, labels)):
        if now.shape != before.shape:
            raise TrialError(f"{what} made {name} of {tuple(now.shape)}: expected {tuple(before.shape)}, as they were")
    if not found.isfinite().all():
        raise TrialError(f"{what} made an image that is not finite")
    whole = labels.to(torch.uint8)
    if not torch.equal(whole.to(labels.dtype), labels):
        raise TrialError(f"{what} made a mask of other numbers than classes: masks take the nearest, and no mean")
    return found.to(image.dtype), whole


def _plain(made: Any) -> Tensor:
    import torch

    tensor = torch.as_tensor(made)
    return tensor.as_subclass(torch.Tensor)


def of_monai(make: Callable[[int, int], Any], what: str, p: float) -> AugmentationFunction:
    """A random transform of MONAI's for dicts of `image` and `mask`; `make` is told the height and width.

    It is to change whatever it gets: `p` is seen to here, for some interpolate also what they leave as it is.
    """
    made = cache(make)

    def one(image: Tensor, mask: Tensor, seed: int) -> tuple[Any, Any]:
        transform = made(*mask.shape)
        transform.set_random_state(seed)
        found = transform({"image": image, "mask": mask[None]})
        return found["image"], found["mask"]

    return each_image(one, what, p)
