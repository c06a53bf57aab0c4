"""The record of a trial that ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ablate.cost.foretold import Images
from ablate.cost.machine import Machine
from ablate.files import read_regular
from ablate.origin import Origin
from ablate.study.runs import Key

State = Literal["complete", "failed", "stopped", "trivial"]
"""`stopped`: before its last epoch, by a scheduler that expected nothing more of it, or because a budget was spent."""

Count = Annotated[int, Field(ge=0, le=10**18)]
Score = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """What is known of a trial that ended. Durations are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    key: Key
    cell: Key
    model: str
    seed: Count
    fold: Count | None = None
    """Which of its cell's, of a trial whose split has folds; versions before 0.2 did not say it here."""
    state: State
    params: Count
    macs: Count
    epochs: Count = 0
    best_epoch: Count | None = None
    train_seconds: float = Field(0.0, ge=0)
    val_dice: Score | None = None
    val_iou: Score | None = None
    val_miou: Score | None = None
    error: str | None = None
    out_of_budget: bool = False
    """Of one that was stopped: because a run's budget was spent, not for want of promise; with more it goes on."""
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1
    workers: int = 1
    """Processes that trained it together, data-parallel."""
    processor: Annotated[str, Field(max_length=200)] = ""
    """The name of the CPU or of the card. Empty: an earlier version, which did not say."""
    images: Images | None = None
    """What an epoch trained on and validated, where that is known."""
    training_memory_mb: float | None = None
    """The most memory (10⁶ bytes) that its training held on a CUDA device."""
    origin: Origin | None = None
    """What made it. None: an earlier version, which recorded this of the whole study alone."""

    @property
    def machine(self) -> Machine:
        """What trained it; with a processor of no name where that is not known."""
        return Machine(self.device, self.processor, self.threads, self.workers)


def read_record(folder: Path) -> Record:
    return Record.model_validate_json(read_regular(folder / "record.json"))
