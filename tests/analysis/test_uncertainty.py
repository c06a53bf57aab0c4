from __future__ import annotations

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import Tables, scored, study, trial, trivial

from ablate.analysis.crossed import Interval
from ablate.analysis.pareto import Pareto, fronts, hypervolume, nondominated, pareto
from ablate.analysis.scores import CellScores
from ablate.analysis.significance import mean_interval
from ablate.analysis.uncertainty import (
    UncertainFront,
    front_probability,
    probabilities,
    uncertain_fronts,
    with_chosen,
)
from ablate.metrics.counts import MetricName


def _noisy(mean: float, rng: np.random.Generator, seeds: int = 3, images: int = 12, spread: float = 0.02) -> np.ndarray:
    return mean + rng.normal(0, spread, (seeds, images))


def _sure(
    networks: dict[str, tuple[float, np.ndarray]], resamples: int = 400, **options: object
) -> tuple[Pareto, UncertainFront]:
    trials, scores = scored(networks)
    front = pareto(trials, "params", "dice")
    (found,) = uncertain_fronts([front], {"dice": scores}, resamples=resamples, **options)  # type: ignore[arg-type]
    return front, found


# Few values, so that costs and scores tie.
_cells = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 4), min_size=n, max_size=n),
        st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=5),
    )
)


@given(_cells)
def test_probability_is_the_share_of_resamples_in_which_moocore_has_the_cell_on_the_front(drawn: tuple) -> None:
    costs, scores = drawn
    each = [nondominated(np.column_stack([costs, row]), (False, True)) for row in scores]
    assert probabilities(costs, scores) == pytest.approx(np.mean(each, axis=0))
    # With a second cost that says the same nothing changes, though another way is taken.
    assert probabilities(np.column_stack([costs, costs]), scores) == pytest.approx(np.mean(each, axis=0))


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0.3, 0.9)), min_size=2, max_size=8), st.integers(0, 99))
def test_interval_of_the_hypervolume_is_moocores_between_the_ends_of_the_band(points: list, seed: int) -> None:
    rng = np.random.default_rng(seed)
    networks = {f"c{i}": (float(cost), _noisy(mean, rng)) for i, (cost, mean) in enumerate(points)}
    front, found = _sure(networks, resamples=40, seed=seed)
    low, high = (
        hypervolume(np.column_stack([found.band.costs, ends]), front.reference, (False, True))
        for ends in (found.band.low, found.band.high)
    )
    assert found.hypervolume.estimate == front.hypervolume
    assert found.hypervolume.low == pytest.approx(low)
    assert found.hypervolume.high == pytest.approx(high)


def test_a_cell_far_below_a_cheaper_one_is_never_on_the_front_and_the_cheapest_always() -> None:
    rng = np.random.default_rng(0)
    _, found = _sure({"cheap": (1, _noisy(0.9, rng)), "dear": (2, _noisy(0.5, rng)), "good": (3, _noisy(0.97, rng))})
    assert found.probability == {"cheap": 1.0, "dear": 0.0, "good": 1.0}


def test_cells_with_the_same_scores_and_cost_have_the_same_chance() -> None:
    values = _noisy(0.8, np.random.default_rng(0), seeds=1)
    _, found = _sure({"a": (1, values), "b": (1, values.copy()), "worse": (1, values - 0.3)})
    assert found.probability == {"a": 1.0, "b": 1.0, "worse": 0.0}


def test_equal_cells_share_the_front_between_them() -> None:
    rng = np.random.default_rng(1)
    _, found = _sure({"a": (1, _noisy(0.8, rng, images=200)), "b": (1, _noisy(0.8, rng, images=200))}, resamples=2000)
    assert sum(found.probability.values()) == pytest.approx(1.0)
    assert all(0.02 < probability < 0.98 for probability in found.probability.values())


def test_images_are_paired_so_hard_ones_do_not_blur_who_is_better() -> None:
    hard = np.linspace(-0.3, 0.3, 12)
    better = np.tile(0.55 + hard, (3, 1)) + np.array([[0.0], [1e-3], [-1e-3]])
    _, found = _sure({"cheap": (1, better), "dear": (2, better - 0.01)})
    assert found.probability == {"cheap": 1.0, "dear": 0.0}
    assert found.band.high[0] - found.band.low[0] > 0.1, "the front itself is blurred by them"


