"""Replay as the judge of strategies: cells, trials that are not complete, costs, bars, what starts take."""

import hashlib
import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ablate.errors import InputError
from ablate.runners.cli.replay import replay as command
from ablate.runners.replay.curves import Curve, Grid
from ablate.runners.replay.reached import reached, reference
from ablate.runners.replay.strategy import Strategy, plan, replay
from ablate.runners.simulate import Keys, Step, simulate


def of(*scores, cost=(1.0, 1.0), seconds=1.0, cell="", state="complete"):
    return Curve(cost, scores, (seconds,) * len(scores), cell, state)


def boxes(points, bar):
    """Hypervolume of (score, costs …) by their logarithms, from its definition: inclusion and exclusion of boxes."""
    corner = np.log(np.max([costs for _, costs in points], axis=0)) + math.log(1.1)
    whole = 0.0
    for size in range(1, len(points) + 1):
        for some in itertools.combinations(points, size):
            height = min(score for score, _ in some) - bar
            sides = corner - np.log(np.max([costs for _, costs in some], axis=0))
            whole += (-1) ** (size + 1) * max(height, 0.0) * float(np.prod(sides))
    return whole


# Cells ---------------------------------------------------------------------------------------------------------------


def test_a_cell_scores_the_mean_of_its_trials_of_which_those_not_begun_are_at_the_bar():
    curves = {
        "a0": of(0.5, 0.9, cell="a"),
        "a1": of(0.2, 0.7, cell="a"),
        "b": of(0.95, cost=(math.e, math.e)),
    }
    against = reference(curves, bar=0.4)
    means = [(0.45, 0.8), (0.65, 0.8), (0.65, 0.8), (0.8, 0.8)]
    assert against.whole == pytest.approx(boxes([(0.8, (1.0, 1.0)), (0.95, (math.e, math.e))], 0.4))
    steps = [Step(1.0, "a0", 1), Step(2.0, "a0", 2), Step(3.0, "a1", 1), Step(4.0, "a1", 2)]
    path = reached(steps, curves, against)
    # a0 alone: (.5 + .4) / 2, (.9 + .4) / 2; a1's first score is below the bar; then (.9 + .7) / 2. b is not begun.
    for share, (mean, _) in zip(path.hypervolume, means, strict=True):
        assert share * against.whole == pytest.approx(boxes([(mean, (1.0, 1.0)), (0.4, (math.e, math.e))], 0.4))


def seeds_table(states=("complete",) * 6):
    curves = {
        f"k{width}{seed}": of(
            0.3 + 0.01 * width, 0.4 + 0.01 * width + 0.1 * seed, cost=(width, width), cell=f"c{width}"
        )
        for width in (8, 16, 24)
        for seed in (0, 1)
    }
    curves = {key: curve._replace(state=state) for (key, curve), state in zip(curves.items(), states, strict=True)}
    trials = pd.DataFrame(
        {"key": key, "cell": curve.cell, "state": curve.state, "params": int(curve.costs[0]),
         "macs": int(curve.costs[1]), "latency_ms": curve.costs[0] / 10, "memory_mb": curve.costs[1] * 1.5,
         "factor.model.width": str(int(curve.costs[0])), "dice": 0.5}
        for key, curve in curves.items()
    )  # fmt: skip
    epochs = pd.DataFrame(
        {"key": key, "epoch": epoch, "val_dice": score, "seconds": 2.0}
        for key, curve in curves.items()
        for epoch, score in enumerate(curve.scores, start=1)
    )
    return trials, epochs


