"""Where the labels of a Pareto plot's points go: each on the side of its point where there is room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ablate.analysis.figures.pareto_record import Drawn
from ablate.analysis.format import shortened
from ablate.analysis.pareto import Pareto

_WIDTH, _HEIGHT = 940.0, 380.0
"""Pixels of the plotting area that labels are placed for."""
_POSITIONS = {
    "top center": (0, -1),
    "bottom center": (0, 1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, -1),
    "bottom right": (1, 1),
    "top left": (-1, -1),
    "bottom left": (-1, 1),
}
_Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def label_places(front: Pareto, drawn: Drawn, x_type: str, named: Sequence[bool]) -> list[str]:
    """For each point that is `named`, the position of its label that covers least of points, of other labels and of the
    edges. Empty for others, and where any would lie on another label."""
    low, high = drawn.extent(front)
    rows = [row.y for row in front.trivial if drawn.in_view(row.y, front)]
    low = min([low, *rows])
    xs = [math.log10(point.x) if x_type == "log" and point.x > 0 else point.x for point in front.points]
    left, wide, tall = min(xs, default=0.0), (max(xs, default=1.0) - min(xs, default=0.0)) or 1.0, (high - low) or 1.0

    def height(y: float) -> float:
        return _HEIGHT * (0.94 - 0.88 * (y - low) / tall)

    at = [
        (_WIDTH * (0.06 + 0.88 * (x - left) / wide), height(point.y)) for x, point in zip(xs, front.points, strict=True)
    ]
    taken = [(x - 9, y - 9, x + 9, y + 9) for x, y in at]
    for (x, y), point in zip(at, front.points, strict=True):
        down, up = (_HEIGHT * 0.88 * reach / tall for reach in drawn.errors.get((front.y, point.cell), (0.0, 0.0)))
        taken.append((x - 4, y - up, x + 4, y + down))
    taken += [(0.0, y - 3, _WIDTH, y + 3) for y in map(height, rows)]
    corners = [place for place, point in zip(at, front.points, strict=True) if point.on_front]
    for (x, y), (next_x, next_y) in pairwise([*corners, *((at[-1][0], corners[-1][1]) for _ in corners[:1])]):
        taken += [(x, y - 3, next_x, y + 3), (next_x - 3, min(y, next_y), next_x + 3, max(y, next_y))]

    def box(index: int, side: tuple[int, int]) -> _Box:
        (x, y), (right, down) = at[index], side
        half = 3.4 * len(shortened(front.points[index].label)) + 2
        x += right * (half + 10)
        y += down * 17
        return x - half, y - 8, x + half, y + 8

    boxes = np.array(taken, dtype=np.float64).reshape(-1, 4)

    def covered(candidate: _Box) -> float:
        x0, y0, x1, y1 = candidate
        across = np.minimum(x1, boxes[:, 2]) - np.maximum(x0, boxes[:, 0])
        down = np.minimum(y1, boxes[:, 3]) - np.maximum(y0, boxes[:, 1])
        overlap = float((np.clip(across, 0.0, None) * np.clip(down, 0.0, None)).sum())
        return overlap + 20 * (max(0.0, -x0) + max(0.0, x1 - _WIDTH) + max(0.0, -y0) + max(0.0, y1 - _HEIGHT))

    places: list[str] = []
    labels: list[_Box] = []
    for index in range(len(at)):
        if not named[index]:
            places.append("")
            continue
        best = min(_POSITIONS, key=lambda place: covered(box(index, _POSITIONS[place])))
        found = box(index, _POSITIONS[best])
        if any(_meet(found, other) for other in labels):
            places.append("")
            continue
        labels.append(found)
        boxes = np.vstack([boxes, found])
        places.append(best)
    return places


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
