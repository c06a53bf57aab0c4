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
when:                                       # a factor that is there only at some levels of another
  model.expansion: {model.block: bottleneck}
constraints: [params <= 1e6]                # what may be trained at all
promising: {model.width: 32}                # what is believed to be good: a search begins there
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ablate.errors import brief, did_you_mean
from ablate.places import PlaceError, Source, in_place
from ablate.search_spaces.constraints import Constraint
from ablate.search_spaces.promising import Promising, beliefs
from ablate.search_spaces.ranges import Range
from ablate.settings import MOST_SEED, Whole, complaint, explain
from ablate.yaml_files import packaged_or_own, read_with_source

Fields = dict[str, Any]
"""Configuration fields by dotted path: `model.width`, or `model` for the whole part."""
PARTS = ("model", "data", "protocol", "loss", "optimizer", "schedule", "augmentation", "metrics")
SEVERAL = ("augmentation", "metrics")
"""Parts of which a trial has several, each under a name: that of the part, where it has no other."""
WITH, WITHOUT = "with", "without"

_LevelName = Annotated[str, BeforeValidator(lambda given: given if isinstance(given, dict | list) else str(given))]

MOST_CONFIGURATIONS = 100_000
MOST_SEEDS = 1000
_MOST_NAME = 200
_MOST_DEPTH = 6
"""How deep the value of a field lies: model, stages, levels."""


