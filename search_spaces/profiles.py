"""Profiles: how much a study spends. The networks are the same under each; images, epochs and seeds differ."""

from __future__ import annotations

from typing import NamedTuple

from ablate.search_spaces.space import Fields

QUICK_NOTE = "Made under the quick profile (small images, few epochs): it demonstrates, and is not evidence."
PAPER_NOTE = "Made under the paper's protocol, which selects the epoch on the test images: its scores are optimistic."


class Profile(NamedTuple):
    """A side of the square images in pixels and a number of epochs, with exceptions by data set, and what all share."""

    what: str
    seeds: int
    side: int
    epochs: int
    shared: Fields
    sides: dict[str, int] = {}  # noqa: RUF012 (nobody changes it)
    other_epochs: dict[str, int] = {}  # noqa: RUF012
    """Epochs where they are others."""
    note: str | None = None

    def fields(self, data: str) -> Fields:
        """The configuration fields that this profile sets for data set `data`."""
        side = self.sides.get(data, self.side)
        # Consecutive slices of one stack look alike, so those sets are split into contiguous blocks.
        shuffle = data not in ("mni152", "isbi2012")
        return {
            "data.size": [side, side],
            "protocol.epochs": self.other_epochs.get(data, self.epochs),
            "protocol.split.shuffle": shuffle,
            **self.shared,
        }


PROFILES = {
    "quick": Profile(
        what="small images, few epochs, one seed: minutes on a laptop; demonstrates, is not evidence",
        seeds=1,
        side=128,
        sides={"mni152": 96, "phantom": 64},
        epochs=10,
        other_epochs={"mni152": 8, "isbi2012": 20},
        shared={},
        note=QUICK_NOTE,
    ),
    "standard": Profile(
        what="half resolution, 50 epochs, three seeds; separate validation and test images",
        seeds=3,
        side=256,
        sides={"mni152": 192, "phantom": 128},
        epochs=50,
        shared={},
    ),
    "paper": Profile(
        what="as the paper: 3x512x512, 50 epochs, one seed, the epoch selected on the test images",
        seeds=1,
        side=512,
        epochs=50,
        shared={"data.channels": 3, "protocol.split.method": "paper"},
        note=PAPER_NOTE,
    ),
}
