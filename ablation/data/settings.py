"""The settings of every data set, and of its split. Nothing here reads one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ablate.settings import MOST_SEED, MOST_SIDE, Config, Number, Since, Whole, no_path_from_json

if TYPE_CHECKING:
    from ablate.data.source import Sample


class DataSource(Config):
    """Base of all data sets: how its images reach the network, where it is, what is in it; and `read`.

    class Retina(ablate.DataSource):
        n_classes: int = 1

        def read(self):
            return [ablate.Sample(file.stem, file.stem, image, mask) for ... in sorted(self.root.iterdir())]
    """

    module: ClassVar[str] = ""
    """The module that reads it (`read`) and describes it (`INFO`), if not here."""
    size: tuple[Whole, Whole] = (128, 128)
    """Height and width in pixels that images and masks are brought to."""
    channels: Literal[1, 3] = 1
    """Input channels: grey images are repeated for 3, colour images averaged for 1."""
    root: Path | None = Field(None, exclude=True)
    """Where the files are (`--data-dir`)."""
    fingerprint: str = Field("", max_length=64)
    """SHA-256 (first 12 hex) of the decoded images and masks; `ablate.data.load` fills it in."""

    n_classes: Annotated[Whole, Since("0.2")] = Field(1, ge=1, le=255)
    """1 is foreground against background (sigmoid); more are classes with 0 the background."""

    @property
    def classes(self) -> int:
        """Output channels."""
        return self.n_classes

    def read(self) -> list[Sample]:
        """Every image with its mask, as decoded, in a fixed order.

        Raises `InputError`, in one line, for files that are missing or unfit.
        """
        samples: list[Sample] = importlib.import_module(self.module).read(self)
        return samples

    @property
    def called(self) -> str:
        """As messages call it."""
        return str(getattr(self, "name", type(self).__name__))

    @field_validator("size")
    @classmethod
    def _positive(cls, value: tuple[int, int]) -> tuple[int, int]:
        if min(value) < 8:
            raise ValueError(f"size {value[0]}x{value[1]}: expected at least 8 pixels a side")
        if max(value) > MOST_SIDE:
            raise ValueError(f"size {value[0]}x{value[1]}: expected at most {MOST_SIDE} pixels a side")
        return value

    _stay_out_of_json = field_validator("root")(no_path_from_json)


class Mni152(DataSource):
    """Axial slices of the MNI152 T1 template with its tissue masks, packaged in nilearn's wheel."""

    module = "ablate.data.mni152"
    name: Literal["mni152"] = "mni152"
    size: tuple[Whole, Whole] = (96, 96)
    target: Literal["grey_matter", "white_matter", "brain"] = "grey_matter"
    slices: Whole = Field(60, ge=5, le=125)


class Isbi2012(DataSource):
    """ISBI 2012 EM challenge, training stack: 30 slices of 512×512 (the paper's ISBICell)."""

    module = "ablate.data.isbi2012"
    name: Literal["isbi2012"] = "isbi2012"


class KaggleLung(DataSource):
    """Finding and Measuring Lungs in CT Data (Kaggle): 2d_images/ and 2d_masks/."""

    module = "ablate.data.kaggle_lung"
    name: Literal["kaggle_lung"] = "kaggle_lung"


class Liver(DataSource):
    """stevenazy/liver-dataset (Kaggle): train/ and val/, each 000.png with 000_mask.png."""

    module = "ablate.data.liver"
    name: Literal["liver"] = "liver"


class Folder(DataSource):
    """Any folder with images/ and masks/ whose files have matching stems."""

    module = "ablate.data.folder"
    name: Literal["folder"] = "folder"
    n_classes: Whole = Field(1, ge=1, le=255)


class Phantom(DataSource):
    """Generated ellipses with known masks. `blur` widens the boundary, `noise` hides it.

    `blur` is the standard deviation of a Gaussian in pixels, `noise` that of additive Gaussian noise in units of the
    contrast between object and background. `scale` shrinks the ellipses: at 0.25 they cover some 1 % of the image.
    """

    module = "ablate.data.phantom"
    name: Literal["phantom"] = "phantom"
    count: Whole = Field(60, ge=5, le=10_000)
    blur: Number = Field(0.0, ge=0, le=100)
    noise: Number = Field(0.25, ge=0, le=1000)
    scale: Annotated[Number, Since("0.2")] = Field(1.0, gt=0, le=1)
    seed: Whole = Field(0, ge=0, le=MOST_SEED)


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