class Space(BaseModel):
    """A base configuration, factors, and the design that makes trials of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_\-]+$", max_length=100)
    question: str = Field(max_length=1000)
    design: Literal["grid", "one_factor", "leave_one_out", "random"]
    base: Fields = Field(default_factory=dict)
    factors: dict[str, dict[str, Fields] | Range]
    reference: dict[str, _LevelName] = Field(default_factory=dict)
    """The level each factor has where it is not varied (`one_factor` needs it)."""
    samples: Whole | None = Field(None, ge=1, le=MOST_CONFIGURATIONS)
    """How many configurations a `random` design draws."""
    design_seed: Whole = Field(0, ge=0, le=MOST_SEED)
    seeds: Whole | None = Field(None, ge=1, le=MOST_SEEDS)
    """Seeds of each configuration, where the space wants other than its profile."""
    folds: Whole | None = Field(None, ge=3, le=100_000)
    """Each configuration is trained and judged on every fold of so many (`split.method: kfold`)."""
    when: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    """The factors that are there only at certain levels of others: all of the named ones must be at such a level."""
    constraints: tuple[Constraint, ...] = ()
    promising: Promising | None = None
    """What is believed to be good, by factor. For searches alone: it decides nothing of a trial."""

    _source: Source | None = PrivateAttr(None)

    @property
    def source(self) -> Source | None:
        """The file that it is from, if it is from one, and where what is in it."""
        return self._source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.__dict__ == other.__dict__  # wherever each is written

    def but_for(self, *base: str) -> Space:
        """The same, whose file does not have these fields of the base."""
        found = self.model_copy()
        found._source = self._source and self._source.without(*(("base", path) for path in base))
        return found

    def options(self, factor: str) -> list[str] | Range:
        """What a factor may be: its levels' names, or its range."""
        levels = self.factors[factor]
        if isinstance(levels, Range):
            return levels
        return [WITH, *levels] if self.design == "leave_one_out" else list(levels)

    def applies(self, factor: str, levels: Mapping[str, str]) -> bool:
        """Whether a configuration with `levels` of the factors before it has `factor`."""
        return all(levels.get(other) in wanted for other, wanted in self.when.get(factor, {}).items())

    def levels(self, factor: str) -> dict[str, Fields]:
        """A factor's levels, with the fields that each sets."""
        levels = self.factors[factor]
        assert isinstance(levels, dict), "only a random design has ranges"
        return levels

    @field_validator("base", mode="before")
    @classmethod
    def _known_parts(cls, base: Any) -> Any:
        if isinstance(base, dict):
            nested(base)
        return base

    @field_validator("factors", mode="before")
    @classmethod
    def _spell_out(cls, factors: Any) -> Any:
        if not isinstance(factors, dict) or not factors:
            raise ValueError("expected at least one factor")
        found = {}
        for name, factor in factors.items():
            with in_place(name):
                found[_name("factor", name)] = _spell_out_factor(str(name), factor)
        return found

    @field_validator("when", mode="before")
    @classmethod
    def _as_lists(cls, when: Any) -> Any:
        if not isinstance(when, dict) or not all(isinstance(others, dict) for others in when.values()):
            raise ValueError("expected factor: {other factor: its level, or a list of them}")
        return {
            str(name): {
                str(other): tuple(str(level) for level in (wanted if isinstance(wanted, list | tuple) else [wanted]))
                for other, wanted in others.items()
            }
            for name, others in when.items()
        }

    @field_validator("promising", mode="before")
    @classmethod
    def _believed(cls, given: Any, info: ValidationInfo) -> Any:
        factors = info.data.get("factors", {})  # none where they are wrong themselves, which is said first
        also = (WITH,) if info.data.get("design") == "leave_one_out" else ()
        return beliefs(given, factors, also) if factors else None

    @model_validator(mode="after")
    def _conditions_hold(self) -> Space:
        """A condition names a factor that comes before, by levels that it has."""
        places = {name: place for place, name in enumerate(self.factors)}
        if self.when and self.design not in ("random", "grid"):
            raise ValueError(f"when: design {self.design} has every factor in each trial; use random or grid")
        for name, others in self.when.items():
            for factor in (name, *others):
                if factor not in places:
                    said = f"there is no factor '{brief(factor)}'{did_you_mean(factor, places)}"
                    raise PlaceError(f"when {brief(name)}: {said}", "when", name, factor)
            for other, wanted in others.items():
                with in_place("when", name, other):
                    if places[other] >= places[name]:
                        raise ValueError(f"when {name}: factor {other} must come before {name} in factors")
                    self._check_condition(name, other, wanted)
        return self

    def _check_condition(self, name: str, other: str, wanted: tuple[str, ...]) -> None:
        if not wanted:
            raise ValueError(f"when {name}: expected at least one level of {other}")
        known = self.factors[other]
        if isinstance(known, dict):
            strange = [level for level in wanted if level not in known]
            if strange:
                raise ValueError(f"when {name}: {other} has no level '{brief(strange[0])}', only {_listed(known)}")
        elif not known.whole:
            raise ValueError(f"when {name}: {other} is a range of fractions; name levels of a factor instead")

    @model_validator(mode="after")
    def _fits_design(self) -> Space:
        ranges = [name for name, factor in self.factors.items() if isinstance(factor, Range)]
        if ranges and self.design != "random":
            with in_place("factors", ranges[0]):
                raise ValueError(
                    f"factor {ranges[0]} is a range: design {self.design} needs levels, use design: random"
                )
        if self.design == "random" and self.samples is None:
            raise ValueError("design random needs samples: the number of configurations to draw")
        for name, level in self.reference.items():
            with in_place("reference", name):
                if name not in self.factors:
                    hint = did_you_mean(name, self.factors)
                    raise ValueError(f"reference {brief(name)}: there is no such factor{hint}")
                levels = self.factors[name]
                if isinstance(levels, dict) and level not in levels:
                    raise ValueError(f"reference {name}: there is no level '{brief(level)}', only {_listed(levels)}")
        if self.design == "one_factor" and set(self.reference) != set(self.factors):
            raise PlaceError("design one_factor needs reference: one level for each factor", "reference")
        if self.design == "leave_one_out":
            for name, levels in self.factors.items():
                if not isinstance(levels, dict) or set(levels) != {WITHOUT}:
                    said = f"factor {name}: design leave_one_out takes one level, '{WITHOUT}'"
                    raise PlaceError(said, "factors", name)
        return self


def _spell_out_factor(name: str, factor: Any) -> Any:
    if isinstance(factor, list):
        return _levels(name, [(_level_name(name, value), {name: value}) for value in factor])
    if isinstance(factor, dict) and "low" in factor and not isinstance(factor["low"], dict):  # else a level called low
        try:
            found = Range.model_validate(factor)
        except ValidationError as error:
            raise PlaceError(f"factor {name}: {explain(error, Range)}", *complaint(error)["loc"]) from None
        nested({name: found.low})
        return found
    if not isinstance(factor, dict) or not all(isinstance(fields, dict) for fields in factor.values()):
        raise ValueError(f"factor {name}: expected levels (name: {{field: value}}), a list of values, or low and high")
    return _levels(name, [(_name(f"factor {name}: level", level), fields) for level, fields in factor.items()])


def _levels(factor: str, named: list[tuple[str, Fields]]) -> dict[str, Fields]:
    if not named:
        raise ValueError(f"factor {factor}: expected at least one level")
    levels: dict[str, Fields] = {}
    for level, fields in named:
        with in_place(level):
            if level in levels:
                raise ValueError(f"factor {factor}: two levels are called '{brief(level)}'; take one out, or rename it")
            nested(fields)
        wholes_first = sorted(fields, key=lambda path: path.count("."))
        levels[level] = {path: fields[path] for path in wholes_first}
    return levels


