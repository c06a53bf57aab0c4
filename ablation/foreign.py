"""Tables that were made elsewhere: checked before use, for compiled libraries crash on what Python would refuse.

A column of numbers becomes an array of finite numbers within bounds, a column of keys becomes text, or one line says
which row is not so.
"""

from __future__ import annotations

import io
import math
import numbers
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ablate.errors import InputError
from ablate.files import read_regular

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 5_000_000
LARGEST = 1e18
"""Of a count or a cost: beyond all networks, and far from where arithmetic fails."""
_MOST_COLUMNS = 1000
_MOST_KEY = 200
"""Characters of a key."""


def read_parquet(file: Path) -> pd.DataFrame:
    """A table of a Parquet file. Raises `InputError` where it cannot be read, or is too large."""
    import pyarrow.parquet as pq

    try:
        content = read_regular(file)
        opened = pq.ParquetFile(io.BytesIO(content))
        rows, columns = opened.metadata.num_rows, opened.metadata.num_columns
        fits = rows <= MOST_ROWS and columns <= _MOST_COLUMNS
        table = opened.read() if fits else None
        if table is not None:
            table.validate(full=True)  # its text is text, its offsets lie within it
        found = None if table is None else table.to_pandas(ignore_metadata=True)
    except MemoryError:
        raise
    except OSError as error:
        raise InputError(f"'{file}' cannot be read: {error.strerror or 'it is no Parquet file'}") from None
    except Exception:  # the decoder raises anything at all on what is no Parquet
        raise InputError(f"'{file}' cannot be read: it is no Parquet file") from None
    if found is None:
        raise InputError(
            f"'{file}' has {rows:,} rows of {columns:,} columns: expected at most {MOST_ROWS:,} of {_MOST_COLUMNS:,}"
        )
    return found


def need(name: str, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raises `InputError` unless table `name` has all of `columns`, each once, and rows that can be handled."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"table {name} lacks {', '.join(missing)}: expected {', '.join(columns)}")
    twice = [column for column in columns if list(table.columns).count(column) > 1]
    if twice:
        raise InputError(f"table {name} has {twice[0]} twice: expected one column of each name")
    if len(table) > MOST_ROWS:
        raise InputError(f"table {name} has {len(table):,} rows: expected at most {MOST_ROWS:,}")


def keys(name: str, table: pd.DataFrame, column: str = "key") -> list[str]:
    """A column of names as text; a whole number is the same key as integer and as float.

    Raises `InputError` for a row without one, with one that is neither text nor a number, or with an endless one.
    """
    return [_key(name, column, row, value) for row, value in enumerate(table[column].tolist())]


def _key(name: str, column: str, row: int, value: Any) -> str:
    if missing(value):
        raise InputError(f"table {name} has no {column} in row {row}: fill it, or drop the row")
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_KEY:
        raise InputError(
            f"table {name} has {column} {reprlib.repr(value)} in row {row}: expected text of 1 to {_MOST_KEY} "
            "characters, or a number"
        )
    return value


def missing(value: Any) -> bool:
    """Whether a table says that it has no value there."""
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def whole(name: str, table: pd.DataFrame, column: str, low: float = 0, high: float = LARGEST) -> NDArray[np.float64]:
    """A column of whole numbers from `low` to `high`. Raises `InputError` as `numbers_of` does."""
    found = numbers_of(name, table, column, low, high)
    _refuse(name, table, column, found != np.floor(found), f"a whole number, from {low:g} to {high:g}")
    return found


def numbers_of(
    name: str, table: pd.DataFrame, column: str, low: float = 0, high: float = LARGEST, *, above: bool = False
) -> NDArray[np.float64]:
    """A column of numbers from `low` to `high`; `above`: not of `low` itself.

    Raises `InputError` for the first row that has none, text, a truth value, NaN, infinity, or one out of bounds.
    """
    from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype

    series = table[column]
    if (is_integer_dtype(series.dtype) or is_float_dtype(series.dtype)) and not is_bool_dtype(series.dtype):
        empty = series.isna().to_numpy(dtype=bool)
        found = series.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = series.tolist()
        empty = np.array([missing(value) for value in values], dtype=bool)
        found = np.array([_number(value) for value in values], dtype=np.float64)
    if empty.any():
        raise InputError(f"table {name} has no {column} in row {int(empty.argmax())}: fill it, or drop the row")
    fit = np.isfinite(found) & (found > low if above else found >= low) & (found <= high)
    between = f"over {low:g}, up to {high:g}" if above else f"from {low:g} to {high:g}"
    _refuse(name, table, column, ~fit, f"a number {between}")
    return found


def _number(value: Any) -> float:
    """NaN for what is no number. Of Python's own integers some are too large to be a float."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _refuse(name: str, table: pd.DataFrame, column: str, unfit: NDArray[np.bool_], expected: str) -> None:
    if unfit.any():
        row = int(unfit.argmax())
        given = reprlib.repr(table[column].iloc[row : row + 1].tolist()[0])
        raise InputError(f"table {name} has {column} {given} in row {row}: expected {expected}")


def bounded(value: float | None, high: float = LARGEST) -> float:
    """A number of a study that anyone may have written: NaN unless it is finite, from 0 to `high`."""
    found = math.nan if value is None else _number(value)
    return found if 0 <= found <= high else math.nan
