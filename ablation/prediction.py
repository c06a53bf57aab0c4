"""Segment new images with trained trials, prepared as their training images were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ablate.data.axes import Reading
from ablate.data.dataset import prepare_images
from ablate.data.pairing import Pair
from ablate.data.picture import Picture, upright
from ablate.data.ragged import Chosen
from ablate.data.samples import with_all_channels
from ablate.data.source import Sample
from ablate.errors import InputError
from ablate.files import kind
from ablate.models.build import build_model
from ablate.training.devices import choose_device
from ablate.training.inference import classify, predictions_of, probabilities_of

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset
    from ablate.part import DataPart
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

WEIGHTS = "model.safetensors"


class Predictor:
    """A trained network with the preparation that its trial's data had."""

    def __init__(self, trial: TrialConfig, weights: bytes, device: torch.device | None = None) -> None:
        """`weights`: a safetensors document. `device`: the best one, if none is given.

        Raises `InputError` if the weights are not those of the trial's network.
        """
        self.trial = trial
        self._device = device or choose_device()
        model = build_model(trial.model, trial.data.channels, trial.data.classes, trial.data.size)
        try:
            model.load_state_dict(load(weights))
        except (SafetensorError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise InputError(f"the weights of trial {trial.key} do not fit its network: {reason}") from None
        self.network = model.to(self._device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @classmethod
    def of_trial(
        cls, study: Study, key: str, trial: TrialConfig | None = None, device: torch.device | None = None
    ) -> Predictor:
        """The network of trial `key`, whose images are prepared as `trial` says, if it is given.

        Raises `InputError` for a key without weights, and if they were changed.
        """
        trial = trial or study.config(key)
        if not kind(study.trial_dir(key) / WEIGHTS):
            raise InputError(f"trial {key} ({trial.model.name}) has no weights: give the key of a complete trial")
        return cls(trial, study.read(key, WEIGHTS), device)

    def of_dataset(self, dataset: Dataset) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        """Class indices of the test images of the trial's data set, in the split's order: (N, H, W), or each (h, w)
        where they are scored at their own size."""
        test = dataset.split(self.trial.protocol.split).test
        own_sizes = [dataset.own_sizes[i] for i in test] if dataset.own_sizes else []
        return predictions_of(self.network, Chosen(dataset.images, test), own_sizes, self.trial, self._device)

    def probabilities(self, samples: Sequence[Sample]) -> Iterator[Tensor]:
        """Of each class of each image, (C, h, w) at the image's own size; of the foreground alone where C is 1.

        Images of one `group` are prepared as one volume. Probabilities are brought to the image's size before anything
        is decided on them.
        """
        prepared = prepare_images(samples, self.trial.data)
        own_sizes = [(sample.image.shape[0], sample.image.shape[1]) for sample in samples]
        return probabilities_of(self.network, prepared, own_sizes, self.trial, self._device)


class Segmentation(NamedTuple):
    """What was found in an image file, at its own size and upright."""

    picture: Picture
    """What was read."""
    classes: NDArray[np.uint8]
    """(slices, H, W) class indices."""
    probabilities: NDArray[np.float32] | None
    """(slices, classes, H, W), or (slices, 1, H, W) of the foreground; only where asked for."""


class Ensemble:
    """Several trained networks, whose probabilities are averaged; or one."""

    def __init__(self, members: Sequence[Predictor]) -> None:
        """Raises `InputError` for members that were not trained on data described alike."""
        self.members = tuple(members)
        first, *others = (member.trial for member in self.members)
        for other in others:
            if different := _different(first.data, other.data):
                raise InputError(
                    f"trials {first.key} and {other.key} cannot be averaged: their {different} differ; "
                    "average trials of one description of the data"
                )

    @classmethod
    def of_trials(cls, study: Study, keys: Sequence[str]) -> Ensemble:
        """The networks of these trials. Raises as `Predictor.of_trial` does, and for networks that do not fit."""
        return cls([Predictor.of_trial(study, key) for key in keys])

    @property
    def data(self) -> DataPart:
        """What the members have in common."""
        return self.members[0].trial.data

    def segment(self, path: Path, others: Sequence[Path] = (), *, probabilities: bool = False) -> Segmentation:
        """What is in an image file, read as the images that were learnt from. `others`: files of further channels.

        Raises `InputError` if it is no image, or not of the channels that were learnt.
        """
        picture = with_all_channels(Pair(path.name, path, path, tuple(others)), Reading.of(self.data))
        slices = upright(picture).slices
        planes = slices[..., 0] if slices.shape[-1] == 1 else slices
        blank = np.zeros(planes.shape[1:3], dtype=np.uint8)
        samples = [Sample(path.name, path.name, plane, blank) for plane in planes]
        classes = np.empty(planes.shape[:3], dtype=np.uint8)
        kept = np.empty((len(planes), self.data.classes, *blank.shape), dtype=np.float32) if probabilities else None
        found = zip(*(member.probabilities(samples) for member in self.members), strict=True)
        for number, of_members in enumerate(found):
            mean = sum(of_members[1:], start=of_members[0]) / len(of_members)
            classes[number] = classify(mean[None])[0]
            if kept is not None:
                kept[number] = mean.numpy()
        return Segmentation(picture, classes, kept)


_OF_THE_TRIAL = ("size", "fingerprint")
"""What may differ between the data of trials that are averaged."""


def _different(one: DataPart, other: DataPart) -> str:
    """What two descriptions of data differ in, in words; empty where they agree."""
    first, second = ({"name": data.name} | data.settings for data in (one, other))
    names = sorted(first.keys() | second.keys())
    return ", ".join(
        f"data.{name}" for name in names if name not in _OF_THE_TRIAL and first.get(name) != second.get(name)
    )
