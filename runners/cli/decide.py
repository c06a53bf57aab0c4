"""`ablate run --decide`: train in looks planned beforehand, and only what an open hypothesis needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ablate.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.analysis.claims.looks import Decision
    from ablate.analysis.claims.looks_taken import Look, Looks
    from ablate.analysis.claims.schema import Claim
    from ablate.search_spaces.plan import Planned
    from ablate.study.study import Study

_STYLES = {"supported": "green", "refuted": "red", "open": "yellow", "beyond": "yellow"}


class Asked(NamedTuple):
    """What is to be decided: `trials` of all networks with the seeds of the last look, `looks` their numbers."""

    claim: Claim
    trials: list[Planned]
    looks: tuple[int, ...]
    hours: float | None


def decide(study: Study, asked: Asked, train: Callable[[list[Planned]], None], out: Console) -> None:
    """Register the claim, then train, look and decide until nothing is open, the looks are over, or the budget ends.

    Within `study.writing`. What was looked at is kept in the study: the same call goes on after an interruption, and no
    look is taken twice. Raises `InputError` where the study's looks at this claim were planned otherwise, and as
    `train` does.
    """
    from ablate.analysis.claims.looks_taken import entry_of_look, looks_of, sentences

    start = time.monotonic()
    digest = _planned(study, asked, out)
    known = looks_of(study, digest)
    cells = _Cells(asked)
    _say_if_changed(study, known, cells, out)
    why = ""
    while len(known.taken) < len(asked.looks):
        wanted = cells.wanted(known)
        if not wanted:
            why = _why_over(known)
            break
        trials = cells.trials_of(len(known.taken) + 1, known)
        if known.taken and asked.hours is not None:
            needed = _expected_hours(study, trials)
            if (time.monotonic() - start) / 3600 + needed > asked.hours:
                why = f"the next look would take about {needed:.2g} hours more: over the budget of {asked.hours:g}"
                break
        train(trials)
        look = _judged(study, asked, known, trials)
        _keep(study, entry_of_look(digest, look, _by(study, digest)))
        known = looks_of(study, digest)
        _say_look(known, asked, out)
    out.print()
    for line in sentences(known):
        out.print(line, style="bold", markup=False)
    _say_saved(known, asked, why or "the looks are over", out)


def _why_over(known: Looks) -> str:
    from ablate.analysis.claims.looks import outcome
    from ablate.analysis.claims.looks_taken import by_task

    if all(outcome(decisions) != "inconclusive" for decisions in by_task(known.last).values()):
        return "the claim is decided"
    return "no more seeds would decide the rest"


# The plan ------------------------------------------------------------------------------------------------------------


def _planned(study: Study, asked: Asked, out: Console) -> str:
    """The claim's hash, once it is registered, and its looks are planned."""
    from ablate.analysis.claims.looks import levels
    from ablate.analysis.claims.looks_taken import entry_of_plan, looks_of
    from ablate.runners.cli.register import keep_claim

    stand = keep_claim(study, asked.claim)
    planned = looks_of(study, stand.digest).seeds
    if planned and planned != asked.looks:
        shown = ",".join(map(str, planned))
        raise InputError(
            f"claim {asked.claim.name} was planned to be looked at after {shown} seeds in '{study.path}', which cannot "
            f"be changed once begun: give --looks {shown}"
        )
    if not planned:
        _keep(study, entry_of_plan(stand.digest, asked.looks, _by(study, stand.digest)))
    out.print(stand.sentence, style="green" if stand.before else "yellow", markup=False)
    shown = ", ".join(
        f"{seeds} seeds ({level:.2g})" for seeds, level in zip(asked.looks, levels(asked.looks), strict=True)
    )
    out.print(f"Looks, and the error that each may spend: {shown}", style="dim")
    return stand.digest


def _keep(study: Study, entry: object) -> None:
    from ablate.study.registrations import Entry, register

    assert isinstance(entry, Entry)
    register(study.path, entry)


def _by(study: Study, digest: str) -> str:
    from ablate.study.registrations import read_registrations

    return read_registrations(study.path).of(digest, "claim")[0].by


