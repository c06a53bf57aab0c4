"""One trial on several workers of Ray: its epochs are heard as they end, and it outlives processes that die."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray import tune

from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.errors import TrialError
from ablate.models.settings import UNet
from ablate.runners.execution.distributed import Machine, WorkerDiedError, train_parallel
from ablate.runners.execution.storage import PathStorage, StoredCheckpoint
from ablate.training.checkpoint import Epoch
from ablate.training.loop import train
from ablate.trial import Protocol, TrialConfig


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    ray.init("local", num_cpus=2, include_dashboard=False, configure_logging=False, log_to_driver=False)
    yield
    ray.shutdown()


def make_trial(**protocol: Any) -> TrialConfig:
    data = load_data(Phantom(size=(32, 32), count=15, noise=0.1)).config
    protocol = {"epochs": 3, "batch_size": 5} | protocol
    return TrialConfig(model=UNet(width=4, stages=3), data=data, protocol=Protocol(**protocol))


def make_checkpoint(folder: Path, trial: TrialConfig) -> StoredCheckpoint:
    return StoredCheckpoint(PathStorage(str(folder)), trial.key)


def epochs_in(checkpoint: StoredCheckpoint) -> int:
    saved = checkpoint.read()
    header = json.loads(saved[8 : 8 + int.from_bytes(saved[:8], "little")])
    return len(json.loads(header["__metadata__"]["epochs"]))


def on_two_workers(trial: TrialConfig, checkpoint: StoredCheckpoint, **arguments: Any) -> Any:
    dataset = ray.put(load_data(trial.data))
    return train_parallel(trial, dataset, workers=2, gpus=False, threads=1, checkpoint=checkpoint, **arguments)


def train_losses(epochs: list[Epoch]) -> list[float]:
    return [epoch.train_loss for epoch in epochs]


def cpus_come_free() -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if ray.available_resources().get("CPU") == 2:
            return True
        time.sleep(0.1)
    return False


def test_a_killed_worker_ends_the_attempt_and_the_next_goes_on(tmp_path):
    trial = make_trial()
    checkpoint = make_checkpoint(tmp_path, trial)
    machines: list[Machine] = []
    first: list[Epoch] = []

    def kill_the_second(epoch: Epoch) -> None:
        first.append(epoch)
        assert epochs_in(checkpoint) == epoch.epoch  # the workers wait for the report
        if epoch.epoch == 2:
            os.kill(machines[1].process, signal.SIGKILL)

    with pytest.raises(WorkerDiedError):
        on_two_workers(trial, checkpoint, report=kill_the_second, started=machines.extend)
    assert [(machine.device, machine.precision) for machine in machines] == [("cpu", "float32")] * 2
    assert machines[0].process != machines[1].process != os.getpid()
    assert cpus_come_free()

    second: list[Epoch] = []
    result = on_two_workers(trial, checkpoint, report=second.append)
    assert len(first) == 2
    assert second[:2] == first  # durations too: they were not trained again
    assert result.epochs == second
    alone = train(trial, load_data(trial.data), device=torch.device("cpu"))
    np.testing.assert_allclose(train_losses(second), train_losses(alone.epochs), rtol=0, atol=1e-4)
    assert result.ids == alone.ids
    assert result.weights.keys() == alone.weights.keys()
    assert cpus_come_free()


def test_a_failure_of_the_trial_keeps_its_kind(tmp_path):
    trial = make_trial(learning_rate=1e30)
    with pytest.raises(TrialError, match=r"^diverged: ") as caught:
        on_two_workers(trial, make_checkpoint(tmp_path, trial), report=lambda epoch: None)
    assert type(caught.value) is TrialError
    assert cpus_come_free()


def test_a_trial_whose_own_process_is_killed_goes_on(tmp_path):
    """Its workers' places must come free with it, or the next attempt waits for ever."""
    trial = make_trial()
    checkpoint = make_checkpoint(tmp_path / "checkpoints", trial)
    seen: list[dict[str, Any]] = []

    def run(config: dict[str, Any]) -> None:  # must not name what is in this file: workers cannot import it
        import ray
        from ray import tune

        from ablate.data.load import load_data
        from ablate.runners.execution.distributed import train_parallel

        result = train_parallel(
            trial, ray.put(load_data(trial.data)), workers=2, gpus=False, threads=1, checkpoint=checkpoint,
            report=lambda row: tune.report(row._asdict()),
        )  # fmt: skip
        tune.report({"epoch": 0, "epochs": [row._asdict() for row in result.epochs]})

    class Kill(tune.Callback):
        def on_trial_result(self, result: dict[str, Any], **info: Any) -> None:
            seen.append(result)
            if len(seen) == 2:
                os.kill(result["pid"], signal.SIGKILL)

    tune.Tuner(
        tune.with_resources(run, tune.PlacementGroupFactory([{}, {"CPU": 1}, {"CPU": 1}])),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), verbose=0, callbacks=[Kill()], failure_config=tune.FailureConfig(max_failures=1)
        ),
    ).fit()
    assert [row["epoch"] for row in seen] == [1, 2, 1, 2, 3, 0]
    assert seen[2]["seconds"] == seen[0]["seconds"]  # not trained again
    assert [row["val_loss"] for row in seen[-1]["epochs"]] == [row["val_loss"] for row in seen[2:5]]
