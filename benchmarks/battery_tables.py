"""The tables of docs/search.md, "Measured: the battery", from what `benchmarks/search_battery.py --keep FILE` kept.

    python benchmarks/battery_tables.py FILE

Medians over the repeats that are there; costs are machine time as shares of the whole grid's, epochs in brackets. Then
what is asked of `search`, and what misses: a cost to 95 % or 99 % more than 5 % above the best other's, 99 % at over
20 % of the grid's cost, and with 32 workers a cost more than 10 % above the best simple rule's. Beside the medians,
which single runs reached 99 % late or never.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from battery_peers import PEERS
from battery_problems import NAS_BENCH
from search_battery import STRATEGIES, kept
from search_schedulers import FAMILIES

SIMPLE = ("random order", "plan", "pareto", "pareto-promote", "median", "asha")
OTHERS = tuple(name for name in (*STRATEGIES, *PEERS) if name != "search")
PROBLEMS = {
    "curves": "recorded curves",
    "dev_large_ones_slow": "large ones slow (a family)",
    "dev_noisy": "noisy (a family)",
    "cross": "crossing",
    "diverge": "diverging",
    "late": "late bloomers",
    "lcb0": "LCBench",
    "saturate": "saturating",
    "seeds3": "three seeds",
    "small60": "60 cells",
    **{name: f"{name}*" for name in FAMILIES},
    NAS_BENCH: f"{NAS_BENCH}*",
}
"""What they are called. A star: another grid for each repeat, and nothing was tuned on it."""
CALLED = {"search": "**`--search`**"}


class Found(NamedTuple):
    """One strategy on one problem: medians over its runs. `to` are (cost, epochs) to a share, and at the end."""

    to: dict[str, tuple[float, float]]
    hypervolume: float
    runs: tuple[tuple[float, float], ...]
    """Of each, the cost to 99 %, and the hypervolume at its end."""

    @property
    def repeats(self) -> int:
        return len(self.runs)

    @property
    def cost(self) -> float:
        """To 99 %."""
        return self.to["0.99"][0]


Where = tuple[str, int]
Battery = dict[Where, dict[str, Found]]
"""By problem and workers, then by strategy."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="of search_battery.py --keep")
    found = read(parser.parse_args().file)
    for lines in (summary(found), by_problem(found), misses(found)):
        print(*lines, sep="\n", end="\n\n")


def read(file: Path) -> Battery:
    runs: dict[tuple[str, int, str], list[dict[str, Any]]] = defaultdict(list)
    for run, figures in kept(file).items():
        runs[PROBLEMS[Path(run.problem).name], run.workers, run.strategy].append(figures)
    found: Battery = defaultdict(dict)
    for (problem, workers, strategy), rows in runs.items():
        to = {at: (_median(rows, f"seconds {at}"), _median(rows, f"epochs {at}")) for at in ("0.95", "0.99", "end")}
        each = zip(_values(rows, "seconds 0.99"), _values(rows, "hypervolume"), strict=True)
        found[problem, workers][strategy] = Found(to, _median(rows, "hypervolume"), tuple(each))
    return found


def _values(rows: list[dict[str, Any]], of: str) -> list[float]:
    return [math.inf if row[of] is None else row[of] for row in rows]


def _median(rows: list[dict[str, Any]], of: str) -> float:
    return float(np.median(_values(rows, of)))


