"""From a space's fields, by dotted path, to what a trial's configuration is made of."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from ablate.data.description import FILE, description
from ablate.data.load import is_built_in, is_own
from ablate.errors import InputError, PartError, brief, within
from ablate.kinds import KINDS, Kind, kind_at
from ablate.kinds import parse as parse_part
from ablate.part import DataPart, Part
from ablate.search_spaces.profiles import Profile
from ablate.search_spaces.space import SEVERAL, Fields, Range, Space, nested, spelled_out
from ablate.settings import parse
from ablate.trial import Protocol


def overlay(
    space: Space,
    level_fields: Fields,
    profile: Profile,
    data: str | None,
    overrides: Fields,
    data_dir: str | None = None,
) -> dict[str, Any]:
    """What a configuration has of each field: under all else lie the profile's defaults of its own data set, and on
    those what is said beside its files.

    What the base says of one data set's fields is not taken over to another.
    """
    over: dict[str, Any] = {}
    for path, value in {**level_fields, **overrides}.items():
        assign(over, path, value)
    tree = nested(space.base)
    own = tree.get("data", {}).get("name")
    asked = over.get("data", {}).get("name", data)
    root = data_dir or over.get("data", {}).get("root")
    if root is None and asked in (None, own):
        root = tree.get("data", {}).get("root")
    said = description(root)
    name = asked or said.get("name") or own or ("" if root else "mni152")
    if not name or (root and is_built_in(name)):
        what = f"{name} is built in and reads no files" if name else "nothing says what is in it"
        raise InputError(
            f"data in '{brief(root)}': {what}; give --data folder for images/ and masks/, another of `ablate "
            f"datasets`, or put a {FILE} there"
        )
    if said and said["name"] != name:
        raise InputError(f"'{root}/{FILE}' describes {brief(said['name'])}, and {brief(name)} is asked for: give one")
    if own not in (None, name):
        tree["data"] = {}
    for path, value in {**level_fields, **overrides}.items():
        assign(tree, path, value)
    tree.setdefault("data", {})["name"] = name
    tree["data"] = said | tree["data"] | ({"root": root} if root else {})
    _fill(tree, nested(profile.fields(name)))
    return tree


def on_model(space: Space, model: str) -> Space:
    """The same space on another network: what its base says of its own is left out.

    Raises `InputError` where the space varies the network itself.
    """
    for name, factor in space.factors.items():
        for fields in [] if isinstance(factor, Range) else factor.values():
            if "name" in nested(fields).get("model", {}):
                raise InputError(f"--model {brief(model)}: factor {name} of space {space.name} is the network itself")
    base = {path: value for path, value in space.base.items() if path.partition(".")[0] != "model"}
    found = space.model_copy(update={"base": {"model": {"name": model}, **base}})
    return found.but_for(*(path for path in space.base if path not in base))


def _fill(tree: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for name, value in defaults.items():
        if isinstance(value, dict) and isinstance(tree.setdefault(name, {}), dict):
            _fill(tree[name], value)
        else:
            tree.setdefault(name, value)


def assign(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a field, or a part whole."""
    *parents, last = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise InputError(f"field '{brief(path)}': '{brief(parent)}' is a value and has no fields")
    tree[last] = copy.deepcopy(spelled_out(path, value))


def parts_of(
    fields: dict[str, Any], space: str, own_size: Callable[[DataPart], bool] = lambda data: False
) -> dict[str, Any]:
    """What a trial's configuration is made of, but for the seed.

    `own_size`: whether one's own data are scored at each image's own size where no field says.
    """
    data, protocol = dict(fields["data"]), dict(fields.get("protocol", {}))
    root = data.pop("root", None)
    optimizer = {"name": "adam"} | fields["optimizer"] if fields.get("optimizer") else {}
    if "lr" in optimizer:  # one place for it, whatever the optimizer
        given = optimizer.pop("lr")
        if protocol.setdefault("learning_rate", given) != given:
            raise InputError(
                f"optimizer.lr {brief(given)}: protocol.learning_rate is {brief(protocol['learning_rate'])}; give one"
            )
    found: dict[str, Any] = {
        "model": network_of_space(fields, space),
        "data": _data_set(data, root, own_size),
    }
    with within("protocol"):
        found["protocol"] = parse(Protocol, protocol, "protocol")
    single = {"loss": fields.get("loss"), "optimizer": optimizer, "schedule": fields.get("schedule")}
    for name, given in single.items():
        if given:
            with within(name):
                found[name] = parse_part(KINDS[name], given)
    for name in SEVERAL:
        labelled = fields.get(name) or {}
        kind = kind_at(name)
        there = {label: {"name": label} | settings for label, settings in labelled.items() if settings is not None}
        found[name] = tuple(_labelled(kind, name, label, one) for label, one in there.items())
    return found


def _labelled(kind: Kind, place: str, label: str, fields: dict[str, Any]) -> Part:
    with within(place, label):
        return parse_part(kind, fields)


def _data_set(fields: dict[str, Any], root: Any, own_size: Callable[[DataPart], bool]) -> Part:
    try:
        with within("data"):
            found = parse_part(KINDS["data set"], fields, local={"root": root})
    except PartError:
        raise
    except InputError as error:
        if set(description(root)) - {"name"}:
            error.args = (f"{error} (see also '{root}/{FILE}')",)
        raise
    assert isinstance(found, DataPart)
    if "scored_at" not in fields and is_own(found) and own_size(found):
        return found.but(scored_at="image")
    return found


def network_of_space(fields: dict[str, Any], space: str) -> Part:
    model = dict(fields.get("model", {}))
    if "name" not in model:
        raise InputError(f"space {space} names no model: give base.model.name, or --model")
    with within("model"):
        return parse_part(KINDS["network"], {field: _listed(field, value) for field, value in model.items()})


def _listed(field: str, value: Any) -> Any:
    """A list given place by place, counted from 1: `model.kernels.1`, `model.kernels.2`, …"""
    if not isinstance(value, dict) or not all(_PLACE.fullmatch(place) for place in value):
        return value
    places = {int(place): entry for place, entry in value.items()}
    if set(places) != set(range(1, len(places) + 1)):
        given = ", ".join(f"{field}.{place}" for place in sorted(places))
        raise InputError(f"model.{field}: places are counted from 1 without a gap, given: {given}")
    return [places[place] for place in sorted(places)]


_PLACE = re.compile("[1-9][0-9]{0,2}")
