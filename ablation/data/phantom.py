"""Generated ellipses with exactly known masks, to test what blur and noise do to a network.

Levels of `blur` and `noise` are paired: image i of a seed has the same ellipses, the same contrast and the same noise
pattern in all of them, so that two levels differ in nothing else. For the same reason the grey values are neither
clipped nor stretched to each image's extremes, which would lower the contrast as noise rises: 0 and 1 are fixed, the
ellipses lie between them, and only the tails of the noise pass them.
"""

from __future__ import annotations

import numpy as np

from ablate.data.dataset import check_room
from ablate.data.settings import Phantom
from ablate.data.source import DatasetInfo, Sample

INFO = DatasetInfo(
    name="phantom",
    what="Generated ellipses with exact masks, a boundary of chosen blur (data.blur) and noise (data.noise).",
    layout="",
    needs_dir=False,
    citation="",
)

_SUBPIXELS = 4
_LIMITS = (0.0, 1.0)


def read(config: Phantom) -> list[Sample]:
    """`config.count` independent images of `config.size`, ids `phantom_0000`, ...; float32, nominally in [0, 1].

    Image i depends on `config.seed`, i and the configuration only, not on the count. The mask is what the ellipses
    cover by at least half a pixel, before the blur. Raises `InputError` where they would not fit into memory.
    """
    check_room(config.count, config)
    return [_sample(config, i) for i in range(config.count)]


def _sample(config: Phantom, index: int) -> Sample:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([config.seed, index])
    background, contrast = rng.uniform(0.30, 0.40), rng.uniform(0.15, 0.25)
    coverage = _ellipses(rng, config.size, config.scale)
    noise = config.noise * rng.standard_normal(config.size)
    image = background + contrast * (gaussian_filter(coverage, config.blur) + noise)
    mask = (coverage >= 0.5).astype(np.uint8)
    name = f"phantom_{index:04d}"
    # Rounded, because math libraries differ in the last bit and the fingerprint must not differ between machines.
    return Sample(name, name, image.round(4).astype(np.float32), mask, _LIMITS)


def _ellipses(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """(H, W): the fraction of each pixel that one to three ellipses, wholly inside the image, cover."""
    height, width = size
    side = min(size) * scale
    y, x = np.ogrid[: height * _SUBPIXELS, : width * _SUBPIXELS]
    y, x = (y + 0.5) / _SUBPIXELS, (x + 0.5) / _SUBPIXELS
    inside = np.zeros((height * _SUBPIXELS, width * _SUBPIXELS), dtype=bool)
    for _ in range(rng.integers(1, 4)):
        down, right = (y - rng.uniform(0.28, 0.72) * height), (x - rng.uniform(0.28, 0.72) * width)
        a, b = rng.uniform(0.12, 0.28, size=2) * side
        angle = rng.uniform(0, np.pi)
        along = right * np.cos(angle) + down * np.sin(angle)
        across = down * np.cos(angle) - right * np.sin(angle)
        inside |= (along / a) ** 2 + (across / b) ** 2 <= 1
    return inside.reshape(height, _SUBPIXELS, width, _SUBPIXELS).mean(axis=(1, 3))
