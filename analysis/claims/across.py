"""A claim over several data sets: judged on each, and together.

Together, a difference is judged by its mean over data sets (`ablate.analysis.synthesis`: random effects, for the claim
is about data sets like these and not about these), with the margin and the levels that it has on one. What is counted
or a probability holds together if it does on each. A data set on which a hypothesis is refuted, or cannot be judged,
keeps it from being supported: a mean does not make up for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from ablate.analysis.claims.evaluate import evaluate, lacking
from ablate.analysis.claims.schema import (
    Claim,
    Fewest,
    Hypothesis,
    MatchedBudget,
    NonInferior,
    OnFront,
    Superior,
    load_claim,
    packaged,
)
from ablate.analysis.claims.sure import ALPHA
from ablate.analysis.claims.verdict import ClaimResult, Outcome, Verdict, outcome_of
from ablate.analysis.claims.whole import whole
from ablate.analysis.data_sets import data_sets, repeats
from ablate.analysis.format import listing, several
from ablate.analysis.pareto import tasks
from ablate.analysis.scoring import metric_asked
from ablate.analysis.significance import holm_corrected
from ablate.analysis.synthesis import Signs, Synthesis, signs, synthesis
from ablate.errors import InputError
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

_LEVEL = 1 - ALPHA
_Difference = NonInferior | Superior | MatchedBudget


class Together(NamedTuple):
    """One hypothesis over all data sets. `each` are its own verdicts there, by the data sets' names.

    `synthesis` and `signs` are of differences on two data sets or more. `signs` count where the subject is better, or
    less than the margin worse.
    """

    verdict: Verdict
    each: Mapping[str, Verdict]
    synthesis: Synthesis | None = None
    signs: Signs | None = None


class Across(NamedTuple):
    """A claim on each data set (`results`, whose `task` is the data set's name here), and together.

    Of one data set there is nothing together: `together` is empty and the outcome that of the one.
    """

    name: str
    statement: str
    results: tuple[ClaimResult, ...]
    together: tuple[Together, ...]
    outcome: Outcome
    sentence: str
    notes: tuple[str, ...]

    @property
    def result(self) -> ClaimResult:
        """The verdicts of all data sets together as a claim's."""
        verdicts = tuple(one.verdict for one in self.together)
        found = whole(verdicts)
        sure = found.p_supported, found.p_refuted
        return ClaimResult(self.name, self.statement, "all data sets", self.outcome, verdicts, self.sentence, *sure)


def applicable(studies: Mapping[str, Frames]) -> list[Across]:
    """The packaged claims judged together, where two data sets or more have their subject and rivals, one cell each."""
    found = []
    for name in packaged():
        claim = load_claim(name)
        if claim.runtime is not None:
            continue  # its scores are not these
        fit = {study: part for study, frames in studies.items() if (part := _fit(claim, frames)) is not None}
        if fit and (judged := across(claim, fit)).together:
            found.append(judged)
    return found


def _fit(claim: Claim, frames: Frames) -> Frames | None:
    """The data sets on which the claim can be asked whole; `None` where there is none."""
    fit = [trials for trials in tasks(frames.trials).values() if not lacking(claim, trials)]
    return frames._replace(trials=pd.concat(fit)) if fit else None


def across(claim: Claim, studies: Mapping[str, Frames]) -> Across:
    """The claim judged on every data set, of several studies by name, that has its subject.

    Raises `InputError` as `evaluate`: for one study of several that has not the subject, too.
    """
    found = data_sets(studies)
    name_of = {(one.study, one.task): one.name for one in found}
    again = repeats(found)
    own = [
        _called(result, name_of[study, result.task])
        for study, frames in studies.items()
        for result in _evaluated(claim, study, frames, len(studies) > 1)
    ]
    notes = [f"{name} looks like {other} again: together, it counts once" for name, other in again.items()]
    left = [one.name for one in found if one.name not in {result.task for result in own}]
    notes += [f"{listing(left)}: no complete trial of the subject"] if left else []
    once = {result.task: result for result in own if result.task not in again}
    if len(once) < 2:
        if len(own) > 1 or len(studies) > 1:
            notes.append("One data set says nothing of others: a claim is judged together from two on")
        return Across(claim.name, claim.statement, tuple(own), (), own[0].outcome, own[0].sentence, tuple(notes))
    parts = _parts(claim)
    better = _signs([part for _, part in parts], studies, claim)
    pieces = claim.model_copy(update={"hypotheses": [part for _, part in parts]})
    in_pieces = {
        name: _corrected(piece, once[name])
        for study, frames in studies.items()
        for piece in evaluate(pieces, frames)
        if (name := name_of[study, piece.task]) in once
    }
    together = tuple(_holm(parts, _together(parts, better, in_pieces)))
    outcome = whole([one.verdict for one in together]).outcome
    counts = [f"{n} {word}" for word in ("supported", "refuted", "inconclusive")
              if (n := sum(one.verdict.outcome == word for one in together))]  # fmt: skip
    return Across(
        name=claim.name,
        statement=claim.statement,
        results=tuple(own),
        together=together,
        outcome=outcome,
        sentence=f"Over {several(len(once), 'data set')} the claim is {outcome}: of {len(together)} verdicts "
        f"{listing(counts)}.",
        notes=(*notes, _what_can_be_shown(len(once))),
    )


def _evaluated(claim: Claim, study: str, frames: Frames, say_which: bool) -> list[ClaimResult]:
    try:
        return evaluate(claim, frames)
    except InputError as error:
        raise InputError(f"{study}: {error}" if say_which else str(error)) from None


def _parts(claim: Claim) -> list[tuple[int, Hypothesis]]:
    """The hypotheses, numbered, with one rival each, so that each has one verdict a data set."""
    parts: list[tuple[int, Hypothesis]] = []
    for number, one in enumerate(claim.hypotheses):
        if isinstance(one, NonInferior | Superior):
            rivals = claim.against if one.against is None else one.against
            parts += [(number, one.model_copy(update={"against": [rival]})) for rival in rivals]
        else:
            parts.append((number, one))
    return parts


def _corrected(piece: ClaimResult, whole: ClaimResult) -> ClaimResult:
    """With the outcomes of `superior` that Holm's correction over all its rivals left."""
    outcomes = {verdict.name: verdict.outcome for verdict in whole.verdicts if verdict.kind == "superior"}
    return piece._replace(
        verdicts=tuple(
            verdict._replace(outcome=outcomes[verdict.name]) if verdict.kind == "superior" else verdict
            for verdict in piece.verdicts
        )
    )


def _called(result: ClaimResult, name: str) -> ClaimResult:
    sentence = f"On {name}{result.sentence.removeprefix(f'On {result.task}')}"
    return result._replace(task=name, sentence=sentence)


def _signs(parts: Sequence[Hypothesis], studies: Mapping[str, Frames], claim: Claim) -> list[int]:
    """Of each hypothesis's metric: 1 where more is better. Raises `InputError` where it is not one thing in all."""
    found = []
    for part in parts:
        if isinstance(part, Fewest):
            found.append(1)
            continue
        names = {metric_asked(one, part.metric, what=f"metric of claim {claim.name}") for one in studies.values()}
        if len(names) > 1:
            raise InputError(
                f"claim {claim.name}: {part.metric} is {listing(sorted(names))} in these studies: "
                "claim what is one thing in all"
            )
        found.append(METRICS[names.pop()].sign)
    return found


# Together ------------------------------------------------------------------------------------------------------------


def _together(
    parts: Sequence[tuple[int, Hypothesis]], better: Sequence[int], judged: Mapping[str, ClaimResult]
) -> tuple[Together, ...]:
    found = []
    for place, ((_, part), sign) in enumerate(zip(parts, better, strict=True)):
        each = {name: result.verdicts[place] for name, result in judged.items()}
        found.append(_on_each(each) if isinstance(part, Fewest | OnFront) else _of_differences(part, sign, each))
    return tuple(found)


def _on_each(each: Mapping[str, Verdict]) -> Together:
    """Of what has no mean: it holds if it does everywhere. What is counted is refuted by one data set that refutes it,
    a probability by all."""
    first = next(iter(each.values()))
    outcomes = [verdict.outcome for verdict in each.values()]
    counted = first.kind == "fewest"
    refuted = "refuted" in outcomes if counted else set(outcomes) == {"refuted"}
    outcome = outcome_of(set(outcomes) == {"supported"}, refuted)
    sentence = f"{first.name[0].upper()}{first.name[1:]} on {outcomes.count('supported')} of {len(each)} data sets."
    p_supported, p_refuted = (
        _largest([getattr(one, p) for one in each.values()]) for p in ("p_supported", "p_refuted")
    )
    if counted:
        p_refuted = min((one.p_refuted for one in each.values() if one.p_refuted >= 0), default=math.nan)
    verdict = _verdict(first, outcome, sentence, _standing_out(each, outcome))
    return Together(verdict._replace(p_supported=p_supported, p_refuted=p_refuted), each)


def _of_differences(part: _Difference, sign: int, each: Mapping[str, Verdict]) -> Together:
    """By the mean over the data sets that have the difference: at the level, and against the margin, of one."""
    known = {name: verdict for name, verdict in each.items() if math.isfinite(verdict.estimate)}
    first = next(iter(known.values()), next(iter(each.values())))
    if len(known) < 2:
        where = listing(list(known)) or "none"
        sentence = f"{first.name}: known on {where} of {several(len(each), 'data set')}, which is too few to say."
        return Together(_verdict(first, "inconclusive", sentence, _standing_out(each, "inconclusive")), each)
    margin = getattr(part, "margin", 0.0)
    level = 2 * _LEVEL - 1 if isinstance(part, NonInferior) else _LEVEL
    differences = [verdict.estimate for verdict in known.values()]
    found = synthesis(differences, [verdict.error for verdict in known.values()], level)
    counted = signs([sign * one for one in differences], -margin)
    above, below = (found.p_above(-margin), found.p_below(-margin)) if sign > 0 else (
        found.p_below(margin), found.p_above(margin)
    )  # fmt: skip
    sides = 1 if isinstance(part, NonInferior) else 2
    p_supported = _largest([min(1.0, sides * above), *map(_lost, each.values())])
    p_refuted = min(1.0, sides * below)
    outcome = _decided(p_supported, p_refuted, each)
    verdict = _verdict(first, outcome, _sentence(first.name, found, counted, margin), _standing_out(each, outcome))
    low, high = found.interval.low, found.interval.high
    verdict = verdict._replace(
        estimate=found.interval.estimate,
        low=low,
        high=high,
        unit="difference",
        p_supported=p_supported,
        p_refuted=p_refuted,
        error=found.error,
    )
    return Together(verdict, each, found, counted)


def _lost(verdict: Verdict) -> float:
    """At most how likely it is that failures pass, on one data set, that are not tolerated: they have to pass on each,
    for of few cases without a failure no mean over data sets could be judged. 0 where none were asked about."""
    if verdict.failures is None:
        return 0.0
    passed = verdict.failures.outcome == "supported"
    return min(verdict.p_supported, ALPHA) if passed else verdict.p_supported


def _largest(p_values: Sequence[float]) -> float:
    """NaN where one is not known."""
    return math.nan if any(map(math.isnan, p_values)) else max(p_values)


def _decided(p_supported: float, p_refuted: float, each: Mapping[str, Verdict]) -> Outcome:
    """Nothing is supported that a data set refutes, or that one was not there to test."""
    kept = any(one.outcome == "refuted" or math.isnan(one.estimate) for one in each.values())
    return outcome_of(p_supported <= ALPHA and not kept, p_refuted <= ALPHA)


def _verdict(first: Verdict, outcome: Outcome, sentence: str, note: str) -> Verdict:
    return Verdict(first.name, first.kind, outcome, math.nan, math.nan, math.nan, "", sentence, note)


def _standing_out(each: Mapping[str, Verdict], outcome: Outcome) -> str:
    """The data sets that say something else than all together, and those that could not be asked."""
    refuted = [name for name, one in each.items() if one.outcome == "refuted" and outcome != "refuted"]
    absent = [name for name, one in each.items() if math.isnan(one.estimate)]
    said = [f"refuted on {listing(refuted)}"] if refuted else []
    said += [f"cannot be judged on {listing(absent)}"] if absent else []
    lost = [name for name, one in each.items() if one.failures is not None and one.failures.outcome == "inconclusive"]
    said += [f"failures are not shown to be within what is tolerated on {listing(lost)}"] if lost else []
    return "; ".join(said)


def _holm(parts: Sequence[tuple[int, Hypothesis]], found: Sequence[Together]) -> list[Together]:
    """With Holm's correction of `superior` over the rivals of a hypothesis, for each is a finding of its own."""
    corrected = list(found)
    for number in {number for number, part in parts if isinstance(part, Superior)}:
        family = [at for at, (own, _) in enumerate(parts) if own == number and found[at].synthesis is not None]
        supported = holm_corrected([found[at].verdict.p_supported for at in family])
        refuted = holm_corrected([found[at].verdict.p_refuted for at in family])
        for at, p_supported, p_refuted in zip(family, supported, refuted, strict=True):
            one = found[at]
            outcome = _decided(p_supported, p_refuted, one.each)
            verdict = one.verdict._replace(outcome=outcome, note=_standing_out(one.each, outcome))
            corrected[at] = one._replace(verdict=verdict._replace(p_supported=p_supported, p_refuted=p_refuted))
    return corrected


# In words ------------------------------------------------------------------------------------------------------------


def _sentence(name: str, found: Synthesis, counted: Signs, margin: float) -> str:
    estimate, low, high, level = found.interval[:4]
    k = found.data_sets
    said = (
        f"{name}, over data sets like these {k}: mean difference {estimate:+.4f}, {level:.0%} CI {low:+.4f} to "
        f"{high:+.4f} (t over data sets, {k - 1} df); on one more {found.predicted.low:+.4f} to "
        f"{found.predicted.high:+.4f}."
    )
    if found.spread > 0:
        said += f" Between data sets it has an sd of {found.spread:.4f} (I² {found.share:.0%})."
    elif found.spread == 0:
        said += " Data sets differ no more than the errors on each explain (I² 0%)."
    what = f"less than {margin:g} worse" if margin else "better"
    return f"{said} It is {what} on {counted.above} of {k} (sign test, p = {counted.p_value:.2g})."


def _what_can_be_shown(k: int) -> str:
    from scipy import stats

    quantile = float(stats.t.ppf(1 - ALPHA, k - 1))
    least = 0.5**k
    counting = "counting alone can show nothing" if least > ALPHA else "counting can show it"
    return (
        f"{several(k, 'data set')}: a one-sided bound is {quantile:.1f} standard errors from the mean (t, {k - 1} df); "
        f"were the subject better on all, the sign test's p would be {least:.2g}: {counting}"
    )
