"""A study's three tidy tables. Every score in them is derived from the confusion counts of images."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
import pandas as pd

from ablate.analysis.deployed import given, placed, with_files
from ablate.analysis.format import MIXED
from ablate.analysis.names import Named, labels_of, short_names_of, told_apart
from ablate.analysis.scores import Unit, image_scores, metrics_of
from ablate.analysis.scoring import AS_EVER, Scoring, names_of, stacks_of
from ablate.data.value_settings import in_words
from ablate.errors import InputError
from ablate.foreign import LARGEST, bounded, keys, need, numbers_of, whole
from ablate.metrics.counts import METRICS, Empty, MetricName
from ablate.origin import mixed
from ablate.study.records import State
from ablate.study.tables import (
    CASE,
    EPOCH_COLUMNS,
    IMAGE_COLUMNS,
    JUDGED,
    TRIAL_COLUMNS,
    VALIDATION,
    metric_column,
    most_of,
    own_metrics,
)
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    from ablate.cost.measured import Measured
    from ablate.part import Part
    from ablate.study.records import Record
    from ablate.study.runs import DataRecord
    from ablate.study.study import Study
    from ablate.study.tables import TableName

_STATES: tuple[str, ...] = get_args(State)
_MEASURED = "latency_ms", "latency_iqr_ms", "latency_low_ms", "latency_high_ms", "latency_cpu_ms", "peak_memory_mb"
DURATIONS = ["train_seconds", *_MEASURED, "seconds", "images_per_second"]
"""Columns that differ between two runs of the same study; all others are equal."""


class Frames(NamedTuple):
    """`trials`: a row a trial, with a column `factor.<name>` for each factor. `epochs`: a row an epoch of a trial.
    `images`: a row a test image of a trial, and class (0 is the background).

    A metric of the trials' own has a column `metric.<label>` of the images, and its mean in `<label>` of the trials;
    both are NaN of trials without it. `unit` is what cells are scored by; the scores in `trials` are means over images,
    as Table 2 has them, whatever it is. `scoring` is how they follow from `images`; what it was asked for has columns
    after those. `named` are, by cell, the networks that searches proposed, whose labels are short names."""

    trials: pd.DataFrame
    epochs: pd.DataFrame
    images: pd.DataFrame
    unit: Unit = "image"
    scoring: Scoring = AS_EVER
    named: Mapping[str, Named] = {}
    runtime: str = ""
    """In which the masks were found that the scores are of; '' of the networks' own."""

    def by(self, unit: Unit | None) -> Frames:
        """The same, scored by another unit; None leaves it. An image whose case is not known is its own."""
        return self if unit in (None, self.unit) else self._replace(unit=unit)


def scored(frames: Frames, asked: Sequence[MetricName] = (), empty: Empty | None = None) -> Frames:
    """The same tables, the trials with columns of these metrics too (`metric_asked`), scored by another choice."""
    own = own_metrics(frames.images)
    new = [name for name in dict.fromkeys((*frames.scoring.asked, *asked)) if name not in (*METRICS, *own)]
    scoring = frames.scoring._replace(asked=tuple(new), empty=empty or frames.scoring.empty)
    return frames if scoring == frames.scoring else with_scores(frames._replace(scoring=scoring))


def with_scores(frames: Frames) -> Frames:
    """The same tables, the trials with the scores that follow from the images."""
    scoring, own, new = frames.scoring, own_metrics(frames.images), frames.scoring.asked
    others = [name for name in frames.trials if name not in metrics_of(frames.trials)]
    after = others.index(VALIDATION[0])
    found = scores_by_trial(frames.images, scoring)
    trials = frames.trials[others].merge(found, how="left", left_on="key", right_index=True)
    order = ["dice", "iou", "miou", *own, *new]
    trials = trials[[*others[:after], *order, *others[after:]]]
    return frames._replace(trials=trials.assign(scored_in=frames.runtime) if frames.runtime else trials)


