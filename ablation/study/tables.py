"""The columns of a study's tables, and a trial's two as they are read: from anyone, checked before they are believed.

`ablate.analysis.frames` puts those of all trials together.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Literal

from ablate.errors import brief
from ablate.metrics.counts import COUNTS, METRICS

if TYPE_CHECKING:
    import pandas as pd

TableName = Literal["epochs", "images"]
VALIDATION = ("val_dice", "val_iou", "val_miou")
"""Columns of scores of the validation images."""
EPOCH_COLUMNS = ("key", "epoch", "train_loss", "val_loss", *VALIDATION, "seconds", "images_per_second")
"""After the key, what `ablate.training.loop.Epoch` has."""
IMAGE_COLUMNS = ("key", "image", "class", *COUNTS)
"""Those that every trial's have; after them, one for each metric of the trial's own (`metric_column`)."""
CASE = "case"
"""The column of the case that an image is of, after `image`; tables of versions before 0.2 have none."""
TRIAL_COLUMNS = (
    "key", "cell", "space", "data", "model", "seed", "fold", "state", "params", "macs", "latency_ms", "latency_iqr_ms",
    "latency_low_ms", "latency_high_ms", "latency_cpu_ms", "latency_device", "latency_input", "peak_memory_mb",
    "best_epoch", "epochs", "train_seconds", "dice", "iou", "miou",
    *VALIDATION, "error", "label", "configuration", "made_by",
)  # fmt: skip
"""Of the table of all trials, which has the factors' columns after the third of these, and after `miou` those of the
trials' own metrics, by their labels."""
JUDGED = ("complete", "trivial")
"""The states of trials that have test images: one that failed or was stopped early has none."""
_COLUMNS = {"epochs": EPOCH_COLUMNS, "images": IMAGE_COLUMNS}
_MOST = 2**53
"""Of a count: a float holds it exactly."""
_METRIC = "metric."
_LABEL = re.compile(r"[A-Za-z_]\w{0,79}", re.ASCII)
LARGEST_DISTANCE = 1e9
"""In millimetres or pixels."""
MOST_METRICS = 100
"""Of a trial's own."""
_TAKEN = {*TRIAL_COLUMNS, "device", "loss"}
"""What no metric can be called: it would be another column of the trials, or of what is derived from them."""


def metric_column(label: str) -> str:
    """The column of the images' table that has the values of the metric `label`."""
    return f"{_METRIC}{label}"


def is_metric_label(label: str) -> bool:
    return _LABEL.fullmatch(label) is not None and label not in _TAKEN


def has_values_of(column: str, label: str) -> bool:
    """Whether a column of the images' table is of the metric that a trial calls `label`: its name, and maybe a unit."""
    return re.fullmatch(rf"{re.escape(metric_column(label))}(_(at_[0-9_]+)?(mm|px))?", column) is not None


def bounds_of(column: str) -> str:
    """In words, what `in_bounds` holds a metric's column to."""
    return "between 0 and 1" if most_of(column) == 1 else "distances"


def most_of(column: str) -> float:
    """The largest value that a metric's column can have."""
    return LARGEST_DISTANCE if METRICS[column.removeprefix(_METRIC)].unit else 1


def in_bounds(values: pd.Series) -> bool:
    """Whether all of a metric's column can be: from 0 to 1, or of a distance not negative, and NaN where undefined."""
    most = most_of(str(values.name))
    return bool((values if most == 1 else values.dropna()).between(0, most).all())  # NaN is not from 0 to 1


def own_metrics(table: pd.DataFrame) -> list[str]:
    """The labels of the metrics of the trials' own that a table of images or of trials has columns of."""
    names = [str(name) for name in table.columns]
    if "miou" in names and "val_dice" in names:  # of trials
        return names[names.index("miou") + 1 : names.index("val_dice")]
    labels = (name.removeprefix(_METRIC) for name in names if name.startswith(_METRIC))
    return [label for label in labels if is_metric_label(label)]


def read_table(content: bytes, name: TableName, key: str) -> pd.DataFrame:
    """The table `name` of trial `key`. Raises `ValueError` for what is not one, and says why."""
    import pandas as pd

    try:
        table = pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # the decoder raises anything at all on what is no Parquet
        raise ValueError(f"it cannot be read ({type(error).__name__})") from error
    _need(table, *_COLUMNS[name])
    if not table.columns.is_unique:
        raise ValueError("it has a column twice")
    if table.empty:  # the epochs of a trivial row: its columns have no types
        return table
    if set(table["key"]) != {key}:
        raise ValueError("it has rows of another trial")
    for column in ("epoch",) if name == "epochs" else IMAGE_COLUMNS[2:]:
        _check_counts(table[column])
    if name == "epochs":
        _check_epochs(table)
    elif not all(isinstance(image, str) for image in table["image"]):
        raise ValueError("its images have no names")
    elif table.duplicated(["image", "class"]).any():
        raise ValueError("it has an image and class twice")
    else:
        _check_cases(table)
        _check_metrics(table)
    return table


def _need(table: pd.DataFrame, *columns: str) -> None:
    lacks = [column for column in columns if column not in table.columns]
    if lacks:
        raise ValueError(f"it has no column {lacks[0]}")


def _check_counts(column: pd.Series) -> None:
    from pandas.api.types import is_integer_dtype

    if not is_integer_dtype(column.dtype) or column.isna().any() or not column.between(0, _MOST).all():
        raise ValueError(f"its {column.name} are not all counts")


def _check_cases(table: pd.DataFrame) -> None:
    if CASE not in table.columns:
        return
    if not all(isinstance(case, str) and case for case in table[CASE]):
        raise ValueError("its cases have no names")
    if (table.groupby("image")[CASE].nunique() > 1).any():
        raise ValueError("it has an image of two cases")


def _check_metrics(table: pd.DataFrame) -> None:
    from pandas.api.types import is_float_dtype

    named = [str(name) for name in table.columns if str(name).startswith(_METRIC)]
    for name in named:
        if not is_metric_label(name.removeprefix(_METRIC)):
            raise ValueError(f"{brief(name)} is no metric's column")
        if not is_float_dtype(table[name].dtype) or not in_bounds(table[name]):
            raise ValueError(f"its {name} are not all {bounds_of(name)}")
    if len(named) > MOST_METRICS:
        raise ValueError(f"it has {len(named)} metrics: at most {MOST_METRICS} are read")


def _check_epochs(table: pd.DataFrame) -> None:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    for column in EPOCH_COLUMNS[2:]:
        if not is_numeric_dtype(table[column].dtype) or is_bool_dtype(table[column].dtype):
            raise ValueError(f"its {column} are not all numbers")
    for column in VALIDATION:
        if not table[column].dropna().between(0, 1).all():
            raise ValueError(f"its {column} are not all between 0 and 1")
