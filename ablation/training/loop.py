"""Train one network on one data set with one seed, and judge it on the test images.

Nothing here knows who asked: a report callback and a checkpoint file are all of the outside. All randomness derives
from (seed, epoch, step), so a trial that was killed and resumed gives the numbers of one that was not.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ablate.data.dataset import Dataset
from ablate.data.splits import split
from ablate.errors import TrialError
from ablate.metrics.counts import Scores, class_count, confusion, scores
from ablate.models.build import build_model
from ablate.models.settings import Trivial
from ablate.training.augmentation import augment
from ablate.training.parallel import ALONE, Group
from ablate.trial import TrialConfig


class Epoch(NamedTuple):
    """What one epoch gave. `seconds` are of training and validation, `images_per_second` of training alone."""

    epoch: int
    train_loss: float
    val_loss: float
    val_dice: float
    val_iou: float
    val_miou: float
    seconds: float
    images_per_second: float


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


class Checkpoint(Protocol):
    """Where an unfinished trial keeps its last epoch. `write` replaces the whole, or leaves what was there."""

    def read(self) -> bytes | None: ...
    def write(self, data: bytes) -> None: ...


def choose_device() -> torch.device:
    """The best device there is: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(device: torch.device) -> torch.dtype:
    """The type that convolutions run in: 16 bits on CUDA (bfloat16 where the card has it), float32 elsewhere."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


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
    _make_deterministic(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        model = build_model(trial.model, dataset.config.channels, dataset.config.classes)  # type: ignore[arg-type]
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    group.synchronise(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate, fused=device.type in ("cpu", "cuda"))
    scaler = torch.amp.GradScaler(device.type, enabled=precision(device) == torch.float16)
    progress = _Progress(trial.key, model, optimizer, scaler)
    if checkpoint is not None and (saved := checkpoint.read()) is not None:
        progress.restore(saved)
    for row in progress.epochs:
        report(row)

    for epoch in range(len(progress.epochs) + 1, protocol.epochs + 1):
        started = time.perf_counter()
        model.train()
        total = 0.0
        for step, indices in enumerate(_batches(parts.train, protocol.batch_size, trial.seed, epoch)):
            images, masks = _tensors(dataset, indices)
            images, masks = augment(images, masks, protocol.augment, _generator(trial.seed, epoch, step))
            own = group.share(len(indices))
            images, masks = images[own].to(device, memory_format=torch.channels_last), masks[own].to(device)
            with _autocast(device):
                loss = group.part_of_mean(loss_of(model(images), masks), len(images), len(indices))
            value = group.sum(loss.detach()).item()
            if not math.isfinite(value):
                raise TrialError(f"diverged: the training loss was {value} in epoch {epoch}, step {step + 1}")
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            group.sum_gradients(model.parameters())
            scaler.step(optimizer)
            scaler.update()
            total += value * len(indices)
        trained = time.perf_counter()

        val_loss, val = _validate(model, dataset, parts.val, protocol.batch_size, device, group)
        if not math.isfinite(val_loss):
            raise TrialError(f"diverged: the validation loss was {val_loss} after epoch {epoch}")
        row = Epoch(
            epoch=epoch,
            train_loss=total / len(parts.train),
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

    model.load_state_dict(progress.best)
    own_test = list(parts.test[group.share(len(parts.test))])
    own_predictions = predict(model, dataset.images[own_test], protocol.batch_size, device)
    predictions = group.gather(own_predictions, len(parts.test))
    return Result(
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        ids=tuple(dataset.ids[i] for i in parts.test),
        counts=confusion(predictions, dataset.masks[list(parts.test)], class_count(dataset.config.classes)),
        predictions=predictions,
        weights=progress.best,
    )


def judge_trivial(trial: TrialConfig, dataset: Dataset) -> Result:
    """Score a trivial predictor on the test images as a network is scored.

    With several classes, "all foreground" is the training masks' most frequent foreground class, and the mean mask the
    most frequent class of each pixel.
    """
    assert isinstance(trial.model, Trivial)
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


def loss_of(output: Tensor | tuple[Tensor, ...], masks: Tensor) -> Tensor:
    """The mean over heads (deep supervision has several) of (binary) cross-entropy.

    Args:
        output: logits (N, C, H, W), or a tuple of them.
        masks: class indices (N, H, W).
    """
    heads = output if isinstance(output, tuple) else (output,)
    losses = [
        F.binary_cross_entropy_with_logits(head.float()[:, 0], masks.float())
        if head.shape[1] == 1
        else F.cross_entropy(head.float(), masks.long())
        for head in heads
    ]
    return torch.stack(losses).mean()


@torch.no_grad()
def predict_probabilities(
    model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device
) -> Iterator[Tensor]:
    """Class probabilities, a batch at a time: (n, 1, H, W) of the foreground, or (n, C, H, W) of each class."""
    for logits in _logits(model, images, batch_size, device):
        yield (logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)).cpu()


def predict(model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device) -> NDArray[np.uint8]:
    """Class indices (N, H, W) of images (N, channels, H, W): foreground at a probability of 0.5 or more, or the most
    probable class."""
    batches = [classify(p) for p in predict_probabilities(model, images, batch_size, device)]
    return np.concatenate(batches) if batches else np.empty((0, *images.shape[2:]), dtype=np.uint8)


def classify(probabilities: Tensor) -> NDArray[np.uint8]:
    """Class indices (n, H, W) of probabilities (n, C, H, W)."""
    chosen = probabilities[:, 0] >= 0.5 if probabilities.shape[1] == 1 else probabilities.argmax(dim=1)
    return chosen.to(torch.uint8).numpy()


def _logits(model: nn.Module, images: NDArray[np.float32], batch_size: int, device: torch.device) -> Iterator[Tensor]:
    model.eval()
    for start in range(0, len(images), batch_size):
        batch = torch.tensor(images[start : start + batch_size])
        with _autocast(device):
            logits = model(batch.to(device, memory_format=torch.channels_last))
        yield logits.float()


@torch.no_grad()
def _validate(
    model: nn.Module, dataset: Dataset, indices: tuple[int, ...], batch_size: int, device: torch.device, group: Group
) -> tuple[float, Scores]:
    chosen, classes = list(indices[group.share(len(indices))]), class_count(dataset.config.classes)
    total, counts, done = 0.0, [np.empty((0, classes, 4), dtype=np.int64)], 0
    for logits in _logits(model, dataset.images[chosen], batch_size, device):
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
    state = np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def _autocast(device: torch.device) -> AbstractContextManager[Any]:
    dtype = precision(device)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def _make_deterministic(device: torch.device) -> None:
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    # warn_only: bilinear up-sampling has no deterministic backward pass on CUDA.
    torch.use_deterministic_algorithms(True, warn_only=True)


class _Progress:
    """A training so far, and its checkpoint: one safetensors document, replaced whole after each epoch."""

    def __init__(
        self, key: str, model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ) -> None:
        self._key, self._model, self._optimizer, self._scaler = key, model, optimizer, scaler
        self.epochs: list[Epoch] = []
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}

    def add(self, row: Epoch) -> None:
        """Append an epoch; its weights are kept if it is the best: highest validation Dice, then lowest loss."""
        best = self.epochs[self.best_epoch - 1] if self.epochs else None
        self.epochs.append(row)
        if best is None or (row.val_dice, -row.val_loss) > (best.val_dice, -best.val_loss):
            self.best_epoch = row.epoch
            self.best = {
                name: tensor.detach().to("cpu", copy=True).contiguous()
                for name, tensor in self._model.state_dict().items()
            }

    def saved(self) -> bytes:
        tensors = {f"model.{name}": tensor for name, tensor in self._model.state_dict().items()}
        if self.best_epoch != len(self.epochs):  # else they are the model's
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for index, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in state.items()}
        metadata = {
            "key": self._key,
            "best_epoch": str(self.best_epoch),
            "epochs": json.dumps(self.epochs),
            "scaler": json.dumps(self._scaler.state_dict()),
        }
        return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)

    def restore(self, saved: bytes) -> None:
        """Go on from `saved`. What is damaged or of another trial is as good as none."""
        try:
            tensors, metadata = load(saved), _metadata(saved)
        except (SafetensorError, ValueError):
            return
        if metadata.get("key") != self._key:
            return
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "adam": {}}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            groups[kind][rest] = tensor
        self._model.load_state_dict(groups["model"])
        parameters = list(self._model.parameters())
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["adam"].items():
            index, _, field = name.partition(".")
            if field != "step":
                # The fused step reads parameter and moments alike in memory order, so their layouts must agree.
                tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
            state.setdefault(int(index), {})[field] = tensor
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})
        self._scaler.load_state_dict(json.loads(metadata["scaler"]))
        self.best = groups["best"] or groups["model"]
        self.best_epoch = int(metadata["best_epoch"])
        self.epochs = [Epoch(*row) for row in json.loads(metadata["epochs"])]


def _metadata(saved: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: it opens with its header's length (8 bytes, little-endian), then JSON."""
    length = int.from_bytes(saved[:8], "little")
    metadata: dict[str, str] = json.loads(saved[8 : 8 + length]).get("__metadata__", {})
    return metadata
