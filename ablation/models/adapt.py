"""A network that is any callable: a class of `torch.nn.Module`, or a function that gives one."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from ablate.calls import call, check_settings
from ablate.errors import InputError, PartError
from ablate.models.network import CHANNELS, CLASSES
from ablate.user_code import is_users

CONSTANTS = {"spatial_dims": 2}
"""What is the same in every trial, by the names that libraries have for it."""
SIZES = ("img_size", "image_size", "input_size")
"""Arguments that are filled in where they are not set."""


class CalledNetwork(NamedTuple):
    """A network as its class or function gives it; see `ablate.models.network.Network`."""

    target: Callable[..., Any]
    settings: dict[str, Any]
    called: str
    downsampling: int = 1
    encoder_weights: None = None

    def build(self, in_channels: int, classes: int, size: tuple[int, int] | None = None) -> nn.Module:
        """`size`: height and width of the images, for networks that must know them."""
        known: dict[str, Any] = dict.fromkeys(CHANNELS, in_channels) | dict.fromkeys(CLASSES, classes) | CONSTANTS
        known |= dict.fromkeys(SIZES, size) if size else {}
        model = call(self.target, self.settings, known, self.called)
        if not isinstance(model, nn.Module):
            raise InputError(f"{self.called} gives a {type(model).__name__}: expected a torch.nn.Module")
        model.register_forward_hook(_plain_output)
        return model


def adapt(target: Callable[..., Any], settings: dict[str, Any], what: str) -> CalledNetwork:
    """`target` called with `settings`. Raises `InputError` for a class that is no network."""
    if inspect.isclass(target) and not issubclass(target, nn.Module):
        raise PartError(f"{what} is a class, and no torch.nn.Module: expected one, or a function that gives one")
    if not inspect.isclass(target) and not is_users(target) and not _says_that_it_gives_one(target):
        raise PartError(
            f"{what} is a library's function that does not say that it gives a torch.nn.Module: call it in a function "
            "of your own, and name that"
        )
    check_settings(target, settings, what)
    return CalledNetwork(target, settings, what)


def _says_that_it_gives_one(target: Callable[..., Any]) -> bool:
    """By its annotation. Else a stranger's study could name whatever function is installed, and have it called."""
    try:
        given = typing.get_type_hints(target).get("return")
    except Exception:  # names that are not there
        return False
    return inspect.isclass(given) and issubclass(given, nn.Module)


def _plain_output(model: nn.Module, inputs: Any, output: Any) -> Any:
    """Logits, or a tuple of them, the output last: of what libraries give, torchvision's mapping, lists, and MONAI's
    heads in one tensor (N, heads, C, H, W), the output first."""
    if isinstance(output, dict) and isinstance(output.get("out"), Tensor):
        output = output["out"]
    if isinstance(output, Tensor) and output.ndim == 5:
        return tuple(reversed(output.unbind(1)))
    return tuple(output) if isinstance(output, list) else output
