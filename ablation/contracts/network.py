"""What a network must do.

Images (N, channels, H, W) go in; logits (N, classes, H, W) come out, in training also a tuple of several of that
shape (deep supervision: every head at the images' own size, for each is held against the whole mask).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ablate.calls import parameters
from ablate.contracts.contract import Contract, Doubt, everything_from, reason
from ablate.contracts.training import resumed_training_equals_uninterrupted
from ablate.cost.counted import cost_note
from ablate.models.adapt import SIZES, CalledNetwork
from ablate.models.build import build_model
from ablate.models.network import network_of
from ablate.part import Part

_SIDES = (32, 64, 96, 128, 224, 256)
_STEPS = 2
_NEAR = 1e-3
"""By which logits may differ, as a share of the largest, where another order of sums is no other result."""


@dataclass
class TriedNetwork:
    """A network on images of the smallest size that it takes."""

    part: Part
    in_channels: int = 1
    classes: int = 1
    size: tuple[int, int] | None = None
    """The largest that is tried, height and width; then the one that is."""
    _sized: bool = field(default=False, repr=False)

    def built(self, seed: int = 0) -> nn.Module:
        """A new one, its weights from `seed`, on images of `size`."""
        if not self._sized:
            self.size, self._sized = self._smallest(), True
        everything_from(seed)
        model = build_model(self.part, self.in_channels, self.classes, self.size)
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def images(self, count: int, seed: int = 1) -> Tensor:
        """(count, channels, H, W) in [-1, 1], in the memory order in which a trial has them."""
        assert self.size is not None
        shape = (count, self.in_channels, *self.size)
        drawn = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        return drawn.contiguous(memory_format=torch.channels_last)

    def trained(self, seed: int = 0) -> nn.Module:
        """A network after two steps, so that no weight is what it began with; in evaluation mode."""
        model = self.built(seed).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for step in range(_STEPS):
            optimizer.zero_grad()
            _drawn_sum(heads(model(self.images(2, 10 + step)))).backward()
            optimizer.step()
        return model.eval()

    def _smallest(self) -> tuple[int, int]:
        """The smallest size at which an image goes through; where none does, the first, whose error then says why."""
        sizes = list(self._sizes())
        for size in sizes[:-1]:
            try:
                model = build_model(self.part, self.in_channels, self.classes, size).train()
                with torch.no_grad():
                    model(torch.zeros(2, self.in_channels, *size))
            except Exception:
                continue
            return size
        return sizes[-1] if self.size else sizes[0]

    def _sizes(self) -> Iterator[tuple[int, int]]:
        network = network_of(self.part)
        fixed = isinstance(network, CalledNetwork) and set(SIZES) & set(parameters(network.target))
        for side in _SIDES:
            if not (self.size and (fixed or side >= min(self.size))) and side % network.downsampling == 0:
                yield side, side
        yield self.size or (_SIDES[-1], _SIDES[-1])


def heads(output: Any) -> tuple[Tensor, ...]:
    """A network's outputs, one or several."""
    return output if isinstance(output, tuple) else (output,)


@torch.no_grad()
def _predicted(model: nn.Module, images: Tensor, seed: int = 0) -> Tensor:
    """The logits of a copy of the images; what it draws, if it does, comes from `seed`."""
    everything_from(seed)
    logits: Tensor = model(images.clone())
    return logits


def _drawn_sum(outputs: tuple[Tensor, ...]) -> Tensor:
    """A number that every logit moves, each by another amount."""
    generator = torch.Generator().manual_seed(5)
    return torch.stack([(one * torch.randn(one.shape, generator=generator)).mean() for one in outputs]).sum()


def it_builds(net: TriedNetwork) -> str:
    net.built()
    return ""


def it_gives_a_logit_for_each_pixel_and_class(net: TriedNetwork) -> str:
    model, images = net.built(), net.images(2)
    with torch.no_grad():
        predicted = model.eval()(images)
        in_training = heads(model.train()(images))
    wanted = (2, net.classes, *(net.size or ()))
    if not isinstance(predicted, Tensor):
        return f"in evaluation it gives {_kind(predicted)}: return logits alone unless self.training"
    for output in (predicted, *in_training):
        if not isinstance(output, Tensor):
            return f"in training it gives {_kind(output)}: return logits, or a tuple of them"
        small = output is not predicted and len(in_training) > 1 and output.ndim == 4  # a head of deep supervision
        if tuple(output.shape) != (*wanted[:2], *(output.shape if small else wanted)[2:]):
            more = "" if output.ndim == 4 and output.shape[1] == net.classes else "; end in a convolution to `classes`"
            return f"images {_shape(images)} gave {_shape(output)}: expected (N, classes, H, W) = {wanted}{more}"
        if not output.is_floating_point():
            return f"it gives {output.dtype}: return logits, not classes"
    return ""


def its_output_is_finite(net: TriedNetwork) -> str:
    model, images = net.built(), net.images(2)
    with torch.no_grad():
        outputs = [*heads(model.train()(images)), model.eval()(images), model(torch.zeros_like(images))]
    if all(output.isfinite().all() for output in outputs):
        return ""
    return "it gives NaN or infinite logits: look for a division, a logarithm or a root of what may be zero"


def it_has_parameters_to_train(net: TriedNetwork) -> str:
    if any(one.requires_grad for one in net.built().parameters()):
        return ""
    return "it has no parameter to train: keep its layers as attributes (in an nn.ModuleList, if several)"


def it_sees_its_images(net: TriedNetwork) -> str:
    model = net.trained()
    if torch.equal(_predicted(model, net.images(1, 1)), _predicted(model, net.images(1, 2))):
        return "two different images give the same logits: its output does not depend on its input"
    return ""


