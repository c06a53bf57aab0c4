"""FCN-8s (Long et al. 2015, arXiv 1411.4038) on VGG-16 (Simonyan and Zisserman 2015, arXiv 1409.1556)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from ablate.models.blocks import biased_conv3x3, normalisation, with_dropout
from ablate.models.settings import FCN8s as FCN8sConfig


class FCN8s(nn.Module):
    """Five learned ×2 up-samplings from VGG-16's last features, the fourth and third pooling's added on the way.

    Dropout follows each pooling (which is as if it followed the ReLU before it) and each up-sampling's ReLU.
    Input (N, `in_channels`, H, W), H and W multiples of 32; output: logits (N, `classes`, H, W).
    """

    downsampling: int = 32

    def __init__(self, config: FCN8sConfig, in_channels: int, classes: int) -> None:
        super().__init__()
        norm = normalisation(config.norm)
        self.encoder = VGG16Encoder(in_channels, config.dropout)
        steps = list(pairwise((512, 512, 256, 128, 64, 32)))
        self.up = nn.ModuleList(with_dropout(_up(*step), config.dropout) for step in steps)
        self.norm = nn.ModuleList(norm(channels) for _, channels in steps)
        self.head = nn.Conv2d(32, classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        *_, pool3, pool4, x = self.encoder(x)
        x = self.norm[0](self.up[0](x) + pool4)
        x = self.norm[1](self.up[1](x) + pool3)
        for up, norm in zip(self.up[2:], self.norm[2:], strict=True):
            x = norm(up(x))
        return self.head(x)


class VGG16Encoder(nn.Module):
    """The outputs of VGG-16's five poolings: 64, 128, 256, 512 and 512 channels at 1/2 to 1/32.

    The names in its state dict are torchvision's, without the `classifier`.
    """

    def __init__(self, in_channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(convolutions):
                layers += [biased_conv3x3(in_channels, width), nn.ReLU(inplace=True)]
                in_channels = width
            layers.append(with_dropout(nn.MaxPool2d(2), dropout))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        pooled = []
        for layer in self.features:
            x = layer(x)
            if not isinstance(layer, nn.Conv2d | nn.ReLU):
                pooled.append(x)
        return pooled


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1),
        nn.ReLU(inplace=True),
    )
