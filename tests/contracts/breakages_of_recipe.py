"""Parts of a recipe that each break their contract in one way."""

from __future__ import annotations

from textwrap import indent

from breakages import Breakage


def loss(body: str) -> str:
    lines = indent(
        "wanted = F.one_hot(masks, 3).movedim(-1, 1).float() if classes > 1 else masks[:, None].float()\n"
        f"p = logits.sigmoid()\n{body}",
        " " * 12,
    )
    return f"""
import torch
import torch.nn.functional as F
from ablate.training.losses.base import Loss

class Net(Loss):
    def build(self, classes):
        def loss(logits, masks):
{lines}
        return loss
"""


LOSSES = {
    "one number an image": Breakage(
        "loss",
        loss("return (p - wanted).square().mean(dim=(1, 2, 3))"),
        "it gives one number",
        "it gives (2,): expected a tensor of one number; end in .mean()",
    ),
    "a division by what is empty": Breakage(
        "loss",
        loss("return (p - wanted).square().mean() * (wanted.sum() / wanted.sum())"),
        "it is finite on empty and full masks",
        "on empty masks of 1 classes it is nan",
    ),
    "the log of a probability": Breakage(
        "loss",
        loss("return -(wanted * p.log() + (1 - wanted) * (1 - p).log()).nan_to_num(0.0).mean()"),
        "it is finite where a network is certain",
        "at logits of ±50 it is inf",
    ),
    "a score and not a loss": Breakage(
        "loss",
        loss("return 1 - (p - wanted).square().mean()"),
        "a wrong prediction costs more than a right one",
        "mind its sign",
    ),
    "a threshold": Breakage(
        "loss",
        loss("return ((p > 0.5).float() - wanted).square().mean() + 0 * logits.sum()"),
        "a wrong prediction has a gradient",
        "a threshold or argmax has none",
    ),
    "no graph": Breakage(
        "loss",
        loss("return torch.tensor((p - wanted).square().mean().item(), requires_grad=True)"),
        "a wrong prediction has a gradient",
        "its gradient is zero",
    ),
    "masks changed in place": Breakage(
        "loss",
        loss("masks[masks > 0] = 1\nreturn (p - wanted).square().mean() + 0 * masks.sum()"),
        "it leaves its inputs alone",
        "no in-place operations",
    ),
    "a loss with noise": Breakage(
        "loss",
        loss("return (p - wanted).square().mean() + 0.01 * torch.rand(())"),
        "it is not random",
        "validation could not compare epochs",
    ),
}


def optimizer(step: str, init: str = "pass") -> str:
    return f"""
import torch

class Net(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {{"lr": lr}})
        self.memory = {{}}
        self.calls = 0
        {init}

    @torch.no_grad()
    def step(self):
        self.calls += 1
        for group in self.param_groups:
            for p in group["params"]:
                {step}
"""


OPTIMIZERS = {
    "up and not down": Breakage(
        "optimizer", optimizer("p.add_(p.grad, alpha=group['lr'])"), "it goes down a quadratic", "mind the sign"
    ),
    "a rate of its own": Breakage(
        "optimizer",
        optimizer("p.sub_(p.grad, alpha=group['lr'])", "self.param_groups[0]['lr'] = 0.1"),
        "it starts at the learning rate",
        "its learning rate is 0.1 where 0.01 was asked for",
    ),
    "matrices alone": Breakage(
        "optimizer",
        optimizer("p.ndim > 1 and p.sub_(p.grad, alpha=group['lr'])"),
        "it moves every parameter",
        "a parameter of shape (4,) where it was",
    ),
    "memory that is not state": Breakage(
        "optimizer",
        optimizer("p.sub_(p.grad, alpha=group['lr'] / self.calls)"),
        "its state survives saving",
        "must be in self.state, not in attributes",
    ),
    "draws": Breakage(
        "optimizer",
        optimizer("p.sub_(p.grad * torch.rand_like(p), alpha=group['lr'])"),
        "the same steps give the same weights",
        "an optimizer draws nothing",
    ),
}


def schedule(factor: str) -> str:
    return f"""
import random
from torch.optim.lr_scheduler import LambdaLR

def Net(optimizer):
    return LambdaLR(optimizer, lambda t: {factor})
"""