def test_band_holds_the_front_rises_and_stays_among_scores() -> None:
    rng = np.random.default_rng(2)
    networks = {f"c{i}": (float(1 + i // 2), _noisy(0.93 + 0.002 * i, rng, spread=0.05)) for i in range(30)}
    front, found = _sure(networks)
    best, costs = 0.0, iter(found.band.costs)
    for cost, low, median, high in zip(*found.band, strict=True):
        best = max([best, *(point.y for point in front.points if point.x == cost)])
        assert low <= best <= high
        assert low <= median <= high
        assert next(costs) == cost
    for line in found.band:
        assert list(line) == sorted(line)
    assert min(found.band.low) >= 0
    assert max(found.band.high) <= 1
    assert found.hypervolume.low <= found.hypervolume.estimate <= found.hypervolume.high


def test_the_band_of_many_cells_is_thinned_but_has_every_corner() -> None:
    rng = np.random.default_rng(3)
    networks = {f"c{i}": (float(i + 1), _noisy(0.5 + 0.0005 * i, rng, seeds=1)) for i in range(900)}
    front, found = _sure(networks, resamples=50)
    corners = {point.x for point in front.points if point.on_front}
    assert corners <= set(found.band.costs)
    assert len(found.band.costs) <= 200 + len(corners)


def test_intervals_hold_the_true_front_in_simulated_studies() -> None:
    """30 cells close to each other, 3 seeds, 12 images: where the best of noisy means is optimistic."""
    rng = np.random.default_rng(4)
    studies, held, inside = 30, 0, []
    for _ in range(studies):
        truth = 0.8 + rng.normal(0, 0.01, 30)
        images = rng.normal(0, 0.05, 12)
        networks = {
            f"c{i}": (i + 1.0, _noisy(mean, rng) + images + rng.normal(0, 0.01, 12) + rng.normal(0, 0.01, (3, 1)))
            for i, mean in enumerate(truth)
        }
        _, found = _sure(networks, resamples=200)
        plane = np.column_stack([np.arange(1.0, 31), truth])
        area = hypervolume(plane, found.hypervolume.reference, (False, True))
        held += found.hypervolume.low <= area <= found.hypervolume.high
        attained = np.maximum.accumulate(truth)
        inside.append(np.mean((found.band.low <= attained) & (attained <= found.band.high)))
    assert held >= 0.85 * studies
    assert np.mean(inside) >= 0.9


def test_of_equal_cells_all_may_be_on_the_front_and_its_members_intervals_are_corrected() -> None:
    rng = np.random.default_rng(5)
    networks = {
        f"c{i:02d}": (i + 1.0, 0.8 + rng.normal(0, 0.006, (3, 1)) + rng.normal(0, 0.003, (3, 12))) for i in range(20)
    }
    front, found = _sure(networks)
    assert found.possible == tuple(networks)
    assert found.best == tuple(networks)
    assert found.sure == ("c00",), "the cheapest, whatever it scores"
    assert set(found.chosen) == set(front.front)
    plain = {cell: mean_interval(scored(networks)[1][cell]) for cell in front.front}
    assert found.chosen["c00"].low == pytest.approx(plain["c00"].low, abs=0.004), "chosen among one"
    last = front.front[-1]
    assert found.chosen[last].low < plain[last].low
    shown = with_chosen({"dice": {**plain, "c00": Interval(0.8, np.nan, np.nan, 0.95)}}, [found])["dice"]
    assert shown[last] == found.chosen[last]
    assert np.isnan(shown["c00"].low), "what had no interval has none"


def test_a_cell_that_a_cheaper_one_surely_beats_is_no_part_of_the_front_set() -> None:
    rng = np.random.default_rng(6)
    _, found = _sure({"cheap": (1, _noisy(0.9, rng)), "dear": (2, _noisy(0.5, rng)), "good": (3, _noisy(0.99, rng))})
    assert (found.possible, found.sure, found.best) == (("cheap", "good"), ("cheap", "good"), ("good",))


def test_one_seed_is_said() -> None:
    rng = np.random.default_rng(0)
    _, alone = _sure({"a": (1, _noisy(0.8, rng, seeds=1)), "b": (2, _noisy(0.9, rng, seeds=1))})
    assert "one seed" in alone.note
    assert "test images alone" in alone.note
    assert alone.seeds == 1
    _, mixed = _sure({"a": (1, _noisy(0.8, rng, seeds=1)), "b": (2, _noisy(0.9, rng, seeds=3))})
    assert "1 of 2 networks with one seed" in mixed.note
    _, several = _sure({"a": (1, _noisy(0.8, rng)), "b": (2, _noisy(0.9, rng))})
    assert (several.note, several.seeds, several.images) == ("", 3, 12)


def test_only_images_that_all_cells_have_are_resampled() -> None:
    rng = np.random.default_rng(0)
    a, b = _noisy(0.8, rng, images=5), _noisy(0.9, rng, images=5)
    b[1, 0] = np.nan
    trials, scores = scored({"a": (1, a), "b": (2, b)}, {"b": ("001", "002", "003", "004", "005")})
    (found,) = uncertain_fronts([pareto(trials, "params", "dice")], {"dice": scores}, resamples=50)
    assert found.images == 3
    assert "test images differ: the 3 that all share" in found.note


def test_without_shared_images_nothing_is_claimed() -> None:
    rng = np.random.default_rng(0)
    trials, scores = scored(
        {"a": (1, _noisy(0.8, rng, images=2)), "b": (2, _noisy(0.9, rng, images=2))}, {"b": ("x", "y")}
    )
    front = pareto(trials, "params", "dice")
    (found,) = uncertain_fronts([front], {"dice": scores}, resamples=50)
    assert found.probability == {}
    assert found.band.costs == ()
    assert np.isnan(found.hypervolume.low)
    assert found.hypervolume.estimate == front.hypervolume
    assert "share no test image" in found.note


def test_cells_without_scores_of_images_are_left_out_and_named_as_such() -> None:
    rng = np.random.default_rng(0)
    trials, scores = scored({"a": (1, _noisy(0.8, rng)), "b": (2, _noisy(0.9, rng))})
    del scores["b"]
    (found,) = uncertain_fronts([pareto(trials, "params", "dice")], {"dice": scores}, resamples=50)
    assert set(found.probability) == {"a"}
    assert "1 of 2 networks without per-image scores" in found.note


def test_an_empty_front_has_an_empty_record() -> None:
    import pandas as pd

    empty = pareto(pd.DataFrame([trial("a", 0, 1, state="failed"), *trivial()]), "params", "dice")
    (found,) = uncertain_fronts([empty], {"dice": {}}, resamples=50)
    assert (found.probability, found.band.costs, found.seeds) == ({}, (), 0)


def test_the_same_seed_gives_the_same_numbers_and_planes_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    trials, scores = scored({f"c{i}": (float(i + 1), _noisy(0.8, rng)) for i in range(6)})
    records = fronts(trials)
    by_metric: dict[MetricName, dict[str, CellScores]] = {"dice": scores, "miou": scores, "iou": scores}
    one, other = (uncertain_fronts(records, by_metric, resamples=60, seed=5) for _ in range(2))
    assert one == other
    assert [(found.x, found.y) for found in one] == [(record.x, record.y) for record in records]


def test_attainment_surfaces_of_five_seeds_are_those_of_moocore() -> None:
    rng = np.random.default_rng(0)
    networks = {f"c{i}": (float(i + 1), _noisy(0.7 + 0.02 * i, rng, seeds=5)) for i in range(6)}
    _, found = _sure(networks)
    rows = np.array([(cost, -values[seed].mean(), seed + 1) for seed in range(5) for cost, values in networks.values()])
    assert [surface.share for surface in found.attained] == [0.2, 0.5, 1.0]
    for surface, percentile in zip(found.attained, (20, 50, 100), strict=True):
        expected = moocore.eaf(rows[:, :2], rows[:, 2].astype(int), percentiles=[percentile])
        assert {(x, y) for x, y in zip(surface.costs, surface.scores, strict=True)} == {
            (x, -y) for x, y, _ in expected.tolist()
        }
        # By definition: the share of seeds whose own front is at least as good at that cost.
        for cost, score in zip(surface.costs, surface.scores, strict=True):
            reached = sum(
                max(values[seed].mean() for price, values in networks.values() if price <= cost) >= score - 1e-12
                for seed in range(5)
            )
            assert reached >= surface.share * 5


def test_fewer_than_five_seeds_have_no_attainment_surface() -> None:
    rng = np.random.default_rng(0)
    _, found = _sure({"a": (1, _noisy(0.8, rng, seeds=4)), "b": (2, _noisy(0.9, rng, seeds=6))})
    assert found.attained == ()


def test_probability_of_one_cell_is_that_of_the_whole_front() -> None:
    tables: Tables = study()
    found = front_probability(tables, "params", "dice", "e5", resamples=50)  # type: ignore[arg-type]
    assert found is not None
    assert (found.resamples, found.seeds) == (50, 2)
    assert found.probability == 1.0, "the cheapest"
    assert front_probability(tables, "latency_ms", "dice", "e5") is None  # type: ignore[arg-type]
    assert front_probability(tables, "params", "dice", "nobody") is None  # type: ignore[arg-type]
