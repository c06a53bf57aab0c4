"""Each network of this project by its layers: a function of the network's name, from its settings.

Who changes a network changes its outline: `tests/ablation/cost/test_layers_of.py` holds the two equal, in parameters
and in MACs as ptflops counts them of the network as it is built. A network without an outline is built to be priced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ablate.errors import InputError
from ablate.models import settings
from ablate.models.channels import stage_widths
from ablate.models.sketch import Maps, Sketch

if TYPE_CHECKING:
    from ablate.models.multires_unet import MultiResUNet


def unet(config: settings.UNet, sketch: Sketch, x: Maps, classes: int) -> None:
    up = partial(sketch.upsample, kind=config.upsampling)
    _encoder_decoder(config, sketch, x, classes, lambda stage, x, outputs: sketch.double_conv(x, outputs), up)


def pyconvunet(config: settings.PyConvUNet, sketch: Sketch, x: Maps, classes: int) -> None:
    image = x

    def block(stage: int, x: Maps, outputs: int) -> Maps:
        try:
            return _pyramid_stage(config, sketch, stage, x, outputs, sees_image=x is image)
        except InputError as error:
            raise InputError(f"{config.name}, stage {stage + 1}: {error}") from None

    _encoder_decoder(config, sketch, x, classes, block, partial(sketch.upsample, kind=config.upsampling))


def _pyramid_stage(
    config: settings.PyConvUNet, sketch: Sketch, stage: int, x: Maps, outputs: int, sees_image: bool
) -> Maps:
    kernels, groups = config.levels(stage)
    pyconv = partial(sketch.pyconv, kernels=kernels, groups=groups, share=config.share)
    for number in range(config.blocks):
        plain_first = sees_image and number == 0
        if config.block == "plain":
            x = sketch.conv(x, outputs, bias=False) if plain_first else pyconv(x, outputs)
            x = sketch.relu(sketch.norm(x))
            x = sketch.relu(sketch.norm(pyconv(x, outputs)))
            continue
        first_kernel = 3 if plain_first and config.block == "bottleneck" else 1
        x = sketch.bottleneck(x, outputs, pyconv, first_kernel, config.expansion, config.residual)
        if config.block == "published":
            x = sketch.relu(sketch.norm(x))
    return x


def attention_unet(config: settings.AttentionUNet, sketch: Sketch, x: Maps, classes: int) -> None:
    def block(stage: int, x: Maps, outputs: int) -> Maps:
        return sketch.double_conv(x, outputs)

    def up(x: Maps, outputs: int) -> Maps:
        return sketch.conv_norm_relu(sketch.interpolated(x), outputs)

    def gated(features: Maps, gate: Maps) -> Maps:
        inner = [sketch.norm(sketch.conv(x, features.channels // 2, 1)) for x in (features, gate)]
        weight = sketch.norm(sketch.conv(sketch.relu(sketch.elementwise(inner[0])), 1, 1))
        sketch.elementwise(weight)
        return sketch.elementwise(features)

    _encoder_decoder(config, sketch, x, classes, block, up, gated)


def _encoder_decoder(
    config: settings.UNet | settings.PyConvUNet | settings.AttentionUNet,
    sketch: Sketch,
    x: Maps,
    classes: int,
    block: Callable[[int, Maps, int], Maps],
    up: Callable[[Maps, int], Maps],
    skip: Callable[[Maps, Maps], Maps] = lambda features, gate: features,
) -> None:
    """As `ablate.models.unet.EncoderDecoder`."""
    widths, skips = stage_widths(config.width, config.stages), []
    for stage, width in enumerate(widths):
        x = sketch.dropout(block(stage, sketch.pool(x) if stage else x, width))
        skips.append(x)
    for stage in reversed(range(config.stages - 1)):
        x = up(x, widths[stage])
        x = sketch.dropout(block(stage, sketch.joined(skip(skips[stage], x), x), widths[stage]))
    sketch.conv(x, classes, 1)


def unet_plus_plus(config: settings.UNetPlusPlus, sketch: Sketch, x: Maps, classes: int) -> None:
    widths, rows = stage_widths(config.width, config.stages), []
    for stage, width in enumerate(widths):
        x = sketch.dropout(sketch.double_conv(sketch.pool(x) if stage else x, width))
        rows.append([x])
    for column in range(1, config.stages):
        for stage in range(config.stages - column):
            x = sketch.joined(*rows[stage], sketch.interpolated(rows[stage + 1][-1]))
            rows[stage].append(sketch.dropout(sketch.double_conv(x, widths[stage])))
    for node in rows[0][1:] if config.deep_supervision else rows[0][-1:]:
        sketch.conv(node, classes, 1)


def multires_unet(config: MultiResUNet, sketch: Sketch, x: Maps, classes: int) -> None:
    from ablate.models.multires_unet import chain_widths

    filters = stage_widths(config.width, config.stages)

    def projected(x: Maps, outputs: int) -> None:
        sketch.norm(sketch.conv(x, outputs, 1, bias=False))

    def block(stage: int, x: Maps) -> Maps:
        if not config.multires:
            return sketch.dropout(sketch.double_conv(x, filters[stage]))
        chain, y = [], x
        for width in chain_widths(config.alpha * filters[stage]):
            y = sketch.conv_norm_relu(y, width, bias=False)
            chain.append(y)
        y = sketch.norm(sketch.joined(*chain))
        projected(x, y.channels)
        return sketch.dropout(sketch.norm(sketch.relu(sketch.elementwise(y))))

    def path(stage: int, x: Maps) -> Maps:
        for _ in range(config.stages - 1 - stage if config.res_path else 0):
            projected(x, filters[stage])
            y = sketch.conv_norm_relu(x, filters[stage], bias=False)
            x = sketch.norm(sketch.relu(sketch.elementwise(y)))
        return x

    skips = []
    for stage in range(config.stages):
        x = block(stage, sketch.pool(x) if stage else x)
        skips.append(x)
    for stage in reversed(range(config.stages - 1)):
        skip = path(stage, skips[stage])
        x = block(stage, sketch.joined(skip, sketch.transposed(x, filters[stage])))
    sketch.conv(x, classes, 1)


def resnet34_unet(config: settings.ResNet34UNet, sketch: Sketch, x: Maps, classes: int) -> None:
    def basic_block(x: Maps, outputs: int, stride: int) -> Maps:
        y = sketch.relu(sketch.norm(sketch.conv(x, outputs, stride=stride, bias=False)))
        y = sketch.norm(sketch.conv(y, outputs, bias=False))
        if stride != 1 or x.channels != outputs:
            sketch.norm(sketch.conv(x, outputs, 1, stride=stride, bias=False))
        return sketch.relu(sketch.elementwise(y))

    def decoder(x: Maps, outputs: int) -> Maps:  # its ReLUs are functions
        inner = x.channels // 4
        x = sketch.elementwise(sketch.norm(sketch.conv(x, inner, 1)))
        x = sketch.elementwise(sketch.norm(sketch.transposed(x, inner, 3)))
        return sketch.dropout(sketch.elementwise(sketch.norm(sketch.conv(x, outputs, 1))))

    config.check_channels(x.channels)
    x = sketch.pool(sketch.relu(sketch.norm(sketch.conv(x, 64, 7, stride=2, bias=False))), 3)
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for number in range(blocks):
            x = basic_block(x, width, 2 if number == 0 and width > 64 else 1)
        x = sketch.dropout(x)
    for width in (256, 128, 64):
        x = sketch.elementwise(decoder(x, width))
    x = sketch.elementwise(sketch.transposed(decoder(x, 64), 32, 4))
    sketch.conv(sketch.elementwise(sketch.conv(x, 32)), classes)


def fcn8s(config: settings.FCN8s, sketch: Sketch, x: Maps, classes: int) -> None:
    config.check_channels(x.channels)
    for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            x = sketch.relu(sketch.conv(x, width))
        x = sketch.dropout(sketch.pool(x))
    for number, outputs in enumerate((512, 256, 128, 64, 32)):
        x = sketch.dropout(sketch.relu(sketch.transposed(x, outputs, 3)))
        x = sketch.norm(sketch.elementwise(x) if number < 2 else x)  # a pooling's features added
    sketch.conv(x, classes, 1)
