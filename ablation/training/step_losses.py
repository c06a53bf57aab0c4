"""The losses of an epoch's steps, fetched from their device when they are asked for and not one by one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ablate.errors import TrialError

_TOGETHER = 100


class StepLosses:
    """Sums losses, and finds the first that is not finite: at once, or after some steps, with the same error.

    To fetch a number from a card is to wait until the card has done all that it was given.
    """

    def __init__(self, epoch: int, *, together: bool) -> None:
        """`together`: fetched every hundred steps and at the end. The epoch's training ends by so much later."""
        self._epoch, self._every = epoch, _TOGETHER if together else 1
        self._steps, self._total = 0, 0.0
        self._waiting: list[tuple[Tensor, int]] = []

    def add(self, loss: Tensor, images: int) -> None:
        """The mean loss, one number, of a step's so many images. Raises `TrialError` as `total` does."""
        self._waiting.append((loss, images))
        if len(self._waiting) == self._every:
            self._fetch()

    def total(self) -> float:
        """Over all images. Raises `TrialError`, with epoch and step, if a loss was NaN or infinite."""
        self._fetch()
        return self._total

    def _fetch(self) -> None:
        if not self._waiting:
            return
        values = torch.stack([loss.reshape(()) for loss, _ in self._waiting]).tolist()
        for value, (_, images) in zip(values, self._waiting, strict=True):
            self._steps += 1
            if not math.isfinite(value):
                raise TrialError(f"diverged: the training loss was {value} in epoch {self._epoch}, step {self._steps}")
            self._total += value * images
        self._waiting.clear()
