"""Spaces to search: ranges, factors that are there only with others, and bounds on cost."""

import numpy as np
import pytest
from test_plan import unread

from ablate.errors import InputError
from ablate.search_spaces.designs import choose, draw, expand, variant
from ablate.search_spaces.networks import networks_of
from ablate.search_spaces.plan import ImpossibleError, Planner, make_plan
from ablate.search_spaces.profiles import PROFILES
from ablate.search_spaces.space import Space, load_space

SEARCHED = """\
name: mine
question: Which is best?
design: random
samples: 40
base:
  model: {name: pyconvunet, width: 16}
factors:
  model.stages: {low: 2, high: 3}
  stage 1:
    small: {model.kernels.1: [3], model.groups.1: [1]}
    large: {model.kernels.1: [5], model.groups.1: [1]}
  stage 2:
    small: {model.kernels.2: [3], model.groups.2: [1]}
    large: {model.kernels.2: [3, 5], model.groups.2: [1, 2]}
  stage 3:
    small: {model.kernels.3: [3], model.groups.3: [1]}
    large: {model.kernels.3: [3, 7], model.groups.3: [1, 4]}
  protocol.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
when:
  stage 3: {model.stages: 3}
constraints: [params <= 1e5, macs <= 4e8]
"""
UNBOUNDED = SEARCHED.partition("constraints")[0]


def written(tmp_path, text: str = SEARCHED) -> Space:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_space(str(path))


def planner(space: Space) -> Planner:
    return Planner(space, PROFILES["quick"], dataset_of=unread)


def test_a_factor_is_there_only_with_the_level_that_it_needs(tmp_path):
    variants = expand(written(tmp_path))
    assert {v.levels["model.stages"] for v in variants} == {"2", "3"}
    for found in variants:
        assert ("stage 3" in found.levels) == (found.levels["model.stages"] == "3")
        assert ("model.kernels.3" in found.fields) == ("stage 3" in found.levels)


def test_conditions_hold_in_a_chain():
    factors = {
        "a": {"0": {"model.width": 8}, "1": {"model.width": 16}},
        "b": {"0": {"model.stages": 2}, "1": {"model.stages": 3}},
        "c": {"0": {"protocol.batch_size": 1}, "1": {"protocol.batch_size": 2}},
    }
    when = {"b": {"a": "1"}, "c": {"b": ["1"]}}
    space = Space(name="s", question="?", design="grid", factors=factors, when=when)
    found = {tuple(v.levels.items()) for v in expand(space)}
    assert found == {
        (("a", "0"),),
        (("a", "1"), ("b", "0")),
        (("a", "1"), ("b", "1"), ("c", "0")),
        (("a", "1"), ("b", "1"), ("c", "1")),
    }


def test_a_numbered_path_is_a_place_in_a_list(tmp_path):
    space = written(tmp_path, UNBOUNDED)
    levels = {"stage 1": "large", "stage 2": "small", "stage 3": "large", "model.stages": 3}
    made = variant(space, choose(space, lambda name, _: levels.get(name, 0.001)))
    model = planner(space).trials(made)[0].config.model
    assert model.kernels == ((5,), (3,), (3, 7))
    assert model.groups == ((1,), (1,), (1, 4))
    space = written(tmp_path, UNBOUNDED.replace("model.kernels.2: [3],", "model.kernels.4: [3],"))
    gap = variant(space, {**levels, "protocol.learning_rate": 1.0})
    with pytest.raises(InputError, match=r"places are counted from 1 without a gap, given: kernels\.1, kernels\.3"):
        planner(space).trials(gap)


def test_what_breaks_a_constraint_is_rejected_with_its_cost(tmp_path):
    space = written(tmp_path)
    plan = make_plan(space, PROFILES["quick"], dataset_of=unread)
    assert plan.trials
    assert plan.rejected
    assert all(trial.params <= 1e5 and trial.macs <= 4e8 for trial in plan.trials)
    without = make_plan(written(tmp_path, UNBOUNDED), PROFILES["quick"], dataset_of=unread)
    free = {trial.key: trial for trial in without.trials}
    kept = {trial.key for trial in plan.trials}
    assert all((trial.params > 1e5 or trial.macs > 4e8) == (key not in kept) for key, trial in free.items())
    assert len(free) == len(plan.trials) + len(plan.rejected)
    dear = next(found for found in expand(space) if found.levels in [row.levels for row in plan.rejected])
    with pytest.raises(ImpossibleError, match=r"[\d,]+: the space allows [14]00,000") as error:
        planner(space).trials(dear)
    assert max(error.value.over.values()) > 0


