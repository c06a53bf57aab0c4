"""Which way a convolution with few channels in a group goes fastest on a CPU, and how long each pass of it takes.

A CPU's library fills the 8 (AVX2) or 16 (AVX-512) lanes of a vector with channels of *one group*: its outputs in the
forward pass and the weight gradient, its inputs in the data gradient. PyConv's levels of 4, 8 and 16 groups have one to
four there, and leave most lanes empty: the paper's lightest network by MACs was the slowest to train. There are three
ways to fill them, all exact but for the order of sums (`ablate.models.grouped` goes them):

- **depthwise** (forward, data): a convolution for each of a group's outputs over all input channels, then a sum in
  each group. Lanes: all input channels.
- **packed** (all passes): `columns` neighbouring columns of the image become channels. A kernel of k columns becomes
  one of fewer, wider columns, partly zeros; lanes: `columns` times as many. `shifted`: the image is moved by k // 2
  columns first, a copy, for which a column of the kernel less is enough.
- **swapped** (weights): input and output gradient change places; lanes: a group's inputs.

The way is that of the least estimated time, or the library's where none is clearly better. The estimate is arithmetic
on the shape: the same shape on the same kind of machine always goes the same way, and has the same bits. Its constants
are of one thread of an AMD EPYC 9004 with oneDNN 3.12, where `benchmarks/convolutions.py` holds it against every way
there is; only their ratios decide.
"""

from __future__ import annotations

from typing import NamedTuple

_COLUMNS = (2, 4, 8)
"""Of packings: beyond, most of a kernel is zeros."""
_CLEARLY = 0.85
"""Of the library's time that another way may take at most: its estimate is not better than that."""
_RATE = {8: 89.0, 16: 105.0}
"""Multiply–adds, each counted as two, in a nanosecond with all lanes full: by the lanes."""
_COPY, _SHIFT = 0.5, 1.0
"""Nanoseconds to move a value to another place among channels; to move it among columns, with zeros at the borders."""
_CALL = 8_000.0
"""Nanoseconds of a call into the library, however little it has to do."""
_KERNEL = 1.35
"""Nanoseconds to write a value of a rewritten kernel."""
_DEPTHWISE = 0.6
"""Of the rate, that a depthwise convolution reaches."""
_FEW, _FEW_PACKED, _FEW_WEIGHTS = 0.75, 2.0, 1.2
"""What a sum of one term costs beside that of many: what is read for it is used for no more."""
_HALF, _HALF_LANES = {4, 8}, 0.65
"""Channels of which oneDNN's AVX-512 kernels do better than their lanes say, and the time they take of that."""


class Shape(NamedTuple):
    """A convolution of stride 1 with same padding, and the images that it is for."""

    kernel: int
    inputs: int
    """Channels of one group, as are `outputs`."""
    outputs: int
    groups: int
    images: int
    height: int
    width: int


class Way(NamedTuple):
    """How a pass goes; by itself the library's own. See above."""

    columns: int = 1
    shifted: bool = False
    swapped: bool = False
    depthwise: bool = False


LIBRARY = Way()


class Ways(NamedTuple):
    forward: Way = LIBRARY
    data: Way = LIBRARY
    weights: Way = LIBRARY


