"""From images to probabilities and class indices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.data.fit import Size, back, fit_of, is_scored_at_own_size
from ablate.data.ragged import Chosen, Ragged
from ablate.training.devices import autocast
from ablate.training.windows import window_logits

if TYPE_CHECKING:
    from ablate.trial import TrialConfig

_AXES = {"hflip": -1, "vflip": -2}

Stack = NDArray[np.float32] | Chosen
Images = Stack | Ragged
"""(N, channels, H, W) as a network sees them, or each (channels, h, w) where patches are drawn of them."""


def predictions_of(
    model: nn.Module, images: Images, own_sizes: Sequence[Size], trial: TrialConfig, device: torch.device
) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
    """Class indices of images as they are judged: (N, H, W) at the trial's size, or each (h, w) at its own size.

    `images`, `own_sizes`: as `probabilities_of` takes them. Those at the trial's size need no own sizes.
    """
    if not is_scored_at_own_size(trial.data):
        protocol = trial.protocol
        return predict(model, _stack(images), protocol.batch_size, device, protocol.test_flips)
    return [classify(found[None])[0] for found in probabilities_of(model, images, own_sizes, trial, device)]


def probabilities_of(
    model: nn.Module, images: Images, own_sizes: Sequence[Size], trial: TrialConfig, device: torch.device
) -> Iterator[Tensor]:
    """Class probabilities of each image at its own size, in order: (1, h, w) of the foreground, or (C, h, w).

    What was stretched or padded is brought back, bilinear; of whole images, overlapping windows are predicted.

    Args:
        images: prepared as the trial's training images were (`ablate.data.dataset.prepare_images`).
        own_sizes: height and width of each before that.
        trial: whose `data.fit`, batch size, window overlap and flips are used.
    """
    protocol, fit = trial.protocol, fit_of(trial.data)
    if fit == "patches":
        for image in images:
            yield _probabilities_by_windows(model, image, trial, device)
        return
    done = 0
    for batch in predict_probabilities(model, _stack(images), protocol.batch_size, device, protocol.test_flips):
        for found in batch:
            yield back(found[None], own_sizes[done], fit)[0]
            done += 1


def _stack(images: Images) -> Stack:
    return Chosen(images, range(len(images))) if isinstance(images, Ragged) else images


@torch.no_grad()
def predict_probabilities(
    model: nn.Module,
    images: Stack,
    batch_size: int,
    device: torch.device,
    flips: Sequence[str] = (),
) -> Iterator[Tensor]:
    """Class probabilities, a batch at a time: (n, 1, H, W) of the foreground, or (n, C, H, W) of each class.

    `flips`, of `hflip` and `vflip`: the mean over the image, its flips, and the flip of its flip.
    """
    ways = _ways(flips)
    for start in range(0, len(images), batch_size):
        total: Tensor | None = None
        for way in ways:
            turned = np.flip(images[start : start + batch_size], way) if way else images[start : start + batch_size]
            [logits] = batch_logits(model, turned, batch_size, device)
            found = probabilities(logits).flip(way)
            total = found if total is None else total + found
        assert total is not None
        yield (total / len(ways) if flips else total).cpu()


def predict(
    model: nn.Module,
    images: Stack,
    batch_size: int,
    device: torch.device,
    flips: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """Class indices (N, H, W) of images (N, channels, H, W): foreground at a probability of 0.5 or more, or the most
    probable class."""
    batches = [classify(p) for p in predict_probabilities(model, images, batch_size, device, flips)]
    return np.concatenate(batches) if batches else np.empty((0, *images.shape[2:]), dtype=np.uint8)


def probabilities(logits: Tensor) -> Tensor:
    """Of logits (n, C, H, W): the sigmoid of one class, the softmax of several."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def classify(probabilities: Tensor) -> NDArray[np.uint8]:
    """Class indices (n, H, W) of probabilities (n, C, H, W)."""
    chosen = probabilities[:, 0] >= 0.5 if probabilities.shape[1] == 1 else probabilities.argmax(dim=1)
    return chosen.to(torch.uint8).numpy()


def batch_logits(model: nn.Module, images: Stack, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Logits (n, C, H, W) float32, a batch at a time."""
    model.eval()
    for start in range(0, len(images), batch_size):
        batch = torch.tensor(np.ascontiguousarray(images[start : start + batch_size]))
        with autocast(device):
            logits = model(batch.to(device, memory_format=torch.channels_last))
        yield logits.float()


def _probabilities_by_windows(
    model: nn.Module, image: NDArray[np.float32], trial: TrialConfig, device: torch.device
) -> Tensor:
    """(C, h, w) of a whole image: the mean over its flips, as `predict_probabilities` has it."""
    ways = _ways(trial.protocol.test_flips)
    total: Tensor | None = None
    for way in ways:
        turned = np.flip(image, way) if way else image
        found = probabilities(window_logits(model, turned, trial, device)).flip(way)
        total = found if total is None else total + found
    assert total is not None
    return (total / len(ways) if len(ways) > 1 else total)[0].cpu()


def _ways(flips: Sequence[str]) -> list[tuple[int, ...]]:
    """The axes along which an image is turned, each way once: first none."""
    axes = [_AXES[flip] for flip in flips]
    return [subset for count in range(len(axes) + 1) for subset in combinations(axes, count)]
