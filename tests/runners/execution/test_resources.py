"""What trials are given: of one machine, of several, and of cards that they share by the memory they will take."""

from __future__ import annotations

import pytest

from ablate.cost.memory import training_memory
from ablate.data.settings import Phantom
from ablate.errors import InputError
from ablate.models.settings import UNet
from ablate.runners.execution.nodes import Card, Node
from ablate.runners.execution.resources import CONTEXT, Resources, Shares, choose_resources, correction, parse_gpus
from ablate.search_spaces.plan import Planned
from ablate.study.records import Record
from ablate.trial import Protocol, TrialConfig

GB = 10**9
LAPTOP = [Node("this machine", 8, 0)]
WORKSTATION = [Node("this machine", 16, 2, (Card("A", 24 * GB), Card("A", 24 * GB)))]
CLUSTER = [Node("10.0.0.1", 4, 0), Node("10.0.0.2", 32, 4, (Card("B", 80 * GB),) * 4), *WORKSTATION]


def choose(nodes=LAPTOP, cpus=None, gpus=None, concurrent=None, **rest) -> Resources:
    return choose_resources(cpus, gpus, concurrent, nodes=nodes, study_threads=rest.pop("study_threads", None), **rest)


def trial(width: int = 32, side: int = 128, batch_size: int = 4, seed: int = 0) -> TrialConfig:
    data = Phantom(size=(side, side))
    return TrialConfig(model=UNet(width=width), data=data, protocol=Protocol(batch_size=batch_size), seed=seed)


def planned(**fields: int) -> Planned:
    return Planned(trial(**fields), {}, 0, 0)


def record(measured: TrialConfig, megabytes: float | None, **changes: object) -> Record:
    fields = {"key": measured.key, "cell": measured.cell, "model": "unet", "seed": 0, "state": "complete", "params": 1}
    fields |= {"macs": 1, "device": "cuda", "precision": "bfloat16", "training_memory_mb": megabytes}
    return Record(**(fields | changes))  # type: ignore[arg-type]


# What is there, and what was asked -----------------------------------------------------------------------------------


def test_by_default_a_trial_has_a_cpu_and_a_gpu_where_there_is_one():
    assert choose(LAPTOP) == Resources(cpus=1, gpus=0.0, max_concurrent=None)
    assert choose(WORKSTATION) == Resources(cpus=1, gpus=1.0, max_concurrent=None)
    assert choose(CLUSTER).gpus == 1.0
    assert choose(LAPTOP, study_threads=4).threads == 4
    assert choose(LAPTOP, cpus=2, study_threads=4).threads == 2


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "expected"),
    [
        (Resources(cpus=1, gpus=0, max_concurrent=None), 8, 0, 8),
        (Resources(cpus=3, gpus=0, max_concurrent=None), 8, 0, 2),
        (Resources(cpus=1, gpus=0, max_concurrent=3), 8, 0, 3),
        (Resources(cpus=1, gpus=0, max_concurrent=30), 8, 0, 8),
        (Resources(cpus=16, gpus=0, max_concurrent=None), 8, 0, 1),  # Ray says what is wrong
        (Resources(cpus=1, gpus=1, max_concurrent=None), 64, 2, 2),
        (Resources(cpus=1, gpus=0.25, max_concurrent=None), 64, 2, 8),
        (Resources(cpus=1, gpus=0.25, max_concurrent=None), 4, 2, 4),
        (Resources(cpus=2, gpus=0, max_concurrent=None, workers=2), 8, 0, 2),
        (Resources(cpus=1, gpus=2, max_concurrent=None, workers=2), 64, 4, 2),
        (Resources(cpus=1, gpus=1, max_concurrent=None, shares=Shares(24 * GB)), 64, 2, None),
    ],
)
def test_a_machine_has_as_many_trials_at_a_time_as_it_has_room_for(resources, cpus, gpus, expected):
    assert resources.at_once(cpus, gpus) == expected