def blocks(kernel: int, way: Way) -> int:
    """Columns of the kernel that a packing has in place of `kernel`."""
    reach = kernel // 2
    if way.shifted:
        return -(-(way.columns + 2 * reach) // way.columns)
    return 2 * -(-reach // way.columns) + 1


def ways(shape: Shape, lanes: int) -> Ways:
    """The way of each pass of `shape` on a CPU with so many lanes of float32: 8, 16, or another, of which the library's
    own way is all that is known."""
    if lanes not in _RATE or shape.kernel == 1 or not shape.images:
        return Ways()
    along, of_weights = alternatives(shape)
    return Ways(
        _least({way: nanoseconds(shape, way, lanes) for way in along}),
        _least({way: data_nanoseconds(shape, way, lanes) for way in along}),
        _least({way: weights_nanoseconds(shape, way, lanes) for way in of_weights}),
    )


def alternatives(shape: Shape) -> tuple[tuple[Way, ...], tuple[Way, ...]]:
    """Every way that `shape` can go forward and its data gradient back, and every way of its weight gradient."""
    if shape.groups == 1:  # packing lost wherever it was tried
        return (LIBRARY,), (LIBRARY, Way(swapped=True))
    packings = tuple(
        way
        for columns in _COLUMNS
        if shape.width % columns == 0
        for way in (Way(columns), Way(columns, shifted=True))
        if not way.shifted or blocks(shape.kernel, way) < blocks(shape.kernel, Way(columns))
    )
    swapped = tuple(way._replace(swapped=True) for way in (LIBRARY, *packings))
    return (LIBRARY, *packings, Way(depthwise=True)), (LIBRARY, *packings, *swapped)


def _least(costs: dict[Way, float]) -> Way:
    best = min(costs, key=lambda way: costs[way])
    return best if costs[best] < _CLEARLY * costs[LIBRARY] else LIBRARY


def passes_nanoseconds(shape: Shape, lanes: int) -> tuple[float, float, float]:
    """The estimated time of the forward pass, the data and the weight gradient, each by its way, on one thread."""
    chosen = ways(shape, lanes)
    known = lanes if lanes in _RATE else max(_RATE)
    return (
        nanoseconds(shape, chosen.forward, known),
        data_nanoseconds(shape, chosen.data, known),
        weights_nanoseconds(shape, chosen.weights, known),
    )


def nanoseconds(shape: Shape, way: Way, lanes: int) -> float:
    """Of the forward pass of `shape`."""
    pixels = shape.images * shape.height * shape.width
    every = _multiplying(shape, lanes)
    inputs, outputs = shape.groups * shape.inputs, shape.groups * shape.outputs
    if way.depthwise:
        # For each of a group's outputs, all inputs are written and read once more.
        each = every / (_DEPTHWISE * _filled(inputs, lanes)) + 2 * _COPY * inputs * shape.outputs
        return pixels * each + (2 + 4 * shape.outputs) * _CALL
    wide = _widened(shape, way)
    each = every * wide / _filled(way.columns * shape.outputs, lanes) * _short(way, way.columns * shape.inputs)
    if lanes == 16 and {shape.inputs, shape.outputs} <= _HALF and way == LIBRARY:
        each *= _HALF_LANES
    return pixels * (each + _packing(way, inputs, outputs)) + _rewriting(shape, way, wide)


def data_nanoseconds(shape: Shape, way: Way, lanes: int) -> float:
    """Of the data gradient of `shape`: a forward pass with inputs and outputs exchanged, but over the same channels
    where each is convolved by itself."""
    back = shape if way.depthwise else shape._replace(inputs=shape.outputs, outputs=shape.inputs)
    return nanoseconds(back, way, lanes)


def weights_nanoseconds(shape: Shape, way: Way, lanes: int) -> float:
    """Of the weight gradient of `shape`."""
    pixels = shape.images * shape.height * shape.width
    wide = _widened(shape, way)
    across, along = (shape.inputs, shape.outputs) if way.swapped else (shape.outputs, shape.inputs)
    each = (
        _multiplying(shape, lanes) * wide / _filled(way.columns * across, lanes) * _short_weights(way.columns * along)
    )
    packing = _packing(way, shape.groups * shape.inputs, shape.groups * shape.outputs)
    return pixels * (each + packing) + _rewriting(shape, way, wide)


def _multiplying(shape: Shape, lanes: int) -> float:
    """Nanoseconds for a pixel, with all lanes full."""
    return 2 * shape.kernel**2 * shape.groups * shape.inputs * shape.outputs / _RATE[lanes]


def _widened(shape: Shape, way: Way) -> float:
    """The columns of the packed kernel, its zeros included, over those that it had."""
    return way.columns * blocks(shape.kernel, way) / shape.kernel if way.columns > 1 else 1.0


def _filled(channels: int, lanes: int) -> float:
    """The share of lanes that `channels` fill, in as many vectors as they need."""
    return channels / (lanes * -(-channels // lanes))


def _short(way: Way, terms: int) -> float:
    return 1 + _FEW / terms**2 if way == LIBRARY else 1 + _FEW_PACKED / terms


def _short_weights(terms: int) -> float:
    return 1 + _FEW_WEIGHTS / terms


def _packing(way: Way, inputs: int, outputs: int) -> float:
    if way.columns == 1:
        return 0.0
    return _COPY * (inputs + outputs) + (_SHIFT * inputs if way.shifted else 0.0)


def _rewriting(shape: Shape, way: Way, wide: float) -> float:
    if way.columns == 1:
        return (1 + way.swapped) * _CALL
    weights = shape.kernel**2 * shape.groups * shape.inputs * shape.outputs
    return 8 * _CALL + _KERNEL * weights * wide * way.columns**2
