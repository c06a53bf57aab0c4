"""What a trial is: the configuration of one training of one network with one seed, and its key.

Everything that decides a trial's numbers is here, and nothing else: resources, paths and parallelism are not. The key
is a hash of the canonical form, so the same experiment has the same key on every machine, in every study.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator
from pydantic_core import to_json

from ablate.data.fit import fit_of
from ablate.data.settings import Split
from ablate.errors import unknown
from ablate.kinds import of_kind
from ablate.metrics.counts import says_unit
from ablate.part import Part
from ablate.settings import MOST_SEED, Config, Number, Since, Whole
from ablate.study.tables import MOST_METRICS, is_metric_label

SCHEMA_VERSION = 1
KEY_LENGTH = 12

Augmentation = Literal["hflip", "vflip", "rot90", "rot180"]
Flip = Literal["hflip", "vflip"]
Initialisation = Literal["kaiming", "xavier", "orthogonal", "normal"]
SELECTED_BY = ("dice", "iou", "miou", "loss")
"""What the best epoch can be best by, beside the trial's own metrics."""


class Protocol(Config):
    """How long a network is trained, on which images, and how it is judged."""

    epochs: Whole = Field(50, ge=1, le=1_000_000)
    batch_size: Whole = Field(5, ge=1, le=100_000)
    learning_rate: Number = Field(1e-3, ge=1e-12, le=1e30)
    augment: tuple[Augmentation, ...] = ("hflip", "vflip", "rot90", "rot180")
    """Each is applied to each training image with probability 1/2, in this order."""
    split: Split = Split()
    warmup_epochs: Annotated[Whole, Since("0.2")] = Field(0, ge=0, le=1_000_000)
    """The learning rate rises evenly over the steps of so many epochs; the schedule runs over what is left."""
    clip_norm: Annotated[Number | None, Since("0.2")] = Field(None, gt=0, le=1e30)
    """What the norm of all gradients together is cut to in each step."""
    patience: Annotated[Whole | None, Since("0.2")] = Field(None, ge=1, le=1_000_000)
    """A training ends after so many epochs in a row without a better one."""
    ema: Annotated[Number, Since("0.2")] = Field(0.0, ge=0, lt=1)
    """Decay of an exponential moving average of the weights, which is what is validated, selected, tested and kept."""
    deep_supervision: Annotated[tuple[Number, ...] | None, Since("0.2")] = Field(None, min_length=1, max_length=64)
    """Weights of the heads of a network that has several, its output last; without, they count the same."""
    select: Annotated[str, Since("0.2")] = Field("dice", pattern=r"^[A-Za-z_][\w.:-]{0,79}$")
    """What the best epoch is best by, on the validation images: `dice`, `iou`, `miou`, `loss`, or a metric's label."""
    initialisation: Annotated[Initialisation | None, Since("0.2")] = None
    """How weights of convolutions and linear layers are drawn; without, as the network does by itself."""
    test_flips: Annotated[tuple[Flip, ...], Since("0.2")] = ()
    """Test images, and those of `ablate predict`, get the mean of the probabilities of their flips. Validation images
    do not: it would make each epoch dearer."""
    patches_per_image: Annotated[Whole, Since("0.2")] = Field(1, ge=1, le=100_000)
    """With `data.fit` of `patches`: what an epoch has of each training image."""
    patch_foreground: Annotated[Number, Since("0.2")] = Field(0.33, ge=0, le=1)
    """With `data.fit` of `patches`: the probability of a patch to be about a foreground pixel, as far as it can be
    without leaving the image: first a class is drawn of those in the mask, then one of its pixels (nnU-Net). The others
    lie anywhere."""
    window_overlap: Annotated[Number, Since("0.2")] = Field(0.5, ge=0, le=0.95)
    """With `data.fit` of `patches`: by which share windows overlap their neighbours where a whole image is predicted,
    to be validated, tested or segmented."""

    compile: Annotated[bool, Since("0.2")] = False
    """Training steps run through `torch.compile`, which rounds otherwise than PyTorch's own operations. What is
    validated, tested and predicted is not compiled."""

    @field_validator("augment")
    @classmethod
    def _canonical_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in get_args(Augmentation) if name in value)

    @field_validator("test_flips")
    @classmethod
    def _canonical_flips(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in get_args(Flip) if name in value)

    @field_validator("deep_supervision")
    @classmethod
    def _weights(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not (min(value) >= 0 and 0 < sum(value) <= 1e30):
            raise ValueError("expected weights of at least 0, and one above it")
        return value

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Protocol:
        if self.warmup_epochs and self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs}: expected fewer than the {self.epochs} epochs")
        return self


TRIVIAL = ("all_foreground", "all_background", "mean_mask")
"""Predictors that look at no image. Every study scores all three, so that a number can be held against them."""


