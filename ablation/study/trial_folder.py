"""A trial's folder: what is kept of a trial that ended, packed on a worker and unpacked by the driver.

config.json       the configuration, whose hash is the trial's key
record.json       the `Record`
epochs.parquet    a row an epoch
images.parquet    confusion counts, and the trial's own metrics: a row a test image and class (of one that was judged)
model.safetensors the best epoch's weights
samples/          predictions of the test images, as PNG
plan.json         what was planned of it: see `manifest` (added by the driver)
SHA256SUMS        of all of these, as `sha256sum -c` reads it
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.files import flush_directory, kind, read_regular, sha256, write_all_new, write_whole
from ablate.study.records import Record, read_record
from ablate.study.runs import is_key
from ablate.study.tables import CASE, EPOCH_COLUMNS, metric_column
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    from ablate.training.checkpoint import Epoch
    from ablate.training.loop import Result

CHECKSUMS = "SHA256SUMS"
SAMPLES = "samples"
_FILES = {"config.json", "record.json", "epochs.parquet", "images.parquet", "model.safetensors", CHECKSUMS}
_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]+)")


def pack(trial: TrialConfig, record: Record, epochs: list[Epoch], result: Result | None) -> bytes:
    """A trial's folder as one zip archive. A trial that failed or was stopped has no `result`."""
    from safetensors.torch import save

    files = {
        "config.json": trial.to_file(),
        "record.json": record.model_dump_json(indent=1).encode(),
        "epochs.parquet": _parquet(_epoch_columns(trial.key, epochs)),
    }
    if result is not None:
        files["images.parquet"] = image_table(trial.key, result)
        if result.weights:
            files["model.safetensors"] = save(result.weights)
        for image, prediction in zip(result.ids, result.predictions, strict=True):
            files[sample_name(image)] = png(grey_levels(prediction, trial.data.classes))
    files[CHECKSUMS] = "".join(f"{sha256(data)}  {name}\n" for name, data in files.items()).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return archive.getvalue()


def unpacked(packed: bytes) -> dict[str, bytes]:
    """A packed trial's files by name, as they were packed.

    Raises `zipfile.BadZipFile` for what is no whole archive of a trial's files, by their checksums.
    """
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for entry in archive.infolist():
            name = entry.filename
            if not _is_file_of_a_trial(name) or entry.compress_type != zipfile.ZIP_STORED or name in files:
                raise zipfile.BadZipFile(f"'{name}' is no file of a trial")
            files[name] = archive.read(entry)
    try:
        sums = parse_checksums(files.get(CHECKSUMS, b""))
    except ValueError as error:
        raise zipfile.BadZipFile(f"its checksums are none: {error}") from None
    found = {name: sha256(data) for name, data in files.items() if name != CHECKSUMS}
    if found != sums:
        differs = sorted(name for name, _ in found.items() ^ sums.items())
        raise zipfile.BadZipFile(f"its {differs[0]} is not as it was packed")
    return files


def record_of(files: Mapping[str, bytes], key: str) -> Record:
    """The record among the files of trial `key`. Raises `zipfile.BadZipFile` where they are of no trial, or another."""
    try:
        config = TrialConfig.model_validate_json(files["config.json"])
        record = Record.model_validate_json(files["record.json"])
    except (KeyError, ValueError):
        record = None
    if record is None or not config.key == record.key == key:
        raise zipfile.BadZipFile(f"it is not trial {key} as it was packed")
    return record


def write_folder(folder: Path, files: Mapping[str, bytes], more: Mapping[str, bytes]) -> None:
    """Write a trial's files, and `more` by name with them, to a new `folder`.

    When this returns they are on the disk, but for the pictures, which can be made again.
    """
    added = _as_lines({name: sha256(data) for name, data in more.items()})
    folder.mkdir(parents=True)
    write_all_new(
        folder, {**files, CHECKSUMS: files[CHECKSUMS] + added, **more}, flush=lambda name: not is_sample(name)
    )
    flush_directory(folder)


def _is_file_of_a_trial(name: str) -> bool:
    return name in _FILES or is_sample(name)


def is_sample(name: str) -> bool:
    """Whether a name in the checksums is that of a prediction's picture."""
    path = PurePosixPath(name)
    return path.parts == (SAMPLES, path.name) and path.suffix == ".png" and name == str(path)


def write_checksums(folder: Path) -> None:
    """Write the checksums of a folder that has none."""
    keep_checksums(folder, {name: sha256(file.read_bytes()) for name, file in sorted(_files(folder).items())})


def keep_checksums(folder: Path, digests: Mapping[str, str]) -> None:
    """Replace a folder's checksums, given by file name."""
    write_whole(folder / CHECKSUMS, _as_lines(digests))


