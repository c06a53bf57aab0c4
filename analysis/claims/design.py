"""What it would take to decide a claim, by a pilot study: seeds, images or cases, and folds, before they are spent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.claims.evaluate import judged_on
from ablate.analysis.claims.judge import Judged, rivals_of
from ablate.analysis.claims.power import LIKELY, cautious, images_for, of_design, power_of, seeds_for
from ablate.analysis.claims.schema import Claim, Fewest, MatchedBudget, NonInferior, OnFront, Superior
from ablate.analysis.claims.sure import ALPHA
from ablate.analysis.crossed import Components, why_none
from ablate.analysis.failures import cases_needed, neither_lost, resolvable
from ablate.analysis.format import several
from ablate.analysis.pareto import Cell
from ablate.analysis.significance import one_sided_bound
from ablate.errors import InputError
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames

_FEW_SEEDS = 5
"""Of which it is said how many images they would take."""


class Needed(NamedTuple):
    """What one verdict would take. `None` stands for more than is any advice; `why` says why nothing can be said."""

    task: str
    name: str
    assumed: str
    """What is taken to be true of the networks."""
    why: str = ""
    pilot_seeds: int = 0
    images: int = 0
    """Test images, or cases, of the pilot."""
    unit: str = "image"
    power: dict[int, float] = {}  # noqa: RUF012 (nobody changes it)
    """By numbers of seeds, on as many images."""
    seeds: int | None = None
    """That likely decide it on as many images."""
    cautious_seeds: int | None = None
    """That do even if the pilot's seeds were alike by chance."""
    with_seeds: int = _FEW_SEEDS
    images_needed: int | None = None
    """Images, or cases, on which `with_seeds` seeds likely decide it."""
    all_images: int | None = None
    """Test images where folds test every one."""
    seeds_on_folds: int | None = None
    tolerance: float | None = None
    """Of failures, where the hypothesis has one."""
    cases: float | None = None
    """As how many independent ones those count that failures are counted on: all that were tested, lost ones too."""
    resolvable: float | None = None
    """The least tolerance that as many cases can show."""
    cases_needed: int | None = None
    """That can show the claim's tolerance, if none is lost."""

    @property
    def lines(self) -> list[str]:
        """In words, the verdict's name first."""
        if self.why:
            return [f"{self.name}: {self.why}"]
        unit = several(self.images, self.unit)
        powers = ", ".join(f"{seeds} seeds {power:.0%}" for seeds, power in self.power.items())
        found = [f"{self.name}, {self.assumed}"]
        found.append(f"power: {powers} ({unit})")
        enough = [
            f"{_count(self.seeds, 'seed')} on {unit} (by caution, were the pilot's {self.pilot_seeds} alike by chance: "
            f"{_count(self.cautious_seeds, 'seed')})",
            f"{self.with_seeds} seeds on {_count(self.images_needed, self.unit)}",
        ]
        if self.all_images is not None:
            on_all = several(self.all_images, self.unit)
            enough.append(f"{_count(self.seeds_on_folds, 'seed')} on all {on_all} (folds)")
        found.append(f"likely decided by {'; or '.join(enough)}")
        if self.tolerance is not None:
            found.append(
                f"failures: {self.cases:.3g} independent cases can show a tolerance of {self.resolvable:.2g} at best; "
                f"{self.tolerance:g} takes {self.cases_needed}, none lost"
            )
        return found


def _count(number: int | None, noun: str) -> str:
    return f"{noun}s beyond any advice" if number is None else several(number, noun)


class Asked(NamedTuple):
    """What a design is asked for. `effect`: the true difference where a hypothesis has no margin to lie within."""

    seeds: Sequence[int] = (2, 3, 5, 10)
    likely: float = LIKELY
    effect: float = 0.01
    test_share: float | None = None
    """The share of the data set's images that the pilot tested, where folds would test all."""


