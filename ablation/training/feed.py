"""Batches on the device where a network is trained; the same numbers wherever the images are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ablate.data.fit import fit_of
from ablate.data.ragged import chosen
from ablate.training.augmentation import augment
from ablate.training.devices import room, sent, stays_on_card
from ablate.training.patches import draw_patches

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset
    from ablate.trial import TrialConfig

_SHARE = 4
"""Images are kept on a card if they take at most this part of what is free there: the rest is the training's."""


class _Kept(NamedTuple):
    """Images (N, C, H, W) and masks (N, H, W) on the device, and the row of each that is trained on."""

    images: Tensor
    masks: Tensor
    rows: dict[int, int]


class Feed:
    """Gives a training its batches: gathered and augmented by the host and sent, or kept on the card and turned there.

    They are kept where `devices.stays_on_card` says so, they fit, no patches are drawn and no part of the recipe
    augments, which may be anyone's code. Which image is flipped and turned is drawn by the host either way.
    """

    def __init__(
        self, trial: TrialConfig, dataset: Dataset, device: torch.device, augmentations: Sequence[Callable[..., Any]]
    ) -> None:
        """`augmentations`: the recipe's, built."""
        self._trial, self._dataset, self._device, self._augmentations = trial, dataset, device, augmentations
        self._patches = fit_of(trial.data) == "patches"
        self._kept: _Kept | None = None
        self._keeps = stays_on_card(device) and not self._patches and not augmentations

    def begin(self, indices: Sequence[int]) -> None:
        """Before an epoch of the images `indices`, the same in each epoch: they are brought to the card, once."""
        if self._keeps and self._kept is None:
            self._kept = _kept(self._dataset, sorted(set(indices)), self._device)
            self._keeps = self._kept is not None

    def batch(
        self, indices: list[int], place: tuple[int, int, int], generator: torch.Generator, own: slice
    ) -> tuple[Tensor, Tensor]:
        """The images `own` of a batch, channels last, and their masks, augmented, on the device.

        Args:
            indices: the whole batch.
            place: seed, epoch and step, of which patches are drawn.
            generator: the host's, of which augmentations are drawn, for the whole batch.
        """
        images, masks = augment(*self._drawn(indices, place), self._trial.protocol.augment, generator)
        for augmentation in self._augmentations:
            images, masks = augmentation(images, masks, generator)
        return sent(images[own], self._device, torch.channels_last), sent(masks[own], self._device)

    def _drawn(self, indices: list[int], place: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """The images of a batch and their masks, or a patch of each."""
        if self._kept is not None:
            rows = sent(torch.tensor([self._kept.rows[index] for index in indices]), self._device)
            return self._kept.images[rows], self._kept.masks[rows]
        data, trial = self._dataset, self._trial
        if not self._patches:
            return torch.tensor(chosen(data.images, indices)), torch.tensor(chosen(data.masks, indices))
        share = trial.protocol.patch_foreground
        images, masks = draw_patches(data.images, data.masks, indices, trial.data.size, share, place)
        return torch.from_numpy(images), torch.from_numpy(masks)


def _kept(dataset: Dataset, indices: list[int], device: torch.device) -> _Kept | None:
    """The images `indices` on `device`; None where they do not fit, or are not of one size."""
    images, masks = dataset.images, dataset.masks
    if not (isinstance(images, np.ndarray) and isinstance(masks, np.ndarray)):
        return None
    if len(indices) * (images[:1].nbytes + masks[:1].nbytes) * _SHARE > room(device):
        return None
    rows = {index: row for row, index in enumerate(indices)}
    return _Kept(torch.tensor(images[indices]).to(device), torch.tensor(masks[indices]).to(device), rows)
