"""The six networks: shapes, gradients, encoders' weights and what they refuse."""

from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ablate.cost.counted import cost
from ablate.errors import InputError
from ablate.models.attention_unet import AttentionGate
from ablate.models.blocks import Bottleneck, conv3x3, upsample
from ablate.models.build import build_model
from ablate.models.encoder_weights import load_encoder_weights
from ablate.models.fcn8s import VGG16Encoder
from ablate.models.network import Network, check_input, downsampling, network
from ablate.models.resnet34_unet import ResNet34Encoder
from ablate.models.settings import AttentionUNet, FCN8s, PyConvUNet, ResNet34UNet, UNet, UNetPlusPlus

PYRAMID = {"kernels": (3, 5), "groups": (1, 4), "width": 8, "stages": 3}
SMALL: dict[str, Network] = {
    "unet": UNet(width=4, stages=3),
    "unet bilinear": UNet(width=4, stages=3, upsampling="bilinear"),
    "unet_plus_plus": UNetPlusPlus(width=4, stages=4),
    "unet_plus_plus single": UNetPlusPlus(width=4, stages=3, deep_supervision=False),
    "attention_unet": AttentionUNet(width=4, stages=3),
    "resnet34_unet": ResNet34UNet(),
    "fcn8s": FCN8s(),
    "pyconvunet": PyConvUNet(**PYRAMID),
    "pyconvunet blocks": PyConvUNet(**PYRAMID, blocks=2, upsampling="bilinear"),
    "pyconvunet bottleneck": PyConvUNet(**PYRAMID, block="bottleneck", blocks=2),
    "pyconvunet residual": PyConvUNet(**PYRAMID, block="bottleneck", residual=True, expansion=1),
    "pyconvunet by stage": PyConvUNet(
        kernels=((3, 5, 7), (3, 5), (3,)), groups=((1, 2, 4), (1, 4), (1,)), width=16, stages=3
    ),
}
networks = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL.keys())


@networks
@pytest.mark.parametrize("in_channels", [1, 2, 3, 7])
@pytest.mark.parametrize("classes", [1, 2, 4])
def test_logits_have_the_images_size_and_a_map_for_each_class(config, in_channels, classes):
    factor = downsampling(config)
    with torch.device("meta"):
        model = build_model(config, in_channels, classes).eval()
        logits = model(torch.zeros(2, in_channels, factor, 3 * factor))
    assert logits.shape == (2, classes, factor, 3 * factor)
    assert logits.dtype == torch.float32
    assert model.downsampling == factor


