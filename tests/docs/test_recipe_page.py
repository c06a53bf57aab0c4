"""docs/recipe.md: its tables have every part with its settings and defaults, and its commands run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pages import DOCS, commands_of, files_of, run

from ablate.kinds import KINDS, make, own_parts, parse
from ablate.modules import load
from ablate.search_spaces.space import load_space
from ablate.trial import Protocol
from ablate.yaml_files import yaml_value

PAGE = "recipe.md"
TEXT = (DOCS / PAGE).read_text()


def rows(first: str) -> Iterator[list[str]]:
    """The rows of the table whose first column is headed so, without their empty ends."""
    table = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert table, first
    for line in table[1].splitlines():
        yield [cell.strip() for cell in line.strip("|").split("|")]


def defaults(config: Any) -> dict[str, Any]:
    """A part's settings with their defaults, as plain data; one that must be given has none."""
    fields = {name: field for name, field in config.model_fields.items() if name != "name"}
    values = {n: ... if f.is_required() else f.get_default(call_default_factory=True) for n, f in fields.items()}
    return {n: v if v is ... else json.loads(json.dumps(v)) for n, v in values.items()}


@pytest.mark.parametrize("kind", ["loss", "optimizer", "schedule", "augmentation"])
def test_every_part_is_there_with_its_settings_and_defaults(kind):
    said = {}
    for name, settings, *_ in rows(f"`{kind}`"):
        pairs = [setting.partition("=") for setting in re.findall("`([^`]+)`", settings)]
        said[name.strip("`")] = {name: yaml_value(value) if equals else ... for name, equals, value in pairs}
    assert said == {name: defaults(load(place)) for name, place in own_parts(KINDS[kind]).items()}


def test_every_metric_and_every_field_of_the_protocol_is_there():
    assert set(own_parts(KINDS["metric"])) == {
        name for name in ("hd95", "assd", "nsd", "surface_dice") if f"| `{name}` |" in TEXT
    }
    assert "| `surface_dice` | `tolerance=1` |" in TEXT
    known = {name: field.get_default(call_default_factory=True) for name, field in Protocol.model_fields.items()}
    said = {name.strip("`").removeprefix("protocol."): value for name, value, *_ in rows("field")}
    assert said.keys() == known.keys()
    for name, value in said.items():
        if name not in ("epochs", "split"):
            assert yaml_value(value.strip("`")) == json.loads(json.dumps(known[name])), name


@pytest.mark.parametrize("classes", [1, 3])
def test_the_losses_that_are_no_mean_over_images_are_the_ones_it_names(classes):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, classes, 32, 32, generator=generator)
    rarer = torch.tensor([1, 2, 3, 4])[:, None, None]
    masks = (torch.rand(4, 32, 32, generator=generator) ** rarer * max(classes, 2)).long()
    found = set()
    for name in own_parts(KINDS["loss"]):
        needed = {"losses": ["dice"]} if name == "sum" else {}
        batched = {"batch": True} if "batch" in load(own_parts(KINDS["loss"])[name]).model_fields else {}
        for settings in ({}, batched, {"log": False} if name == "hausdorff" else {}):
            loss = make(KINDS["loss"], parse(KINDS["loss"], {"name": name, **needed, **settings})).build(classes)
            means = [loss(logits[n : n + 1], masks[n : n + 1]).item() for n in range(4)]
            if loss(logits, masks).item() != pytest.approx(sum(means) / 4, rel=1e-5):
                found.add((name, *settings))
    batched = {(name, "batch") for name in ("dice", "dice_ce", "tversky", "generalised_dice")}
    assert found == {("hausdorff",), *batched}


def test_its_spaces_are_there():
    for name, *_ in rows("space"):
        assert load_space(name.strip("`")).question


def test_its_commands_and_its_space_are_planned(tmp_path):
    for name, text in files_of(PAGE).items():
        (tmp_path / name).write_text(text)
    own = "ablate plan --space recipe.yaml"
    said = run([*commands_of(PAGE), own], tmp_path)
    assert not {command: end.line for command, end in said.items() if end.code}
    assert all("rejected" not in end.out for end in said.values())
    assert "6 configurations" in said[own].out  # rotating by either angle is one, where nothing rotates
