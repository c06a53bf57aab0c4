"""Tables 2 and 3 of the paper, of studies, with what was published beside. `ablate.analysis.paper.typeset` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.paper.accuracy import possible
from ablate.analysis.paper.published import CITED, NAMES, TABLE_1, TABLE_2, TABLE_3, TABLE_3_INPUT
from ablate.analysis.tables import ResultsTable, Row, results_table
from ablate.analysis.typeset import interval_text
from ablate.errors import InputError
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

HERE, PUBLISHED, TRIVIAL = "here", "published", "trivial"
MARK = "‡"
_METRICS = ("iou", "dice")
_FACTS = ("Data", "Split", "Training", "Selection")


class Place(NamedTuple):
    """A number with its decimals; NaN is not known. `interval` is as printed; `low` and `high` are NaN without one."""

    value: float
    decimals: int = 3
    low: float = math.nan
    high: float = math.nan
    interval: str = ""
    best: bool = False
    mark: str = ""


class PaperRow(NamedTuple):
    """`source` is HERE, PUBLISHED or TRIVIAL."""

    name: str
    source: str
    places: tuple[Place, ...]


class PaperTable(NamedTuple):
    """Columns in groups (heading, names), and the sentences above and beneath."""

    label: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[PaperRow, ...]
    caption: tuple[str, ...]
    details: tuple[str, ...]


class Held:
    """A study with its tables, the facts of it that stand under a table, and what must be said of it."""

    def __init__(
        self, study: Study, frames: Frames, facts: Mapping[str, str] | None = None, notes: Sequence[str] = ()
    ) -> None:
        self.study, self.frames, self.facts, self.notes = study, frames, facts or {}, notes

    @cached_property
    def configs(self) -> dict[str, TrialConfig]:
        """By cell, of one of its trials."""
        first = self.frames.trials.drop_duplicates("cell")
        return {str(cell): self.study.config(str(key)) for cell, key in zip(first["cell"], first["key"], strict=True)}

    @cached_property
    def papers(self) -> dict[str, str]:
        """By cell the network that the paper names, where it is that, without any setting."""
        from ablate.models.network import network

        ours = {cell: config.model for cell, config in self.configs.items() if config.model.name in NAMES}
        return {cell: model.name for cell, model in ours.items() if model == network(model.name)}

    @cached_property
    def table(self) -> ResultsTable:
        return results_table(self.frames, _METRICS, notes=self.notes, lost_too=False)


def paper_table_2(studies: Sequence[Held]) -> PaperTable:
    """IoU and Dice of every network, a pair of columns for each data set, and beneath what was published of it.

    Raises `InputError` where no network of the paper's was trained, and where two studies hold one data set.
    """
    _check(studies)
    found: dict[tuple[str, str, bool], dict[str, Row]] = {}
    theirs: dict[str, str] = {}
    ours: dict[tuple[str, str, bool], str] = {}
    for held in studies:
        for section in held.table.sections:
            if section.task in theirs:
                raise InputError(f"two of the studies are of {section.task}: name one of them")
            sources = {held.configs[row.cell].data.name for row in section.rows}
            theirs[section.task] = next((name for name, data in TABLE_1.items() if data.source in sources), "")
            for row in section.rows:
                network = row.model, row.name, row.trivial
                found.setdefault(network, {})[section.task] = row
                if row.cell in held.papers:
                    ours[network] = held.papers[row.cell]
    rows: list[PaperRow] = []
    for network in sorted(found, key=lambda network: (network[2], _place(network[0]), network not in ours)):
        scores = [_score(found[network].get(task), metric) for task in theirs for metric in _METRICS]
        rows.append(PaperRow(network[1], TRIVIAL if network[2] else HERE, tuple(scores)))
        if network in ours and any(theirs.values()):
            published = [place for name in theirs.values() for place in _published(name, ours[network])]
            rows.append(PaperRow("published", PUBLISHED, tuple(published)))
    headings = tuple(METRICS[metric].heading for metric in _METRICS)
    return PaperTable(
        "accuracy",
        tuple((task, headings) for task in theirs),
        tuple(rows),
        (*dict.fromkeys(said for held in studies for said in held.table.caption), *_said_of_published(rows)),
        (f"IoU, which {CITED} call MIoU, and Dice are of the foreground.", *_facts(studies)),
    )


def _check(studies: Sequence[Held]) -> None:
    if not any(held.papers for held in studies):
        raise InputError(
            "none of the paper's networks is in the study: `ablate run --space baselines` trains all six; without --as "
            "a table is of any networks"
        )


def _place(model: str) -> int:
    return list(NAMES).index(model) if model in NAMES else len(NAMES)


def _score(row: Row | None, metric: str) -> Place:
    if row is None:
        return Place(math.nan)
    score = row.scores[metric]
    low, high = (math.nan, math.nan) if row.trivial else score.interval[1:3]
    mark = "†" if score.worse else ""
    return Place(score.interval.estimate, 3, low, high, interval_text(row, score), score.best, mark)


def _published(data: str, model: str) -> list[Place]:
    if data not in TABLE_2:
        return [Place(math.nan)] * len(_METRICS)
    pair = TABLE_2[data][model]
    mark = "" if possible(pair) else MARK
    return [Place(pair.miou, 4, mark=mark), Place(pair.dice, 4, mark=mark)]


def _said_of_published(rows: Sequence[PaperRow]) -> list[str]:
    own = [row for row in rows if row.source == PUBLISHED]
    if not own:
        return [f"None of the data is of {CITED}, so nothing that they published stands beside it."]
    said = [
        f"Published: {CITED}, Table 2, of 512×512 images after one training of 50 epochs, whose best epoch the test "
        "images chose."
    ]
    if any(place.mark for row in own for place in row.places):
        said.append(f"{MARK}: no masks have this pair, for Dice is never below IoU; it was probably exchanged.")
    return said


def _facts(studies: Sequence[Held]) -> list[str]:
    """Of several studies, each with its data first."""
    return [f"{name}: {held.facts[name]}." for held in studies for name in _FACTS if held.facts.get(name)]


# Table 3 -------------------------------------------------------------------------------------------------------------


def paper_table_3(studies: Sequence[Held]) -> PaperTable:
    """Parameters and MACs of every network: as trained here, counted at the paper's input, and as published.

    Raises `InputError` as `paper_table_2`.
    """
    _check(studies)
    size = "×".join(map(str, TABLE_3_INPUT))
    rows, inputs, seen = [], [], set()
    for held in studies:
        networks = [row for section in held.table.sections for row in section.rows if not row.trivial]
        for row in sorted(networks, key=lambda row: (_place(row.model), row.cell not in held.papers)):
            data = held.configs[row.cell].data
            shape = "×".join(map(str, (data.channels, *data.size)))
            inputs.append(shape)
            if (row.name, shape) not in seen:
                seen.add((row.name, shape))
                rows.append((shape, PaperRow(row.name, HERE, _costs(held, row))))
    several = len(set(inputs)) > 1
    named = [row._replace(name=f"{row.name}, {shape}") if several else row for shape, row in rows]
    at = ("own input" if several else inputs[0], size, "published")
    said = [
        f"Parameters and multiply–accumulates of one image: as trained, counted at {size}, and as in {CITED}, Table 3."
    ]
    said += ["The fewest are bold."] if len(named) > 1 else []
    if any(place.mark for row in named for place in row.places):
        said.append(f"{MARK}: the network described does not have these figures in any reading that was counted.")
    return PaperTable(
        "costs",
        (("Parameters (M)", at), ("MACs (G)", at)),
        tuple(_fewest_bold(named)),
        tuple(said),
        ("What the paper calls FLOPs are multiply–accumulates, counted as ptflops does, of modules.",),
    )


def _costs(held: Held, row: Row) -> tuple[Place, ...]:
    from ablate.cost.counted import cost

    channels, *size = TABLE_3_INPUT
    model = held.configs[row.cell].model
    counted = cost(model, channels, 1, (size[0], size[1])) if model.name in NAMES else None
    theirs = TABLE_3.get(held.papers.get(row.cell, ""))
    mark = MARK if theirs is not None and not theirs.reproducible else ""
    found = []
    for field, unit, published in (
        ("params", 1e6, theirs.params_m if theirs else math.nan),
        ("macs", 1e9, theirs.gmacs if theirs else math.nan),
    ):
        found.append(Place(getattr(row, field) / unit, 2))
        found.append(Place(getattr(counted, field) / unit if counted else math.nan, 2))
        found.append(Place(published, 2, mark=mark))
    return tuple(found)


def _fewest_bold(rows: Sequence[PaperRow]) -> list[PaperRow]:
    """The least of each column in which several are known, and what is printed like it."""
    least = []
    for column in zip(*(row.places for row in rows), strict=True):
        known = [round(place.value, 2) for place in column if math.isfinite(place.value)]
        least.append(min(known) if len(known) > 1 else math.nan)
    return [
        row._replace(
            places=tuple(
                place._replace(best=math.isfinite(place.value) and round(place.value, 2) == few)
                for place, few in zip(row.places, least, strict=True)
            )
        )
        for row in rows
    ]


TABLES = {"paper-table-2": paper_table_2, "paper-table-3": paper_table_3}
