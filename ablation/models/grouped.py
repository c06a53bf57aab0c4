"""Convolutions on a CPU by the way that fills its vector lanes: `ablate.models.lanes` says which and why.

Tensors are (N, channels, H, W) in `channels_last`: a pixel's channels lie beside each other, and so do the pixels of a
row. Neighbouring columns are channels then without moving anything, but not in their groups; a channel shuffle, which
PyTorch does at the speed of a copy, brings them there: packed channels lie in the order (group, channel, column).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.functional import pad
from torch.nn.modules.module import _has_any_global_hook
from torch.utils._python_dispatch import _get_current_dispatch_mode

from ablate.models.lanes import LIBRARY, Shape, Way, Ways, blocks, ways

_LANES = {"AVX2": 8, "AVX512": 16}
"""Of float32, by what PyTorch calls a CPU's capability."""


def convolve(layer: nn.Module, x: Tensor) -> Tensor:
    """`layer(x)`, the same but for rounding, by the fastest way there is.

    The library's own is taken wherever another could not be the same function or is not known to be faster: on other
    devices than CPUs, of other types than float32, and where somebody watches what `layer` does.

    Args:
        layer: a convolution of stride 1, with same padding by zeros, an odd kernel and no bias; or what took its place.
        x: (N, C, H, W).
    """
    y: Tensor
    chosen = _ways_of(layer, x)
    if chosen == Ways():
        y = layer(x)
    else:
        weight = layer.get_parameter("weight")
        groups = x.shape[1] // weight.shape[1]
        y = _Convolution.apply(x.contiguous(memory_format=torch.channels_last), weight, groups, chosen)
    return y


def _ways_of(layer: nn.Module, x: Tensor) -> Ways:
    if type(layer) is not nn.Conv2d or not _is_free(layer, x):
        return Ways()
    images, inputs, height, width = x.shape
    groups, outputs = layer.groups, layer.out_channels
    return _ways(
        Shape(layer.kernel_size[0], inputs // groups, outputs // groups, groups, images, height, width), _lanes()
    )


_ways = cache(ways)


@cache
def _lanes() -> int:
    """How many; none of a CPU, or a build of PyTorch, of which nothing is known."""
    return _LANES.get(torch.backends.cpu.get_cpu_capability(), 0) if torch.backends.mkldnn.is_available() else 0


def _is_free(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether nothing depends on that `layer` itself is called, and x is what the ways are for."""
    return (
        type(x) in (Tensor, nn.Parameter)
        and x.device.type == layer.weight.device.type == "cpu"
        and x.dtype == layer.weight.dtype == torch.float32
        and x.dim() == 4
        and x.shape[1] == layer.in_channels
        and not torch.is_autocast_enabled("cpu")
        and not _is_watched(layer)
    )


def _is_watched(layer: nn.Conv2d) -> bool:
    """Whether a hook, a tracer, an exporter or a counter of operations looks on: they are to see one convolution."""
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or _has_any_global_hook()
        or torch.jit.is_tracing()
        or torch.compiler.is_compiling()
        or _get_current_dispatch_mode() is not None
    )


class _Convolution(torch.autograd.Function):
    """Of x in `channels_last` and weights (G·r, m, k, k), with a way for each pass."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, groups: int, chosen: Ways) -> Tensor:
        return forward(x, weight, groups, chosen.forward)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, Tensor, int, Ways], output: Tensor) -> None:
        x, weight, groups, chosen = inputs
        ctx.save_for_backward(x, weight)
        ctx.groups, ctx.chosen = groups, chosen  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        # The gradient of a gradient, where it is asked for, is the library's.
        chosen = Ways() if torch.is_grad_enabled() else ctx.chosen
        of_y = gradients[0].contiguous(memory_format=torch.channels_last)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = data_gradient(of_y, x, weight, ctx.groups, chosen.data)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(of_y, x, weight, ctx.groups, chosen.weights)
        return of_x, of_weight, None, None


# The three passes -----------------------------------------------------------------------------------------------------
# In shapes: G groups of m inputs and r outputs, a kernel of k × k, s columns packed, b blocks in the kernel's place.


