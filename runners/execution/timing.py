"""How long trials take where they are trained, and how many of them at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablate.cost.machine import this_machine
from ablate.search_spaces.schedule import Times

if TYPE_CHECKING:
    from ablate.runners.execution.nodes import Node
    from ablate.runners.execution.resources import Resources
    from ablate.search_spaces.plan import Planned
    from ablate.study.study import Study


def times_on(node: Node, resources: Resources, study: Study | None, trials: Sequence[Planned] = ()) -> Times:
    """Of trials that each have these resources of `node`, which is this machine.

    `study`: whose trials tell what it takes. `trials`: those that are to be foretold.
    """
    card = node.cards[0].name if node.cards and resources.gpus else ""
    return Times.of(this_machine(resources.threads, resources.workers, card), study, trials)


def at_a_time(node: Node, resources: Resources) -> int:
    """How many trials with these resources `node` trains at once."""
    by_cpus = node.cpus // (resources.cpus * resources.workers)
    by_gpus = int(node.gpus / resources.gpus) if resources.gpus else by_cpus
    return max(1, min(by_cpus, by_gpus, resources.max_concurrent or by_cpus))
