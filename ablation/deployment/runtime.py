"""Exported files, loaded again: modules like any network, for one device, the CPU."""

from __future__ import annotations

import io
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ablate.deployment.convert import INPUT
from ablate.deployment.formats import Format


class Exported(nn.Module):
    """What a file computes: logits (n, classes, H, W) of images (n, channels, H, W), as the network's module does.

    So what judges a network judges a file.
    """

    def __init__(self, form: Format, content: bytes, threads: int | None = None) -> None:
        """`threads`: of ONNX Runtime, by default PyTorch's; of the others PyTorch's is what holds."""
        super().__init__()
        self._run = _LOADED[form.name](content, threads or torch.get_num_threads())

    def forward(self, images: Tensor) -> Tensor:
        return self._run(images.contiguous())


def _onnx(content: bytes, threads: int) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        [logits] = session.run(None, {INPUT: images.numpy()})
        return torch.from_numpy(logits)

    return run


def _torchscript(content: bytes, threads: int) -> Callable[[Tensor], Tensor]:
    loaded = torch.jit.load(io.BytesIO(content), map_location="cpu")
    run: Callable[[Tensor], Tensor] = loaded.eval()
    return run


def _pt2(content: bytes, threads: int) -> Callable[[Tensor], Tensor]:
    module = torch.export.load(io.BytesIO(content)).module()

    def run(images: Tensor) -> Tensor:  # not the module itself, which has no evaluation mode that it could be put in
        logits: Tensor = module(images)
        return logits

    return run


_LOADED = {"onnx": _onnx, "torchscript": _torchscript, "pt2": _pt2}
