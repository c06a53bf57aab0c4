"""Replay: what a simulated run does, a real one does."""

import json
import math
import os

import click
import numpy as np
import pandas as pd
import pytest

from ablate.analysis.figures.replay import band, replay_figure
from ablate.errors import InputError
from ablate.runners.cli.replay import replay as command
from ablate.runners.replay.curves import Curve, recorded, trivial_bar
from ablate.runners.replay.reached import reached, reference
from ablate.runners.search.schedulers.base import make_scheduler, pauses
from ablate.runners.search.stopping import Standings, places
from ablate.runners.simulate import Keys, Step, simulate

EPOCHS = 8


def random_curves(number=14, seed=0):
    """Noisy curves that cross, of networks over a hundredfold range of cost."""
    rng = np.random.default_rng(seed)
    curves = {}
    for at in range(number):
        cost = float(round(1000 * np.exp(rng.uniform(0, 4.6))))
        final, pace = 0.6 + 0.06 * math.log(cost / 1000) + rng.normal(0, 0.02), rng.uniform(1, 5)
        scores = (final * (1 - math.exp(-epoch / pace)) + rng.normal(0, 0.02) for epoch in range(1, EPOCHS + 1))
        curves[f"k{at}"] = Curve((cost, 3 * cost), tuple(map(float, scores)), (1.0,) * EPOCHS)
    return curves


def scheduler_for(name, curves):
    return make_scheduler(name, costs={key: curve.costs for key, curve in curves.items()}, max_epochs=EPOCHS)


# Against real Ray ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _ray():
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_AIR_NEW_OUTPUT="0",
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
        TUNE_MAX_PENDING_TRIALS_PG="1",
    )
    import ray

    ray.init("local", num_cpus=1, include_dashboard=False, configure_logging=False, log_to_driver=False)
    yield
    ray.shutdown()


def trainable(curves, folder):
    """Reports recorded scores as `execution.trainable` does: a trial started anew tells its earlier epochs again,
    goes on from its checkpoint, and says when it has ended.

    A closure, for workers cannot import this file.
    """
    scores = {key: curve.scores for key, curve in curves.items()}

    def report_recorded(config):
        from pathlib import Path

        from ray import tune

        checkpoint = Path(folder) / config["key"]
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch, score in enumerate(scores[config["key"]], start=1):
            checkpoint.write_text(str(max(epoch, done)))
            tune.report({"epoch": epoch, "val_dice": score, "restored": epoch <= done, "ended": False})
        tune.report({"ended": True})

    return report_recorded


class Heard(Keys):
    """Notes all that a searcher is asked and told."""

    def __init__(self, keys):
        super().__init__(keys)
        self.calls = []

    def suggest(self, trial_id):
        found = super().suggest(trial_id)
        self.calls.append(("asked", found["key"] if isinstance(found, dict) else found))
        return found

    def on_trial_result(self, trial_id, result):
        self.calls.append(("told", result["config/key"], result.get("epoch"), result.get("restored"), result["ended"]))

    def on_trial_complete(self, trial_id, result=None, error=False):
        self.calls.append(("over", *((result["config/key"], result["ended"]) if result else ())))

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return Keys, ((),)


def real_run(name, curves, searcher, folder, at_once):
    from ray import tune

    steps = []

    class Watcher(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):
            if not result["ended"] and not result["restored"]:
                steps.append((trial.config["key"], result["epoch"]))

        def __reduce__(self):
            return tune.Callback, ()

    tune.Tuner(
        trainable(curves, str(folder)),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler_for(name, curves),
            num_samples=-1,
            max_concurrent_trials=at_once,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(folder / "ray"),
            name="run",
            verbose=0,
            callbacks=[Watcher()],
            failure_config=tune.FailureConfig(fail_fast=True),
        ),
    ).fit()
    return steps


