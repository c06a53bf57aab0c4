"""One trial trained by several processes that act as one: each takes its share of every batch, and sums make it whole.

What one process computes as a mean over a batch is here the sum over ranks of each rank's part of that mean: the loss,
its gradients, and the statistics of batch norm. So shares may be uneven, or empty. The other norms see one image each.
Dropout alone is not the same: each process draws the channels that it leaves out for its own images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn


class PeerLostError(RuntimeError):
    """Another process of the group is gone: this one is a victim, not the cause."""


class Group(NamedTuple):
    """The processes that train one trial, of which this one is `rank`; by default it is alone.

    Where `size` is above 1, `torch.distributed` is initialised (NCCL on CUDA, gloo on CPUs) and every rank calls the
    same methods in the same order. What comes of them is the same on every rank, bit for bit.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    def share(self, count: int) -> slice:
        """This rank's of `count` things: the shares of all ranks are disjoint, in order and differ by at most one."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks of tensors of one shape. Raises `PeerLostError` where a rank is gone."""
        if self.size == 1:
            return tensor
        total = tensor.to(self.device, copy=True)
        try:
            dist.all_reduce(total)
        except RuntimeError as error:
            raise PeerLostError(f"rank {self.rank} lost a peer: {error}") from error
        return total.to(tensor.device)

    def gather(self, own: NDArray[Any], count: int) -> NDArray[Any]:
        """The rows of all ranks, each of which has those of its share of `count`."""
        if self.size == 1:
            return own
        rows = torch.zeros((count, *own.shape[1:]), dtype=torch.from_numpy(own).dtype)
        rows[self.share(count)] = torch.from_numpy(own)
        return self.sum(rows).numpy()

    def gather_each(self, own: Sequence[NDArray[Any]], shapes: Sequence[tuple[int, ...]]) -> list[NDArray[Any]]:
        """The arrays of all ranks, uint8 and of these shapes, each of which has those of its share."""
        if self.size == 1:
            return list(own)
        sizes = [math.prod(shape) for shape in shapes]
        values = torch.zeros(sum(sizes), dtype=torch.uint8)
        before = sum(sizes[: self.share(len(shapes)).start])
        for array in own:
            values[before : before + array.size] = torch.tensor(array).flatten()
            before += array.size
        parts = self.sum(values).split(sizes)
        return [part.reshape(shape).numpy() for part, shape in zip(parts, shapes, strict=True)]

    def part_of_mean(self, mean: Tensor, own: int, whole: int) -> Tensor:
        """What this rank's `mean` of its `own` things adds to the mean of the `whole`: the ranks' parts sum to it."""
        if own == whole:
            return mean
        return mean * (own / whole) if own else mean.nan_to_num()  # the mean of nothing is NaN

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over ranks.

        One all-reduce after the backward pass, and not DistributedDataParallel, which averages over ranks (wrong where
        shares differ), waits for a rank that has no image, and arranges its buckets anew after the first step, so that
        a resumed training would sum in another order than an uninterrupted one. What it gains, communication during
        the backward pass, is little here: the largest network's gradients are 140 MB.
        """
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        total = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def synchronise(self, model: nn.Module) -> None:
        """Make every batch norm of `model` normalise over the whole batch, in place; its state keeps its names."""
        if self.size == 1:
            return
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.__class__ = _GroupBatchNorm
                assert isinstance(module, _GroupBatchNorm)
                module.group = self


ALONE = Group()


class _GroupBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all ranks. Unlike torch's SyncBatchNorm it is for every device."""

    group: Group

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean, variance, count = _moments(x.detach(), self.group)
        assert self.momentum is not None
        self.get_buffer("num_batches_tracked").add_(1)
        self.get_buffer("running_mean").lerp_(mean, self.momentum)
        self.get_buffer("running_var").lerp_(variance * (count / (count - 1)), self.momentum)
        normalised: Tensor = _Normalise.apply(x, self.weight, self.bias, mean, variance, count, self.eps, self.group)
        return normalised


def _moments(x: Tensor, group: Group) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance of each channel of x (n, C, H, W) over all ranks, both (C,), and the count."""
    own = x.numel() // x.shape[1]
    if own:
        variance, mean = (m.double() for m in torch.var_mean(_wide(x), dim=(0, 2, 3), correction=0))
    else:
        variance = mean = x.new_zeros(x.shape[1], dtype=torch.float64)
    # float64: the counts of pixels pass 2²⁴, and the variance is a difference of large numbers.
    total = group.sum(torch.cat([mean * own, (variance + mean**2) * own, mean.new_tensor([own])]))
    first, second = (total[:-1] / total[-1]).chunk(2)
    wide = _wide(x[:0]).dtype
    return first.to(wide), (second - first**2).clamp(min=0).to(wide), total[-1]


def _wide(x: Tensor) -> Tensor:
    """x in at least float32: what mixed precision leaves in 16 bits is too narrow to sum."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _Normalise(torch.autograd.Function):
    """Batch norm by moments of all ranks, through which its gradient flows (Ioffe & Szegedy 2015, section 3)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, count: Tensor,
        eps: float, group: Group,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps), count)
        ctx.group = group
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, count = ctx.saved_tensors
        mean, scale = mean[:, None, None], scale[:, None, None]
        gradient = _wide(gradients[0])
        normal = (_wide(x) - mean) * scale
        own = torch.stack([gradient.sum((0, 2, 3)), (gradient * normal).sum((0, 2, 3))])
        along_one, along_normal = (ctx.group.sum(own) / count)[:, :, None, None]
        of_x = (gradient - along_one - normal * along_normal) * (scale * weight[:, None, None])
        return of_x.to(x.dtype), own[1], own[0], None, None, None, None, None
