"""The record of a trial that a scheduler stopped: at the best of the epochs it had, by what selects it."""

from __future__ import annotations

import pytest

from ablate.data.settings import Mni152
from ablate.models.settings import UNet
from ablate.runners.execution.trainable import make_record
from ablate.training.checkpoint import Epoch
from ablate.trial import Protocol, TrialConfig


def epoch(number: int, loss: float, dice: float, iou: float, miou: float) -> Epoch:
    return Epoch(number, 1.0, loss, dice, iou, miou, 1.0, 1.0)


EPOCHS = [epoch(1, 0.1, 0.2, 0.3, 0.4), epoch(2, 0.4, 0.9, 0.2, 0.3), epoch(3, 0.3, 0.9, 0.1, 0.2),
          epoch(4, 0.2, 0.1, 0.8, 0.1), epoch(5, 0.5, 0.3, 0.4, 0.7)]  # fmt: skip


@pytest.mark.parametrize(("select", "best"), [("dice", 3), ("iou", 4), ("miou", 5), ("loss", 1), ("surface_dice", 3)])
def test_a_stopped_trial_is_recorded_at_its_best_epoch(select, best):
    config = TrialConfig(
        model=UNet(), data=Mni152(fingerprint="abc"), protocol=Protocol(select=select), metrics=("surface_dice",)
    )
    record = make_record(config, 1, 1, EPOCHS, None, stopped=True)
    assert record.state == "stopped"
    assert record.best_epoch == best
    assert record.val_dice == EPOCHS[best - 1].val_dice