def load(study: Study) -> Frames:
    """The tables of all trials that ended, ordered by key: the same study gives the same tables, however it was run.

    Every file is held against the checksums that were kept. A trial of which one does not match is not in the tables,
    and `study.faults` has it.
    """
    sound = study.sound()
    configs: dict[str, TrialConfig] = {}
    tables: dict[TableName, list[pd.DataFrame]] = {"epochs": [], "images": []}
    for key, record in sound.records.items():
        names: tuple[TableName, ...] = ("epochs", "images") if record.state in JUDGED else ("epochs",)
        try:
            config, found = study.config(key), {name: study.table(key, name) for name in names}
        except InputError as error:
            study.faults[key] = str(error)
            continue
        configs[key] = config
        for name, table in found.items():
            tables[name].append(table)
    measurements: dict[str, Measured] = {}
    try:
        measurements = study.measurements()
    except InputError as error:
        study.faults["measurements.json"] = str(error)
    records = {key: sound.records[key] for key in configs}
    labels = sorted({label for table in tables["images"] for label in own_metrics(table)})
    judged, unit = _with_cases(tables["images"], configs)
    images = _concat(judged, [*_IMAGE_COLUMNS, *map(metric_column, labels)])
    tasks = _tasks(configs, study.data_records())
    scoring = Scoring.of(images, tasks, names_of(study, configs, tasks), stacks_of(study, configs, tasks))
    named = short_names_of(study, configs)
    trials = _trials(
        study, records, configs, measurements, images, tasks, scoring, labels_of(study, configs, tasks, named)
    )
    return Frames(with_files(trials, study), _concat(tables["epochs"], EPOCH_COLUMNS), images, unit, scoring, named)


def cell_labels(study: Study) -> dict[str, str]:
    """What tables and figures call each cell of the trials that ended, by its key."""
    configs: dict[str, TrialConfig] = {}
    for key in study.sound().records:
        with contextlib.suppress(InputError):  # it is in no table either
            configs[key] = study.config(key)
    return labels_of(study, configs, _tasks(configs, study.data_records()), short_names_of(study, configs))


_IMAGE_COLUMNS = (*IMAGE_COLUMNS[:2], CASE, *IMAGE_COLUMNS[2:])


def _with_cases(tables: list[pd.DataFrame], configs: dict[str, TrialConfig]) -> tuple[list[pd.DataFrame], Unit]:
    """Tables of images with the case of each, and what they are scored by where nothing else is asked for.

    That is cases where some have several images. A study that has tables of versions which kept no cases stays by
    image; there, a case is known from the other trials on the same data, or else the image is its own.
    """
    data = [configs[str(table["key"].iloc[0])].data.fingerprint if len(table) else "" for table in tables]
    known: dict[str, dict[str, str]] = {}
    for table, images in zip(tables, data, strict=True):
        if CASE in table:
            known.setdefault(images, {}).update(zip(table["image"], table[CASE], strict=True))
    filled = [
        table if CASE in table else table.assign(**{CASE: [known.get(images, {}).get(i, i) for i in table["image"]]})
        for table, images in zip(tables, data, strict=True)
    ]
    several = any(len(set(cases.values())) < len(cases) for cases in known.values())
    return filled, "case" if several and all(CASE in table for table in tables) else "image"


_NEEDED = {"trials": ["key", "cell", "seed", "model", "params", "macs"], "images": list(IMAGE_COLUMNS)}
_ASSUMED = {"space": "", "data": "data", "state": "complete", "error": None, "epochs": 0, "train_seconds": np.nan}
_MOST_COUNT = 2**53
"""Of pixels: a float holds it exactly."""


def from_tables(trials: pd.DataFrame, images: pd.DataFrame, epochs: pd.DataFrame | None = None) -> Frames:
    """Tables made elsewhere, checked and completed, for all of the analysis.

    `trials` needs `key, cell, seed, model, params, macs`, and `images` all of its columns; the others are assumed or
    empty where they are missing. Keys may be numbers: they become text. Scores are derived from `images`, whatever
    `trials` says; a column `metric.<label>` there, of 0 to 1 or missing, is one more
    (of a distance, `metric.hd95_mm`, of 0 or more).
    Raises `InputError` for missing columns, missing values, those that are no finite numbers within bounds, repeated
    rows, states that are none, or images of unknown trials.
    """
    need("trials", trials, _NEEDED["trials"])
    need("images", images, _NEEDED["images"])
    found = trials.assign(**{name: value for name, value in _ASSUMED.items() if name not in trials})
    found = found.assign(**{name: keys("trials", found, name) for name in ("key", "cell", "model")})
    found = found.assign(
        **{name: whole("trials", found, name).astype(np.int64) for name in ("params", "macs", "epochs")}
    )
    found["seed"] = whole("trials", found, "seed", high=_MOST_COUNT).astype(np.int64)
    counts = {name: whole("images", images, name, high=_MOST_COUNT).astype(np.int64) for name in IMAGE_COLUMNS[2:]}
    more = {metric_column(label): _of_some("images", images, metric_column(label)) for label in own_metrics(images)}
    found["fold"] = _folds(found)
    judged = images.assign(**{name: keys("images", images, name) for name in ("key", "image")}, **counts, **more)
    judged = judged.assign(**{CASE: keys("images", images, CASE) if CASE in images else judged["image"]})
    judged = judged[[*_IMAGE_COLUMNS, *more]]
    _refuse_repeated("trials", found, ["key"])
    _refuse_repeated("images", judged, ["key", "image", "class"])
    if strange := set(judged["key"]) - set(found["key"]):
        raise InputError(f"table images has key '{min(strange)}', which table trials has not: give both whole")
    states = set(found["state"].astype(str)) - set(_STATES)
    if states:
        raise InputError(f"table trials has state '{min(states)[:40]}': expected one of {', '.join(_STATES)}")
    for name in ("label", "configuration"):
        found[name] = (found[name] if name in found else found["model"]).astype(str)
    found["made_by"] = found["made_by"].astype(str) if "made_by" in found else ""
    found["data"] = found["data"].astype(str)
    for name in (*_MEASURED, "train_seconds"):
        found[name] = [bounded(value) for value in found[name]] if name in found else np.nan
    labels = dict(zip(found["cell"], found["label"], strict=True))
    found["label"] = found["cell"].map(told_apart(labels, {cell: cell[:4] for cell in labels}))
    found = found.drop(columns=[c for c in metrics_of(judged) if c in found])
    stacks = dict.fromkeys(found["data"], False) if CASE in images else {}
    scoring = Scoring.of(judged, dict(zip(found["key"], found["data"], strict=True)), stacks=stacks)
    found = found.merge(scores_by_trial(judged, scoring), how="left", left_on="key", right_index=True)
    factors = [name for name in found.columns if str(name).startswith("factor.")]
    found = placed(found.reindex(columns=_trial_columns(factors, own_metrics(judged))), given(found))
    for name in VALIDATION:
        found[name] = [bounded(value, 1) for value in found[name]]
    several = judged[CASE].nunique() < judged["image"].nunique()
    return Frames(found, _curves(epochs), judged, "case" if several else "image", scoring)


