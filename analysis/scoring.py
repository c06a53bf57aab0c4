"""How the scores of images follow from what a study keeps of them: the choices that are stated with every number.

What an image scores in a class that neither its mask nor its prediction has is one (`--empty`); a class that no test
mask has is left out of means; a score is of one class where that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from ablate.analysis.format import listing, several
from ablate.errors import brief, unknown
from ablate.metrics.counts import METRICS, ON_REQUEST, Empty, MetricName, class_count, says_unit
from ablate.study.tables import own_metrics

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.study.study import Study
    from ablate.trial import TrialConfig


FailBelow = float | Literal["half"]
"""The Dice below which a test case counts as failed: a number, or half of what its data set's best network typically
reaches."""


class Scoring(NamedTuple):
    """How scores follow from a study's images, beside the metric."""

    empty: Empty = "one"
    asked: tuple[MetricName, ...] = ()
    """What the trials' table has columns of, beside what it always has."""
    tasks: Mapping[str, str] = {}
    """The data set of each key."""
    names: Mapping[str, tuple[str, ...]] = {}
    """What class 0 (the background), 1, … are called, by data set; '' of one without a name."""
    absent: Mapping[str, frozenset[int]] = {}
    """Classes that no test mask has, by data set: they are left out of means over classes, which they would lift. Where
    no test mask has any foreground, that is not said of it."""
    fail_below: FailBelow = "half"
    stacks: Mapping[str, bool] = {}
    """Whether test images are slices of one volume, by data set; none where nobody said."""

    @classmethod
    def of(
        cls,
        images: pd.DataFrame,
        tasks: Mapping[str, str],
        names: Mapping[str, tuple[str, ...]] | None = None,
        stacks: Mapping[str, bool] | None = None,
    ) -> Scoring:
        """Of a table of images, and each key's data set."""
        absent: dict[str, frozenset[int]] = {}
        if len(images) and images["class"].max() > 1:
            held = images["tp"] + images["fn"] > 0
            by_class = held.groupby([images["key"].map(tasks), images["class"]]).any()
            for task, of_task in by_class.groupby(level=0):
                lacks = {int(of_class) for _, of_class in of_task.index[~of_task]}
                if len(lacks - {0}) < len(of_task.drop((task, 0), errors="ignore")):
                    absent[str(task)] = frozenset(lacks)
        absent = {task: gone for task, gone in absent.items() if gone}
        return cls(tasks=tasks, names=names or {}, absent=absent, stacks=stacks or {})

    def index_of(self, of_class: str, task: str) -> int | None:
        """The class that is called `of_class` in a data set, or has that number."""
        if of_class in self.names.get(task, ()):
            return self.names[task].index(of_class)
        return int(of_class) if of_class.isdecimal() else None

    def name_of(self, of_class: int, task: str) -> str:
        names = self.names.get(task, ())
        return (names[of_class] if of_class < len(names) else "") or str(of_class)

    def classes(self, images: pd.DataFrame) -> list[str]:
        """The foreground classes that test masks have, in their order, by name where they have one; none of binary
        data.

        A class that data sets call differently is several.
        """
        known = images.loc[images["class"] > 0, ["key", "class"]].drop_duplicates()
        pairs = sorted({(int(at), self.tasks.get(key, "")) for key, at in known.itertuples(index=False)})
        several = {task for at, task in pairs if at > 1}
        there = [(at, task) for at, task in pairs if task in several and at not in self.absent.get(task, ())]
        return list(dict.fromkeys(self.name_of(at, task) for at, task in there))


AS_EVER = Scoring()


def _shown(names: Sequence[str], classes: int) -> tuple[str, ...]:
    """What a study's file calls its classes, as far as that can be shown; '' for one that it cannot, or that is twice.

    The text is anybody's: what would be a tag in a figure is no name.
    """
    fit = [name if name.isprintable() and not set(name) & set("<>") else "" for name in names[:classes]]
    return tuple(name if fit.count(name) == 1 else "" for name in fit)


