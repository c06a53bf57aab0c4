"""Judge a claim by a study's tables.

Each hypothesis ends supported, refuted or inconclusive by its interval, never by its estimate alone. A hypothesis about
several rivals is one verdict a rival: it holds only if all do, so no correction is needed for saying so (an
intersection-union test); where each verdict is a finding of its own (`superior`), Holm's correction is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablation.errors import InputError
from analysis.claims.schema import (
    Claim,
    Fewest,
    Hypothesis,
    MatchedBudget,
    NonInferior,
    OnFront,
    Selector,
    Superior,
    load_claim,
    packaged,
)
from analysis.claims.verdict import ClaimResult, Outcome, Verdict
from analysis.format import listing, si
from analysis.pareto import COST_WORDS, COSTS, METRICS, Cell, Cost, cells, tasks
from analysis.scores import CellScores, Metric, cell_scores
from analysis.significance import Difference, difference, holm, one_sided_bound
from analysis.uncertainty import front_probability

if TYPE_CHECKING:
    import pandas as pd

    from analysis.frames import Frames

LEVEL = 0.95


class _Study(NamedTuple):
    """One data set of a study, with what its verdicts are about."""

    claim: Claim
    frames: Frames
    known: Mapping[str, Cell]
    rows: pd.DataFrame
    """One a cell: the first of its trials that was scored."""
    subject: Cell
    scores: dict[Metric, dict[str, CellScores]]

    def select(self, selector: Selector) -> list[Cell]:
        return [self.known[cell] for cell in _select(self.rows, selector)]

    def compare(self, metric: Metric, other: CellScores, level: float = LEVEL) -> Difference:
        return difference(self.of(metric, self.subject.id), other, metric, level)

    def of(self, metric: Metric, cell: str) -> CellScores:
        if metric not in self.scores:
            self.scores[metric] = cell_scores(self.frames, metric)
        return self.scores[metric][cell]


def evaluate(claim: Claim, frames: Frames) -> list[ClaimResult]:
    """The claim judged on each data set that has its subject.

    Raises `InputError` if none has, or if the subject or a rival is not one cell but several.
    """
    results = []
    for task, trials in tasks(frames.trials).items():
        rows = trials[trials["state"] == "complete"].drop_duplicates("cell").set_index("cell", drop=False)
        chosen = _select(rows, claim.subject)
        if len(chosen) > 1:
            raise InputError(
                f"claim {claim.name}: subject {_named(claim.subject)} is {len(chosen)} cells of {task} "
                f"({listing([str(rows.at[cell, 'label']) for cell in chosen], 4)}); narrow it by another column"
            )
        if chosen:
            known = {cell.id: cell for cell in cells(trials) if not cell.trivial}
            part = frames._replace(trials=trials)
            results.append(_judge(_Study(claim, part, known, rows, known[chosen[0]], {}), task))
    if not results:
        raise InputError(
            f"claim {claim.name}: its subject {_named(claim.subject)} has no complete trial in this study; "
            "run a space that has it"
        )
    return results


def applicable(frames: Frames) -> list[ClaimResult]:
    """The packaged claims that can be judged: those whose subject and rivals are all there."""
    results = []
    for name in packaged():
        claim = load_claim(name)
        complete = frames.trials[frames.trials["state"] == "complete"]
        if all(len(_select(complete.drop_duplicates("cell"), s)) == 1 for s in (claim.subject, *claim.against)):
            results += evaluate(claim, frames)
    return results


def _select(rows: pd.DataFrame, selector: Selector) -> list[str]:
    """The cells that have all of `selector`."""
    chosen = rows
    for name, value in selector.items():
        if name in chosen.columns:
            chosen = chosen[chosen[name].astype(str) == str(value)]
        else:
            token = f"{name}={value}"
            chosen = chosen[[token in text.split(" ") for text in chosen["configuration"]]]
    return [str(cell) for cell in chosen["cell"]]


def _named(selector: Selector) -> str:
    if list(selector) == ["model"]:
        return str(selector["model"])
    return ", ".join(f"{name}={value}" for name, value in selector.items())


def _judge(study: _Study, task: str) -> ClaimResult:
    verdicts = tuple(verdict for hypothesis in study.claim.hypotheses for verdict in _verdicts(study, hypothesis))
    counts = {
        outcome: sum(v.outcome == outcome for v in verdicts) for outcome in ("supported", "refuted", "inconclusive")
    }
    outcome: Outcome = "refuted" if counts["refuted"] else "supported" if not counts["inconclusive"] else "inconclusive"
    tally = listing([f"{count} {name}" for name, count in counts.items() if count])
    return ClaimResult(
        name=study.claim.name,
        statement=study.claim.statement,
        task=task,
        outcome=outcome,
        verdicts=verdicts,
        sentence=f"On {task} the claim is {outcome}: of {len(verdicts)} verdicts {tally}.",
    )


def _verdicts(study: _Study, hypothesis: Hypothesis) -> Iterator[Verdict]:
    if isinstance(hypothesis, OnFront):
        yield _on_front(study, hypothesis)
    elif isinstance(hypothesis, MatchedBudget):
        yield _matched_budget(study, hypothesis)
    else:
        selectors = study.claim.against if hypothesis.against is None else hypothesis.against
        rivals, missing = [], []
        for selector in selectors:
            found = [cell for cell in study.select(selector) if cell.id != study.subject.id]
            if len(found) > 1:
                raise InputError(
                    f"claim {study.claim.name}: rival {_named(selector)} is {len(found)} cells "
                    f"({listing([cell.label for cell in found], 4)}); narrow it by another column"
                )
            rivals += found
            missing += [] if found else [_named(selector)]
        if isinstance(hypothesis, Fewest):
            yield _fewest(study, hypothesis, rivals, missing)
        elif isinstance(hypothesis, NonInferior):
            yield from (_non_inferior(study, hypothesis, rival) for rival in rivals)
        else:
            yield from _superior(study, hypothesis, rivals)
        if not isinstance(hypothesis, Fewest):
            yield from (_missing(hypothesis.kind, name) for name in missing)


def _missing(kind: str, cell: str) -> Verdict:
    return _undecided(f"{kind.replace('_', '-')}: {cell}", kind, "", f"No complete trial of {cell} is in the study.")


def _undecided(name: str, kind: str, unit: str, why: str) -> Verdict:
    return Verdict(name, kind, "inconclusive", math.nan, math.nan, math.nan, unit, why, "nothing to judge by")


def _fewest(study: _Study, hypothesis: Fewest, rivals: list[Cell], missing: list[str]) -> Verdict:
    cost, subject = hypothesis.cost, study.subject
    least_of = f"{'fewest' if cost in ('params', 'macs') else 'lowest'} {COST_WORDS[cost]}"
    own = _cost(subject, cost)
    priced = [(rival, _cost(rival, cost)) for rival in rivals]
    unpriced = [rival.label for rival, value in priced if math.isnan(value)]
    priced = [(rival, value) for rival, value in priced if not math.isnan(value)]
    if math.isnan(own) or not priced:
        measure = " Run `ablate measure`." if cost in ("latency_ms", "peak_memory_mb") else ""
        return _undecided(
            least_of, "fewest", "ratio", f"{COSTS[cost]} is not known of both subject and rivals.{measure}"
        )
    rival, least = min(priced, key=lambda pair: pair[1])
    ratio = own / least
    absent = missing + unpriced
    note = f"without {listing(absent)}" if absent else ""
    outcome: Outcome = "refuted" if ratio >= 1 else "inconclusive" if absent else "supported"
    verb = "has" if ratio < 1 else "does not have"
    sentence = (
        f"{subject.label} {verb} the {least_of} of {len(priced) + 1} networks: {_shown(own, cost)}, "
        f"{ratio:.2f} times the {_shown(least, cost)} of {rival.label}."
    )
    return Verdict(least_of, "fewest", outcome, ratio, math.nan, math.nan, "ratio", sentence, note)


def _non_inferior(study: _Study, hypothesis: NonInferior, rival: Cell) -> Verdict:
    metric, margin = hypothesis.metric, hypothesis.margin
    # The lower end of a two-sided interval at 1 - 2α is the one-sided bound at 1 - α.
    found = study.compare(metric, study.of(metric, rival.id), level=2 * LEVEL - 1)
    low, high = found.interval.low, found.interval.high
    outcome = _outcome(low > -margin, high < -margin)
    words = {
        "supported": "is not inferior to",
        "refuted": "is inferior to",
        "inconclusive": "is neither shown to be non-inferior nor inferior to",
    }
    sentence = (
        f"{study.subject.label} {words[outcome]} {rival.label} in {METRICS[metric]} by a margin of {margin:g} "
        f"({_difference(found)})."
    )
    name = f"{METRICS[metric]} non-inferior to {rival.label}"
    bound = one_sided_bound(study.of(metric, study.subject.id), study.of(metric, rival.id), LEVEL)
    return _of(found._replace(seeds_needed=bound.seeds_needed(margin)), name, "non_inferior", outcome, sentence)


def _superior(study: _Study, hypothesis: Superior, rivals: list[Cell]) -> Iterator[Verdict]:
    metric = hypothesis.metric
    for rival, found in zip(
        rivals, holm([study.compare(metric, study.of(metric, rival.id)) for rival in rivals]), strict=True
    ):
        estimate = found.interval.estimate
        outcome = _outcome(found.significant and estimate > 0, found.significant and estimate < 0)
        words = {"supported": "better than", "refuted": "worse than", "inconclusive": "not shown to differ from"}
        p_value = "" if found.p_holm is None else f", p = {found.p_holm:.2g} after Holm's correction"
        sentence = (
            f"{study.subject.label} is {words[outcome]} {rival.label} in {METRICS[metric]} "
            f"({_difference(found)}{p_value})."
        )
        yield _of(found, f"{METRICS[metric]} superior to {rival.label}", "superior", outcome, sentence)


def _on_front(study: _Study, hypothesis: OnFront) -> Verdict:
    cost, metric = hypothesis.cost, hypothesis.metric
    name = f"on the front of {METRICS[metric]} against {COST_WORDS[cost]}"
    found = front_probability(study.frames, cost, metric, study.subject.id)
    if found is None:
        return _undecided(name, "on_front", "probability", f"{COSTS[cost]} is not measured. Run `ablate measure`.")
    probability, one_seed = found.probability, found.seeds == 1
    outcome: Outcome = (
        "inconclusive"
        if one_seed
        else _outcome(probability >= hypothesis.probability, probability <= 1 - hypothesis.probability)
    )
    sentence = (
        f"{study.subject.label} is {name} with a probability of {probability:.2f} "
        f"(asked for: {hypothesis.probability:g}; {found.resamples} bootstrap resamples)."
    )
    note = "one seed: the probability is of images alone" if one_seed else ""
    return Verdict(name, "on_front", outcome, probability, math.nan, math.nan, "probability", sentence, note)


def _matched_budget(study: _Study, hypothesis: MatchedBudget) -> Verdict:
    cost, metric, subject = hypothesis.cost, hypothesis.metric, study.subject
    name = f"{METRICS[metric]} at equal {COST_WORDS[cost]}"
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
            f"The family {_named(hypothesis.family)} ({COST_WORDS[cost]} {span}) does not bracket {subject.label}'s "
            f"{_shown(own, cost)}; run matched_budget, or a wider sweep, into this study.",
        )
    interpolated = _interpolated(study, metric, below[-1], above[0], _position(cost, below[-1], own, above[0]))
    found = study.compare(metric, interpolated)
    low, high = found.interval.low, found.interval.high
    outcome = _outcome(low > -hypothesis.margin, high < -hypothesis.margin)
    words = {"supported": "better than", "refuted": "worse than", "inconclusive": "not shown to differ from"}
    if hypothesis.margin:
        words["supported"] = f"not more than {hypothesis.margin:g} below"
        words["refuted"] = f"more than {hypothesis.margin:g} below"
    between = f"interpolated between {below[-1].label} and {above[0].label}"
    sentence = (
        f"At {_shown(own, cost)} of {COST_WORDS[cost]}, {subject.label} is {words[outcome]} "
        f"{_named(hypothesis.family)} in {METRICS[metric]} ({_difference(found)}; {between})."
    )
    return _of(found, name, "matched_budget", outcome, sentence)


def _position(cost: Cost, below: Cell, own: float, above: Cell) -> float:
    """Where `own` lies from `below` (0) to `above` (1), in the logarithm of the cost."""
    low, high = math.log(_cost(below, cost)), math.log(_cost(above, cost))
    return 0.0 if high == low else (math.log(own) - low) / (high - low)


def _interpolated(study: _Study, metric: Metric, below: Cell, above: Cell, position: float) -> CellScores:
    """The family's scores at the subject's cost: those of its two neighbours, of each seed and image, weighted."""
    one, other = study.of(metric, below.id), study.of(metric, above.id)
    seeds = tuple(seed for seed in one.seeds if seed in other.seeds)
    images = tuple(image for image in one.images if image in other.images)

    def part(scores: CellScores) -> np.ndarray:
        return scores.values[np.ix_([scores.seeds.index(s) for s in seeds], [scores.images.index(i) for i in images])]

    return one._replace(
        cell=f"{below.id}~{above.id}",
        label=f"{below.label} ~ {above.label}",
        seeds=seeds,
        images=images,
        values=(1 - position) * part(one) + position * part(other),
    )


def _outcome(supported: bool, refuted: bool) -> Outcome:
    """Comparisons with NaN are false, so what has no interval is inconclusive."""
    return "supported" if supported else "refuted" if refuted else "inconclusive"


def _of(found: Difference, name: str, kind: str, outcome: Outcome, sentence: str) -> Verdict:
    note = found.note
    if outcome == "inconclusive" and found.seeds_needed is not None:
        note = "; ".join(filter(None, [note, f"about {found.seeds_needed} seeds would likely decide it"]))
    return Verdict(name, kind, outcome, *found.interval[:3], "difference", sentence, note)


def _difference(found: Difference) -> str:
    estimate, low, high, level = found.interval
    if math.isnan(low):
        return f"difference {estimate:+.4f}, no interval from {found.seeds} seed"
    return (
        f"difference {estimate:+.4f}, {level:.0%} CI {low:+.4f} to {high:+.4f}, {found.seeds} seeds, "
        f"{found.images} images"
    )


def _cost(cell: Cell, cost: Cost) -> float:
    return float(getattr(cell, cost))


def _shown(value: float, cost: Cost) -> str:
    units = {"latency_ms": "ms", "peak_memory_mb": "MB"}
    return f"{value:.3g} {units[cost]}" if cost in units else si(value)