class _Cells:
    """Which trials each look has: all of the first, and of later ones what an open verdict needed."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._all = {trial.config.cell for trial in asked.trials}

    def wanted(self, known: Looks) -> set[str]:
        """The networks that the next look needs more seeds of."""
        from ablate.analysis.claims.looks import needed

        return needed(known.last) & self._all if known.taken else self._all

    def trials_of(self, look: int, known: Looks) -> list[Planned]:
        """The trials of a look, counted from 1, and of those before."""
        from ablate.analysis.claims.looks import needed

        seeds = dict.fromkeys(self._all, self._asked.looks[0])
        for taken in known.taken[: look - 1]:
            seeds |= dict.fromkeys(needed(taken.decisions) & self._all, self._asked.looks[taken.look])
        return [trial for trial in self._asked.trials if trial.config.seed < seeds[trial.config.cell]]


def _expected_hours(study: Study, trials: Sequence[Planned]) -> float:
    """Of those of the trials that are not there, by what the same networks took, one after the other."""
    records = study.records()
    took: dict[str, list[float]] = {}
    for trial in trials:
        if (record := records.get(trial.key)) is not None:
            took.setdefault(trial.config.cell, []).append(record.train_seconds)
    every = [seconds for known in took.values() for seconds in known] or [0.0]
    mean = sum(every) / len(every)
    missing = [trial.config.cell for trial in trials if trial.key not in records]
    seconds = sum(sum(took[cell]) / len(took[cell]) if cell in took else mean for cell in missing)
    return seconds / 3600


# A look --------------------------------------------------------------------------------------------------------------


def _judged(study: Study, asked: Asked, known: Looks, trials: Sequence[Planned]) -> Look:
    """What a look decides, on its own trials alone."""
    from ablate.analysis.claims.evaluate import evaluate
    from ablate.analysis.claims.looks import decide as decided
    from ablate.analysis.claims.looks import levels
    from ablate.analysis.claims.looks_taken import Look, evidence
    from ablate.analysis.confirmation import of_fresh_seeds
    from ablate.analysis.frames import load, scored

    number = len(known.taken) + 1
    keys = [trial.key for trial in trials]
    frames = of_fresh_seeds(scored(load(study), empty=asked.claim.empty), keys)
    results = evaluate(asked.claim, frames)
    decisions = decided(results, known.last, asked.looks, number)
    return Look(
        look=number,
        seeds=asked.looks[number - 1],
        level=levels(asked.looks)[number - 1],
        trials=len(keys),
        evidence=evidence(study, keys),
        decisions=decisions,
    )


def _say_look(known: Looks, asked: Asked, out: Console) -> None:
    from ablate.analysis.claims.looks_taken import by_task

    look = known.taken[-1]
    out.print()
    out.print(
        f"Look {look.look} of {len(asked.looks)}, {look.seeds} seeds: p <= {look.level:.2g} supports", style="bold"
    )
    several_tasks = len(by_task(look.decisions)) > 1
    for decision in look.decisions:
        where = f"{decision.task}: " if several_tasks else ""
        out.print(_line(decision, where), style=_STYLES[decision.state], markup=False)


def _line(decision: Decision, where: str) -> str:
    if decision.state == "open":
        p = [f"{p:.2g}" for p in (decision.p_supported, decision.p_refuted) if p is not None]
        return f"{'open':<13}{where}{decision.name}" + (f" (p = {' and '.join(p)})" if p else "")
    if decision.state == "beyond":
        return f"{'undecided':<13}{where}{decision.name}: too few test cases to show what is tolerated, by any seeds"
    return f"{decision.state:<13}{where}{decision.name} (look {decision.look})"


def _say_saved(known: Looks, asked: Asked, why: str, out: Console) -> None:
    if not known.taken:
        return
    spent, whole = known.taken[-1].trials, len(asked.trials)
    saved = f"{whole - spent} fewer than {asked.looks[-1]} seeds for all ({whole})" if spent < whole else "as planned"
    out.print(f"Ended, for {why}: {spent} trainings, {saved}.", markup=False)


def _say_if_changed(study: Study, known: Looks, cells: _Cells, out: Console) -> None:
    """Whether the trials of the last look are still those that it was taken on."""
    from ablate.analysis.claims.looks_taken import evidence

    if not known.taken:
        return
    last = known.taken[-1]
    keys = [trial.key for trial in cells.trials_of(last.look, known)]
    if evidence(study, keys) != last.evidence:
        out.print(
            f"Note: the trials of look {last.look} are not those that it was taken on; what it decided stands",
            style="yellow",
        )
