"""What a scheduler is to a run: settings, and `build`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.errors import InputError
from ablate.kinds import KINDS, Asked, make, name_of, own_parts, part_of
from ablate.part import Part
from ablate.settings import Config

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

Costs = Mapping[str, Sequence[float]]
"""What a trial costs (parameters, MACs, …) by its key; asked when a trial first reports, so it may grow in a run."""
Cells = Mapping[str, str]
"""The cell of a trial by its key: seeds and folds of one configuration share it. It may grow in a run, too."""


class Scheduler(Config):
    """Base of all schedulers: settings as typed fields, and `build`.

    class Impatient(Scheduler):
        least: float = 0.1

        def build(self, costs, max_epochs):
            return StopsBelow(self.least)  # a ray.tune.schedulers.TrialScheduler

    Trials have {"key": …} in their configuration and report {"epoch": from 1, "val_dice": …, "val_loss": …} after each
    epoch; of their other reports it is not told, and after the last epoch it is not heard.
    """

    pauses: ClassVar[bool] = False
    """Whether it pauses trials. Ray counts those among the ones that run, so then the machine's room is the limit."""

    def build(self, costs: Costs, max_epochs: int) -> TrialScheduler:
        """One of Ray Tune's schedulers, for one run. `max_epochs`: of any trial.

        One that has `observe(key, scores)` is told what each complete trial of an earlier run scored after its epochs,
        and one that has `observe_stopped(key, scores, goes_on=…)` of those that were stopped, of which some go on now.
        One that has `know_cells(cells)` is told which trials are seeds and folds of one configuration (`Cells`).
        """
        raise NotImplementedError(f"{type(self).__name__} has no build")


def scheduler_part(asked: Asked) -> Part:
    """A scheduler as a user named it, checked. Raises `InputError` for one that does not exist."""
    if name_of(asked) == "pbt":
        raise InputError(
            "scheduler pbt: population-based training changes a trial's configuration while it trains, and here a "
            f"trial is its configuration: choose one of {', '.join(own_parts(KINDS['scheduler']))}"
        )
    return part_of(KINDS["scheduler"], asked)


def pauses(asked: Asked) -> bool:
    """Whether this scheduler pauses trials. Raises as `scheduler_part` does."""
    return bool(make(KINDS["scheduler"], scheduler_part(asked)).pauses)


def make_scheduler(
    asked: Asked, *, costs: Costs, max_epochs: int, cells: Cells | None = None, **settings: Any
) -> TrialScheduler:
    """A scheduler, however it is named, for one run; `settings` are those of a name alone. Without `cells` each trial
    is one of its own.

    Raises `InputError` for one that does not exist, settings out of range, and what gives no scheduler.
    """
    from ray.tune.schedulers import TrialScheduler

    from ablate.calls import said
    from ablate.runners.search.of_epochs import OfEpochs

    part = scheduler_part({"name": asked, **settings} if isinstance(asked, str) else asked)
    try:
        found = make(KINDS["scheduler"], part).build(costs, max_epochs)
    except Exception as error:
        if isinstance(error, InputError) or not part.made_by:
            raise
        raise InputError(f"scheduler {part.name} cannot be made: {said(error)}") from error
    if not isinstance(found, TrialScheduler):
        raise InputError(
            f"scheduler {part.name} gives a {type(found).__name__}: expected a ray.tune.schedulers.TrialScheduler"
        )
    if tell := getattr(found, "know_cells", None):
        tell(cells or {})
    return OfEpochs(found, max_epochs, part.name) if part.made_by else found


def knows_cells(scheduler: TrialScheduler) -> bool:
    """Whether a scheduler can tell seeds of one configuration from two configurations; one that stops nothing need
    not."""
    from ray.tune.schedulers import FIFOScheduler

    inner = getattr(scheduler, "scheduler", scheduler)
    return hasattr(inner, "know_cells") or type(inner) is FIFOScheduler
