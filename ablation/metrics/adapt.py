"""A metric that others wrote, as it is: `monai.metrics:SurfaceDiceMetric`, or a class or function of yours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.calls import call, check_settings, parameters
from ablate.errors import InputError
from ablate.metrics.base import MetricFunction, fill_undefined

_MONAI_ARGUMENTS = ("y_pred", "y")


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """The arguments of `target` that are no settings: of a function, prediction, mask and number of classes.

    `include_background` is true where it is not set.
    """
    if inspect.isclass(target):
        return ()
    named = tuple(parameters(target))
    return named[:2] if named[:2] == _MONAI_ARGUMENTS else named[:3]


class ForeignMetric(NamedTuple):
    """A class that makes a metric, or a function that is one, with its settings."""

    target: Callable[..., Any]
    settings: Mapping[str, Any]
    what: str

    def build(self) -> MetricFunction:
        """As `ImageMetric.build`. Raises `InputError` for what takes neither kind of arguments.

        Those of arguments `y_pred` and `y`, as MONAI's, get one-hot masks (N, classes, H, W) as tensors. Others get
        class indices (N, H, W), predicted and true, and the number of classes where they take three arguments. NaN is
        1 for a class that neither has, and 0 otherwise.
        """
        known, named = {"include_background": True}, parameters(self.target)
        thing, settings = self.target, {**{n: v for n, v in known.items() if n in named}, **self.settings}
        if inspect.isclass(thing):
            thing, settings = call(thing, settings, {}, self.what), {}
        names = [name for name, one in inspect.signature(_asked(thing)).parameters.items() if name not in settings]
        if tuple(names[:2]) == _MONAI_ARGUMENTS:
            return lambda predicted, masks, classes: _of_one_hot(thing, settings, predicted, masks, classes)
        required = inspect.signature(thing).parameters
        data = [name for name in names if required[name].default is inspect.Parameter.empty]
        if not 2 <= len(data) <= 3:
            raise InputError(f"{self.what} takes {', '.join(data) or 'nothing'}: expected (predicted, masks, classes)")

        def measured(predicted: NDArray[np.uint8], masks: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
            given = dict(zip(data, (predicted, masks, classes), strict=False))
            return _filled(thing(**given, **settings), predicted, masks)

        return measured


def adapt(target: Callable[..., Any], settings: Mapping[str, Any], what: str) -> ForeignMetric:
    """What `target` is as a metric; `what` names it in errors. Raises `InputError` for a setting it does not take."""
    check_settings(target, settings, what, data_names(target))
    return ForeignMetric(target, settings, what)


def _asked(thing: Any) -> Callable[..., Any]:
    """What says which arguments a metric takes: MONAI's that cumulate pass theirs on."""
    of_batch: Callable[..., Any] = getattr(thing, "_compute_tensor", thing)
    return of_batch


def _of_one_hot(
    thing: Any, settings: Mapping[str, Any], predicted: NDArray[np.uint8], masks: NDArray[np.uint8], classes: int
) -> NDArray[np.float64]:
    import torch

    pair = [torch.from_numpy(np.stack([m == c for c in range(classes)], axis=1)).float() for m in (predicted, masks)]
    found = thing(y_pred=pair[0], y=pair[1], **settings)
    if hasattr(thing, "reset"):  # what it gathered over batches
        thing.reset()
    return _filled(found, predicted, masks)


def _filled(found: Any, predicted: NDArray[np.uint8], masks: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Values as an array; of another shape than a metric's they are left to who checks that."""
    values = np.asarray(found, dtype=np.float64)
    held = values.ndim == 2 and len(values) == len(masks)
    return fill_undefined(values, predicted, masks) if held else values
