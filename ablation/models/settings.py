"""The settings of every network, and of the trivial predictors. Nothing here builds one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ablate.errors import InputError, brief
from ablate.files import read_regular
from ablate.models.network import Network
from ablate.settings import MOST_CHANNELS, Number, Since, Whole, no_path_from_json

if TYPE_CHECKING:
    from torch import nn

_MOST_KERNEL = 1023
_MOST_LEVELS = 8

Upsampling = Literal["transposed", "bilinear"]
Normalisation = Literal["batch", "instance", "group", "none"]
"""`ablate.models.blocks.normalisation` says what each is."""
Dropout = Annotated[Number, Field(ge=0, lt=1)]
"""How probably a channel is left out in training, after a stage's last activation, in encoder and decoder alike."""


class _Stages(Network):
    """A network of several stages, each of half the height and width of the one above."""

    if TYPE_CHECKING:
        stages: int

    @property
    def downsampling(self) -> int:
        return 2 ** (self.stages - 1)


class UNet(_Stages):
    """U-Net with same padding and normalisation: `stages` stages of widths `width`, 2·`width`, 4·`width`, ..."""

    module = "ablate.models.unet:UNet"
    name: Literal["unet"] = "unet"
    width: Whole = Field(32, ge=1, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=8)
    upsampling: Upsampling = "transposed"
    norm: Annotated[Normalisation, Since("0.2")] = "batch"
    dropout: Annotated[Dropout, Since("0.2")] = 0.0


class UNetPlusPlus(_Stages):
    """UNet++: nested dense skips, bilinear up-sampling, and a head on each of the top row's nodes."""

    module = "ablate.models.unet_plus_plus:UNetPlusPlus"
    name: Literal["unet_plus_plus"] = "unet_plus_plus"
    width: Whole = Field(32, ge=1, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=6)
    deep_supervision: bool = True
    norm: Annotated[Normalisation, Since("0.2")] = "batch"
    dropout: Annotated[Dropout, Since("0.2")] = 0.0


class AttentionUNet(_Stages):
    """Attention U-Net: an additive attention gate on each skip connection."""

    module = "ablate.models.attention_unet:AttentionUNet"
    name: Literal["attention_unet"] = "attention_unet"
    width: Whole = Field(64, ge=2, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=8)
    norm: Annotated[Normalisation, Since("0.2")] = "batch"
    dropout: Annotated[Dropout, Since("0.2")] = 0.0


class _WithEncoderWeights(Network):
    """A network whose encoder can start from a local weights file. The file's hash is in the key, its path is not."""

    encoder_weights: Path | None = Field(None, exclude=True)
    encoder_weights_sha256: str | None = Field(None, max_length=64)

    _stay_out_of_json = field_validator("encoder_weights")(no_path_from_json)

    def check_channels(self, in_channels: int) -> None:
        """Raises `InputError` for weights that are of other images."""
        if self.encoder_weights_sha256 is not None and in_channels not in (1, 3):
            raise InputError(
                f"encoder_weights are for images in colour or grey, and data.channels is {in_channels}: leave them "
                "out, or take three channels by data.use_channels"
            )

    def build(self, in_channels: int, classes: int) -> nn.Module:
        self.check_channels(in_channels)
        model = super().build(in_channels, classes)
        if self.encoder_weights is not None and not next(model.parameters()).is_meta:
            from ablate.models.encoder_weights import load_encoder_weights

            load_encoder_weights(model.encoder, self.encoder_weights)  # type: ignore[arg-type]
        return model

    @property
    def downsampling(self) -> int:
        return 32

    @model_validator(mode="after")
    def _hash_weights(self) -> _WithEncoderWeights:
        if self.encoder_weights is not None:
            try:
                digest = hashlib.sha256(read_regular(self.encoder_weights.resolve())).hexdigest()
            except (OSError, RuntimeError, ValueError) as error:  # the latter: links in a circle, a null byte
                reason = getattr(error, "strerror", None) or error
                raise ValueError(f"encoder weights '{brief(self.encoder_weights)}' cannot be read: {reason}") from error
            object.__setattr__(self, "encoder_weights_sha256", digest)
            object.__setattr__(self, "encoder_weights", Path(self.encoder_weights).absolute())  # workers move about
        return self


class ResNet34UNet(_WithEncoderWeights):
    """ResNet-34 encoder with LinkNet-style decoder blocks, added to the encoder's features."""

    module = "ablate.models.resnet34_unet:ResNet34UNet"
    name: Literal["resnet34_unet"] = "resnet34_unet"
    norm: Annotated[Normalisation, Since("0.2")] = "batch"
    dropout: Annotated[Dropout, Since("0.2")] = 0.0

    @model_validator(mode="after")
    def _weights_are_of_batch_norm(self) -> ResNet34UNet:
        if self.encoder_weights_sha256 is not None and self.norm != "batch":
            raise ValueError(
                f"norm {self.norm}: a file of ResNet-34's weights holds batch norms; "
                "use norm batch, or leave encoder_weights out"
            )
        return self