class TrialConfig(Config):
    """One training of one configuration with one seed. Its parts are plain data (`ablate.part`)."""

    schema_version: int = SCHEMA_VERSION
    model: of_kind("network")  # type: ignore[valid-type]
    data: of_kind("data set")  # type: ignore[valid-type]
    protocol: Protocol = Protocol()
    loss: Annotated[of_kind("loss"), Since("0.2")] = Part({"name": "cross_entropy"})  # type: ignore[valid-type]
    optimizer: Annotated[of_kind("optimizer"), Since("0.2")] = Part({"name": "adam"})  # type: ignore[valid-type]
    schedule: Annotated[of_kind("schedule"), Since("0.2")] = Part({"name": "constant"})  # type: ignore[valid-type]
    augmentation: Annotated[tuple[of_kind("augmentation"), ...], Since("0.2")] = ()  # type: ignore[valid-type]
    """Beside `protocol.augment`, and after it, in this order."""
    metrics: Annotated[tuple[of_kind("metric"), ...], Since("0.2")] = Field((), max_length=MOST_METRICS)  # type: ignore[valid-type]
    """Scores of each test image and class beside those that follow from its confusion counts."""
    seed: Whole = Field(0, ge=0, le=MOST_SEED)

    @field_validator("model", mode="before")
    @classmethod
    def _trivial_by_name(cls, value: Any) -> Any:
        return Part(value) if isinstance(value, dict) and value.get("name") in TRIVIAL else value

    @model_validator(mode="after")
    def _rotations_need_squares(self) -> TrialConfig:
        height, width = self.data.size
        if "rot90" in self.protocol.augment and height != width:
            raise ValueError(f"augment rot90 needs square images, not {height}x{width}: drop it or change data.size")
        return self

    @model_validator(mode="after")
    def _patches_where_they_are_drawn(self) -> TrialConfig:
        if fit_of(self.data) != "patches":
            for name in ("patches_per_image", "patch_foreground", "window_overlap"):
                if getattr(self.protocol, name) != Protocol.model_fields[name].default:
                    raise ValueError(f"protocol.{name}: no patches are drawn; set data.fit to patches, or leave it out")
        return self

    @model_validator(mode="after")
    def _selects_by_what_it_has(self) -> TrialConfig:
        known = (*SELECTED_BY, *self.metric_labels)
        if self.protocol.select not in known:
            raise unknown("protocol.select", self.protocol.select, known)
        return self

    @cached_property
    def key(self) -> str:
        """SHA-256 (first 12 hex) of the canonical configuration."""
        return _digest(self.canonical())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("key", None)  # it is that of what was copied
        return copied

    @property
    def cell(self) -> str:
        """The key without the seed and the fold: what all seeds and folds of this configuration share."""
        return _digest(self.of_fold(0).canonical("seed"))

    @property
    def cell_by_fold(self) -> str:
        """What version 0.1 called the cell: each fold had its own. Records and measurements of then name it."""
        return _digest(self.canonical("seed"))

    @property
    def fold(self) -> int | None:
        """Which fold of its cell it is; None where the split has none."""
        split = self.protocol.split
        return split.fold if split.method == "kfold" else None

    def of_fold(self, fold: int) -> Self:
        """The same trial on another fold of its split."""
        split = self.protocol.split
        if split.fold == fold:
            return self
        protocol = self.protocol.model_copy(update={"split": split.model_copy(update={"fold": fold})})
        return self.model_copy(update={"protocol": protocol})

    def to_file(self) -> bytes:
        """The canonical form as a trial's folder keeps it."""
        return to_json(self.canonical(), indent=1)

    @property
    def is_trivial(self) -> bool:
        return self.model.name in TRIVIAL

    def trivial(self) -> list[TrialConfig]:
        """The three trivial predictors on this trial's data and split, scored by its metrics; the rest of it does not
        matter."""
        same = {"data": self.data, "protocol": Protocol(augment=(), split=self.protocol.split), "metrics": self.metrics}
        return [TrialConfig(model=Part({"name": n}), **same) for n in TRIVIAL]

    @property
    def metric_labels(self) -> tuple[str, ...]:
        """What each of `metrics` is called in tables, each another name: its short name, or that of its class or
        function. One that says something else there, or that several have, is numbered: `surface_dice_2`."""
        names = [
            re.sub(r"\W", "_", part.name.rpartition(":")[2].rpartition(".")[2][:60], flags=re.ASCII)
            for part in self.metrics
        ]
        labels: list[str] = []
        for number, name in enumerate(names, 1):
            numbered = (f"{'metric' if name[:1].isdigit() else name}_{n}" for n in itertools.count(number))
            candidates = itertools.chain([name] if names.count(name) == 1 else [], numbered)
            # A unit at its end is said by the tables, where it is known.
            free = (one for one in candidates if is_metric_label(one) and not says_unit(one))
            labels.append(next(one for one in free if one not in labels))
        return tuple(labels)

    @property
    def parts(self) -> dict[str, Part]:
        """Every part, by its place in the configuration: `augmentation.1` is the first of several."""
        single = {name: getattr(self, name) for name in ("model", "data", "loss", "optimizer", "schedule")}
        several = {"augmentation": self.augmentation, "metrics": self.metrics}
        return single | {f"{name}.{n}": part for name, parts in several.items() for n, part in enumerate(parts, 1)}


def _digest(canonical: dict[str, Any]) -> str:
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