def summary(found: Battery) -> list[str]:
    """Of each strategy, over the problems."""
    head = (
        "workers",
        "strategy",
        "runs",
        "reaches 99 %",
        "cost to 95 %",
        "to 99 %",
        "worst",
        "epochs to 95 %",
        "to 99 %",
    )
    lines = _head(*head, "cost at its end", "hypervolume then: median / worst")
    for workers in sorted({workers for _, workers in found}):
        for name in ("search", *OTHERS):
            rows = [by[name] for (_, at), by in found.items() if at == workers and name in by]
            if not rows:
                continue
            least, most = min(row.repeats for row in rows), max(row.repeats for row in rows)
            costs = [row.cost for row in rows]
            volumes = [row.hypervolume for row in rows]
            cells = [
                str(workers),
                CALLED.get(name, name),
                f"{least}–{most}" if least < most else str(least),
                f"{sum(map(math.isfinite, costs))} of {len(costs)}",
                _share(np.median([row.to["0.95"][0] for row in rows])),
                _share(np.median(costs)),
                _share(max(costs)),
                _share(np.median([row.to["0.95"][1] for row in rows])),
                _share(np.median([row.to["0.99"][1] for row in rows])),
                _share(np.median([row.to["end"][0] for row in rows])),
                f"{np.median(volumes):.3f} / {min(volumes):.3f}",
            ]
            lines.append(_row(cells))
    return lines


def by_problem(found: Battery) -> list[str]:
    """Of each problem, `search` and the best of the others to 99 %."""
    counts = sorted({workers for _, workers in found})
    head = [cell for workers in counts for cell in (f"{workers} at a time", "the best other", "ended")]
    lines = _head("problem", *head)
    for problem in PROBLEMS.values():
        cells = [problem]
        for workers in counts:
            by = found.get((problem, workers), {})
            if "search" not in by:
                cells += ["", "", ""]
                continue
            own, best = by["search"], _best(by, OTHERS)
            cells += [
                f"**{100 * own.cost:.1f}** ({100 * own.to['0.99'][1]:.0f})",
                f"{100 * best[1].cost:.1f} ({100 * best[1].to['0.99'][1]:.0f}), {best[0]}" if best else "none",
                f"{100 * own.to['end'][0]:.0f} %, {own.hypervolume:.3f}",
            ]
        lines.append(_row(cells))
    return lines


def misses(found: Battery) -> list[str]:
    lines = ["Misses:"]
    for problem, workers in itertools.product(PROBLEMS.values(), sorted({workers for _, workers in found})):
        by = found.get((problem, workers), {})
        if "search" not in by:
            continue
        own = by["search"]
        others, most = (SIMPLE, 1.10) if workers == 32 else (OTHERS, 1.05)
        for at in ("0.95", "0.99"):
            best = _best(by, others, at)
            if best and own.to[at][0] > most * best[1].to[at][0]:
                ratio = own.to[at][0] / best[1].to[at][0]
                costs = f"{_share(own.to[at][0])}, {_share(best[1].to[at][0])} of {best[0]} ({best[1].repeats} runs)"
                lines.append(
                    f"- {problem}, {workers} at a time, to {100 * float(at):.0f} %: {costs}, {ratio:.2f} times"
                )
        if not own.cost <= 0.20:
            lines.append(f"- {problem}, {workers} at a time: 99 % at {_share(own.cost)} of the grid's cost")
        if own.hypervolume < 0.99:
            lines.append(f"- {problem}, {workers} at a time: ended at a hypervolume of {own.hypervolume:.3f}")
        one = f"- {problem}, {workers} at a time, one run of {own.repeats}"
        late = [(cost, volume) for cost, volume in own.runs if not cost <= 0.20]
        lines += [f"{one}: 99 % at {_share(cost)}, ended at {volume:.3f}" for cost, volume in late]
    return lines if len(lines) > 1 else ["Misses: none"]


def _best(by: dict[str, Found], names: Iterable[str], at: str = "0.99") -> tuple[str, Found] | None:
    """The cheapest of those that get there at all."""
    there = [(name, by[name]) for name in names if name in by and math.isfinite(by[name].to[at][0])]
    return min(there, key=lambda one: one[1].to[at][0], default=None)


def _share(value: float) -> str:
    if not math.isfinite(value):
        return "never"
    return f"{100 * value:.{1 if value >= 0.01 else 2}f} %"


def _head(*cells: str) -> list[str]:
    return [_row(cells), "|" + "---|" * len(cells)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
