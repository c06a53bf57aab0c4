"""A training so far: its epochs, its best weights, and all of it as one document to go on from."""

from __future__ import annotations

import json
from typing import NamedTuple, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ablate.training.average import Average
from ablate.training.optimizer_state import read_state, write_state
from ablate.training.pace import Pace

_FORM = "2"
"""Of the document: another one is not read."""


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


class Checkpoint(Protocol):
    """Where an unfinished trial keeps its last epoch. `write` replaces the whole, or leaves what was there."""

    def read(self) -> bytes | None: ...
    def write(self, data: bytes) -> None: ...


class Document(NamedTuple):
    """What a checkpoint holds. Its tensors are those of the training, and change with it, unless they are `copied`."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    @property
    def size(self) -> int:
        """Bytes of the tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())

    def copied(self) -> Document:
        """As it is now, on the CPU: a copy of each, for safetensors saves no two of one storage, as tied weights are.

        Each as it lies in memory, which is the quickest; `packed` is for another thread.
        """
        return self._replace(tensors={name: t.detach().to("cpu", copy=True) for name, t in self.tensors.items()})

    def packed(self) -> bytes:
        """One that was copied, as a safetensors file."""
        return save({name: tensor.contiguous() for name, tensor in self.tensors.items()}, self.metadata)


class TrainingState:
    """A training so far, and its checkpoint: one safetensors document, replaced whole.

    `pace` is of the learning rate, and `average` of the weights, where there is one.
    """

    def __init__(
        self,
        key: str,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        pace: Pace,
        average: Average | None = None,
    ) -> None:
        self._key = key
        self.model, self.optimizer, self.scaler, self.pace, self.average = model, optimizer, scaler, pace, average
        self.epochs: list[Epoch] = []
        self.selected: list[float] = []
        """What of each epoch selects the best: the larger the better."""
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}

    @property
    def judged(self) -> nn.Module:
        """The network that is validated, selected, tested and kept: the average's, or the one in training."""
        return self.average.model if self.average else self.model

    def add(self, row: Epoch, selects: float | None = None) -> None:
        """Append an epoch; its weights are kept if it is the best: highest `selects`, then lowest validation loss.

        `selects` is the validation Dice where it is not given.
        """
        self.epochs.append(row)
        self.selected.append(row.val_dice if selects is None else selects)
        if not self.best_epoch or self._rank(row.epoch) > self._rank(self.best_epoch):
            self.best_epoch = row.epoch
            self.best = {
                name: tensor.detach().to("cpu", copy=True).contiguous()
                for name, tensor in self.judged.state_dict().items()
            }

    def _rank(self, epoch: int) -> tuple[float, float]:
        return self.selected[epoch - 1], -self.epochs[epoch - 1].val_loss

    def saved(self) -> bytes:
        """Raises as `document` does."""
        return self.document().copied().packed()

    def document(self) -> Document:
        """All of it as it is now. Raises `TrialError` where the optimiser holds what cannot be saved."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.model.state_dict().items()}
        if self.best_epoch != len(self.epochs):  # else they are the network's that is judged
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        optimizer, held = write_state(self.optimizer)
        tensors |= {f"optimizer.{name}": tensor for name, tensor in held.items()}
        metadata = {
            "form": _FORM,
            "key": self._key,
            "best_epoch": str(self.best_epoch),
            "epochs": json.dumps(self.epochs),
            "selected": json.dumps(self.selected),
            "scaler": json.dumps(self.scaler.state_dict()),
            "optimizer": json.dumps(optimizer),
            "averaged": str(self.average.steps if self.average else 0),
        }
        return Document(tensors, metadata)

    def restore(self, saved: bytes) -> None:
        """Go on from `saved`. What is damaged, of another trial or of an earlier version is as good as none."""
        try:
            tensors, metadata = load(saved), _metadata(saved)
        except (SafetensorError, ValueError):
            return
        if (metadata.get("key"), metadata.get("form")) != (self._key, _FORM):
            return
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "best": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            groups[kind][rest] = tensor
        self.model.load_state_dict(groups["model"])
        if self.average:
            self.average.model.load_state_dict(groups["average"])
            self.average.steps = int(metadata["averaged"])
        self.epochs = [Epoch(*row) for row in json.loads(metadata["epochs"])]
        self.selected = json.loads(metadata["selected"])
        self.pace.replay([row.val_loss for row in self.epochs])
        read_state(self.optimizer, json.loads(metadata["optimizer"]), groups["optimizer"])
        self.scaler.load_state_dict(json.loads(metadata["scaler"]))
        self.best = groups["best"] or groups["average"] or groups["model"]
        self.best_epoch = int(metadata["best_epoch"])


def epochs_in(saved: bytes, key: str) -> int:
    """How many epochs of this trial a checkpoint goes on from; of what is damaged, or another's, none."""
    try:
        metadata = _metadata(saved)
        return len(json.loads(metadata["epochs"])) if (metadata["key"], metadata["form"]) == (key, _FORM) else 0
    except (ValueError, KeyError):
        return 0


def _metadata(saved: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: it opens with its header's length (8 bytes, little-endian), then JSON."""
    length = int.from_bytes(saved[:8], "little")
    metadata: dict[str, str] = json.loads(saved[8 : 8 + length]).get("__metadata__", {})
    return metadata