def needed(claim: Claim, pilot: Frames, asked: Asked) -> list[Needed]:
    """What each verdict of a claim would take, by the pilot's variances. Raises `InputError` as `judged_on`."""
    return [one for task, study in judged_on(claim, pilot).items() for one in _on(study, task, asked)]


def _on(study: Judged, task: str, asked: Asked) -> Iterator[Needed]:
    for hypothesis in study.claim.hypotheses:
        if isinstance(hypothesis, Fewest):
            yield Needed(task, f"fewest {hypothesis.cost}", "", "it is counted: a plan of the space decides it")
        elif isinstance(hypothesis, OnFront | MatchedBudget):
            what = "on the front" if isinstance(hypothesis, OnFront) else "at equal cost"
            yield Needed(task, f"{METRICS[hypothesis.metric].label} {what}", "", "its power has no formula here")
        else:
            rivals = rivals_of(study, hypothesis)
            for rival in rivals.there:
                yield _against(study, task, hypothesis, rival, asked)
            for missing in rivals.missing:
                yield Needed(
                    task, f"{hypothesis.kind.replace('_', '-')}: {missing}", "", "the pilot has no trial of it"
                )


def _against(study: Judged, task: str, hypothesis: NonInferior | Superior, rival: Cell, asked: Asked) -> Needed:
    name = f"{METRICS[hypothesis.metric].label} {hypothesis.kind.replace('_', '-')} to {rival.label}"
    alpha = ALPHA
    if isinstance(hypothesis, NonInferior):
        distance, assumed = hypothesis.margin, f"margin {hypothesis.margin:g}, were they equal"
    else:
        distance, assumed, alpha = asked.effect, f"were it better by {asked.effect:g}", ALPHA / 2
    try:
        found = _components(study, hypothesis, rival)
    except InputError as error:
        return Needed(task, name, assumed, str(error))
    if why := why_none(found):
        return Needed(task, name, assumed, f"the pilot says nothing of the spread: {why}")
    whole = None if asked.test_share is None else round(found.images / asked.test_share)
    wide = cautious(found)
    result = Needed(
        task=task,
        name=name,
        assumed=assumed,
        pilot_seeds=found.seeds,
        images=found.images,
        unit=found.unit,
        power={seeds: power_of(of_design(found, seeds, found.images), distance, alpha) for seeds in asked.seeds},
        seeds=seeds_for(found, distance, alpha, asked.likely),
        cautious_seeds=seeds_for(wide, distance, alpha, asked.likely),
        images_needed=images_for(found, distance, _FEW_SEEDS, alpha, asked.likely),
        all_images=whole,
        seeds_on_folds=None if whole is None else seeds_for(found, distance, alpha, asked.likely, whole),
    )
    if isinstance(hypothesis, Superior):
        return result
    tolerance, lost = hypothesis.failures.tolerance, study.lost(hypothesis.metric, hypothesis.failures.below)
    cases = lost[study.subject.id].independent
    return result._replace(
        tolerance=tolerance,
        cases=cases if math.isfinite(cases) else None,
        resolvable=resolvable(cases, max(2, found.seeds)),
        cases_needed=cases_needed(tolerance),
    )


def _components(study: Judged, hypothesis: NonInferior | Superior, rival: Cell) -> Components:
    """Of the difference that the verdict is about. Raises `InputError` where there is none."""
    metric = hypothesis.metric
    pair = study.of(metric, study.subject), study.of(metric, rival)
    if isinstance(hypothesis, NonInferior):
        lost = study.lost(metric, hypothesis.failures.below)
        kept = neither_lost(lost[study.subject.id], lost[rival.id], pair)
        if kept is None:
            raise InputError("no image is left that neither lost")
        pair = kept
    found = one_sided_bound(*pair, sign=METRICS[metric].sign).components
    if not math.isfinite(found.mean):
        raise InputError("the pilot has no score of both")
    return found