@pytest.fixture
def folder(tmp_path):
    for name, table in zip(("trials", "epochs"), seeds_table(), strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def document(capsys, folder, *arguments):
    command.main([str(folder), *map(str, arguments), "--repeats", "3", "--json"], standalone_mode=False)
    return json.loads(capsys.readouterr().out)


def test_the_seeds_of_a_cell_are_one_proposal_and_start_together(folder, capsys):
    grid = Grid.of(*seeds_table())
    for sampler in ("random", "shuffled"):
        steps = replay(Strategy("none", sampler), grid, repeat=1)
        order = list(dict.fromkeys(step.key for step in steps))
        assert sorted(order) == sorted(grid.curves)
        assert [key[:-1] for key in order[::2]] == [key[:-1] for key in order[1::2]]
    found = document(capsys, folder, "--sampler", "random", "--trials", 2, "--scheduler", "none")
    assert (found["curves"], found["cells"]) == (6, 3)
    assert found["strategies"][0]["epochs"]["median"] == 2 * 2 * 2  # cells, seeds, epochs
    whole = document(capsys, folder, "--scheduler", "none")["strategies"][0]
    assert whole["hypervolume"]["low"] == pytest.approx(1)


# Trials that are not complete ----------------------------------------------------------------------------------------


class Witness(Keys):
    """Notes what a searcher is told."""

    def __init__(self, keys):
        super().__init__(keys)
        self.ends = {}

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.ends[result["config/key"]] = {name: result.get(name) for name in ("epoch", "ended", "state")}


def test_a_stopped_trial_gives_no_more_and_a_failed_one_fails_where_it_did():
    curves = {
        "whole": of(0.5, 0.6, 0.7),
        "stopped": of(0.4, 0.8, state="stopped"),
        "failed": of(0.9, state="failed"),
        "at once": of(state="failed"),
    }
    witness = Witness(curves)
    steps = simulate(curves, witness, FIFOScheduler())
    assert [(step.key, step.epoch) for step in steps] == [
        *(("whole", epoch) for epoch in (1, 2, 3)), ("stopped", 1), ("stopped", 2), ("failed", 1),
    ]  # fmt: skip
    assert witness.ends == {
        "whole": {"epoch": None, "ended": True, "state": "complete"},
        "stopped": {"epoch": 2, "ended": False, "state": None},  # as one that a scheduler stopped
        "failed": {"epoch": None, "ended": True, "state": "failed"},
        "at once": {"epoch": None, "ended": True, "state": "failed"},
    }
    against = reference(curves, bar=0.3)
    assert against.whole == pytest.approx(boxes([(0.8, (1.0, 1.0))], 0.3))  # the failed one leaves no network
    assert reached(steps, curves, against).hypervolume[-1] == pytest.approx(1)


def test_trials_that_are_not_complete_are_counted_and_said(tmp_path, capsys):
    states = ("complete", "stopped", "complete", "failed", "complete", "failed")
    trials, epochs = seeds_table(states)
    trials.to_parquet(tmp_path / "trials.parquet")
    epochs[epochs["key"] != "k241"].to_parquet(tmp_path / "epochs.parquet")  # it failed before its first epoch
    found = document(capsys, tmp_path, "--scheduler", "pareto", "--scheduler", "none")
    assert (found["curves"], found["stopped"], found["failed"]) == (6, 1, 2)
    assert found["strategies"][1]["epochs"]["median"] == 10
    command.main([str(tmp_path), "--repeats", "2"], standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "1 trial had been stopped: where its curve ends" in said
    assert "2 trials had failed" in said
    trials.assign(state="lost").to_parquet(tmp_path / "trials.parquet")
    with pytest.raises(InputError, match="state 'lost' in row 0: expected complete, stopped, failed or trivial"):
        command.main([str(tmp_path)], standalone_mode=False)


# Costs, and the bar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "costs", [("latency_ms",), ("params", "macs", "latency_ms"), ("params", "macs", "latency_ms", "memory_mb")]
)
def test_any_one_to_four_costs_are_those_of_the_hypervolume(costs):
    trials, epochs = seeds_table()
    grid = Grid.of(trials, epochs, costs, bar=0.35)
    points = [
        (0.45 + 0.01 * width, tuple(trials[trials["cell"] == f"c{width}"].iloc[0][list(costs)].astype(float)))
        for width in (8, 16, 24)
    ]
    against = reference(grid.curves, grid.bar)
    assert against.whole == pytest.approx(boxes(points, 0.35))
    for scheduler in ("pareto", "pareto-promote", "asha"):
        steps = replay(Strategy(scheduler, workers=2), grid, 0)
        assert 0 < reached(steps, grid.curves, against).hypervolume[-1] <= 1


def test_what_is_no_cost_is_one_line(folder):
    trials, _ = seeds_table()
    for arguments, message in (
        (("--cost", "latency"), "table trials lacks latency: a cost is one of its numbers, params, macs, latency_ms, "),
        (("--cost", "params", "--cost", "params"), "costs params, params: expected one to 4, each once"),
        (("--cost", "params", "--sampler", "random"), "samplers search by two costs: give --cost twice, not params"),
        (
            ("--cost", "params", "--cost", "latency_ms", "--sampler", "random"),
            r"latency_ms 0.8 in row 0: expected a whole",
        ),
    ):
        with pytest.raises(InputError, match=message):
            command.main([str(folder), *arguments, "--repeats", "1"], standalone_mode=False)
    trials.loc[3, "latency_ms"] = math.nan
    trials.loc[0, "memory_mb"] = 0.0
    trials.to_parquet(folder / "trials.parquet")
    for cost, message in (
        ("latency_ms", "1 of 6 trials have no latency_ms, k161 among them: measure it"),
        ("memory_mb", "memory_mb 0.0 in row 0: expected a number over 0"),
    ):
        with pytest.raises(InputError, match=message):
            command.main([str(folder), "--cost", cost], standalone_mode=False)


def test_a_bar_can_be_given_where_no_trivial_predictor_is(folder, capsys):
    assert document(capsys, folder)["bar"] == 0
    assert document(capsys, folder, "--bar", 0.5)["bar"] == 0.5
    with pytest.raises(InputError, match=r"no curve gets above a validation Dice of 0\.9"):
        command.main([str(folder), "--bar", "0.9"], standalone_mode=False)


# Time ----------------------------------------------------------------------------------------------------------------


class PausesAll(FIFOScheduler):
    """Pauses every trial after each epoch, and goes on with the one that paused first."""

    def on_trial_result(self, tune_controller, trial, result):
        ends = "epoch" not in result or result["restored"]
        return TrialScheduler.CONTINUE if ends else TrialScheduler.PAUSE


def test_each_start_takes_its_seconds_and_going_on_without_a_pause_takes_none():
    curves = {"a": of(0.1, 0.2, seconds=3.0), "b": of(0.1, 0.2, seconds=1.0)}
    straight = simulate(curves, Keys(curves), FIFOScheduler(), restart=10.0)
    assert [(step.time, step.starts) for step in straight] == [(13, 1), (16, 1), (27, 2), (28, 2)]
    paused = simulate(curves, Keys(curves), PausesAll(), restart=10.0)
    # Fresh trials first; at last each starts once more, and has nothing left to train.
    assert [(step.key, step.epoch) for step in paused] == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert [(step.time, step.starts) for step in paused] == [(13, 1), (24, 2), (37, 3), (48, 4)]
    path = reached(paused, curves, reference(curves), restart=10.0)
    assert path.spent.tolist() == [13, 24, 37, 48]
    assert Grid(pd.DataFrame(), curves, restart=10.0).seconds == 28  # a start each, and all epochs


@pytest.mark.parametrize(
    ("seconds", "ahead", "ends"),
    [
        # Both processes are started at once, and the first that is free takes the third trial.
        (3.0, False, [13, 13, 16]),
        # One process at a time; that for the second trial is thrown away, for the first one is free before it is there.
        (3.0, True, [13, 16, 19]),
        # Long epochs leave it the time: the second is there ten seconds after the first.
        (15.0, True, [25, 35, 40]),
    ],
)
def test_processes_are_started_as_ray_starts_them(seconds, ahead, ends):
    curves = {key: of(0.1, seconds=seconds) for key in "abc"}
    steps = simulate(curves, Keys(curves), FIFOScheduler(), workers=2, process=10.0, ahead=ahead)
    assert [step.time for step in steps] == ends


def test_a_process_that_nobody_waits_for_ends_once_there_are_no_more_trials():
    steps = simulate({"a": of(0.1, 0.2, seconds=3.0)}, Keys("a"), PausesAll(), restart=1.0, process=10.0)
    assert [step.time for step in steps] == [14, 28]


def test_machine_time_is_that_of_all_workers(folder, capsys):
    found = document(capsys, folder, "--scheduler", "none", "--workers", 3, "--restart", 5)
    assert found["grid_machine_seconds"] == 6 * (5 + 2 * 2)
    assert found["grid_seconds"] == 2 * (5 + 2 * 2)
    (none,) = found["strategies"]
    assert none["machine_seconds"]["median"] == 54
    assert none["seconds"]["median"] == 18
    assert none["starts"]["median"] == 6


def test_the_table_says_seconds_epochs_and_wall_time_in_80_columns(folder, capsys):
    for arguments in (
        (),
        ("--workers", "2", "--restart", "1"),
        ("--sampler", "known_cost", "--scheduler", "pareto-promote"),
    ):
        command.main([str(folder), *arguments, "--repeats", "2"], standalone_mode=False)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80
        rows = [line.split() for line in lines]
        assert [row[1] for row in rows if row[:1] == ["pareto-promote"]] == ["seconds"]
        assert any("epochs" in row[:2] for row in rows)
        assert any(row[:1] == ["wall"] for row in rows) == ("--workers" in arguments)


def test_plan_starts_the_longest_first_by_seconds():
    curves = {
        "small and slow": of(0.5, 0.6, cost=(1.0, 1.0), seconds=9.0),
        "large and fast": of(0.5, 0.6, cost=(9.0, 9.0), seconds=1.0),
        "long": of(*(0.5,) * 30, cost=(1.0, 1.0), seconds=1.0),
    }
    assert plan(Grid(pd.DataFrame(), curves), "none") == ["long", "small and slow", "large and fast"]


def test_plan_under_a_scheduler_that_stops_is_one_random_order_of_cells():
    grid = Grid.of(*seeds_table())
    order = plan(grid, "pareto")
    cells = [key[:-1] for key in order]
    assert cells[::2] == cells[1::2]
    # As `ablate run` has it: by the hash of the cell.
    hashed = sorted(("c8", "c16", "c24"), key=lambda cell: hashlib.sha256(f"\0{cell}".encode()).digest())
    assert [f"c{cell[1:]}" for cell in cells[::2]] == hashed
    assert plan(grid, {"name": "none"}) == plan(grid, "none") != order


# A search that is searcher and scheduler in one ----------------------------------------------------------------------


class Turns(Searcher):
    """Gives each key an epoch at a time, in turns, as trials of the same key that its scheduler stops."""

    def __init__(self, lengths):
        super().__init__()
        self.left = dict(lengths)
        self.running = {}
        self.heard = []

    def suggest(self, trial_id):
        free = [key for key in self.left if key not in self.running.values()]
        if not free:
            return None if self.running else Searcher.FINISHED
        self.running[trial_id] = key = max(free, key=lambda key: self.left[key])
        return {"key": key}

    def on_trial_result(self, trial_id, result):
        self.heard.append((self.running[trial_id], result.get("epoch"), result.get("restored")))

    def on_trial_complete(self, trial_id, result=None, error=False):
        key = self.running.pop(trial_id)
        if result.get("ended"):
            del self.left[key]
        else:
            self.left[key] -= 1


class StopsAfterEach(FIFOScheduler):
    def __init__(self):
        super().__init__()
        self.trials = []

    def on_trial_add(self, tune_controller, trial):
        assert isinstance(trial, Trial)
        self.trials.append((trial.trial_id, trial.config["key"]))

    def on_trial_result(self, tune_controller, trial, result):
        new = "epoch" in result and not result["restored"]
        return TrialScheduler.STOP if new else TrialScheduler.CONTINUE


def test_a_stopped_trial_that_is_suggested_again_goes_on_where_it_was_after_a_start():
    curves = {"a": of(0.1, 0.2, 0.3, seconds=2.0), "b": of(0.1, 0.2, seconds=1.0)}
    searcher, scheduler = Turns({"a": 3, "b": 2}), StopsAfterEach()
    told = []

    def search(grid, workers, repeat):
        told.append(
            (grid.prices, grid.cells, grid.epoch_seconds, grid.max_epochs, grid.bar, grid.restart, workers, repeat)
        )
        return searcher, scheduler

    grid = Grid(pd.DataFrame(), curves, bar=0.05, restart=10.0)
    steps = replay(Strategy(workers=1, search=search), grid, repeat=7)
    prices = {"a": (1.0, 1.0), "b": (1.0, 1.0)}
    assert told == [(prices, {"a": ("a",), "b": ("b",)}, {"a": 2.0, "b": 1.0}, 3, 0.05, 10.0, 1, 7)]
    assert [(step.key, step.epoch) for step in steps] == [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2)]
    # Ten seconds for each of them, though the same worker goes on with the same key: it is another trial.
    assert [step.time for step in steps] == [12, 24, 35, 47, 58]
    assert [step.starts for step in steps] == [1, 2, 3, 4, 5]
    ids = [trial for trial, _ in scheduler.trials]
    assert len(set(ids)) == len(ids)
    # Each tells its earlier epochs again; of the new one only the scheduler is told, for it stops there. At last each
    # has nothing left to train, and says that it has ended.
    again = [("a", [1]), ("a", [1, 2]), ("b", [1]), ("a", [1, 2, 3]), ("b", [1, 2])]
    assert [key for _, key in scheduler.trials] == ["a", "a", "b", "a", "b", "a", "b"]
    expected = [(key, epoch, True) for key, epochs in again for epoch in epochs]
    assert [heard for heard in searcher.heard if heard[1]] == expected
    assert [heard for heard in searcher.heard if not heard[1]] == [("a", None, None), ("b", None, None)]


