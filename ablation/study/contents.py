"""Whether the files of a trial's folder fit each other: configuration, record, tables and weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np

from ablate.data.fit import is_scored_at_own_size
from ablate.files import read_regular
from ablate.metrics.counts import COUNTS, class_count
from ablate.study.records import Record
from ablate.study.tables import JUDGED, VALIDATION, bounds_of, has_values_of, in_bounds, metric_column
from ablate.trial import TrialConfig


def wrong_contents(folder: Path, record: Record, but: Collection[str]) -> Iterator[str]:
    """What does not fit, as `file: what`; `but` some files is not looked at."""
    config = read_config(folder)
    for name, check in _CHECKS.items():
        if name in but or not _has(record, name):
            continue
        try:
            what = check(folder, record, config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = "it is missing" if isinstance(error, FileNotFoundError) else "it cannot be read"
        if what:
            yield f"{name}: {what}"


def read_config(folder: Path) -> TrialConfig | None:
    try:
        return TrialConfig.model_validate_json(read_regular(folder / "config.json"))
    except (OSError, ValueError):
        return None


def _has(record: Record, name: str) -> bool:
    judged = record.state in JUDGED
    return {"images.parquet": judged, "model.safetensors": record.state == "complete"}.get(name, True)


def _wrong_config(folder: Path, record: Record, config: TrialConfig | None) -> str:
    if config is None:
        return "it is no configuration"
    if config.key != folder.name:
        return f"its key is {config.key}"
    cells = (config.cell, config.cell_by_fold)
    if record.cell not in cells or (config.model.name, config.seed) != (record.model, record.seed):
        return "its cell, model or seed is not the record's"
    return ""


def _wrong_epochs(folder: Path, record: Record, config: TrialConfig | None) -> str:
    import pyarrow
    import pyarrow.parquet as parquet

    columns = ["key", "epoch", *VALIDATION]
    table = parquet.read_table(
        pyarrow.BufferReader(read_regular(folder / "epochs.parquet")), columns=columns
    ).to_pydict()
    epochs = table["epoch"]
    if set(table["key"]) - {folder.name}:
        return "it has rows of another trial"
    if len(epochs) != record.epochs or epochs != list(range(1, len(epochs) + 1)):
        return f"its epochs are not 1 to {record.epochs}"
    if record.state == "complete" and config is not None and not _ended(record, config):
        return f"it has {record.epochs} epochs of {config.protocol.epochs}"
    if record.best_epoch is None:
        return ""
    if not 1 <= record.best_epoch <= record.epochs:
        return f"it has no epoch {record.best_epoch}, the best"
    if any(table[score][record.best_epoch - 1] != getattr(record, score) for score in VALIDATION):
        return "its best epoch has other scores than the record"
    return ""


def _ended(record: Record, config: TrialConfig) -> bool:
    """Whether a complete trial has the epochs that it should: all, or those until its patience was at an end."""
    asked, patience = config.protocol.epochs, config.protocol.patience
    if record.epochs == asked or patience is None or record.best_epoch is None:
        return record.epochs == asked
    return record.epochs < asked and record.epochs - record.best_epoch == patience


def _wrong_images(folder: Path, record: Record, config: TrialConfig | None) -> str:
    import pyarrow
    import pyarrow.parquet as parquet

    table = parquet.read_table(pyarrow.BufferReader(read_regular(folder / "images.parquet")))
    if set(table["key"].to_pylist()) != {folder.name}:
        return "it has rows of another trial, or none"
    counts = np.stack([table[name].to_numpy() for name in COUNTS], axis=1)
    if (counts < 0).any():
        return "it has negative counts"
    if config is None:
        return ""
    classes = class_count(config.data.classes)
    per_image = Counter(zip(table["image"].to_pylist(), table["class"].to_pylist(), strict=True))
    images = {image for image, _ in per_image}
    if per_image != Counter((image, at) for image in images for at in range(classes)):
        return f"it does not have each of {classes} classes once an image"
    if wrong := _wrong_sums(table["image"].to_pylist(), counts.sum(axis=1).tolist(), config):
        return wrong
    for label in config.metric_labels:
        column = next((name for name in table.column_names if has_values_of(name, label)), None)
        if column is None:
            if record.state == "complete":  # some metrics cannot score a trivial predictor
                return f"it has no {metric_column(label)}"
        elif not in_bounds(table[column].to_pandas().rename(column)):
            return f"its {column} are not all {bounds_of(column)}"
    return ""


def _wrong_sums(images: list[str], sums: list[int], config: TrialConfig) -> str:
    """What is wrong with the pixels that were counted, of each image and class: ignored ones are not."""
    of_image: dict[str, set[int]] = {}
    for image, pixels in zip(images, sums, strict=True):
        of_image.setdefault(image, set()).add(pixels)
    if any(len(found) > 1 for found in of_image.values()):
        return "its counts do not sum to as many pixels in each class of an image"
    height, width = config.data.size
    if not is_scored_at_own_size(config.data) and any(max(found) > height * width for found in of_image.values()):
        return f"its counts do not sum to {height}x{width} pixels"
    return ""


def _wrong_weights(folder: Path, record: Record, config: TrialConfig | None) -> str:
    from safetensors import SafetensorError, deserialize

    try:
        return "" if deserialize(read_regular(folder / "model.safetensors")) else "it has no weights"
    except SafetensorError:
        return "it is no safetensors file"


_CHECKS: dict[str, Callable[[Path, Record, TrialConfig | None], str]] = {
    "config.json": _wrong_config,
    "epochs.parquet": _wrong_epochs,
    "images.parquet": _wrong_images,
    "model.safetensors": _wrong_weights,
}
