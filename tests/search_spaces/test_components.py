"""A network's components are what it has switched on, and what of several kinds can be none."""

from pathlib import Path

import pytest

from ablate.errors import InputError
from ablate.modules import code_from
from ablate.search_spaces.components import leave_one_out
from ablate.search_spaces.designs import expand
from ablate.search_spaces.space import Space

NETS = """
from typing import Literal
import ablate
from torch import nn

class Net(ablate.Network):
    width: int = 8
    residual: bool = True
    dense: bool = False
    norm: Literal["batch", "group", "none"] = "batch"
    gate: Literal["se", "cbam"] | None = "se"
    up: Literal["transposed", "bilinear"] = "bilinear"
    heads: bool = True

    def model_post_init(self, context):
        if not self.heads and self.width > 4:
            raise ValueError("a wide one needs its heads")

def plain(in_channels, classes, attention=True, dropout=0.1, *, wide: bool = False):
    return nn.Conv2d(in_channels, classes, 1)

class Bare(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
"""


@pytest.fixture(autouse=True)
def _nets(tmp_path: Path):
    (tmp_path / "components_nets.py").write_text(NETS)
    with code_from(tmp_path):
        yield


def test_what_is_on_can_be_taken_out_and_what_cannot_is_said() -> None:
    found = leave_one_out("components_nets:Net", {})
    assert found.space["factors"] == {
        "residual": {"without": {"model.residual": False}},
        "norm": {"without": {"model.norm": "none"}},
        "gate": {"without": {"model.gate": None}},
    }
    assert found.left_out[0] == "dense: it is off"
    assert found.left_out[1] == "up: none of transposed, bilinear is its absence (none)"
    assert found.left_out[2].startswith("heads: model components_nets:Net: ")
    assert len(expand(Space.model_validate(found.space))) == 4


def test_what_the_network_is_set_to_counts() -> None:
    found = leave_one_out("components_nets:Net", {"model.width": 4, "model.dense": True, "model.gate": None})
    assert list(found.space["factors"]) == ["residual", "dense", "norm", "heads"]
    assert found.space["base"] == {"model": {"name": "components_nets:Net", "width": 4, "dense": True, "gate": None}}
    assert "gate: it is off" in found.left_out


def test_a_function_s_switches_are_its_arguments() -> None:
    found = leave_one_out("components_nets:plain", {})
    assert found.space["factors"] == {"attention": {"without": {"model.attention": False}}}
    assert found.left_out == ["wide: it is off"]
    assert found.space["name"] == "plain_components"


@pytest.mark.parametrize(
    ("model", "fields", "says"),
    [
        ("components_nets:Bare", {}, "has no setting that is on and can be switched off: give its ideas boolean"),
        ("components_nets:Net", {"data.size": 3}, "--set data.size: a design of a network takes fields of the model"),
        ("components_nets:Net", {"model.widht": 3}, "did you mean 'width'"),
        ("components_nets:Nte", {}, "did you mean 'Net'"),
        ("unett", {}, "did you mean 'unet'"),
    ],
)
def test_what_has_no_components_is_one_line(model: str, fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as error:
        leave_one_out(model, fields)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
