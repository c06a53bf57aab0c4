"""Schedules: against closed forms and torch's own, with a warm-up, and gone through again."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from ablate.errors import InputError
from ablate.settings import parse
from ablate.training.pace import Pace
from ablate.training.schedules.adapt import adapt, data_names
from ablate.training.schedules.base import Steps
from ablate.training.schedules.curves import Constant, Cosine, OneCycle, Poly, Step
from ablate.training.schedules.plateau import Plateau

STEPS = Steps(epochs=8, steps_per_epoch=3)


def optimizer(**changes: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, **{"momentum": 0.9, **changes})


def rates(schedule, steps: Steps = STEPS, warmup: int = 0, losses=None) -> list[float]:
    """The learning rate of each step."""
    one = optimizer()
    pace, found = Pace(schedule, one, steps, warmup), []
    for epoch in range(steps.epochs):
        for _ in range(steps.steps_per_epoch):
            found.append(one.param_groups[0]["lr"])
            one.step()
            pace.after_step()
        pace.after_epoch(1.0 if losses is None else losses[epoch])
    return found


def of_epochs(values: list[float]) -> list[float]:
    return [value for value in values for _ in range(STEPS.steps_per_epoch)]


def test_constant_stays():
    assert rates(Constant()) == [0.1] * 24


def test_curves_are_their_formulas():
    cosine = [0.01 + 0.09 * (1 + math.cos(math.pi * t / 8)) / 2 for t in range(8)]
    assert rates(Cosine(min_factor=0.1)) == pytest.approx(of_epochs(cosine))
    assert rates(Cosine(every="step")) == pytest.approx([0.1 * (1 + math.cos(math.pi * t / 24)) / 2 for t in range(24)])
    assert rates(Poly()) == pytest.approx(of_epochs([0.1 * (1 - t / 8) ** 0.9 for t in range(8)]))
    assert rates(Poly(power=2, every="step")) == pytest.approx([0.1 * (1 - t / 24) ** 2 for t in range(24)])
    assert rates(Step()) == pytest.approx(of_epochs([0.1] * 4 + [0.01] * 2 + [0.001] * 2))
    assert rates(Step(each=3, gamma=0.5)) == pytest.approx(of_epochs([0.1] * 3 + [0.05] * 3 + [0.025] * 2))


def test_one_cycle_is_torch_s_by_step():
    for part, settings in (
        (OneCycle(), {}),
        (OneCycle(rise=0.5, shape="linear", start_divisor=10, end_divisor=100),
         {"pct_start": 0.5, "anneal_strategy": "linear", "div_factor": 10, "final_div_factor": 100}),
    ):  # fmt: skip
        one = optimizer()
        reference, expected = lr_scheduler.OneCycleLR(one, max_lr=0.1, total_steps=24, **settings), []
        for _ in range(24):
            expected.append(one.param_groups[0]["lr"])
            one.step()
            reference.step()
        found = rates(part)
        assert found == expected
        assert max(found) == pytest.approx(0.1, rel=0.01)
    bare = torch.optim.Adagrad([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(InputError, match=r"schedule onecycle: .*momentum.*; set cycle_momentum to false"):
        OneCycle().build(bare, STEPS)
    assert OneCycle(cycle_momentum=False).build(bare, STEPS) is not None


def test_a_plateau_is_of_the_validation_loss():
    losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5]
    found = rates(Plateau(patience=1, factor=0.5), losses=losses)
    assert found == pytest.approx(of_epochs([0.1] * 4 + [0.05] * 4))
    flat = rates(Plateau(patience=0, factor=0.1, min_factor=0.05), losses=[1.0] * 8)
    assert flat == pytest.approx(of_epochs([0.1, 0.1, 0.01] + [0.005] * 5))


@pytest.mark.parametrize(
    "schedule", [Constant(), Cosine(), Cosine(every="step"), OneCycle(), Plateau(patience=0), Step(each=2)], ids=repr
)
def test_a_warm_up_rises_evenly_and_the_schedule_has_what_is_left(schedule):
    losses = [1.0] * 8
    found = rates(schedule, warmup=2, losses=losses)
    assert found[:6] == pytest.approx([0.1 * (step + 1) / 6 for step in range(6)])
    assert found[6:] == rates(schedule, Steps(6, 3), losses=losses[:6])


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize(
    "schedule",
    [Constant(), Cosine(), Poly(every="step"), OneCycle(), Plateau(patience=0, factor=0.3), Step()],
    ids=lambda part: part.name,
)
def test_gone_through_again_it_is_where_it_was(schedule, warmup):
    losses = [1.0, 0.7, 0.8, 0.7, 0.6, 0.61, 0.62, 0.63]
    whole = rates(schedule, warmup=warmup, losses=losses)
    for after in range(1, 8):
        one = optimizer()
        pace = Pace(schedule, one, STEPS, warmup)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pace.replay(losses[:after])
        assert one.param_groups[0]["lr"] == whole[3 * after]


def test_a_step_is_told_by_milestones_or_by_epochs():
    assert parse(Step, {"each": 3}, "schedule step").milestones == ()
    assert Step.model_validate(Step(each=3).model_dump(mode="json")) == Step(each=3)
    for fields, reason in (
        ({"each": 3, "milestones": [0.5]}, "each and milestones are two ways"),
        ({"milestones": [0.7, 0.5]}, "fractions of the training"),
        ({"milestones": [1]}, "fractions of the training"),
    ):
        with pytest.raises(InputError, match=f"schedule step: .*{reason}"):
            parse(Step, fields, "schedule step")


# Of others ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "settings", "filled", "every"),
    [
        (lr_scheduler.ExponentialLR, {"gamma": 0.9}, {}, "epoch"),
        (lr_scheduler.CosineAnnealingLR, {}, {"T_max": 8}, "epoch"),
        (lr_scheduler.CosineAnnealingLR, {"T_max": 4}, {}, "epoch"),
        (lr_scheduler.CosineAnnealingLR, {"every": "step"}, {"T_max": 24}, "step"),
        (lr_scheduler.OneCycleLR, {}, {"max_lr": 0.1, "total_steps": 24}, "step"),
        (lr_scheduler.OneCycleLR, {"max_lr": 0.5, "pct_start": 0.2}, {"total_steps": 24}, "step"),
        (lr_scheduler.OneCycleLR, {"every": "epoch"}, {"max_lr": 0.1, "total_steps": 8}, "epoch"),
        (lr_scheduler.CyclicLR, {"base_lr": 0.01, "step_size_up": 2}, {"max_lr": 0.1}, "epoch"),
        (lr_scheduler.MultiStepLR, {"milestones": [2, 5]}, {}, "epoch"),
    ],
)
def test_a_schedule_of_torch_s_as_it_is(target, settings, filled, every):
    part = adapt(target, settings, "schedule x")
    assert part.every == every
    one = optimizer()
    own = {name: value for name, value in settings.items() if name != "every"}
    reference, expected = target(one, **own, **filled), []
    for _ in range(STEPS.each(every)):
        expected.append(one.param_groups[0]["lr"])
        one.step()
        reference.step()
    assert rates(part) == (expected if every == "step" else of_epochs(expected))


def test_torch_s_plateau_gets_the_validation_loss():
    losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5]
    part = adapt(lr_scheduler.ReduceLROnPlateau, {"patience": 1, "factor": 0.5}, "schedule x")
    assert rates(part, losses=losses) == rates(Plateau(patience=1, factor=0.5), losses=losses)


def sawtooth(optimizer, epochs, low=0.0):
    return lr_scheduler.LambdaLR(optimizer, lambda t: low + (1 - low) * (1 - t / epochs))


def test_a_function_that_makes_a_schedule_and_what_cannot_be_used():
    assert rates(adapt(sawtooth, {"low": 0.5}, "schedule x")) == pytest.approx(
        of_epochs([0.1 * (0.5 + 0.5 * (1 - t / 8)) for t in range(8)])
    )
    assert data_names(sawtooth) == ("optimizer", "last_epoch")
    with pytest.raises(InputError, match="schedule x: setting 'gama': did you mean 'gamma'"):
        adapt(lr_scheduler.ExponentialLR, {"gama": 0.9}, "schedule x")
    with pytest.raises(InputError, match="schedule x: every 'day': expected 'epoch' or 'step'"):
        adapt(lr_scheduler.ExponentialLR, {"every": "day"}, "schedule x")
    with pytest.raises(InputError, match=r"schedule x cannot be made: TypeError.*gamma"):
        adapt(lr_scheduler.ExponentialLR, {}, "schedule x").build(optimizer(), STEPS)
    with pytest.raises(InputError, match=r"made a float: expected a torch\.optim\.lr_scheduler\.LRScheduler"):
        adapt(lambda optimizer: 1.0, {}, "schedule x").build(optimizer(), STEPS)
