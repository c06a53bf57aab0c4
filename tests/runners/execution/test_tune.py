"""What a run makes of its trials' ends, through real Ray, with trials that train nothing."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ablate.data.settings import Phantom
from ablate.errors import Halted
from ablate.models.settings import UNet
from ablate.runners.execution.queue import PlanQueue
from ablate.runners.execution.resources import Resources
from ablate.runners.execution.trainable import Workplace
from ablate.runners.execution.tune import How, Trained, ray_session, train_missing
from ablate.runners.request import Training
from ablate.runners.watch.progress import Progress
from ablate.search_spaces.plan import Planned
from ablate.study.runs import Run
from ablate.study.study import Study
from ablate.trial import Protocol, TrialConfig

PLAN = [
    Planned(
        TrialConfig(model=UNet(width=width, stages=2), data=Phantom(size=(8, 8)), protocol=Protocol(epochs=2)),
        {"width": str(width)},
        width,
        width,
    )
    for width in (2, 3, 4)
]
FRAIL = PLAN[1].key


def behave(config: dict[str, Any], workplace: Workplace) -> None:
    """As a trial behaves; the frail one as its space's name asks for, which is told by `threads`."""
    import os

    import ray.tune

    from ablate.runners.execution.trainable import arrival_name, make_record
    from ablate.study.trial_folder import pack
    from ablate.training.checkpoint import Epoch
    from ablate.training.loop import Result

    planned, frail = config["job"].planned, config["key"] == FRAIL
    row = Epoch(1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 10.0)
    ray.tune.report({"ended": False, "said": "hello\n", **row._asdict()})
    if frail and workplace.threads == 11 and not workplace.last_chance:
        ray.tune.report({"ended": False, "said": "", "out_of_memory": "MemoryError: too much"})
        return
    if frail and workplace.threads == 12:
        os._exit(1)
    if workplace.threads == 13:
        ray.tune.report({"ended": False, "said": "", "halt": "storage 'there': No space left on device (on here)"})
        return
    result = Result([row], 1, ("a",), np.ones((1, 2, 4), np.int64), np.zeros((1, 8, 8), np.uint8), {})
    record = make_record(planned.config, planned.params, planned.macs, [row], result)
    workplace.storage.write(arrival_name(planned.key), pack(planned.config, record, [row], result))
    ray.tune.report({"ended": True, "said": ""})


class Case:
    """A study in which the frail trial behaves in one way (11 to 13); others behave well."""

    def __init__(self, folder: Any, way: int) -> None:
        self.study, self.way, self.printed = Study.open_or_new(folder / "study"), way, io.StringIO()

    def run(self) -> Trained:
        levels = {trial.key: trial.levels for trial in PLAN}
        run = Run(
            space="s", question="?", profile="quick", design="grid", factors={}, definition={}, trials=levels
        )  # fmt: skip
        how = How(Resources(cpus=self.way, gpus=0, max_concurrent=1), Training(max_failures=1))
        with self.study.writing():
            self.study.plan(run, threads=1, data_dir=None)
            with Progress(Console(file=self.printed), self.study, PLAN, {}) as progress:
                return train_missing(self.study, PlanQueue(self.study, PLAN), {}, how, progress, behave)


@pytest.fixture(scope="module", autouse=True)
def session():
    import ray
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test
    with ray_session(None):
        ray.shutdown()
        ray.init("local", num_cpus=16, include_dashboard=False, configure_logging=False, log_to_driver=False)
        yield


def test_a_trial_that_runs_out_of_memory_is_trained_again_alone_after_the_others(tmp_path):
    case = Case(tmp_path, 11)
    outcome = case.run()
    assert [record.key for record in outcome.trained] == [PLAN[2].key, PLAN[0].key, FRAIL]
    assert {record.state for record in outcome.trained} == {"complete"}
    assert outcome.missing == []
    assert f"{FRAIL} ran out of memory: to be tried again alone, after the others" in case.printed.getvalue()


def test_a_trial_whose_process_keeps_dying_fails_with_that_reason_and_its_log(tmp_path):
    case = Case(tmp_path, 12)
    outcome = case.run()
    records = case.study.records()
    assert outcome.missing == []
    assert records[FRAIL].state == "failed"
    assert records[FRAIL].error == "its process died 2 times (killed, or out of memory)"
    assert records[PLAN[0].key].state == records[PLAN[2].key].state == "complete"
    log = (case.study.path / "logs" / f"{FRAIL}.log").read_text()
    assert log.count("hello") == 2
    assert "it goes on from epoch 1" in log


def test_a_storage_that_cannot_be_written_halts_the_run_and_blames_no_trial(tmp_path):
    case = Case(tmp_path, 13)
    with pytest.raises(Halted, match=r"No space left on device \(on here\). 0 trials"):
        case.run()
    assert case.study.records() == {}
