"""A plan: every trial of a space, priced before anything is spent; what cannot be built is rejected with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import ValidationError

from ablation.config import SOURCES, Data, Network, Protocol, TrialConfig, explain, network, parse
from ablation.data import Dataset, split
from ablation.errors import InputError, unknown
from search_spaces.designs import Variant, expand
from search_spaces.profiles import Profile
from search_spaces.space import Fields, Range, Space


class Planned(NamedTuple):
    """A trial with its place in the design and its price; MACs are of one image at the trial's size."""

    config: TrialConfig
    levels: dict[str, str]
    params: int
    macs: int

    @property
    def key(self) -> str:
        return self.config.key


class Rejected(NamedTuple):
    """A configuration that cannot be built."""

    levels: dict[str, str]
    reason: str


class Plan(NamedTuple):
    """Trials (one a configuration and seed, in the design's order), and what was rejected."""

    trials: list[Planned]
    rejected: list[Rejected]


def make_plan(
    space: Space,
    profile: Profile,
    *,
    dataset_of: Callable[[Data], Dataset],
    data: str | None = None,
    data_dir: str | None = None,
    seeds: int | None = None,
    overrides: Fields | None = None,
) -> Plan:
    """Expand `space` into priced trials.

    A trial's fields come from, each over the one before: the profile, the space's base, the levels, `overrides`.

    Args:
        dataset_of: reads a data set; called once for each distinct one.
        data: a data set to use instead of the space's own (or of `mni152`).
        data_dir: where that data set's files are.
        seeds: seeds of each configuration, 0, 1, …; by default the space's or the profile's number.
        overrides: fields by dotted path, for every trial.

    Raises:
        InputError: a field or name that does not exist, data that cannot be read, or nothing left to train.
    """
    planner = Planner(
        space, profile, dataset_of=dataset_of, data=data, data_dir=data_dir, seeds=seeds, overrides=overrides
    )
    trials: dict[str, Planned] = {}
    rejected: list[Rejected] = []
    for found in expand(space):
        try:
            for planned in planner.trials(found):
                trials.setdefault(planned.key, planned)
        except ImpossibleError as reason:
            rejected.append(Rejected(found.levels, str(reason)))
    if not trials:
        raise InputError(rejected[0].reason)
    return Plan(list(trials.values()), rejected)


class ImpossibleError(InputError):
    """A configuration that cannot be built, or that the space's constraints rule out; the others can be.

    `over`: by which share each constraint is broken; {"possible": 1} for what cannot be built.
    """

    def __init__(self, reason: str, over: dict[str, float] | None = None) -> None:
        super().__init__(reason)
        self.over = over or {"possible": 1.0}


class Planner:
    """Makes priced trials of a space's configurations, one configuration at a time; arguments as of `make_plan`.

    Raises `InputError` for an override of a field that the space varies.
    """

    def __init__(
        self,
        space: Space,
        profile: Profile,
        *,
        dataset_of: Callable[[Data], Dataset],
        data: str | None = None,
        data_dir: str | None = None,
        seeds: int | None = None,
        overrides: Fields | None = None,
    ) -> None:
        self.space = space
        self._profile = profile
        self._dataset_of = dataset_of
        self._data = data
        self._data_dir = data_dir
        self._seeds = range(seeds or space.seeds or profile.seeds)
        self._overrides = overrides or {}
        self._datasets: dict[str, Dataset] = {}
        varied = {
            path
            for name, factor in space.factors.items()
            for fields in ([{name: None}] if isinstance(factor, Range) else factor.values())
            for path in fields
        }
        for path in self._overrides:
            if path in varied:
                raise InputError(
                    f"--set {path}: space {space.name} varies this field itself; write a space of your own"
                )

    def base(self) -> tuple[Dataset, Protocol]:
        """The data set of all configurations, and the protocol of those that vary nothing of it.

        Raises `InputError` where the space varies the data, or they cannot be read.
        """
        for name, factor in self.space.factors.items():
            for fields in [{name: None}] if isinstance(factor, Range) else factor.values():
                if any(path.split(".")[0] == "data" for path in fields):
                    raise InputError(f"factor {name} varies the data: a search compares on one data set")
        fields = _overlay(self.space, {}, self._profile, self._data, self._overrides)
        _, source, protocol = _parts(fields, self.space.name, self._data_dir)
        return self._dataset_of(source), protocol

    def trials(self, variant: Variant) -> list[Planned]:
        """The trials of one configuration, one a seed.

        Raises `ImpossibleError` for a configuration that cannot be built or costs more than the space allows, and
        `InputError` for what is wrong with all: a field or name that does not exist, data that cannot be read.
        """
        fields = _overlay(self.space, variant.fields, self._profile, self._data, self._overrides)
        model, source, protocol = _parts(fields, self.space.name, self._data_dir)
        canonical = source.model_dump_json()
        if canonical not in self._datasets:
            self._datasets[canonical] = self._dataset_of(source)
        dataset = self._datasets[canonical]
        source = source.model_copy(update={"fingerprint": dataset.config.fingerprint})
        try:
            split(dataset.groups, protocol.split)
            params, macs = _price(model, source)
            configs = [TrialConfig(model=model, data=source, protocol=protocol, seed=seed) for seed in self._seeds]
        except ValidationError as error:
            raise ImpossibleError(explain(error)) from None
        except InputError as error:
            raise ImpossibleError(str(error)) from None
        check(self.space, params, macs)
        return [Planned(config, variant.levels, params, macs) for config in configs]


