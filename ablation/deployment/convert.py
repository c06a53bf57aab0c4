"""From a network to the bytes of a file. The batch is free, the size of images is not."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ablate.deployment.formats import ExportError, Format
from ablate.errors import brief

INPUT, OUTPUT = "image", "logits"
"""What a file calls them: (batch, channels, height, width) float32 both."""
OPSET = 18
"""Of ONNX: what ONNX Runtime has run since 1.14, of 2023."""
_EXAMPLES = 2
"""Images in the example: of one, an exporter would take the batch to be 1 for good."""


def converted(model: nn.Module, form: Format, channels: int, size: tuple[int, int]) -> bytes:
    """The file of `model`, in evaluation mode, for images (batch, channels, *size); of ExecuTorch the batch is 1.

    Raises `ExportError` for a network that the form cannot hold, with the operation where the exporter names it.
    """
    like = next(model.parameters())
    example = torch.zeros(_EXAMPLES, channels, *size, device=like.device)
    model.eval()
    try:
        with quiet(), torch.no_grad():
            return _BY_FORM[form.name](model, example)
    except Exception as error:  # exporters raise what they like
        raise ExportError(f"the network cannot be exported as {form.name}: {_why(error)}") from None


def _torchscript(model: nn.Module, example: torch.Tensor) -> bytes:
    traced = torch.jit.trace(model, example, check_trace=False)
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    return buffer.getvalue()


def _pt2(model: nn.Module, example: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(_exported(model, example), buffer)
    return buffer.getvalue()


def _onnx(model: nn.Module, example: torch.Tensor) -> bytes:
    program = torch.onnx.export(
        _exported(model, example),
        (example,),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=_BATCH_IS_FREE,
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def _executorch(model: nn.Module, example: torch.Tensor) -> bytes:
    """For one image at a time: a runtime for devices plans its memory for the largest batch."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    program = torch.export.export(plain, (example[:1].contiguous(),))  # XNNPACK's passes know no other layout
    return bytes(to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch().buffer)


_BY_FORM = {"onnx": _onnx, "torchscript": _torchscript, "pt2": _pt2, "executorch": _executorch}
_BATCH_IS_FREE = ({0: torch.export.Dim("batch", min=1)},)


def _exported(model: nn.Module, example: torch.Tensor) -> Any:
    return torch.export.export(model, (example,), dynamic_shapes=_BATCH_IS_FREE)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the words of exporters, which are about their own next versions."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _why(error: BaseException) -> str:
    """The operation that an exporter could not take, or the first line of what it says."""
    said = []
    cause: BaseException | None = error
    while cause is not None:
        said.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    operation = re.search(
        r"OpOverload\(op='([\w.]+)'|[Uu]nsupported operator:? '?([\w.:]+)|Operator torch\._ops\.([\w.]+) is not in",
        "\n".join(said),
    )
    if operation:
        return f"it has no form of the operation {next(filter(None, operation.groups()))}"
    lines = [line.strip() for text in reversed(said) for line in text.splitlines() if line.strip()]
    return brief(lines[0]) if lines else type(error).__name__
