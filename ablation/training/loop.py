"""Train one network on one data set with one seed, and judge it on the test images.

Nothing here knows who asked: a report callback and a checkpoint file are all of the outside. All randomness derives
from (seed, epoch, step), so a trial that was killed and resumed gives the numbers of one that was not.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.data.dataset import Dataset
from ablate.data.fit import fit_of
from ablate.data.ragged import Chosen, chosen
from ablate.data.spacing import spacings_at
from ablate.errors import InputError, TrialError
from ablate.metrics.base import sign
from ablate.metrics.counts import Scores, class_count, scores
from ablate.models.build import build_model
from ablate.training.average import Average
from ablate.training.checkpoint import Checkpoint, Epoch, TrainingState
from ablate.training.devices import autocast, compiled, make_deterministic, precision, stays_on_card
from ablate.training.feed import Feed
from ablate.training.heads import loss_of
from ablate.training.inference import batch_logits, classify, predictions_of, probabilities
from ablate.training.initialisation import initialise
from ablate.training.judging import Masks, counts_of, measured, measured_all
from ablate.training.keeping import Keeper
from ablate.training.losses.base import build_loss
from ablate.training.pace import Pace
from ablate.training.parallel import ALONE, Group
from ablate.training.recipe import Recipe, metrics_of, recipe_of
from ablate.training.schedules.base import Steps
from ablate.training.step_losses import StepLosses
from ablate.training.trivial import trivial_predictions
from ablate.training.windows import window_logits
from ablate.trial import Protocol, TrialConfig


class Result(NamedTuple):
    """A finished trial: `counts` (N, classes, 4) and `predictions` are of the test images, in `ids`' order.

    Predictions are (N, H, W) at the trial's size, or (h, w) each at its own (`data.scored_at`).
    So are the values of the recipe's metrics, `more`: each (N, classes), by its name in tables. `cases` are what the
    images are of (`Dataset.cases`), without any each its own.
    """

    epochs: list[Epoch]
    best_epoch: int
    ids: tuple[str, ...]
    counts: NDArray[np.int64]
    predictions: Masks
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
    each_epoch: bool = False,
    group: Group = ALONE,
) -> Result:
    """Train `trial`'s network and judge its best epoch (by validation) on the test images.

    Args:
        trial: what to train.
        dataset: the images it names.
        device: where; mixed precision on CUDA.
        report: called with every epoch in order, those a checkpoint holds included.
        checkpoint: written as `Keeper` says; where it has one that is whole, training goes on from that.
        each_epoch: it is written after each, before the report, for one who may stop this there and go on elsewhere.
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
    progress = _begin(run, drawn := parts.train * trial.protocol.patches_per_image)
    if checkpoint is not None and (saved := checkpoint.read()) is not None:
        progress.restore(saved)
    for row in progress.epochs:
        report(row)

    with Keeper(checkpoint if group.rank == 0 else None, each_epoch=each_epoch) as keeper:
        while not _ended(progress, trial.protocol):
            row = _next_epoch(run, progress, drawn, parts.val)
            keeper.after_epoch(progress)
            report(row)
        return _judge_best(run, progress, parts.test)


class _Run:
    """What stays the same through a training."""

    def __init__(self, trial: TrialConfig, dataset: Dataset, device: torch.device, group: Group = ALONE) -> None:
        self.trial, self.dataset, self.device, self.group = trial, dataset, device, group
        self.recipe: Recipe = recipe_of(trial)
        self.loss = build_loss(self.recipe.loss, dataset.config.classes, dataset.holds_ignored())
        self.feed = Feed(trial, dataset, device, [part.build() for part in self.recipe.augmentations])
        self.metrics = {label: part.build() for label, part in self.recipe.metrics}
        self.forward: Callable[[Tensor], Any] | None = None
        """Of the network in training, where it is not the network itself."""


def _ended(progress: TrainingState, protocol: Protocol) -> bool:
    done = len(progress.epochs)
    patience = protocol.patience
    return done >= protocol.epochs or (patience is not None and done - progress.best_epoch >= patience)


