"""Plans: fields from profile, space, levels and overrides, priced; what cannot be built is rejected with its reason."""

import numpy as np
import pytest

from ablation.config import Data
from ablation.data import Dataset
from ablation.errors import InputError
from search_spaces.plan import Plan, make_plan
from search_spaces.profiles import PROFILES
from search_spaces.space import Space, load_space


def plan(space: Space | str, profile: str = "quick", **options: object) -> Plan:
    found = load_space(space) if isinstance(space, str) else space
    return make_plan(found, PROFILES[profile], dataset_of=unread, **options)


def unread(data: Data) -> Dataset:
    """A data set of 30 independent images that nobody has to read."""
    names = tuple(map(str, range(30)))
    nothing = np.empty(0)
    return Dataset(data.model_copy(update={"fingerprint": "print"}), names, names, nothing, nothing)


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
    ],
)
def test_bad_input_is_one_line(space, options, message):
    with pytest.raises(InputError, match=message) as error:
        plan(space, **options)
    assert "\n" not in str(error.value)


def test_each_data_set_is_read_once():
    read: list[Data] = []

    def dataset_of(data: Data) -> Dataset:
        read.append(data)
        return unread(data)

    make_plan(load_space("boundary_blur"), PROFILES["quick"], dataset_of=dataset_of, seeds=2)
    assert [data.blur for data in read] == [0, 1, 2, 4]
