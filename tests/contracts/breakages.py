"""Parts that each break their contract in one way: kind, source, the check that fails, and words of its line."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import NamedTuple


class Breakage(NamedTuple):
    kind: str
    source: str
    check: str
    says: str


def network(init: str, forward: str, more: str = "") -> str:
    """A module of one network, `mine:Net`, which has a convolution to its classes, `self.head`."""
    start = """
        import numpy as np
        import torch
        import torch.nn.functional as F
        from torch import nn

        class Net(nn.Module):
            def __init__(self, in_channels, classes):
                super().__init__()
                self.head = nn.Conv2d(in_channels, classes, 3, padding=1)
    """
    body = indent(dedent(init).strip(), " " * 8)
    forward = indent(dedent(forward).strip(), " " * 8)
    return f"{dedent(start)}{body}\n\n    def forward(self, x):\n{forward}\n{indent(dedent(more), ' ' * 4)}"


NETWORKS = {
    "a layer that forward forgot": Breakage(
        "network",
        network("self.spare = nn.Conv2d(4, 4, 1)", "return self.head(x)"),
        "gradients reach every parameter",
        "spare.weight has no gradient (2 of 4 parameters have none): use it in forward",
    ),
    "layers in a plain list": Breakage(
        "network",
        network("self.layers = [self.head]\ndel self.head", "return self.layers[0](x)"),
        "it has parameters to train",
        "keep its layers as attributes (in an nn.ModuleList",
    ),
    "half the height and width": Breakage(
        "network",
        network("", "return F.avg_pool2d(self.head(x), 2)"),
        "it gives a logit for each pixel and class",
        "gave (2, 1, 16, 16): expected (N, classes, H, W) = (2, 1, 32, 32)",
    ),
    "another number of classes": Breakage(
        "network",
        network("", "return torch.cat([self.head(x)] * 2, 1)"),
        "it gives a logit for each pixel and class",
        "end in a convolution to `classes`",
    ),
    "classes and not logits": Breakage(
        "network",
        network("", "return (self.head(x) > 0).long()"),
        "it gives a logit for each pixel and class",
        "return logits, not classes",
    ),
    "several heads in evaluation": Breakage(
        "network",
        network("", "return self.head(x), self.head(x)"),
        "it gives a logit for each pixel and class",
        "return logits alone unless self.training",
    ),
    "an error in forward": Breakage(
        "network",
        network("self.wide = nn.Conv2d(5, 5, 1)", "return self.wide(self.head(x))"),
        "it gives a logit for each pixel and class",
        "mine.py, line 14)",
    ),
    "something else than a module": Breakage(
        "network", "def Net(in_channels, classes):\n    return lambda x: x\n", "it builds", "expected a torch.nn.Module"
    ),
    "a root of what is negative": Breakage(
        "network", network("", "return self.head(x).sqrt()"), "its output is finite", "a root of what may be zero"
    ),
    "weights from NumPy": Breakage(
        "network",
        network("self.head.bias.data[:] = float(np.random.rand())", "return self.head(x)"),
        "the same seed gives the same weights",
        "head.bias differs between two networks of one seed: draw weights by torch alone",
    ),
    "a running mean that is not saved": Breakage(
        "network",
        network(
            "self.mean = torch.zeros(())",
            "self.mean = self.mean + x.std() if self.training else self.mean\nreturn self.head(x) + self.mean",
        ),
        "its state survives saving",
        "mean is not in its state_dict; use register_buffer",
    ),
    "state that is no tensor": Breakage(
        "network",
        network(
            "",
            "return self.head(x)",
            "def get_extra_state(self):\n    return {}\ndef set_extra_state(self, state):\n    pass\n",
        ),
        "its state survives saving",
        "_extra_state is a dict, which is not saved",
    ),
    "its input is not looked at": Breakage(
        "network",
        network("", "return self.head(torch.ones_like(x))"),
        "it sees its images",
        "its output does not depend on its input",
    ),
    "dropout in evaluation": Breakage(
        "network",
        network("", "return F.dropout(self.head(x))"),
        "its predictions are not random",
        "F.dropout takes training=",
    ),
    "statistics of the batch in evaluation": Breakage(
        "network",
        network("self.norm = nn.BatchNorm2d(in_channels, track_running_stats=False)", "return self.head(self.norm(x))"),
        "an image can be alone in its batch",
        "depend on the others of its batch",
    ),
    "the input changed in place": Breakage(
        "network",
        network("", "return self.head(F.relu_(x))"),
        "it leaves its input alone",
        "no in-place operation on the input",
    ),
    "a counter that no checkpoint holds": Breakage(
        "network",
        network("self.n = 0", "self.n += self.training\nreturn self.head(x) * (1 + self.n * self.training)"),
        "resumed training equals uninterrupted",
        "what changes in training must be a buffer",
    ),
}  # fmt: skip


def data(samples: str, before: str = "") -> str:
    """A data set of sixteen images, `mine:Net`: `samples` changes the list `found`."""
    return (
        dedent("""
        import numpy as np
        import ablate

        RNG = np.random.default_rng(0)
        BEFORE

        class Net(ablate.DataSource):
            size: tuple[int, int] = (16, 16)

            def read(self):
                rng = np.random.default_rng(0)
                image, mask = rng.random((16, 16)), np.zeros((16, 16), np.uint8)
                mask[4:9, 3:8] = 1
                found = [ablate.Sample(str(i), str(i), image + i, mask) for i in range(6)]
                SAMPLES
                return found
    """)
        .replace("SAMPLES", samples)
        .replace("BEFORE", before)
    )


DATA = {
    "no images": Breakage("data set", data("found = []"), "it reads samples", "it has 0 images"),
    "tuples": Breakage(
        "data set", data("found = [tuple(s) for s in found]"), "it reads samples", "expected ablate.Sample"
    ),
    "one name twice": Breakage(
        "data set",
        data("found[1] = found[0]"),
        "every image has a name of its own",
        "2 images have the id '0': give each its own",
    ),
    "channels first": Breakage(
        "data set",
        data("found[2] = found[2]._replace(image=np.zeros((3, 16, 16)))"),
        "images are numbers",
        "image '2' has shape (3, 16, 16): expected an array (H, W) or (H, W, 3)",
    ),
    "more channels than it says": Breakage(
        "data set",
        data("found[2] = found[2]._replace(image=np.zeros((16, 16, 4)))"),
        "images are numbers",
        "image '2' has shape (16, 16, 4): expected an array (H, W) or (H, W, 3)",
    ),
    "fewer channels than it says": Breakage(
        "data set",
        data("pass").replace("size: tuple[int, int] = (16, 16)", "size: tuple[int, int] = (16, 16); channels: int = 4"),
        "images are numbers",
        "image '0' has shape (16, 16): expected an array (H, W) or (H, W, 4)",
    ),
    "a pixel that is missing": Breakage(
        "data set",
        data("found[2].image[0, 0] = np.nan"),
        "images are numbers",
        "image '2' (float64) is not all finite numbers",
    ),
    "masks of another type": Breakage(
        "data set",
        data("found = [s._replace(mask=s.mask.astype(int)) for s in found]"),
        "masks fit their images",
        "mask '0' is int64: expected an array of uint8",
    ),
    "masks of another size": Breakage(
        "data set",
        data("found[3] = found[3]._replace(mask=found[3].mask[:8])"),
        "masks fit their images",
        "mask '3' is (8, 16) and its image (16, 16)",
    ),
    "a class too many": Breakage(
        "data set",
        data("found[0] = found[0]._replace(mask=found[0].mask * 254)"),
        "masks hold only its classes",
        "mask '0' has class 254 and n_classes is 1: expected 0 to 1",
    ),
    "white for foreground": Breakage(
        "data set",
        data("found = [s._replace(mask=s.mask * 255) for s in found]"),
        "some mask has foreground",
        "no mask has any foreground (255 is where it is not known)",
    ),
    "empty masks": Breakage(
        "data set",
        data("found = [s._replace(mask=s.mask * 0) for s in found]"),
        "some mask has foreground",
        "there is nothing to segment",
    ),
    "images that are drawn anew": Breakage(
        "data set",
        data("found[0] = found[0]._replace(image=RNG.random((16, 16)))"),
        "reading twice gives the same",
        "seed what it draws",
    ),
}  # fmt: skip
