"""The columns of a study's tables, and a trial's two as they are read: from anyone, checked before they are believed.

`ablate.analysis.frames` puts those of all trials together.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

from ablate.metrics.counts import COUNTS

if TYPE_CHECKING:
    import pandas as pd

TableName = Literal["epochs", "images"]
VALIDATION = ("val_dice", "val_iou", "val_miou")
"""Columns of scores of the validation images."""
EPOCH_COLUMNS = ("key", "epoch", "train_loss", "val_loss", *VALIDATION, "seconds", "images_per_second")
"""After the key, what `ablate.training.loop.Epoch` has."""
IMAGE_COLUMNS = ("key", "image", "class", *COUNTS)
TRIAL_COLUMNS = (
    "key", "cell", "space", "data", "model", "seed", "state", "params", "macs", "latency_ms", "latency_iqr_ms",
    "latency_device", "latency_input", "peak_memory_mb", "best_epoch", "epochs", "train_seconds", "dice", "iou", "miou",
    *VALIDATION, "error", "label", "configuration", "made_by",
)  # fmt: skip
"""Of the table of all trials, which has the factors' columns after the third of these."""
JUDGED = ("complete", "trivial")
"""The states of trials that have test images: one that failed or was stopped early has none."""
_COLUMNS = {"epochs": EPOCH_COLUMNS, "images": IMAGE_COLUMNS}
_MOST = 2**53
"""Of a count: a float holds it exactly."""


def read_table(content: bytes, name: TableName, key: str) -> pd.DataFrame:
    """The table `name` of trial `key`. Raises `ValueError` for what is not one, and says why."""
    import pandas as pd

    try:
        table = pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # the decoder raises anything at all on what is no Parquet
        raise ValueError(f"it cannot be read ({type(error).__name__})") from error
    _need(table, *_COLUMNS[name])
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
    return table


def _need(table: pd.DataFrame, *columns: str) -> None:
    lacks = [column for column in columns if column not in table.columns]
    if lacks:
        raise ValueError(f"it has no column {lacks[0]}")


def _check_counts(column: pd.Series) -> None:
    from pandas.api.types import is_integer_dtype

    if not is_integer_dtype(column.dtype) or column.isna().any() or not column.between(0, _MOST).all():
        raise ValueError(f"its {column.name} are not all counts")


def _check_epochs(table: pd.DataFrame) -> None:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    for column in EPOCH_COLUMNS[2:]:
        if not is_numeric_dtype(table[column].dtype) or is_bool_dtype(table[column].dtype):
            raise ValueError(f"its {column} are not all numbers")
    for column in VALIDATION:
        if not table[column].dropna().between(0, 1).all():
            raise ValueError(f"its {column} are not all between 0 and 1")
