"""How each kind of hypothesis is judged on one data set: by an interval or a probability, not by an estimate alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablate.analysis.claims.non_inferiority import lost_in_words, non_inferiority
from ablate.analysis.claims.schema import (
    Claim,
    Fewest,
    Hypothesis,
    MatchedBudget,
    NonInferior,
    OnFront,
    Selector,
    Superior,
)
from ablate.analysis.claims.sure import Sure, sure_of, sure_of_both
from ablate.analysis.claims.verdict import Outcome, Verdict, outcome_of
from ablate.analysis.failures import Failures, failing, failures
from ablate.analysis.format import MIXED, listing, several, si
from ablate.analysis.guard import attempt
from ablate.analysis.names import spelled_out
from ablate.analysis.pareto import COST_WORDS, COSTS, Cell, Cost, device_of
from ablate.analysis.pareto import value as value_of
from ablate.analysis.scores import CellScores, cases_of, cell_scores
from ablate.analysis.significance import Difference, difference, holm
from ablate.analysis.uncertainty import front_probability
from ablate.cost.names import RUNTIMES, UNITS, how_to_measure, runtime_of
from ablate.errors import InputError
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.analysis.scoring import FailBelow

_LEVEL = 0.95


class Judged(NamedTuple):
    """One data set of a study, with what its verdicts are about."""

    claim: Claim
    frames: Frames
    known: Mapping[str, Cell]
    rows: pd.DataFrame
    """One a cell: the first of its trials that was scored."""
    subject: Cell
    scores: dict[MetricName, dict[str, CellScores]]
    failed: dict[tuple[MetricName, FailBelow], dict[str, Failures]]

    def select(self, selector: Selector) -> list[Cell]:
        return [self.known[cell] for cell in select(self.rows, selector)]

    def compare(self, metric: MetricName, other: CellScores, margin: float = 0.0) -> Difference:
        return difference(self.of(metric, self.subject), other, metric, _LEVEL, margin)

    def of(self, metric: MetricName, cell: Cell) -> CellScores:
        if metric not in self.scores:
            self.scores[metric] = cell_scores(self.frames, metric)
        if cell.id not in self.scores[metric]:
            runtime = self.frames.runtime
            where = f" in {RUNTIMES[runtime]}: run `{how_to_measure(f'@{runtime}')}`" if runtime else ""
            raise InputError(f"{cell.label} has no test score{where}")
        return self.scores[metric][cell.id]

    def lost(self, metric: MetricName, below: FailBelow) -> dict[str, Failures]:
        """What each cell lost, by Dice: of the class that the metric is of."""
        if (metric, below) not in self.failed:
            self.failed[metric, below] = failures(failing(self.frames, below), metric)
        return self.failed[metric, below]


class Rivals(NamedTuple):
    """Whom a hypothesis holds the subject against, and the names of those that have no complete trial."""

    there: tuple[Cell, ...]
    missing: tuple[str, ...]


# Whom it is about ----------------------------------------------------------------------------------------------------


def select(rows: pd.DataFrame, selector: Selector) -> list[str]:
    """The cells that have all of `selector`; none where nothing has."""
    chosen = np.ones(len(rows), dtype=bool)  # of rows, also where there is none: an empty list would choose columns
    for name, value in selector.items():
        if name in rows.columns:
            texts = rows[name].astype(str)
            texts = texts.str.removesuffix(MIXED) if name == "label" else texts
            same = (texts == str(value)).to_numpy(dtype=bool)
            chosen &= (same | (spelled_out(rows) == str(value))) if name == "label" else same
        else:
            token = f"{name}={value}"
            chosen &= np.array([token in str(text).split(" ") for text in rows["configuration"]], dtype=bool)
    return [str(cell) for cell in rows["cell"][chosen]]


def which(rows: pd.DataFrame, cells: Sequence[str], most: int = 4) -> str:
    """Cells by their labels, with the space of each where they are of several."""
    spaces = {str(rows.at[cell, "space"]) for cell in cells}
    labels = [str(rows.at[cell, "label"]) for cell in cells]
    if len(spaces) > 1:
        labels = [f"{label} of {rows.at[cell, 'space']!s}" for label, cell in zip(labels, cells, strict=True)]
    return listing(labels, most)


def named(selector: Selector) -> str:
    if list(selector) == ["model"]:
        return str(selector["model"])
    return ", ".join(f"{name}={value}" for name, value in selector.items())


def rivals_of(study: Judged, hypothesis: Hypothesis) -> Rivals:
    """Raises `InputError` for a rival that is several cells: the claim cannot be asked."""
    if isinstance(hypothesis, OnFront | MatchedBudget):
        return Rivals((), ())
    there: list[Cell] = []
    missing = []
    for selector in study.claim.against if hypothesis.against is None else hypothesis.against:
        found = [cell for cell in study.select(selector) if cell.id != study.subject.id]
        if len(found) > 1:
            raise InputError(
                f"claim {study.claim.name}: rival {named(selector)} is {len(found)} cells "
                f"({which(study.rows, [cell.id for cell in found])}): choose one space by --space, or write a claim "
                "that names one by its label"
            )
        there += found
        missing += [] if found else [named(selector)]
    return Rivals(tuple(there), tuple(missing))


# One kind after the other --------------------------------------------------------------------------------------------


def verdicts_on(study: Judged, hypothesis: Hypothesis, rivals: Rivals) -> list[Verdict]:
    """One or several, each by itself: what cannot be judged is inconclusive."""
    missing = [_missing(hypothesis.kind, name) for name in rivals.missing]
    if isinstance(hypothesis, OnFront):
        name = f"on the front of {METRICS[hypothesis.metric].label} against {COST_WORDS[hypothesis.cost]}"
        return [_decided(partial(_on_front, study, hypothesis, name), name, hypothesis.kind)]
    if isinstance(hypothesis, MatchedBudget):
        name = f"{METRICS[hypothesis.metric].label} at equal {COST_WORDS[hypothesis.cost]}"
        return [_decided(partial(_matched_budget, study, hypothesis, name), name, hypothesis.kind)]
    if isinstance(hypothesis, Fewest):
        least = "lowest" if hypothesis.cost in UNITS else "fewest"
        name = f"{least} {COST_WORDS[hypothesis.cost]}"
        return [_decided(partial(_fewest, study, hypothesis, rivals, name), name, hypothesis.kind)]
    if isinstance(hypothesis, NonInferior):
        found = [
            _decided(partial(_non_inferior, study, hypothesis, rival, name), name, hypothesis.kind)
            for rival in rivals.there
            for name in [f"{METRICS[hypothesis.metric].label} non-inferior to {rival.label}"]
        ]
        return [*found, *missing]
    return [*_superior(study, hypothesis, rivals.there), *missing]


def _decided(judge: Callable[[], Verdict], name: str, kind: str) -> Verdict:
    return attempt(judge, lambda why: _undecided(name, kind, "", f"It cannot be judged: {why}."))


def _missing(kind: str, cell: str) -> Verdict:
    return _undecided(f"{kind.replace('_', '-')}: {cell}", kind, "", f"No complete trial of {cell} is in the study.")


def _undecided(name: str, kind: str, unit: str, why: str) -> Verdict:
    return Verdict(name, kind, "inconclusive", math.nan, math.nan, math.nan, unit, why, "nothing to judge by")


def _fewest(study: Judged, hypothesis: Fewest, rivals: Rivals, least_of: str) -> Verdict:
    cost, subject = hypothesis.cost, study.subject
    own = _cost(subject, cost)
    here = device_of(subject, cost)
    known = {rival.id: _cost(rival, cost) for rival in rivals.there if device_of(rival, cost) == here}
    priced = [(rival, known[rival.id]) for rival in rivals.there if not math.isnan(known.get(rival.id, math.nan))]
    unpriced = [rival.label for rival in rivals.there if math.isnan(known.get(rival.id, math.nan))]
    if math.isnan(own) or not priced:
        why = f"{COSTS[cost]} is not known of both subject and rivals.{_measure(cost, [subject, *rivals.there])}"
        return _undecided(least_of, "fewest", "ratio", why)
    rival, least = min(priced, key=lambda pair: pair[1])
    ratio = own / least if least else 1.0 if not own else math.inf
    absent = [*rivals.missing, *unpriced]
    note = f"without {listing(absent)}" if absent else ""
    outcome: Outcome = "refuted" if ratio >= 1 else "inconclusive" if absent else "supported"
    verb = "has" if ratio < 1 else "does not have"
    sentence = (
        f"{subject.label} {verb} the {least_of} of {len(priced) + 1} networks: {_shown(own, cost)}, "
        f"{ratio:.2f} times the {_shown(least, cost)} of {rival.label}."
    )
    sure = {"supported": (0.0, 1.0), "refuted": (1.0, 0.0), "inconclusive": (math.nan, math.nan)}[outcome]
    cells = (subject.id, *(rival.id for rival, _ in priced))
    counted = Verdict(least_of, "fewest", outcome, ratio, math.nan, math.nan, "ratio", sentence, note)
    return counted._replace(**Sure(*sure, cells)._asdict())


def _non_inferior(study: Judged, hypothesis: NonInferior, rival: Cell, name: str) -> Verdict:
    metric = hypothesis.metric
    pair = study.of(metric, study.subject), study.of(metric, rival)
    lost = study.lost(metric, hypothesis.failures.below)
    found = non_inferiority(*pair, (lost[study.subject.id], lost[rival.id]), hypothesis)
    words = {
        "supported": "is not inferior to",
        "refuted": "is inferior to",
        "inconclusive": "is neither shown to be non-inferior nor inferior to",
    }
    shown = "no image is left that neither lost" if found.typical is None else _difference(found.typical)
    sentence = (
        f"{study.subject.label} {words[found.typically]} {rival.label} in {METRICS[metric].label} by a margin of "
        f"{hypothesis.margin:g} ({shown}); {lost_in_words(found)}."
    )
    interval = (math.nan,) * 3 if found.typical is None else found.typical.interval[:3]
    note = "; ".join(found.notes)
    error = math.nan if found.typical is None else found.typical.error
    whole = Verdict(
        name, "non_inferior", found.outcome, *interval, "difference", sentence, note, found.lost, error=error
    )
    sure = sure_of_both(pair, (lost[study.subject.id], lost[rival.id]), hypothesis, (study.subject.id, rival.id))
    return whole._replace(**sure._asdict(), error=error)


def _superior(study: Judged, hypothesis: Superior, rivals: Sequence[Cell]) -> Iterator[Verdict]:
    metric = hypothesis.metric
    compared: list[tuple[str, Cell, Difference]] = []
    for rival in rivals:
        name = f"{METRICS[metric].label} superior to {rival.label}"
        why: list[str] = []
        found = attempt(partial(_compared, study, metric, rival), why.append)
        if found is None:
            yield _undecided(name, "superior", "", f"It cannot be judged: {why[0]}.")
        else:
            compared.append((name, rival, found))
    corrected = holm([found for *_, found in compared])
    for (name, rival, _), found in zip(compared, corrected, strict=True):
        outcome = outcome_of(found.significant and found.gain > 0, found.significant and found.gain < 0)
        words = {"supported": "better than", "refuted": "worse than", "inconclusive": "not shown to differ from"}
        p_value = "" if found.p_holm is None else f", p = {found.p_holm:.2g} after Holm's correction"
        sentence = (
            f"{study.subject.label} is {words[outcome]} {rival.label} in {METRICS[metric].label} "
            f"({_difference(found)}{p_value})."
        )
        yield _of(found, name, "superior", outcome, sentence, _of_superior(study, rival, found))


def _of_superior(study: Judged, rival: Cell, found: Difference) -> Sure:
    """That of its being better after Holm's correction over the rivals."""
    pair = study.of(found.metric, study.subject), study.of(found.metric, rival)
    sure = sure_of(*pair, found.metric, 0.0, (study.subject.id, rival.id), sides=2)
    holm_too = found.p_holm if found.p_holm is not None and found.gain > 0 else sure.p_supported
    return sure._replace(p_supported=max(sure.p_supported, holm_too))


