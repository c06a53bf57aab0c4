"""ONNX in whole numbers of 8 bits: weights by channel, activations by ranges measured on training images.

Static post-training quantisation by ONNX Runtime, as pairs of QuantizeLinear and DequantizeLinear around operations,
which a runtime replaces by whole-number kernels where it has these. It has few for grouped convolutions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablate.deployment.convert import INPUT, quiet
from ablate.deployment.formats import ExportError

CALIBRATED_ON = 64
"""Training images at most, evenly spread over these."""


def calibration_images(images: int) -> list[int]:
    """Which of so many images ranges are measured on."""
    few = min(images, CALIBRATED_ON)
    return [round(at) for at in np.linspace(0, images - 1, few)] if few else []


def quantised(content: bytes, images: Iterator[NDArray[np.float32]]) -> bytes:
    """An ONNX file in int8. `images`: of training, each (channels, H, W) as the network sees it.

    Raises `ExportError` for a file that cannot be made so.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(images, None)
            return None if image is None else {INPUT: np.ascontiguousarray(image[None])}

    with tempfile.TemporaryDirectory(prefix="ablate-int8-") as folder, quiet():
        given, ready, made = (Path(folder) / name for name in ("given.onnx", "ready.onnx", "made.onnx"))
        given.write_bytes(content)
        try:
            quant_pre_process(given, ready, skip_symbolic_shape=True)
            quantize_static(
                ready,
                made,
                Reader(),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
        except Exception as error:  # it raises what it likes
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ExportError(f"the network cannot be made int8: {reason}") from None
        return made.read_bytes()
