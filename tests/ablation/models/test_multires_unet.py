"""MultiResUNet against the size of its authors' code and against U-Net, and its parts against the paper's words."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ablate.models.blocks import normalisation
from ablate.models.build import build_model
from ablate.models.multires_unet import MultiResBlock, MultiResUNet, ResStep
from ablate.models.settings import UNet

SMALL = {
    "whole": MultiResUNet(width=6, stages=3),
    "plain blocks": MultiResUNet(width=6, stages=3, multires=False),
    "plain skips": MultiResUNet(width=6, stages=3, res_path=False),
    "deep": MultiResUNet(width=4, stages=6, alpha=2),
    "group norm": MultiResUNet(width=6, stages=3, norm="group"),
    "no norm": MultiResUNet(width=6, stages=3, norm="none", dropout=0.2),
}
networks = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL.keys())


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_its_size_is_that_of_its_authors_code():
    """7,262,750, as Keras counts: with running statistics, and without scales in the norms after convolutions."""
    with torch.device("meta"):
        model = MultiResUNet().build(in_channels=3, classes=1)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    with_scale = [part.joined for part in model.modules() if isinstance(part, MultiResBlock)]
    with_scale += [part.last[1] for part in model.modules() if isinstance(part, MultiResBlock | ResStep)]
    scales = sum(norm.num_features for norm in norms) - sum(norm.num_features for norm in with_scale)
    statistics = 2 * sum(norm.num_features for norm in norms) + 2  # and those of the norm after the head
    assert parameters(model) == 7_244_774
    assert parameters(model) - scales == 7_238_228
    assert parameters(model) - scales + statistics == 7_262_750


def test_without_its_two_ideas_it_is_unet():
    torch.manual_seed(0)
    unet = build_model(UNet(width=4, stages=4), in_channels=2, classes=3).eval()
    plain = MultiResUNet(width=4, stages=4, multires=False, res_path=False).build(in_channels=2, classes=3).eval()
    plain.load_state_dict(unet.state_dict())
    x = torch.randn(2, 2, 16, 24)
    with torch.no_grad():
        assert torch.equal(plain(x), unet(x))


@networks
@pytest.mark.parametrize(("in_channels", "classes"), [(1, 1), (3, 4)])
def test_logits_have_the_images_size_and_a_map_for_each_class(config, in_channels, classes):
    factor = config.downsampling
    with torch.device("meta"):
        model = config.build(in_channels, classes).eval()
        logits = model(torch.zeros(2, in_channels, factor, 3 * factor))
        with pytest.raises(RuntimeError):
            model(torch.zeros(2, in_channels, factor + 1, factor))
    assert logits.shape == (2, classes, factor, 3 * factor)
    assert model.downsampling == factor == 2 ** (config.stages - 1)


@networks
def test_gradient_reaches_every_parameter(config):
    torch.manual_seed(0)
    model = config.build(in_channels=1, classes=2)
    model(torch.randn(2, 1, 64, 64)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.ndim < 4 or parameter.grad.any(), name


@pytest.mark.parametrize("norm", ["group", "instance", "none"])
def test_no_batch_norm_is_left_where_another_is_asked_for(norm):
    model = MultiResUNet(width=6, stages=3, norm=norm).build(in_channels=1, classes=1)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_a_path_is_longer_the_further_apart_encoder_and_decoder_are():
    with torch.device("meta"):
        whole = MultiResUNet().build(in_channels=1, classes=1)
        plain = MultiResUNet(res_path=False).build(in_channels=1, classes=1)
    assert [len(path) for path in whole.paths] == [4, 3, 2, 1]
    assert not list(plain.paths.parameters())
    # A plain skip brings all the channels of its block; a path brings as many as U-Net has.
    assert [block.shortcut[0].in_channels for block in whole.decoder] == [64, 128, 256, 512]
    assert [block.shortcut[0].in_channels for block in plain.decoder] == [32 + 51, 64 + 105, 128 + 212, 256 + 426]


def test_a_blocks_convolutions_see_3_5_and_7_pixels_to_the_side():
    block = MultiResBlock(1, (1, 1, 1), normalisation("none"))
    x = torch.zeros(1, 1, 15, 15)
    x[0, 0, 7, 7] = 1
    for conv in block.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.ones_(conv.weight)
    nn.init.zeros_(block.shortcut[0].weight)
    with torch.no_grad():
        assert [int((seen != 0).sum()) for seen in block(x)[0]] == [9, 25, 49]


def test_a_block_adds_its_projected_input():
    block = MultiResBlock(2, (1, 2, 3), normalisation("none")).eval()
    for conv in block.chain.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.zeros_(conv.weight)
    x = torch.randn(2, 2, 5, 5)
    torch.testing.assert_close(block(x), block.shortcut(x).relu())


def test_alpha_is_no_part_of_plain_blocks():
    assert MultiResUNet(multires=False, alpha=3) == MultiResUNet(multires=False)
    assert MultiResUNet(alpha=3) != MultiResUNet()


def test_a_block_too_narrow_for_three_convolutions_is_refused():
    with pytest.raises(ValidationError, match=r"width 3 by alpha 1\.67 .* must be at least 6"):
        MultiResUNet(width=3)
    assert MultiResUNet(width=3, alpha=2).build(1, 1)
    assert MultiResUNet(width=3, multires=False).build(1, 1)