@networks
def test_gradient_reaches_every_parameter(config):
    torch.manual_seed(0)
    model = build_model(config, in_channels=1, classes=2)
    outputs = model(torch.randn(2, 1, 64, 64))
    sum(logits.square().mean() for logits in (outputs if isinstance(outputs, tuple) else [outputs])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias before batch norm has a gradient of zero; a kernel has not.
        assert parameter.ndim < 4 or parameter.grad.any(), name


@networks
def test_logits_are_not_squashed_and_see_the_input(config):
    """No sigmoid inside: logits of both signs; and another image gives others."""
    torch.manual_seed(0)
    model = build_model(config, in_channels=1, classes=4)
    with torch.no_grad():
        outputs = model(torch.randn(2, 1, 64, 64))
    logits = outputs[-1] if isinstance(outputs, tuple) else outputs
    assert logits.min() < 0 < logits.max()
    assert not torch.equal(logits[0], logits[1])


@networks
def test_the_layout_changes_no_result(config):
    torch.manual_seed(0)
    model = build_model(config, in_channels=3, classes=2).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = model(x)
        logits = model.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_deep_supervision_gives_a_map_for_each_top_node_in_training_and_the_last_in_prediction():
    model = build_model(UNetPlusPlus(width=4, stages=5), in_channels=1, classes=3)
    x = torch.randn(2, 1, 32, 32)
    outputs = model(x)
    assert isinstance(outputs, tuple)
    assert [tuple(logits.shape) for logits in outputs] == [(2, 3, 32, 32)] * 4
    for norm in model.modules():  # so that training and prediction compute the same
        if isinstance(norm, nn.BatchNorm2d):
            norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
    torch.testing.assert_close(model.eval()(x), outputs[-1])


def test_without_deep_supervision_training_gives_one_map():
    model = build_model(UNetPlusPlus(width=4, stages=3, deep_supervision=False), in_channels=1, classes=1)
    assert model(torch.randn(2, 1, 16, 16)).shape == (2, 1, 16, 16)


def test_unet_plus_plus_nodes_see_their_whole_row():
    """Each node X(i, j) of Zhou et al. takes j maps of its row and one from below."""
    model = build_model(UNetPlusPlus(width=4, stages=4), in_channels=1, classes=1)
    inputs = {name: node[0].in_channels for name, node in model.nodes.items()}
    assert inputs == {"0_1": 12, "1_1": 24, "2_1": 48, "0_2": 16, "1_2": 32, "0_3": 20}


def test_every_convolution_of_pyconvunet_but_the_first_is_pyramidal():
    model = build_model(PyConvUNet(), in_channels=1, classes=1)
    kernels = [m.kernel_size[0] for m in model.modules() if type(m) is nn.Conv2d]
    assert kernels == [3, *[3, 5, 7, 9] * 17, 1]


def test_a_decoder_stage_has_its_encoder_stages_pyramid():
    model = build_model(SMALL["pyconvunet by stage"], in_channels=1, classes=1)
    for stage, kernels in enumerate([(3, 5, 7), (3, 5)]):
        found = [m.kernel_size[0] for m in model.decoder[stage].modules() if type(m) is nn.Conv2d]
        assert found == [*kernels, *kernels]


def test_bottleneck_adds_its_input_before_the_last_relu():
    x = torch.randn(2, 8, 6, 6)
    block = Bottleneck(8, 8, conv3x3, expansion=2, residual=True).eval()
    assert block.body[0].out_channels == 4
    torch.testing.assert_close(block(x), (block.body(x) + x).relu())
    assert (Bottleneck(8, 8, conv3x3).eval()(x) >= 0).all()
    assert Bottleneck(8, 16, conv3x3, residual=True)(x).shape == (2, 16, 6, 6)


def test_a_bottleneck_starts_with_a_3x3_only_at_the_image():
    model = build_model(SMALL["pyconvunet bottleneck"], in_channels=1, classes=1)
    first = [block.body[0].kernel_size for stage in [*model.encoder, *model.decoder] for block in stage]
    assert first == [(3, 3)] + [(1, 1)] * (len(first) - 1)


def test_a_published_block_starts_with_a_1x1_everywhere_and_ends_in_a_second_norm():
    config = PyConvUNet(**{**PYRAMID, "width": 16}, block="published", blocks=2, expansion=2)
    model = build_model(config, in_channels=1, classes=1)
    for stage, width in zip([*model.encoder, *model.decoder], [16, 32, 64, 16, 32], strict=True):
        for body, norm, relu in stage:
            assert body.body[0].kernel_size == (1, 1)
            assert body.body[0].out_channels == width // 2
            assert (norm.num_features, type(relu)) == (width, nn.ReLU)
    assert sum(len(stage) for stage in [*model.encoder, *model.decoder]) == 2 * 5
    model(torch.randn(2, 1, 16, 16)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_attention_weighs_each_pixel_between_nothing_and_all():
    torch.manual_seed(0)
    gate = AttentionGate(8).eval()
    features = torch.rand(2, 8, 5, 5) + 0.1
    ratio = gate(features, torch.randn(2, 8, 5, 5)) / features
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert ((ratio > 0) & (ratio < 1)).all()


def test_bilinear_upsampling_is_interpolation_then_a_1x1_convolution():
    up = upsample("bilinear", 6, 3)
    x = torch.randn(2, 6, 5, 4)
    expected = up[0](nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))
    torch.testing.assert_close(up(x), expected)


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("unet", (100, 120), "multiples of 16, not 100x120: use 96x112 or 112x128"),
        ("fcn8s", (48, 64), "multiples of 32, not 48x64: use 32x64 or 64x64"),
        ("resnet34_unet", (8, 8), "multiples of 32, not 8x8: use 32x32"),
        ("attention_unet", (0, 16), "multiples of 16, not 0x16: use 16x16"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_with_the_nearest_that_do(name, size, message):
    with pytest.raises(InputError) as error:
        check_input(network(name), *size)
    assert str(error.value) == f"{name} needs a height and width that are {message}"


@networks
def test_check_input_accepts_what_it_advises(config):
    factor = downsampling(config)
    check_input(config, factor, 5 * factor)
    for size in ((factor + 1, factor), (factor, factor // 2)):
        with pytest.raises(InputError):
            check_input(config, *size)


# Impossible networks -------------------------------------------------------------------------------------------------


def test_an_impossible_pyramid_names_its_stage_and_level():
    with pytest.raises(InputError) as error:
        build_model(PyConvUNet(width=16), in_channels=1, classes=1)
    assert str(error.value) == (
        "pyconvunet, stage 1: PyConv level 2 (kernel 5): groups 4 do not divide its 2 output channels "
        "(pyramid share of 16); use a width that is a multiple of 32, or fewer groups"
    )


def test_an_expansion_that_does_not_divide_is_refused():
    with pytest.raises(InputError) as error:
        build_model(PyConvUNet(block="bottleneck", expansion=3), in_channels=1, classes=1)
    assert str(error.value) == (
        "pyconvunet, stage 1: bottleneck: expansion 3 does not divide 32 channels; "
        "use a width that is a multiple of 3, or another expansion"
    )


# Encoders ------------------------------------------------------------------------------------------------------------


def test_encoders_have_torchvisions_names_and_sizes():
    """The counts are those of torchvision's resnet34 and vgg16 without their classifiers."""
    with torch.device("meta"):
        resnet, vgg = ResNet34Encoder(3), VGG16Encoder(3)
    assert sum(p.numel() for p in resnet.parameters()) == 21_797_672 - 513_000
    assert sum(p.numel() for p in vgg.parameters()) == 138_357_544 - 123_642_856
    names = resnet.state_dict().keys()
    assert len(names) == 216
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight"} <= names
    assert {"layer3.5.bn2.bias", "layer4.0.downsample.1.num_batches_tracked", "layer4.2.conv2.weight"} <= names
    convolutions = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert list(vgg.state_dict()) == [f"features.{n}.{part}" for n in convolutions for part in ("weight", "bias")]


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A ResNet-34 file of the old kind: with classifier, without the counts of batches."""
    torch.manual_seed(1)
    state = ResNet34Encoder(3).state_dict()
    kept = {name: value.clone() for name, value in state.items() if not name.endswith("num_batches_tracked")}
    return kept | {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}


def test_encoder_weights_are_for_grey_and_colour_which_a_price_says(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({}, path)
    for config in (ResNet34UNet(encoder_weights=path), FCN8s(encoder_weights=path)):
        with pytest.raises(InputError, match=r"encoder_weights are for .* and data\.channels is 4: leave them out, or"):
            cost(config, 4, 1, (64, 64))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_encoder_weights_are_loaded_by_build_model(tmp_path, weights, suffix):
    path = tmp_path / f"resnet34{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    model = build_model(ResNet34UNet(encoder_weights=path), in_channels=3, classes=1)
    for name, value in model.encoder.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(value, weights[name]), name


def test_weights_for_grey_images_equal_the_grey_image_repeated(tmp_path, weights):
    path = tmp_path / "resnet34.safetensors"
    save_file(weights, path)
    grey, colour = ResNet34Encoder(1).eval(), ResNet34Encoder(3).eval()
    load_encoder_weights(grey, path)
    load_encoder_weights(colour, path)
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        for given, expected in zip(grey(x), colour(x.repeat(1, 3, 1, 1)), strict=True):
            torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


def test_vgg_weights_are_loaded_without_their_classifier(tmp_path):
    path = tmp_path / "vgg16.pth"
    state = VGG16Encoder(3).state_dict()
    torch.save(state | {"classifier.0.weight": torch.zeros(1)}, path)
    model = build_model(FCN8s(encoder_weights=path), in_channels=3, classes=1)
    assert all(torch.equal(value, state[name]) for name, value in model.encoder.state_dict().items())


def test_no_weights_are_read_on_the_meta_device(tmp_path):
    path = tmp_path / "not_weights.pth"
    path.write_bytes(b"nothing")
    with torch.device("meta"):
        build_model(ResNet34UNet(encoder_weights=path), in_channels=3, classes=1)


def _one_line_error(tmp_path, state, encoder, name="weights.pth") -> str:
    path = tmp_path / name
    path.write_bytes(state) if isinstance(state, bytes) else torch.save(state, path)
    with pytest.raises(InputError) as error:
        load_encoder_weights(encoder, path)
    message = str(error.value)
    assert message.startswith(f"encoder weights '{path}'")
    assert "\n" not in message
    return message


def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path, weights):
    vgg, resnet = VGG16Encoder(3), ResNet34Encoder(3)
    assert "'features.0.weight' is missing; expected a VGG16 state dict" in _one_line_error(tmp_path, weights, vgg)
    wide = ResNet34Encoder(2)
    assert "'conv1.weight' has shape 64x3x7x7, expected 64x2x7x7" in _one_line_error(tmp_path, weights, wide)
    surplus = weights | {"layer1.3.conv1.weight": torch.zeros(1)}
    assert "'layer1.3.conv1.weight' is not part of a ResNet34" in _one_line_error(tmp_path, surplus, resnet)
    assert "expected a state dict" in _one_line_error(tmp_path, [torch.zeros(1)], resnet)
    assert "cannot be read" in _one_line_error(tmp_path, b"rubbish", resnet)
    assert "cannot be read" in _one_line_error(tmp_path, b"rubbish", resnet, "weights.safetensors")


class _Harmful:
    def __reduce__(self):
        return print, ("executed",)


def test_a_weights_file_executes_nothing(tmp_path, capsys):
    _one_line_error(tmp_path, pickle.dumps({"conv1.weight": _Harmful()}, protocol=2), ResNet34Encoder(3))
    assert "executed" not in capsys.readouterr().out
