"""The memory that a trial's training takes: foretold from its network, input and batch, and known when it has run out.

A training step is run on PyTorch's `meta` device, where tensors have shapes and no contents, and the bytes of the
storages alive are counted as they come and go: milliseconds, and no memory. The count is what PyTorch's own allocator
holds in the same step; what kernels take beside it is a factor.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from ablate.models.build import build_model
from ablate.models.network import Network, check_input
from ablate.part import Part
from ablate.training.heads import loss_of
from ablate.training.losses.cross_entropy import CrossEntropy

WORKSPACE = 1.25
"""Peak memory over that of the tensors: kernels' workspaces, and what the allocator cannot give out again.

Measured at 1.08 to 1.39 (mean 1.23) as resident memory on a CPU, for the six networks at batches of 2 and 6. On CUDA it
depends on the card and on the kernels that cuDNN chooses: there `runners.execution.resources` corrects it by what was
measured.
"""
_OUT_OF_MEMORY = (
    "out of memory",  # CUDA, MPS
    "can't allocate memory",  # PyTorch on the CPU
    "not enough memory",  # the same on Windows
    "alloc_failed",  # cuDNN, cuBLAS
    "bad_alloc",  # C++
    "could not create a primitive",  # oneDNN says no more than this where its scratch memory is refused
    "could not execute a primitive",
)
"""What the messages say of which no exception class tells that memory ran out, in lower case."""


@cache
def training_memory(
    config: Network | Part,
    in_channels: int,
    classes: int,
    size: tuple[int, int],
    batch_size: int,
    precision: torch.dtype,
) -> int:
    """The most bytes that training `config` takes on its device, as `ablate.training.loop.train` does it.

    Whatever the recipe, the loss is taken to be cross-entropy and the optimiser Adam: SGD holds one moment less, and
    losses that make probabilities of all classes several masks' worth more.

    Args:
        size: height and width of an image, in pixels.
        batch_size: images of the largest batch.
        precision: the type that convolutions run in. With 16 bits the weights, their gradients and Adam's moments are
            float32 still, as they are under autocast.

    Raises `InputError` for an impossible network, or a size it cannot take.
    """
    check_input(config, *size)
    with _as_kernels_do(), torch.device("meta"), _Live() as live:
        model = build_model(config, in_channels, classes, size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        parameters = dict(model.named_parameters())
        moments = [torch.empty_like(p) for p in parameters.values() for _ in range(2)]
        for p in parameters.values():
            p.grad = torch.empty_like(p)  # of the step before, which live through this one's forward pass
        images = torch.empty(batch_size, in_channels, *size).to(memory_format=torch.channels_last)
        masks = torch.empty(batch_size, *size, dtype=torch.uint8)
        cast = {name: p.to(precision) for name, p in parameters.items()}
        outputs = functional_call(model, cast, (images.to(precision),))
        del cast
        loss = loss_of(CrossEntropy().build(classes), outputs, masks)
        del outputs
        for p in parameters.values():
            p.grad = None
        loss.backward()
    del moments  # alive to here
    return round(WORKSPACE * live.peak)


@contextlib.contextmanager
def _as_kernels_do() -> Iterator[None]:
    """Without deterministic algorithms, under which `meta` takes bilinear up-sampling apart, which kernels do not."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or what it came from, says that memory ran out: the host's, the device's, or Ray's limit."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's and Ray's
        return True
    if isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY):
        return True
    return error.__cause__ is not None and out_of_memory(error.__cause__)


class _Live(TorchDispatchMode):
    """Counts the bytes of the storages that operations make, while anything refers to them."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = None
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.bytes -= size
