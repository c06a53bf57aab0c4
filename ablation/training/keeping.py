"""When and how a training keeps its checkpoint: as often as it pays, written beside the training."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from ablate.training.checkpoint import Checkpoint, Document, TrainingState

MOST_SECONDS = 15.0
"""Of training that an end at any moment may cost, where an epoch takes less."""
SMALL = 2**21
"""Bytes that are written at once and after each epoch: that takes some milliseconds."""
_BYTES_A_SECOND = 4e6
"""A larger one is written so often that it comes to this, which is a hundredth of what a core writes."""


class Keeper:
    """Keeps a training's last epoch in `checkpoint`, if there is one, from its start (`with`) to its end.

    An end at any moment, a kill say, costs at most the epoch under way or `MOST_SECONDS` of training, whichever is
    longer, and what was being written then. When this is left, nothing is being written any more. With `each_epoch`,
    each is there before it is reported: what takes up the training may do so before this process knows of it.
    """

    def __init__(
        self, checkpoint: Checkpoint | None, *, each_epoch: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checkpoint, self._each_epoch, self._clock = checkpoint, each_epoch, clock
        self._kept = self._ended = clock()
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A write that failed is not told: the training is over, and its end is kept, or fails, elsewhere.
        self._aside.shutdown(wait=True)

    def after_epoch(self, progress: TrainingState) -> None:
        """Keep `progress`, if it is time. Raises what an earlier write raised, and as `TrainingState.document` does."""
        if self._checkpoint is None:
            return
        if self._writing is not None and self._writing.done():
            self._settle()
        now, document = self._clock(), progress.document()
        epoch, self._ended = now - self._ended, now
        if document.size <= SMALL or self._each_epoch:
            self._checkpoint.write(document.copied().packed())
        elif now - self._kept + epoch > seconds_between(document.size):  # the end of another would be too late
            self._settle()  # where the storage is that slow, training waits for it
            self._writing = self._aside.submit(_write, self._checkpoint, document.copied())
        else:
            return
        self._kept = now

    def _settle(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


def seconds_between(size: int) -> float:
    """The most between two checkpoints of so many bytes."""
    return min(size / _BYTES_A_SECOND, MOST_SECONDS)


def _write(checkpoint: Checkpoint, document: Document) -> None:
    checkpoint.write(document.packed())
