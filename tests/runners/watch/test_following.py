"""A study that grows, followed by who only reads it: what changed is seen, what did not is not read again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_studies import Trained, made_study, packed, run_of, trained, trivial, with_seed

from ablate.errors import InputError
from ablate.runners.watch.following import Following, Now
from ablate.runners.watch.live import Live, Running, tell
from ablate.study.logs import LoggedEpoch, epoch_line, logged_epochs
from ablate.study.study import Study
from ablate.training.checkpoint import Epoch


@pytest.fixture(scope="module")
def one() -> Trained:
    return trained()


@pytest.fixture
def study(tmp_path, one) -> Study:
    """One trial that ended, and its trivial rows."""
    return made_study(tmp_path / "study", one, *trivial(one))


def looked(following: Following) -> Now:
    now = following.now()
    assert now is not None
    return now


def tree(study: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that is in a study: its files' inodes, times and contents."""
    found = {}
    for path in [study, *study.rglob("*")]:
        status = path.lstat()
        found[str(path)] = status.st_ino, status.st_mtime_ns, b"" if path.is_dir() else path.read_bytes()
    return found


def test_there_need_be_no_study_yet_and_it_may_go_and_come_back(tmp_path, one):
    following = Following(tmp_path / "study")
    assert following.now() is None
    (tmp_path / "study").mkdir()
    assert following.now() is None
    made_study(tmp_path / "study", one)
    assert set(looked(following).records) == {one.trial.key}
    shutil.rmtree(tmp_path / "study")
    assert following.now() is None
    second = with_seed(one, 7)
    made_study(tmp_path / "study", second)
    assert set(looked(following).records) == {second.trial.key}


def test_what_is_no_directory_is_refused(tmp_path):
    (tmp_path / "study").write_text("x")
    with pytest.raises(InputError, match="is not a directory: give that of a study"):
        Following(tmp_path / "study").now()


def test_a_study_that_cannot_be_read_is_looked_at_again(study):
    following = Following(study.path)
    kept = {name: (study.path / name).read_bytes() for name in ("study.yaml", "study.yaml.copy")}
    for name in kept:
        (study.path / name).write_text("schema_version: 99\n")
    with pytest.raises(InputError, match="install a newer ablate"):
        following.now()
    for name, content in kept.items():
        (study.path / name).write_bytes(content)
    assert looked(following).records


def test_trials_that_are_planned_and_end_are_seen_and_nothing_else_counts_as_a_change(study, one):
    following = Following(study.path)
    before = looked(following)
    assert set(before.study.plans.levels) == {one.trial.key}
    assert looked(following).change == before.change
    more = with_seed(one, 1)
    with study.writing():
        study.plan(run_of(more.trial), threads=1, data_dir=None)
        planned = looked(following)
        assert set(planned.study.plans.levels) == {one.trial.key, more.trial.key}
        assert (planned.change, set(planned.records)) == (before.change + 1, set(before.records))
        study.accept(more.trial.key, packed(more))
    ended = looked(following)
    assert ended.change == before.change + 2
    assert set(ended.records) == {*before.records, more.trial.key}
    time.sleep(2.1)  # the file system's clock may have had no tick between two changes
    assert looked(following).change == ended.change


def test_a_later_attempt_takes_the_place_of_what_was_remembered(study, one):
    failed = with_seed(one, 1)
    with study.writing():
        study.plan(run_of(failed.trial), threads=1, data_dir=None)
        study.accept(failed.trial.key, packed(failed, state="failed", epochs=1, error="diverged"))
    following = Following(study.path)
    now = looked(following)
    assert now.records[failed.trial.key].error == "diverged"
    assert len(now.study.table(failed.trial.key, "epochs")) == 1
    with study.writing():
        study.accept(failed.trial.key, packed(failed))
    again = looked(following)
    assert (again.records[failed.trial.key].state, again.change) == ("complete", now.change + 1)
    assert len(again.study.table(failed.trial.key, "epochs")) == 2


