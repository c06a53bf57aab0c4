"""The settings of every data set, and of its split. Nothing here reads one."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ablate.data.value_settings import Intensity, OneClass, as_colour, in_order
from ablate.errors import brief
from ablate.settings import MOST_SEED, MOST_SIDE, Config, Number, Since, Whole, no_path_from_json

if TYPE_CHECKING:
    from ablate.data.source import Sample


PART_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What the parts of a fixed split may be called."""


def is_table(text: str) -> bool:
    """Whether `data.case` or `data.parts` names a CSV."""
    return text.lower().endswith(".csv")


def _plain_name(text: str) -> str:
    """A recorded configuration may be a stranger's, so a table is named as it lies in the data set's own folder."""
    if "/" in text or "\\" in text or not text.isprintable():
        raise ValueError(f"'{brief(text)}': expected the name of a CSV in the data set's folder, without a path")
    return text


class DataSource(Config):
    """Base of all data sets: how its images reach the network, where it is, what is in it; and `read`.

    class Retina(ablate.DataSource):
        n_classes: int = 1

        def read(self):
            return [ablate.Sample(file.stem, file.stem, image, mask) for ... in sorted(self.root.iterdir())]
    """

    module: ClassVar[str] = ""
    """The module that reads it (`read`) and describes it (`INFO`), if not here."""
    is_own: ClassVar[bool] = False
    """Whether its files may be anyone's: then it is called as its folder is, where it has no title."""
    is_built_in: ClassVar[bool] = False
    """Whether it needs no files, and reads none."""
    size: tuple[Whole, Whole] = (128, 128)
    """Height and width in pixels that images and masks are brought to."""
    channels: Whole = Field(1, ge=1, le=256)
    """Input channels: grey images are repeated for 3, colour images averaged for 1; any other number is as stored."""
    root: Path | None = Field(None, exclude=True)
    """Where the files are (`--data-dir`)."""
    title: str = Field("", max_length=80, exclude=True)
    """What tables, reports and the study's default folder call it: no part of what it is."""
    class_names: tuple[str, ...] = Field((), max_length=255, exclude=True)
    """What tables and reports call class 0 (the background), 1, …: no part of what they are."""
    fingerprint: str = Field("", max_length=64)
    """SHA-256 (first 12 hex) of the decoded images and masks; `ablate.data.load` fills it in."""

    n_classes: Annotated[Whole, Since("0.2")] = Field(1, ge=1, le=255)
    """1 is foreground against background (sigmoid); more are classes with 0 the background."""
    case: Annotated[str, Since("0.2")] = Field("", max_length=500)
    """What images are of one case, which a split never divides: a pattern of their names whose group is the case's
    (`(patient[0-9]+)_`), `folder` for the sub-folder they are in, or a CSV in `root` with columns image and case.
    Without, the slices of a volume are one case, and each image of its own is another."""
    parts: Annotated[str, Since("0.2")] = Field("", max_length=500)
    """The split where it is fixed: `folder`, or a CSV in `root` with columns image (or case) and part (train, val,
    test)."""
    spacing: Annotated[tuple[Number, Number] | None, Since("0.2")] = None
    """Millimetres from one row to the next and from one column to the next; without, as the files say."""
    fit: Annotated[Literal["stretch", "pad", "patches"], Since("0.2")] = "stretch"
    """How images come to `size`: resized whatever their aspect; resized by one factor and padded, which is neither
    learnt from nor scored; or not at all, then training draws patches of `size`, and predictions go window by
    window."""
    scored_at: Annotated[Literal["size", "image"], Since("0.2")] = "size"
    """Whether test images are scored at `size`, or at each image's own: predictions are brought back to it, and held
    against the mask as it was drawn. With patches it is the image's own."""

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

    @model_validator(mode="before")
    @classmethod
    def _patches_are_of_whole_images(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or fields.get("fit") != "patches":
            return fields
        if fields.get("scored_at", "image") != "image":
            raise ValueError("scored_at: images of which patches are drawn are scored at their own size: leave it out")
        return fields | {"scored_at": "image"}

    @field_validator("size")
    @classmethod
    def _positive(cls, value: tuple[int, int]) -> tuple[int, int]:
        if min(value) < 8:
            raise ValueError(f"size {value[0]}x{value[1]}: expected at least 8 pixels a side")
        if max(value) > MOST_SIDE:
            raise ValueError(f"size {value[0]}x{value[1]}: expected at most {MOST_SIDE} pixels a side")
        return value

    _stay_out_of_json = field_validator("root")(no_path_from_json)

    @model_validator(mode="before")
    @classmethod
    def _called_as_its_folder(cls, fields: Any) -> Any:
        if cls.is_own and isinstance(fields, dict) and fields.get("root") and not fields.get("title"):
            name = Path(str(fields["root"])).absolute().name
            return {**fields, "title": "".join(c for c in name if c.isprintable())[:80]}
        return fields

    @field_validator("title", "class_names")
    @classmethod
    def _can_be_seen(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        if not all(name.isprintable() and len(name) <= 80 for name in names):
            raise ValueError("expected names of at most 80 characters that can be seen")
        return value

    @model_validator(mode="after")
    def _a_name_for_each_class(self) -> DataSource:
        names, count = self.class_names, max(self.n_classes, 2)
        if names and len(names) != count:
            raise ValueError(
                f"class_names: {len(names)} for {count} classes; name the background first, then each class"
            )
        if len(set(names)) < len(names):
            raise ValueError("class_names: expected names that differ")
        return self

    @field_validator("case")
    @classmethod
    def _tells_cases(cls, value: Any) -> Any:
        if not isinstance(value, str):  # a user's class may have a setting of this name, and of its own type
            return value
        if is_table(value):
            return _plain_name(value)
        try:
            groups = re.compile(value).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"'{brief(value)}' is no pattern: {error}") from None
        if groups > 1:
            raise ValueError(f"'{brief(value)}' has {groups} groups: expected one, which is the case ((?:…) is none)")
        return value

    @field_validator("parts")
    @classmethod
    def _tells_parts(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if is_table(value):
            return _plain_name(value)
        if value not in ("", "folder"):
            raise ValueError(f"'{brief(value)}': expected folder, or the name of a CSV in the data set's folder")
        return value

    @field_validator("spacing")
    @classmethod
    def _is_length(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if isinstance(value, tuple) and not all(0 < side <= 1e6 for side in value):
            raise ValueError(f"spacing {value[0]:g}x{value[1]:g}: expected millimetres above 0")
        return value


class FileSource(DataSource):
    """Base of the data sets that are read from files."""

    labels: Annotated[tuple[OneClass, ...], Since("0.2")] = Field((), max_length=255)
    """What the mask files hold for class 0 (the background), 1, …: a number, or a list of numbers. Of masks in colour
    or with a palette a colour (`"#ff0000"`, a grey level as a number), or a list of these. With names (`{background: 0,
    liver: 1, tumour: [2, 3]}`), those are `class_names`. `n_classes` follows: of two labels it is 1. A value in a mask
    that no label stands for is an error. Without labels, values are taken as `ablate.data.masks` says."""
    ignore: Annotated[OneClass, Since("0.2")] = Field((), max_length=255)
    """What the mask files hold where nobody decided what is there: neither learnt from nor scored."""
    use_channels: Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Since("0.2")] = Field((), max_length=256)
    """Which of the files' channels are read, counted from 0, in this order; without, all of them. `channels` follows,
    if it is not given."""
    slices: Annotated[Literal["axial", "coronal", "sagittal"], Since("0.2")] = "axial"
    """Across which planes a NIfTI volume is cut."""
    axes: Annotated[str, Since("0.2")] = Field("", max_length=4)
    """What the axes of NPY and TIFF files are, in their order: Z slices, Y rows, X columns, C channels (`CYX`, `YXZ`).
    Without, as the file says, or as the shape suggests where the file says nothing."""
    geometry: Annotated[Literal["", "image", "each"], Since("0.2")] = ""
    """Where the headers of an image and its mask differ. `image`: the mask's pixels lie on the image's as they are
    stored, whatever its header says. `each`: each lies where its own header says. Without, it is an error."""
    intensity: Annotated[tuple[Intensity, ...], Since("0.2")] = Field((), max_length=256)
    """How values become what a network sees: one for all channels, or one for each; without, `range`."""

    @property
    def in_colour(self) -> bool:
        """Whether labels are colours: then masks are read as such, and a palette as the colours it stands for."""
        return any(isinstance(value, str) for of_class in self.labels for value in of_class)

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, fields: Any) -> Any:
        """Labels with names, one value for a list of one, and what follows from labels and channels."""
        if not isinstance(fields, dict):
            return fields
        found = dict(fields)
        labels = found.get("labels")
        if isinstance(labels, dict):
            if any(re.fullmatch(r"-?[0-9.]+|#.*", str(name)) for name in labels):
                raise ValueError("labels: expected names with their values, such as {background: 0, liver: 1}")
            found["labels"], names = list(labels.values()), [str(name) for name in labels]
            if list(found.setdefault("class_names", names)) != names:
                raise ValueError("labels name the classes already: leave class_names out")
        if isinstance(found.get("labels"), list | tuple):
            found["labels"] = [v if isinstance(v, list | tuple) else [v] for v in found["labels"]]
            if count := len(found["labels"]):
                own = 1 if count == 2 else count
                if count == 1 or not all(found["labels"]):
                    raise ValueError("labels: expected a value for the background and for each class")
                if found.get("n_classes", own) not in (own, count):
                    raise ValueError(f"labels has {count} classes and n_classes is {brief(found['n_classes'])}")
                found["n_classes"] = own
        if isinstance(found.get("use_channels"), list | tuple) and found["use_channels"]:
            found.setdefault("channels", len(found["use_channels"]))
        for name in ("ignore", "intensity"):
            if name in found and found[name] is not None and not isinstance(found[name], list | tuple):
                found[name] = [found[name]]
        return found

    @field_validator("intensity")
    @classmethod
    def _alike_once(cls, value: tuple[Intensity, ...]) -> tuple[Intensity, ...]:
        """The canonical form: one where all channels have the same, and none for what is without."""
        if len(set(value)) > 1:
            return value
        return () if value[:1] == (Intensity(name="range"),) else value[:1]

    @field_validator("axes")
    @classmethod
    def _are_axes(cls, value: str) -> str:
        named = set(value)
        if value and (len(named) < len(value) or not {"Y", "X"} <= named <= set("ZYXC")):
            raise ValueError(f"'{brief(value)}': expected Y and X, and Z or C where there are such, each once (CYX)")
        return value

    @model_validator(mode="after")
    def _each_label_is_one(self) -> FileSource:
        if self.in_colour:
            object.__setattr__(self, "labels", tuple(in_order(map(as_colour, of_class)) for of_class in self.labels))
            object.__setattr__(self, "ignore", in_order(map(as_colour, self.ignore)))
        values = [value for one in (*self.labels, self.ignore) for value in one]
        twice = [value for value in values if values.count(value) > 1]
        if twice and twice[0] in self.ignore:
            raise ValueError(f"ignore: {twice[0]} stands for a class in labels; give each value one meaning")
        if twice:
            raise ValueError(f"labels: {twice[0]} stands for two classes; give each value one")
        if not self.in_colour and any(isinstance(value, str) for value in self.ignore):
            raise ValueError("ignore is a colour: labels must say which colours the classes have")
        return self

    @model_validator(mode="after")
    def _channels_fit(self) -> FileSource:
        used = len(self.use_channels)
        if used and used != self.channels and {used, self.channels} != {1, 3}:
            raise ValueError(f"use_channels takes {used} channels and data.channels is {self.channels}")
        if len(self.intensity) not in (0, 1, self.channels):
            raise ValueError(f"intensity: expected one, or one for each of {self.channels} channels")
        return self


class Mni152(DataSource):
    """Axial slices of the MNI152 T1 template with its tissue masks, packaged in nilearn's wheel."""

    module = "ablate.data.mni152"
    is_built_in = True
    name: Literal["mni152"] = "mni152"
    size: tuple[Whole, Whole] = (96, 96)
    target: Literal["grey_matter", "white_matter", "brain"] = "grey_matter"
    slices: Whole = Field(60, ge=5, le=125)


class Isbi2012(FileSource):
    """ISBI 2012 EM challenge, training stack: 30 slices of 512×512 (the paper's ISBICell)."""

    module = "ablate.data.isbi2012"
    name: Literal["isbi2012"] = "isbi2012"


class KaggleLung(FileSource):
    """Finding and Measuring Lungs in CT Data (Kaggle): 2d_images/ and 2d_masks/."""

    module = "ablate.data.kaggle_lung"
    name: Literal["kaggle_lung"] = "kaggle_lung"


class Liver(FileSource):
    """stevenazy/liver-dataset (Kaggle): train/ and val/, each 000.png with 000_mask.png."""

    module = "ablate.data.liver"
    name: Literal["liver"] = "liver"


class Folder(FileSource):
    """Any folder with images/ and masks/ whose files have matching stems."""

    module = "ablate.data.folder"
    is_own = True
    name: Literal["folder"] = "folder"
    n_classes: Whole = Field(1, ge=1, le=255)
    mask: Annotated[str, Since("0.2")] = Field("", max_length=200)
    """What a mask is called: what follows its image's name (`_mask`), or a pattern with * for that name (`seg_*`). Then
    masks lie in masks/, or beside the images, in images/ or in the folder itself."""

    @field_validator("mask")
    @classmethod
    def _is_one_pattern(cls, value: str) -> str:
        pattern = value if "*" in value or not value else f"*{value}"
        if pattern.count("*") > 1 or pattern == "*" or "/" in pattern or not pattern.isprintable():
            raise ValueError(f"'{brief(value)}': expected one * for the image's name, and text beside it (*_mask)")
        return pattern


class Phantom(DataSource):
    """Generated ellipses with known masks. `blur` widens the boundary, `noise` hides it.

    `blur` is the standard deviation of a Gaussian in pixels, `noise` that of additive Gaussian noise in units of the
    contrast between object and background. `scale` shrinks the ellipses: at 0.25 they cover some 1 % of the image.
    """

    module = "ablate.data.phantom"
    is_built_in = True
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
    `fixed`: as the data set says (`data.parts`); where it fixes no validation images, `val` of the training cases are.
    `paper`: scikit-learn's `train_test_split(test_size=0.2, random_state=41)` whose 20 % both select and judge, as in
    the paper's code: optimistic on purpose.
    """

    method: Literal["fractions", "kfold", "fixed", "paper"] = "fractions"
    shuffle: bool = True
    seed: Whole = Field(0, ge=0, le=MOST_SEED)
    val: Number = Field(0.2, gt=0, lt=1)
    test: Number = Field(0.2, gt=0, lt=1)
    folds: Whole = Field(5, ge=3, le=100_000)
    fold: Whole = Field(0, ge=0, le=100_000)
    stratify: Annotated[Literal["", "foreground", "stratum"], Since("0.2")] = ""
    """What every part has its share of: cases with little and with much foreground, or the data set's own strata (a
    column stratum of the CSV that says `data.case`)."""

    @model_validator(mode="before")
    @classmethod
    def _only_what_the_method_uses(cls, fields: Any) -> Any:
        """The canonical form: what a method does not use makes no difference."""
        if not isinstance(fields, dict):
            return fields
        method = str(fields.get("method", "fractions"))
        unused = {"fractions": {"folds", "fold"}, "kfold": {"val", "test"}, "fixed": {"folds", "fold", "test"}}.get(
            method, set()
        )
        if method == "paper":
            unused = {"shuffle", "seed", "val", "test", "folds", "fold", "stratify"}
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
