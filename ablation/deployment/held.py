"""An exported file held against the network that it was made of, on the images that judged the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ablate.data.dataset import Dataset
from ablate.data.ragged import Chosen, chosen
from ablate.data.spacing import spacings_at
from ablate.metrics.base import MetricFunction
from ablate.metrics.counts import class_count, scores
from ablate.training.inference import predictions_of
from ablate.training.judging import counts_of, measured_all
from ablate.training.loop import Result
from ablate.trial import TrialConfig

TOLERANCE = 1e-4
"""How far a logit may be off, where logits are of the order of 1: float32 in another order of sums."""


class Held(NamedTuple):
    """What a file computes of a trial's test images, beside what its network does."""

    images: int
    difference: float
    """The furthest that a logit is off, over the greatest logit or 1, whichever is more."""
    pixels: int
    """Of the masks."""
    others: int
    """Pixels of another class."""
    dice: float
    """Of the file's masks, mean over images."""
    network_dice: float

    @property
    def is_equal(self) -> bool:
        return self.difference <= TOLERANCE


class _Beside(nn.Module):
    """What `exported` computes, with how far that is from what `network` does."""

    def __init__(self, network: nn.Module, exported: nn.Module) -> None:
        super().__init__()
        self.network, self.exported = network, exported
        self.furthest, self.greatest = 0.0, 1.0

    def forward(self, images: Tensor) -> Tensor:
        expected: Tensor = self.network(images)
        found: Tensor = self.exported(images)
        self.furthest = max(self.furthest, float((found - expected).abs().max()))
        self.greatest = max(self.greatest, float(expected.abs().max()))
        return found


def held_against(network: nn.Module, exported: nn.Module, trial: TrialConfig, dataset: Dataset) -> Held:
    """What `judged` says in short."""
    return judged(network, exported, trial, dataset).held


class Judged(NamedTuple):
    held: Held
    result: Result
    """What the file finds, as what a network finds is kept."""


def judged(
    network: nn.Module,
    exported: nn.Module,
    trial: TrialConfig,
    dataset: Dataset,
    metrics: Mapping[str, MetricFunction] | None = None,
) -> Judged:
    """What a file finds in the test images, beside its network.

    They go through as when the trial was judged: in batches, by windows where patches are drawn, with its flips.

    `trial`: whose data are prepared as `dataset` is. `metrics`: its own, by label, to be kept too.
    """
    beside, test = _Beside(network, exported), dataset.split(trial.protocol.split).test
    own_sizes = [dataset.own_sizes[i] for i in test] if dataset.own_sizes else []
    images, masks, cpu = Chosen(dataset.images, test), chosen(dataset.judged_by, test), torch.device("cpu")
    found = predictions_of(beside, images, own_sizes, trial, cpu)
    expected = predictions_of(network, images, own_sizes, trial, cpu)
    classes = class_count(trial.data.classes)
    counts = counts_of(found, masks, classes)
    result = Result(
        epochs=[],
        best_epoch=0,
        ids=tuple(dataset.ids[i] for i in test),
        cases=tuple(dataset.cases[i] for i in test),
        counts=counts,
        predictions=found,
        weights={},
        more=measured_all(metrics or {}, found, masks, classes, spacings_at(dataset, test)),
    )
    held = Held(
        images=len(test),
        difference=beside.furthest / beside.greatest,
        pixels=sum(mask.size for mask in expected),
        others=sum(int(np.count_nonzero(one != other)) for one, other in zip(found, expected, strict=True)),
        dice=scores(counts).dice,
        network_dice=scores(counts_of(expected, masks, classes)).dice,
    )
    return Judged(held, result)