@pytest.mark.usefixtures("_ray")
@pytest.mark.parametrize("name", ["pareto", "pareto-promote", "asha", "median"])
def test_a_real_run_stops_pauses_and_goes_on_as_the_simulated_one(name, tmp_path):
    curves = random_curves()
    simulated, real = Heard(curves), Heard(curves)
    ahead = pauses(name)
    steps = simulate(curves, simulated, scheduler_for(name, curves), ahead=ahead)
    assert len(steps) < EPOCHS * len(curves)
    (tmp_path / "ray").mkdir()
    run = real_run(name, curves, real, tmp_path, None if ahead else 1)
    assert run == [(step.key, step.epoch) for step in steps]
    assert real.calls == simulated.calls


# In simulated time ---------------------------------------------------------------------------------------------------


def test_workers_share_the_work_in_simulated_time():
    curves = {key: Curve((1.0,), (0.5, 0.6), (seconds, seconds)) for key, seconds in zip("abc", (3, 1, 2), strict=True)}
    steps = simulate(curves, Keys("abc"), scheduler_for("none", curves), workers=2)
    # a: 3, 6. b: 1, 2. c starts when b is done, at 2: 4, 6.
    assert [(step.time, step.key, step.epoch) for step in steps] == [
        (1, "b", 1),
        (2, "b", 2),
        (3, "a", 1),
        (4, "c", 1),
        (6, "a", 2),
        (6, "c", 2),
    ]
    assert simulate(curves, Keys("abc"), scheduler_for("none", curves), workers=1)[-1].time == 12


def test_the_searcher_is_told_how_each_trial_ended():
    told = {}

    class Told(Keys):
        def on_trial_complete(self, trial_id, result=None, error=False):
            # As in a real run: the last report of one that was not stopped is that it has ended, and of no epoch.
            told[result["config/key"]] = EPOCHS if result["ended"] else result["epoch"]
            assert result.get("state", "complete") == "complete"
            assert result["ended"] or "state" not in result

    curves = random_curves()
    steps = simulate(curves, Told(curves), scheduler_for("pareto", curves))
    assert told == {step.key: step.epoch for step in steps}


def test_hypervolume_is_reached_as_the_boxes_say():
    low, high = Curve((1.0, 1.0), (0.5, 0.7), (1.0, 1.0)), Curve((math.e, math.e), (0.9,), (1.0,))
    curves = {"low": low, "high": high}
    against = reference(curves, bar=0.4)
    side, margin = 1 + math.log(1.1), math.log(1.1)
    assert against.whole == pytest.approx(0.3 * side**2 + 0.2 * margin**2)
    path = reached([Step(1.0, "low", 1), Step(2.0, "high", 1), Step(5.0, "low", 2)], curves, against)
    boxes = [0.1 * side**2, 0.1 * side**2 + 0.4 * margin**2, against.whole]
    assert path.hypervolume * against.whole == pytest.approx(boxes)
    assert path.epochs_to(1.0) == 3
    assert path.seconds_to(1.0) == 5.0
    assert path.epochs_to(0.3) == 1
    assert reached([Step(1.0, "low", 1)], curves, against).epochs_to(0.99) == math.inf


def test_a_full_grid_reaches_all_of_its_hypervolume_in_any_order():
    curves = random_curves()
    steps = simulate(curves, Keys(reversed(list(curves))), scheduler_for("none", curves), workers=3)
    path = reached(steps, curves, reference(curves))
    assert len(steps) == EPOCHS * len(curves)
    assert path.hypervolume[-1] == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(path.hypervolume) >= -1e-12).all()


# From tables ---------------------------------------------------------------------------------------------------------


def tables(curves):
    trials = pd.DataFrame(
        {
            "key": key,
            "cell": curve.cell or key,
            "seed": 0,
            "model": "unet",
            "state": curve.state,
            "params": int(curve.costs[0]),
            "macs": int(curve.costs[1]),
        }
        for key, curve in curves.items()
    )
    epochs = pd.DataFrame(
        {"key": key, "epoch": epoch, "val_dice": score, "seconds": seconds}
        for key, curve in curves.items()
        for epoch, (score, seconds) in enumerate(zip(curve.scores, curve.seconds, strict=True), start=1)
    )
    return trials, epochs


