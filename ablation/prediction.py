"""Segment new images with a trained trial, prepared as its training images were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load

from ablate.data.dataset import prepare_images
from ablate.data.images import read_slices
from ablate.data.ragged import chosen
from ablate.data.source import Sample
from ablate.errors import InputError
from ablate.files import kind
from ablate.models.build import build_model
from ablate.training.devices import choose_device
from ablate.training.inference import classify, predictions_of, probabilities_of

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

WEIGHTS = "model.safetensors"


class Predictor:
    """A trained network with the preparation that its trial's data had."""

    def __init__(self, trial: TrialConfig, weights: bytes) -> None:
        """`weights`: a safetensors document. Raises `InputError` if they are not those of the trial's network."""
        self._trial = trial
        self._device = choose_device()
        self.classes = trial.data.classes
        model = build_model(trial.model, trial.data.channels, trial.data.classes, trial.data.size)
        try:
            model.load_state_dict(load(weights))
        except (SafetensorError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise InputError(f"the weights of trial {trial.key} do not fit its network: {reason}") from None
        self._model = model.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def of_trial(cls, study: Study, key: str) -> Predictor:
        """The network of trial `key`. Raises `InputError` for a key without weights, and if they were changed."""
        trial = study.config(key)
        if not kind(study.trial_dir(key) / WEIGHTS):
            raise InputError(f"trial {key} ({trial.model.name}) has no weights: give the key of a complete trial")
        return cls(trial, study.read(key, WEIGHTS))

    def of_dataset(self, dataset: Dataset) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        """Class indices of the test images of the trial's data set, in the split's order: (N, H, W), or each (h, w)
        where they are scored at their own size."""
        test = dataset.split(self._trial.protocol.split).test
        own_sizes = [dataset.own_sizes[i] for i in test] if dataset.own_sizes else []
        return predictions_of(self._model, chosen(dataset.images, test), own_sizes, self._trial, self._device)

    def segment(self, path: Path) -> NDArray[np.uint8]:
        """Class indices of an image file at its own size: (H, W), or (slices, H, W) for a volume.

        The image is brought to the trial's size, and the probabilities back to the image's, before they are decided on.
        Raises `InputError` if the file is not an image.
        """
        slices = read_slices(path)
        images = slices[..., 0] if slices.shape[-1] == 1 else slices
        blank = np.zeros(images.shape[1:3], dtype=np.uint8)
        prepared = prepare_images([Sample(path.name, path.name, image, blank) for image in images], self._trial.data)
        own_sizes = [(images.shape[1], images.shape[2])] * len(images)
        found = np.concatenate(
            [
                classify(probabilities[None])
                for probabilities in probabilities_of(self._model, prepared, own_sizes, self._trial, self._device)
            ]
        )
        return found[0] if len(found) == 1 else found
