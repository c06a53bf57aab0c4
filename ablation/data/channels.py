"""Which channels of an image file are read, and how they become as many as a network sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablate.data.settings import DataSource
from ablate.errors import InputError
from ablate.part import DataPart


def picked(image: np.ndarray, path: Path, config: DataSource | DataPart) -> np.ndarray:
    """(..., channels) as `data.use_channels` picks and orders them; all where it does not say.

    Raises `InputError` naming the file where it has not these, or not as many as `data.channels` needs.
    """
    chosen, held = getattr(config, "use_channels", ()), image.shape[-1]
    if not chosen:
        check_channels(held, config.channels, f"'{path}'")
        return image
    if max(chosen) >= held:
        raise InputError(
            f"'{path}' has {_several(held)} and data.use_channels takes channel {max(chosen)}: channels are counted "
            "from 0"
        )
    return image if list(chosen) == [*range(held)] else np.ascontiguousarray(image[..., list(chosen)])


def check_channels(held: int, wanted: int, what: str) -> None:
    """Raises `InputError` where images of `held` channels cannot be seen as `wanted`: as they are, or grey for colour
    and colour for grey."""
    if held != wanted and {held, wanted} != {1, 3}:
        raise InputError(
            f"{what} has {_several(held)} and data.channels is {wanted}: set data.channels={held}, or pick some by "
            "data.use_channels"
        )


def _several(count: int) -> str:
    return f"{count} channel{'s' if count > 1 else ''}"
