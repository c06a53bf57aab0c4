"""Starting an encoder from a local file of weights in torchvision's names."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ablate.errors import InputError

_CLASSIFIERS = ("fc.", "classifier.")


def load_encoder_weights(encoder: nn.Module, path: Path) -> None:
    """Loads `path`, a .safetensors file or a PyTorch state dict, into `encoder`; a classifier in it is ignored.

    For an encoder of one input channel the first convolution's RGB filters are summed, which gives what the encoder of
    three channels gives for a grey image repeated three times.
    Raises `InputError` for a file that cannot be read or that does not hold exactly the encoder's weights.
    """
    given = {name: value for name, value in _read(path).items() if not name.startswith(_CLASSIFIERS)}
    expected = encoder.state_dict()
    first = next(iter(expected))
    if first in given and expected[first].shape[1] == 1:
        given[first] = given[first].sum(dim=1, keepdim=True)
    for name, value in expected.items():
        # A count of training batches: files from before PyTorch 0.4.1 lack it, and nothing here uses it.
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, value)
        if name not in given:
            raise InputError(f"encoder weights '{path}': '{name}' is missing; expected a {_kind(encoder)} state dict")
        if given[name].shape != value.shape:
            raise InputError(
                f"encoder weights '{path}': '{name}' has shape {_shape(given[name])}, expected {_shape(value)}"
            )
    surplus = sorted(given.keys() - expected.keys())
    if surplus:
        raise InputError(f"encoder weights '{path}': '{surplus[0]}' is not part of a {_kind(encoder)}")
    encoder.load_state_dict(given)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or foreign file raises is not one type
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"encoder weights '{path}' cannot be read: {reason}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"encoder weights '{path}': expected a state dict, names to tensors")
    return weights


def _kind(encoder: nn.Module) -> str:
    return type(encoder).__name__.removesuffix("Encoder")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