def _folds(trials: pd.DataFrame) -> pd.Series:
    """The column `fold`, as far as there is one. Raises `InputError` for what is neither missing nor a whole number."""
    if "fold" not in trials:
        return pd.Series(pd.NA, trials.index, dtype="Int64")
    known = trials["fold"].notna()
    given = whole("trials", trials.assign(fold=trials["fold"].where(known, 0)), "fold", high=_MOST_COUNT)
    return pd.Series(given, trials.index).astype("Int64").where(known)


def _of_some(name: str, table: pd.DataFrame, column: str) -> pd.Series:
    """A column of scores, NaN where it has none. Raises `InputError` for what is no score."""
    need(name, table, [column])
    known = table[column].notna()
    filled = table.assign(**{column: table[column].where(known, 0.0)})
    scores = numbers_of(name, filled, column, high=most_of(column))
    return pd.Series(scores, table.index).where(known)


def _trial_columns(factors: Sequence[str], metrics: Sequence[str]) -> list[str]:
    after = TRIAL_COLUMNS.index("miou") + 1
    return [*TRIAL_COLUMNS[:3], *factors, *TRIAL_COLUMNS[3:after], *metrics, *TRIAL_COLUMNS[after:]]


def _curves(epochs: pd.DataFrame | None) -> pd.DataFrame:
    """Epochs of trials made elsewhere; what is not known of one may be missing, or NaN."""
    if epochs is None:
        return pd.DataFrame(columns=list(EPOCH_COLUMNS))
    need("epochs", epochs, ["key", "epoch"])
    found = epochs.assign(key=keys("epochs", epochs), epoch=whole("epochs", epochs, "epoch").astype(np.int64))
    _refuse_repeated("epochs", found, ["key", "epoch"])
    found = found.reindex(columns=list(EPOCH_COLUMNS))
    for name in EPOCH_COLUMNS[2:]:
        found[name] = [bounded(value, 1 if name in VALIDATION else LARGEST) for value in found[name]]
    return found


def _refuse_repeated(name: str, table: pd.DataFrame, columns: list[str]) -> None:
    repeated = table.duplicated(columns).to_numpy()
    if repeated.any():
        raise InputError(f"table {name} repeats {', '.join(columns)} in row {int(repeated.argmax())}: one row each")


def scores_by_trial(images: pd.DataFrame, scoring: Scoring = AS_EVER) -> pd.DataFrame:
    """`dice`, `iou` (foreground), `miou` (Eq. 1), the trials' own metrics and what was asked for of each key: means
    over images of the per-image scores."""
    metrics = [*metrics_of(images), *scoring.asked]
    return pd.DataFrame({m: image_scores(images, m, scoring).groupby("key")["score"].mean() for m in metrics})


