"""What a trial is: the configuration of one training of one network with one seed, and its key.

Everything that decides a trial's numbers is here, and nothing else: resources, paths and parallelism are not. The key
is a hash of the canonical form, so the same experiment has the same key on every machine, in every study.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import to_json

from ablate.errors import InputError, brief, unknown
from ablate.files import read_regular

SCHEMA_VERSION = 1
KEY_LENGTH = 12

# A configuration may be a stranger's, so every field is bounded, far above what anyone trains: what is within them can
# be priced and refused by its cost, and no number overflows on the way there.
MOST_CHANNELS = 65_536
MOST_SIDE = 16_384
MOST_SEED = 2**63 - 1
_MOST_KERNEL = 1023
_MOST_LEVELS = 8


class Since(NamedTuple):
    """Marks a field that a part got later, in `version`; its default must be what versions without the field did.

    At its default it is no part of the canonical form, so what older versions trained has the key it always had:

        dropout: Annotated[Number, Since("0.2")] = Field(0.0, ge=0, lt=1)
    """

    version: str


class Config(BaseModel):
    """Base of every part: immutable, numbers finite, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _leave_out_what_older_versions_had_not(
        self, dump: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if info.context is not _CANONICAL:
            return fields
        known = type(self).model_fields
        later = {name for name in fields if any(isinstance(mark, Since) for mark in known[name].metadata)}
        same = {name for name in later if getattr(self, name) == known[name].get_default(call_default_factory=True)}
        return {name: value for name, value in fields.items() if name not in same}

    def canonical(self, *but: str) -> dict[str, Any]:
        """What this part is, as plain data, `but` for some fields: the same in every version that can express it."""
        return self.model_dump(mode="json", exclude=set(but), context=_CANONICAL)


_CANONICAL = {"canonical": True}


def not_a_truth_value(value: Any) -> Any:
    """For what must be a number: pydantic takes true for 1. Raises `ValueError`."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, not {str(value).lower()}")
    return value


Whole = Annotated[int, BeforeValidator(not_a_truth_value)]
Number = Annotated[float, BeforeValidator(not_a_truth_value)]


def _no_path_from_json(path: Path | None, info: ValidationInfo) -> Path | None:
    """The canonical form has no paths. One in a study's file would have this machine read what a stranger names."""
    if path is not None and info.mode == "json":
        raise ValueError("a path has no place in a recorded configuration")
    return path


# Networks ------------------------------------------------------------------------------------------------------------

Upsampling = Literal["transposed", "bilinear"]


class UNet(Config):
    """U-Net with same padding and batch norm: `stages` stages of widths `width`, 2·`width`, 4·`width`, ..."""

    name: Literal["unet"] = "unet"
    width: Whole = Field(32, ge=1, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=8)
    upsampling: Upsampling = "transposed"


class UNetPlusPlus(Config):
    """UNet++: nested dense skips, bilinear up-sampling, and a head on each of the top row's nodes."""

    name: Literal["unet_plus_plus"] = "unet_plus_plus"
    width: Whole = Field(32, ge=1, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=6)
    deep_supervision: bool = True


class AttentionUNet(Config):
    """Attention U-Net: an additive attention gate on each skip connection."""

    name: Literal["attention_unet"] = "attention_unet"
    width: Whole = Field(64, ge=2, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=8)


class _WithEncoderWeights(Config):
    """A network whose encoder can start from a local weights file. The file's hash is in the key, its path is not."""

    encoder_weights: Path | None = Field(None, exclude=True)
    encoder_weights_sha256: str | None = Field(None, max_length=64)

    _stay_out_of_json = field_validator("encoder_weights")(_no_path_from_json)

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

    name: Literal["resnet34_unet"] = "resnet34_unet"


class FCN8s(_WithEncoderWeights):
    """FCN-8s on VGG-16's convolutional layers."""

    name: Literal["fcn8s"] = "fcn8s"


Levels = tuple[Whole, ...]


class PyConvUNet(Config):
    """U-Net whose convolutions are pyramidal (Li et al. 2021; PyConv: Duta et al. 2020).

    `kernels` and `groups` list a pyramid's levels: one list for every stage, or one list a stage, the first stage being
    the highest resolution. A decoder stage uses the list of the encoder stage of its resolution.
    `share` divides a layer's output channels among its levels: `pyramid` (…, 1/8, 1/4, 1/2: half to the largest
    kernel), `equal`, or explicit fractions that sum to one.
    A `plain` block is two PyConvs; a `bottleneck` is 1×1 → PyConv → 1×1, its inner width the outer divided by
    `expansion`, with a skip around it if `residual`. Each stage has `blocks` of them.
    """

    name: Literal["pyconvunet"] = "pyconvunet"
    kernels: Levels | tuple[Levels, ...] = (3, 5, 7, 9)
    groups: Levels | tuple[Levels, ...] = (1, 4, 8, 16)
    share: Literal["pyramid", "equal"] | tuple[Number, ...] = "pyramid"
    block: Literal["plain", "bottleneck"] = "plain"
    blocks: Whole = Field(1, ge=1, le=8)
    expansion: Whole = Field(1, ge=1, le=MOST_CHANNELS)
    residual: bool = False
    width: Whole = Field(32, ge=1, le=MOST_CHANNELS)
    stages: Whole = Field(5, ge=2, le=8)
    upsampling: Upsampling = "transposed"

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


Network = UNet | UNetPlusPlus | AttentionUNet | ResNet34UNet | FCN8s | PyConvUNet


class Trivial(Config):
    """A predictor that looks at no image. Every study scores all three, so that a number can be held against them."""

    name: Literal["all_foreground", "all_background", "mean_mask"]


Model = Annotated[Network | Trivial, Field(discriminator="name")]
NETWORKS: dict[str, type[Network]] = {
    "unet": UNet,
    "unet_plus_plus": UNetPlusPlus,
    "attention_unet": AttentionUNet,
    "resnet34_unet": ResNet34UNet,
    "fcn8s": FCN8s,
    "pyconvunet": PyConvUNet,
}
TRIVIAL = ("all_foreground", "all_background", "mean_mask")

# Data ----------------------------------------------------------------------------------------------------------------


class _Source(Config):
    """What every data set has: how its images reach the network, where it is, and what is in it."""

    size: tuple[Whole, Whole] = (128, 128)
    """Height and width in pixels that images and masks are brought to."""
    channels: Literal[1, 3] = 1
    """Input channels: grey images are repeated for 3, colour images averaged for 1."""
    root: Path | None = Field(None, exclude=True)
    """Where the files are (`--data-dir`)."""
    fingerprint: str = Field("", max_length=64)
    """SHA-256 (first 12 hex) of the decoded images and masks; `ablate.data.load_data` fills it in."""

    @property
    def classes(self) -> int:
        """Output channels: 1 is foreground against background (sigmoid); more are classes with 0 the background."""
        return 1

    @field_validator("size")
    @classmethod
    def _positive(cls, value: tuple[int, int]) -> tuple[int, int]:
        if min(value) < 8:
            raise ValueError(f"size {value[0]}x{value[1]}: expected at least 8 pixels a side")
        if max(value) > MOST_SIDE:
            raise ValueError(f"size {value[0]}x{value[1]}: expected at most {MOST_SIDE} pixels a side")
        return value

    _stay_out_of_json = field_validator("root")(_no_path_from_json)


class Mni152(_Source):
    """Axial slices of the MNI152 T1 template with its tissue masks, packaged in nilearn's wheel."""

    name: Literal["mni152"] = "mni152"
    size: tuple[Whole, Whole] = (96, 96)
    target: Literal["grey_matter", "white_matter", "brain"] = "grey_matter"
    slices: Whole = Field(60, ge=5, le=125)


class Isbi2012(_Source):
    """ISBI 2012 EM challenge, training stack: 30 slices of 512×512 (the paper's ISBICell)."""

    name: Literal["isbi2012"] = "isbi2012"


class KaggleLung(_Source):
    """Finding and Measuring Lungs in CT Data (Kaggle): 2d_images/ and 2d_masks/."""

    name: Literal["kaggle_lung"] = "kaggle_lung"


class Liver(_Source):
    """stevenazy/liver-dataset (Kaggle): train/ and val/, each 000.png with 000_mask.png."""

    name: Literal["liver"] = "liver"


class Folder(_Source):
    """Any folder with images/ and masks/ whose files have matching stems."""

    name: Literal["folder"] = "folder"
    n_classes: Whole = Field(1, ge=1, le=255)

    @property
    def classes(self) -> int:
        return self.n_classes


class Phantom(_Source):
    """Generated ellipses with known masks. `blur` widens the boundary, `noise` hides it.

    `blur` is the standard deviation of a Gaussian in pixels, `noise` that of additive Gaussian noise in units of the
    contrast between object and background.
    """

    name: Literal["phantom"] = "phantom"
    count: Whole = Field(60, ge=5, le=10_000)
    blur: Number = Field(0.0, ge=0, le=100)
    noise: Number = Field(0.25, ge=0, le=1000)
    seed: Whole = Field(0, ge=0, le=MOST_SEED)


Data = Annotated[Mni152 | Isbi2012 | KaggleLung | Liver | Folder | Phantom, Field(discriminator="name")]
SOURCES: dict[str, type[Mni152 | Isbi2012 | KaggleLung | Liver | Folder | Phantom]] = {
    "mni152": Mni152,
    "isbi2012": Isbi2012,
    "kaggle_lung": KaggleLung,
    "liver": Liver,
    "folder": Folder,
    "phantom": Phantom,
}

# Protocol ------------------------------------------------------------------------------------------------------------


class Split(Config):
    """Which images train, which select the epoch (validation), and which judge (test).

    `fractions`: `test` and `val` of the images, the rest train. `kfold`: fold number `fold` of `folds` tests and the
    next one validates. Without `shuffle` the parts are contiguous blocks in the images' order (train, validation,
    test), as consecutive slices of one stack need; with it the images, or the volumes they come from, are permuted by
    `seed`.
    `paper`: scikit-learn's `train_test_split(test_size=0.2, random_state=41)` whose 20 % both select and judge, as in
    the paper's code: optimistic on purpose.
    """

    method: Literal["fractions", "kfold", "paper"] = "fractions"
    shuffle: bool = True
    seed: Whole = Field(0, ge=0, le=MOST_SEED)
    val: Number = Field(0.2, gt=0, lt=1)
    test: Number = Field(0.2, gt=0, lt=1)
    folds: Whole = Field(5, ge=3, le=100_000)
    fold: Whole = Field(0, ge=0, le=100_000)

    @model_validator(mode="before")
    @classmethod
    def _only_what_the_method_uses(cls, fields: Any) -> Any:
        """The canonical form: what a method does not use makes no difference."""
        if not isinstance(fields, dict):
            return fields
        method = str(fields.get("method", "fractions"))
        unused = {"fractions": {"folds", "fold"}, "kfold": {"val", "test"}}.get(method, set())
        if method == "paper":
            unused = {"shuffle", "seed", "val", "test", "folds", "fold"}
        elif not fields.get("shuffle", True):
            unused |= {"seed"}
        return {name: value for name, value in fields.items() if name not in unused}

    @model_validator(mode="after")
    def _consistent(self) -> Split:
        if self.val + self.test >= 1:
            raise ValueError(f"val {self.val} and test {self.test} leave nothing to train on")
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: folds are counted from 0")
        return self


Augmentation = Literal["hflip", "vflip", "rot90", "rot180"]


class Protocol(Config):
    """How a network is trained and judged: Adam on binary cross-entropy (cross-entropy for several classes)."""

    epochs: Whole = Field(50, ge=1, le=1_000_000)
    batch_size: Whole = Field(5, ge=1, le=100_000)
    learning_rate: Number = Field(1e-3, ge=1e-12, le=1e30)
    augment: tuple[Augmentation, ...] = ("hflip", "vflip", "rot90", "rot180")
    """Each is applied to each training image with probability 1/2, in this order."""
    split: Split = Split()

    @field_validator("augment")
    @classmethod
    def _canonical_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in get_args(Augmentation) if name in value)


