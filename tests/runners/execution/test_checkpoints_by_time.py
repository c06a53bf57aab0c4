"""Checkpoints that are written by time, beside training: a kill costs what was trained since, and nothing shows it."""

from __future__ import annotations

import os
import signal
import subprocess

from commands import ABLATE, SPACE, ablate, kill_tree, tables, times_trained, wait_until, weights, workers

from ablate.training.keeping import SMALL

EPOCHS = 120
# Three to four megabytes of state: a checkpoint in 0.8 to 1 s, which is several epochs.
HEAVY = SPACE.replace("epochs: 3", f"epochs: {EPOCHS}").replace("[4, 8]", "[24]")


def test_what_is_killed_after_a_checkpoint_by_time_goes_on_from_it_to_the_bit(tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(HEAVY)
    calm, study = tmp_path / "calm", tmp_path / "study"
    ablate("run", "--space", space, "--study", calm)

    def checkpoint() -> tuple[int, int]:
        """Which one is there: each is a file of its own, renamed into the place of the last."""
        for file in (study / "ray" / "checkpoints").glob("*.safetensors"):
            status = file.stat()
            assert status.st_size > SMALL  # else it was written after each epoch
            return status.st_ino, status.st_mtime_ns
        return 0, 0

    run = subprocess.Popen([ABLATE, "run", "--space", space, "--study", study], stdout=subprocess.DEVNULL)
    wait_until(lambda: any(checkpoint()), run)
    killed = workers(run.pid)
    assert killed
    for process in killed:
        os.kill(process, signal.SIGKILL)
    before = checkpoint()
    wait_until(lambda: checkpoint() != before, run)
    kill_tree(run.pid)
    run.wait()
    assert any(checkpoint())
    ablate("run", "--space", space, "--study", study)

    assert tables(study) == tables(calm)
    assert weights(study) == weights(calm)
    assert len(weights(study)) == 1
    trained = {epoch: times for (_, epoch), times in times_trained(study).items()}
    assert sorted(trained) == list(range(1, EPOCHS + 1))
    assert trained[1] == 1  # neither attempt began anew
    assert max(trained.values()) <= 3
    assert not list((study / "ray" / "checkpoints").glob("*"))
