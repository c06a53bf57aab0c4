"""What every part of a configuration is: validated, bounded, and with one canonical form that outlives versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
)

from ablate.errors import InputError, brief, did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# A configuration may be a stranger's, so every field is bounded, far above what anyone trains: what is within them can
# be priced and refused by its cost, and no number overflows on the way there.
MOST_CHANNELS = 65_536
MOST_SIDE = 16_384
MOST_SEED = 2**63 - 1


class Since(NamedTuple):
    """Marks a field that a part got later, in `version`; its default must be what versions without the field did.

    At its default it is no part of the canonical form, so what older versions trained has the key it always had:

        dropout: Annotated[Number, Since("0.2")] = Field(0.0, ge=0, lt=1)
    """

    version: str


class Config(BaseModel):
    """Base of every part: immutable, numbers finite, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _leave_out_what_older_versions_had_not(
        self, dump: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if info.context is not _CANONICAL:
            return fields
        known = type(self).model_fields
        later = {name for name in fields if any(isinstance(mark, Since) for mark in known[name].metadata)}
        same = {name for name in later if getattr(self, name) == known[name].get_default(call_default_factory=True)}
        return {name: value for name, value in fields.items() if name not in same}

    def canonical(self, *but: str) -> dict[str, Any]:
        """What this part is, as plain data, `but` for some fields: the same in every version that can express it."""
        return self.model_dump(mode="json", exclude=set(but), context=_CANONICAL)


_CANONICAL = {"canonical": True}


def not_a_truth_value(value: Any) -> Any:
    """For what must be a number: pydantic takes true for 1. Raises `ValueError`."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, not {str(value).lower()}")
    return value


Whole = Annotated[int, BeforeValidator(not_a_truth_value)]
Number = Annotated[float, BeforeValidator(not_a_truth_value)]


def no_path_from_json(path: Path | None, info: ValidationInfo) -> Path | None:
    """The canonical form has no paths. One in a study's file would have this machine read what a stranger names."""
    if path is not None and info.mode == "json":
        raise ValueError("a path has no place in a recorded configuration")
    return path


Part = TypeVar("Part", bound=BaseModel)
_TYPES = re.compile(r".*\[.*|int|float|constrained-.*")
"""What pydantic calls the one it tried, of a field that takes either of two types: `int`, `tuple[int, ...]`."""


def parse(cls: type[Part], fields: dict[str, Any], what: str) -> Part:
    """`cls` from plain data. Raises `InputError` with one line that names the first field that does not fit."""
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        found = InputError(f"{what}: {explain(error, cls)}")
        found.field = tuple(map(str, complaint(error)["loc"]))
        raise found from None


def complaint(error: ValidationError) -> ErrorDetails:
    """The first of pydantic's complaints, but that of a field that does not exist before others: what is misspelt is
    also missing, which says less."""
    every = error.errors()
    return next((one for one in every if one["type"] == "extra_forbidden"), every[0])


def nearest_choice(of: ErrorDetails) -> str:
    """Of a complaint about a text that is none of a few, the nearest that is, as the end of a message."""
    about = of.get("ctx", {})
    given = about.get("tag", of["input"])
    known = re.findall(r"'([^']*)'", str(about.get("expected", about.get("expected_tags", ""))))
    return did_you_mean(given, known) if isinstance(given, str) else ""


def fields_at(model: type[BaseModel], place: Sequence[Any]) -> list[str]:
    """The fields that what is at `place` of a model may have: of all alternatives there, as far as none is chosen."""
    found: set[type[BaseModel]] = {model}
    for part in place:
        fields = [one.model_fields[part] for one in found if part in one.model_fields]
        if fields:
            found = {one for field in fields for one in _models(field.annotation)}
        elif chosen := {one for one in found if part == one.__name__ or part in _tags(one)}:
            found = chosen
    return sorted({name for one in found for name in one.model_fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a field's type: its own, of its items, its alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for one in get_args(annotation):
        yield from _models(one)


def _tags(model: type[BaseModel]) -> set[Any]:
    """The values by which a model is told from its alternatives."""
    return {tag for field in model.model_fields.values() for tag in get_args(field.annotation) if isinstance(tag, str)}


def explain(error: ValidationError, cls: type[BaseModel] | None = None) -> str:
    """The first of pydantic's complaints (`complaint`), as one line. `cls`: the model, to name the nearest field."""
    first = complaint(error)
    message = first["msg"].removeprefix("Value error, ") + nearest_choice(first)
    if first["type"] == "extra_forbidden":
        *way, last = first["loc"]
        hint = did_you_mean(str(last), fields_at(cls, way)) if cls else ""
        return f"there is no field '{brief('.'.join(map(str, first['loc'])))}'{hint}"
    place = ".".join(str(part) for part in first["loc"] if not _TYPES.fullmatch(str(part)))
    shown = f"'{brief(first['input'])}'" if isinstance(first["input"], str) else brief(first["input"])
    given = "" if first["type"] == "value_error" else f" (given: {shown})"
    return f"{place}: {message}{given}" if place else message + given
