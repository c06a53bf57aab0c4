"""Deciding a claim in looks: how often it errs over all of them, and what seeds it saves.

    python benchmarks/sequential.py [--studies 1000]

Simulated as in `claims.py`: five rivals, looks after 2, 4, 6 and 10 seeds, a rival and the subject trained on only
while their verdict is open. *At the margin* is where either error is largest. The fixed design beside it trains all to
the same number of seeds and looks once, at 5 %: as many seeds as it takes to show equal networks equal as often, found
by trying; for who plans does not know which truth it is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from claims import MARGIN, RIVALS, Setting, claim_of, means_of, scores_of, verdicts_of

from ablate.analysis.claims.looks import SEEDS, Decision, decide, levels, needed, outcome
from ablate.analysis.claims.verdict import ClaimResult
from ablate.analysis.claims.whole import whole


class Sequence(NamedTuple):
    """How a study ended: the claim's outcome, at which look, and the trainings that it took."""

    outcome: str
    look: int
    trainings: int
    naive: str
    """The outcome of looking at 5 % each time, and stopping at the first that says anything."""


SETTINGS = (
    Setting("typical", 10, 12, 0.006, 0.006, 0.004),
    Setting("seeds dominate", 10, 12, 0.010, 0.002, 0.004),
    Setting("alike, 30 images", 10, 30, 0.004, 0.004, 0.004),
)
ERRORS = {
    "one at the margin, four equal": (-MARGIN, 0.0, 0.0, 0.0, 0.0),
    "one at the margin, four far better": (-MARGIN, 0.05, 0.05, 0.05, 0.05),
    "all at the margin": (-MARGIN,) * RIVALS,
}
TRUTHS = {
    "equal": (0.0,) * RIVALS,
    "close: one worse by half the margin": (-MARGIN / 2, 0.0, 0.0, 0.0, 0.0),
    "clear: better by 0.01": (0.01,) * RIVALS,
    "clear: two better by 0.02, three by 0.05": (0.02, 0.02, 0.05, 0.05, 0.05),
    "clear: worse than one by 0.05": (-0.05, 0.0, 0.0, 0.0, 0.0),
}


def sequence(setting: Setting, differences: tuple[float, ...], rng: np.random.Generator) -> Sequence:
    """One study, looked at as `ablate run --decide` does."""
    claim, scores = claim_of(len(differences)), scores_of(setting, means_of(*differences), rng)
    trained = dict.fromkeys(scores, SEEDS[0])
    decisions: tuple[Decision, ...] = ()
    naive = ""
    look = 0
    for look, seeds in enumerate(SEEDS, 1):
        if look > 1:
            wanted = needed(decisions)
            if not wanted:
                look -= 1
                break
            trained |= dict.fromkeys(wanted, seeds)
        verdicts = verdicts_of(claim, {name: values[: trained[name]] for name, values in scores.items()})
        found = whole(verdicts)
        naive = naive or ("" if found.outcome == "inconclusive" else found.outcome)
        result = ClaimResult("", "", "", found.outcome, verdicts, "")
        decisions = decide([result], decisions, SEEDS, look)
    return Sequence(outcome(decisions), look, sum(trained.values()), naive or "inconclusive")


def share(found: list[Sequence], what: Callable[[Sequence], bool]) -> float:
    return 100 * float(np.mean([what(one) for one in found]))


def fixed(setting: Setting, differences: tuple[float, ...], seeds: int, studies: int) -> float:
    """How often, in per cent, a study that trains all to so many seeds, and looks once, decides as it should."""
    claim, rng = claim_of(len(differences)), np.random.default_rng([7, seeds])
    alike = setting._replace(seeds=seeds)
    found = [whole(verdicts_of(claim, scores_of(alike, means_of(*differences), rng))).outcome for _ in range(studies)]
    return 100 * float(np.mean([one == right(differences) for one in found]))


def right(differences: tuple[float, ...]) -> str:
    return "refuted" if min(differences) < -MARGIN else "supported"


def errors(studies: int) -> None:
    print("| setting | truth | supported % | refuted % | unplanned looks: supported % | refuted % |")
    print("|---|---|---|---|---|---|")
    for place, setting in enumerate(SETTINGS):
        for number, (truth, differences) in enumerate(ERRORS.items()):
            rng = np.random.default_rng([3, place, number])
            found = [sequence(setting, differences, rng) for _ in range(studies)]
            shares = [
                share(found, lambda one, to=to, field=field: getattr(one, field) == to)
                for field in ("outcome", "naive")
                for to in ("supported", "refuted")
            ]
            print(f"| {setting.name} | {truth} | {' | '.join(f'{one:.1f}' for one in shares)} |", flush=True)
    print(f"\nstandard error {100 * np.sqrt(0.05 * 0.95 / studies):.1f}\n")


def savings(studies: int) -> None:
    print("| setting | truth | decided % | look | trainings | fixed design: seeds | decided % | trainings | saved % |")
    print("|---|---|---|---|---|---|---|---|---|")
    for place, setting in enumerate(SETTINGS):
        seeds = 0
        for number, (truth, differences) in enumerate(TRUTHS.items()):
            rng = np.random.default_rng([5, place, number])
            found = [sequence(setting, differences, rng) for _ in range(studies)]
            wanted = right(differences)
            rate = share(found, lambda one, to=wanted: one.outcome == to)
            look, trainings = (float(np.mean([getattr(one, name) for one in found])) for name in ("look", "trainings"))
            if not seeds:  # the first truth is what one plans for
                enough = (n for n in range(2, SEEDS[-1]) if fixed(setting, differences, n, studies // 2) >= rate)
                seeds = next(enough, SEEDS[-1])
            reached, cost = fixed(setting, differences, seeds, studies // 2), seeds * (RIVALS + 1)
            print(
                f"| {setting.name} | {truth} | {rate:.0f} | {look:.1f} | {trainings:.1f} | {seeds} | {reached:.0f} | "
                f"{cost} | {100 * (1 - trainings / cost):.0f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--only", choices=["errors", "savings"])
    options = parser.parse_args()
    start = time.perf_counter()
    print(f"looks after {SEEDS} seeds, at levels {', '.join(f'{level:.2g}' for level in levels(SEEDS))}\n")
    if options.only != "savings":
        errors(options.studies)
    if options.only != "errors":
        savings(options.studies)
    print(f"\n{options.studies} studies a row, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