def _compared(study: Judged, metric: MetricName, rival: Cell) -> Difference | None:
    return study.compare(metric, study.of(metric, rival))


def _on_front(study: Judged, hypothesis: OnFront, name: str) -> Verdict:
    cost, metric = hypothesis.cost, hypothesis.metric
    found = front_probability(study.frames, cost, metric, study.subject.id, level=hypothesis.probability)
    if found is None:
        todo = _measure(cost, [study.subject])
        why = f"{COSTS[cost]} and test scores of {study.subject.label} are not both known.{todo}"
        return _undecided(name, "on_front", "probability", why)
    outcome = outcome_of(found.sure, found.p_excluded <= 1 - hypothesis.probability)
    words = {"supported": "is", "refuted": "is not", "inconclusive": "is neither shown to be nor not to be"}
    sentence = (
        f"{study.subject.label} {words[outcome]} {name}, at {hypothesis.probability:g} (it was on it in "
        f"{found.probability:.2f} of {found.resamples} bootstrap resamples, which of equal networks varies freely)."
    )
    note = "one seed: the share is of images alone, and decides nothing" if found.seeds == 1 else ""
    whole = Verdict(name, "on_front", outcome, found.probability, math.nan, math.nan, "probability", sentence, note)
    return whole._replace(**_of_front(study, hypothesis, found.p_excluded)._asdict())


