"""The layers of a network, told from its settings in plain Python: neither PyTorch nor ptflops is imported."""

from __future__ import annotations

from typing import Any

from ablate.models import outlines
from ablate.models.network import Network, network_of
from ablate.models.sketch import Layer, Maps, Sketch
from ablate.part import Part

__all__ = ["Layer", "layers_of"]


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