def test_the_drivers_own_gpus_do_not_matter_on_a_cluster(monkeypatch):
    import torch

    for driver_has in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: driver_has)  # noqa: B023
        assert choose(CLUSTER, gpus=0.5).of(planned()) == {"CPU": 1, "GPU": 0.5}
        assert choose([Node("10.0.0.1", 4, 0), Node("10.0.0.2", 4, 0)]).gpus == 0


@pytest.mark.parametrize(
    ("nodes", "asked", "expected"),
    [
        (LAPTOP, {"cpus": 9}, "--cpus-per-trial 9: this machine has 8; give at most that"),
        (CLUSTER, {"cpus": 33}, "--cpus-per-trial 33: the cluster's nodes have 32; give at most that"),
        (LAPTOP, {"gpus": 1.0}, "--gpus-per-trial 1: this machine has no CUDA GPU; leave it out to train on the CPU"),
        (LAPTOP, {"gpus": "auto"}, "--gpus-per-trial auto: this machine has no CUDA GPU; leave it out to train"),
        (WORKSTATION, {"gpus": 3.0}, "--gpus-per-trial 3: this machine has 2 in all; give at most that"),
        (CLUSTER, {"gpus": 7.0}, "--gpus-per-trial 7: the cluster's nodes have 6 in all; give at most that"),
        (WORKSTATION, {"workers_per_trial": 3}, "--workers-per-trial 3: this machine has 2 in all; give at most that"),
        (WORKSTATION, {"gpus": 1.5}, "--gpus-per-trial 1.5: expected a fraction of one GPU, or a whole number"),
        (WORKSTATION, {"gpus": 2.0, "workers_per_trial": 4}, "--workers-per-trial 4: a trial on 2 GPUs has 2, one a"),
        (WORKSTATION, {"gpus": "auto", "workers_per_trial": 2}, "--workers-per-trial 2: each of several workers has a"),
        (WORKSTATION, {"gpus": 0.5, "workers_per_trial": 2}, "--workers-per-trial 2: each of several workers has a"),
        (LAPTOP, {"cpus": 3, "workers_per_trial": 3}, "--workers-per-trial 3: this machine has room for 2 of 3 CPUs"),
        (
            [Node("10.0.0.7", 8, 1), *WORKSTATION],
            {"gpus": "auto"},
            "--gpus-per-trial auto: nvidia-smi does not tell the memory of node 10.0.0.7's GPUs; give a number",
        ),
    ],
)
def test_what_cannot_be_given_is_one_line(nodes, asked, expected):
    with pytest.raises(InputError) as error:
        choose(nodes, **asked)
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "expected"), [("auto", "auto"), ("0", 0.0), ("0.25", 0.25), ("2", 2.0)])
def test_gpus_are_read(text, expected):
    assert parse_gpus(text) == expected


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "all", ""])
def test_gpus_that_are_no_number_are_refused(text):
    with pytest.raises(InputError, match=r"^--gpus-per-trial .*: expected a number of GPUs \(0\.5, 1, 2, …\) or auto$"):
        parse_gpus(text)


# Several workers a trial ---------------------------------------------------------------------------------------------


def test_several_gpus_are_as_many_workers():
    found = choose(WORKSTATION, cpus=4, gpus=2.0)
    assert (found.workers, found.gpus, found.worker) == (2, 2.0, {"CPU": 4, "GPU": 1})
    assert choose(WORKSTATION, cpus=4, workers_per_trial=2) == found
    assert choose(WORKSTATION, gpus=0.0, workers_per_trial=2).worker == {"CPU": 1, "GPU": 0}
    assert choose(LAPTOP, workers_per_trial=3).worker == {"CPU": 1, "GPU": 0}


def test_no_more_groups_of_workers_start_than_can_be_complete():
    assert choose(LAPTOP, workers_per_trial=3).max_concurrent == 2
    assert choose(LAPTOP, workers_per_trial=3, concurrent=1).max_concurrent == 1
    assert choose(LAPTOP, workers_per_trial=2, cpus=3).max_concurrent == 1  # room for two workers, not 8/3
    assert choose(CLUSTER, gpus=2.0).max_concurrent == 3
    assert choose(CLUSTER, gpus=2.0, cpus=16).max_concurrent == 1  # of 6 cards, 3 have 16 CPUs beside them


