"""A storm over one study: worker processes and drivers are killed at random times, and nothing shows it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

from commands import ABLATE, SPACE, ablate, kill_tree, tables, times_trained, workers

TRIALS, WORKER_KILLS, DRIVER_KILLS = 20, 10, 5
# Networks whose checkpoints are small enough to be written after each epoch.
STORMY = (
    SPACE.replace("epochs: 3", "epochs: 12")
    .replace("stages: 3", "stages: 2")
    .replace("[32, 32]", "[48, 48]")
    .replace("[4, 8]", str(list(range(4, 4 + TRIALS))))
)


def ended(study: Path) -> int:
    return sum((folder / "model.safetensors").exists() for folder in (study / "trials").glob("*"))


def test_a_storm_of_kills_loses_nothing_and_repeats_at_most_an_epoch_a_kill(tmp_path):
    space = tmp_path / "widths.yaml"
    space.write_text(STORMY)
    ablate("run", "--space", space, "--study", tmp_path / "calm")
    expected = tables(tmp_path / "calm")

    study, chance = tmp_path / "storm", random.Random(0)
    command = [ABLATE, "run", "--space", str(space), "--study", str(study), "--max-failures", "100"]
    workers_killed = drivers_killed = trials_in_flight = 0
    while drivers_killed < DRIVER_KILLS:
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        target = ended(study) + (TRIALS * 4 // 5 - ended(study)) // (DRIVER_KILLS - drivers_killed)
        killed_by_this = 0
        while ended(study) < target or killed_by_this < WORKER_KILLS // DRIVER_KILLS:
            assert run.poll() is None, f"the run ended before its driver was killed: {run.stderr.read()}"
            if killed_by_this < WORKER_KILLS // DRIVER_KILLS and any((study / "ray/checkpoints").glob("*")):
                time.sleep(chance.uniform(0, 0.5))
                if busy := workers(run.pid):
                    os.kill(chance.choice(busy), signal.SIGKILL)
                    workers_killed, killed_by_this = workers_killed + 1, killed_by_this + 1
            time.sleep(chance.uniform(0, 0.3))
        trials_in_flight += len(list((study / "ray/checkpoints").glob("*.safetensors")))
        kill_tree(run.pid)
        run.wait()
        drivers_killed += 1
    ablate(*command[1:])

    assert (workers_killed, drivers_killed) == (WORKER_KILLS, DRIVER_KILLS)
    assert tables(study) == expected
    counts = json.loads(ablate("status", study, "--json").stdout)["counts"]
    assert counts == {"complete": TRIALS, "failed": 0, "missing": 0}
    ends = sum(len(re.findall(r" complete$", log.read_text(), re.M)) for log in (study / "logs").glob("*.log"))
    assert ends <= TRIALS  # a driver may die between a trial's acceptance and its line in the log
    again = sum(times - 1 for times in times_trained(study).values())
    assert again <= workers_killed + trials_in_flight, f"{again} epochs were trained twice"
    assert not list((study / "ray" / "checkpoints").glob("*"))
    assert not list((study / "ray" / "arrivals").glob("*"))