def _as_lines(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def parse_checksums(content: bytes) -> dict[str, str]:
    """The SHA-256 of each file by its name. Raises `ValueError` for what is not such a list."""
    found: dict[str, str] = {}
    *lines, rest = content.decode().split("\n")
    for line in lines:
        match = _SUM.fullmatch(line)
        if match is None or ".." in PurePosixPath(match[2]).parts or match[2].startswith("/") or match[2] in found:
            raise ValueError(f"'{line[:80]}' is no checksum of a file in the folder")
        found[match[2]] = match[1]
    if rest:
        raise ValueError("its last line was cut short")
    return found


class Difference(NamedTuple):
    """Where a folder is not as its checksums say. Sorted names, relative to the folder."""

    changed: list[str]
    missing: list[str]
    unknown: list[str]


def difference(folder: Path) -> Difference:
    """Every file of a folder against its checksums. Raises `OSError` or `ValueError` if those cannot be read."""
    expected = parse_checksums(read_regular(folder / CHECKSUMS))
    found = _files(folder)
    changed = (name for name in expected.keys() & found.keys() if sha256(found[name].read_bytes()) != expected[name])
    return Difference(sorted(changed), sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys()))


def is_whole(folder: Path) -> bool:
    """Whether a folder is as it was written, and that of the trial it is named after."""
    try:
        config = TrialConfig.model_validate_json((folder / "config.json").read_bytes())
        found = difference(folder)
        return config.key == read_record(folder).key == folder.name and not (found.changed or found.missing)
    except (OSError, ValueError):
        return False


def key_folders(study: Path) -> Iterator[Path]:
    """The folders of a study's `trials/` that are named by a key, in the keys' order."""
    if kind(study / "trials") != "directory":
        return
    for folder in sorted((study / "trials").iterdir()):
        if is_key(folder.name) and kind(folder) == "directory":
            yield folder


def _files(folder: Path) -> dict[str, Path]:
    """Every file of a folder by its name in the checksums, which do not have themselves."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {name: file for file in files if (name := file.relative_to(folder).as_posix()) != CHECKSUMS}


def _epoch_columns(key: str, epochs: list[Epoch]) -> dict[str, Any]:
    columns = zip(*epochs, strict=True) if epochs else ((),) * len(EPOCH_COLUMNS[1:])
    return {"key": [key] * len(epochs), **dict(zip(EPOCH_COLUMNS[1:], columns, strict=True))}


def image_table(key: str, result: Result) -> bytes:
    """What the test images' masks are worth, as `images.parquet` has it."""
    return _parquet(_image_columns(key, result))


def _image_columns(key: str, result: Result) -> dict[str, Any]:
    import numpy as np

    from ablate.metrics.counts import COUNTS

    images, classes, _ = result.counts.shape
    return {
        "key": [key] * (images * classes),
        "image": [image for image in result.ids for _ in range(classes)],
        CASE: [case for case in result.cases or result.ids for _ in range(classes)],
        "class": np.tile(np.arange(classes), images),
        **dict(zip(COUNTS, result.counts.reshape(-1, len(COUNTS)).T, strict=True)),
        **{metric_column(label): values.reshape(-1) for label, values in result.more.items()},
    }


def _parquet(columns: Mapping[str, Any]) -> bytes:
    """A table by its columns, as pandas would write it: a value that is none is null."""
    import pyarrow
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(pyarrow.table({name: pyarrow.array(of, from_pandas=True) for name, of in columns.items()}), file)
    return file.getvalue()


def picture_name(image: str) -> str:
    """A file name for an image's id (which may hold slashes)."""
    return image.replace("/", "__")


def sample_name(image: str) -> str:
    """The prediction of an image in a trial's folder, as its checksums have it."""
    return f"{SAMPLES}/{picture_name(image)}.png"


def grey_levels(mask: Any, classes: int) -> Any:
    """Class indices as grey levels that can be told apart: the last class is white; ignored pixels are of a level that
    no class has (`ignored_level`)."""
    import numpy as np

    from ablate.data.source import IGNORED

    levels = np.asarray(mask, dtype=np.uint8) * np.uint8(_step(classes))
    return np.where(mask == IGNORED, np.uint8(ignored_level(classes)), levels)


def ignored_level(classes: int) -> int:
    """The grey level of ignored pixels in the picture of a mask of so many classes: mid-grey of two."""
    return _step(classes) // 2 or 255


def _step(classes: int) -> int:
    """From the grey level of a class to that of the next."""
    return 255 // max(classes - 1, 1)


def png(pixels: Any) -> bytes:
    """Pixels (H, W) or (H, W, 3) of uint8 as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()