class FCN8s(_WithEncoderWeights):
    """FCN-8s on VGG-16's convolutional layers. VGG-16 has no normalisation: `norm` is the decoder's."""

    module = "ablate.models.fcn8s:FCN8s"
    name: Literal["fcn8s"] = "fcn8s"
    norm: Annotated[Normalisation, Since("0.2")] = "batch"
    dropout: Annotated[Dropout, Since("0.2")] = 0.0


Levels = tuple[Whole, ...]


class PyConvUNet(_Stages):
    """U-Net whose convolutions are pyramidal (Li et al. 2021; PyConv: Duta et al. 2020).

    `kernels` and `groups` list a pyramid's levels: one list for every stage, or one list a stage, the first stage being
    the highest resolution. A decoder stage uses the list of the encoder stage of its resolution.
    `share` divides a layer's output channels among its levels: `pyramid` (…, 1/8, 1/4, 1/2: half to the largest
    kernel), `quarters` (each of four levels one: Duta's), `equal`, or explicit fractions that sum to one.
    A `plain` block is two PyConvs; a `bottleneck` is 1×1 → PyConv → 1×1, its inner width the outer divided by
    `expansion`, with a skip around it if `residual`. A `published` block is a bottleneck as the paper's code has it,
    with its widths mended: it begins with a 1×1 at the image too, and a norm and a ReLU more follow it.
    Each stage has `blocks` of them.
    """

    module = "ablate.models.unet:PyConvUNet"
    name: Literal["pyconvunet"] = "pyconvunet"
    kernels: Levels | tuple[Levels, ...] = (3, 5, 7, 9)
    groups: Levels | tuple[Levels, ...] = (1, 4, 8, 16)
    share: Literal["pyramid", "quarters", "equal"] | tuple[Number, ...] = "pyramid"
    block: Literal["plain", "bottleneck", "published"] = "plain"
    blocks: Whole = Field(1, ge=1, le=8)
    expansion: Whole = Field(1, ge=1, le=MOST_CHANNELS)
    residual: bool = False
    width: Whole = Field(32, ge=1, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=8)
    upsampling: Upsampling = "transposed"
    norm: Annotated[Normalisation, Since("0.2")] = "batch"
    dropout: Annotated[Dropout, Since("0.2")] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _plain_has_no_bottleneck(cls, fields: Any) -> Any:
        """The canonical form: what a plain block does not have makes no difference."""
        if isinstance(fields, dict) and fields.get("block", "plain") == "plain":
            return {name: value for name, value in fields.items() if name not in ("expansion", "residual")}
        return fields

    @model_validator(mode="after")
    def _consistent(self) -> PyConvUNet:
        for field in ("kernels", "groups"):
            value = getattr(self, field)
            if not value or (isinstance(value[0], tuple) and (len(value) != self.stages or not all(value))):
                raise ValueError(
                    f"{field} {_brief(value)}: expected one list of levels, or {self.stages} lists, one for each stage"
                )
        for stage in range(self.stages):
            kernels, groups = self.levels(stage)
            if len(kernels) != len(groups):
                raise ValueError(
                    f"stage {stage + 1} has {len(kernels)} kernels {_brief(kernels)} but {len(groups)} groups "
                    f"{_brief(groups)}: give each level one of both"
                )
            if len(kernels) > _MOST_LEVELS:
                raise ValueError(f"stage {stage + 1} has {len(kernels)} levels: expected at most {_MOST_LEVELS}")
            for kernel, group in zip(kernels, groups, strict=True):
                if kernel < 1 or kernel % 2 == 0:
                    raise ValueError(f"kernel {kernel}: same padding needs an odd size of at least 1")
                if kernel > _MOST_KERNEL:
                    raise ValueError(f"kernel {kernel}: expected at most {_MOST_KERNEL}")
                if not 1 <= group <= MOST_CHANNELS:
                    raise ValueError(f"groups {group}: expected 1 to {MOST_CHANNELS}")
            if isinstance(self.share, tuple) and len(self.share) != len(kernels):
                raise ValueError(
                    f"share has {len(self.share)} fractions for the {len(kernels)} levels of stage {stage + 1}"
                )
        if isinstance(self.share, tuple) and (min(self.share) <= 0 or abs(sum(self.share) - 1) > 1e-9):
            raise ValueError(f"share {_brief(self.share)}: expected positive fractions that sum to 1")
        return self

    @model_validator(mode="after")
    def _one_list_where_all_stages_agree(self) -> PyConvUNet:
        """The canonical form: two ways of writing one network are one configuration."""
        for field in ("kernels", "groups"):
            value = getattr(self, field)
            if isinstance(value[0], tuple) and len(set(value)) == 1:
                object.__setattr__(self, field, value[0])
        return self

    def levels(self, stage: int) -> tuple[Levels, Levels]:
        """The kernels and groups of `stage`'s pyramid (0 is the highest resolution)."""

        def of_stage(value: Levels | tuple[Levels, ...]) -> Levels:
            return value[stage] if isinstance(value[0], tuple) else value

        return of_stage(self.kernels), of_stage(self.groups)


def _brief(value: Any) -> str:
    return brief(json.dumps(value))