def _level_name(factor: str, value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("name"), str):  # a part, with settings
        return _name(f"factor {factor}: level", value["name"].rpartition(":")[2])
    if isinstance(value, dict):
        raise ValueError(f"factor {factor}: a list holds values; give levels that are mappings a name")
    if not isinstance(value, list):
        return _name(f"factor {factor}: level", value)
    return _name(f"factor {factor}: level", "-".join(_level_name(factor, v) for v in value) or "none")


def _name(what: str, given: Any) -> str:
    """A name as text: it heads tables and tells directories apart, so it is seen whole, on one line."""
    name = str(given)
    if not name.strip() or not name.isprintable() or len(name) > _MOST_NAME:
        raise ValueError(f"{what} '{brief(name)}': a name has 1 to {_MOST_NAME} characters that can be seen")
    return name


def _listed(names: Iterable[str]) -> str:
    return brief(", ".join(names))


# Fields --------------------------------------------------------------------------------------------------------------


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by dotted path as a tree: `model.width` and `{model: {name: unet}}` together.

    Raises `ValueError` for a path that leads nowhere, a part that is no mapping, a name that is no text, and a field
    that is given twice. What a field may hold is for the configuration to say.
    """
    tree: dict[str, Any] = {}
    for path, value in fields.items():
        _check_path(path)
        _put(tree, path.split("."), spelled_out(path, value), brief(path))
    for part, value in tree.items():
        if not isinstance(value, dict):
            raise ValueError(
                f"field '{part}': expected its fields, such as {part}.name or {{name: …}}, not {brief(value)}"
            )
        if part not in SEVERAL and not isinstance(value.get("name", ""), str):
            raise ValueError(f"field '{part}.name': expected a name, not {brief(value['name'])}")
    return tree


def spelled_out(path: str, value: Any) -> Any:
    """A whole part as its fields: a name alone is one, and several are a mapping or a list of those.

    `dice` is `{name: dice}`; `[rotate, {name: noise, std: 0.1}]` is `{rotate: {}, noise: {std: 0.1}}`.
    Raises `ValueError` for one of several that is none, or that is there twice.
    """
    if path in SEVERAL:
        return _several(path, value)
    return {"name": value} if path in PARTS and isinstance(value, str) else value


def _several(path: str, value: Any) -> Any:
    if value is None or value == []:
        return {}
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return value
    found: dict[str, Any] = {}
    for one in listed:
        one = {"name": one} if isinstance(one, str) else one
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise ValueError(f"field '{path}': expected names, or {{name: …, setting: value}}, not {brief(one)}")
        label = one["name"].rpartition(":")[2]
        if label in found:
            raise ValueError(f"field '{path}': {label} is there twice; give each a name ({{first: {{name: {label}}}}})")
        found[label] = one
    return found


def _put(tree: dict[str, Any], way: list[str], value: Any, path: str) -> None:
    *parents, last = way
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ValueError(f"field '{path}': '{brief(parent)}' is a value and has no fields")
    if not isinstance(value, dict):
        if last in tree:
            raise ValueError(f"field '{path}' is given twice")
        tree[last] = value
        return
    below = tree.setdefault(last, {})
    if not isinstance(below, dict):
        raise ValueError(f"field '{path}' is given twice")
    if path.count(".") >= _MOST_DEPTH:
        raise ValueError(f"field '{brief(path)}' lies too deep")
    for name, inner in value.items():
        if not isinstance(name, str) or not name:
            raise ValueError(f"field '{path}': {brief(name) or 'an empty text'} is no name of a field")
        _put(below, [name], inner, f"{path}.{brief(name)}")


def _check_path(path: Any) -> None:
    part, *rest = str(path).split(".")
    if part not in PARTS:
        hint = did_you_mean(part, PARTS)
        raise PlaceError(f"field '{brief(str(path))}' belongs to no part of a trial ({', '.join(PARTS)}){hint}", path)
    if not all(rest) or len(rest) > _MOST_DEPTH:
        raise ValueError(f"field '{brief(path)}' is no path: expected names and single dots, such as model.width")


def packaged() -> dict[str, Path]:
    """The spaces that come with ablate, by name."""
    return {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}


def load_space(name_or_path: str) -> Space:
    """A packaged space by name, or a user's own by path (it ends in .yaml or .yml).

    Raises:
        InputError: unknown name, unreadable file, or a slip in it, with file and line.
    """
    path = packaged_or_own(name_or_path, packaged(), "space")
    space, source = read_with_source(path, Space, "space", "name, question, design and factors")
    space._source = source
    return space
