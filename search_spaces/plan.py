"""A plan: every trial of a space, priced before anything is spent; what cannot be built is rejected with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import ValidationError

from ablation.config import SOURCES, Data, Network, Protocol, TrialConfig, explain, network, parse
from ablation.data import Dataset, split
from ablation.errors import InputError, unknown
from search_spaces.designs import expand
from search_spaces.profiles import Profile
from search_spaces.space import Fields, Space


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
    variants, overrides = expand(space), overrides or {}
    for path in overrides:
        varied = next((f for v in variants for f in v.fields if f == path), None)
        if varied:
            raise InputError(f"--set {path}: space {space.name} varies this field itself; write a space of your own")
    datasets: dict[str, Dataset] = {}
    trials: dict[str, Planned] = {}
    rejected: list[Rejected] = []
    for variant in variants:
        fields = _overlay(space, variant.fields, profile, data, overrides)
        model, source, protocol = _parts(fields, space.name, data_dir)
        canonical = source.model_dump_json()
        if canonical not in datasets:
            datasets[canonical] = dataset_of(source)
        dataset = datasets[canonical]
        source = source.model_copy(update={"fingerprint": dataset.config.fingerprint})
        try:
            split(dataset.groups, protocol.split)
            params, macs = _price(model, source)
            for seed in range(seeds or space.seeds or profile.seeds):
                config = TrialConfig(model=model, data=source, protocol=protocol, seed=seed)
                trials.setdefault(config.key, Planned(config, variant.levels, params, macs))
        except ValidationError as error:
            rejected.append(Rejected(variant.levels, explain(error)))
        except InputError as error:
            rejected.append(Rejected(variant.levels, str(error)))
    if not trials:
        raise InputError(rejected[0].reason)
    return Plan(list(trials.values()), rejected)


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
    return network(model.pop("name"), **model)


def networks_of(space: Space, overrides: Fields) -> list[tuple[dict[str, str], Network]]:
    """The distinct networks of `space`, each with the levels it has first."""
    found: dict[Network, dict[str, str]] = {}
    for variant in expand(space):
        tree = _nested(space.base)
        for path, value in {**variant.fields, **overrides}.items():
            _assign(tree, path, value)
        found.setdefault(_network(tree, space.name), variant.levels)
    return [(levels, model) for model, levels in found.items()]
