"""Profiles: how much a study spends. The networks are the same under each; images, epochs and seeds differ."""

from __future__ import annotations

from typing import NamedTuple

from ablate.search_spaces.space import Fields

QUICK_NOTE = "Made under the quick profile (small images, few epochs): it demonstrates, and is not evidence."
PAPER_NOTE = "Made under the paper's protocol, which selects the epoch on the test images: its scores are optimistic."


class Profile(NamedTuple):
    """A side of the square images in pixels and a number of epochs for each data set, and what they share."""

    what: str
    seeds: int
    sides: dict[str, int]
    epochs: dict[str, int]
    shared: Fields
    note: str | None = None

    def fields(self, data: str) -> Fields:
        """The configuration fields that this profile sets for data set `data`."""
        side = self.sides[data]
        # Consecutive slices of one stack look alike, so those sets are split into contiguous blocks.
        shuffle = data not in ("mni152", "isbi2012")
        return {
            "data.size": [side, side],
            "protocol.epochs": self.epochs[data],
            "protocol.split.shuffle": shuffle,
            **self.shared,
        }


_DATA = ("mni152", "isbi2012", "kaggle_lung", "liver", "folder", "phantom")

PROFILES = {
    "quick": Profile(
        what="small images, few epochs, one seed: minutes on a laptop; demonstrates, is not evidence",
        seeds=1,
        sides=dict.fromkeys(_DATA, 128) | {"mni152": 96, "phantom": 64},
        epochs=dict.fromkeys(_DATA, 10) | {"mni152": 8, "isbi2012": 20},
        shared={},
        note=QUICK_NOTE,
    ),
    "standard": Profile(
        what="half resolution, 50 epochs, three seeds; separate validation and test images",
        seeds=3,
        sides=dict.fromkeys(_DATA, 256) | {"mni152": 192, "phantom": 128},
        epochs=dict.fromkeys(_DATA, 50),
        shared={},
    ),
    "paper": Profile(
        what="as the paper: 3x512x512, 50 epochs, one seed, the epoch selected on the test images",
        seeds=1,
        sides=dict.fromkeys(_DATA, 512),
        epochs=dict.fromkeys(_DATA, 50),
        shared={"data.channels": 3, "protocol.split.method": "paper"},
        note=PAPER_NOTE,
    ),
}
