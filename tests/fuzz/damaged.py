"""Studies with one byte changed somewhere: what every command makes of them, and what is left after repair and a run.

`python tests/fuzz/damaged.py --count 500` prints figures; the test beside this tries some of them.
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from forked import Ran, call, prepare

SPACE = """\
name: widths
question: Do wider networks pay?
design: grid
base:
  model: {name: unet, stages: 2}
  data: {name: phantom, count: 10, size: [16, 16]}
  protocol: {epochs: 2}
factors:
  model.width: [4, 6]
"""
TABLES = ("trials", "epochs", "images")
_NEVER = (".lock", ".sharing", ".changing")
_NAMED = (2, 4)
"""How many of the first columns name a row: key and cell, key and epoch; of `images` key, image, case and class."""
_UNCHECKED = ("logs", "report.html", "ray")
"""What no figure depends on, and no checksum covers."""


class Case(NamedTuple):
    """One damage, with everything that was found wrong: nothing, if the product behaves rightly."""

    name: str
    ran: tuple[Ran, ...]
    faults: tuple[str, ...]


def make_study(folder: Path) -> Path:
    """A small finished study, by a real run, with measured costs and a report. Not in this process: see `forked`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "widths.yaml").write_text(SPACE)
    run = call("run", "--space", "widths.yaml", "--study", "study", "--seeds", 2, cwd=folder, seconds=300)
    assert run.code == 0, run.err + run.out
    measured = call("measure", "study", "--repeats", 5, cwd=folder, seconds=300)
    assert measured.code == 0, measured.err
    return folder / "study"


def exported(folder: Path, table: str) -> tuple[Ran, pd.DataFrame]:
    """A table of `folder`'s study as `ablate export` writes it; without rows and columns where it writes none."""
    ran = call("export", "study", "--table", table, cwd=folder)
    return ran, pd.read_csv(io.StringIO(ran.out), dtype=str).fillna("") if ran.code == 0 else pd.DataFrame()


def lasting(table: pd.DataFrame) -> pd.DataFrame:
    """What a run makes again: without durations, and what was measured."""
    from ablate.analysis.frames import DURATIONS

    return table.drop(columns=[c for c in table if c in DURATIONS or c.startswith("latency_")])


def damages(study: Path, count: int, seed: int) -> Iterator[tuple[str, int, int]]:
    """File, place and new byte of each damage: every file in turn, at a random place."""
    choose = random.Random(seed)
    files = sorted(f for f in study.rglob("*") if f.is_file() and f.name not in _NEVER and f.stat().st_size)
    order: list[Path] = []
    for _ in range(count):
        order = order or choose.sample(files, len(files))
        file = order.pop()
        at = choose.randrange(file.stat().st_size)
        yield str(file.relative_to(study)), at, file.read_bytes()[at] ^ (1 << choose.randrange(8))


def wrong(found: pd.DataFrame, truth: pd.DataFrame, *, said: bool) -> str:
    """What a table says that the truth does not; and what it does not say, unless that is `said`."""
    if not len(found.columns):
        return ""  # it was refused
    if list(found.columns) != list(truth.columns):
        return f"other columns: {sorted(set(found.columns) ^ set(truth.columns))}"
    rows = {row[: _NAMED[1] if "class" in truth else _NAMED[0]]: row for row in map(tuple, truth.to_numpy())}
    for row in map(tuple, found.to_numpy()):
        true = rows.get(row[: _NAMED[1] if "class" in truth else _NAMED[0]])
        if true is None or any(cell not in (cell_then, "") for cell, cell_then in zip(row, true, strict=True)):
            return f"it has {row}, and the truth {true}"
    gaps = len(found) < len(truth) or (found == "").sum().sum() > (truth == "").sum().sum()
    return "it lacks something and does not say so" if gaps and not said else ""


