"""Pictures of predictions that a trial has lost, made again from its weights: the trial's numbers stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ablate.data.dataset import Dataset
from ablate.errors import InputError
from ablate.files import sha256, write_whole
from ablate.metrics.counts import COUNTS, class_count, confusion
from ablate.study.tables import JUDGED
from ablate.study.trial_folder import grey_levels, keep_checksums, png, sample_name

if TYPE_CHECKING:
    from ablate.part import DataPart
    from ablate.study.study import Study
    from ablate.training.judging import Masks
    from ablate.trial import TrialConfig


def make_samples_again(
    study: Study, trials: Iterable[TrialConfig], dataset_of: Callable[[DataPart], Dataset]
) -> list[str]:
    """Give these trials, as far as they were judged, the pictures that they lack; the keys of those that got some.

    A prediction is kept only if it has the very counts that the trial was judged by: on another machine a pixel may
    fall to the other side of the threshold. Within `study.writing()`.
    """
    judged = {key for key, record in study.sound().records.items() if record.state in JUDGED}
    made: dict[str, dict[str, bytes]] = {}
    for trial in trials:
        if trial.key in judged:
            try:
                made[trial.key] = _pictures(study, trial, dataset_of(trial.data))
            except InputError:
                continue  # its tables or weights are damaged: `ablate verify` names them
    mended = {key: pictures for key, pictures in made.items() if pictures}
    if mended:
        digests = {key: study.checksums(key) or {} for key in mended}
        for key, pictures in mended.items():
            for name, picture in pictures.items():
                write_whole(study.trial_dir(key) / name, picture, flush=False)
            new = {name: sha256(picture) for name, picture in pictures.items()}
            keep_checksums(study.trial_dir(key), digests[key] | new)
    return list(mended)


def _pictures(study: Study, trial: TrialConfig, dataset: Dataset) -> dict[str, bytes]:
    """What a trial lacks, by its name in the folder."""
    has = study.checksums(trial.key)
    test = dataset.split(trial.protocol.split).test
    lacks = [index for index in test if has is not None and sample_name(dataset.ids[index]) not in has]
    if not lacks:
        return {}
    counts = study.table(trial.key, "images").set_index(["image", "class"])[list(COUNTS)]
    predictions = _predict(study, trial, dataset)
    pictures = {}
    for place, index in enumerate(test):
        if index in lacks:
            image, prediction = dataset.ids[index], predictions[place]
            mask = dataset.judged_by[index]
            (found,) = confusion(prediction[None], mask[None], class_count(dataset.config.classes))
            if (counts.loc[image].sort_index().to_numpy() == found).all():
                pictures[sample_name(image)] = png(grey_levels(prediction, dataset.config.classes))
    return pictures


def _predict(study: Study, trial: TrialConfig, dataset: Dataset) -> Masks:
    """The trial's predictions of its test images, in the split's order."""
    from ablate.prediction import Predictor
    from ablate.training.loop import judge_trivial

    if trial.is_trivial:
        return judge_trivial(trial, dataset).predictions
    return Predictor.of_trial(study, trial.key).of_dataset(dataset)