def test_tune_sets_aside_what_each_of_several_workers_takes_and_nothing_for_who_waits_for_them():
    from ray.tune import PlacementGroupFactory

    request = PlacementGroupFactory(choose(LAPTOP, workers_per_trial=2).bundles(planned()))
    assert request.bundles == [{"CPU": 1.0}, {"CPU": 1.0}]
    assert request.head_bundle_is_empty
    assert (
        PlacementGroupFactory(choose(WORKSTATION, gpus=2.0).bundles(planned())).bundles
        == [{"CPU": 1.0, "GPU": 1.0}] * 2
    )


# Several trials a card -----------------------------------------------------------------------------------------------


def share(memory: float, card: float) -> float:
    """The share that the text of the issue gives, computed apart: memory with the context, in twentieths, at most 1."""
    return min(1.0, next(n for n in range(1, 10**6) if n / 20 >= (memory + CONTEXT) / card) / 20)


@pytest.mark.parametrize("side", [64, 512])
def test_a_share_is_foretold_memory_of_the_largest_batch_on_the_smallest_card(side):
    import torch

    found = choose(CLUSTER, gpus="auto").of(planned(side=side))["GPU"]
    memory = training_memory(UNet(), 1, 1, (side, side), 5, torch.bfloat16)  # the last batch may have one more
    assert found == share(memory, 24 * GB)
    assert 0 < found < 1


def test_larger_trials_have_larger_shares_and_none_more_than_a_card():
    resources = choose(WORKSTATION, gpus="auto")
    shares = [resources.of(planned(width=width, side=512))["GPU"] for width in (8, 32, 64, 128, 256)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 1.0
    assert resources.gpus == 1.0


def test_seeds_share_alike():
    resources = choose(WORKSTATION, gpus="auto")
    assert resources.of(planned(seed=0)) == resources.of(planned(seed=7))


def test_what_was_measured_corrects_what_is_foretold():
    import torch

    one, two = trial(width=16), trial(width=64)
    foretold = [training_memory(t.model, 1, 1, t.data.size, 5, torch.bfloat16) / 1e6 for t in (one, two)]
    measured = [(one, record(one, 2.0 * foretold[0])), (two, record(two, 0.5 * foretold[1]))]
    assert correction(measured) == pytest.approx(1.0)
    assert correction(measured[:1]) == pytest.approx(2.0)
    assert correction([*measured, (one, record(one, 8.0 * foretold[0]))]) == pytest.approx(2.0)
    resources = choose(WORKSTATION, gpus="auto", measured=measured[:1])
    assert resources.shares == Shares(24 * GB, pytest.approx(2.0))
    big = training_memory(UNet(width=64), 1, 1, (512, 512), 5, torch.bfloat16)
    assert resources.of(planned(width=64, side=512))["GPU"] == share(2.0 * big, 24 * GB)


def test_only_trials_that_one_process_trained_on_cuda_correct():
    one = trial()
    others = [{"device": "cpu"}, {"state": "failed"}, {"workers": 2}]
    assert correction([(one, record(one, 1e6, **other)) for other in others] + [(one, record(one, None))]) == 1.0
    assert correction([]) == 1.0


def test_a_trial_that_ran_out_of_memory_is_alone_on_whole_cards():
    assert choose(WORKSTATION, gpus="auto").alone().of(planned()) == {"CPU": 1, "GPU": 1.0}
    assert choose(WORKSTATION, gpus=0.25).alone() == Resources(1, 1.0, 1)
    assert choose(LAPTOP, concurrent=4).alone() == Resources(1, 0.0, 1)
    assert choose(WORKSTATION, gpus=2.0).alone().workers == 2


def test_a_small_trial_has_a_twentieth_of_a_card():
    assert Shares(20 * 24 * GB).of(trial(side=32)) == 0.05
