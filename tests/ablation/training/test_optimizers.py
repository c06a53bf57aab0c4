"""Optimisers: each is torch's of the same settings, step by step, and its state survives being saved."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from ablate.errors import InputError, TrialError
from ablate.settings import parse
from ablate.training.optimizer_state import read_state, write_state
from ablate.training.optimizers.adam import Adam, AdamW
from ablate.training.optimizers.adapt import adapt, data_names
from ablate.training.optimizers.sgd import SGD, RMSprop

CPU = torch.device("cpu")
PARTS = [
    (Adam(), lambda p: torch.optim.Adam(p, lr=0.1, fused=True)),
    (Adam(betas=(0.8, 0.9), eps=1e-5, weight_decay=0.1, amsgrad=True),
     lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.9), eps=1e-5, weight_decay=0.1, amsgrad=True, fused=True)),
    (AdamW(), lambda p: torch.optim.AdamW(p, lr=0.1, fused=True)),
    (SGD(momentum=0), lambda p: torch.optim.SGD(p, lr=0.1)),
    (SGD(momentum=0.99, nesterov=True, weight_decay=3e-5),
     lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.99, nesterov=True, weight_decay=3e-5)),
    (RMSprop(), lambda p: torch.optim.RMSprop(p, lr=0.1)),
    (RMSprop(alpha=0.9, momentum=0.5, centered=True, eps=1e-4, weight_decay=0.1),
     lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9, momentum=0.5, centered=True, eps=1e-4, weight_decay=0.1)),
]  # fmt: skip


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 3))
    return model.to(memory_format=torch.channels_last)


def groups(model: nn.Module) -> list[dict]:
    return [{"params": list(model.parameters())}]


def go_on(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("part", "reference"), PARTS, ids=lambda part: repr(part) if hasattr(part, "build") else "")
def test_a_part_is_torch_s_optimiser_to_the_bit(part, reference):
    ours, torchs, begun = network(), network(), network()
    go_on(ours, part.build(groups(ours), 0.1, CPU), range(5))
    go_on(torchs, reference(torchs.parameters()), range(5))
    assert same(ours, torchs)
    assert not same(ours, begun)


@pytest.mark.parametrize("part", [AdamW(weight_decay=0.5, decay_norms=False), SGD(weight_decay=0.5, decay_norms=False)])
def test_norms_and_biases_are_left_without_decay(part):
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = part.build(groups(model), 0.1, CPU)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for p, was in zip(model.parameters(), before, strict=True):
        if p.ndim > 1:
            torch.testing.assert_close(p.detach(), was * 0.95)
        else:
            assert torch.equal(p, was)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]


def test_nesterov_needs_momentum():
    with pytest.raises(InputError, match="optimizer sgd: nesterov needs a momentum above 0"):
        parse(SGD, {"nesterov": True, "momentum": 0}, "optimizer sgd")


FOREIGN = [
    (torch.optim.NAdam, {"weight_decay": 0.1}),
    (torch.optim.RAdam, {}),
    (torch.optim.Adagrad, {}),
    (torch.optim.Adadelta, {}),
    (torch.optim.Rprop, {}),
    (torch.optim.Adafactor, {}),
    (torch.optim.ASGD, {}),
    (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.1}),
]


@pytest.mark.parametrize("part", [part for part, _ in PARTS] + FOREIGN, ids=repr)
def test_state_goes_through_json_and_tensors_to_the_bit(part):
    part = adapt(*part, "optimizer x") if isinstance(part, tuple) and isinstance(part[0], type) else part
    model = network()
    optimizer = part.build(groups(model), 0.1, CPU)
    go_on(model, optimizer, range(3))
    optimizer.param_groups[0]["lr"] = 1 / 3
    written, tensors = write_state(optimizer)
    again = network()
    again.load_state_dict(model.state_dict())
    restored = part.build(groups(again), 0.1, CPU)
    read_state(restored, json.loads(json.dumps(written)), {name: t.clone().contiguous() for name, t in tensors.items()})
    assert restored.param_groups[0]["lr"] == 1 / 3
    for p, q in zip(model.parameters(), again.parameters(), strict=True):
        assert optimizer.state[p].keys() == restored.state[q].keys()
        for name, value in optimizer.state[p].items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, restored.state[q][name])
                assert value.stride() == restored.state[q][name].stride()
                assert value.dtype == restored.state[q][name].dtype
    go_on(model, optimizer, range(3, 6))
    go_on(again, restored, range(3, 6))
    assert same(model, again)


class Odd(torch.optim.SGD):
    """State of several types, and one that cannot be saved."""

    def __init__(self, params, lr, held=None):
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = {"counts": torch.tensor([1, 2]), "double": torch.tensor(0.1, dtype=torch.float64),
                                 "nested": {"a": (1, 2.5, None), 3: [True, "x"]}, "held": held}  # fmt: skip


def test_state_of_any_types_comes_back_and_what_cannot_be_kept_is_named():
    model = network()
    optimizer = Odd(model.parameters(), lr=0.1)
    written, tensors = write_state(optimizer)
    again = Odd(model.parameters(), lr=0.2, held=1)
    read_state(again, json.loads(json.dumps(written)), tensors)
    state = again.state[next(model.parameters())]
    assert state["nested"] == {"a": (1, 2.5, None), 3: [True, "x"]}
    assert state["held"] is None
    assert (state["counts"].dtype, state["double"].dtype) == (torch.int64, torch.float64)
    assert again.param_groups[0]["lr"] == 0.1
    with pytest.raises(TrialError, match=r"the state of Odd cannot be kept.*: state\.0\.held is .*object.*\(object\)"):
        write_state(Odd(model.parameters(), lr=0.1, held=object()))


def make(parameters, lr, factor=1.0):
    return torch.optim.SGD(parameters, lr=lr * factor)


def test_a_function_that_makes_an_optimiser():
    model = network()
    optimizer = adapt(make, {"factor": 0.5}, "optimizer x").build(groups(model), 0.1, CPU)
    assert optimizer.param_groups[0]["lr"] == 0.05
    assert data_names(make) == ("parameters", "lr")
    apart = adapt(torch.optim.NAdam, {"weight_decay": 1, "decay_norms": False}, "optimizer x")
    assert [g["weight_decay"] for g in apart.build(groups(model), 0.1, CPU).param_groups] == [1, 0.0]


def test_what_cannot_be_used_is_told():
    model = network()
    with pytest.raises(InputError, match="optimizer x: setting 'momentun': did you mean 'momentum'"):
        adapt(torch.optim.SGD, {"momentun": 0.9}, "optimizer x")
    with pytest.raises(InputError, match="setting 'lr'"):
        adapt(torch.optim.SGD, {"lr": 0.9}, "optimizer x")
    with pytest.raises(InputError, match="evaluates the loss several times a step"):
        adapt(torch.optim.LBFGS, {}, "optimizer x").build(groups(model), 0.1, CPU)
    with pytest.raises(InputError, match=r"made a float: expected a torch\.optim\.Optimizer"):
        adapt(lambda params, lr: lr, {}, "optimizer x").build(groups(model), 0.1, CPU)
    with pytest.raises(InputError, match="optimizer x cannot be made: ValueError"):
        adapt(torch.optim.SGD, {"momentum": -1}, "optimizer x").build(groups(model), 0.1, CPU)
    with pytest.raises(InputError, match="decay_norms 'no': expected true or false"):
        adapt(torch.optim.SGD, {"decay_norms": "no"}, "optimizer x")


def test_neither_ours_nor_determinism_load_torch_s_compiler():
    """It takes as long as the rest of torch; in a process of its own, for here others have loaded it."""
    script = """
import sys, torch
from ablate.training.devices import make_deterministic
from ablate.training.optimizers.adam import Adam, AdamW
from ablate.training.optimizers.sgd import SGD, RMSprop
make_deterministic(torch.device("cpu"))
for part in (Adam(), AdamW(decay_norms=False), SGD(), RMSprop()):
    weights = torch.nn.Linear(2, 2)
    optimizer = part.build([{"params": list(weights.parameters())}], 0.1, torch.device("cpu"))
    weights(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
print(*sorted({"torch._dynamo", "sympy"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