def names_of(study: Study, configs: Mapping[str, TrialConfig], tasks: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What each data set's classes are called, by the run that named them last."""
    named = {of: tuple(one.class_names) for of, one in study.data_records().items() if one.class_names}
    data = {tasks[key]: config.data for key, config in configs.items()}
    return {
        task: _shown(named[one.fingerprint], class_count(one.classes))
        for task, one in data.items()
        if one.fingerprint in named
    }


def stacks_of(study: Study, configs: Mapping[str, TrialConfig], tasks: Mapping[str, str]) -> dict[str, bool]:
    """Whether a data set's test images are slices of one volume, as far as a run noted how many cases they are of."""
    found: dict[str, bool] = {}
    records = study.data_records()
    data = {tasks[key]: config.data.fingerprint for key, config in configs.items()}
    for task, fingerprint in data.items():
        parts = records[fingerprint].facts.get("parts") if fingerprint in records else None
        test = parts.get("test") if isinstance(parts, dict) else None
        images, cases = (test.get("images"), test.get("cases")) if isinstance(test, dict) else (None, None)
        if isinstance(images, int) and isinstance(cases, int):
            found[task] = cases == 1 < images
    return found


# What is asked for ---------------------------------------------------------------------------------------------------


def metric_asked(frames: Frames, metric: MetricName, of_class: str = "", what: str = "metric") -> MetricName:
    """The name by which the tables have a metric that is asked for, of one class where one is.

    `hd95` is `hd95_mm` where that is what was measured. Raises `InputError` for a metric that no trial has, and for a
    class that no data set has; `what` names the metric there.
    """
    whole, _, inner = metric.partition(".")
    known = [*METRICS, *own_metrics(frames.images), *ON_REQUEST]
    in_units = [name for name in known if says_unit(name) and METRICS[name].stem == whole]
    if whole not in known and len(in_units) == 1:
        whole = in_units[0]
    if whole not in known:
        raise unknown(what, whole, known)
    of_class = of_class or inner
    if not of_class:
        return whole
    tasks = dict.fromkeys(frames.trials["data"].astype(str))
    found = {task: frames.scoring.index_of(of_class, task) for task in tasks}
    most = int(frames.images["class"].max()) if len(frames.images) else 0
    named = {frames.scoring.name_of(at, task) for task, at in found.items() if at is not None and at <= most}
    if not named:
        raise unknown("class", brief(of_class), frames.scoring.classes(frames.images) or ["1"])
    return f"{whole}.{named.pop() if len(named) == 1 else of_class}"


def by_class(frames: Frames, metric: MetricName, most: int) -> tuple[list[MetricName], str]:
    """The metric of each foreground class where there are several, and what is to be said of the others, or ''."""
    classes = frames.scoring.classes(frames.images)
    rest = classes[most:]
    what = "class" if len(rest) == 1 else "classes"
    note = f"{METRICS[metric].label} of {len(rest)} more {what} ({listing(rest, 6)}) is there by --class."
    return [f"{metric}.{name}" for name in classes[:most]], note if rest else ""


# What is said --------------------------------------------------------------------------------------------------------


def scoring_notes(frames: Frames) -> list[str]:
    """A sentence for each choice that touched scores: classes that no mask has, and images whose mask lacks a class."""
    return [
        note for task, rows in frames.trials.groupby("data") for note in _of_task(frames, str(task), set(rows["key"]))
    ]


_MEANT = {"one": "scores 1", "skip": "is left out of means", "zero": "scores 0"}
_MEANT_OF_DISTANCES = {"one": " (a distance is 0)", "skip": "", "zero": " (a distance is left out)"}


def _of_task(frames: Frames, task: str, keys: set[str]) -> list[str]:
    scoring, images = frames.scoring, frames.images
    where = f"{task}: " if frames.trials["data"].nunique() > 1 else ""
    absent = scoring.absent.get(task, frozenset())
    said = []
    if absent:
        names = [scoring.name_of(at, task) for at in sorted(absent)]
        said.append(f"{where}No test mask has class {listing(names, 6)}: left out of means over classes.")
    rows = images[(images["class"] > 0) & images["key"].isin(keys)]
    rows = rows[~rows["class"].isin(absent)]
    empty = rows[rows["tp"] + rows["fn"] == 0]
    if len(empty):
        nothing = int((empty["fp"] == 0).sum())
        names = [scoring.name_of(at, task) for at in sorted(set(empty["class"]))]
        noun = "test image" if frames.unit == "image" else "case"
        what = f"have no pixel of class {listing(names, 6)}" if rows["class"].max() > 1 else "have an empty mask"
        meant = _MEANT[scoring.empty]
        if any(METRICS[name].unit for name in own_metrics(images)):
            meant += _MEANT_OF_DISTANCES[scoring.empty]
        touched = f"{nothing} of {len(rows)} scores of one {noun} and class by a trial"
        said.append(
            f"{where}{empty['image'].nunique()} of {several(rows['image'].nunique(), noun)} {what}. A "
            f"prediction that has none either {meant} (--empty {scoring.empty}: {touched}); any other "
            "is as bad as can be."
        )
    return said
