"""Exported files, loaded again: modules like any network, for one device, the CPU."""

from __future__ import annotations

import io
from collections.abc import Callable
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


LIBRARIES = {"onnx": ("onnxruntime", "onnx", "onnxscript", "torch")}
"""Distributions that run a format's files, and then those that make them."""
_LOADED = {"onnx": _onnx, "torchscript": _torchscript, "pt2": _pt2}