def test_curves_come_from_the_tables_whatever_their_order():
    curves = {
        "a": Curve((10.0, 20.0), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), "one"),
        "b": Curve((5.0, 7.0), (0.4, 0.5), (0.5, 0.25), "two"),
        "c": Curve((5.0, 7.0), (0.4,), (0.5,), "two", "stopped"),
        "d": Curve((5.0, 7.0), (), (), "two", "failed"),
    }
    trials, epochs = tables(curves)
    trivial = trials.tail(1).assign(key="e", state="trivial", dice=0.1)
    assert recorded(pd.concat([trials, trivial]), epochs.sample(frac=1, random_state=0)) == curves


def test_tables_without_whole_curves_are_refused():
    trials, epochs = tables(random_curves(3))
    with pytest.raises(InputError, match="k1 has no whole curve"):
        recorded(trials, epochs[(epochs["key"] != "k1") | (epochs["epoch"] != 2)])
    with pytest.raises(InputError, match="no complete trial"):
        recorded(trials.assign(state="stopped"), epochs)
    with pytest.raises(InputError, match="no hypervolume to reach"):
        reference(random_curves(3), bar=0.99)
    with pytest.raises(InputError, match="table epochs lacks val_dice: expected key, epoch, val_dice"):
        recorded(trials, epochs.drop(columns="val_dice"))
    with pytest.raises(InputError, match="params 0 in row 0: expected a number over 0"):
        recorded(trials.assign(params=0), epochs)


def test_tables_of_other_systems_need_only_curves_and_costs():
    curves = random_curves(3)
    trials, epochs = tables(curves)
    found = recorded(trials[["key", "params", "macs"]], epochs.drop(columns="seconds"))
    assert {key: curve.scores for key, curve in found.items()} == {key: curve.scores for key, curve in curves.items()}
    assert {second for curve in found.values() for second in curve.seconds} == {1.0}
    assert trivial_bar(trials) == 0.0
    trivial = pd.DataFrame({"key": ["t", "u"], "state": "trivial", "dice": [0.2, 0.3]})
    assert trivial_bar(pd.concat([trials.assign(dice=0.9), trivial])) == 0.3


# The command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for name, table in zip(("trials", "epochs"), tables(random_curves()), strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def printed(capsys, *arguments):
    command.main(list(map(str, arguments)), standalone_mode=False)
    return capsys.readouterr().out


def test_the_command_compares_schedulers_as_json(folder, capsys):
    options = ("--scheduler", "none", "--scheduler", "pareto", "--repeats", 5, "--workers", 2)
    document = json.loads(printed(capsys, folder, *options, "--json"))
    none, pareto = document["strategies"]
    assert document["grid_epochs"] == none["epochs"]["median"] == 14 * EPOCHS
    assert none["hypervolume"] == {"median": pytest.approx(1), "low": pytest.approx(1), "high": pytest.approx(1)}
    assert none["reached"]["0.99"] == 5
    assert document["grid_seconds"] == 14 * EPOCHS / 2
    curves = random_curves()
    for at, one in enumerate((none, pareto)):
        lengths = []
        for repeat in range(5):
            order = sorted(curves, key=lambda key: curves[key].costs[1], reverse=True)
            order = [order[place] for place in np.random.default_rng(repeat).permutation(14)]
            lengths.append(len(simulate(curves, Keys(order), scheduler_for(("none", "pareto")[at], curves), 2)))
        assert one["epochs"]["median"] == sorted(lengths)[2]


def test_the_command_prints_a_table_that_fits_and_a_page(folder, capsys, tmp_path):
    page = tmp_path / "page.html"
    text = printed(capsys, folder, "--scheduler", "none", "--scheduler", "asha", "--repeats", 3, "-o", page)
    assert max(map(len, text.splitlines())) <= 80 + len(str(page))
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "100%" in lines["none"]
    assert "1.000" in lines["none"]
    assert "pareto" not in text
    assert "Replay of" in page.read_text()


