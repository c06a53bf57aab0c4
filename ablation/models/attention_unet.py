"""Attention U-Net (Oktay et al. 2018, arXiv 1804.03999)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ablate.models.blocks import Norm, biased_conv3x3, conv_norm_relu, double_conv, normalisation
from ablate.models.channels import stage_widths
from ablate.models.settings import AttentionUNet as AttentionUNetConfig
from ablate.models.unet import EncoderDecoder


class AttentionUNet(EncoderDecoder):
    """U-Net's encoder–decoder with an attention gate on each skip; it goes up by nearest ×2 and a 3×3 convolution."""

    def __init__(self, config: AttentionUNetConfig, in_channels: int, classes: int) -> None:
        widths = stage_widths(config.width, config.stages)
        norm = normalisation(config.norm)
        super().__init__(
            first=double_conv(in_channels, config.width, norm),
            widths=widths,
            classes=classes,
            block=lambda stage, inputs, outputs: double_conv(inputs, outputs, norm),
            up=partial(_up, norm),
            dropout=config.dropout,
        )
        self.gates = nn.ModuleList(AttentionGate(width, norm) for width in widths[:-1])

    def skip(self, stage: int, features: Tensor, gate: Tensor) -> Tensor:
        return self.gates[stage](features, gate)


class AttentionGate(nn.Module):
    """Scales each pixel of `features` by a weight in (0, 1) that depends on `gate`; both and the output (N, C, H, W).

    The additive gate at equal resolutions: σ(ψ(ReLU(W_x·features + W_g·gate))) with C/2 maps inside.
    """

    def __init__(self, channels: int, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        inner = channels // 2
        self.features = nn.Sequential(nn.Conv2d(channels, inner, kernel_size=1), norm(inner))
        self.gate = nn.Sequential(nn.Conv2d(channels, inner, kernel_size=1), norm(inner))
        self.relu = nn.ReLU(inplace=True)
        self.weight = nn.Sequential(nn.Conv2d(inner, 1, kernel_size=1), norm(1), nn.Sigmoid())

    def forward(self, features: Tensor, gate: Tensor) -> Tensor:
        return features * self.weight(self.relu(self.features(features) + self.gate(gate)))


def _up(norm: Norm, in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        *conv_norm_relu(biased_conv3x3(in_channels, out_channels), out_channels, norm),
    )
