"""Train one network on one data set with one seed, and judge it on the test images.

Nothing here knows who asked: a report callback and a checkpoint file are all of the outside. All randomness derives
from (seed, epoch, step), so a trial that was killed and resumed gives the numbers of one that was not.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.data.dataset import Dataset
from ablate.data.spacing import spacings_at
from ablate.errors import InputError, TrialError
from ablate.metrics.base import measure, measure_all, sign
from ablate.metrics.counts import Scores, class_count, confusion, scores
from ablate.models.build import build_model
from ablate.training.augmentation import augment
from ablate.training.average import Average
from ablate.training.checkpoint import Checkpoint, Epoch, TrainingState
from ablate.training.devices import autocast, make_deterministic, precision
from ablate.training.heads import loss_of
from ablate.training.inference import batch_logits, classify, predict
from ablate.training.initialisation import initialise
from ablate.training.pace import Pace
from ablate.training.parallel import ALONE, Group
from ablate.training.recipe import Recipe, metrics_of, recipe_of
from ablate.training.schedules.base import Steps
from ablate.trial import Protocol, TrialConfig


class Result(NamedTuple):
    """A finished trial: `counts` (N, classes, 4) and `predictions` (N, H, W) are of the test images, in `ids`' order.

    So are the values of the recipe's metrics, `more`: each (N, classes), by its name in tables. `cases` are what the
    images are of (`Dataset.cases`), without any each its own.
    """

    epochs: list[Epoch]
    best_epoch: int
    ids: tuple[str, ...]
    counts: NDArray[np.int64]
    predictions: NDArray[np.uint8]
    weights: dict[str, Tensor]
    more: Mapping[str, NDArray[np.float64]] = {}
    cases: tuple[str, ...] = ()

    @property
    def test(self) -> Scores:
        return scores(self.counts)


def train(
    trial: TrialConfig,
    dataset: Dataset,
    *,
    device: torch.device,
    report: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
    group: Group = ALONE,
) -> Result:
    """Train `trial`'s network and judge its best epoch (by validation) on the test images.

    Args:
        trial: what to train.
        dataset: the images it names.
        device: where; mixed precision on CUDA.
        report: called with every epoch in order, those a checkpoint holds included.
        checkpoint: written after each epoch; where it has one that is whole, training goes on from that.
        group: the processes that train this trial together, each calling this with the same arguments. All of them
            return the same and call `report`; the first alone writes the checkpoint.

    Raises:
        TrialError: the loss became NaN or infinite, a part of the recipe gave what it must not, or the optimiser's
            state cannot be kept.
        InputError: the recipe does not go with the network, or its parts with each other.
        PeerLostError: another process of the group is gone.
    """
    if getattr(trial.model, "encoder_weights_sha256", None) and not getattr(trial.model, "encoder_weights", None):
        raise TrialError("its encoder starts from weights whose file is not named any more: give model.encoder_weights")
    parts, run = dataset.split(trial.protocol.split), _Run(trial, dataset, device, group)
    progress = _begin(run, parts.train)
    if checkpoint is not None and (saved := checkpoint.read()) is not None:
        progress.restore(saved)
    for row in progress.epochs:
        report(row)

    while not _ended(progress, trial.protocol):
        epoch, started = len(progress.epochs) + 1, time.perf_counter()
        train_loss = _train_epoch(run, progress, parts.train, epoch)
        trained = time.perf_counter()

        val_loss, val, selects = _validate(run, progress.judged, parts.val)
        if not math.isfinite(val_loss):
            raise TrialError(f"diverged: the validation loss was {val_loss} after epoch {epoch}")
        row = Epoch(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=val_loss,
            val_dice=val.dice,
            val_iou=val.iou,
            val_miou=val.miou,
            seconds=time.perf_counter() - started,
            images_per_second=len(parts.train) / (trained - started),
        )
        progress.add(row, selects)
        progress.pace.after_epoch(val_loss)
        if checkpoint is not None and group.rank == 0:
            checkpoint.write(progress.saved())
        report(row)

    return _judge_best(run, progress, parts.test)


class _Run:
    """What stays the same through a training."""

    def __init__(self, trial: TrialConfig, dataset: Dataset, device: torch.device, group: Group = ALONE) -> None:
        self.trial, self.dataset, self.device, self.group = trial, dataset, device, group
        self.recipe: Recipe = recipe_of(trial)
        self.loss = self.recipe.loss.build(dataset.config.classes)
        self.augmentations = [part.build() for part in self.recipe.augmentations]
        self.metrics = {label: part.build() for label, part in self.recipe.metrics}


def _ended(progress: TrainingState, protocol: Protocol) -> bool:
    done = len(progress.epochs)
    patience = protocol.patience
    return done >= protocol.epochs or (patience is not None and done - progress.best_epoch >= patience)


def _begin(run: _Run, train: tuple[int, ...]) -> TrainingState:
    """The network as its seed has it, and its optimiser, before the first epoch."""
    trial, config, device = run.trial, run.dataset.config, run.device
    protocol = trial.protocol
    if protocol.initialisation and getattr(trial.model, "encoder_weights_sha256", None):
        raise InputError("protocol.initialisation would overwrite model.encoder_weights: give one of them")
    make_deterministic(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        model = build_model(trial.model, config.channels, config.classes, config.size)
        if protocol.initialisation:
            initialise(model, protocol.initialisation)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run.group.synchronise(model)
    optimizer = run.recipe.optimizer.build([{"params": list(model.parameters())}], protocol.learning_rate, device)
    steps = Steps(protocol.epochs, len(_batches(train, protocol.batch_size, trial.seed, 1)))
    pace = Pace(run.recipe.schedule, optimizer, steps, protocol.warmup_epochs)
    scaler = torch.amp.GradScaler(device.type, enabled=precision(device) == torch.float16)
    average = Average(model, protocol.ema) if protocol.ema else None
    return TrainingState(trial.key, model, optimizer, scaler, pace, average)


def _judge_best(run: _Run, progress: TrainingState, test: tuple[int, ...]) -> Result:
    """The best epoch's network on the images `test`."""
    dataset, group, protocol = run.dataset, run.group, run.trial.protocol
    model, classes = progress.judged, class_count(dataset.config.classes)
    model.load_state_dict(progress.best)
    own = list(test[group.share(len(test))])
    predicted = predict(model, dataset.images[own], protocol.batch_size, run.device, protocol.test_flips)
    predictions, masks = group.gather(predicted, len(test)), dataset.masks[list(test)]
    return Result(
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        ids=tuple(dataset.ids[i] for i in test),
        cases=tuple(dataset.cases[i] for i in test),
        counts=confusion(predictions, masks, classes),
        predictions=predictions,
        weights=progress.best,
        more=measure_all(run.metrics, predictions, masks, classes, spacings_at(dataset, test, own_size=False)),
    )


