"""What was measured of files that networks leave as, in runtimes: `runtimes/` of a study.

runtimes/measurements.json        by cell and runtime, with its checksum
runtimes/<runtime>/<key>.parquet  what the file of a trial finds in the test images, as the trial's `images.parquet`
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ablate.cost.measured import Measured
from ablate.errors import InputError
from ablate.files import read_regular, sha256, write_whole
from ablate.study.measurements import read_sealed, write_sealed
from ablate.study.runs import Key
from ablate.study.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "runtimes"
_FILE = f"{FOLDER}/measurements.json"
_Text = Annotated[str, Field(max_length=1000)]


class Finds(BaseModel):
    """What a trial's file finds in its test images, beside its network: `ablate.deployment.held.Held`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sha256: str
    """Of its table of images."""
    images: int = Field(ge=0)
    difference: float = Field(ge=0)
    pixels: int = Field(ge=0)
    others: int = Field(ge=0)
    dice: float = Field(ge=0, le=1)
    network_dice: float = Field(ge=0, le=1)


class InRuntime(BaseModel):
    """A cell's network in a runtime: what one of its files takes, and what those of all its trials find.

    What it takes does not hang on the weights, so one trial's file is timed: `of`. With `why_not` there is no file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    versions: dict[str, _Text]
    """Of what made the file, and runs it."""
    measured: Measured | None = None
    file_mb: float | None = Field(None, ge=0)
    """10⁶ bytes."""
    of: Key | None = None
    trials: dict[Key, Finds] = {}
    why_not: _Text | None = None
    """Why the network has no file in the runtime's format."""


InRuntimes = dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], InRuntime]
_BY_CELL: TypeAdapter[dict[str, InRuntimes]] = TypeAdapter(dict[Key, InRuntimes])


def read_runtimes(study: Path) -> dict[str, InRuntimes]:
    """By cell and runtime. Raises `InputError` if the file is damaged."""
    return read_sealed(study / _FILE, _BY_CELL)


def keep_in_runtimes(study: Path, found: dict[str, InRuntimes]) -> None:
    """Add what was measured by cell and runtime, in place of what was. For the one process that holds `writing()`."""
    known = read_runtimes(study)
    (study / FOLDER).mkdir(exist_ok=True)
    write_sealed(study / _FILE, _BY_CELL, known | {cell: known.get(cell, {}) | new for cell, new in found.items()})


def keep_images(study: Path, runtime: str, key: str, table: bytes) -> str:
    """Keep what a trial's file finds in the test images. Returns its SHA-256."""
    file = _images(study, runtime, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, table)
    return sha256(table)


def images_in(study: Path, runtime: str, key: str, finds: Finds) -> pd.DataFrame:
    """What a trial's file finds in the test images. Raises `InputError` where that is not what was written."""
    file = _images(study, runtime, key)
    try:
        content = read_regular(file)
        if sha256(content) != finds.sha256:
            raise ValueError("it is not what was written")
        return read_table(content, "images", key)
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"'{file}' cannot be read ({reason}): measure again, with --again") from None


def faults_in_runtimes(study: Path) -> Iterator[tuple[str, str]]:
    """Each file of what was measured in runtimes that is not what was written, with what is wrong. It only reads."""
    try:
        known = read_runtimes(study)
    except InputError:
        yield _FILE, "it is not what was written"
        return
    for of_cell in known.values():
        for runtime, found in of_cell.items():
            for key, finds in found.trials.items():
                if not _is_written(study, runtime, key, finds):
                    yield str(_images(study, runtime, key).relative_to(study)), "it is not what was written"


def forget_faults(study: Path) -> None:
    """Without what `faults_in_runtimes` finds, so that it is measured anew; for after that was set aside."""
    known = read_runtimes(study)
    sound = {
        cell: {
            runtime: found.model_copy(
                update={"trials": {k: one for k, one in found.trials.items() if _is_written(study, runtime, k, one)}}
            )
            for runtime, found in of_cell.items()
        }
        for cell, of_cell in known.items()
    }
    if sound != known:
        write_sealed(study / _FILE, _BY_CELL, sound)


def _is_written(study: Path, runtime: str, key: str, finds: Finds) -> bool:
    try:
        return sha256(read_regular(_images(study, runtime, key))) == finds.sha256
    except OSError:
        return False


def _images(study: Path, runtime: str, key: str) -> Path:
    return study / FOLDER / runtime / f"{key}.parquet"