def _of_front(study: Judged, hypothesis: OnFront, refuted: float) -> Sure:
    """By tests, for a share of resamples is no error rate: it must be better than each cell that costs no more, and is
    beaten if it is worse than one of them. Whom nothing undercuts is on the front for certain."""
    own, metric, subject = _cost(study.subject, hypothesis.cost), hypothesis.metric, study.subject
    ours = study.of(metric, subject)
    scores = study.scores[metric]
    cheaper = [cell.id for cell in study.known.values() if _cost(cell, hypothesis.cost) <= own and cell.id in scores]
    cells = (subject.id, *(cell for cell in cheaper if cell != subject.id))
    pairs = [sure_of(ours, scores[cell], metric, 0.0, cells) for cell in cells[1:]]
    if not pairs:
        return Sure(0.0, 1.0, cells)
    if any(math.isnan(pair.p_supported) for pair in pairs):
        return Sure(cells=cells)
    return Sure(max(pair.p_supported for pair in pairs), refuted, cells)


def _matched_budget(study: Judged, hypothesis: MatchedBudget, name: str) -> Verdict:
    cost, metric, subject = hypothesis.cost, hypothesis.metric, study.subject
    family = [cell for cell in study.select(hypothesis.family) if cell.id != subject.id]
    priced = sorted((cell for cell in family if _cost(cell, cost) > 0), key=lambda cell: _cost(cell, cost))
    own = _cost(subject, cost)
    below = [cell for cell in priced if _cost(cell, cost) <= own]
    above = [cell for cell in priced if _cost(cell, cost) >= own]
    if not below or not above:
        span = (
            f"from {_shown(_cost(priced[0], cost), cost)} to {_shown(_cost(priced[-1], cost), cost)}"
            if priced
            else "none"
        )
        return _undecided(
            name,
            "matched_budget",
            "difference",
            f"The family {named(hypothesis.family)} ({COST_WORDS[cost]} {span}) does not bracket {subject.label}'s "
            f"{_shown(own, cost)}; run matched_budget, or a wider sweep, into this study.",
        )
    interpolated = _interpolated(study, metric, below[-1], above[0], _position(cost, below[-1], own, above[0]))
    found = study.compare(metric, interpolated, margin=hypothesis.margin)
    outcome = outcome_of(*_beyond(found, hypothesis.margin))
    words = {"supported": "better than", "refuted": "worse than", "inconclusive": "not shown to differ from"}
    if hypothesis.margin:
        side = "below" if METRICS[metric].sign > 0 else "above"
        words["supported"] = f"not more than {hypothesis.margin:g} {side}"
        words["refuted"] = f"more than {hypothesis.margin:g} {side}"
    between = f"interpolated between {below[-1].label} and {above[0].label}"
    sentence = (
        f"At {_shown(own, cost)} of {COST_WORDS[cost]}, {subject.label} is {words[outcome]} "
        f"{named(hypothesis.family)} in {METRICS[metric].label} ({_difference(found)}; {between})."
    )
    cells = (subject.id, below[-1].id, above[0].id)
    sure = sure_of(study.of(metric, subject), interpolated, metric, hypothesis.margin, cells, sides=2)
    return _of(found, name, "matched_budget", outcome, sentence, sure)


