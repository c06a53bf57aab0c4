"""How the weights of convolutions and linear layers begin, of any network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

_INITIALISERS: dict[str, Callable[[nn.Parameter], Any]] = {
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
    "normal": lambda weight: nn.init.normal_(weight, std=0.02),
}
"""He et al. (2015), Glorot & Bengio (2010), Saxe et al. (2014), and Radford et al. (2016, DCGAN)."""
_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def initialise(model: nn.Module, name: str) -> None:
    """Draw the weights of all convolutions and linear layers anew, from torch's global random state; biases are zero.

    What else has weights, norms say, stays as it was, and so does a layer whose weight is computed from others.
    """
    for module in model.modules():
        if isinstance(module, _LAYERS) and isinstance(weight := module._parameters.get("weight"), nn.Parameter):
            _INITIALISERS[name](weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