def test_no_more_trials_are_asked_for_than_there_are_workers_unless_trials_pause():
    curves = {key: of(0.1) for key in "abcd"}
    for ahead, most in ((False, 2), (True, 3)):
        waiting = []

        class Counted(Keys):
            def suggest(self, trial_id, waiting=waiting):
                found = super().suggest(trial_id)
                waiting.extend([found["key"]] if isinstance(found, dict) else [])
                return found

        class Told(FIFOScheduler):
            def on_trial_result(self, tune_controller, trial, result, waiting=waiting, most=most):
                if "epoch" in result and trial.config["key"] == "a":
                    assert len(waiting) == most
                return TrialScheduler.CONTINUE

        assert len(simulate(curves, Counted(curves), Told(), workers=2, ahead=ahead)) == 4


def test_a_key_that_still_trains_is_not_suggested_again():
    with pytest.raises(ValueError, match="trial a is suggested again before it has ended"):
        simulate({"a": of(0.1)}, Keys("aa"), FIFOScheduler(), workers=2)


def test_what_a_trial_tells_that_was_stopped_meanwhile_is_not_heard():
    class StopsOthers(FIFOScheduler):
        def on_trial_result(self, tune_controller, trial, result):
            for other in tune_controller.get_live_trials():
                if other.config["key"] == "slow":
                    tune_controller.stop_trial(other)
            return TrialScheduler.CONTINUE

    curves = {"slow": of(0.1, 0.2, seconds=5.0), "fast": of(0.1, 0.2, seconds=1.0), "next": of(0.1)}
    steps = simulate(curves, Keys(curves), StopsOthers(), workers=2, ahead=False)
    # The slow one's worker is free when its epoch would have ended.
    assert [(step.key, step.epoch, step.time) for step in steps] == [("fast", 1, 1), ("fast", 2, 2), ("next", 1, 3)]
