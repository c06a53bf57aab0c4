"""What a trial is made of."""

import numpy as np
import torch
from torch import nn

import ablate


class ExampleNet(ablate.Network):
    """One hidden layer."""

    width: int = 4

    def build(self, in_channels, classes):
        first, last = nn.Conv2d(in_channels, self.width, 3, padding=1), nn.Conv2d(self.width, classes, 1)
        return nn.Sequential(first, nn.ReLU(), last)


class Rings(ablate.DataSource):
    """Rings about the middle, each wider than the one before."""

    count: int = 10

    def read(self):
        height, width = self.size
        y, x = np.mgrid[:height, :width]
        away = np.hypot(y - height / 2, x - width / 2)
        masks = [((away > n % 8) & (away < n % 8 + 4)).astype(np.uint8) for n in range(self.count)]
        return [ablate.Sample(f"{n}", f"{n}", mask * 200, mask) for n, mask in enumerate(masks)]


def squared_error(logits, masks):
    """The Brier score, of foreground against background."""
    return (logits.sigmoid() - masks).square().mean()


class Descent(ablate.Optimizer):
    """Gradient descent, and nothing else."""

    def build(self, groups, lr, device):
        return torch.optim.SGD(self.decayed(groups), lr=lr)


def halving(optimizer, gamma=0.5):
    """Half the learning rate with each epoch."""
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma)


class Invert(ablate.Augmentation):
    """Black for white, of some images."""

    p: float = 0.5

    def build(self):
        def invert(images, masks, generator):
            signs = 1 - 2 * (torch.rand(len(images), 1, 1, 1, generator=generator) < self.p).float()
            return images * signs, masks

        return invert


def agreement(predicted, masks, classes):
    """The share of an image's pixels that are right, as far as they are of the class or not."""
    return np.stack([((predicted == c) == (masks == c)).mean(axis=(1, 2)) for c in range(classes)], axis=1)