def test_a_sampler_may_have_only_some_of_the_trials(folder, capsys):
    trials, _ = tables(random_curves())
    trials.assign(**{"factor.model.width": trials["params"].rank().astype(int).astype(str)}).to_parquet(
        folder / "trials.parquet"
    )
    options = ("--sampler", "random", "--trials", 4, "--scheduler", "none", "--repeats", 2, "--json")
    (found,) = json.loads(printed(capsys, folder, *options))["strategies"]
    assert found["epochs"] == {"median": 4 * EPOCHS, "low": 4 * EPOCHS, "high": 4 * EPOCHS}
    assert found["hypervolume"]["high"] <= 1


def test_the_command_says_what_is_wrong_in_one_line(folder):
    for arguments, message in (
        ((str(folder), "--scheduler", "pareta"), "did you mean 'pareto'"),
        ((str(folder / "nothing"),), "is not a study"),
    ):
        with pytest.raises((InputError, click.ClickException), match=message):
            command.main(list(arguments), standalone_mode=False)
    (folder / "epochs.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"epochs\.parquet' cannot be read"):
        command.main([str(folder)], standalone_mode=False)


def foreign(folder, trials=None, epochs=None):
    """Six curves, with columns changed."""
    folder.mkdir(exist_ok=True)
    made_trials, made_epochs = tables(random_curves(6))
    for name, made, changes in (("trials", made_trials, trials), ("epochs", made_epochs, epochs)):
        made.assign(**(changes or {})).to_parquet(folder / f"{name}.parquet")
    return folder


def first(value, column):
    """The column with another first value."""
    return lambda table: pd.Series([value, *table[column].tolist()[1:]], index=table.index)


UNFIT = [
    *[({"params": first(value, "params")}, None) for value in (math.inf, math.nan, -1.0, 0.0, 1e308)],
    *[({"params": lambda t: t["params"].astype(str)}, None), ({"params": True}, None), ({"macs": None}, None)],
    *[({"key": None}, None), ({"key": "a"}, None), ({"key": "x" * 100_000}, None), ({"state": "complet"}, None)],
    *[(None, {"val_dice": first(value, "val_dice")}) for value in (math.inf, -math.inf, math.nan, 1e9, -0.5)],
    *[(None, {"val_dice": "0.5"}), (None, {"val_dice": True}), (None, {"val_dice": pd.Timestamp(0)})],
    *[(None, {"seconds": first(value, "seconds")}) for value in (math.inf, math.nan, -1.0, 1e300)],
    *[(None, {"epoch": first(value, "epoch")}) for value in (1.5, 2, 10**15, -1, math.nan)],
    *[(None, {"epoch": lambda t: t["epoch"] + 5}), (None, {"epoch": 1}), (None, {"key": "other"})],
]


@pytest.mark.parametrize("at", range(len(UNFIT)))
def test_a_table_of_another_system_that_does_not_fit_is_one_line_and_reaches_no_compiled_library(at, tmp_path):
    with pytest.raises(InputError) as error:
        command.main([str(foreign(tmp_path, *UNFIT[at])), "--repeats", "2"], standalone_mode=False)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("trials", "epochs"),
    [
        (None, {"epoch": lambda t: t["epoch"] - 1}),
        (None, {"epoch": lambda t: t["epoch"].astype(float)}),
        ({"key": range(6)}, {"key": lambda t: t["key"].str[1:].astype(float)}),
        (None, {"seconds": 0.0}),
        ({"params": 1e18, "macs": 1e-9}, None),
        ({"dice": math.nan, "notes": [[1]] * 6}, {"picture": b"x"}),
    ],
)
def test_tables_of_other_systems_are_taken_as_they_count(trials, epochs, tmp_path, capsys):
    folder = foreign(tmp_path, trials, epochs)
    options = ("--scheduler", "pareto-promote", "--scheduler", "asha", "--repeats", 2)
    document = json.loads(printed(capsys, folder, *options, "--json"))
    assert document["curves"] == 6
    assert document["grid_epochs"] == 6 * EPOCHS
    assert all(0 <= one["hypervolume"]["high"] <= 1 for one in document["strategies"])
    assert "reached" in printed(capsys, folder, *options)


