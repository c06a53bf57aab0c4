"""Which trial comes next. Ray Tune asks when it has room for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from ablate.cost.machine import this_machine
from ablate.modules import used_code
from ablate.runners.execution.budget import Budget
from ablate.search_spaces.plan import Planned
from ablate.search_spaces.schedule import Times, longest_first, shuffled
from ablate.study.study import Study
from ablate.user_code import UserCode


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of a trial."""

    planned: Planned
    code: UserCode
    """The user's modules that it names."""

    # Ray Tune copies each trial's configuration several times, and writes it out.
    def __deepcopy__(self, memo: dict[int, Any]) -> Job:
        return self  # nothing of it changes

    def __repr__(self) -> str:
        return f"Job({self.planned.key})"


def suggestion(planned: Planned) -> dict[str, Any]:
    """A trial as Ray Tune's configuration; `levels` are for its loggers to show."""
    return {"key": planned.key, "job": Job(planned, used_code()), "levels": planned.levels, "seed": planned.config.seed}


class Queue(Searcher):
    """The trials that Ray Tune asks for (it calls that a searcher): says what it gave, and leaves no state with Ray."""

    def __init__(self, budget: Budget | None = None, whole: Times | None = None) -> None:
        """`whole`: nothing stops trials, so that one starts only if the budget lets it end; how long each takes."""
        super().__init__()
        self.budget = budget or Budget()
        """What may be spent on them. Once that is over, no more are given."""
        self._whole = whole
        self.given: list[Planned] = []
        """The trials that were asked for."""
        self.costs: dict[str, tuple[int, int]] = {}
        """Their parameters and MACs, by key."""
        self.cells: dict[str, str] = {}
        """Their cells, by key."""
        self.again: Collection[str] = ()
        """Keys of complete trials that are to be trained anew."""
        self.scheduler: TrialScheduler | None = None
        """What ends them, where one was made for this queue. It may stop a trial that is given again later."""

    def give(self, planned: Planned) -> dict[str, Any]:
        """Note that a trial was asked for; what Ray Tune gets."""
        if planned.key not in self.cells:  # a search may give one again
            self.given.append(planned)
        self.costs[planned.key] = planned.params, planned.macs
        self.cells[planned.key] = planned.config.cell
        self.budget.starts(planned.key, planned.config.protocol.epochs)
        return suggestion(planned)

    def fits(self, planned: Planned) -> bool:
        """Whether a trial may start: where nothing stops it, whether the budget lets it end."""
        if self._whole is None or not self.budget.is_limited:
            return not self.budget.is_over
        # Before an epoch was timed here, what is foretold is of another machine.
        seconds = self._whole.epoch(self._whole.foretold(planned)) if self._whole.known else 0.0
        return self.budget.allows(planned.key, planned.config.protocol.epochs, seconds)

    def none_fits(self) -> Any:
        """What Ray Tune gets where no trial may start: not now, or, where nothing is under way, that it was all."""
        self.budget.held = True
        return Searcher.FINISHED if self.budget.is_over or self.budget.is_idle else None

    @property
    def left(self) -> list[Planned]:
        """The trials that are still to be asked for, as far as they are known."""
        return []

    @property
    def elsewhere(self) -> list[str]:
        """Keys of the trials that another run is training."""
        return []

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass

    # What a search was to Ray is disposable, for the study remembers; and the one that Ray asks is this one.
    def __deepcopy__(self, memo: dict[int, Any]) -> Queue:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Searcher, ()

    def save(self, checkpoint_path: str) -> None:
        pass

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


class PlanQueue(Queue):
    """Gives the trials of a plan, the longest first or, where some may be stopped, shuffled
    (`ablate.search_spaces.schedule`).

    A trial is claimed as it is given. One that another run of a shared study has claimed is left to that run, and asked
    for once more at the end, in case that run was killed. Complete trials are given only if their keys are in `again`.
    """

    def __init__(
        self,
        study: Study,
        plan: Sequence[Planned],
        *,
        times: Times | None = None,
        again: Collection[str] = (),
        stops: bool = False,
        budget: Budget | None = None,
    ) -> None:
        """`times`: how long each takes; by default as on one thread of this machine. `stops`: whether a scheduler may
        stop trials."""
        times = times or Times.of(this_machine(), study, plan)
        super().__init__(budget, None if stops else times)
        self.again = again
        self._study = study
        self._before = study.records()
        order = shuffled(plan, lambda planned: planned.config.cell) if stops else longest_first(plan, times)
        self._waiting = deque(order)
        self._elsewhere: list[Planned] = []
        self._asked_again = False

    @property
    def left(self) -> list[Planned]:
        return list(self._waiting)

    @property
    def elsewhere(self) -> list[str]:
        return [planned.key for planned in self._elsewhere]

    def suggest(self, trial_id: str) -> Any:
        while True:
            if not self._waiting:
                if self._asked_again or not self._elsewhere:
                    return Searcher.FINISHED
                self._waiting, self._elsewhere, self._asked_again = deque(self._elsewhere), [], True
            planned = next(filter(self.fits, self._waiting), None)
            if planned is None:
                return self.none_fits()
            self._waiting.remove(planned)
            if not self._study.claim(planned.key):
                self._elsewhere.append(planned)
            elif self._ended_elsewhere(planned.key):
                self._study.release(planned.key)
            else:
                return self.give(planned)

    def _ended_elsewhere(self, key: str) -> bool:
        record = self._study.record(key)
        if record is None or record != self._before.get(key):
            return record is not None
        return record.state == "complete" and key not in self.again
