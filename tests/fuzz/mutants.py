"""What `ablate` makes of mutated spaces and claims: what was asked, or one line and exit code 2, and nothing written.

`python tests/fuzz/mutants.py --spaces 1000 --claims 300` prints figures; the test beside this tries some of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from damaged import make_study
from forked import Ran, call
from forked import prepare as prepare_commands
from mutate import Mutant, mutated_claims, mutated_spaces

LONGEST_LINE = 500
MEMORY_MB = 1000


class Case(NamedTuple):
    """One mutant under one command, with everything that was found wrong: nothing, if the product behaves rightly."""

    mutant: Mutant
    ran: Ran
    faults: tuple[str, ...]

    @property
    def outcome(self) -> str:
        return "accepted" if self.ran.code == 0 else "refused"


def prepare() -> None:
    """Also what pricing loads at its first network, which takes a second."""
    prepare_commands()
    from ablate.cost.counted import cost, try_one_image
    from ablate.models.settings import UNet

    cost(UNet(width=1, stages=2), 1, 1, (8, 8))
    try_one_image(UNet(width=1, stages=2), 1, 1, (8, 8))


def faults(ran: Ran, folder: Path, before: set[Path]) -> tuple[str, ...]:
    """What is wrong with how a command ended, but for the time it took."""
    found = []
    if ran.code == -9:
        found.append("it did not end")
    elif ran.traceback:
        found.append(f"a traceback: {ran.err.strip()[-400:]}")
    elif ran.code not in (0, 2):
        found.append(f"exit code {ran.code}: {ran.err.strip()[-300:]}")
    elif ran.code == 2:
        if not ran.one_line:
            found.append(f"not one line: {ran.err[:400]!r}")
        if len(ran.err) > LONGEST_LINE:
            found.append(f"a line of {len(ran.err)} characters: {ran.err[:200]}…")
    if any(unicodedata.category(c) in ("Cc", "Cs") and c != "\n" for c in ran.err + ran.out):
        found.append(f"what cannot be printed: {ran.err[:200]!r}")
    if new := set(folder.rglob("*")) ^ before:
        found.append(f"written: {', '.join(map(str, new))[:200]}")
    return tuple(found)


def try_spaces(count: int, seed: int, *, seconds: float) -> Iterator[Case]:
    """Every mutant under `ablate plan` and under `ablate cost`."""
    with tempfile.TemporaryDirectory(prefix="spaces-") as scratch:
        for mutant in mutated_spaces(count, seed):
            yield from _tried(Path(scratch), mutant, [("plan", "--space"), ("cost", "--space")], seconds)


def try_claims(count: int, seed: int, study: Path, *, seconds: float) -> Iterator[Case]:
    """Every mutant under `ablate claim`, on a small study that has what the made claim is about."""
    with tempfile.TemporaryDirectory(prefix="claims-") as scratch:
        shutil.copytree(study, Path(scratch) / "study")
        for mutant in mutated_claims(count, seed):
            yield from _tried(Path(scratch), mutant, [("claim", "study", "--claim")], seconds)


def _tried(folder: Path, mutant: Mutant, commands: list[tuple[str, ...]], seconds: float) -> Iterator[Case]:
    (folder / "mutant.yaml").write_bytes(mutant.text)
    before = set(folder.rglob("*"))
    for command in commands:
        ran = call(*command, "mutant.yaml", cwd=folder, seconds=seconds, memory_mb=MEMORY_MB)
        yield Case(mutant, ran, faults(ran, folder, before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spaces", type=int, default=1000)
    parser.add_argument("--claims", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="after which a command is ended")
    parser.add_argument("--keep", type=Path, help="a folder for the mutants that show a fault")
    asked = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory(prefix="study-") as scratch:
        study = make_study(Path(scratch)) if asked.claims else Path()
        for what, cases in (
            ("spaces", try_spaces(asked.spaces, asked.seed, seconds=asked.seconds)),
            ("claims", try_claims(asked.claims, asked.seed, study, seconds=asked.seconds)),
        ):
            _figures(what, cases, asked.keep)


def _figures(what: str, cases: Iterator[Case], keep: Path | None) -> None:
    outcomes: Counter[str] = Counter()
    slowest: list[Case] = []
    biggest: Case | None = None
    wrong = 0
    for number, case in enumerate(cases):
        command = case.ran.arguments[0]
        outcomes[f"{command} {case.outcome if not case.faults else 'FAULT'}"] += 1
        slowest = sorted([*slowest, case], key=lambda one: -one.ran.seconds)[:5]
        biggest = max(biggest or case, case, key=lambda one: one.ran.peak_mb)
        late = case.ran.seconds > 5
        if case.faults or late:
            wrong += bool(case.faults)
            told = [*case.faults, *([f"{case.ran.seconds:.1f} s"] if late else [])]
            print(f"{number}: {case.mutant.base}, {case.mutant.what}, {command}: {'; '.join(told)}", flush=True)
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{what}-{number}.yaml").write_bytes(case.mutant.text)
        if number % 100 == 99:
            print(f"… {number + 1} {what}, {wrong} faults", file=sys.stderr, flush=True)
    print(f"{what}: {dict(sorted(outcomes.items()))}, {wrong} faults")
    if biggest:
        print(f"slowest: {', '.join(f'{one.ran.seconds:.1f} s ({one.ran.arguments[0]})' for one in slowest)}")
        print(f"most memory, imports among it: {biggest.ran.peak_mb:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
