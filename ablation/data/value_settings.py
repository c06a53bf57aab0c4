"""The settings that say what stored values mean: which stand for which class, and how they become intensities."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ablate.errors import brief
from ablate.settings import Config, Number, Since, not_a_truth_value

_COLOUR = re.compile("#[0-9a-fA-F]{6}")


def _label(value: Any) -> Any:
    """A number as itself, whole ones as whole; a colour in lower case."""
    if isinstance(value, str) and not _COLOUR.fullmatch(value):
        raise ValueError(f"'{brief(value)}': expected a number, or a colour such as \"#ff0000\"")
    if isinstance(value, int | float) and not abs(value) < 2**53:  # NaN is not either
        raise ValueError(f"{brief(value)}: expected a number below 2^53")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.lower() if isinstance(value, str) else not_a_truth_value(value)


def as_colour(value: Any) -> Any:
    """Numbers among colours are grey levels."""
    if isinstance(value, str):
        return value
    if value not in range(256):
        raise ValueError(f"labels: {value} is neither a colour nor a grey level, which are whole numbers from 0 to 255")
    return f"#{value:02x}{value:02x}{value:02x}"


def in_order(values: Any) -> Any:
    """What stands for one class, the same in whichever order it is given."""
    return tuple(sorted(set(values), key=lambda value: (isinstance(value, str), value)))


Label = Annotated[int | float | str, Field(union_mode="smart"), BeforeValidator(_label)]
OneClass = Annotated[tuple[Label, ...], AfterValidator(in_order)]


LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5


class Intensity(Config):
    """How the values of an image become what a network sees. By its name alone, or with settings.

    `range`: 8-bit values from 0 to 255, others from the least to the greatest of the image, to [-1, 1]. `zscore`: less
    the mean, by the standard deviation. `percentiles`: from the `low`th to the `high`th (0.5 and 99.5) to [-1, 1], what
    is beyond cut off. `window`: from `low` to `high` in the files' own values (Hounsfield units of CT) to [-1, 1], what
    is beyond cut off. Least, mean, percentiles are each channel's own, of the image, or of all slices of its volume.
    """

    name: Literal["range", "zscore", "percentiles", "window"]
    low: Annotated[Number | None, Since("0.2")] = None
    high: Annotated[Number | None, Since("0.2")] = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        """Percentiles are spelled out, so that the key outlives another default."""
        fields = {"name": given} if isinstance(given, str) else given
        if isinstance(fields, dict) and fields.get("name") == "percentiles":
            given_ones = {name: value for name, value in fields.items() if value is not None}
            return {"low": LOW_PERCENTILE, "high": HIGH_PERCENTILE} | given_ones
        return fields

    @model_validator(mode="after")
    def _bounded(self) -> Intensity:
        low, high = self.low, self.high
        if self.name in ("range", "zscore") and (low, high) != (None, None):
            raise ValueError(f"intensity {self.name} takes no low and high")
        if self.name == "window" and (low is None or high is None):
            raise ValueError("intensity window needs low and high, in the files' own values")
        if low is not None and high is not None and not low < high:
            raise ValueError(f"intensity {self.name}: low {low:g} must be below high {high:g}")
        if self.name == "percentiles" and not all(v is None or 0 <= v <= 100 for v in (low, high)):
            raise ValueError("intensity percentiles: expected low and high from 0 to 100")
        return self


def in_words(value: Any) -> Any:
    """A setting of a data set as names show it: intensities as `window -1000 400, zscore`, others as they are."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return ", ".join(" ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in one.values()) for one in value)
    return tuple(value) if isinstance(value, list) else value