def _begin(run: _Run, drawn: tuple[int, ...]) -> TrainingState:
    """The network as its seed has it, and its optimiser, before the first epoch; `drawn`: an epoch's images."""
    trial, config, device = run.trial, run.dataset.config, run.device
    protocol = trial.protocol
    if protocol.initialisation and getattr(trial.model, "encoder_weights_sha256", None):
        raise InputError("protocol.initialisation would overwrite model.encoder_weights: give one of them")
    if protocol.compile and run.group.size > 1:
        raise InputError("protocol.compile: a trial that several processes share is not compiled; give it one worker")
    make_deterministic(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        model = build_model(trial.model, config.channels, config.classes, config.size)
        if protocol.initialisation:
            initialise(model, protocol.initialisation)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run.group.synchronise(model)
    if protocol.compile:
        run.forward = compiled(model)
    optimizer = run.recipe.optimizer.build([{"params": list(model.parameters())}], protocol.learning_rate, device)
    steps = Steps(protocol.epochs, len(_batches(drawn, protocol.batch_size, trial.seed, 1)))
    pace = Pace(run.recipe.schedule, optimizer, steps, protocol.warmup_epochs)
    scaler = torch.amp.GradScaler(device.type, enabled=precision(device) == torch.float16)
    average = Average(model, protocol.ema) if protocol.ema else None
    return TrainingState(trial.key, model, optimizer, scaler, pace, average)


def _judge_best(run: _Run, progress: TrainingState, test: tuple[int, ...]) -> Result:
    """The best epoch's network on the images `test`."""
    dataset, group = run.dataset, run.group
    model, classes = progress.judged, class_count(dataset.config.classes)
    model.load_state_dict(progress.best)
    own, masks = test[group.share(len(test))], chosen(dataset.judged_by, test)
    own_sizes = [dataset.own_sizes[i] for i in own] if dataset.own_sizes else []
    predicted = predictions_of(model, Chosen(dataset.images, own), own_sizes, run.trial, run.device)
    predictions: Masks
    if isinstance(predicted, np.ndarray):
        predictions = group.gather(predicted, len(test))
    else:
        predictions = group.gather_each(predicted, [mask.shape for mask in masks])
    return Result(
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        ids=tuple(dataset.ids[i] for i in test),
        cases=tuple(dataset.cases[i] for i in test),
        counts=counts_of(predictions, masks, classes),
        predictions=predictions,
        weights=progress.best,
        more=measured_all(run.metrics, predictions, masks, classes, spacings_at(dataset, test)),
    )


def _next_epoch(run: _Run, progress: TrainingState, drawn: tuple[int, ...], val: tuple[int, ...]) -> Epoch:
    """Train on the images `drawn`, validate on `val`, and add to `progress` what came of it. Raises as `train` does."""
    epoch, started = len(progress.epochs) + 1, time.perf_counter()
    train_loss = _train_epoch(run, progress, drawn, epoch)
    trained = time.perf_counter()

    val_loss, found, selects = _validate(run, progress.judged, val)
    if not math.isfinite(val_loss):
        raise TrialError(f"diverged: the validation loss was {val_loss} after epoch {epoch}")
    row = Epoch(
        epoch=epoch,
        train_loss=train_loss,
        val_loss=val_loss,
        val_dice=found.dice,
        val_iou=found.iou,
        val_miou=found.miou,
        seconds=time.perf_counter() - started,
        images_per_second=len(drawn) / (trained - started),
    )
    progress.add(row, selects)
    progress.pace.after_epoch(val_loss)
    return row


def _train_epoch(run: _Run, progress: TrainingState, indices: tuple[int, ...], epoch: int) -> float:
    """Train on every image of `indices`, as often as it is there; the mean loss. Raises as `train` does."""
    model, optimizer, scaler, protocol = progress.model, progress.optimizer, progress.scaler, run.trial.protocol
    group, device, seed = run.group, run.device, run.trial.seed
    model.train()
    forward = model if run.forward is None else run.forward
    run.feed.begin(indices)
    losses = StepLosses(epoch, together=stays_on_card(device))
    for step, batch in enumerate(_batches(indices, protocol.batch_size, seed, epoch)):
        place = (seed, epoch, step)
        images, masks = run.feed.batch(batch, place, _generator(*place), group.share(len(batch)))
        with _drawing(_seed(seed, epoch, step, 1 + group.rank), device), autocast(device):
            mean = loss_of(run.loss, forward(images), masks, protocol.deep_supervision)
            loss = group.part_of_mean(mean, len(images), len(batch))
        losses.add(group.sum(loss.detach()), len(batch))
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
    return losses.total() / len(indices)


def judge_trivial(trial: TrialConfig, dataset: Dataset) -> Result:
    """Score a trivial predictor (`ablate.training.trivial`) on the test images as a network is scored.

    A metric that cannot score a predictor is left out.
    """
    assert trial.is_trivial
    parts = dataset.split(trial.protocol.split)
    classes = class_count(dataset.config.classes)
    predictions, masks = trivial_predictions(trial, dataset, parts), chosen(dataset.judged_by, parts.test)
    more, spacings = dict[str, NDArray[np.float64]](), spacings_at(dataset, parts.test)
    for label, metric in metrics_of(trial):
        with contextlib.suppress(Exception):  # others' code, which need not be ready for what no network predicts
            more |= measured_all({label: metric.build()}, predictions, masks, classes, spacings)
    return Result(
        epochs=[],
        best_epoch=0,
        ids=tuple(dataset.ids[i] for i in parts.test),
        cases=tuple(dataset.cases[i] for i in parts.test),
        counts=counts_of(predictions, masks, classes),
        predictions=predictions,
        weights={},
        more=more,
    )


@torch.no_grad()
def _validate(run: _Run, model: nn.Module, indices: tuple[int, ...]) -> tuple[float, Scores, float]:
    """The mean loss over images, the scores, and what the best epoch is best by: at the trial's size, which is quick,
    but of whole images where patches are drawn."""
    dataset, group, device, protocol = run.dataset, run.group, run.device, run.trial.protocol
    classes, metric = class_count(dataset.config.classes), run.metrics.get(protocol.select)
    total, counts, values = 0.0, [np.empty((0, classes, 4), dtype=np.int64)], [np.empty((0, classes))]
    own, done = indices[group.share(len(indices))], 0
    for logits, masks in _validation_logits(run, model, own):
        total += loss_of(run.loss, logits, torch.tensor(masks, device=device)).item() * len(logits)
        predicted = classify(probabilities(logits).cpu())
        counts.append(counts_of(predicted, masks, classes))
        if metric is not None:
            spacings = spacings_at(dataset, own[done : done + len(logits)], at_trial_size=True)
            values.append(measured(protocol.select, metric, predicted, masks, classes, spacings))
        done += len(logits)
    loss = group.sum(torch.tensor(total, dtype=torch.float64)).item() / len(indices)
    found = scores(group.gather(np.concatenate(counts), len(indices)))
    if metric is not None:  # of the foreground, as Dice is; of what neither has, a distance is as good as can be
        of_images = np.nan_to_num(group.gather(np.concatenate(values), len(indices))[:, 1:])
        return loss, found, sign(metric) * float(of_images.mean())
    return loss, found, -loss if protocol.select == "loss" else getattr(found, protocol.select)


def _validation_logits(
    run: _Run, model: nn.Module, indices: tuple[int, ...]
) -> Iterator[tuple[Tensor, NDArray[np.uint8]]]:
    """Logits (n, C, H, W) and masks (n, H, W), a batch at a time; of whole images one at a time, window by window."""
    images, masks = (Chosen(arrays, indices) for arrays in (run.dataset.images, run.dataset.masks))
    if fit_of(run.trial.data) == "patches":
        for image, mask in zip(images, masks, strict=True):
            yield window_logits(model, image, run.trial, run.device), mask[None]
        return
    done = 0
    for logits in batch_logits(model, images, run.trial.protocol.batch_size, run.device):
        yield logits, masks[done : done + len(logits)]
        done += len(logits)


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
