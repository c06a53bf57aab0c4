"""What measured latencies say: where they contradict MACs (fewer, yet slower), and which of them are in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ablate.analysis.format import NO_BREAK

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from ablate.cost.measured import Measured


class Timing(NamedTuple):
    """A cell's network: its MACs for one image, and the median latency of inference with its interquartile range."""

    cell: str
    label: str
    macs: float
    latency_ms: float
    latency_iqr_ms: float


class Disagreement(NamedTuple):
    """`a` has fewer MACs than `b` and takes longer, on the same device with an input of the same size."""

    task: str
    device: str
    input: str
    a: Timing
    b: Timing

    @property
    def text(self) -> str:
        """As a sentence, which names neither device nor input."""
        a, b = self.a, self.b
        return (
            f"{a.label} has {a.macs / b.macs:.2f} of the MACs of {b.label} and {a.latency_ms / b.latency_ms:.2f} times "
            f"its latency: {_latency(a)} against {_latency(b)}."
        )


def disagreements(trials: pd.DataFrame) -> tuple[Disagreement, ...]:
    """Pairs of measured cells that MACs and latency order differently, the largest ratio of latencies first.

    Only those whose latencies differ by more than both interquartile ranges together: less may be noise.
    A trial table without these columns (one made elsewhere) has none.
    """
    wanted = ["cell", "label", "macs", "latency_ms", "latency_iqr_ms"]
    groups = ["data", "latency_device", "latency_input"]
    if not {*wanted, *groups} <= set(trials.columns):
        return ()
    measured = trials[trials["latency_ms"].notna()].drop_duplicates("cell")
    found = []
    for (task, device, size), rows in measured.groupby(groups):
        timings = [Timing(*row) for row in rows[wanted].itertuples(index=False)]
        macs, latency, spread = (rows[name].to_numpy(dtype=float) for name in wanted[2:])
        fewer = macs[:, None] < macs[None, :]
        longer = latency[:, None] - latency[None, :] > spread[:, None] + spread[None, :]
        for a, b in np.argwhere(fewer & longer):
            found.append(Disagreement(str(task), str(device), str(size), timings[a], timings[b]))
    return tuple(sorted(found, key=lambda pair: -pair.a.latency_ms / pair.b.latency_ms))


def _latency(timing: Timing) -> str:
    return f"{timing.latency_ms:.1f}{NO_BREAK}ms (IQR{NO_BREAK}{timing.latency_iqr_ms:.1f})"


def doubted(measurements: Mapping[str, Measured], trials: pd.DataFrame) -> tuple[str, ...]:
    """A sentence for each cell of `trials` whose latency is in doubt, in the table's order: why, and what to do."""
    found = []
    for cell, label in trials.drop_duplicates("cell")[["cell", "label"]].itertuples(index=False):
        doubt = measurements[cell].doubt if cell in measurements else None
        if doubt is not None:
            found.append(f"The latency of {label} is in doubt: {doubt}. Measure it again on an idle machine.")
    return tuple(found)
