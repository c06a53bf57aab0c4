"""What the files of a cell's networks take and find in runtimes, one network at a time."""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ablate import DISTRIBUTION
from ablate.cost.measured import Measured, in_child, peak_memory, request
from ablate.cost.names import PYTORCH, format_of_runtime, is_int8
from ablate.deployment.export import Trained, checked, int8_file, trained, whole_file
from ablate.deployment.formats import FORMATS, ExportError, check_installed
from ablate.deployment.held import judged
from ablate.deployment.runtime import LIBRARIES, Exported, small_file
from ablate.progress import counted
from ablate.study.in_runtimes import Finds, InRuntime, keep_images
from ablate.study.study import Study
from ablate.study.trial_folder import image_table
from ablate.study.where_data_are import DatasetOf
from ablate.training.recipe import metrics_of

MEASURING = "ablate.deployment.measuring"


class Asked(NamedTuple):
    """How networks are timed."""

    size: tuple[int, int]
    """Height and width of the image."""
    threads: int = 1
    repeats: int = 20
    seconds: float = 60.0
    network_too: bool = False
    """In turn with its files, in PyTorch on the CPU."""


class Found(NamedTuple):
    """By runtime what was found of its files, and what was of the network in PyTorch, if that was asked for."""

    files: dict[str, InRuntime]
    network: Measured | None


def check_runtimes(runtimes: Sequence[str]) -> None:
    """Raises `InputError` where what a runtime needs is not installed: which extra has it."""
    for form in dict.fromkeys(map(format_of_runtime, runtimes)):
        check_installed(FORMATS[form])


def versions_in(runtime: str) -> dict[str, str]:
    """Of what makes and runs its files here."""
    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES[format_of_runtime(runtime)]}
    return {"ablate": importlib.metadata.version(DISTRIBUTION)} | libraries


def found_in(
    study: Study, key: str, runtimes: Sequence[str], dataset_of: DatasetOf, folder: Path, size: tuple[int, int] | None
) -> dict[str, Finds | str]:
    """What the files of trial `key` find in its test images, by runtime, or why there is none. Tables are kept.

    With a `size` the files for images of that are left in `folder`, called as the runtimes.
    Raises `InputError` for a trial without weights, and data that are not there.
    """
    own = trained(study, key, dataset_of)
    metrics = {label: metric.build() for label, metric in metrics_of(own.trial)}
    whole: dict[str, bytes] = {}
    found: dict[str, Finds | str] = {}
    for runtime in runtimes:
        try:
            content = _file(own, runtime, own.trial.data.size, whole)
            form = FORMATS[format_of_runtime(runtime)]
            held, result = judged(own.network, Exported(form, content), own.trial, own.dataset, metrics)
            if not is_int8(runtime):
                checked(held)
            if size is not None:
                of_size = content if size == own.trial.data.size else _file(own, runtime, size, {})
                (folder / runtime).write_bytes(of_size)
        except ExportError as error:
            found[runtime] = str(error)
        else:
            digest = keep_images(study.path, runtime, key, image_table(key, result))
            found[runtime] = Finds(sha256=digest, **held._asdict())
    return found


def _file(own: Trained, runtime: str, size: tuple[int, int], whole: dict[str, bytes]) -> bytes:
    """A runtime's file; `whole` has those in float32, by format, that were made for this size already."""
    form = format_of_runtime(runtime)
    if form not in whole:
        whole[form] = whole_file(own, FORMATS[form], size)
    return int8_file(own, whole[form], size) if is_int8(runtime) else whole[form]


def measure_files(
    study: Study,
    keys: Sequence[str],
    runtimes: Sequence[str],
    dataset_of: DatasetOf,
    asked: Asked,
) -> Found:
    """The files of the trials of one network, `keys`, in these runtimes: what each finds, and what the first takes.

    Of all that are timed, the network too, a round each is made in turn. Raises `InputError` as `found_in`, and
    `TrialError` where a process dies.
    """
    by_runtime = {runtime: InRuntime(versions=versions_in(runtime)) for runtime in runtimes}
    with tempfile.TemporaryDirectory(prefix="ablate-measure-") as name:
        folder = Path(name)
        for key in counted("scores of trials", keys, len(keys)):
            left = [runtime for runtime in runtimes if by_runtime[runtime].why_not is None]
            timed = asked.size if key == keys[0] else None
            for runtime, found in found_in(study, key, left, dataset_of, folder, timed).items():
                by_runtime[runtime] = _with(by_runtime[runtime], key, found)
        files = {runtime: folder / runtime for runtime in runtimes if by_runtime[runtime].why_not is None}
        times = _timed(study, keys[0], files, asked, folder)
        for runtime, file in files.items():
            taken = {"measured": times[runtime], "file_mb": file.stat().st_size / 1e6, "of": keys[0]}
            by_runtime[runtime] = by_runtime[runtime].model_copy(update=taken)
    return Found(by_runtime, times.get(PYTORCH))


def _with(known: InRuntime, key: str, found: Finds | str) -> InRuntime:
    if isinstance(found, str):
        return InRuntime(versions=known.versions, why_not=found[:1000])
    return known.model_copy(update={"trials": known.trials | {key: found}})


def _timed(study: Study, key: str, files: Mapping[str, Path], asked: Asked, folder: Path) -> dict[str, Measured]:
    """By runtime, the network's too if that is asked for."""
    config = study.config(key)
    network, channels, classes = config.model, config.data.channels, config.data.classes
    peaks = {}
    if asked.network_too:
        peaks[PYTORCH] = peak_memory(network, channels, classes, asked.size, "cpu", asked.threads)
    if not files and not peaks:
        return {}
    wanted = request(network, channels, classes, asked.size, "cpu", asked.threads)
    for form in dict.fromkeys(map(format_of_runtime, files)):
        (folder / f"small.{form}").write_bytes(small_file(FORMATS[form]))
    for runtime, file in files.items():
        wanted["small"] = str(folder / f"small.{format_of_runtime(runtime)}")
        peaks[runtime] = float(in_child(MEASURING, "memory", wanted | {"files": {runtime: str(file)}}))
    wanted |= {"files": {name: str(file) for name, file in files.items()}, "peaks": peaks}
    found = json.loads(in_child(MEASURING, "time", wanted | {"repeats": asked.repeats, "seconds": asked.seconds}))
    return {runtime: Measured.model_validate(one) for runtime, one in found.items()}