def its_cost_is_known_before_training(net: TriedNetwork) -> str:
    assert net.size is not None
    return Doubt(cost_note(net.part, net.in_channels, net.classes, net.size))


def gradients_reach_every_parameter(net: TriedNetwork) -> str:
    model = net.built().train()
    wanted = {name: one for name, one in model.named_parameters() if one.requires_grad}
    _drawn_sum(heads(model(net.images(2)))).backward()
    without = [name for name, one in wanted.items() if one.grad is None]  # zero is one: a bias before batch norm has it
    if without:
        more = f" ({len(without)} of {len(wanted)} parameters have none)" if len(without) > 1 else ""
        return f"{without[0]} has no gradient{more}: use it in forward, or take it out"
    unfit = [name for name, one in wanted.items() if one.grad is not None and not one.grad.isfinite().all()]
    return f"the gradient of {unfit[0]} is NaN or infinite: look for a root or a division at zero" if unfit else ""


def the_same_seed_gives_the_same_weights(net: TriedNetwork) -> str:
    everything_from(0)
    net.built()
    states = []
    for seed, others in ((3, 1), (3, 2), (4, 1)):
        everything_from(seed, others=others)
        states.append(build_model(net.part, net.in_channels, net.classes, net.size).state_dict())
    first, again, another = states
    for name in first:
        if not _same(first[name], again.get(name)):
            return (
                f"{name} differs between two networks of one seed: draw weights by torch alone (nn.init, torch.randn)"
            )
    if all(_same(first[name], another.get(name)) for name in first):
        return Doubt("every seed gives the same weights: seeds differ in the order of the images alone")
    return ""


def its_state_survives_saving(net: TriedNetwork) -> str:
    model, images = net.trained(), net.images(2)
    state = model.state_dict()
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if odd:
        return f"{odd[0]} is {_kind(state[odd[0]])}, which is not saved: keep it as a tensor (register_buffer)"
    other = net.built(seed=7)
    kept_as_copies = {name: one.detach().clone(memory_format=torch.contiguous_format) for name, one in state.items()}
    other.load_state_dict(load(save(kept_as_copies)))
    before, after = _predicted(model, images), _predicted(other.eval(), images)
    if torch.equal(before, after):
        return ""
    kept = _unsaved(model)
    what = f"{', '.join(kept[:3])} " + ("are" if len(kept) > 1 else "is") if kept else "what it has learned is"
    return f"saved and loaded it gives other logits: {what} not in its state_dict; use register_buffer or nn.Parameter"


def an_image_can_be_alone_in_its_batch(net: TriedNetwork) -> str:
    model = net.trained()
    both, alone = _predicted(model, net.images(2)), _predicted(model, net.images(2)[:1])
    if alone.shape[0] != 1 or alone.shape[1:] != both.shape[1:]:
        return f"one image gave {_shape(alone)}: expected (1, {', '.join(map(str, both.shape[1:]))})"
    if not torch.equal(both, _predicted(model, net.images(2), seed=1)):
        return ""  # it is random, of which there is a check of its own
    if (both[:1] - alone).abs().max() > _NEAR * both.abs().max().clamp(min=1):
        return "in evaluation an image's logits depend on the others of its batch: use running statistics, or none"
    return ""


def its_predictions_are_not_random(net: TriedNetwork) -> str:
    model, images = net.trained(), net.images(1)
    if torch.equal(_predicted(model, images, seed=1), _predicted(model, images, seed=2)):
        return ""
    return "in evaluation one image gives two results: draw only while self.training (F.dropout takes training=)"


def it_leaves_its_input_alone(net: TriedNetwork) -> str:
    model = net.built()
    for mode in (True, False):
        images = net.images(2)
        with torch.no_grad():
            model.train(mode)(images)
        if not torch.equal(images, net.images(2)):
            return "it changes the images it is given: no in-place operation on the input (x = x + …, inplace=False)"
    return ""


def it_takes_colour_and_several_classes(net: TriedNetwork) -> str:
    other = TriedNetwork(net.part, 3, 3, net.size)
    try:
        problem = it_gives_a_logit_for_each_pixel_and_class(other)
    except Exception as error:
        problem = reason(error)
    return Doubt(f"not with 3 channels and 3 classes: {problem}") if problem else ""


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return bool(one == other)


def _unsaved(model: nn.Module) -> list[str]:
    """Tensors that a network keeps and does not save."""
    saved = set(model.state_dict())
    found = []
    for place, module in model.named_modules():
        kept = {name: one for name, one in vars(module).items() if isinstance(one, Tensor)} | dict(module._buffers)
        found += [name for name in (f"{place}.{one}".lstrip(".") for one in kept) if name not in saved]
    return found


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _kind(value: Any) -> str:
    return "a tuple" if isinstance(value, tuple) else f"a {type(value).__name__}"


def tried(part: Part, in_channels: int = 1, classes: int = 1, size: tuple[int, int] | None = None) -> TriedNetwork:
    """A network to try. Raises `InputError` for a part that cannot be found."""
    network_of(part)
    return TriedNetwork(part, in_channels, classes, size)


_QUICK = (
    gradients_reach_every_parameter,
    the_same_seed_gives_the_same_weights,
    its_state_survives_saving,
)
CONTRACT = Contract(
    tried,
    first=(
        it_builds,
        it_has_parameters_to_train,
        it_gives_a_logit_for_each_pixel_and_class,
        its_output_is_finite,
    ),
    then=(
        *_QUICK,
        its_cost_is_known_before_training,
        it_sees_its_images,
        its_predictions_are_not_random,
        an_image_can_be_alone_in_its_batch,
        it_leaves_its_input_alone,
        it_takes_colour_and_several_classes,
    ),
    quick=_QUICK,
    last=(resumed_training_equals_uninterrupted,),
)
