"""Costs that are measured: foretold before, measured once before a start, remembered, and bound."""

import math
from collections import Counter

import pytest

from ablate.cost.measured import Measured
from ablate.errors import InputError, TrialError
from ablate.runners.search.freeze_thaw.conductor import Conductor
from ablate.runners.search.freeze_thaw.costs import KNOWN, SPREAD, figures_of
from ablate.runners.search.freeze_thaw.decider import Decider
from ablate.runners.search.freeze_thaw.gains import Prices, box_of
from ablate.runners.search.freeze_thaw.journal import Event, Took, Went
from ablate.runners.search.freeze_thaw.offers import Had, Offers
from ablate.search_spaces.designs import Variant
from ablate.search_spaces.space import Space

EPOCHS = 4
WIDTHS, KERNELS = (4, 8, 16, 24, 32, 48), ("3", "5", "9", "grouped")


def measured(latency: float = 1.0, memory: float = 20.0, **more) -> Measured:
    given = {"latency_iqr_ms": 0.0, "device": "cpu (made, 1 thread)", "threads": 1, "channels": 1, "size": (32, 32),
             "repeats": 20, "precision": "float32", "load": None, "versions": {}}  # fmt: skip
    return Measured.model_validate({"latency_ms": latency, "peak_memory_mb": memory} | given | more)


class Market:
    """Networks whose latency is other than their MACs say: what is grouped is slow."""

    def __init__(self, costs=("params", "latency_ms"), constraints=(), broken=(), widths=WIDTHS) -> None:
        factors = {
            "model.width": list(widths),
            "kernel": {kernel: {"model.name": kernel} for kernel in KERNELS},
        }
        self.slower = 1.0
        self.space = Space.model_validate(
            {"name": "made", "question": "Which?", "design": "grid", "factors": factors, "constraints": constraints}
        )
        self.costs, self.broken = costs, broken
        self.asked: Counter[str] = Counter()

    def width(self, cell: str) -> int:
        return int(cell.split("-")[0])

    def latency(self, cell: str) -> float:
        width, kernel = cell.split("-")
        return 0.02 * int(width) ** 1.5 * (1.5 if kernel == "grouped" else 1.0) * {"9": 3.0, "5": 1.7}.get(kernel, 1.0)

    def have(self, made: Variant) -> Had:
        cell = f"{made.fields['model.width']}-{made.fields['model.name']}"
        width = self.width(cell)
        kernel = {"9": 81, "5": 25, "3": 9, "grouped": 9 / 4}[cell.split("-")[1]]
        macs = 1e4 * width**2 * kernel
        return Had(cell, (100.0 * width**2, macs), 1e-3 * self.latency(cell) * 50 / (1 + width / 100), EPOCHS, (cell,))

    def measure(self, cell: str) -> Measured:
        self.asked[cell] += 1
        if cell in self.broken:
            raise TrialError("it died")
        noise = 1 + 0.02 * math.sin(sum(map(ord, cell)))
        return measured(self.latency(cell) * noise * self.slower, 10 + self.width(cell))

    def offers(self, known=()) -> tuple[Offers, list[Took]]:
        offers = Offers(self.space, self.have, self.costs, measure=self.measure)
        return offers, list(offers.spread(known))

    def score(self, cell: str, epoch: int) -> float:
        width, kernel = cell.split("-")
        best = 0.5 + 0.08 * math.log(int(width)) + {"3": 0.0, "5": 0.03, "9": 0.05, "grouped": 0.04}[kernel]
        return best * (1 - math.exp(-epoch))


class KilledError(Exception):
    pass


def search(
    market: Market, past: list[Event] | None = None, kill_at: int | None = None
) -> tuple[list[Event], Conductor | None]:
    """A whole search, on what it noted before; one that is killed as it is to note event number `kill_at` has no
    conductor."""
    noted = list(past or [])
    offers, found = market.offers([event for event in noted if isinstance(event, Took)])
    noted += found

    def note(event: Event) -> None:
        if len(noted) == kill_at:
            raise KilledError
        noted.append(event)

    first = offers.fresh((), ())
    prices = Prices(*box_of([offered.costs for offered in first.values()], offers.costs.margins))
    decider = Decider(offers.named, prices, bar=0.1, last=EPOCHS, restart=0.01)
    try:
        conductor = Conductor(decider, offers, past=list(noted), note=note, measuring=offers)
        while (key := conductor.next_key()) is not None:
            for epoch in range(1, EPOCHS + 1):
                goes_on = conductor.reached(key, epoch, market.score(key, epoch), 1.0)
                if epoch == EPOCHS or not goes_on:
                    conductor.ended(key)
                    break
    except KilledError:
        return noted, None
    return noted, conductor


