"""How long trials take where they are trained."""

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
