"""Nanoseconds that a layer takes on one thread of a typical core, before the machine's own times are known.

The constants are of one thread of an AMD EPYC (Zen 4, AVX-512; PyTorch 2.13 with oneDNN, float32, channels last):
medians of CPU time at 5×32×128×128 to 5×512×8×8, deterministic mode. What matters of them is their proportion: a
machine that is faster or slower throughout is learnt from its first epoch (`ablate.cost.foretold`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ablate.cost.machine import lanes
from ablate.models.lanes import Shape, passes_nanoseconds

if TYPE_CHECKING:
    from ablate.cost.layers import Layer

_A_CHANNEL, _MOST = 3.4, 47.0
"""Multiply–accumulates a nanosecond for each channel of a group's that lie side by side in the vector lanes, and the
most: that of a plain convolution."""
_BLOCK = 16
"""Channels that are taken together."""
_COPY = 0.5
"""Nanoseconds to bring an element of a convolution's input or output from memory, or to it."""
_CALL = 20_000.0
"""Nanoseconds of a call of a layer: Python, dispatch, the output's memory."""
ADAM = 2.0
"""Nanoseconds a parameter of an optimiser's step, which reads weight, gradient and moments and writes three of them."""


class Passes(NamedTuple):
    """Nanoseconds of a batch: forward, and in training the gradients of the input (`data`) and of the weights."""

    forward: float
    data: float
    weights: float

    @property
    def training(self) -> float:
        return sum(self)


_ELEMENT = {
    "batch_norm": (0.8, 1.7), "group_norm": (0.7, 2.5), "activation": (0.2, 0.6), "pool": (1.7, 4.0),
    "upsample": (0.4, 0.7), "join": (0.3, 0.9), "elementwise": (0.3, 0.6),
}  # fmt: skip
"""Nanoseconds of an element of the output, forward and backward: the memory's, for such layers compute little."""
_OF_EACH_CHANNEL = 0.6, 9.0
"""The same of a norm with a group for each channel, which PyTorch goes through one by one."""


def layer_nanoseconds(layer: Layer, images: int) -> Passes:
    """A layer's passes over a batch of `images`."""
    if layer.kind in ("conv", "transposed"):
        found = conv_nanoseconds(layer, images)
    else:
        elements = images * layer.outputs * layer.height * layer.width
        alone = layer.kind == "group_norm" and layer.groups == layer.outputs
        forward, backward = _OF_EACH_CHANNEL if alone else _ELEMENT[layer.kind]
        found = Passes(forward * elements, backward * elements, 0.0)
    return Passes(*(_CALL + nanoseconds if nanoseconds else 0.0 for nanoseconds in found))


def conv_nanoseconds(layer: Layer, images: int) -> Passes:
    """A convolution's passes over a batch of `images`, by the vector lanes that each fills.

    One of stride 1 takes what `ablate.models.lanes` estimates of the way that it goes there. Of others, the library
    fills the lanes with outputs in the forward pass and the weights' gradient, and with inputs in the data's gradient:
    so many MACs a nanosecond, measured over the shapes of the packaged spaces, are 3.4 at one channel, 7 at 2, 13.5 at
    4, 25 at 8, and 47 from 16 on; with AVX2 alone 4, 8, 15, 27, 44.
    """
    inputs, outputs = layer.inputs // layer.groups, layer.outputs // layer.groups
    area = layer.height * layer.width
    if layer.kind == "conv" and layer.stride == 1:
        shape = Shape(layer.kernel, inputs, outputs, layer.groups, images, layer.height, layer.width)
        found = Passes(*passes_nanoseconds(shape, lanes()))
        read = float(area)
    else:
        macs = images * layer.macs
        found = Passes(macs / _rate(outputs), macs / _rate(inputs), macs / _rate(outputs))
        read = area / layer.stride**2 if layer.kind == "transposed" else area * layer.stride**2
    copies = _COPY * images * (layer.inputs * read + layer.outputs * area)
    return Passes(*(copies + one for one in found))


def _rate(channels: int) -> float:
    """MACs a nanosecond, of so many channels."""
    return min(_MOST, _A_CHANNEL * channels / -(-channels // _BLOCK))