def forward(x: Tensor, weight: Tensor, groups: int, way: Way) -> Tensor:
    """(N, G·m, H, W) and (G·r, m, k, k) to (N, G·r, H, W)."""
    kernel = weight.shape[-1]
    if way == LIBRARY:
        return _convolution(x, weight, groups, kernel // 2, kernel // 2)
    if way.depthwise:
        return _gathered(x, weight, groups)
    before, after, margin = _margins(kernel, way)
    packed = _pack(x, way.columns, before, after)
    y = _convolution(packed, _packed_kernel(weight, way), groups, kernel // 2, margin)
    return _unpack(y, way.columns)


def data_gradient(of_y: Tensor, x: Tensor, weight: Tensor, groups: int, way: Way) -> Tensor:
    """The gradient of x, from y's (N, G·r, H, W): the forward pass of the transposed kernel, but for the library's."""
    if way == LIBRARY:
        return _library_gradient(of_y, x, weight, groups, weight.shape[-1] // 2, weight.shape[-1] // 2, data=True)
    if way.depthwise:
        return _spread(of_y, weight, groups)
    return forward(of_y, _transposed(weight, groups), groups, way)


def weight_gradient(of_y: Tensor, x: Tensor, weight: Tensor, groups: int, way: Way) -> Tensor:
    """The gradient of the weights, (G·r, m, k, k), from y's."""
    kernel, (outputs, inputs) = weight.shape[-1], weight.shape[:2]
    before, after, margin = _margins(kernel, way)
    breadth = blocks(kernel, way) if way.columns > 1 else kernel
    along = _pack(x, way.columns, before, after)
    across = _pack(of_y, way.columns)
    if way.swapped:
        # A correlation of a with b is that of b with a, flipped, and so are the margins.
        along, across, margin = across, along, breadth - 1 - margin
        outputs, inputs = groups * inputs, outputs // groups
    like = weight.new_empty(outputs * way.columns, inputs * way.columns, kernel, breadth)
    found = _library_gradient(across, along, like, groups, kernel // 2, margin, data=False)
    if way.swapped:
        found = _transposed(found, groups)
    return found if way.columns == 1 else _unpacked_kernel(found, weight.shape, way)


def _convolution(x: Tensor, weight: Tensor, groups: int, rows: int, columns: int) -> Tensor:
    """With so many rows and columns of zeros around it."""
    weight = weight.contiguous(memory_format=torch.channels_last)
    return torch.convolution(x, weight, None, (1, 1), (rows, columns), (1, 1), False, (0, 0), groups)


def _library_gradient(
    of_y: Tensor, x: Tensor, weight: Tensor, groups: int, rows: int, columns: int, *, data: bool
) -> Tensor:
    """That of x, or of the weights, of whose contents it does not need to know."""
    weight = weight.contiguous(memory_format=torch.channels_last)
    padding = (rows, columns)
    found = torch.ops.aten.convolution_backward(
        of_y, x, weight, None, (1, 1), padding, (1, 1), False, (0, 0), groups, (data, not data, False)
    )
    gradient: Tensor = found[0 if data else 1]
    return gradient


def _transposed(weight: Tensor, groups: int) -> Tensor:
    """The kernel that takes gradients of outputs to those of inputs: (G·r, m, h, w) to (G·m, r, h, w), turned."""
    outputs, inputs, height, width = weight.shape
    split = weight.view(groups, outputs // groups, inputs, height, width)
    return split.transpose(1, 2).flip(3, 4).reshape(groups * inputs, outputs // groups, height, width)


# Depthwise ------------------------------------------------------------------------------------------------------------


def _gathered(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Each input channel convolved by itself, for each of its group's outputs, and summed over the group."""
    images, channels, height, width = x.shape
    sums = _members(groups, channels // groups)
    found = [
        _convolution(x, single, channels, single.shape[-1] // 2, single.shape[-1] // 2)
        .permute(0, 2, 3, 1)
        .reshape(-1, channels)
        @ sums
        for single in _singles(weight, groups)
    ]
    y = found[0] if len(found) == 1 else torch.stack(found, dim=-1)
    return y.view(images, height, width, -1).permute(0, 3, 1, 2)


def _spread(of_y: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Each output's gradient given to all inputs of its group, and there convolved with the turned kernel."""
    images, _, height, width = of_y.shape
    channels = groups * weight.shape[1]
    spread = _members(groups, weight.shape[1]).T.contiguous()
    by_output = of_y.permute(0, 2, 3, 1).reshape(images * height * width, groups, -1)
    found: Tensor | None = None
    for output, single in enumerate(_singles(weight, groups)):
        given = (by_output[:, :, output] @ spread).view(images, height, width, channels).permute(0, 3, 1, 2)
        margin = single.shape[-1] // 2
        part = _convolution(given, single.flip(2, 3), channels, margin, margin)
        found = part if found is None else found.add_(part)
    assert found is not None
    return found


def _singles(weight: Tensor, groups: int) -> list[Tensor]:
    """For each of a group's r outputs, its kernels of all G·m inputs: (G·m, 1, k, k)."""
    outputs, inputs, *size = weight.shape
    by_output = weight.view(groups, outputs // groups, inputs, *size)
    return [by_output[:, r].reshape(groups * inputs, 1, *size) for r in range(outputs // groups)]


@cache
def _members(groups: int, each: int) -> Tensor:
    """(G·m, G), 1 where a channel is in a group. A product with it adds in the same order every time."""
    return torch.eye(groups, device="cpu").repeat_interleave(each, dim=0)


# Packing --------------------------------------------------------------------------------------------------------------


def _margins(kernel: int, way: Way) -> tuple[int, int, int]:
    """Columns of zeros before and after the image, and blocks of zeros around the packed one."""
    reach = kernel // 2
    if way.columns == 1:
        return 0, 0, reach
    if way.shifted:
        return reach, (blocks(kernel, way) - 1) * way.columns - reach, 0
    return 0, 0, -(-reach // way.columns)


def _pack(x: Tensor, columns: int, before: int = 0, after: int = 0) -> Tensor:
    """(N, C, H, W) to (N, C·s, H, W/s), with columns of zeros before and after the image."""
    if columns == 1:
        return x
    by_pixel = x.permute(0, 2, 3, 1)
    if before or after:
        by_pixel = pad(by_pixel, (0, 0, before, after))
    images, height, width, channels = by_pixel.shape
    joined = by_pixel.reshape(images, height, width // columns, columns * channels)
    return torch.native_channel_shuffle(joined.permute(0, 3, 1, 2), columns)


def _unpack(y: Tensor, columns: int) -> Tensor:
    """(N, C·s, H, W/s) to (N, C, H, W)."""
    images, channels, height, width = y.shape
    by_column = torch.native_channel_shuffle(y, channels // columns).permute(0, 2, 3, 1)
    return by_column.reshape(images, height, width * columns, channels // columns).permute(0, 3, 1, 2)


def _packed_kernel(weight: Tensor, way: Way) -> Tensor:
    """(G·r, m, k, k) to (G·r·s, m·s, k, b): from each column of inputs to each of outputs the column of the kernel that
    lies between them, or zeros."""
    outputs, inputs, kernel, _ = weight.shape
    s, b = way.columns, blocks(kernel, way)
    placed = pad(weight, (0, 1)).index_select(3, _columns_of_kernel(kernel, way)).view(outputs, inputs, kernel, s, s, b)
    return placed.permute(0, 3, 1, 4, 2, 5).reshape(outputs * s, inputs * s, kernel, b)


def _unpacked_kernel(packed: Tensor, shape: torch.Size, way: Way) -> Tensor:
    """(G·r·s, m·s, k, b) to `shape`, (G·r, m, k, k): what one column of the kernel is in several places is added up."""
    outputs, inputs, kernel, _ = shape
    s, b = way.columns, blocks(kernel, way)
    placed = packed.reshape(outputs, s, inputs, s, kernel, b).permute(0, 2, 4, 1, 3, 5)
    flat = placed.reshape(outputs, inputs, kernel, s * s * b)
    return flat.index_select(3, _places_of_columns(kernel, way)).view(outputs, inputs, kernel, s, kernel).sum(3)


@cache
def _columns_of_kernel(kernel: int, way: Way) -> Tensor:
    """(s·s·b), over columns of outputs, of inputs, and blocks: which column of the kernel, or `kernel` for none."""
    columns = range(way.columns)
    start = 0 if way.shifted else kernel // 2 - _margins(kernel, way)[2] * way.columns
    between = [
        start + block * way.columns + inner - outer
        for outer in columns
        for inner in columns
        for block in range(blocks(kernel, way))
    ]
    return torch.tensor([column if 0 <= column < kernel else kernel for column in between], device="cpu")


@cache
def _places_of_columns(kernel: int, way: Way) -> Tensor:
    """(s·k), over columns of outputs and of the kernel: where in `_columns_of_kernel` it is."""
    found = _columns_of_kernel(kernel, way).view(way.columns, -1).tolist()
    each = len(found[0])
    return torch.tensor(
        [outer * each + row.index(column) for outer, row in enumerate(found) for column in range(kernel)], device="cpu"
    )
