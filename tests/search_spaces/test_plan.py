"""Plans: fields from profile, space, levels and overrides, priced; what cannot be built is rejected with its reason."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ablate.data.dataset import Dataset
from ablate.errors import InputError
from ablate.part import DataPart
from ablate.search_spaces.plan import Plan, make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import Space, load_space


def plan(space: Space | str, profile: str = "quick", **options: object) -> Plan:
    found = load_space(space) if isinstance(space, str) else space
    return make_plan(found, PROFILES[profile], dataset_of=unread, **options)


def unread(data: DataPart) -> Dataset:
    """A data set of 30 independent images that nobody has to read."""
    names = tuple(map(str, range(30)))
    nothing = np.empty(0)
    return Dataset(data.but(fingerprint="print"), names, names, nothing, nothing)


def widths(*values: int, **fields: object) -> Space:
    base = {"model": {"name": "pyconvunet", "stages": 3}} | fields.pop("base", {})
    return Space(name="w", question="?", design="grid", base=base, factors={"model.width": list(values)}, **fields)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "space", ["pyramid_levels", "kernel_sizes", "group_splits", "baselines", "matched_budget", "boundary_blur"]
)
def test_packaged_spaces_are_wholly_possible(space, profile):
    found = plan(space, profile)
    assert not found.rejected
    assert all(trial.params > 0 and trial.macs > 0 for trial in found.trials)
    assert len({trial.key for trial in found.trials}) == len(found.trials)


def test_prices_are_the_published_ones():
    found = {trial.levels["network"]: trial for trial in plan("baselines", "paper").trials}
    assert round(found["unet"].params / 1e6, 2) == 7.77
    assert round(found["unet"].macs / 1e9, 2) == 48.57


def test_matched_budget_brackets_pyconvunet_in_both_costs():
    trials = plan("matched_budget").trials
    subject, *sweep = trials
    assert subject.config.model.name == "pyconvunet"
    for cost in ("params", "macs"):
        costs = [getattr(trial, cost) for trial in sweep]
        assert min(costs) < getattr(subject, cost) < max(costs)


def test_two_spaces_share_the_trial_that_both_have():
    keys = [{trial.key for trial in plan(space).trials} for space in ("pyramid_levels", "kernel_sizes", "group_splits")]
    assert len(keys[0] & keys[1] & keys[2]) == 1


def test_a_later_source_of_fields_wins():
    base = {"protocol": {"epochs": 3, "learning_rate": 0.5}}
    config = plan(widths(32, base=base), overrides={"protocol.learning_rate": 0.25}).trials[0].config
    assert config.data.size == (96, 96)  # the profile's
    assert config.protocol.epochs == 3  # the space's
    assert config.protocol.learning_rate == 0.25  # the override's
    assert config.protocol.split.shuffle is False  # of one stack
    assert config.data.fingerprint == "print"


def test_seeds_are_trials_of_a_cell():
    trials = plan(widths(32, 64), seeds=3).trials
    assert [trial.config.seed for trial in trials] == [0, 1, 2, 0, 1, 2]
    assert len({trial.config.cell for trial in trials}) == 2
    assert len(plan(widths(32), "standard").trials) == 3
    assert len(plan(widths(32, seeds=2), "standard").trials) == 2


def test_what_cannot_be_built_is_rejected_and_the_rest_stays():
    found = plan(widths(8, 32))
    assert [trial.levels for trial in found.trials] == [{"model.width": "32"}]
    assert found.rejected[0].levels == {"model.width": "8"}
    assert "level 2 (kernel 5): groups 4 do not divide its 1 output channels" in found.rejected[0].reason


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ({"model.width": 10**9}, "width: .*less than or equal to 65536"),
        ({"model.width": "wide"}, "width: .*given: 'wide'"),
        ({"model.widht": 8}, "there is no field 'widht'"),
        ({"model.width.of": 8}, "width: .*given: {'of': 8}"),
        ({"model.name": "unets"}, "unknown model 'unets': did you mean 'unet'"),
        ({"model": {"name": "pyconvunet", "kernels": [[3], [3, 5]]}}, "expected one list of levels, or 5 lists"),
        ({"data.name": "nowhere"}, "unknown data set 'nowhere'"),
        ({"data.size": [7]}, "data mni152: size"),
        ({"data.name": "folder", "data.root": "gone"}, "'gone' is not there"),
        ({"protocol.epochs": 0}, "protocol: epochs: .*given: 0"),
        ({"protocol.split": {"val": 0.5, "test": 0.5}}, "protocol: split"),
    ],
)
def test_one_bad_level_is_rejected_with_its_reason_and_the_others_stay(levels, reason):
    def dataset_of(data: DataPart) -> Dataset:
        tries.append(str(data.root))
        if str(data.root) == "gone":
            raise InputError("'gone' is not there")
        return unread(data)

    tries: list[str] = []
    factors = {"bad": {"good": {"model.width": 4}, "bad": levels}, "protocol.epochs": [1, 2]}
    if "protocol.epochs" in levels:
        factors["batch"] = {"4": {"protocol.batch_size": 4}, "8": {"protocol.batch_size": 8}}
        del factors["protocol.epochs"]
    space = Space(name="w", question="?", design="grid", base={"model": {"name": "unet"}}, factors=factors)
    found = make_plan(space, PROFILES["quick"], dataset_of=dataset_of)
    assert [trial.levels["bad"] for trial in found.trials] == ["good", "good"]
    assert [row.levels["bad"] for row in found.rejected] == ["bad", "bad"]
    for row in found.rejected:
        assert re.search(reason, row.reason), row.reason
        assert "\n" not in row.reason
    assert len(tries) == len(set(tries))  # what cannot be read is tried once


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (widths(8), {}, r"level 2 \(kernel 5\): groups 4 do not divide its 1 output channels"),
        (widths(32), {"overrides": {"data.size": [90, 90]}}, "multiples of 4, not 90x90: use 88x88 or 92x92"),
        (widths(32), {"overrides": {"data.size": [64, 96]}}, "rot90 needs square images, not 64x96"),
        (widths(32), {"overrides": {"protocol.split.val": 0.5, "protocol.split.test": 0.49}}, "too few images"),
        (widths(32), {"data": "mni"}, "unknown data set 'mni': did you mean 'mni152'"),
        (widths(32), {"overrides": {"model.widht": 3}}, "model pyconvunet: there is no field 'widht'"),
        (widths(32), {"overrides": {"model.width": 3}}, "--set model.width: space w varies this field itself"),
        (widths(32), {"overrides": {"data.blur": 1}}, "data mni152: there is no field 'blur'"),
        (widths(32), {"overrides": {"model.width.of": 1}}, "field 'model.width.of': 'width' is a value"),
        (
            widths(32, base={"model": {"name": "unet", "width": 32}, "data": {"name": "nowhere"}}),
            {},
            "unknown data set",
        ),
        (widths(32, base={"model": {"width": 32}}), {}, "space w names no model: give base.model.name"),
        (widths(32, base={"model": {"name": "unets"}}), {}, "unknown model 'unets': did you mean 'unet'"),
        (widths(32), {"overrides": {"model": {"width": 3}}}, "--set model: space w varies model.width itself"),
        (widths(32), {"overrides": {"model..stages": 3}}, "--set: field 'model..stages' is no path"),
        (widths(32), {"overrides": {"model.name": [1]}}, r"--set: field 'model.name': expected a name, not \[1\]"),
        (widths(32), {"overrides": {"protocol.split": "x"}}, "protocol: split: .*given: 'x'"),
        (widths(32), {"overrides": {"data.size": [10**6, 10**6]}}, "size 1000000x1000000: expected at most 16384"),
        (widths(32, base={"protocol": {"split": "x"}}), {}, "protocol: split: .*given: 'x'"),
        (widths(10**9), {}, "width: .*less than or equal to 65536"),
        (widths(65536), {"overrides": {"model.stages": 8, "data.size": [128, 128]}}, "parameters: at most"),
        (widths(32), {"seeds": 10**9}, "--seeds 1000000000: at most 1,000 are trained"),
        (widths(*range(1, 102)), {"seeds": 1000}, "101 configurations, with 1,000 seeds 101,000 trials: at most"),
    ],
)
def test_bad_input_is_one_line(space, options, message):
    with pytest.raises(InputError, match=message) as error:
        plan(space, **options)
    assert "\n" not in str(error.value)


def test_each_data_set_is_read_once():
    read: list[DataPart] = []

    def dataset_of(data: DataPart) -> Dataset:
        read.append(data)
        return unread(data)

    make_plan(load_space("boundary_blur"), PROFILES["quick"], dataset_of=dataset_of, seeds=2)
    assert [data.blur for data in read] == [0, 1, 2, 4]


# Several data sets ---------------------------------------------------------------------------------------------------


def folders(**fields: object) -> Space:
    """Three folders as levels, one of them named as a part that is set whole."""
    levels = {
        "a": {"data.name": "folder", "data.root": "a"},
        "b": {"data.name": "folder", "data.root": "b"},
        "c": {"data": {"name": "folder", "root": "c"}},
    }
    base = {"model": {"name": "unet", "stages": 2, "width": 4}} | fields.pop("base", {})
    return Space(name="f", question="?", design="grid", base=base, factors={"folder": levels} | fields)


def test_each_folder_is_a_data_set_of_its_own():
    read: list[DataPart] = []

    def dataset_of(data: DataPart) -> Dataset:
        read.append(data)
        names = tuple(map(str, range(30)))
        found = data.but(fingerprint=str(data.root))
        return Dataset(found, names, names, np.empty(0), np.empty(0))

    space = folders(**{"model.width": [4, 8]}, base={"model": {"name": "unet", "stages": 2}})
    trials = make_plan(space, PROFILES["quick"], dataset_of=dataset_of).trials
    assert [str(data.root) for data in read] == ["a", "b", "c"]
    assert [trial.config.data.fingerprint for trial in trials] == ["a", "a", "b", "b", "c", "c"]
    assert {str(trial.config.data.root) for trial in trials} == {"a", "b", "c"}
    assert len({trial.key for trial in trials}) == 6


def test_each_data_set_has_its_profiles_defaults():
    levels = {name: {"data.name": name} for name in ("mni152", "phantom", "isbi2012")}
    levels["whole"] = {"data": {"name": "folder"}}
    space = Space(name="d", question="?", design="grid", base={"model": {"name": "unet"}}, factors={"data": levels})
    configs = {trial.levels["data"]: trial.config for trial in plan(space).trials}
    assert {name: config.data.size for name, config in configs.items()} == {
        "mni152": (96, 96), "phantom": (64, 64), "isbi2012": (128, 128), "whole": (128, 128),
    }  # fmt: skip
    assert {name: config.protocol.epochs for name, config in configs.items()} == {
        "mni152": 8, "phantom": 10, "isbi2012": 20, "whole": 10,
    }  # fmt: skip
    assert {name for name, config in configs.items() if config.protocol.split.shuffle} == {"phantom", "whole"}


def test_what_the_base_says_of_one_data_set_is_not_taken_over_to_another():
    base = {"model": {"name": "unet"}, "data": {"name": "phantom", "count": 9, "size": [32, 32]}}
    levels = {"made": {"data.noise": 0.5}, "mni152": {"data.name": "mni152"}}
    space = Space(name="d", question="?", design="grid", base=base, factors={"data": levels})
    assert [trial.config.data.size for trial in plan(space).trials] == [(32, 32), (96, 96)]
    assert plan(widths(32, base={"data": {"size": [32, 32]}})).trials[0].config.data.size == (32, 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "phantom"}, "--data phantom: space f varies data.name itself"),
        ({"data_dir": "x"}, "--data-dir x: space f varies data.root itself"),
        ({"overrides": {"data.root": "x"}}, "--set data.root: space f varies this field itself"),
        ({"overrides": {"data.name": "mni152"}}, "--set data.name: space f varies this field itself"),
    ],
)
def test_options_do_not_replace_data_that_a_factor_varies(options, message):
    with pytest.raises(InputError, match=message):
        plan(folders(), **options)


def test_data_may_be_set_like_any_field():
    config = plan(widths(32), overrides={"data.name": "phantom"}).trials[0].config
    assert (config.data.name, config.data.size, config.protocol.split.shuffle) == ("phantom", (64, 64), True)


# What a plan says ----------------------------------------------------------------------------------------------------


def test_levels_that_come_to_one_configuration_are_said():
    levels = {name: {"model.width": width} for name, width in (("4", 4), ("04", "4"), ("8", 8), ("four", 4.0))}
    space = Space(name="s", question="?", design="grid", base={"model": {"name": "unet"}}, factors={"width": levels})
    found = plan(space, seeds=2)
    assert found.same == [[{"width": "4"}, {"width": "04"}, {"width": "four"}]]
    assert [trial.levels["width"] for trial in found.trials] == ["4", "4", "8", "8"]
    assert plan("baselines").same == []


def test_what_is_noted_of_data_is_said_once():
    def dataset_of(data: DataPart) -> Dataset:
        return replace(unread(data), notes=("they are odd", f"{data.blur:g}"))

    found = make_plan(load_space("boundary_blur"), PROFILES["quick"], dataset_of=dataset_of)
    assert found.notes == ["they are odd", "0", "1", "2", "4"]


def test_a_batch_of_one_image_at_one_pixel_is_rejected():
    base = {"model": {"name": "unet", "width": 4}, "data": {"name": "phantom", "size": [16, 16]}}
    factors = {"model.stages": [4, 5], "protocol.batch_size": [1, 2]}
    found = plan(Space(name="b", question="?", design="grid", base=base, factors=factors))
    assert [row.levels for row in found.rejected] == [{"model.stages": "5", "protocol.batch_size": "1"}]
    assert "comes down to one pixel at 16x16, of which batch norm has no statistics" in found.rejected[0].reason
    assert len(found.trials) == 3


def test_folds_that_cannot_be_filled_are_rejected_each_for_itself():
    base = {"model": {"name": "unet", "width": 4, "stages": 2}, "data": {"name": "phantom"}}
    base["protocol"] = {"split": {"method": "kfold", "fold": 1}}
    factors = {"protocol.split.folds": [3, 30, 31, 50, 10_000]}
    found = plan(Space(name="k", question="?", design="grid", base=base, factors=factors))
    assert [trial.config.protocol.split.folds for trial in found.trials] == [3, 30]
    assert all("too few images for the split" in row.reason for row in found.rejected)


def test_a_thousand_seeds_are_a_thousand_trials():
    trials = plan(widths(32), seeds=1000).trials
    assert [trial.config.seed for trial in trials] == list(range(1000))
    assert len({trial.key for trial in trials}) == 1000
