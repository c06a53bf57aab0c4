"""What may be trained at all: bounds on what a configuration may cost."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from ablate.errors import brief

Bounded = Literal["params", "macs", "latency_ms"]
"""What a constraint may bound: the first two are known before training, the third is measured."""


class Constraint(BaseModel):
    """A bound on what a configuration may cost: `params <= 1e6`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cost: Bounded
    most: float = Field(gt=0)

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        found = re.fullmatch(r"\s*(\w+)\s*<=\s*([0-9.eE+_-]+)\s*", text)
        try:
            cost, most = (found[1], float(found[2])) if found else ("", 0.0)
        except ValueError:
            most = 0.0
        if not found or cost not in get_args(Bounded) or not most > 0:
            raise ValueError(
                f"constraint '{brief(text)}': expected {', '.join(get_args(Bounded))} <= a positive number"
            )
        return {"cost": cost, "most": most}

    @model_serializer
    def _text(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.cost} <= {self.most:g}"

    def excess(self, value: float) -> float:
        """By how much `value` is over the bound, as a share of it: 0 or less where it is met."""
        return value / self.most - 1
