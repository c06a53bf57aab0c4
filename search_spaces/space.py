"""A search space: one question, as a YAML file.

name: kernel_sizes
question: Do larger kernels in the pyramid earn their cost?
design: grid
base:
  model: {name: pyconvunet}
factors:
  kernels:                                  # a factor, with named levels
    "3-3-3-3": {model.kernels: [3, 3, 3, 3]}
    "3-5-7-9": {model.kernels: [3, 5, 7, 9]}
  model.width: [32, 64]                     # or a field with its values
  protocol.learning_rate: {low: 1e-4, high: 1e-2, log: true}    # or a range (design: random)
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ablation.config import explain
from ablation.yaml_files import packaged_or_own, read_yaml

Fields = dict[str, Any]
"""Configuration fields by dotted path: `model.width`, or `model` for the whole part."""
_PARTS = ("model", "data", "protocol")
WITH, WITHOUT = "with", "without"


class Range(BaseModel):
    """A continuous factor, or an integer one if both bounds are integers. Both bounds belong to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"range from {self.low} to {self.high}: low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range needs a positive low and takes no step")
        return self


class Space(BaseModel):
    """A base configuration, factors, and the design that makes trials of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_\-]+$")
    question: str
    design: Literal["grid", "one_factor", "leave_one_out", "random"]
    base: Fields = Field(default_factory=dict)
    factors: dict[str, dict[str, Fields] | Range]
    reference: dict[str, str] = Field(default_factory=dict)
    """The level each factor has where it is not varied (`one_factor` needs it)."""
    samples: int | None = Field(None, ge=1)
    """How many configurations a `random` design draws."""
    design_seed: int = Field(0, ge=0)
    seeds: int | None = Field(None, ge=1)
    """Seeds of each configuration, where the space wants other than its profile."""

    def levels(self, factor: str) -> dict[str, Fields]:
        """A factor's levels, with the fields that each sets."""
        levels = self.factors[factor]
        assert isinstance(levels, dict), "only a random design has ranges"
        return levels

    @field_validator("base", mode="before")
    @classmethod
    def _known_parts(cls, base: Any) -> Any:
        for path in base if isinstance(base, dict) else ():
            _check_path(str(path))
        return base

    @field_validator("factors", mode="before")
    @classmethod
    def _spell_out(cls, factors: Any) -> Any:
        if not isinstance(factors, dict) or not factors:
            raise ValueError("expected at least one factor")
        return {str(name): _spell_out_factor(str(name), factor) for name, factor in factors.items()}

    @model_validator(mode="after")
    def _fits_design(self) -> Space:
        ranges = [name for name, factor in self.factors.items() if isinstance(factor, Range)]
        if ranges and self.design != "random":
            raise ValueError(f"factor {ranges[0]} is a range: design {self.design} needs levels, use design: random")
        if self.design == "random" and self.samples is None:
            raise ValueError("design random needs samples: the number of configurations to draw")
        if self.design == "one_factor" and set(self.reference) != set(self.factors):
            raise ValueError("design one_factor needs reference: one level for each factor")
        for name, level in self.reference.items():
            if name not in self.factors:
                raise ValueError(f"reference {name}: there is no such factor")
            levels = self.factors[name]
            if isinstance(levels, dict) and level not in levels:
                raise ValueError(f"reference {name}: there is no level '{level}', only {', '.join(levels)}")
        if self.design == "leave_one_out":
            for name, levels in self.factors.items():
                if not isinstance(levels, dict) or set(levels) != {WITHOUT}:
                    raise ValueError(f"factor {name}: design leave_one_out takes one level, '{WITHOUT}'")
        return self


def _spell_out_factor(name: str, factor: Any) -> Any:
    if isinstance(factor, list):
        _check_path(name)
        return {_level_name(value): {name: value} for value in factor}
    if isinstance(factor, dict) and "low" in factor:
        _check_path(name)
        try:
            return Range.model_validate(factor)
        except ValidationError as error:
            raise ValueError(f"factor {name}: {explain(error)}") from None
    if not isinstance(factor, dict) or not all(isinstance(fields, dict) for fields in factor.values()):
        raise ValueError(f"factor {name}: expected levels (name: {{field: value}}), a list of values, or low and high")
    if not factor:
        raise ValueError(f"factor {name}: expected at least one level")
    for fields in factor.values():
        for path in fields:
            _check_path(str(path))
    return {str(level): fields for level, fields in factor.items()}


def _level_name(value: Any) -> str:
    return "-".join(_level_name(v) for v in value) if isinstance(value, list) else str(value)


def _check_path(path: str) -> None:
    part = path.split(".")[0]
    if part not in _PARTS:
        nearest = difflib.get_close_matches(part, _PARTS, n=1)
        hint = f", did you mean '{nearest[0]}'?" if nearest else ""
        raise ValueError(f"field '{path}' belongs to no part of a trial ({', '.join(_PARTS)}){hint}")


def packaged() -> dict[str, Path]:
    """The spaces that come with ablate, by name."""
    return {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}


def load_space(name_or_path: str) -> Space:
    """A packaged space by name, or a user's own by path (it ends in .yaml or .yml).

    Raises:
        InputError: unknown name, unreadable file, or a slip in it, with file and line.
    """
    path = packaged_or_own(name_or_path, packaged(), "space")
    return read_yaml(path, Space, "space", "name, question, design and factors")