SCHEDULES = {
    "below zero": Breakage(
        "schedule",
        schedule("1 - t / 5"),
        "the learning rate is a positive number",
        "in epoch 7 of 10, step 1 of 4, the learning rate is -0.002",
    ),
    "zero throughout": Breakage(
        "schedule", schedule("0.0"), "the learning rate is a positive number", "0 in every step: nothing is learned"
    ),
    "drawn": Breakage("schedule", schedule("random.random()"), "a replay gives the same", "a schedule draws nothing"),
    "no schedule": Breakage(
        "schedule", "def Net(optimizer):\n    return 1\n", "it builds", "expected a torch.optim.lr"
    ),
    "too short": Breakage(
        "schedule",
        "from torch.optim import lr_scheduler\ndef Net(optimizer):\n"
        "    return lr_scheduler.OneCycleLR(optimizer, 0.1, 4)\n",
        "it lasts as long as the training",
        "take total_steps, or epochs and steps_per_epoch",
    ),
}


def augmentation(body: str) -> str:
    lines = indent(body, " " * 12)
    return f"""
import random
import numpy as np
import torch
import torch.nn.functional as F
from ablate.training.augmentations.base import Augmentation

class Net(Augmentation):
    def build(self):
        def change(images, masks, generator):
            flip = bool(torch.rand((), generator=generator) < 0.5)
{lines}
        return change
"""


AUGMENTATIONS = {
    "one half of it": Breakage(
        "augmentation", augmentation("return images"), "it builds", "expected (images, masks), both tensors"
    ),
    "cropped": Breakage(
        "augmentation",
        augmentation("return images[..., 1:], masks[..., 1:]"),
        "shapes and types stay",
        "images (4, 1, 32, 32) torch.float32 became (4, 1, 32, 31)",
    ),
    "masks of floats": Breakage(
        "augmentation",
        augmentation("return images, masks.float()"),
        "shapes and types stay",
        "became (4, 32, 32) torch.fl",
    ),
    "a power of what is negative": Breakage(
        "augmentation",
        augmentation("return images ** (0.7 if flip else 1), masks"),
        "images stay finite",
        "a power of what may be negative",
    ),
    "masks interpolated": Breakage(
        "augmentation",
        augmentation(
            "if flip:\n    masks = F.avg_pool2d(masks[:, None].float(), 3, 1, 1)[:, 0].round().to(torch.uint8)\n"
            "    images = F.avg_pool2d(images, 3, 1, 1)\nreturn images, masks"
        ),
        "masks keep their labels",
        "masks of [0, 2] got the label 1: move masks by nearest neighbour",
    ),
    "NumPy's global state": Breakage(
        "augmentation",
        augmentation("return images + float(np.random.rand()) * 0.01, masks"),
        "the global random state is left alone",
        "it draws from NumPy's global random state",
    ),
    "a generator of its own": Breakage(
        "augmentation",
        augmentation("return images + float(np.random.default_rng().random()) * 0.01, masks"),
        "the same generator gives the same",
        "draw all from the generator",
    ),
    "images flipped alone": Breakage(
        "augmentation",
        augmentation("return (images.flip(-1) if flip else images), masks"),
        "a mask moves with its image",
        "no longer fit their masks: move both by the same draw",
    ),
    "masks turned alone": Breakage(
        "augmentation",
        augmentation("return images, masks.transpose(1, 2) if flip else masks"),
        "a mask moves with its image",
        "no longer fit their masks",
    ),
}


def metric(body: str) -> str:
    lines = indent(body, " " * 12)
    return f"""
import random
import numpy as np
from ablate.metrics.base import ImageMetric

class Net(ImageMetric):
    def build(self):
        def score(predicted, masks, classes):
            right = np.stack([((predicted == c) == (masks == c)).mean((1, 2)) for c in range(classes)], 1)
{lines}
        return score
"""


METRICS = {
    "one number": Breakage(
        "metric", metric("return right.mean()"), "it gives a score of each image and class", "it gives () of 4 images"
    ),
    "percent": Breakage(
        "metric", metric("return 100 * right"), "scores are between 0 and 1", "expected scores from 0 to 1"
    ),
    "NaN": Breakage("metric", metric("return right / (right < 2) * np.nan"), "scores are between 0 and 1", "not NaN"),
    "an error": Breakage(
        "metric",
        metric("return 1 - right"),
        "a perfect prediction scores highest",
        "subtract a distance or an error from 1",
    ),
    "the mean over images": Breakage(
        "metric",
        metric("return np.repeat(right.mean(0, keepdims=True), len(masks), 0)"),
        "an image is scored by itself",
        "score each image alone",
    ),
    "noise": Breakage(
        "metric",
        metric("return right * (0.5 + random.random() / 3) if (right < 1).any() else right"),
        "it is not random",
        "a metric draws nothing",
    ),
}