def _train_epoch(run: _Run, progress: TrainingState, indices: tuple[int, ...], epoch: int) -> float:
    """Train on every image of `indices` once; the mean loss over them. Raises as `train` does."""
    model, optimizer, scaler, protocol = progress.model, progress.optimizer, progress.scaler, run.trial.protocol
    group, device, seed = run.group, run.device, run.trial.seed
    model.train()
    total = 0.0
    for step, batch in enumerate(_batches(indices, protocol.batch_size, seed, epoch)):
        images, masks = _augmented(run, batch, _generator(seed, epoch, step))
        own = group.share(len(batch))
        images, masks = images[own].to(device, memory_format=torch.channels_last), masks[own].to(device)
        with _drawing(_seed(seed, epoch, step, 1 + group.rank), device), autocast(device):
            mean = loss_of(run.loss, model(images), masks, protocol.deep_supervision)
            loss = group.part_of_mean(mean, len(images), len(batch))
        value = group.sum(loss.detach()).item()
        if not math.isfinite(value):
            raise TrialError(f"diverged: the training loss was {value} in epoch {epoch}, step {step + 1}")
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        group.sum_gradients(model.parameters())
        if protocol.clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), protocol.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        progress.pace.after_step()
        if progress.average:
            progress.average.follow(model)
        total += value * len(batch)
    return total / len(indices)


