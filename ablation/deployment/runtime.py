"""Exported files, loaded again: modules like any network, for one device, the CPU."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ablate.deployment.convert import INPUT, converted
from ablate.deployment.formats import Format


class Exported(nn.Module):
    """What a file computes: logits (n, classes, H, W) of images (n, channels, H, W), as the network's module does.

    So what judges a network judges a file.
    """

    def __init__(self, form: Format, content: bytes | Path, threads: int | None = None) -> None:
        """`content`: of a file, or where it is. `threads`: of ONNX Runtime, by default PyTorch's; of the others
        PyTorch's is what holds."""
        super().__init__()
        self._run = _LOADED[form.name](content, threads or torch.get_num_threads())

    def forward(self, images: Tensor) -> Tensor:
        return self._run(images.contiguous())


def _onnx(content: bytes | Path, threads: int) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(_source(content), options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        [logits] = session.run(None, {INPUT: images.numpy()})
        return torch.from_numpy(logits)

    return run


def small_file(form: Format) -> bytes:
    """A file of one convolution, for images (n, 1, 8, 8)."""
    return converted(nn.Conv2d(1, 4, 3, padding=1), form, 1, (8, 8))


def _source(content: bytes | Path) -> bytes | str:
    return content if isinstance(content, bytes) else str(content)


def _stream(content: bytes | Path) -> io.BytesIO:
    return io.BytesIO(content if isinstance(content, bytes) else content.read_bytes())


def _torchscript(content: bytes | Path, threads: int) -> Callable[[Tensor], Tensor]:
    loaded = torch.jit.load(_stream(content), map_location="cpu")
    run: Callable[[Tensor], Tensor] = loaded.eval()
    return run


def _pt2(content: bytes | Path, threads: int) -> Callable[[Tensor], Tensor]:
    module = torch.export.load(_stream(content)).module()

    def run(images: Tensor) -> Tensor:  # not the module itself, which has no evaluation mode that it could be put in
        logits: Tensor = module(images)
        return logits

    return run


def _executorch(content: bytes | Path, threads: int) -> Callable[[Tensor], Tensor]:
    with _without_native_words():
        from executorch.extension.pybindings.portable_lib import _threadpool_get_thread_count, _unsafe_reset_threadpool
        from executorch.runtime import Runtime

        if _threadpool_get_thread_count() != threads:  # before anything is loaded that would hold on to its threads
            _unsafe_reset_threadpool(threads)
        program = Runtime.get().load_program(_source(content))
        method = program.load_method("forward")

    def run(images: Tensor, program: object = program) -> Tensor:  # which the method needs to be alive
        found: list[Tensor] = [method.execute([images[at : at + 1]])[0] for at in range(len(images))]
        return found[0] if len(found) == 1 else torch.cat(found)

    return run


@contextlib.contextmanager
def _without_native_words() -> Iterator[None]:
    """Without what a library in C++ writes to standard error: which processor this is, where it cannot tell."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


LIBRARIES = {"onnx": ("onnxruntime", "onnx", "onnxscript", "torch"), "executorch": ("executorch", "torch")}
"""Distributions that run a format's files, and then those that make them."""
_LOADED = {"onnx": _onnx, "torchscript": _torchscript, "pt2": _pt2, "executorch": _executorch}
