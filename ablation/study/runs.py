"""A run, as it was planned: a space's trials, each with its levels. And what a key looks like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from ablate.trial import KEY_LENGTH

if TYPE_CHECKING:
    from ablate.part import DataPart

Key = Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{KEY_LENGTH}}}$")]
"""A trial's key, or a cell's. It names files: whatever else stands in its place is refused where it is read."""


def is_key(name: str) -> bool:
    return len(name) == KEY_LENGTH and set(name) <= set("0123456789abcdef")


_Name = Annotated[str, StringConstraints(max_length=80)]


class DataRecord(BaseModel):
    """What a study keeps of a data set beside what it is: what people call it, where it was, and how it looked."""

    model_config = ConfigDict(extra="forbid")

    title: _Name = ""
    """What tables and reports call it."""
    class_names: Annotated[list[_Name], Field(max_length=255)] = []
    """Of class 0 (the background), 1, …; none if nobody named them."""
    root: Annotated[str, StringConstraints(max_length=4096)] = ""
    """The folder with its files, on the machine that planned; empty if it has none."""
    doubts: Annotated[list[Annotated[str, StringConstraints(max_length=2000)]], Field(max_length=200)] = []
    """What may not be as it was meant, a line each."""
    facts: dict[str, Any] = {}
    """What it holds, as plain data."""

    @classmethod
    def of(cls, data: DataPart) -> DataRecord:
        root = str(Path(data.root).absolute()) if data.root else ""
        return cls(title=data.title, class_names=list(data.class_names), root=root)


class Run(BaseModel):
    """A space as it was planned into the study: its trials, each with the level of every factor."""

    model_config = ConfigDict(extra="forbid")

    space: str
    question: str
    profile: str
    design: str
    factors: dict[str, list[str]]
    definition: dict[str, Any]
    trials: dict[str, dict[str, str]]
    data: dict[Key, DataRecord] = {}
    """Its data sets, by their fingerprints; none in what earlier versions planned."""

    @field_validator("definition")
    @classmethod
    def _has_the_shape_of_a_space(cls, definition: dict[str, Any]) -> dict[str, Any]:
        """What is read of it later; the rest is only shown, for a space of another version need not be one of this."""
        for part in ("factors", "reference"):
            names = definition.get(part, {})
            if not isinstance(names, dict) or not all(isinstance(name, str) for name in names):
                raise ValueError(f"{part}: expected names with their values")
        for name, factor in definition.get("factors", {}).items():
            ends = [factor[end] for end in ("low", "high") if end in factor] if isinstance(factor, dict) else []
            if not all(isinstance(end, dict) or (isinstance(end, int | float) and abs(end) < 1e100) for end in ends):
                raise ValueError(f"factors.{name[:80]}: expected levels, or a range of numbers")
        return definition

    @field_validator("trials")
    @classmethod
    def _keys_are_keys(cls, trials: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for key in trials:
            if not is_key(key):
                raise ValueError(f"it plans the trial '{key[:80]}', which is no key")
        return trials

    def is_range(self, factor: str) -> bool:
        """Whether a factor has numbers from a range for levels, and not levels with names."""
        defined = self.definition.get("factors", {}).get(factor)
        return isinstance(defined, dict) and "low" in defined
