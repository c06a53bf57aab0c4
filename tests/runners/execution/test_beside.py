"""A trial's numbers do not depend on what is trained beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import SPACE, ablate, tables, weights
from torch import nn

from ablate.models.lanes import Shape, Ways, ways
from ablate.models.settings import PyConvUNet

SIZE, BATCH = 32, 5
# Two networks of the same size, whose pyramids have convolutions of few channels.
PYRAMIDS = (
    SPACE.replace("{name: unet, stages: 3}", "{name: pyconvunet, width: 32, stages: 2}")
    .replace("epochs: 3", f"epochs: 3, batch_size: {BATCH}")
    .replace("model.width: [4, 8]", "protocol.learning_rate: [0.001, 0.002]")
)


def processes(study: Path) -> set[str]:
    """In which its trials were trained."""
    logs = (log.read_text() for log in (study / "logs").glob("*.log"))
    return {process for log in logs for process in re.findall(r"process (\d+), cpu, 1 threads", log)}


@pytest.mark.parametrize("lanes", [8, 16])
def test_the_networks_of_the_next_test_leave_the_library_s_way(lanes):
    shapes = [
        Shape(layer.kernel_size[0], layer.in_channels // layer.groups, layer.out_channels // layer.groups, layer.groups,
              BATCH, SIZE, SIZE)
        for layer in PyConvUNet(width=32, stages=2).build(1, 2).modules()
        if isinstance(layer, nn.Conv2d) and layer.groups > 1
    ]  # fmt: skip
    assert any(ways(shape, lanes) != Ways() for shape in shapes)


def test_trials_beside_each_other_have_the_bits_of_trials_alone(tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(PYRAMIDS)
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    ablate("run", "--space", space, "--study", alone, "--max-concurrent", "1")
    ablate("run", "--space", space, "--study", beside, "--max-concurrent", "2")
    assert len(processes(alone)) == 1
    assert len(processes(beside)) == 2
    assert tables(beside) == tables(alone)
    assert weights(beside) == weights(alone)
    assert len(set(weights(beside).values())) == 2
