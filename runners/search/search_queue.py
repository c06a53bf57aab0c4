"""The trials of a search, as Ray Tune asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from ablate.runners.execution.queue import Queue
from ablate.runners.search.proposals import Proposal, Scored
from ablate.runners.search.proposer import Proposer


class SearchQueue(Queue):
    """A search as Ray Tune asks for it: a proposal's trials one after the other, then the next proposal.

    `trials_of` gives a proposal's trials, one a seed, as Ray configurations with a `key`; `proposed` is told of each
    proposal before its first trial starts, to write it down. Trials that ended before (`ended`, their validation Dice
    or None where they failed) are not asked for again. A proposal scores the mean over its seeds that have a score.
    Each result says its `epoch` and `val_dice`; a last one may add `ended`, with `state` "failed" where it is so.
    After `budget_epochs` epochs, `spent` among them, nothing more is proposed; what is under way goes on.
    """

    def __init__(
        self,
        proposer: Proposer,
        trials_of: Callable[[Proposal], Sequence[dict[str, Any]]],
        *,
        proposed: Callable[[Proposal], None] = lambda proposal: None,
        ended: Mapping[str, float | None] | None = None,
        budget_epochs: int | None = None,
        spent: int = 0,
    ) -> None:
        super().__init__()
        self._proposer = proposer
        self._trials_of = trials_of
        self._note = proposed
        self._ended = dict(ended or {})
        self._budget = budget_epochs
        self._spent = spent
        self._waiting: list[dict[str, Any]] = []
        self._keys: dict[str, list[str]] = {}
        self._running: dict[str, tuple[str, str]] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        for proposal in proposer.pending():
            self._take(proposal)

    @property
    def over(self) -> bool:
        """Whether everything that was proposed has ended, and nothing more will be."""
        return not self._waiting and not self._running and (self._proposer.is_done or self._is_spent)

    @property
    def _is_spent(self) -> bool:
        return self._budget is not None and self._spent >= self._budget

    def suggest(self, trial_id: str) -> Any:
        while not self._waiting:
            if self._is_spent:
                return Searcher.FINISHED
            proposal = self._proposer.ask()
            if proposal is None:
                return Searcher.FINISHED
            self._note(proposal)
            self._take(proposal)
        config = self._waiting.pop(0)
        key = config["key"]
        if "job" in config:  # else it is a recorded trial that is replayed
            config = self.give(config["job"].planned)
        self._running[trial_id] = (key, next(cell for cell, keys in self._keys.items() if key in keys))
        return config

    def _take(self, proposal: Proposal) -> None:
        configs = self._trials_of(proposal)
        self._keys[proposal.cell] = [config["key"] for config in configs]
        self._waiting += [config for config in configs if config["key"] not in self._ended]
        self._tell_if_done(proposal.cell)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "val_dice" in result:  # else it is not of an epoch
            epoch, best = self._seen.get(trial_id, (0, 0.0))
            self._spent += max(result["epoch"] - epoch, 0)
            self._seen[trial_id] = result["epoch"], max(best, result["val_dice"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result:
            self.on_trial_result(trial_id, result)
        key, cell = self._running.pop(trial_id)
        _, best = self._seen.pop(trial_id, (0, None))
        self._ended[key] = None if error or (result or {}).get("state") == "failed" else best
        self._tell_if_done(cell)

    def _tell_if_done(self, cell: str) -> None:
        keys = self._keys[cell]
        if all(key in self._ended for key in keys):
            self._proposer.tell(cell, Scored.of([self._ended[key] for key in keys]))
