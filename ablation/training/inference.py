"""From images to probabilities and class indices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.training.devices import autocast


@torch.no_grad()
def predict_probabilities(
    model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device
) -> Iterator[Tensor]:
    """Class probabilities, a batch at a time: (n, 1, H, W) of the foreground, or (n, C, H, W) of each class."""
    for logits in batch_logits(model, images, batch_size, device):
        yield (logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)).cpu()


def predict(model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device) -> NDArray[np.uint8]:
    """Class indices (N, H, W) of images (N, channels, H, W): foreground at a probability of 0.5 or more, or the most
    probable class."""
    batches = [classify(p) for p in predict_probabilities(model, images, batch_size, device)]
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
        batch = torch.tensor(images[start : start + batch_size])
        with autocast(device):
            logits = model(batch.to(device, memory_format=torch.channels_last))
        yield logits.float()
