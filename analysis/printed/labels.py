"""Names beside points, where each covers least of what is there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from ablate.analysis.format import model_name

_LONGEST = 22
"""Characters that are written beside a point; of longer names a letter is, and the key says which."""
_NEAR, _FAR = 4.0, 11.0
"""Points from the middle of a mark."""
_SIDES = [
    *((right * _NEAR, up * _NEAR) for up in (1, -1) for right in (1, -1)),
    *((0.0, up * (_NEAR + 1)) for up in (1, -1)),
    *((right * (_NEAR + 1), 0.0) for right in (1, -1)),
    *((right * _FAR, up * _FAR) for up in (1, -1) for right in (1, -1)),
]


def in_full(label: str, model: str) -> str:
    """A network as a paper prints it: by the name of what it is, where its label says no more."""
    return model_name(model) if label == model else label


def short(names: Mapping[str, str]) -> dict[str, str]:
    """What stands in the figure for each label: its name in full (`names`, by label), or, if any is long, letters."""
    if all(len(name) <= _LONGEST for name in names.values()):
        return dict(names)
    return {label: _letters(at) for at, label in enumerate(names)}


def key_of(called: Mapping[str, str], names: Mapping[str, str], used: Iterable[str]) -> dict[str, str]:
    """What the letters of the labels that are used stand for, for the caption: empty where names are written out.

    `called`: as of `short`, of `names`.
    """
    used = sorted(set(used), key=lambda label: (len(called[label]), called[label]))
    return {called[label]: names[label] for label in used if called[label] != names[label]}


def last_part(field: str) -> str:
    """A factor as a figure has it: `model.width` is its width."""
    return field.rpartition(".")[2] or field


def _letters(at: int) -> str:
    """A, B, …, Z, AA, AB, …"""
    text = chr(ord("A") + at % 26)
    return text if at < 26 else _letters(at // 26 - 1) + text


def name_points(axes: Axes, points: Sequence[tuple[float, float, str]], taken: Sequence[tuple[float, float]]) -> None:
    """Write a name beside each point; `taken`: where other marks are. To be called when limits and scales are set."""
    figure = axes.figure.figure
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    half = 3.0 * figure.dpi / 72
    marks = [axes.transData.transform(place) for place in [*taken, *((x, y) for x, y, _ in points)]]
    boxes = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in marks]
    frame = axes.get_window_extent(renderer)
    for x, y, name in sorted(points):
        best: tuple[float, Annotation, Bbox] | None = None
        for right, up in _SIDES:
            text = axes.annotate(
                name,
                (x, y),
                (right, up),
                textcoords="offset points",
                ha="left" if right > 0 else "right" if right < 0 else "center",
                va="bottom" if up > 0 else "top" if up < 0 else "center",
                fontsize="small",
            )
            box = text.get_window_extent(renderer)
            covered = sum(_common(box, other) for other in boxes) + 4 * (_area(box) - _common(box, frame))
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = covered, text, box
            else:
                text.remove()
            if covered == 0:
                break
        assert best is not None
        boxes.append(best[2])


def _area(box: Bbox) -> float:
    return float(box.width * box.height)


def _common(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else _area(both)
