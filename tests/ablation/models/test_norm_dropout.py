"""Normalisation and dropout as settings: at their defaults nothing is as it was not before, and elsewhere they hold."""

from __future__ import annotations

import hashlib
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from test_models import SMALL
from torch import Tensor, nn

from ablate.cost.counted import cost, try_one_image
from ablate.errors import InputError
from ablate.kinds import KINDS, find, own_parts
from ablate.models.blocks import normalisation
from ablate.models.build import build_model
from ablate.models.network import downsampling
from ablate.models.resnet34_unet import ResNet34Encoder
from ablate.models.settings import Normalisation, ResNet34UNet, UNet

VERSION_0_1 = {
    "unet": ("030a064694cd", "fd3ff73ce64c", 0.338117, 0.304253),
    "unet bilinear": ("9f6863868103", "a0b6facf3bb3", 0.244111, 0.199052),
    "unet_plus_plus": ("0a1674cb6c48", "6ede7911f495", 0.270864, 0.150506),
    "unet_plus_plus single": ("24c90c630fc2", "1eceab600c94", 0.251629, 0.208442),
    "attention_unet": ("40be13db05a1", "7012b6175967", 0.288070, 0.184719),
    "resnet34_unet": ("01bed67aa1ba", "8026a0d6d128", 0.090342, 0.050143),
    "fcn8s": ("d4ff2b3ae981", "7b7db92cec8b", 0.425107, 0.166441),
    "pyconvunet": ("bdbcf23868c6", "0e228be01610", 0.344379, 0.045447),
    "pyconvunet blocks": ("c0e309daac39", "35ccb05cf30e", 0.196149, 0.034365),
    "pyconvunet bottleneck": ("00d0adfb988a", "3d51651f595f", 0.301570, 0.201537),
    "pyconvunet residual": ("10f0be8bb31d", "eae78febdb2d", 0.399181, 0.068483),
    "pyconvunet by stage": ("bf8142ad3b89", "c1e86af694dd", 0.260150, 0.174967),
}
"""Of each network before it had these settings, from seed 0: hashes of the names and of the values of its state, and
the mean of its logits' absolute values, in training (of UNet++ the last) and then in prediction."""
NORMS = get_args(Normalisation)
_NORM_MODULES = (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)
networks = pytest.mark.parametrize("name", SMALL)


def changed(name: str, **fields: object):
    return type(SMALL[name]).model_validate(SMALL[name].model_dump() | fields)


def built(name: str, **fields: object) -> nn.Module:
    torch.manual_seed(0)
    return build_model(changed(name, **fields), in_channels=1, classes=2)


def last(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    return outputs[-1] if isinstance(outputs, tuple) else outputs


def dropouts(model: nn.Module) -> list[nn.Dropout2d]:
    return [module for module in model.modules() if isinstance(module, nn.Dropout2d)]


@networks
def test_at_the_defaults_a_network_is_what_it_was(name):
    model = built(name)
    x = torch.randn(2, 1, 64, 64)
    state = model.state_dict()
    names = hashlib.sha256("\n".join(state).encode()).hexdigest()[:12]
    values = hashlib.sha256(b"".join(value.numpy().tobytes() for value in state.values())).hexdigest()[:12]
    means = [last(model.train(mode)(x)).detach().double().abs().mean().item() for mode in (True, False)]
    assert (names, values) == VERSION_0_1[name][:2]
    assert means == pytest.approx(VERSION_0_1[name][2:], rel=1e-4)


@pytest.mark.parametrize("name", sorted({*own_parts(KINDS["network"])} - {"multires_unet"}))
def test_only_another_value_than_the_default_is_in_the_canonical_form(name):
    network = find(KINDS["network"], name).target
    assert network(norm="batch", dropout=0).canonical() == network().canonical()
    assert not {"norm", "dropout"} & network().canonical().keys()
    found = network(norm="group", dropout=0.2).canonical()
    assert (found["norm"], found["dropout"]) == ("group", 0.2)
    assert network.model_validate(found) == network(norm="group", dropout=0.2)
    for wrong in ({"norm": "layer"}, {"dropout": 1.0}, {"dropout": -0.1}, {"dropout": True}):
        with pytest.raises(ValidationError):
            network(**wrong)


# Norms ---------------------------------------------------------------------------------------------------------------


@networks
@pytest.mark.parametrize("norm", NORMS[1:])
def test_gradient_reaches_every_parameter(name, norm):
    # Without a norm, a gate of two maps inside can start with both below 0 for every pixel; one of eight does not.
    wider = {"width": 16} if name == "attention_unet" else {}
    model = built(name, norm=norm, dropout=0.1, **wider)
    outputs = model(torch.randn(2, 1, 64, 64))
    sum(logits.square().mean() for logits in (outputs if isinstance(outputs, tuple) else [outputs])).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.ndim < 4 or parameter.grad.any(), parameter_name


@networks
def test_every_norm_is_the_one_that_was_asked_for(name):
    """Each is where batch norm is; none leaves every convolution where it was."""
    found = {norm: [m for m in built(name, norm=norm).modules() if isinstance(m, _NORM_MODULES)] for norm in NORMS}
    assert found["none"] == []
    channels = [norm.num_features for norm in found["batch"]]
    for norm in ("instance", "group"):
        assert [type(module) for module in found[norm]] == [nn.GroupNorm] * len(channels)
        assert [module.num_channels for module in found[norm]] == channels
    assert all(module.num_groups == module.num_channels for module in found["instance"])
    assert all(module.num_groups <= 8 for module in found["group"])
    convolutions = [
        [n for n, m in built(name, norm=norm).named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        for norm in NORMS
    ]
    assert convolutions == [convolutions[0]] * len(NORMS)


@networks
@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_an_image_is_judged_the_same_in_any_company_and_in_training(name, norm):
    model = built(name, norm=norm)
    images = torch.randn(3, 1, 64, 64)
    with torch.no_grad():
        together, alone = last(model(images)), last(model(images[1:2]))
        torch.testing.assert_close(alone, together[1:2], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.eval()(images), together, rtol=1e-4, atol=1e-5)


def test_instance_norm_is_pytorchs():
    x = torch.randn(2, 6, 5, 7) * 3 + 1
    torch.testing.assert_close(normalisation("instance")(6)(x), nn.InstanceNorm2d(6, affine=True)(x))
    assert normalisation("instance")(6)(x[:0]).shape == (0, 6, 5, 7)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 6), (8, 8), (51, 3), (52, 4), (53, 1), (64, 8), (70, 7)])