def _concat(tables: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    found = [table for table in tables if len(table)]
    return pd.concat(found, ignore_index=True)[list(columns)] if found else pd.DataFrame(columns=list(columns))


def _trials(
    study: Study,
    records: dict[str, Record],
    configs: dict[str, TrialConfig],
    measurements: dict[str, Measured],
    images: pd.DataFrame,
    tasks: dict[str, str],
    scoring: Scoring,
    labels: dict[str, str],
) -> pd.DataFrame:
    places = _places(study)
    factors = list(dict.fromkeys(f"factor.{name}" for run in study.manifest.runs for name in run.factors))
    origins = {key: study.origin(record) for key, record in records.items()}
    several = mixed((configs[key].cell, origins[key]) for key, record in records.items() if record.state in JUDGED)
    labels = labels | {cell: labels[cell] + MIXED for cell in several}
    study.mixed |= {labels[cell]: what for cell, what in several.items()}
    measured = {
        one.cell: measurements[one.cell_by_fold] for one in configs.values() if one.cell_by_fold in measurements
    }
    measured |= measurements
    rows = [
        record.model_dump(include=set(TRIAL_COLUMNS))
        | {f"factor.{name}": level for _, levels in places.get(key, []) for name, level in levels.items()}
        | {
            "cell": configs[key].cell,
            "fold": configs[key].fold,
            "space": ";".join(space for space, _ in places.get(key, [])),
            "data": tasks[key],
            "label": labels[configs[key].cell],
            "configuration": describe(configs[key]),
            "made_by": str(origins[key]),
        }
        | _measured(measured.get(configs[key].cell))
        for key, record in records.items()
    ]
    columns = [c for c in TRIAL_COLUMNS if c not in METRICS]
    frame = pd.DataFrame(rows, columns=[*columns, *factors]).merge(
        scores_by_trial(images, scoring), how="left", left_on="key", right_index=True
    )
    for name in ("best_epoch", "fold"):
        frame[name] = frame[name].astype("Int64")
    return frame[_trial_columns(factors, own_metrics(images))]


def _measured(found: Measured | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(_MEASURED, np.nan)
    costs = {name: bounded(getattr(found, name)) for name in _MEASURED}
    return costs | {"latency_device": found.device, "latency_input": found.input}


def _places(study: Study) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Each key's spaces, with its levels there."""
    places: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for run in study.manifest.runs:
        for key, levels in run.trials.items():
            places.setdefault(key, []).append((run.space, levels))
    return places


def _tasks(configs: dict[str, TrialConfig], records: Mapping[str, DataRecord]) -> dict[str, str]:
    """The data set that each trial is judged on, by what people call it: scores compare only where the test images are
    the same. Those that are called the same are told apart by what differs."""
    called: dict[str, dict[str, dict[str, str]]] = {}
    for config in configs.values():
        record = records.get(config.data.fingerprint)
        title = record.title if record and record.title else config.data.name
        folder = {"folder": Path(record.root).name} if record and record.root else {}
        called.setdefault(title, {})[_task(config)] = folder | _options(config)
    names: dict[str, str] = {}
    for title, distinct in called.items():
        varied = {name for options in distinct.values() for name in options}
        varied = {name for name in varied if len({options.get(name) for options in distinct.values()}) > 1}
        if len(varied) > 1:
            varied -= {"fingerprint"}  # it follows from the others
        for task, options in distinct.items():
            names[task] = " ".join([title, *(f"{name}={options[name]}" for name in sorted(varied & options.keys()))])
    return {key: names[_task(config)] for key, config in configs.items()}


def _task(config: TrialConfig) -> str:
    return json.dumps({"": config.data.name} | _options(config))


def _options(config: TrialConfig) -> dict[str, str]:
    """What decides a cell's test images, as text: those of all folds together."""
    data = {name: in_words(value) for name, value in config.data.canonical().items() if name != "name"}
    split = {f"split.{name}": value for name, value in config.protocol.split.canonical("fold").items()}
    return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in {**data, **split}.items()}


def describe(config: TrialConfig) -> str:
    """A network's configuration in one line, and what of its recipe's parts is not as it is without a word."""

    def text(value: Any) -> str:
        if isinstance(value, list) and value:
            return "/".join(map(text, value)) if isinstance(value[0], list) else ",".join(map(text, value))
        return str(value)

    def settings(part: Part, before: str) -> list[str]:
        return [f"{before}{name}={text(value)}" for name, value in part.settings.items() if value is not None]

    said = [config.model.name, *settings(config.model, "")]
    fields = TrialConfig.model_fields
    for place, part in config.parts.items():
        of_recipe = place not in ("model", "data") and not place.startswith("metrics.")
        if of_recipe and (
            place not in fields or part != fields[place].default
        ):  # each augmentation, and what is changed
            said += [f"{place}={part.name}", *settings(part, f"{place}.")]
    return " ".join(said)