# Trials --------------------------------------------------------------------------------------------------------------


class TrialConfig(Config):
    """One training of one configuration with one seed."""

    schema_version: int = SCHEMA_VERSION
    model: Model
    data: Data
    protocol: Protocol = Protocol()
    seed: Whole = Field(0, ge=0, le=MOST_SEED)

    @model_validator(mode="after")
    def _rotations_need_squares(self) -> TrialConfig:
        height, width = self.data.size
        if "rot90" in self.protocol.augment and height != width:
            raise ValueError(f"augment rot90 needs square images, not {height}x{width}: drop it or change data.size")
        return self

    @property
    def key(self) -> str:
        """SHA-256 (first 12 hex) of the canonical configuration."""
        return _digest(self.canonical())

    @property
    def cell(self) -> str:
        """The key without the seed: what all seeds of this configuration share."""
        return _digest(self.canonical("seed"))

    def to_file(self) -> bytes:
        """The canonical form as a trial's folder keeps it."""
        return to_json(self.canonical(), indent=1)

    @property
    def is_trivial(self) -> bool:
        return isinstance(self.model, Trivial)

    def trivial(self) -> list[TrialConfig]:
        """The three trivial predictors on this trial's data and split (the rest of the protocol does not matter)."""
        protocol = Protocol(augment=(), split=self.protocol.split)
        return [TrialConfig(model=Trivial(name=n), data=self.data, protocol=protocol) for n in TRIVIAL]


def _digest(canonical: dict[str, Any]) -> str:
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def network(name: str, **fields: Any) -> Network:
    """The configuration of network `name`. Raises `InputError` for a name or a field that does not exist."""
    if name not in NETWORKS:
        raise unknown("model", name, NETWORKS)
    return parse(NETWORKS[name], fields, f"model {name}")


Part = TypeVar("Part", bound=BaseModel)
_TYPES = re.compile(r".*\[.*|int|float|constrained-.*")
"""What pydantic calls the one it tried, of a field that takes either of two types: `int`, `tuple[int, ...]`."""


def parse(cls: type[Part], fields: dict[str, Any], what: str) -> Part:
    """`cls` from plain data. Raises `InputError` with one line that names the first field that does not fit."""
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{what}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """The first of pydantic's complaints, as one line."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"there is no field '{brief('.'.join(map(str, first['loc'])))}'"
    place = ".".join(str(part) for part in first["loc"] if not _TYPES.fullmatch(str(part)))
    shown = f"'{brief(first['input'])}'" if isinstance(first["input"], str) else brief(first["input"])
    given = "" if first["type"] == "value_error" else f" (given: {shown})"
    return f"{place}: {message}{given}" if place else message + given
