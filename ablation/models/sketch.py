"""A network as the list of its layers, in plain Python: what it is made of and of which shapes, without building it.

`ablate.models.outlines` draws the networks by this. Blocks have here the names that they have in `ablate.models.blocks`
and `ablate.models.pyconv`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from ablate.models.channels import Share, check_levels, inner_width, level_channels, norm_groups
from ablate.models.settings import Normalisation, Upsampling

Kind = Literal[
    "conv", "transposed", "batch_norm", "group_norm", "activation", "pool", "upsample", "join", "elementwise"
]
"""`group_norm` is instance norm too, which like batch norm has a group for each channel. `elementwise` is what ptflops
does not count: sums and products, sigmoids, ReLUs that are functions and no modules, and dropout."""


class Layer(NamedTuple):
    """One layer on one image. `height` and `width` are its output's, in pixels; `inputs` and `outputs` are channels."""

    kind: Kind
    inputs: int
    outputs: int
    kernel: int
    groups: int
    stride: int
    height: int
    width: int
    bias: bool = False

    @property
    def params(self) -> int:
        """Trainable parameters."""
        match self.kind:
            case "conv" | "transposed":
                return self._weights + (self.outputs if self.bias else 0)
            case "batch_norm" | "group_norm":
                return 2 * self.outputs
        return 0

    @property
    def macs(self) -> int:
        """Multiply–accumulates as ptflops counts them in modules: of norms, activations and poolings too."""
        pixels = self.height * self.width
        match self.kind:
            case "conv":
                return self._weights * pixels + (self.outputs * pixels if self.bias else 0)
            case "transposed":
                return self._weights * (pixels // self.stride**2) + (self.outputs * pixels if self.bias else 0)
            case "batch_norm" | "group_norm":
                return 2 * self.outputs * pixels
            case "activation" | "upsample":
                return self.outputs * pixels
            case "pool":
                return self.inputs * pixels * self.stride**2
        return 0

    @property
    def _weights(self) -> int:
        return self.kernel**2 * self.inputs * self.outputs // self.groups


class Maps(NamedTuple):
    """The feature maps between two layers."""

    channels: int
    height: int
    width: int


class Sketch:
    """Follows one image through a network: each method is a layer or a block, from its input maps to its output's."""

    def __init__(self, norm: Normalisation, dropout: float = 0.0) -> None:
        self.layers: list[Layer] = []
        self._norm, self._dropout = norm, dropout

    def _add(
        self, kind: Kind, x: Maps, out: Maps, kernel: int = 1, groups: int = 1, stride: int = 1, bias: bool = False
    ) -> Maps:
        self.layers.append(Layer(kind, x.channels, out.channels, kernel, groups, stride, out.height, out.width, bias))
        return out

    # Layers ----------------------------------------------------------------------------------------------------------

    def conv(
        self, x: Maps, outputs: int, kernel: int = 3, *, groups: int = 1, stride: int = 1, bias: bool = True
    ) -> Maps:
        """A convolution that keeps height and width, or divides them by `stride`."""
        out = Maps(outputs, x.height // stride, x.width // stride)
        return self._add("conv", x, out, kernel, groups, stride, bias)

    def transposed(self, x: Maps, outputs: int, kernel: int = 2) -> Maps:
        """A transposed convolution with bias that doubles height and width."""
        return self._add("transposed", x, Maps(outputs, 2 * x.height, 2 * x.width), kernel, stride=2, bias=True)

    def norm(self, x: Maps) -> Maps:
        match self._norm:
            case "none":
                return x
            case "batch":
                return self._add("batch_norm", x, x, groups=x.channels)
            case "instance":
                return self._add("group_norm", x, x, groups=x.channels)
            case "group":
                return self._add("group_norm", x, x, groups=norm_groups(x.channels))

    def relu(self, x: Maps) -> Maps:
        return self._add("activation", x, x)

    def pool(self, x: Maps, kernel: int = 2) -> Maps:
        """Max pooling that halves height and width."""
        return self._add("pool", x, Maps(x.channels, x.height // 2, x.width // 2), kernel, stride=2)

    def interpolated(self, x: Maps) -> Maps:
        """Height and width doubled, by interpolation or the nearest pixel."""
        return self._add("upsample", x, Maps(x.channels, 2 * x.height, 2 * x.width), stride=2)

    def joined(self, *maps: Maps) -> Maps:
        """Concatenated; one alone is what it was."""
        out = maps[0]._replace(channels=sum(x.channels for x in maps))
        return self._add("join", out, out) if len(maps) > 1 else out

    def elementwise(self, x: Maps) -> Maps:
        return self._add("elementwise", x, x)

    def dropout(self, x: Maps) -> Maps:
        return self.elementwise(x) if self._dropout else x

    # Blocks ----------------------------------------------------------------------------------------------------------

    def conv_norm_relu(self, x: Maps, outputs: int, kernel: int = 3, bias: bool = True) -> Maps:
        return self.relu(self.norm(self.conv(x, outputs, kernel, bias=bias)))

    def double_conv(self, x: Maps, outputs: int) -> Maps:
        return self.conv_norm_relu(self.conv_norm_relu(x, outputs), outputs)

    def upsample(self, x: Maps, outputs: int, kind: Upsampling) -> Maps:
        return self.transposed(x, outputs) if kind == "transposed" else self.interpolated(self.conv(x, outputs, 1))

    def pyconv(self, x: Maps, outputs: int, kernels: Sequence[int], groups: Sequence[int], share: Share) -> Maps:
        """Raises `InputError` for a pyramid that cannot be built."""
        channels = level_channels(outputs, len(kernels), share)
        check_levels(x.channels, outputs, kernels, groups, share)
        levels = zip(channels, kernels, groups, strict=True)
        return self.joined(*(self.conv(x, n, kernel, groups=group, bias=False) for n, kernel, group in levels))

    def bottleneck(
        self,
        x: Maps,
        outputs: int,
        conv: Callable[[Maps, int], Maps],
        first_kernel: int = 1,
        expansion: int = 1,
        residual: bool = False,
    ) -> Maps:
        """Raises `InputError` where `expansion` does not divide `outputs`."""
        inner = inner_width(outputs, expansion)
        y = self.conv_norm_relu(x, inner, first_kernel, bias=False)
        y = self.relu(self.norm(conv(y, inner)))
        y = self.norm(self.conv(y, outputs, 1, bias=False))
        if residual:
            if x.channels != outputs:
                self.norm(self.conv(x, outputs, 1, bias=False))
            y = self.elementwise(y)
        return self.relu(y)