def test_damaged_parquet_is_one_line_or_figures(tmp_path, capsys):
    folder = foreign(
        tmp_path / "curves", {"key": [f"key{at}" for at in range(6)]}, {"key": lambda t: "key" + t["key"].str[1:]}
    )
    whole = {name: (folder / f"{name}.parquet").read_bytes() for name in ("trials", "epochs")}
    rng = np.random.default_rng(0)
    texts = [whole["trials"].find(b"key0"), whole["epochs"].find(b"key0")]
    for at in range(150):
        name = ("trials", "epochs")[at % 2]
        damaged = bytearray(whole[name])
        damaged[texts[at % 2] if at < 2 else rng.integers(len(damaged))] = 0xFF if at < 2 else rng.integers(256)
        (folder / f"{name}.parquet").write_bytes(damaged)
        said = refused(folder)
        assert "\n" not in said
        assert len(said) < 400
        if not said:
            assert json.loads(capsys.readouterr().out)["curves"] <= 6
        (folder / f"{name}.parquet").write_bytes(whole[name])


def refused(folder):
    """What a replay says where it refuses, or nothing."""
    try:
        command.main([str(folder), "--repeats", "1", "--json"], standalone_mode=False)
    except InputError as error:
        return str(error)
    return ""


def test_sizes_are_bounded_and_files_are_regular(tmp_path):
    folder = foreign(tmp_path / "curves")
    for option in ("--trials", "--workers", "--repeats"):
        with pytest.raises(click.ClickException, match="10000"):
            command.main([str(folder), option, str(10**9)], standalone_mode=False)
    with pytest.raises(InputError, match="epochs to simulate: expected at most"):
        command.main([str(folder), *["--scheduler", "none"] * 50, "--repeats", "10000"], standalone_mode=False)
    with pytest.raises(InputError, match="nothing to sample from"):
        command.main([str(folder), "--sampler", "random"], standalone_mode=False)
    (folder / "epochs.parquet").rename(tmp_path / "elsewhere.parquet")
    (folder / "epochs.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(InputError, match=r"epochs\.parquet' cannot be read: it is a link"):
        command.main([str(folder)], standalone_mode=False)
    (folder / "epochs.parquet").unlink()
    os.mkfifo(folder / "epochs.parquet")
    with pytest.raises(InputError, match="it is a named pipe"):
        command.main([str(folder)], standalone_mode=False)


def test_a_scheduler_counts_what_is_no_score_and_no_cost_as_the_least_and_the_most():
    standings = Standings({"a": (10**400, 5.0), "b": (1.0, math.inf)}, max_epochs=2)
    for score in (math.inf, 1e9):
        standings.add("a", 1, score)
        standings.add("b", 1, 0.5)
    keys, points = standings.after(1)
    assert keys == ["a", "b"]
    assert np.isfinite(points).all()
    assert points[:, 0].tolist() == [0.0, 0.5]
    assert np.isfinite(places(points)[0]).all()


# The figure ----------------------------------------------------------------------------------------------------------


def test_a_band_is_the_quantiles_of_the_repeats_at_each_moment():
    # What three repeats have spent after each epoch, and what they have reached.
    paths = [((1.0, 2.0, 4.0), (0.1, 0.5, 0.5)), ((1.0, 3.0), (0.2, 0.2)), ((2.0, 3.0, 5.0), (0.3, 0.3, 0.9))]
    one = band("a", [(np.array(spent), np.array(reached)) for spent, reached in paths])
    assert one.seconds == (1.0, 2.0, 5.0)  # the second repeat stays where it ended
    # After one second (0.1, 0.2, nothing yet), after two (0.5, 0.2, 0.3), after five (0.5, 0.2, 0.9).
    assert one.median == pytest.approx((0.1, 0.3, 0.5))
    assert one.low == pytest.approx((0.02, 0.22, 0.26))
    assert one.high == pytest.approx((0.18, 0.46, 0.82))
    assert one.epochs == (1, 1, 3)  # of (1, 1, 0), (2, 1, 1), (3, 2, 3)
    figure = replay_figure([one], whole=10)
    line = next(trace for trace in figure.data if trace.meta and trace.meta["strategy"] == "a")
    assert tuple(line.x) == one.seconds
    assert tuple(line.y) == one.median
    assert tuple(line.customdata) == one.epochs
