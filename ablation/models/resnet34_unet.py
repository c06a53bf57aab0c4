"""U-Net with ResNet-34 (He et al. 2016, arXiv 1512.03385) as its encoder and LinkNet's decoder (arXiv 1707.03718)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ablate.models.blocks import Norm, conv3x3, normalisation, with_dropout
from ablate.models.settings import ResNet34UNet as ResNet34UNetConfig


class ResNet34UNet(nn.Module):
    """Each decoder block's output is added to the encoder's features of its resolution.

    Input (N, `in_channels`, H, W), H and W multiples of 32; output: logits (N, `classes`, H, W).
    Dropout follows the encoder's four layers and the decoder's four blocks.
    The decoder's ReLUs are functions: Table 3 of Li et al. counts modules, and its 24.27 GMac is without them.
    """

    downsampling: int = 32

    def __init__(self, config: ResNet34UNetConfig, in_channels: int, classes: int) -> None:
        super().__init__()
        norm, dropout = normalisation(config.norm), config.dropout
        self.encoder = ResNet34Encoder(in_channels, norm, dropout)
        self.decoder4 = with_dropout(DecoderBlock(512, 256, norm), dropout)
        self.decoder3 = with_dropout(DecoderBlock(256, 128, norm), dropout)
        self.decoder2 = with_dropout(DecoderBlock(128, 64, norm), dropout)
        self.decoder1 = with_dropout(DecoderBlock(64, 64, norm), dropout)
        self.up = nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1)
        self.conv = conv3x3(32, 32, bias=True)
        self.head = conv3x3(32, classes, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        e1, e2, e3, e4 = self.encoder(x)
        d4 = self.decoder4(e4) + e3
        d3 = self.decoder3(d4) + e2
        d2 = self.decoder2(d3) + e1
        d1 = self.decoder1(d2)
        return self.head(F.relu(self.conv(F.relu(self.up(d1)))))


class DecoderBlock(nn.Module):
    """LinkNet's: 1×1 convolution to a quarter of the width, 3×3 transposed convolution ×2, 1×1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        inner = in_channels // 4
        self.squeeze = nn.Conv2d(in_channels, inner, kernel_size=1)
        self.norm1 = norm(inner)
        self.up = nn.ConvTranspose2d(inner, inner, kernel_size=3, stride=2, padding=1, output_padding=1)
        self.norm2 = norm(inner)
        self.expand = nn.Conv2d(inner, out_channels, kernel_size=1)
        self.norm3 = norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.squeeze(x)))
        x = F.relu(self.norm2(self.up(x)))
        return F.relu(self.norm3(self.expand(x)))


class ResNet34Encoder(nn.Module):
    """The features of ResNet-34's four layers: 64, 128, 256 and 512 channels at 1/4, 1/8, 1/16 and 1/32.

    The names in its state dict are torchvision's, without the classifier `fc`.
    """

    def __init__(self, in_channels: int, norm: Norm = nn.BatchNorm2d, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = with_dropout(_layer(64, 64, norm, blocks=3), dropout)
        self.layer2 = with_dropout(_layer(64, 128, norm, blocks=4, stride=2), dropout)
        self.layer3 = with_dropout(_layer(128, 256, norm, blocks=6, stride=2), dropout)
        self.layer4 = with_dropout(_layer(256, 512, norm, blocks=3, stride=2), dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        e1 = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        e2 = self.layer2(e1)
        e3 = self.layer3(e2)
        return e1, e2, e3, self.layer4(e3)


class BasicBlock(nn.Module):
    """ResNet's two 3×3 convolutions with a shortcut, which is projected where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, norm: Norm, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = norm(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                norm(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _layer(in_channels: int, out_channels: int, norm: Norm, blocks: int, stride: int = 1) -> nn.Sequential:
    rest = [BasicBlock(out_channels, out_channels, norm) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(in_channels, out_channels, norm, stride), *rest)
