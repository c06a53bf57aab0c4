"""Parts by their names: what is found, what two ways of writing have in common, and parts within parts."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from ablate import kinds
from ablate.data.settings import Phantom
from ablate.errors import InputError, PartError
from ablate.kinds import KINDS, find, make, own_parts, parse, without_makers
from ablate.models.network import network
from ablate.models.settings import UNet
from ablate.modules import code_from
from ablate.part import Part
from ablate.trial import TrialConfig

LOSS = KINDS["loss"]
MINE = """
import torch


def squares(logits, masks, scale=1.0, steps=(1, 2)):
    return scale * (logits.sigmoid() - masks).square().mean()


class Net(torch.nn.Module):
    def __init__(self, in_channels, classes, block, norm=torch.nn.BatchNorm2d, width=4):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(in_channels, width, 3, padding=1), norm(width), block)
        self.head = torch.nn.Conv2d(width, classes, 1)

    def forward(self, x):
        return self.head(self.layers(x))
"""


@pytest.fixture
def mine(tmp_path: Path):
    (tmp_path / "mine.py").write_text(MINE)
    with code_from(tmp_path):
        yield


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_part_of_the_project_is_what_its_class_says(kind):
    own = own_parts(kind)
    for name in own:
        found = find(kind, name)
        assert found.made_by == ""
        assert found.target.model_fields["name"].default == name
        assert found.target.__doc__


def test_a_short_name_that_does_not_exist_errs_with_the_nearest():
    with pytest.raises(InputError, match="unknown loss 'dise': did you mean 'dice'"):
        parse(LOSS, {"name": "dise"})
    with pytest.raises(InputError, match="loss dice: there is no field 'smoth', did you mean 'smooth'"):
        parse(LOSS, {"name": "dice", "smoth": 1})


def test_two_ways_of_writing_one_part_are_one(mine):
    plain = parse(LOSS, {"name": "mine:squares"})
    assert parse(LOSS, {"name": "mine:squares", "scale": 1.0, "steps": [1, 2]}) == plain
    assert parse(LOSS, {"name": "mine:squares", "scale": 2.0}) != plain
    assert parse(LOSS, {"name": "dice", "smooth": 1e-5, "batch": False}) == Part({"name": "dice"})
    assert network("ablate.models.settings:UNet", width=4) == network("unet", width=4)
    trial = TrialConfig(model=UNet(), data=Phantom(), loss="cross_entropy", optimizer={"name": "adam"})
    assert trial.key == TrialConfig(model=UNet(), data=Phantom()).key
    assert trial.key != TrialConfig(model=UNet(), data=Phantom(), loss="dice").key


def test_what_is_named_within_a_part_is_made_and_counts(mine):
    block = {"name": "torch.nn:Dropout2d", "p": 0.25}
    part = network("mine:Net", block=block, norm="$torch.nn:InstanceNorm2d")
    code, torch_version = part.made_by.split(", ")
    assert code.startswith("code ")
    assert torch_version == f"torch {torch.__version__.partition('+')[0]}"
    layers = make(KINDS["network"], part).build(1, 1).layers
    assert [type(layer).__name__ for layer in layers] == ["Conv2d", "InstanceNorm2d", "Dropout2d"]
    assert layers[2].p == 0.25
    assert without_makers(part.canonical()) == {
        "name": "mine:Net", "block": block, "norm": "$torch.nn:InstanceNorm2d",
    }  # fmt: skip
    with pytest.raises(PartError, match="of Python itself"):
        network("mine:Net", block={"name": "os:system", "command": "true"})


def test_losses_within_a_loss(mine):
    part = parse(LOSS, {"name": "sum", "losses": ["dice", {"name": "mine:squares", "scale": 3}], "weights": [1, 0.5]})
    recorded = Part(part.canonical())
    assert recorded == part
    logits, masks = torch.randn(2, 1, 8, 8), torch.randint(0, 2, (2, 8, 8))
    loss = make(LOSS, recorded).build(1)(logits, masks)
    dice = make(LOSS, Part({"name": "dice"})).build(1)(logits, masks)
    squares = (logits.sigmoid() - masks[:, None]).square().mean()
    torch.testing.assert_close(loss, dice + 0.5 * 3 * squares)
    with pytest.raises(InputError, match="2 weights for 1 losses"):
        parse(LOSS, {"name": "sum", "losses": ["dice"], "weights": [1, 2]})
    with pytest.raises(InputError, match="unknown loss 'dise'"):
        parse(LOSS, {"name": "sum", "losses": ["dise"]})


def test_a_trial_that_is_read_names_code_and_runs_none(mine, monkeypatch):
    trial = TrialConfig(model=network("mine:Net", block={"name": "torch.nn:ReLU"}), data=Phantom(), loss="mine:squares")
    text = trial.to_file()

    def never(*given: object) -> None:
        raise AssertionError("it was looked for")

    for name in ("find", "named", "load", "make"):
        monkeypatch.setattr(kinds, name, never)
    read = TrialConfig.model_validate_json(text)
    assert (read, read.key, read.model.name, read.loss.name) == (trial, trial.key, "mine:Net", "mine:squares")


def test_a_name_of_two_packages_is_refused(monkeypatch):
    entries = [EntryPoint("fast", "one.nets:Fast", LOSS.group), EntryPoint("fast", "two.nets:Fast", LOSS.group)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: entries)
    kinds.packaged.cache_clear()
    try:
        with pytest.raises(PartError, match=r"loss fast is named by .* and by two.nets:Fast: uninstall one"):
            parse(LOSS, {"name": "fast"})
    finally:
        kinds.packaged.cache_clear()


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x", "value": float("nan")},
        {"name": "x", "value": 10**400},
        {"name": "x", "value": {1: 2}},
        {"name": "x", "value": [[[[[[[[[1]]]]]]]]]},
        {"name": "x", "value": list(range(20_000))},
        {"name": "x", "value": "y" * 20_000},
        {"name": "x", "value": {1, 2}},
        {"name": ""},
        {"name": 5},
        [],
    ],
)
def test_what_is_no_plain_data_within_bounds_is_no_part(fields):
    with pytest.raises(ValueError, match=r"expected|holds at most"):
        Part(fields)


def test_what_takes_any_argument_is_still_told_what_it_names(tmp_path):
    """As segmentation_models_pytorch's networks are written."""
    (tmp_path / "loose.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n"
        "    def __init__(self, encoder='x', in_channels=3, classes=1, **more):\n"
        "        super().__init__(nn.Conv2d(in_channels, classes, more.get('kernel', 1)))\n"
    )
    with code_from(tmp_path):
        made = make(KINDS["network"], network("loose:Net", encoder="x", kernel=3)).build(1, 4)
    assert (made[0].in_channels, made[0].out_channels, made[0].kernel_size) == (1, 4, (3, 3))