def check(space: Space, params: int, macs: int) -> None:
    """Raises `ImpossibleError` for costs that the space's constraints rule out; latency is not known here."""
    for constraint in space.constraints:
        spent = {"params": params, "macs": macs}.get(constraint.cost, 0)
        if constraint.excess(spent) > 0:
            over: dict[str, float] = {constraint.cost: constraint.excess(spent)}
            raise ImpossibleError(f"{constraint.cost} {spent:,}: the space allows {constraint.most:,.12g}", over)


def _price(model: Network, source: Data) -> tuple[int, int]:
    from ablation.cost import cost

    return cost(model, source.channels, source.classes, source.size)


def _overlay(
    space: Space, level_fields: Fields, profile: Profile, data: str | None, overrides: Fields
) -> dict[str, Any]:
    base = _nested(space.base)
    own = base.get("data", {}).get("name")
    name = data or own or "mni152"
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    if own != name:
        base["data"] = {"name": name}
    tree = _nested(profile.fields(name))
    _merge(tree, base)
    for path, value in {**level_fields, **overrides}.items():
        _assign(tree, path, value)
    return tree


def _nested(fields: Fields) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in fields.items():
        _assign(tree, path, dict(value) if isinstance(value, dict) else value)
    return tree


def _merge(tree: dict[str, Any], over: dict[str, Any]) -> None:
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            _merge(tree[name], value)
        else:
            tree[name] = value


def _assign(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise InputError(f"field '{path}': '{parent}' is a value and has no fields")
    tree[last] = value


def _parts(fields: dict[str, Any], space: str, data_dir: str | None) -> tuple[Network, Any, Protocol]:
    data = dict(fields["data"])
    name = data.pop("name")
    if name not in SOURCES:
        raise unknown("data set", name, SOURCES)
    if data_dir is not None:
        data["root"] = data_dir
    source = parse(SOURCES[name], data, f"data {name}")
    protocol = parse(Protocol, fields.get("protocol", {}), "protocol")
    return _network(fields, space), source, protocol


def _network(fields: dict[str, Any], space: str) -> Network:
    model = dict(fields.get("model", {}))
    if "name" not in model:
        raise InputError(f"space {space} names no model: give base.model.name")
    return network(model.pop("name"), **{field: _listed(field, value) for field, value in model.items()})


def _listed(field: str, value: Any) -> Any:
    """A list given place by place, counted from 1: `model.kernels.1`, `model.kernels.2`, …"""
    if not isinstance(value, dict) or not all(str(place).isdigit() for place in value):
        return value
    places = {int(place): entry for place, entry in value.items()}
    if set(places) != set(range(1, len(places) + 1)):
        given = ", ".join(f"{field}.{place}" for place in sorted(places))
        raise InputError(f"model.{field}: places are counted from 1 without a gap, given: {given}")
    return [places[place] for place in sorted(places)]


def networks_of(space: Space, overrides: Fields) -> list[tuple[dict[str, str], Network]]:
    """The distinct networks of `space` that can be built, each with the levels it has first.

    Raises `InputError` where none can be.
    """
    import torch

    from ablation.models import build_model

    found: dict[Network, dict[str, str]] = {}
    reason = InputError(f"space {space.name} has no configuration")
    for made in expand(space):
        tree = _nested(space.base)
        for path, value in {**made.fields, **overrides}.items():
            _assign(tree, path, value)
        model = _network(tree, space.name)
        if model not in found:
            try:
                with torch.device("meta"):
                    build_model(model, 1, 1)
            except InputError as error:
                reason = error
            else:
                found[model] = made.levels
    if not found:
        raise reason
    return [(levels, model) for model, levels in found.items()]
