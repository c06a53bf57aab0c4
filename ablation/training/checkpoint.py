"""A training so far: its epochs, its best weights, and all of it as one document to go on from."""

from __future__ import annotations

import json
from typing import NamedTuple, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn


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


class TrainingState:
    """A training so far, and its checkpoint: one safetensors document, replaced whole after each epoch."""

    def __init__(
        self, key: str, model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
    ) -> None:
        self._key = key
        self.model, self.optimizer, self.scaler = model, optimizer, scaler
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
                for name, tensor in self.model.state_dict().items()
            }

    def saved(self) -> bytes:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.best_epoch != len(self.epochs):  # else they are the model's
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in state.items()}
        metadata = {
            "key": self._key,
            "best_epoch": str(self.best_epoch),
            "epochs": json.dumps(self.epochs),
            "scaler": json.dumps(self.scaler.state_dict()),
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
        self.model.load_state_dict(groups["model"])
        parameters = list(self.model.parameters())
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in groups["adam"].items():
            index, _, field = name.partition(".")
            if field != "step":
                # The fused step reads parameter and moments alike in memory order, so their layouts must agree.
                tensor = torch.empty_like(parameters[int(index)]).copy_(tensor)
            state.setdefault(int(index), {})[field] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.scaler.load_state_dict(json.loads(metadata["scaler"]))
        self.best = groups["best"] or groups["model"]
        self.best_epoch = int(metadata["best_epoch"])
        self.epochs = [Epoch(*row) for row in json.loads(metadata["epochs"])]


def _metadata(saved: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: it opens with its header's length (8 bytes, little-endian), then JSON."""
    length = int.from_bytes(saved[:8], "little")
    metadata: dict[str, str] = json.loads(saved[8 : 8 + length]).get("__metadata__", {})
    return metadata
