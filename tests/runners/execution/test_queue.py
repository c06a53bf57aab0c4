"""Which trial comes next, where two runs share a study."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from ablate.data.settings import Phantom
from ablate.models.settings import UNet
from ablate.runners.execution.queue import PlanQueue
from ablate.search_spaces.plan import Planned
from ablate.study.records import Record
from ablate.study.study import Study
from ablate.study.trial_folder import pack
from ablate.trial import TrialConfig

PLAN = [
    Planned(TrialConfig(model=UNet(width=width, stages=2), data=Phantom(), seed=0), {}, 10, macs)
    for width, macs in ((3, 20), (4, 10), (2, 30))
]
LONGEST_FIRST = [PLAN[1].key, PLAN[0].key, PLAN[2].key]
"""By their layers, and not by the MACs that are told of them."""


def asked(queue: PlanQueue, times: int) -> list[Any]:
    found = [queue.suggest(str(number)) for number in range(times)]
    return [answer if answer == Searcher.FINISHED else answer["key"] for answer in found]


def end(study: Study, planned: Planned, state: Any = "complete") -> None:
    config = planned.config
    record = Record(
        key=planned.key,
        cell=config.cell,
        model="unet",
        seed=0,
        state=state,
        params=planned.params,
        macs=planned.macs,
        val_dice=0.5,
    )
    study.accept(planned.key, pack(config, record, [], None))


def hold(path: Path, keys: list[str], holds: Any, ended: Any) -> None:
    study = Study.open_or_new(path)
    assert all(study.claim(key) for key in keys)
    holds.set()
    ended.wait(60)


def test_the_longest_trials_come_first_and_then_it_is_finished(tmp_path):
    with Study.open_or_new(tmp_path).writing() as study:
        assert asked(PlanQueue(study, PLAN), 4) == [*LONGEST_FIRST, Searcher.FINISHED]


def test_a_trial_that_another_run_has_is_left_to_it_and_asked_for_again_at_the_end(tmp_path):
    context = multiprocessing.get_context("spawn")
    holds, ended = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, [PLAN[1].key], holds, ended))
    with Study.open_or_new(tmp_path).writing() as study:
        other.start()
        assert holds.wait(60)
        queue = PlanQueue(study, PLAN)
        assert asked(queue, 2) == [PLAN[0].key, PLAN[2].key]
        assert queue.elsewhere == [PLAN[1].key]
        ended.set()  # that run ends without the trial, as one that is killed
        other.join()
        assert asked(queue, 2) == [PLAN[1].key, Searcher.FINISHED]
        assert queue.elsewhere == []
    assert [planned.key for planned in queue.given] == [PLAN[0].key, PLAN[2].key, PLAN[1].key]


def test_a_trial_that_ended_meanwhile_is_not_given(tmp_path):
    with Study.open_or_new(tmp_path).writing() as study:
        early = PlanQueue(study, PLAN)
        end(study, PLAN[0])
        assert asked(early, 3) == [PLAN[1].key, PLAN[2].key, Searcher.FINISHED]
        assert asked(PlanQueue(study, [PLAN[0]]), 1) == [Searcher.FINISHED]
        anew = PlanQueue(study, [PLAN[0]], again={PLAN[0].key})
        assert asked(anew, 2) == [PLAN[0].key, Searcher.FINISHED]
        study.release(PLAN[0].key)
        late = PlanQueue(study, [PLAN[0]], again={PLAN[0].key})
        end(study, PLAN[0]._replace(params=11))
        assert asked(late, 1) == [Searcher.FINISHED]  # another run has trained it anew


def test_a_trial_that_failed_before_is_given_once_more(tmp_path):
    with Study.open_or_new(tmp_path).writing() as study:
        end(study, PLAN[0], "failed")
        assert asked(PlanQueue(study, [PLAN[0]]), 2) == [PLAN[0].key, Searcher.FINISHED]