def test_what_ended_is_read_once(study, one, monkeypatch):
    following = Following(study.path)
    now = looked(following)
    table, config = now.study.table(one.trial.key, "images"), now.study.config(one.trial.key)
    monkeypatch.setattr(Study, "read", lambda *_: pytest.fail("it was read again"))
    assert looked(following).study.table(one.trial.key, "images") is table
    assert now.study.config(one.trial.key) is config == one.trial


def test_nothing_is_written_or_locked(study):
    before = tree(study.path)
    following = Following(study.path)
    for _ in range(3):
        looked(following)
    opened = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    assert not [path for path in opened if path.startswith(str(study.path))]
    assert tree(study.path) == before
    with study.holding() as alone:  # a run that starts just then is not told that it is in use
        assert alone


def epoch(number: int, loss: float = 0.5, seconds: float = 1.5) -> Epoch:
    return Epoch(number, loss, 0.6, 0.7, 0.5, 0.6, seconds, 40.0)


def test_curves_are_those_of_trials_under_way_and_interrupted(study, one):
    running, left = with_seed(one, 1), with_seed(one, 2)
    (study.ray_dir / "checkpoints").mkdir(parents=True)
    (study.ray_dir / "checkpoints" / f"{left.trial.key}.safetensors").touch()
    (study.ray_dir / "checkpoints" / f"{one.trial.key}.safetensors").touch()  # it ended: a kill left its checkpoint
    under_way = {key: Running(key=key, name="n", epochs=9) for key in (running.trial.key, "../../../etc/passwd")}
    tell(study, Live(began=time.time(), updated=0, total=3, running=under_way))
    following = Following(study.path)
    assert looked(following).curves == {running.trial.key: [], left.trial.key: []}
    study.log(running.trial.key, epoch_line(epoch(1)))
    study.log(left.trial.key, epoch_line(epoch(1)) + "\n" + epoch_line(epoch(2)))
    found = looked(following).curves
    assert found[running.trial.key] == [LoggedEpoch(1, 0.5, 0.6, 0.7, 1.5)]
    assert [one.epoch for one in found[left.trial.key]] == [1, 2]


def test_a_log_has_the_last_attempt_of_each_epoch():
    def log(*lines: str) -> str:
        return "".join(f"2026-11-29 19:18:42 {line}\n" for line in lines)

    first = [epoch_line(epoch(n)) for n in (1, 2, 3)]
    went_on = [epoch_line(epoch(n, 0.4)) for n in (3, 4)]
    text = log("on vm, process 7, cpu, 1 threads", *first, "its process died", *went_on)
    assert [(one.epoch, one.train_loss) for one in logged_epochs(text)] == [(1, 0.5), (2, 0.5), (3, 0.4), (4, 0.4)]
    anew = [epoch_line(epoch(1, 0.3))]
    assert [one.train_loss for one in logged_epochs(text + log(*anew))] == [0.3]
    endless, said = "epoch 7: train loss 1e999, val loss 0, val Dice 1, 1 s", "epoch 5: as a user's code says"
    odd = log(endless, said, epoch_line(epoch(1, float("nan"))))
    (found,) = logged_epochs(odd)
    assert (found.epoch, str(found.train_loss)) == (1, "nan")
    assert logged_epochs(text[:-10]) == logged_epochs(log("", *first, went_on[0]))  # its last line is being written


HOLD = """
import sys
from pathlib import Path
from ablate.study.study import Study
with Study.open(Path(sys.argv[1])).holding():
    print("holds", flush=True)
    sys.stdin.readline()
"""


def test_a_process_that_holds_the_study_is_known_while_it_lives(study):
    following = Following(study.path)
    assert not looked(following).held
    holds = subprocess.Popen([sys.executable, "-c", HOLD, str(study.path)], stdin=-1, stdout=-1, text=True)
    try:
        assert holds.stdout is not None
        assert holds.stdout.readline() == "holds\n"
        assert looked(following).held
    finally:
        holds.kill()
        holds.communicate()
    assert (study.path / ".lock").read_text().startswith("process ")  # it could not take that back
    assert not looked(following).held
