"""Convolutions by the way that fills a CPU's lanes are the library's, but for rounding."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ablate.models import grouped
from ablate.models.grouped import convolve, data_gradient, forward, weight_gradient
from ablate.models.lanes import LIBRARY, Shape, Way, Ways, alternatives, nanoseconds, passes_nanoseconds, ways
from ablate.models.pyconv import PyConv2d

SHAPES = [
    Shape(9, 4, 1, 16, images=2, height=8, width=16),
    Shape(9, 2, 2, 4, images=1, height=16, width=8),
    Shape(7, 2, 3, 2, images=2, height=5, width=24),
    Shape(5, 1, 2, 4, images=3, height=8, width=8),
    Shape(3, 3, 3, 2, images=1, height=4, width=8),
    Shape(3, 6, 2, 1, images=2, height=6, width=10),
]
TAKEN = Shape(9, 4, 1, 16, images=2, height=32, width=32)
"""One of which the library's way is taken for no pass."""


class Convolved(NamedTuple):
    x: Tensor
    weight: Tensor
    of_y: Tensor
    groups: int


def convolved(shape: Shape, seed: int = 0) -> Convolved:
    """In float64."""
    drawn = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=drawn, dtype=torch.float64)

    groups, size = shape.groups, (shape.height, shape.width)
    x = draw(shape.images, groups * shape.inputs, *size)
    of_y = draw(shape.images, groups * shape.outputs, *size)
    weight = draw(groups * shape.outputs, shape.inputs, shape.kernel, shape.kernel)
    return Convolved(*(t.contiguous(memory_format=torch.channels_last) for t in (x, weight, of_y)), groups)


def layer_of(shape: Shape, weight: Tensor) -> nn.Conv2d:
    outputs, inputs, kernel, _ = weight.shape
    layer = nn.Conv2d(
        inputs * shape.groups, outputs, kernel, padding=kernel // 2, groups=shape.groups, bias=False, dtype=weight.dtype
    )
    layer.weight = nn.Parameter(weight.clone())
    return layer


def error(found: Tensor, right: Tensor) -> float:
    """Relative, of the norm."""
    assert found.shape == right.shape
    return float((found.double() - right).norm() / right.norm())