def test_each_configuration_is_measured_once_before_it_starts_and_has_that_cost():
    widths = tuple(range(4, 52, 4))
    market = Market(widths=widths)
    noted, conductor = search(market)
    assert conductor is not None
    started = [event.cell for event in noted if isinstance(event, Went) and event.choice]
    for cell in started:
        took = next(place for place, event in enumerate(noted) if isinstance(event, Took) and event.cell == cell)
        assert took < next(place for place, event in enumerate(noted) if isinstance(event, Went) and event.cell == cell)
        figure = noted[took].figures["latency_ms"]
        assert conductor._decider.cells[cell].offered.costs == (100.0 * market.width(cell) ** 2, figure)
    assert set(market.asked.values()) == {1}
    assert len(market.asked) < len(widths) * len(KERNELS)


def test_what_is_not_measured_is_foretold_within_a_third():
    market = Market(costs=("latency_ms", "peak_memory_mb"))
    offers, found = market.offers()
    assert len(found) == SPREAD
    left = {cell: offered for cell, offered in offers.fresh((), ()).items() if cell not in market.asked}
    assert len(left) == len(WIDTHS) * len(KERNELS) - SPREAD
    for cell, offered in left.items():
        assert offered.costs[0] == pytest.approx(market.latency(cell), rel=1 / 3), cell
        assert offered.costs[1] == pytest.approx(10 + market.width(cell), rel=1 / 3), cell


def test_a_search_that_is_killed_goes_on_by_what_it_measured():
    few = (4, 16)
    whole, _ = search(Market(widths=few))
    for kill_at in (SPREAD + 1, len(whole) // 2):
        market = Market(widths=few)
        first, none = search(market, kill_at=kill_at)
        assert none is None
        assert search(Market(widths=few), first)[0] == whole
        market.slower = 1.3  # of what is measured from now on; what it noted holds
        then, _ = search(market, first)
        kept = {event.cell: event for event in first if isinstance(event, Took)}
        assert kept == {event.cell: event for event in then if isinstance(event, Took) and event.cell in kept}


def test_nothing_over_a_bound_is_trained_and_what_is_likely_over_it_is_hardly_measured():
    market = Market(costs=KNOWN, constraints=["latency_ms <= 3"])
    over = {f"{width}-{kernel}" for width in WIDTHS for kernel in KERNELS if market.latency(f"{width}-{kernel}") > 3}
    noted, conductor = search(market)
    started = {event.cell for event in noted if isinstance(event, Went)}
    assert conductor is not None
    assert len(over) >= 8
    assert not over & started
    assert {cell for cell in market.asked if cell in over} == set(conductor._measuring.rejected())
    assert len(over & set(market.asked)) <= SPREAD + 2
    assert "out of bounds, which were not trained" in conductor.said()
    # The best that is within the bound is found, though dearer ones score more.
    scores = {f"{width}-{kernel}": market.score(f"{width}-{kernel}", 1) for width in WIDTHS for kernel in KERNELS}
    best = max((cell for cell in scores if cell not in over), key=scores.__getitem__)
    assert best in started
    again, _ = search(market, noted)
    assert again == noted
    assert set(market.asked.values()) == {1}


def test_what_cannot_be_measured_is_not_trained():
    market = Market(broken={"8-5", "48-9"})
    noted, _ = search(market)
    started = {event.cell for event in noted if isinstance(event, Went)}
    assert not started & market.broken
    with pytest.raises(InputError, match="nothing of space made can be trained: it cannot be measured: it died"):
        Market(broken={f"{width}-{kernel}" for width in WIDTHS for kernel in KERNELS}).offers()


def test_of_one_thread_the_processor_s_time_counts_which_neighbours_do_not_lengthen():
    assert figures_of(measured(30.0, latency_cpu_ms=10.0))["latency_ms"] == 10.0
    assert figures_of(measured(30.0, latency_cpu_ms=55.0, threads=2))["latency_ms"] == 30.0
    assert figures_of(measured(3.0, latency_cpu_ms=9.0, device="cuda (made)"))["latency_ms"] == 3.0
