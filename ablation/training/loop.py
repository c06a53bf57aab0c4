"""Train one network on one data set with one seed, and judge it on the test images.

Nothing here knows who asked: a report callback and a checkpoint file are all of the outside. All randomness derives
from (seed, epoch, step), so a trial that was killed and resumed gives the numbers of one that was not.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.data.dataset import Dataset
from ablate.data.splits import split
from ablate.errors import TrialError
from ablate.metrics.counts import Scores, class_count, confusion, scores
from ablate.models.build import build_model
from ablate.training.augmentation import augment
from ablate.training.checkpoint import Checkpoint, Epoch, TrainingState
from ablate.training.devices import autocast, make_deterministic, precision
from ablate.training.inference import batch_logits, classify, predict
from ablate.training.losses import loss_of
from ablate.training.parallel import ALONE, Group
from ablate.trial import TrialConfig


class Result(NamedTuple):
    """A finished trial: `counts` (N, classes, 4) and `predictions` (N, H, W) are of the test images, in `ids`' order"""

    epochs: list[Epoch]
    best_epoch: int
    ids: tuple[str, ...]
    counts: NDArray[np.int64]
    predictions: NDArray[np.uint8]
    weights: dict[str, Tensor]

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
        TrialError: the loss became NaN or infinite.
        PeerLostError: another process of the group is gone.
    """
    if getattr(trial.model, "encoder_weights_sha256", None) and not getattr(trial.model, "encoder_weights", None):
        raise TrialError("its encoder starts from weights whose file is not named any more: give model.encoder_weights")
    protocol, parts = trial.protocol, split(dataset.groups, trial.protocol.split)
    progress = _begin(trial, dataset, device, group)
    if checkpoint is not None and (saved := checkpoint.read()) is not None:
        progress.restore(saved)
    for row in progress.epochs:
        report(row)

    for epoch in range(len(progress.epochs) + 1, protocol.epochs + 1):
        started = time.perf_counter()
        train_loss = _train_epoch(progress, trial, dataset, parts.train, epoch, device, group)
        trained = time.perf_counter()

        val_loss, val = _validate(progress.model, dataset, parts.val, protocol.batch_size, device, group)
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
        progress.add(row)
        if checkpoint is not None and group.rank == 0:
            checkpoint.write(progress.saved())
        report(row)

    return _judge_best(progress, trial, dataset, parts.test, device, group)


def _begin(trial: TrialConfig, dataset: Dataset, device: torch.device, group: Group) -> TrainingState:
    """The network as its seed has it, and its optimiser, before the first epoch."""
    make_deterministic(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        model = build_model(trial.model, dataset.config.channels, dataset.config.classes, dataset.config.size)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    group.synchronise(model)
    fused = device.type in ("cpu", "cuda")
    optimizer = torch.optim.Adam(model.parameters(), lr=trial.protocol.learning_rate, fused=fused)
    scaler = torch.amp.GradScaler(device.type, enabled=precision(device) == torch.float16)
    return TrainingState(trial.key, model, optimizer, scaler)


def _judge_best(
    progress: TrainingState,
    trial: TrialConfig,
    dataset: Dataset,
    test: tuple[int, ...],
    device: torch.device,
    group: Group,
) -> Result:
    """The best epoch's network on the images `test`."""
    progress.model.load_state_dict(progress.best)
    own = list(test[group.share(len(test))])
    own_predictions = predict(progress.model, dataset.images[own], trial.protocol.batch_size, device)
    predictions = group.gather(own_predictions, len(test))
    return Result(
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        ids=tuple(dataset.ids[i] for i in test),
        counts=confusion(predictions, dataset.masks[list(test)], class_count(dataset.config.classes)),
        predictions=predictions,
        weights=progress.best,
    )


def _train_epoch(
    progress: TrainingState,
    trial: TrialConfig,
    dataset: Dataset,
    indices: tuple[int, ...],
    epoch: int,
    device: torch.device,
    group: Group,
) -> float:
    """Train on every image of `indices` once; the mean loss over them. Raises as `train` does."""
    model, optimizer, scaler, protocol = progress.model, progress.optimizer, progress.scaler, trial.protocol
    model.train()
    total = 0.0
    for step, batch in enumerate(_batches(indices, protocol.batch_size, trial.seed, epoch)):
        images, masks = _tensors(dataset, batch)
        images, masks = augment(images, masks, protocol.augment, _generator(trial.seed, epoch, step))
        own = group.share(len(batch))
        images, masks = images[own].to(device, memory_format=torch.channels_last), masks[own].to(device)
        with _drawing(_seed(trial.seed, epoch, step, 1 + group.rank), device), autocast(device):
            loss = group.part_of_mean(loss_of(model(images), masks), len(images), len(batch))
        value = group.sum(loss.detach()).item()
        if not math.isfinite(value):
            raise TrialError(f"diverged: the training loss was {value} in epoch {epoch}, step {step + 1}")
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        group.sum_gradients(model.parameters())
        scaler.step(optimizer)
        scaler.update()
        total += value * len(batch)
    return total / len(indices)


def judge_trivial(trial: TrialConfig, dataset: Dataset) -> Result:
    """Score a trivial predictor on the test images as a network is scored.

    With several classes, "all foreground" is the training masks' most frequent foreground class, and the mean mask the
    most frequent class of each pixel.
    """
    assert trial.is_trivial
    parts = split(dataset.groups, trial.protocol.split)
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
    return Result(
        epochs=[],
        best_epoch=0,
        ids=tuple(dataset.ids[i] for i in parts.test),
        counts=confusion(predictions, dataset.masks[list(parts.test)], classes),
        predictions=predictions,
        weights={},
    )


@torch.no_grad()
def _validate(
    model: nn.Module, dataset: Dataset, indices: tuple[int, ...], batch_size: int, device: torch.device, group: Group
) -> tuple[float, Scores]:
    chosen, classes = list(indices[group.share(len(indices))]), class_count(dataset.config.classes)
    total, counts, done = 0.0, [np.empty((0, classes, 4), dtype=np.int64)], 0
    for logits in batch_logits(model, dataset.images[chosen], batch_size, device):
        masks = dataset.masks[chosen[done : done + len(logits)]]
        total += loss_of(logits, torch.tensor(masks, device=device)).item() * len(logits)
        probabilities = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)
        counts.append(confusion(classify(probabilities.cpu()), masks, classes))
        done += len(logits)
    total = group.sum(torch.tensor(total, dtype=torch.float64)).item()
    return total / len(indices), scores(group.gather(np.concatenate(counts), len(indices)))


def _batches(indices: tuple[int, ...], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The epoch's batches. A last batch of one image joins the one before: batch norm has no statistics of one."""
    order = np.random.default_rng([seed, epoch]).permutation(indices).tolist()
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:
        single = batches.pop()
        batches[-1] += single
    return batches


def _tensors(dataset: Dataset, indices: list[int]) -> tuple[Tensor, Tensor]:
    return torch.tensor(dataset.images[indices]), torch.tensor(dataset.masks[indices])


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