def try_damage(study: Path, damage: tuple[str, int, int], truth: dict[str, pd.DataFrame], *, runs: bool = True) -> Case:
    """Damage a copy of `study`, and put it through every command; without `runs`, which take Ray, up to the repair."""
    name, at, byte = damage
    with tempfile.TemporaryDirectory(prefix="damaged-") as scratch:
        folder = Path(scratch)
        shutil.copytree(study, folder / "study")
        shutil.copy(study.parent / "widths.yaml", folder)
        content = bytearray((folder / "study" / name).read_bytes())
        content[at] = byte
        (folder / "study" / name).write_bytes(content)
        ran: list[Ran] = []
        faults: list[str] = []

        def note(done: Ran, *, may_fail: bool = True) -> Ran:
            ran.append(done)
            shown = f"ablate {' '.join(done.arguments)}"
            if done.traceback:
                faults.append(f"{shown}: traceback: {done.err[-300:]}")
            elif done.code not in (0, 1, 2):
                faults.append(f"{shown}: exit {done.code} after {done.seconds:.0f} s: {done.err[-300:]}")
            elif not may_fail and done.code:
                faults.append(f"{shown}: exit {done.code}: {done.err[-300:]} {done.out[-300:]}")
            return done

        def ablate(*arguments: object, may_fail: bool = True, seconds: float = 60) -> Ran:
            return note(call(*arguments, cwd=folder, seconds=seconds), may_fail=may_fail)

        run = ("run", "--space", "widths.yaml", "--study", "study", "--seeds", 2)
        ablate("status", "study")
        verified = ablate("verify", "study")
        ablate("report", "study")
        for table in TABLES:
            done, frame = exported(folder, table)
            note(done)
            if what := wrong(frame, truth[table], said="Left out" in done.err):
                faults.append(f"table {table} is wrong: {what}")
        ablate("claim", "study")
        if runs:
            ablate(*run, seconds=200)
        ablate("verify", "study", "--repair", may_fail=False)
        if runs:
            ablate(*run, may_fail=False, seconds=200)
            for table in TABLES:
                _, frame = exported(folder, table)
                if not lasting(frame).equals(lasting(truth[table])):
                    faults.append(f"table {table} is other after repair and run")
        sound = ablate("verify", "study", may_fail=False)
        if "all sound" not in sound.out:
            faults.append(f"it is not sound after the repair: {sound.out[-300:]}")
        checked = name.split("/")[0] not in _UNCHECKED
        if checked and verified.code == 0:
            faults.append("verify finds nothing")
        return Case(f"{name} at {at}", tuple(ran), tuple(faults))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1", help="k/n: every n-th damage from the k-th on")
    parser.add_argument("--no-runs", dest="runs", action="store_false", help="up to the repair")
    asked = parser.parse_args()
    part, parts = map(int, asked.part.split("/"))
    prepare()
    with tempfile.TemporaryDirectory(prefix="sound-") as scratch:
        study = make_study(Path(scratch))
        truth = {table: exported(study.parent, table)[1] for table in TABLES}
        kinds: Counter[str] = Counter()
        wrong: Counter[str] = Counter()
        slowest, biggest = 0.0, 0.0
        for number, damage in enumerate(damages(study, asked.count, asked.seed)):
            if number % parts != part:
                continue
            case = try_damage(study, damage, truth, runs=asked.runs)
            kind = damage[0].split("/")[-1] if damage[0].startswith("trials/") else damage[0].split("/")[0]
            kind = "samples" if "/samples/" in damage[0] else kind
            kinds[kind] += 1
            for ran in case.ran:
                if ran.arguments[0] != "run":
                    slowest = max(slowest, ran.seconds)
                biggest = max(biggest, ran.peak_mb)
            for fault in case.faults:
                wrong[kind] += 1
                print(f"{number}: {case.name}: {fault}", flush=True)
            if number % 10 == part:
                print(f"… {number + 1} of {asked.count}, {sum(wrong.values())} faults", file=sys.stderr, flush=True)
    print(f"damages by kind of file: {dict(kinds)}")
    print(f"faults by kind of file: {dict(wrong)}")
    print(f"slowest command but run: {slowest:.1f} s; most memory: {biggest:.0f} MB")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
