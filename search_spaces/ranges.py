"""Continuous factors."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ablate.settings import not_a_truth_value

_MOST_STEPS = 1_000_000
_MOST_BOUND = 1e15
"""Of a range, up or down: whole numbers are told apart as fractions are, and arithmetic on them stays exact."""

Bound = Annotated[int | float, BeforeValidator(not_a_truth_value)]


class Range(BaseModel):
    """A continuous factor, or an integer one if both bounds are integers. Both bounds belong to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: Bound = Field(ge=-_MOST_BOUND, le=_MOST_BOUND)
    high: Bound = Field(ge=-_MOST_BOUND, le=_MOST_BOUND)
    log: bool = False
    step: Bound | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"range from {self.low} to {self.high}: low must be below high")
        if self.step is not None and not (self.high - self.low) / _MOST_STEPS <= self.step <= self.high - self.low:
            raise ValueError(
                f"range from {self.low} to {self.high}: a step of {self.step} is none in it; expected a positive one, "
                f"at most {self.high - self.low:g} and not more than a million of them"
            )
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range needs a positive low and takes no step")
        return self

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int) and isinstance(self.step, int | None)