def test_group_norm_has_the_most_groups_up_to_eight_that_divide_the_channels(channels, groups):
    assert normalisation("group")(channels).num_groups == groups


@pytest.mark.parametrize("norm", NORMS)
def test_a_norm_changes_no_cost_but_its_own(norm, capsys):
    """The scale and shift of a channel are two parameters, whichever norm has them."""
    batch, found = cost(UNet(width=4), 1, 1, (32, 32)), cost(UNet(width=4, norm=norm, dropout=0.5), 1, 1, (32, 32))
    channels = 2 * (2 * (4 + 8 + 16 + 32) + 64)
    assert batch.params - found.params == (2 * channels if norm == "none" else 0)
    assert (found.macs < batch.macs) == (norm == "none")
    assert capsys.readouterr() == ("", "")


def test_a_pixel_has_no_statistics_of_its_own():
    with pytest.raises(
        InputError, match=r"^unet comes down to one pixel at 16x16, of which its norm has no statistics"
    ):
        cost(UNet(norm="instance"), 1, 1, (16, 16))
    assert cost(UNet(norm="instance"), 1, 1, (16, 32))
    assert cost(UNet(norm="group"), 1, 1, (16, 16))
    try_one_image(UNet(norm="group"), 1, 1, (16, 16))  # of which batch norm has none
    try_one_image(UNet(norm="none"), 1, 1, (16, 16))


def test_weights_of_batch_norms_start_no_other_encoder(tmp_path):
    path = tmp_path / "resnet34.pth"
    torch.save(ResNet34Encoder(3).state_dict(), path)
    for norm in ("instance", "group", "none"):
        with pytest.raises(ValidationError, match=f"norm {norm}: a file of ResNet-34's weights holds batch norms"):
            ResNet34UNet(encoder_weights=path, norm=norm)
    model = build_model(ResNet34UNet(encoder_weights=path, dropout=0.5), in_channels=3, classes=1)
    assert len(dropouts(model.encoder)) == 4


# Dropout -------------------------------------------------------------------------------------------------------------


@networks
def test_dropout_follows_every_stage_and_is_no_module_at_0(name):
    config = SMALL[name]
    stages = getattr(config, "stages", None)
    expected = {"resnet34_unet": 4 + 4, "fcn8s": 5 + 5, "unet_plus_plus": stages and stages * (stages + 1) // 2}
    assert dropouts(built(name)) == []
    found = dropouts(built(name, dropout=0.3))
    assert [module.p for module in found] == [0.3] * expected.get(config.name, 2 * (stages or 1) - 1)


@networks
def test_dropout_is_for_training_only(name):
    """And draws nothing as the weights are made: they are those of the network without."""
    factor = downsampling(SMALL[name])
    x = torch.randn(2, 1, 2 * factor, 2 * factor)
    plain, model = built(name).eval(), built(name, dropout=0.5)
    with torch.no_grad():
        one, other = (last(model(x)) for _ in range(2))
        assert one.shape == (2, 2, *x.shape[2:])
        assert not torch.equal(one, other)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    fresh = built(name, dropout=0.5).eval()
    with torch.no_grad():
        assert torch.equal(fresh(x), plain(x))


def test_dropout_leaves_out_whole_channels_and_scales_the_others():
    torch.manual_seed(0)
    stage = built("unet", dropout=0.25).encoder[2]
    x = torch.randn(4, 8, 8, 8)
    dropped, kept = stage(x), stage[:-1](x)
    out = (dropped == 0).flatten(2).all(dim=2)
    assert 0 < out.sum() < out.numel()
    torch.testing.assert_close(dropped[~out], kept[~out] / 0.75)
