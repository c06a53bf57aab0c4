"""A loss that others wrote, as it is: `torch.nn:CrossEntropyLoss`, `monai.losses:DiceLoss`, or a function of yours.

Losses disagree on what masks look like. Which form one takes is found once, by a probe: the first, in a fixed order,
on which it gives a finite number that is lower where a prediction is right than where the masks of other images are
put beside it. The latter is what tells a loss that understands its masks from one that merely broadcasts them.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.calls import call, check_settings, parameters, said
from ablate.errors import InputError
from ablate.training.losses.base import LossFunction

if TYPE_CHECKING:
    from torch import Tensor


class Form(NamedTuple):
    """A way to write masks, and how it is made of masks (N, H, W) int64 for so many classes."""

    name: str
    of: Callable[[Tensor, int], Tensor]


def _one_hot(masks: Tensor, classes: int) -> Tensor:
    from torch.nn import functional

    return functional.one_hot(masks, classes).movedim(-1, 1).float()


OF_ONE_CLASS = (
    Form("(N, 1, H, W) float", lambda masks, classes: masks[:, None].float()),
    Form("(N, H, W) float", lambda masks, classes: masks.float()),
    Form("(N, 1, H, W) int64", lambda masks, classes: masks[:, None]),
)
OF_SEVERAL = (
    Form("(N, H, W) int64", lambda masks, classes: masks),
    Form("(N, 1, H, W) int64", lambda masks, classes: masks[:, None]),
    Form("one-hot (N, C, H, W) float", _one_hot),
)


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """The arguments of `target` that are no settings: of a function, logits and masks."""
    return () if inspect.isclass(target) else tuple(parameters(target))[:2]


class ForeignLoss(NamedTuple):
    """A loss that others wrote, with its settings: of a class, to make it; of a function, to call it."""

    target: Callable[..., Any]
    settings: Mapping[str, Any]
    what: str

    def build(self, classes: int) -> LossFunction:
        """As `Loss.build`. Raises `InputError` also where no form of masks fits."""
        import torch

        loss = self._loss(classes)
        form = _fitting(loss, classes, self.what)
        if not isinstance(loss, torch.nn.Module):
            return lambda logits, masks: loss(logits, form.of(masks, classes))
        return lambda logits, masks: loss.to(logits.device)(logits, form.of(masks, classes))

    def _loss(self, classes: int) -> Callable[[Tensor, Tensor], Tensor]:
        known = {"num_classes": classes, "n_classes": classes}
        settings = {name: _tensor(self.target, name, value) for name, value in self.settings.items()}
        if inspect.isclass(self.target):
            made: Callable[[Tensor, Tensor], Tensor] = call(self.target, settings, known, self.what)
            return made
        filled = {name: value for name, value in known.items() if name in parameters(self.target)}
        return partial(self.target, **{**filled, **settings})


def adapt(target: Callable[..., Any], settings: Mapping[str, Any], what: str) -> ForeignLoss:
    """What `target` is as a loss; `what` names it in errors. Raises `InputError` for a setting it does not take."""
    check_settings(target, settings, what, data_names(target))
    return ForeignLoss(target, settings, what)


def _tensor(target: Callable[..., Any], name: str, value: Any) -> Any:
    """A list for an argument that is a tensor, such as the weights of classes, as one."""
    annotation = str(parameters(target)[name].annotation) if name in parameters(target) else ""
    if "Tensor" in annotation and isinstance(value, list | tuple):
        import torch

        return torch.tensor(value, dtype=torch.float32)
    return value


def _fitting(loss: Callable[..., Any], classes: int, what: str) -> Form:
    """The first form of masks that `loss` understands. Raises `InputError` that tells what each gave."""
    import torch

    logits, masks = _probe(classes)
    found = []
    for form in OF_ONE_CLASS if classes == 1 else OF_SEVERAL:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            reason = _misfit(loss, logits, form.of(masks, classes), form.of(masks.roll(1, dims=0), classes))
        if not reason:
            return form
        found.append(f"{form.name}: {reason}")
    raise InputError(f"{what} takes no form of masks for {classes} output channels: {'; '.join(found)}")


def _misfit(loss: Callable[..., Any], logits: Tensor, right: Tensor, wrong: Tensor) -> str:
    """Why `loss` does not fit masks of this form; empty where it does."""
    from torch import Tensor

    try:
        found = loss(logits, right), loss(logits, wrong)
    except Exception as error:
        return said(error)
    if not all(isinstance(one, Tensor) and one.numel() == 1 for one in found):
        shape = tuple(found[0].shape) if isinstance(found[0], Tensor) else type(found[0]).__name__
        return f"it gave {shape} and no single number"
    of_right, of_wrong = (one.item() for one in found)
    if not (found[0].isfinite().all() and found[1].isfinite().all()):
        return f"it gave {of_right:g} and {of_wrong:g}"
    if not found[0].requires_grad:
        return "it has no gradient"
    return "" if of_right < of_wrong else f"a right prediction cost {of_right:g}, and a wrong one {of_wrong:g}"


def _probe(classes: int) -> tuple[Tensor, Tensor]:
    """Logits (N, classes, H, W), confident and right, and their masks (N, H, W): N, C, H and W all differ.

    The masks are narrow stripes, so that they have skeletons, of all classes in turn, shifted by one in the next image.
    """
    import torch

    held = max(classes, 2)
    count, height, width = 3 if classes == 2 else 2, 20 if classes == 16 else 16, max(24, 4 * held)
    stripes = torch.arange(width) // 4
    masks = torch.stack([(stripes + image) % held for image in range(count)])[:, None].repeat(1, height, 1)
    labels = masks[:, None].float() if classes == 1 else _one_hot(masks, classes)
    return (8 * labels - 4).requires_grad_(), masks
