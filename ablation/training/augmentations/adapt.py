"""An augmentation that others wrote, as it is: a transform of MONAI's, for dicts or arrays, or a function of yours.

What may be random in it is seeded for each image from the trial's generator: what MONAI keeps in a transform, what
asks for a `generator` (torch's) or an `rng` (NumPy's), and the global generators, which are as before afterwards.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.calls import call, check_settings, parameters
from ablate.errors import InputError
from ablate.training.augmentations.base import AugmentationFunction
from ablate.training.augmentations.per_image import checked, each_image

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MASKS = ("mask", "masks", "label", "labels", "target")
_RANDOM = ("generator", "rng")
_INTERPOLATIONS = ("", "area", "bilinear", "linear")


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """The arguments of `target` that are no settings: of a function, the image, its mask, `generator` and `rng`."""
    if inspect.isclass(target):
        return ()
    named = tuple(parameters(target))
    return (*named[:1], *(name for name in named[1:] if name in (*_MASKS, *_RANDOM)))


class ForeignAugmentation(NamedTuple):
    """A class that makes a transform, or a function that is one, with its settings."""

    target: Callable[..., Any]
    settings: Mapping[str, Any]
    what: str

    def build(self) -> AugmentationFunction:
        """As `Augmentation.build`. Raises `InputError` for what takes neither images nor an image.

        A transform of MONAI's for dicts gets `image` and `mask`, or the `keys` that are set: by itself the image alone
        where it is one of intensities. Of other callables the first argument decides: `images` are a batch, as is the
        second, its masks; anything else is one image (C, H, W) and its mask (H, W), or the image alone. They give an
        image, a pair, or a dict of `image` and `mask`.
        """
        thing = self.target
        if inspect.isclass(thing):
            thing = call(thing, {**_of_dicts(thing, self.settings), **self.settings}, {}, self.what)
        monai = sys.modules.get("monai.transforms")  # who has not imported it has none of its transforms
        if monai is not None and isinstance(thing, monai.MapTransform):
            return each_image(partial(_dict_transform, thing), self.what)
        if monai is not None and isinstance(thing, monai.Transform):
            if type(thing).__module__.startswith(("monai.transforms.spatial", "monai.transforms.croppad")):
                name = type(thing).__name__
                raise InputError(f"{self.what} would move images and not their masks: use {name}d")
            return each_image(partial(_array_transform, thing), self.what)
        return _of_callable(thing, {} if inspect.isclass(self.target) else self.settings, self.what)


def adapt(target: Callable[..., Any], settings: Mapping[str, Any], what: str) -> ForeignAugmentation:
    """What `target` is as an augmentation; `what` names it in errors.

    Raises `InputError` for a setting that it does not take.
    """
    check_settings(target, settings, what, data_names(target))
    return ForeignAugmentation(target, settings, what)


def _of_dicts(target: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The `keys` and `mode` of a transform for dicts."""
    named = inspect.signature(target).parameters
    if "keys" not in named:
        return {}
    of_intensities = target.__module__.startswith("monai.transforms.intensity")
    keys = settings.get("keys", ("image",) if of_intensities else ("image", "mask"))
    mode = named.get("mode")
    if mode is None or str("" if mode.default is mode.empty else mode.default) not in _INTERPOLATIONS:
        return {"keys": keys}
    names = [keys] if isinstance(keys, str) else keys
    # Where MONAI resizes, its "nearest" is half a pixel beside its "bilinear".
    nearest = "nearest-exact" if type(mode.default).__name__ == "InterpolateMode" else "nearest"
    return {"keys": keys, "mode": tuple(nearest if key == "mask" else "bilinear" for key in names)}


def _dict_transform(transform: Any, image: Tensor, mask: Tensor, seed: int) -> tuple[Any, Any]:
    found = _seeded(transform, {"image": image, "mask": mask[None]}, seed)
    return found["image"], found["mask"]


def _array_transform(transform: Any, image: Tensor, mask: Tensor, seed: int) -> tuple[Any, Any]:
    return _seeded(transform, image, seed), mask


def _seeded(transform: Any, given: Any, seed: int) -> Any:
    if hasattr(transform, "set_random_state"):
        transform.set_random_state(seed)
    with _global_generators(seed):
        return transform(given)


def _of_callable(function: Callable[..., Any], settings: Mapping[str, Any], what: str) -> AugmentationFunction:
    """Of a function of images and masks, of an image and its mask, or of an image."""
    import torch

    named = inspect.signature(function.forward if isinstance(function, torch.nn.Module) else function).parameters
    data = [
        name
        for name, one in named.items()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        and name not in (*_RANDOM, *settings)
        and (one.default is one.empty or name in _MASKS)
    ]
    if not 1 <= len(data) <= 2:
        asked = ", ".join(data) or "nothing by position"
        raise InputError(f"{what} takes {asked}: expected (images, masks), (image, mask) or (image)")

    def one(images: Tensor, masks: Tensor, seed: int) -> tuple[Any, Any]:
        random = {"generator": lambda: torch.Generator().manual_seed(seed), "rng": lambda: _numpy(seed)}
        given = {**settings, **{name: make() for name, make in random.items() if name in named}}
        if len(data) == 2:
            given[data[1]] = masks
        with _global_generators(seed):
            return _pair(function(images, **given), masks)

    if data[0] != "images":
        return each_image(one, what)

    def batch(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        seed = int(torch.randint(0, 2**32, (), generator=generator))
        return checked(images, masks, *one(images, masks, seed), what)

    return batch


def _pair(found: Any, masks: Tensor) -> tuple[Any, Any]:
    if isinstance(found, Mapping):
        image = found["image"] if "image" in found else found["images"]
        return image, found.get("mask", found.get("masks", masks))
    if isinstance(found, tuple | list) and len(found) == 2:
        return found[0], found[1]
    return found, masks


def _numpy(seed: int) -> Any:
    import numpy as np

    return np.random.default_rng(seed)


@contextlib.contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Python's, NumPy's and torch's (the CPU's) begin at `seed`, and are then as they were."""
    import random

    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
