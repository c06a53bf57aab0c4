"""The trials of a search, as Ray Tune asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from ablate.runners.execution.queue import Queue
from ablate.runners.search.proposals import Proposal, Scored
from ablate.runners.search.proposer import Proposer

if TYPE_CHECKING:
    from ablate.runners.execution.budget import Budget
    from ablate.search_spaces.schedule import Times


class SearchQueue(Queue):
    """A search as Ray Tune asks for it: a proposal's trials one after the other, then the next proposal.

    `trials_of` gives a proposal's trials, one a seed, as Ray configurations with a `key`; `proposed` is told of each
    proposal before its first trial starts, to write it down. Trials that `ended` before are not asked for again.
    Each result says its `epoch` and `val_dice`. The last one of a trial that ended by itself has `ended`, with `state`
    "failed" where it is so; one without was stopped.
    """

    def __init__(
        self,
        proposer: Proposer,
        trials_of: Callable[[Proposal], Sequence[dict[str, Any]]],
        *,
        proposed: Callable[[Proposal], None] = lambda proposal: None,
        ended: Mapping[str, Scored] | None = None,
        budget: Budget | None = None,
        whole: Times | None = None,
    ) -> None:
        super().__init__(budget, whole)
        self._proposer = proposer
        self._trials_of = trials_of
        self._note = proposed
        self._ended = dict(ended or {})
        self._waiting: list[dict[str, Any]] = []
        self._keys: dict[str, list[str]] = {}
        self._running: dict[str, tuple[str, str]] = {}
        self._best: dict[str, float] = {}
        for proposal in proposer.pending():
            self._take(proposal)

    @property
    def over(self) -> bool:
        """Whether everything that was proposed has ended, and nothing more will be."""
        return not self._waiting and not self._running and self._proposer.is_done

    def suggest(self, trial_id: str) -> Any:
        while not self._waiting:
            if self.budget.is_over:
                return self.none_fits()
            proposal = self._proposer.ask()
            if proposal is None:
                return Searcher.FINISHED
            self._note(proposal)
            self._take(proposal)
        job = self._waiting[0].get("job")  # without, it is a recorded trial that is replayed
        if self.budget.is_over or (job and not self.fits(job.planned)):
            return self.none_fits()
        config = self._waiting.pop(0)
        key = config["key"]
        if job:
            config = self.give(job.planned)
        self._running[trial_id] = (key, next(cell for cell, keys in self._keys.items() if key in keys))
        return config

    def _take(self, proposal: Proposal) -> None:
        configs = self._trials_of(proposal)
        self._keys[proposal.cell] = [config["key"] for config in configs]
        self._waiting += [config for config in configs if config["key"] not in self._ended]
        self._tell_if_done(proposal.cell)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "val_dice" in result:  # else it is not of an epoch
            self._best[trial_id] = max(result["val_dice"], self._best.get(trial_id, 0.0))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        last = result or {}
        self.on_trial_result(trial_id, last)
        key, cell = self._running.pop(trial_id)
        best = self._best.pop(trial_id, None)
        if error or last.get("state") == "failed":
            self._ended[key] = Scored(None)
        else:
            self._ended[key] = Scored(best) if last.get("ended") else Scored(None, is_stopped=True)
        self._tell_if_done(cell)

    def _tell_if_done(self, cell: str) -> None:
        keys = self._keys[cell]
        if all(key in self._ended for key in keys):
            self._proposer.tell(cell, Scored.of([self._ended[key] for key in keys]))
