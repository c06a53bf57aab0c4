"""What a report is made from: what its study is about, what the statistics say of it, and what follows from both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.by_seed import by_seed
from ablate.analysis.failure_words import failed_of
from ablate.analysis.figures.heatmap import LevelMeans
from ablate.analysis.figures.hypervolume import Spent
from ablate.analysis.figures.networks import short_names
from ablate.analysis.figures.parallel import Parallel
from ablate.analysis.format import CHOSEN, between, score
from ablate.analysis.pareto import Cell, Cost, Pareto, cells, fronts, tasks
from ablate.analysis.uncertainty import with_chosen
from ablate.metrics.counts import MetricName
from ablate.study.short_names import is_short

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.claims.verdict import ClaimResult
    from ablate.analysis.confirmation import Confirmation
    from ablate.analysis.crossed import Interval
    from ablate.analysis.effects import Effects
    from ablate.analysis.failures import Failures
    from ablate.analysis.frames import Frames
    from ablate.analysis.measured import Disagreement
    from ablate.analysis.scores import CellScores
    from ablate.analysis.uncertainty import UncertainFront
    from ablate.study.study import Study


Intervals = Mapping[MetricName, Mapping[str, "Interval"]]
"""Of the mean scores, by metric and cell."""


class About(NamedTuple):
    """What a report is about, and how its numbers were made."""

    title: str
    question: str
    profiles: tuple[str, ...]
    """The names of those that its trials were made under; the report opens with what each must say of its numbers."""
    facts: Mapping[str, str]
    """Name to value: data set, fingerprint, split, protocol, seeds, device, threads, versions, ..."""
    notes: tuple[str, ...] = ()
    """What was excluded, and why."""
    definitions: Mapping[str, str] = {}
    """By name of the space, its definition as YAML."""
    head: Mapping[str, str] = {}
    """Name to value, in a few lines under the title: date, versions, hardware, data, seeds."""
    cautions: Sequence[str] = ()
    """What must be known before anything is believed, at the head of the report: trials that are damaged, say."""


class Evidence(NamedTuple):
    """What the statistics say of a study. Whatever could not be computed is empty, and `notes` say why."""

    claims: Sequence[ClaimResult] = ()
    intervals: Mapping[MetricName, Mapping[str, Interval]] = {}
    """Of the mean scores, by metric and cell."""
    scores: Mapping[str, CellScores] = {}
    """By cell, the Dice of every seed on every test image or case."""
    uncertain: Mapping[str, Sequence[UncertainFront]] = {}
    """By data set."""
    failures: Mapping[str, Failures] = {}
    """What each cell lost, by Dice."""
    lost: str = ""
    """What `failures` are of."""
    disagreements: Sequence[Disagreement] = ()
    effects: Effects | None = None
    maps: Sequence[LevelMeans] = ()
    parallels: Sequence[Parallel] = ()
    spent: tuple[Spent, ...] = ()
    confirmation: Confirmation | None = None
    notes: Sequence[str] = ()


class Prediction(NamedTuple):
    """A predicted mask as a PNG like `Picture.mask`, and its Dice on this image."""

    mask: bytes
    dice: float


class Picture(NamedTuple):
    """A test image as PNGs: the input, and its mask, whose grey levels are classes with 0 the background.

    `predictions` are by cell. `role` says why it is shown (worst, median, best), or is empty. `task` is its data set.
    """

    image: str
    source: bytes
    mask: bytes
    predictions: Mapping[str, Prediction]
    role: str = ""
    task: str = ""
    ignored: int | None = None
    """The grey level of what is not known in the mask, if masks of its kind have one."""


@dataclass(frozen=True)
class Content:
    """What every section is made from. What is computed of it is computed once, when a section first asks."""

    frames: Frames
    about: About
    evidence: Evidence
    pictures: Sequence[Picture] = ()
    study: Study | None = None
    """What the tables are of; None where a page is made from tables alone."""

    @cached_property
    def pictured(self) -> set[str]:
        """The cells whose predictions are shown."""
        return {cell for picture in self.pictures for cell in picture.predictions}

    @cached_property
    def by_seed(self) -> pd.DataFrame:
        return by_seed(self.frames)

    @cached_property
    def known(self) -> tuple[Cell, ...]:
        """By their short names, as all of the report has them."""
        found = cells(self.by_seed)
        return tuple(cell._replace(label=self.called.get(cell.id, cell.label)) for cell in found)

    @cached_property
    def called(self) -> Mapping[str, str]:
        """By cell of every data set, what its network is called in the plots and the tables: a name that is short."""
        return short_names([cell for cell in cells(self.by_seed) if not cell.trivial], self.frames.named)

    @cached_property
    def has_short_names(self) -> bool:
        """Whether networks are called n1, n2, … in it."""
        return any(map(is_short, self.called.values()))

    @cached_property
    def by_task(self) -> Mapping[str, pd.DataFrame]:
        return tasks(self.by_seed)

    @cached_property
    def fronts(self) -> Mapping[str, tuple[Pareto, ...]]:
        return {task: tuple(map(self._named, fronts(trials))) for task, trials in self.by_task.items()}

    def _named(self, record: Pareto) -> Pareto:
        points = (point._replace(label=self.called.get(point.cell, point.label)) for point in record.points)
        return record._replace(points=tuple(points))

    @cached_property
    def on_a_front(self) -> set[str]:
        return {cell for records in self.fronts.values() for record in records for cell in record.front}

    @cached_property
    def intervals(self) -> Intervals:
        """Those of the evidence; of members of fronts corrected for their having been chosen."""
        return with_chosen(
            self.evidence.intervals, (one for found in self.evidence.uncertain.values() for one in found)
        )

    def corrected(self, cell: str, metric: MetricName) -> str:
        """The mark of an interval that is corrected, or nothing."""
        plain = self.evidence.intervals.get(metric, {}).get(cell)
        return CHOSEN if plain is not None and self.intervals[metric][cell] != plain else ""

    @cached_property
    def all_corrected(self) -> frozenset[tuple[MetricName, str]]:
        """By metric and cell, the intervals that are corrected."""
        return frozenset((m, cell) for m, found in self.intervals.items() for cell in found if self.corrected(cell, m))

    def sure(self, front: Pareto, task: str) -> UncertainFront | None:
        """How sure a data set's front is, where it is known."""
        records = self.evidence.uncertain.get(task, ())
        return next((one for one in records if (one.x, one.y) == (front.x, front.y)), None)

    def heading(self, task: str) -> str:
        """The data set's name, where there are several."""
        return task if len(self.by_task) > 1 else ""

    def scored(self, found: Cell) -> str:
        """A cell's Dice with its interval, or without one its standard deviation, and what it lost of its tests."""
        interval = interval_of(self.intervals, found, "dice")
        text = score(*found.dice) if interval is None else between(found.dice.mean, interval.low, interval.high)
        text += self.corrected(found.id, "dice") if interval is not None else ""
        lost = self.evidence.failures.get(found.id)
        return text if lost is None else f"{text}, fails {failed_of(lost.counted)}"

    def chances(self, task: str, x: Cost = "params", y: MetricName = "dice") -> Mapping[str, float]:
        """Each cell's probability of being on a front; none where it is not known, or of images alone (one seed)."""
        for record in self.evidence.uncertain.get(task, ()):
            if (record.x, record.y) == (x, y) and record.seeds > 1:
                return record.probability
        return {}


def interval_of(intervals: Intervals, found: Cell, metric: MetricName) -> Interval | None:
    """A cell's interval, unless nothing is known of its seeds."""
    interval = intervals.get(metric, {}).get(found.id)
    return interval if interval is not None and math.isfinite(interval.low) and not found.trivial else None
