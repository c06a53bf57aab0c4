"""Timing that repeats itself until the median is known well enough, or its time is over.

A round is as many passes as fill a tenth of a second, at least one, and counts as its median: what disturbs a machine
lasts longer than a quick pass, so passes one after the other are not worth as much as rounds are.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

WARM_UP = 3
"""Passes before the clock starts: caches fill, and kernels are chosen and compiled."""
ROUND_SECONDS = 0.1
NARROW = 0.02
"""How far from the median its interval may reach, as a share of it, to be good enough."""
LEVEL = 0.95
LOOKS = 1.5
"""How many times the rounds of a look the next one has: looking after each would stop at a lucky interval."""
FEWEST = 6
"""Rounds of which an interval can be had at all: all of six lie on one side of the median in 3 % of cases."""


class Rounds(NamedTuple):
    """Seconds of a pass, by wall and by processor; `wall` and `cpu` have a median for each round, `passes` each pass.

    `others` is how many cores' worth of work the rest of the machine did meanwhile; None where it cannot be known.
    """

    wall: list[float]
    cpu: list[float]
    passes: list[float]
    others: float | None

    @property
    def interval(self) -> tuple[float, float]:
        """Of the median of `wall`; of fewer than `FEWEST` rounds there is none, and it is without bounds."""
        return median_interval(self.wall) or (0.0, math.inf)


def median_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """An interval that holds the median of what `values` are drawn from with a probability of at least `level`.

    Between two of the sorted values, as many from either end, whatever the distribution (Hahn & Meeker, Statistical
    Intervals, 1991, section 5.2); None of fewer values than that needs.
    """
    outside, n = 0, len(values)
    below = 0  # of the ways in which so many values can lie to either side of the median, those with fewest
    for rank in range(n // 2 + 1):
        below += math.comb(n, rank)
        if below / 2**n > (1 - level) / 2:
            break
        outside = rank + 1
    if not outside:
        return None
    ordered = sorted(values)
    return ordered[outside - 1], ordered[n - outside]


def half_width(middle: float, interval: tuple[float, float]) -> float:
    """How far `interval` reaches from `middle`, as a share of it."""
    return max(middle - interval[0], interval[1] - middle) / middle if middle > 0 else math.inf


def timed(
    step: Callable[[], object],
    synchronise: Callable[[], None],
    least: int,
    seconds: float,
    machine: Callable[[], float | None],
) -> Rounds:
    """Time `step` in at least `least` rounds, until the interval of their median is narrow.

    Args:
        synchronise: waits until what `step` began has ended.
        least: rounds before the first look at the interval; at least `FEWEST` are made.
        seconds: after which no other round begins, whatever the interval, once there are `FEWEST`.
        machine: seconds of all processors' work so far, this process's included; None where they cannot be known.
    """
    return timed_in_turn([step], synchronise, least, seconds, machine)[0]


def timed_in_turn(
    steps: Sequence[Callable[[], object]],
    synchronise: Callable[[], None],
    least: int,
    seconds: float,
    machine: Callable[[], float | None],
) -> list[Rounds]:
    """Time several steps as `timed` does one, a round of each in turn: what disturbs the machine disturbs them alike.

    One whose interval is narrow, or that had `seconds` of its own, has no further rounds. `Rounds.others` is of the
    whole time.
    """
    for step in steps:
        for _ in range(WARM_UP):
            step()
    synchronise()
    found = [Rounds([], [], [], None) for _ in steps]
    looks, spent = [max(least, FEWEST)] * len(steps), [0.0] * len(steps)
    used, own, began = machine(), time.process_time(), time.perf_counter()
    while left := [at for at, of in enumerate(found) if not _enough(of, looks[at], spent[at] >= seconds)]:
        for at in left:
            if len(found[at].wall) >= looks[at]:
                looks[at] = math.ceil(LOOKS * looks[at])
            started = time.perf_counter()
            walls, cpus = _round(steps[at], synchronise)
            spent[at] += time.perf_counter() - started
            found[at].wall.append(statistics.median(walls))
            found[at].cpu.append(statistics.median(cpus))
            found[at].passes.extend(walls)
    now = machine()
    if used is None or now is None:
        return found
    others = max(0.0, now - used - (time.process_time() - own)) / (time.perf_counter() - began)
    return [of._replace(others=others) for of in found]


def _enough(found: Rounds, look: int, over: bool) -> bool:
    done = len(found.wall)
    if over:
        return done >= FEWEST
    return done == look and half_width(statistics.median(found.wall), found.interval) <= NARROW


def _round(step: Callable[[], object], synchronise: Callable[[], None]) -> tuple[list[float], list[float]]:
    walls, cpus = list[float](), list[float]()
    while sum(walls) < ROUND_SECONDS:
        cpu, wall = time.process_time(), time.perf_counter()
        step()
        synchronise()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return walls, cpus