def _position(cost: Cost, below: Cell, own: float, above: Cell) -> float:
    """Where `own` lies from `below` (0) to `above` (1), in the logarithm of the cost."""
    low, high = math.log(_cost(below, cost)), math.log(_cost(above, cost))
    return 0.0 if high == low else (math.log(own) - low) / (high - low)


def _interpolated(study: Judged, metric: MetricName, below: Cell, above: Cell, position: float) -> CellScores:
    """The family's scores at the subject's cost: those of its two neighbours, of each seed and image, weighted."""
    one, other = study.of(metric, below), study.of(metric, above)
    seeds = tuple(seed for seed in one.seeds if seed in other.seeds)
    images = tuple(image for image in one.images if image in other.images)
    case = dict(zip(one.images, cases_of(one), strict=True))

    def part(scores: CellScores) -> np.ndarray:
        return scores.values[np.ix_([scores.seeds.index(s) for s in seeds], [scores.images.index(i) for i in images])]

    return one._replace(
        cell=f"{below.id}~{above.id}",
        label=f"{below.label} ~ {above.label}",
        seeds=seeds,
        images=images,
        values=(1 - position) * part(one) + position * part(other),
        cases=tuple(case[image] for image in images),
    )


def _beyond(found: Difference, margin: float) -> tuple[bool, bool]:
    """Whether the interval is all above being worse by `margin`, and all below it."""
    low, high = found.interval.low, found.interval.high
    if METRICS[found.metric].sign < 0:
        low, high = -high, -low
    return low > -margin, high < -margin


