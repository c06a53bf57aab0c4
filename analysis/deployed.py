"""What files take and find in runtimes, beside what networks do in PyTorch: the trials' columns `NAME@RUNTIME`.

A file in int8 finds other masks than its network. So scores can be taken of the masks that files find
(`ablate.analysis.by_runtime`); where they are not, what is said of a front over a file's cost says whose they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ablate.analysis.format import listing, shortened
from ablate.cost.names import RUNTIMES, how_to_measure, runtime_of
from ablate.errors import InputError
from ablate.foreign import bounded
from ablate.metrics.counts import METRICS
from ablate.study.in_runtimes import InRuntime, read_runtimes

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.pareto import Cell, Pareto
    from ablate.study.study import Study

_TEXTS = "latency_device", "latency_input", "no_file", "in_doubt"
_TIMES = "latency_ms", "latency_low_ms", "latency_high_ms", "latency_cpu_ms", "peak_memory_mb"
_NAMES = *_TIMES, "file_mb", "dice", *_TEXTS


def with_files(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """A trial table with columns for each runtime in which something was measured, after `peak_memory_mb`.

    `latency_ms@RUNTIME` and so on, `file_mb`, `latency_device` (with the runtime's version), `latency_input`, `dice`
    (of the trial's masks there, mean over images), `no_file` (why there is none), and `in_doubt` (why latency is). What
    is damaged is noted in `study.faults`.
    """
    try:
        known = read_runtimes(study.path)
    except InputError as error:
        study.faults["runtimes"] = str(error)
        return trials
    columns: dict[str, list[Any]] = {}
    for runtime in RUNTIMES:
        if any(runtime in of_cell for of_cell in known.values()):
            rows = [
                _columns(known.get(cell, {}).get(runtime), key, runtime)
                for key, cell in trials[["key", "cell"]].itertuples(index=False)
            ]
            columns |= {name: [row.get(name) for row in rows] for name in _names(runtime)}
    return placed(trials, columns)


def is_of_files(column: str) -> bool:
    """Whether a column of a trial table is one of these."""
    return column.partition("@")[0] in _NAMES and runtime_of(column) in RUNTIMES


def given(trials: pd.DataFrame) -> dict[str, list[Any]]:
    """These columns of a table made elsewhere, as far as they can be."""
    found: dict[str, list[Any]] = {}
    for name in filter(is_of_files, map(str, trials)):
        values = list(trials[name])
        texts = [value if isinstance(value, str) else None for value in values]
        found[name] = texts if _is_text(name) else [bounded(value) for value in values]
    return found


def _is_text(column: str) -> bool:
    return column.partition("@")[0] in _TEXTS


def placed(trials: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """The table with these columns after `peak_memory_mb`."""
    if not columns:
        return trials
    names = [str(name) for name in trials]
    after = names.index("peak_memory_mb") + 1
    found = pd.DataFrame(dict(columns), index=trials.index)
    numbers = [name for name in found if not _is_text(str(name))]
    found = found.astype(dict.fromkeys(numbers, np.float64))
    return pd.concat([trials[names[:after]], found, trials[names[after:]]], axis=1)


def _names(runtime: str) -> list[str]:
    return [f"{name}@{runtime}" for name in _NAMES]


def _columns(found: InRuntime | None, key: str, runtime: str) -> dict[str, Any]:
    if found is None:
        return {}
    taken, row = found.measured, dict[str, Any](no_file=found.why_not)
    if taken is not None:
        row |= {name: bounded(getattr(taken, name)) for name in _TIMES}
        ran = [f"{name} {taken.versions[name]}" for name in ("onnxruntime", "executorch") if name in taken.versions]
        row |= {"latency_device": ", ".join([taken.device, *ran]), "latency_input": taken.input}
        row |= {"file_mb": found.file_mb, "in_doubt": taken.doubt}
    if key in found.trials:
        row["dice"] = found.trials[key].dice
    return {f"{name}@{runtime}": value for name, value in row.items()}


# Of cells ------------------------------------------------------------------------------------------------------------


class Files(NamedTuple):
    """What is known of a cell's files: costs, and Dice, by column; on what they were measured, why there is none,
    and why a latency is in doubt, by runtime."""

    costs: Mapping[str, float] = {}
    devices: Mapping[str, str] = {}
    no_file: Mapping[str, str] = {}
    in_doubt: Mapping[str, str] = {}
    scored_in: str = ""
    """The runtime whose masks the cell's scores are of; '' of the network's own."""


def files_of(trials: pd.DataFrame) -> dict[str, Files]:
    """Of each cell of a trial table."""
    columns = [str(name) for name in trials if is_of_files(str(name))]
    where = ["scored_in"] if "scored_in" in trials else []
    if not columns and not where:
        return {}
    texts = [name for name in columns if _is_text(name)]
    groups = trials.groupby("cell", sort=False)
    numbers = groups[[name for name in columns if name not in texts]].mean().to_dict("index")
    words = groups[[*texts, *where]].first().to_dict("index")

    def files(cell: Any) -> Files:
        known = {name: str(text) for name, text in words.get(cell, {}).items() if isinstance(text, str) and text}

        def by_runtime(*names: str) -> dict[str, str]:
            found = {r: [known[f"{name}@{r}"] for name in names if f"{name}@{r}" in known] for r in RUNTIMES}
            return {runtime: ", ".join(parts) for runtime, parts in found.items() if parts}

        devices, no_file = by_runtime("latency_device", "latency_input"), by_runtime("no_file")
        costs = {str(name): float(value) for name, value in numbers.get(cell, {}).items()}
        return Files(costs, devices, no_file, by_runtime("in_doubt"), known.get("scored_in", ""))

    return {str(cell): files(cell) for cell in groups.groups}


class OfFiles(NamedTuple):
    """What must be known of a front over what files cost."""

    runtime: str
    scored_in: str
    no_file: Mapping[str, tuple[str, ...]]
    """Labels of networks that have none, by why."""
    unmeasured: tuple[str, ...]
    """Labels of networks of which nothing is known there."""
    in_doubt: tuple[str, ...]
    """Labels of networks whose latency is, where the cost is that."""
    apart: float | None
    """How far Dice of a network's files is from its own, at most; None where it is not known, or not the question."""


def about_files(cost: str, trained: Iterable[Cell]) -> OfFiles | None:
    """Of scored networks and a cost; None of one that is the network's."""
    runtime = runtime_of(cost)
    if not runtime:
        return None
    no_file: dict[str, tuple[str, ...]] = {}
    unmeasured, in_doubt, apart, scored_in = list[str](), list[str](), list[float](), ""
    for cell in trained:
        files = cell.files
        scored_in = files.scored_in
        if why := files.no_file.get(runtime):
            no_file[why] = (*no_file.get(why, ()), cell.label)
        elif math.isnan(files.costs.get(cost, math.nan)):
            unmeasured.append(cell.label)
        if runtime in files.in_doubt and cost.startswith("latency"):
            in_doubt.append(cell.label)
        apart.append(abs(files.costs.get(f"dice@{runtime}", math.nan) - cell.dice.mean))
    known = [one for one in apart if math.isfinite(one)]
    off = max(known) if known and not scored_in else None
    return OfFiles(runtime, scored_in, no_file, tuple(unmeasured), tuple(in_doubt), off)


# In words ------------------------------------------------------------------------------------------------------------


def scored_where(frames: Frames) -> list[str]:
    """Of which masks scores are, where they are not the networks'; and which networks have none."""
    if not frames.runtime:
        return []
    called, trials = RUNTIMES[frames.runtime], frames.trials
    complete = trials[trials["state"] == "complete"]
    lacks = complete[~complete["key"].isin(set(frames.images["key"]))]
    said = [f"Scores are of the masks that the networks' files find in {called}, not the networks in PyTorch."]
    if len(lacks):
        names = listing([shortened(label, 60) for label in dict.fromkeys(lacks["label"])], 6)
        said.append(f"Without scores there: {names}.")
    return said


def file_words(front: Pareto) -> list[str]:
    """What must be said of a front over what files cost: whose the scores are, and what has no file, or no figures."""
    files = front.of_files
    if files is None:
        return []
    called, metric = RUNTIMES[files.runtime], METRICS[front.y].label
    said = []
    if files.scored_in != files.runtime:
        said.append(
            f"{metric} is of the networks' masks in {RUNTIMES.get(files.scored_in, 'PyTorch')}, not of their files' in "
            f"{called}{_apart(files)}: --runtime {files.runtime} takes those."
        )
    said += [_without(files.runtime, why, labels) for why, labels in files.no_file.items()]
    if files.unmeasured:
        names = listing([shortened(label, 60) for label in files.unmeasured], 6)
        said.append(f"Not measured in {called}: {names}. Run `{how_to_measure(front.x)}`.")
    return [*said, *_doubt(files.runtime, files.in_doubt)]


def doubted_files(trials: pd.DataFrame, runtimes: Iterable[str] = tuple(RUNTIMES)) -> list[str]:
    """A sentence for each of these runtimes in which latencies are in doubt: of which networks, and what to do."""
    labels, files = dict(zip(trials["cell"], trials["label"], strict=True)), files_of(trials)
    known = {runtime: [labels[cell] for cell, one in files.items() if runtime in one.in_doubt] for runtime in runtimes}
    return [sentence for runtime, doubtful in known.items() for sentence in _doubt(runtime, doubtful)]


def _doubt(runtime: str, labels: Iterable[str]) -> list[str]:
    names = [shortened(label, 60) for label in labels]
    if not names:
        return []
    return [
        f"Latency in {RUNTIMES[runtime]} is in doubt of {listing(names, 6)}, for the machine was busy or unsteady: "
        f"measure again on an idle one (`{how_to_measure(f'@{runtime}')}`)."
    ]


def caption_words(fronts: Iterable[Pareto]) -> list[str]:
    """The same of many fronts together, as a caption has it."""
    of_files = [front.of_files for front in fronts if front.of_files is not None]
    if not of_files:
        return []
    called = listing(list(dict.fromkeys(RUNTIMES[files.runtime] for files in of_files)))
    where = RUNTIMES.get(of_files[0].scored_in)
    whose = f"of the masks that files find in {where}" if where else "of the networks' own masks, in PyTorch"
    said = [f"Costs in {called} are of the networks' files; scores are {whose}."]
    no_file = {(files.runtime, why): labels for files in of_files for why, labels in files.no_file.items()}
    said += [_without(runtime, why, labels) for (runtime, why), labels in no_file.items()]
    return said


def _without(runtime: str, why: str, labels: Iterable[str]) -> str:
    names = listing([shortened(label, 60) for label in labels], 6)
    return f"No file for {RUNTIMES[runtime]} has {names}: {why}."


def _apart(files: OfFiles) -> str:
    return "" if files.apart is None else f" (whose Dice is off by {files.apart:.4f} at most)"
