"""The layers of a network, told from its settings in plain Python: neither PyTorch nor ptflops is imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ablate.errors import InputError
from ablate.models import outlines
from ablate.models.network import Network, network_of
from ablate.models.sketch import Layer, Maps, Sketch
from ablate.part import Part

__all__ = ["Cost", "Layer", "cost_of", "layers_of"]

MOST_PARAMETERS = 1_000_000_000_000
"""Of a network: with their gradients and Adam's moments they take sixteen bytes each."""


class Cost(NamedTuple):
    params: int
    """Trainable parameters."""
    macs: int
    """Multiply–accumulates of one image's prediction (what the paper's Table 3 calls FLOPs)."""


def layers_of(
    config: Network | Part, in_channels: int, classes: int, size: tuple[int, int]
) -> tuple[Layer, ...] | None:
    """The layers that one image of `size` (height, width) passes; None of a network that has no outline, as users' do.

    Raises `InputError` for settings that no network can have, as building it does.
    """
    network: Any = network_of(config)
    if (isinstance(config, Part) and config.made_by) or not type(network).__module__.startswith("ablate.models."):
        return None
    outline = getattr(outlines, network.name, None)
    if outline is None:
        return None
    sketch = Sketch(network.norm, network.dropout)
    outline(network, sketch, Maps(in_channels, *size), classes)
    return tuple(sketch.layers)


def cost_of(layers: Iterable[Layer]) -> Cost:
    """What they cost together."""
    params = macs = 0
    for layer in layers:
        params, macs = params + layer.params, macs + layer.macs
    return Cost(params, macs)


def normalises(layers: Iterable[Layer], *, training: bool) -> bool:
    """Whether each norm has several values to normalise of one image; batch norm needs them in training alone."""
    return all(
        layer.inputs // layer.groups * layer.height * layer.width > 1
        for layer in layers
        if layer.kind == "group_norm" or (training and layer.kind == "batch_norm")
    )


def check_parameters(config: Network | Part, params: int) -> None:
    """Raises `InputError` for a network of more than `MOST_PARAMETERS`."""
    if params > MOST_PARAMETERS:
        raise InputError(
            f"{network_of(config).called} has {params:,} parameters: at most {MOST_PARAMETERS:,} are trained"
        )


def one_pixel(config: Network | Part, size: tuple[int, int]) -> str:
    """What is said of a network whose norms, of images of `size`, have one value each."""
    return (
        f"{network_of(config).called} comes down to one pixel at {size[0]}x{size[1]}, of which its norm has no "
        "statistics: use a larger data.size, fewer stages, or another norm"
    )