def _augmented(run: _Run, batch: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The images of a batch and their masks: flipped and turned as the paper does, then by the recipe's parts."""
    images, masks = torch.tensor(run.dataset.images[batch]), torch.tensor(run.dataset.masks[batch])
    images, masks = augment(images, masks, run.trial.protocol.augment, generator)
    for augmentation in run.augmentations:
        images, masks = augmentation(images, masks, generator)
    return images, masks


def judge_trivial(trial: TrialConfig, dataset: Dataset) -> Result:
    """Score a trivial predictor on the test images as a network is scored.

    With several classes, "all foreground" is the training masks' most frequent foreground class, and the mean mask the
    most frequent class of each pixel. A metric that cannot score a predictor is left out.
    """
    assert trial.is_trivial
    parts = dataset.split(trial.protocol.split)
    classes = class_count(dataset.config.classes)
    frequency = np.stack([(dataset.masks[list(parts.train)] == c).mean(axis=0) for c in range(classes)])
    if trial.model.name == "mean_mask":
        # A tie goes to the foreground, as a sigmoid at its threshold of 0.5 does.
        mask = classes - 1 - frequency[::-1].argmax(axis=0)
    elif trial.model.name == "all_foreground":
        mask = np.full(frequency.shape[1:], 1 + frequency[1:].mean(axis=(1, 2)).argmax())
    else:
        mask = np.zeros(frequency.shape[1:])
    predictions = np.repeat(mask.astype(np.uint8)[None], len(parts.test), axis=0)
    masks, more = dataset.masks[list(parts.test)], dict[str, NDArray[np.float64]]()
    spacings = spacings_at(dataset, parts.test, own_size=False)
    for label, metric in metrics_of(trial):
        with contextlib.suppress(Exception):  # others' code, which need not be ready for what no network predicts
            more |= measure_all({label: metric.build()}, predictions, masks, classes, spacings)
    return Result(
        epochs=[],
        best_epoch=0,
        ids=tuple(dataset.ids[i] for i in parts.test),
        cases=tuple(dataset.cases[i] for i in parts.test),
        counts=confusion(predictions, masks, classes),
        predictions=predictions,
        weights={},
        more=more,
    )


@torch.no_grad()
def _validate(run: _Run, model: nn.Module, indices: tuple[int, ...]) -> tuple[float, Scores, float]:
    """The mean loss over images, the scores, and what the best epoch is best by."""
    dataset, group, device, protocol = run.dataset, run.group, run.device, run.trial.protocol
    chosen, classes = list(indices[group.share(len(indices))]), class_count(dataset.config.classes)
    total, counts, done = 0.0, [np.empty((0, classes, 4), dtype=np.int64)], 0
    measured, metric = [np.empty((0, classes))], run.metrics.get(protocol.select)
    spacings = spacings_at(dataset, chosen, own_size=False)
    for logits in batch_logits(model, dataset.images[chosen], protocol.batch_size, device):
        masks = dataset.masks[chosen[done : done + len(logits)]]
        total += loss_of(run.loss, logits, torch.tensor(masks, device=device)).item() * len(logits)
        probabilities = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)
        predicted = classify(probabilities.cpu())
        counts.append(confusion(predicted, masks, classes))
        if metric is not None:
            own = None if spacings is None else spacings[done : done + len(logits)]
            measured.append(measure(protocol.select, metric, predicted, masks, classes, own))
        done += len(logits)
    loss = group.sum(torch.tensor(total, dtype=torch.float64)).item() / len(indices)
    found = scores(group.gather(np.concatenate(counts), len(indices)))
    if metric is not None:  # of the foreground, as Dice is; of what neither has, a distance is as good as can be
        values = np.nan_to_num(group.gather(np.concatenate(measured), len(indices))[:, 1:])
        return loss, found, sign(metric) * float(values.mean())
    return loss, found, -loss if protocol.select == "loss" else getattr(found, protocol.select)


def _batches(indices: tuple[int, ...], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The epoch's batches. A last batch of one image joins the one before: batch norm has no statistics of one."""
    order = np.random.default_rng([seed, epoch]).permutation(indices).tolist()
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:
        single = batches.pop()
        batches[-1] += single
    return batches


def _generator(seed: int, epoch: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(_seed(seed, epoch, step))


@contextlib.contextmanager
def _drawing(seed: int, device: torch.device) -> Iterator[None]:
    """What a network draws as it is trained, as dropout does, comes from `seed`; the global state stays as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _seed(*path: int) -> int:
    return int(np.random.SeedSequence(path).generate_state(1, np.uint64)[0] >> np.uint64(1))
