"""The state of any of torch's optimisers as tensors and JSON, and back, to the bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablate.errors import TrialError, brief

Written = Any
"""JSON: a number, a text, a truth value, null, a list, or an object of one key that tells what it stands for."""


def write_state(optimizer: torch.optim.Optimizer) -> tuple[Written, dict[str, Tensor]]:
    """What `optimizer` holds, and the tensors that it names.

    Raises `TrialError` for what can be neither tensor nor JSON.
    """
    tensors: dict[str, Tensor] = {}
    held = optimizer.state_dict()
    groups = [{name: value for name, value in group.items() if name != "params"} for group in held["param_groups"]]
    try:
        return {"state": _write(held["state"], tensors, "state"), "groups": _write(groups, tensors, "groups")}, tensors
    except _CannotError as error:
        raise TrialError(
            f"the state of {type(optimizer).__name__} cannot be kept, so this trial could not go on after an "
            f"interruption: {error}"
        ) from None


def read_state(optimizer: torch.optim.Optimizer, written: Written, tensors: dict[str, Tensor]) -> None:
    """Have `optimizer`, of parameters as they were, hold what was written.

    Not by its `load_state_dict`, which casts every tensor to its parameter's type.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    device = parameters[0].device
    optimizer.state.clear()
    for key, value in _read(written["state"], tensors, device).items():
        optimizer.state[parameters[key] if isinstance(key, int) else key] = value
    for group, values in zip(optimizer.param_groups, _read(written["groups"], tensors, device), strict=True):
        group.update(values)


class _CannotError(Exception):
    pass


def _write(value: Any, tensors: dict[str, Tensor], where: str) -> Written:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value
        return {"tensor": name, "strides": value.stride(), "host": value.device.type == "cpu"}
    if type(value) in (list, tuple):
        items = [_write(one, tensors, f"{where}.{at}") for at, one in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if isinstance(value, dict) and all(type(key) in (int, str) for key in value):
        return {"dict": [[key, _write(one, tensors, f"{where}.{key}")] for key, one in value.items()]}
    raise _CannotError(f"{where} is {brief(value)} ({type(value).__name__})")


def _read(written: Written, tensors: dict[str, Tensor], device: torch.device) -> Any:
    if isinstance(written, list):
        return [_read(one, tensors, device) for one in written]
    if not isinstance(written, dict):
        return written
    if "tuple" in written:
        return tuple(_read(one, tensors, device) for one in written["tuple"])
    if "dict" in written:
        return {key: _read(one, tensors, device) for key, one in written["dict"]}
    found = tensors[written["tensor"]]
    # Fused steps read a parameter and its moments alike in memory order, so these lie as they lay.
    laid = torch.empty_strided(found.shape, written["strides"], dtype=found.dtype)
    return laid.copy_(found).to("cpu" if written["host"] else device)