def _of(found: Difference, name: str, kind: str, outcome: Outcome, sentence: str, sure: Sure) -> Verdict:
    note = found.note
    if outcome == "inconclusive" and found.seeds_needed is not None:
        note = "; ".join(filter(None, [note, f"about {found.seeds_needed} seeds would likely decide it"]))
    whole = Verdict(name, kind, outcome, *found.interval[:3], "difference", sentence, note, error=found.error)
    return whole._replace(**sure._asdict())


def _difference(found: Difference) -> str:
    estimate, low, high, level = found.interval[:4]
    if math.isnan(low):
        return f"difference {estimate:+.4f}, no interval: {found.interval.why or several(found.seeds, 'seed')}"
    return f"difference {estimate:+.4f}, {level:.0%} CI {low:+.4f} to {high:+.4f}, over {found.interval.over}"


def _cost(cell: Cell, cost: Cost) -> float:
    return value_of(cell, cost)


def _measure(cost: Cost, cells: Sequence[Cell]) -> str:
    """What to do where a cost is not known of these; or which of them has no file that could be measured."""
    runtime = runtime_of(cost)
    no_file = {cell.label: why for cell in cells if (why := cell.files.no_file.get(runtime))}
    said = "".join(f" {label} has no file for {RUNTIMES[runtime]}: {why}." for label, why in no_file.items())
    return said or (f" Run `{how_to_measure(cost)}`." if cost in UNITS else "")


def _shown(amount: float, cost: Cost) -> str:
    if cost not in UNITS:
        return si(amount)
    return f"{amount:,.0f} {UNITS[cost]}" if amount >= 1000 else f"{amount:.3g} {UNITS[cost]}"
