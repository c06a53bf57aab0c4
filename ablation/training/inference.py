"""From images to probabilities and class indices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.training.devices import autocast

_AXES = {"hflip": -1, "vflip": -2}


@torch.no_grad()
def predict_probabilities(
    model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device, flips: Sequence[str] = ()
) -> Iterator[Tensor]:
    """Class probabilities, a batch at a time: (n, 1, H, W) of the foreground, or (n, C, H, W) of each class.

    `flips`, of `hflip` and `vflip`: the mean over the image, its flips, and the flip of its flip.
    """
    axes = [_AXES[flip] for flip in flips]
    ways = [subset for count in range(len(axes) + 1) for subset in combinations(axes, count)]
    for start in range(0, len(images), batch_size):
        total: Tensor | None = None
        for way in ways:
            turned = np.flip(images[start : start + batch_size], way) if way else images[start : start + batch_size]
            [logits] = batch_logits(model, turned, batch_size, device)
            found = (logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)).flip(way)
            total = found if total is None else total + found
        assert total is not None
        yield (total / len(ways) if axes else total).cpu()


def predict(
    model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device, flips: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Class indices (N, H, W) of images (N, channels, H, W): foreground at a probability of 0.5 or more, or the most
    probable class."""
    batches = [classify(p) for p in predict_probabilities(model, images, batch_size, device, flips)]
    return np.concatenate(batches) if batches else np.empty((0, *images.shape[2:]), dtype=np.uint8)


def classify(probabilities: Tensor) -> NDArray[np.uint8]:
    """Class indices (n, H, W) of probabilities (n, C, H, W)."""
    chosen = probabilities[:, 0] >= 0.5 if probabilities.shape[1] == 1 else probabilities.argmax(dim=1)
    return chosen.to(torch.uint8).numpy()


def batch_logits(
    model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device
) -> Iterator[Tensor]:
    model.eval()
    for start in range(0, len(images), batch_size):
        batch = torch.tensor(np.ascontiguousarray(images[start : start + batch_size]))
        with autocast(device):
            logits = model(batch.to(device, memory_format=torch.channels_last))
        yield logits.float()