def test_a_number_is_kept_with_six_digits_and_within_its_range():
    space = Space(
        name="s", question="?", design="random", samples=1,
        factors={"protocol.learning_rate": {"low": 1e-4, "high": 1e-2}, "model.width": {"low": 8, "high": 32}},
    )  # fmt: skip
    picked = choose(space, lambda name, _: 0.00123456789 if name.startswith("protocol") else 17.0)
    assert picked == {"protocol.learning_rate": 0.00123457, "model.width": 17}
    assert isinstance(picked["model.width"], int)
    assert choose(space, lambda name, _: 1e9) == {"protocol.learning_rate": 1e-2, "model.width": 32}


def test_a_definition_reads_back(tmp_path):
    space = written(tmp_path)
    kept = space.model_dump(mode="json", exclude_none=True)
    assert kept["constraints"] == ["params <= 100000", "macs <= 4e+08"]
    assert Space.model_validate(kept) == space


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "params <= 1e5",
            "params < 1e5",
            r"constraint 'params < 1e5': expected params, macs, latency_ms <= a positive",
        ),
        ("params <= 1e5", "memory <= 1e5", "constraint 'memory <= 1e5': expected params, macs, latency_ms"),
        ("params <= 1e5", "params <= -1", "constraint 'params <= -1': expected"),
        ("params <= 1e5", "params <= many", "constraint 'params <= many': expected"),
        ("stage 3: {model.stages: 3}", "stage 4: {model.stages: 3}", "when stage 4: there is no factor 'stage 4'"),
        ("stage 3: {model.stages: 3}", "stage 3: {stages: 3}", "when stage 3: there is no factor 'stages'"),
        ("stage 3: {model.stages: 3}", "stage 1: {stage 3: small}", "factor stage 3 must come before stage 1"),
        ("stage 3: {model.stages: 3}", "stage 3: {stage 1: tiny}", "stage 1 has no level 'tiny', only small, large"),
        ("stage 3: {model.stages: 3}", "stage 3: [model.stages]", r"when: expected factor: \{other factor: its level"),
        (
            "stage 3: {model.stages: 3}\n",
            "stage 3: {model.stages: 3}\n  protocol.learning_rate: {protocol.learning_rate: 1}\n",
            "factor protocol.learning_rate must come before protocol.learning_rate",
        ),
    ],
)
def test_a_slip_is_one_line_with_its_place(tmp_path, old, new, message):
    assert old in SEARCHED
    with pytest.raises(InputError, match=message) as error:
        written(tmp_path, SEARCHED.replace(old, new))
    assert "\n" not in str(error.value)
    assert "mine.yaml, line " in str(error.value)


def test_most_of_the_packaged_space_can_be_had_over_a_wide_range_of_prices():
    space = load_space("search_pyconvunet")
    rng, found, made = np.random.default_rng(0), [], planner(space)
    for _ in range(40):
        try:
            found.append(made.trials(variant(space, draw(space, rng)))[0])
        except ImpossibleError:
            continue
    assert len(found) > 20
    params = [trial.params for trial in found]
    assert max(params) / min(params) > 30
    assert max(params) <= 7.77e6


def test_networks_that_cannot_be_built_are_left_out_of_a_price_list():
    space = load_space("search_pyconvunet")
    found = networks_of(space, {})
    assert 0 < len(found) < len(expand(space))
    thirds = {"model.width": 8, "model.share": "equal", "model.kernels": [3, 3, 3], "model.groups": [1, 1, 1]}
    with pytest.raises(InputError, match=r"its share 1/3 of"):
        networks_of(space, thirds)
