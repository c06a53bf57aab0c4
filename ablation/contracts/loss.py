"""What a loss must do: `build(classes)` gives a function of logits (N, classes, H, W) and masks (N, H, W)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ablate.contracts.contract import Contract, Doubt, reason
from ablate.kinds import KINDS, make
from ablate.part import Part

_CLASSES = (1, 3)
_SIDE = 16
_CONFIDENT = 4.0
_CERTAIN = 50.0
"""A logit at which a probability is 0 or 1 to the last digit."""

LossFunction = Callable[[Tensor, Tensor], Tensor]


class TriedLoss:
    """A loss of as many classes as it takes, of 1 and 3."""

    def __init__(self, part: Part, classes: tuple[int, ...] = _CLASSES) -> None:
        """`classes`: each number of them with which it is tried."""
        self.loss = make(KINDS["loss"], part)
        self.classes = classes

    def functions(self) -> Iterator[tuple[int, LossFunction]]:
        """The number of classes, and the function of each."""
        for classes in self.classes:
            try:
                yield classes, self.loss.build(classes)
            except Exception:  # `it_builds` says so
                continue


def _masks(classes: int, held: str = "all") -> Tensor:
    """(2, H, W) int64: of stripes of every class in turn, of nothing (`empty`), or of one class alone (`full`)."""
    if held != "all":
        return torch.full((2, _SIDE, _SIDE), 0 if held == "empty" else max(classes - 1, 1))
    stripes = torch.arange(_SIDE) // 4 % max(classes, 2)
    return torch.stack([stripes, stripes.roll(4)])[:, None].repeat(1, _SIDE, 1)


def _logits(masks: Tensor, classes: int, height: float) -> Tensor:
    """Logits that are `height` where the mask has a class, and its negative elsewhere."""
    held = masks[:, None] if classes == 1 else torch.nn.functional.one_hot(masks, classes).movedim(-1, 1)
    return ((2 * held - 1) * height).float().requires_grad_()


def it_builds(tried: TriedLoss) -> str:
    problems = []
    for classes in tried.classes:
        try:
            tried.loss.build(classes)
        except Exception as error:
            problems.append(f"not for {classes} output channel{'s' * (classes > 1)}: {reason(error)}")
    return problems[0] if len(problems) == len(tried.classes) else Doubt("; ".join(problems))


def it_gives_one_number(tried: TriedLoss) -> str:
    for classes, loss in tried.functions():
        found = loss(_logits(_masks(classes), classes, _CONFIDENT), _masks(classes))
        if not isinstance(found, Tensor) or found.numel() != 1:
            given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            return f"for {classes} classes it gives {given}: expected a tensor of one number; end in .mean()"
    return ""


def it_is_finite_on_empty_and_full_masks(tried: TriedLoss) -> str:
    for classes, loss in tried.functions():
        for held in ("empty", "full", "all"):
            masks = _masks(classes, held)
            for logits in (torch.zeros(2, classes, _SIDE, _SIDE), _logits(masks, classes, -_CONFIDENT).detach()):
                logits.requires_grad_()
                value = loss(logits, masks)
                what = f"on {'stripes' if held == 'all' else held + ' masks'} of {classes} classes"
                if not value.isfinite().all():
                    return f"{what} it is {value.item():g}: keep what is divided by, or logged, above zero (add 1e-6)"
                value.sum().backward()
                if logits.grad is not None and not logits.grad.isfinite().all():
                    return f"{what} its gradient is NaN or infinite: keep what is under a root or a log above zero"
    return ""


def it_is_finite_where_a_network_is_certain(tried: TriedLoss) -> str:
    for classes, loss in tried.functions():
        masks = _masks(classes)
        for height in (_CERTAIN, -_CERTAIN):
            value = loss(_logits(masks, classes, height), masks)
            if not value.isfinite().all():
                return (
                    f"at logits of ±{_CERTAIN:g} it is {value.item():g}: use logsigmoid, log_softmax or a loss "
                    "'with_logits', not the log of a probability"
                )
    return ""


def a_wrong_prediction_costs_more_than_a_right_one(tried: TriedLoss) -> str:
    for classes, loss in tried.functions():
        masks = _masks(classes)
        right, wrong = (loss(_logits(masks, classes, height), masks).item() for height in (_CONFIDENT, -_CONFIDENT))
        if not right < wrong:
            return (
                f"for {classes} classes a right prediction costs {right:g} and a wrong one {wrong:g}: a loss falls as "
                "the prediction gets better; mind its sign, and that logits are not probabilities"
            )
    return ""


def a_wrong_prediction_has_a_gradient(tried: TriedLoss) -> str:
    for classes, loss in tried.functions():
        masks = _masks(classes)
        logits = _logits(masks, classes, -1.0)
        value = loss(logits, masks)
        if not value.requires_grad:
            return "it has no gradient: compute it of the logits, without .item(), .detach(), argmax or a threshold"
        value.sum().backward()
        if logits.grad is None or not logits.grad.any():
            return "its gradient is zero where the prediction is wrong: a threshold or argmax has none"
    return ""


def it_leaves_its_inputs_alone(tried: TriedLoss) -> str:
    for classes, loss in tried.functions():
        masks = _masks(classes)
        logits = _logits(masks, classes, 1.0).detach()
        with torch.no_grad():
            loss(logits, masks)
        if not torch.equal(masks, _masks(classes)) or not torch.equal(logits, _logits(masks, classes, 1.0)):
            return "it changes the logits or masks it is given: no in-place operations (masks[…] = …, clamp_)"
    return ""


def it_is_not_random(tried: TriedLoss) -> str:
    for classes, loss in tried.functions():
        masks = _masks(classes)
        logits = _logits(masks, classes, 1.0).detach()
        if loss(logits.clone(), masks.clone()).item() != loss(logits, masks).item():
            return "the same logits and masks give two numbers: validation could not compare epochs"
    return ""


CONTRACT = Contract(
    TriedLoss,
    first=(it_builds, it_gives_one_number),
    then=(
        it_is_finite_on_empty_and_full_masks,
        it_is_finite_where_a_network_is_certain,
        a_wrong_prediction_costs_more_than_a_right_one,
        a_wrong_prediction_has_a_gradient,
        it_leaves_its_inputs_alone,
        it_is_not_random,
    ),
)
