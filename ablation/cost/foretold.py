"""Seconds that an epoch of a trial takes: foretold from its network's shapes, and corrected by epochs that were timed.

Not MACs: on a CPU a convolution whose groups have one channel takes ten times a plain one's time for the same MACs.
Before the machine was timed, the seconds are of one thread of a typical core (`ablate.cost.layer_times`), of a network
that the project does not know by its MACs alone, and of a card or Apple's chip by MACs at one rate. `Timed` then says
what epochs took over what was foretold of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from statistics import median
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from ablate.cost.layer_times import ADAM, layer_nanoseconds
from ablate.data.fit import fit_of

if TYPE_CHECKING:
    from ablate.cost.machine import Machine
    from ablate.data.fit import Size
    from ablate.part import Part
    from ablate.trial import TrialConfig

_NANOSECONDS_A_MAC = {"cpu": 1 / 20, "cuda": 1 / 3000, "mps": 1 / 500}
"""Forward, of a network whose layers are not known and of devices whose kernels are not: an order of magnitude. That of
a CPU is what U-Net takes in all on the typical core; those of `cuda` and `mps` were not measured."""
_TRAINING = 3.0
"""A training step over a forward pass, where all that is known is MACs."""
_THREADS = 0.85
"""The power of the number of threads by which a step gets faster."""


_Count = Annotated[int, Field(ge=0, le=10**12)]


class Images(NamedTuple):
    """How many images of the trial's size an epoch trains on and validates; of images that are cut, windows."""

    train: _Count
    val: _Count


@dataclass(frozen=True)
class Foretold:
    """Seconds of a trial's epoch, before its machine's own times are known."""

    trial: TrialConfig
    seconds: float
    by_layers: bool
    """Whether from the shapes of its layers; else from MACs alone."""

    @cached_property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Whom its times are like, the nearest first."""
        way = "by layers" if self.by_layers else "by MACs"
        return ("cell", self.trial.cell), ("network", self.trial.model.name), ("all", way)


def foretell(trial: TrialConfig, params: int, macs: int, images: Images, machine: Machine) -> Foretold:
    """An epoch of `trial`, whose network has so many parameters and MACs an image, on a machine as such.

    Raises `InputError` for a network that cannot be built.
    """
    data, batch = trial.data, trial.protocol.batch_size
    trained, judged, by_layers = _an_image(
        trial.model, data.channels, data.classes, data.size, batch, params, macs, machine.device
    )
    seconds = 1e-9 * (images.train * trained + images.val * judged)
    share = machine.threads**_THREADS * machine.workers if machine.device == "cpu" else machine.workers
    return Foretold(trial, seconds / share, by_layers)


@cache
def _an_image(
    model: Part, channels: int, classes: int, size: Size, batch: int, params: int, macs: int, device: str
) -> tuple[float, float, bool]:
    """Nanoseconds of an image in training and in validation, and whether they are from its layers' shapes."""
    from ablate.cost.layers import layers_of

    known = device == "cpu" and not model.made_by  # code of others is not imported to foretell its time
    layers = layers_of(model, channels, classes, size) if known else None
    if layers is None:
        forward = macs * _NANOSECONDS_A_MAC[device]
        return _TRAINING * forward, forward, False
    passes = [layer_nanoseconds(layer, batch) for layer in layers]
    step = sum(one.training for one in passes) + ADAM * params
    return step / batch, sum(one.forward for one in passes) / batch, True


def windows(own: Size, size: Size, overlap: float) -> int:
    """How many windows of `size` cover an image of its `own` size where they overlap by a share."""
    found = 1
    for side, window in zip(own, size, strict=True):
        found *= 1 + max(0, -(-(side - window) // max(1, int(window * (1 - overlap)))))
    return found


def epoch_images(trial: TrialConfig, train: Iterable[int], val: Iterable[int], own_sizes: tuple[Size, ...]) -> Images:
    """Of a split's training and validation images, by their indices in the data set, whose sizes are `own_sizes`."""
    protocol, data = trial.protocol, trial.data
    judged = list(val)
    if fit_of(data) == "patches" and own_sizes:
        cut = sum(windows(own_sizes[index], data.size, protocol.window_overlap) for index in judged)
    else:
        cut = len(judged)
    return Images(len(list(train)) * protocol.patches_per_image, cut)


# Learning a machine --------------------------------------------------------------------------------------------------


class Timed:
    """What epochs on one machine took, over what was foretold of them.

    An epoch to come takes what is foretold of it, times the median of the nearest that were timed: of its own cell,
    whose epochs differ in the seed alone; else of its network, by name; else of all that were foretold in its way. The
    median, for some may have had a neighbour.
    """

    def __init__(self) -> None:
        self._ratios: dict[tuple[str, str], list[float]] = {}
        self._medians: dict[tuple[str, str], float] = {}

    def see(self, foretold: Foretold, seconds: float) -> None:
        """Note that an epoch took so long; nothing where it took no time, or none was foretold."""
        if seconds > 0 and foretold.seconds > 0:
            for kind in foretold.kinds:
                self._ratios.setdefault(kind, []).append(seconds / foretold.seconds)
                self._medians.pop(kind, None)

    def seconds(self, foretold: Foretold) -> float:
        """Of an epoch, as far as is known."""
        if not self._ratios:
            return foretold.seconds
        nearest = next((kind for kind in foretold.kinds if kind in self._ratios), None)
        if nearest is None:
            return foretold.seconds
        if nearest not in self._medians:
            self._medians[nearest] = median(self._ratios[nearest])
        return foretold.seconds * self._medians[nearest]

    def __bool__(self) -> bool:
        """Whether any was seen."""
        return bool(self._ratios)
