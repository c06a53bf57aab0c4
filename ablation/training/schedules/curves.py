"""Schedules that are a function of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ablate.settings import Number, Whole
from ablate.training.schedules.base import Every, Schedule, Steps

if TYPE_CHECKING:
    import torch
    from torch.optim.lr_scheduler import LRScheduler


class Constant(Schedule):
    """The learning rate stays, as in the paper."""

    name: Literal["constant"] = "constant"

    @property
    def every(self) -> Every:
        return "epoch"

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        return None


class Cosine(Schedule):
    """Half a cosine down to `min_factor` times the learning rate (Loshchilov & Hutter 2017, without restarts)."""

    name: Literal["cosine"] = "cosine"
    min_factor: Number = Field(0.0, ge=0, le=1)
    every: Every = "epoch"

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        import math

        from torch.optim.lr_scheduler import LambdaLR

        total, least = steps.each(self.every), self.min_factor
        return LambdaLR(optimizer, lambda t: least + (1 - least) * (1 + math.cos(math.pi * min(t, total) / total)) / 2)


class Poly(Schedule):
    """(1 − t/T)^`power` times the learning rate (Chen et al. 2018, DeepLab; by epoch, nnU-Net's)."""

    name: Literal["poly"] = "poly"
    power: Number = Field(0.9, gt=0, le=10)
    every: Every = "epoch"

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        from torch.optim.lr_scheduler import LambdaLR

        total, power = steps.each(self.every), self.power
        return LambdaLR(optimizer, lambda t: (1 - min(t, total) / total) ** power)


class Step(Schedule):
    """Times `gamma` at each of `milestones`, fractions of all epochs, or after every `each` epochs."""

    name: Literal["step"] = "step"
    milestones: tuple[Number, ...] = Field((0.5, 0.75), max_length=100)
    each: Whole | None = Field(None, ge=1, le=1_000_000)
    gamma: Number = Field(0.1, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _either(cls, fields: object) -> object:
        if isinstance(fields, dict) and fields.get("each") is not None and "milestones" not in fields:
            return {**fields, "milestones": ()}
        return fields

    @model_validator(mode="after")
    def _in_order(self) -> Step:
        if self.each is not None and self.milestones:
            raise ValueError("each and milestones are two ways to say when: give one of them")
        if any(not 0 < one < 1 for one in self.milestones) or list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones: expected fractions of the training, between 0 and 1, that increase")
        return self

    @property
    def every(self) -> Every:
        return "epoch"

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        from torch.optim.lr_scheduler import MultiStepLR, StepLR

        if self.each is not None:
            return StepLR(optimizer, self.each, self.gamma)
        return MultiStepLR(optimizer, [max(1, round(one * steps.epochs)) for one in self.milestones], self.gamma)


class OneCycle(Schedule):
    """Up to `protocol.learning_rate` and down again, by step (Smith & Topin 2019).

    It starts at the learning rate over `start_divisor`, is at its top after the fraction `rise` of all steps, and ends
    at the start over `end_divisor`. `cycle_momentum`: momentum, or Adam's first beta, goes from 0.95 to 0.85 and back.
    """

    name: Literal["onecycle"] = "onecycle"
    rise: Number = Field(0.3, gt=0, lt=1)
    start_divisor: Number = Field(25.0, ge=1, le=1e9)
    end_divisor: Number = Field(1e4, ge=1, le=1e12)
    shape: Literal["cos", "linear"] = "cos"
    cycle_momentum: bool = True

    @property
    def every(self) -> Every:
        return "step"

    def build(self, optimizer: torch.optim.Optimizer, steps: Steps) -> LRScheduler | None:
        from torch.optim.lr_scheduler import OneCycleLR

        from ablate.errors import InputError

        try:
            return OneCycleLR(
                optimizer, max_lr=[group["lr"] for group in optimizer.param_groups], total_steps=steps.total,
                pct_start=self.rise, anneal_strategy=self.shape, cycle_momentum=self.cycle_momentum,
                div_factor=self.start_divisor, final_div_factor=self.end_divisor,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"schedule onecycle: {error}; set cycle_momentum to false") from None
