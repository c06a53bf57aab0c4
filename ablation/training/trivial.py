"""What predictors give that look at no image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ablate.data.dataset import Dataset
from ablate.data.fit import Size, back, fit_of, resize_mask
from ablate.data.source import IGNORED
from ablate.data.splits import Parts
from ablate.metrics.counts import class_count
from ablate.training.judging import Masks
from ablate.trial import TrialConfig


def trivial_predictions(trial: TrialConfig, dataset: Dataset, parts: Parts) -> Masks:
    """The predictions of a trivial trial of the test images: (N, H, W), or each (h, w) at its own size.

    With several classes, "all foreground" is the training masks' most frequent foreground class, and the mean mask the
    most frequent class of each pixel. Pixels that are ignored do not count; where none counts, it is background. For
    images of their own size the frequencies are found at the trial's size, and brought back as probabilities are.
    """
    frequency = _frequency(trial, dataset, parts.train)
    if dataset.drawn is None:
        mask = _decided(trial.model.name, frequency, frequency)
        return np.repeat(mask[None], len(parts.test), axis=0)
    # Patches are of whole images, whose masks were brought to one size without padding.
    fit = "pad" if fit_of(trial.data) == "pad" else "stretch"
    found: dict[Size, NDArray[np.uint8]] = {}
    for own in {dataset.own_sizes[i] for i in parts.test}:
        at_own_size = back(torch.tensor(frequency)[None], own, fit)[0].numpy()
        found[own] = _decided(trial.model.name, frequency, at_own_size)
    return [found[dataset.own_sizes[i]] for i in parts.test]


def _frequency(trial: TrialConfig, dataset: Dataset, train: Sequence[int]) -> NDArray[np.float64]:
    """The share of each class among the training masks that know a pixel: (classes, H, W)."""
    found = np.zeros((class_count(dataset.config.classes), *trial.data.size), dtype=np.int64)
    known = np.zeros(trial.data.size, dtype=np.int64)
    for i in train:
        mask = resize_mask(dataset.masks[i], trial.data.size)
        known += mask != IGNORED
        for index, of_class in enumerate(found):
            of_class += mask == index
    frequency: NDArray[np.float64] = found / np.maximum(known, 1)
    frequency[0, known == 0] = 1
    return frequency


def _decided(name: str, frequency: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Class indices (h, w) of frequencies at the trial's size, and at the image's own (classes, h, w)."""
    classes = len(own)
    if name == "mean_mask":
        # A tie goes to the foreground, as a sigmoid at its threshold of 0.5 does.
        mask = classes - 1 - own[::-1].argmax(axis=0)
    elif name == "all_foreground":
        mask = np.full(own.shape[1:], 1 + frequency[1:].mean(axis=(1, 2)).argmax())
    else:
        mask = np.zeros(own.shape[1:])
    return mask.astype(np.uint8)