@pytest.fixture(params=[8, 16])
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The rule of a machine with so many; whatever the machine is, its answers hold."""
    monkeypatch.setattr(grouped, "_lanes", lambda: request.param)
    return int(request.param)


def every(kind: int) -> Iterator[tuple[Shape, Way]]:
    return ((shape, way) for shape in SHAPES for way in alternatives(shape)[kind])


@pytest.mark.parametrize(("shape", "way"), every(0))
def test_forward_and_data_gradient_of_every_way_are_the_library_s(shape: Shape, way: Way) -> None:
    x, weight, of_y, groups = convolved(shape)
    layer = layer_of(shape, weight)
    given = x.clone().requires_grad_()
    layer(given).backward(of_y)
    assert given.grad is not None
    single = x.float(), weight.float(), of_y.float()
    assert error(forward(single[0], single[1], groups, way), layer(x)) < 1e-6
    assert error(data_gradient(single[2], single[0], single[1], groups, way), given.grad) < 1e-6


@pytest.mark.parametrize(("shape", "way"), every(1))
def test_weight_gradient_of_every_way_is_the_library_s(shape: Shape, way: Way) -> None:
    x, weight, of_y, groups = convolved(shape)
    layer = layer_of(shape, weight)
    layer(x).backward(of_y)
    assert layer.weight.grad is not None
    assert error(weight_gradient(of_y.float(), x.float(), weight.float(), groups, way), layer.weight.grad) < 1e-6


def test_a_layer_has_the_values_and_gradients_of_float64(lanes: int) -> None:
    assert LIBRARY not in ways(TAKEN, lanes)
    x, weight, of_y, _ = convolved(TAKEN)
    results = []
    for number, layer in (
        (t.to(kind), layer_of(TAKEN, weight.to(kind))) for kind in (torch.float64, torch.float32) for t in [x]
    ):
        given = number.clone().requires_grad_()
        y = convolve(layer, given)
        assert y.is_contiguous(memory_format=torch.channels_last)
        y.backward(of_y.to(number.dtype))
        assert given.grad is not None
        assert layer.weight.grad is not None
        results.append((y.detach(), given.grad, layer.weight.grad))
    assert all(error(found, right) < 1e-6 for right, found in zip(*results, strict=True))
    library = layer_of(TAKEN, weight.float())(x.float())
    assert not torch.equal(results[1][0], library)  # else nothing of this was seen


def test_images_in_the_other_layout_and_an_expanded_gradient_give_the_same(lanes: int) -> None:
    x, weight, _, _ = convolved(TAKEN)
    layer = layer_of(TAKEN, weight.float())
    one = x.float()
    for images in (one, one.contiguous()):
        layer.zero_grad()
        y = convolve(layer, images)
        y.sum().backward()
        assert torch.equal(y, convolve(layer, one))
        assert layer.weight.grad is not None
        right = layer_of(TAKEN, weight)
        right(x).sum().backward()
        assert right.weight.grad is not None
        assert error(layer.weight.grad, right.weight.grad) < 2e-6


def test_the_same_bits_twice(lanes: int) -> None:
    x, weight, of_y, _ = convolved(TAKEN)
    found = []
    for _ in range(2):
        layer = layer_of(TAKEN, weight.float())
        given = x.float().requires_grad_()
        convolve(layer, given).backward(of_y.float())
        assert layer.weight.grad is not None
        assert given.grad is not None
        found.append((layer.weight.grad, given.grad))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_the_gradient_of_a_gradient_is_the_library_s(lanes: int) -> None:
    x, weight, _, _ = convolved(TAKEN)
    found = []
    for kind in (torch.float64, torch.float32):
        layer, given = layer_of(TAKEN, weight.to(kind)), x.to(kind).requires_grad_()
        (first,) = torch.autograd.grad(convolve(layer, given).square().sum(), given, create_graph=True)
        first.square().sum().backward()
        assert layer.weight.grad is not None
        found.append(layer.weight.grad)
    assert error(found[1], found[0]) < 1e-5


def calls_of(layer: nn.Conv2d, x: Tensor) -> int:
    """How often `convolve` asks the layer itself."""
    calls = []
    original = layer.forward
    layer.forward = lambda x: calls.append(1) or original(x)  # type: ignore[method-assign, func-returns-value]
    convolve(layer, x)
    return len(calls)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_other_types_are_the_layer_s_own(kind: torch.dtype, lanes: int) -> None:
    x, weight, _, _ = convolved(TAKEN)
    assert calls_of(layer_of(TAKEN, weight.float()), x.float()) == 0
    assert calls_of(layer_of(TAKEN, weight.to(kind)), x.to(kind)) == 1


def test_mixed_precision_is_the_layer_s_own(lanes: int) -> None:
    x, weight, _, _ = convolved(TAKEN)
    with torch.autocast("cpu", torch.bfloat16):
        assert calls_of(layer_of(TAKEN, weight.float()), x.float()) == 1
        assert convolve(layer_of(TAKEN, weight.float()), x.float()).dtype == torch.bfloat16


def test_the_meta_device_and_no_image_at_all_are_the_layer_s_own(lanes: int) -> None:
    x, weight, _, _ = convolved(TAKEN)
    assert convolve(layer_of(TAKEN, weight.float()).to("meta"), x.float().to("meta")).shape == (2, 16, 32, 32)
    assert calls_of(layer_of(TAKEN, weight.float()), x.float()[:0]) == 1


def test_hooks_and_counters_of_operations_see_one_convolution(lanes: int) -> None:
    x, weight, _, _ = convolved(TAKEN)
    pyramid = PyConv2d(64, 16, (9,), (16,))
    seen = []
    pyramid.levels[0].register_forward_hook(lambda *_: seen.append(1))
    pyramid(x.float())
    assert seen == [1]
    with FlopCounterMode(display=False) as counter:
        PyConv2d(64, 16, (9,), (16,))(x.float())
    assert counter.get_total_flops() == 2 * weight.numel() * 2 * 32 * 32


def test_a_traced_or_exported_pyramid_is_convolutions(lanes: int) -> None:
    x, _, _, _ = convolved(TAKEN)
    pyramid = PyConv2d(64, 32, (3, 9), (1, 16)).eval()
    traced = str(torch.jit.trace(pyramid, x.float()).inlined_graph)
    assert traced.count("aten::_convolution") == 2
    assert "shuffle" not in traced
    exported = torch.export.export(pyramid, (x.float(),))
    assert sorted(node.name for node in exported.graph.nodes if node.op == "call_function") == [
        "cat",
        "conv2d",
        "conv2d_1",
    ]


def test_a_pyramid_is_copied_pickled_and_saved_as_before(lanes: int) -> None:
    pyramid = PyConv2d(64, 32, (3, 9), (1, 16))
    x = convolved(TAKEN).x.float()
    y = pyramid(x)
    assert list(pyramid.state_dict()) == ["levels.0.weight", "levels.1.weight"]
    for other in (copy.deepcopy(pyramid), pickle.loads(pickle.dumps(pyramid))):
        assert torch.equal(other(x), y)


# The rule -------------------------------------------------------------------------------------------------------------


def test_of_a_cpu_that_is_not_known_the_library_s_way_is_taken() -> None:
    assert ways(TAKEN, 0) == ways(TAKEN, 4) == Ways()
    assert passes_nanoseconds(TAKEN, 0) > (0, 0, 0)


def test_full_lanes_are_left_to_the_library() -> None:
    full = Shape(3, 64, 64, 1, images=5, height=32, width=32)
    assert ways(full, 16) == ways(full, 8) == Ways()


def test_little_work_is_left_to_the_library() -> None:
    """But for the weights' other way round, which takes no call more than it saves lanes."""
    assert ways(TAKEN._replace(images=1, height=4, width=4), 16) == Ways(weights=Way(swapped=True))
    assert ways(TAKEN._replace(images=1, height=4, width=4, inputs=1), 16) == Ways()


def test_empty_lanes_are_filled() -> None:
    """The widest level of PyConvU-Net's first stage at 128×128, which took half of a training step."""
    shape = Shape(9, 4, 1, 16, images=5, height=128, width=128)
    chosen = ways(shape, 16)
    assert chosen.forward == Way(depthwise=True)
    assert chosen.weights.swapped
    assert nanoseconds(shape, LIBRARY, 16) > 5 * nanoseconds(shape, chosen.forward, 16)


def test_columns_are_packed_only_where_they_divide_the_width() -> None:
    assert all(TAKEN.width % way.columns == 0 for way in alternatives(TAKEN)[1])
    assert {way.columns for way in alternatives(TAKEN._replace(width=36))[1]} == {1, 2, 4}
    assert {way.columns for way in alternatives(TAKEN._replace(width=33))[1]} == {1}
