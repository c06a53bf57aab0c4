"""The learning rate through a training: a linear warm-up, then a schedule over what is left."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from ablate.training.schedules.base import Every, Steps


class Pace:
    """Sets the learning rate of `optimizer`: at once that of the first step, and after each step that of the next.

    What a schedule has seen are the steps, the epochs and their validation losses, so after an interruption it is
    brought to where it was by going through them again.
    """

    def __init__(self, schedule: Any, optimizer: torch.optim.Optimizer, steps: Steps, warmup_epochs: int = 0) -> None:
        """`schedule` has `build` and `every` as a `Schedule` has; it moves by epoch where it does not say."""
        self._schedule, self._optimizer, self._steps = schedule, optimizer, steps
        self._every: Every = getattr(schedule, "every", "epoch")
        self._last, self._done = steps.total, 0
        self._warmup = warmup_epochs * steps.steps_per_epoch
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._scheduler: Any = None
        self._set()

    def _set(self) -> None:
        """The rate of the next step, if it is of the warm-up; the schedule begins after it."""
        if self._done < self._warmup:
            for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate * (self._done + 1) / self._warmup
        elif self._done == self._warmup:
            for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate
            epochs = self._steps.epochs - self._warmup // self._steps.steps_per_epoch
            self._scheduler = self._schedule.build(self._optimizer, self._steps._replace(epochs=epochs))

    def after_step(self) -> None:
        self._done += 1
        if self._done <= self._warmup:
            self._set()
        elif self._every == "step" and self._done < self._last:  # after the last there is no next
            self._move()

    def after_epoch(self, val_loss: float) -> None:
        if self._every == "epoch" and self._warmup < self._done < self._last:
            self._move(val_loss)

    def replay(self, val_losses: Sequence[float]) -> None:
        """Go through the epochs that had these validation losses."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*before.*optimizer.step")
            for val_loss in val_losses:
                for _ in range(self._steps.steps_per_epoch):
                    self.after_step()
                self.after_epoch(val_loss)

    def _move(self, val_loss: float | None = None) -> None:
        if self._scheduler is None:
            return
        if "metrics" in inspect.signature(self._scheduler.step).parameters:
            self._scheduler.step(val_loss)
        else:
            self._scheduler.step()
