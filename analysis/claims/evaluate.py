"""Judge a claim by a study's tables.

Each hypothesis ends supported, refuted or inconclusive by its interval, never by its estimate alone. A hypothesis about
several rivals is one verdict a rival; where each verdict is a finding of its own (`superior`), Holm's correction is
made. What becomes of the claim is said by `whole`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.by_runtime import scored_in
from ablate.analysis.by_seed import by_seed
from ablate.analysis.claims.judge import Judged, named, rivals_of, select, verdicts_on, which
from ablate.analysis.claims.registered import digest, registered_claims, standing
from ablate.analysis.claims.schema import Claim, Fewest, Hypothesis, load_claim, packaged
from ablate.analysis.claims.verdict import ClaimResult
from ablate.analysis.claims.whole import whole
from ablate.analysis.format import listing
from ablate.analysis.frames import scored
from ablate.analysis.guard import noted
from ablate.analysis.pareto import cells, tasks
from ablate.analysis.scoring import metric_asked
from ablate.cost.names import RUNTIMES
from ablate.errors import InputError
from ablate.metrics.counts import METRICS

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.study.study import Study


def evaluate(claim: Claim, frames: Frames) -> list[ClaimResult]:
    """The claim judged on each data set that has its subject.

    A hypothesis that cannot be judged is inconclusive, and says why. Raises `InputError` as `judged_on`.
    """
    return [_judge(study, task) for task, study in judged_on(claim, frames).items()]


def judged_on(claim: Claim, frames: Frames) -> dict[str, Judged]:
    """What the claim's verdicts are about on each data set that has its subject, by the data set.

    Raises `InputError` if no data set has the subject, if the subject or a rival is not one cell but several, or for a
    metric that no trial has.
    """
    if (claim.runtime or "") != frames.runtime:
        where = RUNTIMES.get(claim.runtime or "", "PyTorch")
        raise InputError(f"claim {claim.name} is about scores in {where}: only `ablate claim` and a report judge it")
    claim = claim.model_copy(update={"hypotheses": [_resolved(one, claim, frames) for one in claim.hypotheses]})
    asked = [one.metric for one in claim.hypotheses if not isinstance(one, Fewest)]
    frames = scored(frames, asked, claim.empty)
    found = {}
    for task, trials in tasks(frames.trials).items():
        rows = _complete(trials)
        chosen = select(rows, claim.subject)
        if len(chosen) > 1:
            or_space = ", or one space by --space" if rows.loc[chosen, "space"].nunique() > 1 else ""
            raise InputError(
                f"claim {claim.name}: subject {named(claim.subject)} is {len(chosen)} cells of {task} "
                f"({which(rows, chosen)}): choose one by --subject{or_space}"
            )
        if chosen:
            part = frames._replace(trials=trials)
            known = {cell.id: cell for cell in cells(by_seed(part)) if not cell.trivial}
            found[task] = Judged(claim, part, known, rows, known[chosen[0]], {}, {})
    if not found:
        raise InputError(
            f"claim {claim.name}: its subject {named(claim.subject)} has no complete trial in this study; "
            "run a space that has it"
        )
    return found


def _resolved(hypothesis: Hypothesis, claim: Claim, frames: Frames) -> Hypothesis:
    """With the metric's name in the tables. Raises `InputError` for one that no trial has, and for an odd margin."""
    if isinstance(hypothesis, Fewest):
        return hypothesis
    metric = metric_asked(frames, hypothesis.metric, what=f"metric of claim {claim.name}")
    margin = getattr(hypothesis, "margin", 0)
    if margin >= 1 and not METRICS[metric].unit:
        raise InputError(
            f"claim {claim.name}: {metric} is from 0 to 1, and its margin {margin:g}: expected less than 1"
        )
    return hypothesis.model_copy(update={"metric": metric})


class Applicable(NamedTuple):
    """The claims that a study can be asked, judged; `notes` say what others lack of which it has a part."""

    results: tuple[ClaimResult, ...]
    notes: tuple[str, ...]


def applicable(frames: Frames, study: Study | None = None) -> Applicable:
    """The claims that are registered in a study, and the packaged ones, judged on each data set that has their subject
    and rivals, one cell each."""
    results: list[ClaimResult] = []
    notes: list[str] = []
    claims = {digest(claim): claim for claim in (registered_claims(study) if study else ())}
    claims |= {digest(claim): claim for claim in map(load_claim, packaged()) if digest(claim) not in claims}
    for claim in claims.values():
        if claim.runtime is not None and (study is None or f"dice@{claim.runtime}" not in frames.trials):
            continue  # nothing of it could be decided
        said = standing(study, claim).sentence if study else ""
        own = scored_in(frames, study, claim.runtime) if study and claim.runtime else frames
        noted(notes, f"claim {claim.name}", partial(_apply, claim, own, said, results, notes), None)
    return Applicable(tuple(results), tuple(notes))


def _apply(claim: Claim, frames: Frames, said: str, results: list[ClaimResult], notes: list[str]) -> None:
    name = claim.name
    for task, trials in tasks(frames.trials).items():
        unfit = lacking(claim, trials)
        if not unfit:
            judged = evaluate(claim, frames._replace(trials=trials))
            results += [result._replace(registered=said) for result in judged]
        elif named(claim.subject) not in unfit and any(select(_complete(trials), rival) for rival in claim.against):
            notes.append(
                f"claim {name} is not judged on {task}, for it needs one complete configuration each of "
                f"{listing(unfit)}; `ablate claim` judges what it can"
            )


def lacking(claim: Claim, trials: pd.DataFrame) -> list[str]:
    """Which of a claim's subject and rivals are not one complete configuration in the trials of one data set."""
    rows = _complete(trials)
    return [named(selector) for selector in (claim.subject, *claim.against) if len(select(rows, selector)) != 1]


def _complete(trials: pd.DataFrame) -> pd.DataFrame:
    """A row a cell: the first of its complete trials."""
    return trials[trials["state"] == "complete"].drop_duplicates("cell").set_index("cell", drop=False)


def _judge(study: Judged, task: str) -> ClaimResult:
    asked = [(hypothesis, rivals_of(study, hypothesis)) for hypothesis in study.claim.hypotheses]
    verdicts = tuple(
        verdict._replace(hypothesis=number)
        for number, (hypothesis, rivals) in enumerate(asked)
        for verdict in verdicts_on(study, hypothesis, rivals)
    )
    counts = {
        outcome: sum(v.outcome == outcome for v in verdicts) for outcome in ("supported", "refuted", "inconclusive")
    }
    found = whole(verdicts)
    where = f" (by the masks that files find in {RUNTIMES[study.claim.runtime]})" if study.claim.runtime else ""
    tally = listing([f"{count} {name}" for name, count in counts.items() if count])
    return ClaimResult(
        name=study.claim.name,
        statement=study.claim.statement,
        task=task,
        outcome=found.outcome,
        verdicts=verdicts,
        sentence=f"On {task} the claim is {found.outcome}{where}: of {len(verdicts)} verdicts {tally}.",
        p_supported=found.p_supported,
        p_refuted=found.p_refuted,
        power=found.power,
    )
