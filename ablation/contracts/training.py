"""That a training which was killed and goes on from its checkpoint is one that was not."""

from __future__ import annotations

from typing import Any

import torch

from ablate.contracts.contract import everything_from
from ablate.data.load import load_data
from ablate.data.settings import Phantom
from ablate.training.checkpoint import Epoch
from ablate.training.loop import Result, train
from ablate.trial import Protocol, TrialConfig

_IMAGES = 5
"""Of which three train, in one batch: the least that a split leaves something of each."""


class _Memory:
    """A checkpoint that lives as long as the check."""

    data: bytes | None = None

    def read(self) -> bytes | None:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = data


class _Killed(BaseException):
    """Ends a training after an epoch."""


def two_epochs(tried: Any, *, killed: bool) -> Result:
    """Two epochs of a network on a handful of phantoms; `killed`: after the first, and resumed."""
    side = max(tried.size)
    dataset = load_data(Phantom(count=_IMAGES, size=(side, side)))
    trial = TrialConfig(
        model=tried.part, data=dataset.config, protocol=Protocol(epochs=2, batch_size=2, augment=("hflip",))
    )
    memory = _Memory()

    def kill(epoch: Epoch) -> None:
        raise _Killed

    if killed:
        try:
            everything_from(0)
            train(trial, dataset, device=torch.device("cpu"), report=kill, checkpoint=memory)
        except _Killed:
            everything_from(1)  # another process has another state
    else:
        everything_from(0)
    return train(trial, dataset, device=torch.device("cpu"), checkpoint=memory)


def resumed_training_equals_uninterrupted(net: Any) -> str:
    whole, resumed = two_epochs(net, killed=False), two_epochs(net, killed=True)
    losses = [[row.train_loss for row in result.epochs] for result in (whole, resumed)]
    differ = [n for n in whole.weights if not torch.equal(whole.weights[n], resumed.weights[n])]
    if losses[0] == losses[1] and not differ:
        return ""
    what = f"{differ[0]} differs" if differ else f"the last loss is {losses[1][-1]:.6g}, not {losses[0][-1]:.6g}"
    return (
        f"an epoch and one from its checkpoint are not two epochs ({what}): what changes in training must be a buffer, "
        "and what is drawn must come from torch"
    )
