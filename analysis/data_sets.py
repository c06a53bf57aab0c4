"""The data sets of one or several studies, by name, and which of them are another's images again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ablate.analysis.pareto import tasks
from ablate.metrics.counts import COUNTS

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames


class DataSet(NamedTuple):
    """One data set of one study: `name` tells it from the others, `task` is what the study calls it."""

    name: str
    study: str
    task: str
    frames: Frames
    """With the trials of this data set alone."""


def data_sets(studies: Mapping[str, Frames]) -> list[DataSet]:
    """All of them, in the studies' order; a name has the study's before it where several share it."""
    found = [
        (study, task, frames._replace(trials=trials))
        for study, frames in studies.items()
        for task, trials in tasks(frames.trials).items()
    ]
    shared = Counter(task for _, task, _ in found)
    return [
        DataSet(f"{study}: {task}" if shared[task] > 1 else task, study, task, frames) for study, task, frames in found
    ]


def repeats(found: Sequence[DataSet]) -> dict[str, str]:
    """Which of these have test images of an earlier one, by name: they are no further sample of data.

    Images are the same where their names, sizes and the extent of every class in their masks are. One does for data of
    one name (another split of the same); of data called differently it takes half of the smaller's (the same scenes,
    changed).
    """
    seen: list[tuple[DataSet, set[tuple[str, ...]]]] = []
    again: dict[str, str] = {}
    for one in found:
        own = _masks(one.frames)
        for other, its in seen:
            common = len(own & its)
            if common and (other.task == one.task or 2 * common >= min(len(own), len(its))):
                again[one.name] = other.name
                break
        else:
            seen.append((one, own))
    return again


def _masks(frames: Frames) -> set[tuple[str, ...]]:
    """What the masks of the tested images have of each class but the background; empty masks tell nothing."""
    images = frames.images
    images = images[images["key"].isin(frames.trials["key"]) & (images["class"] > 0)]
    sizes = images.assign(there=images["tp"] + images["fn"], all=images[list(COUNTS)].sum(axis=1))
    distinct = sizes.loc[sizes["there"] > 0, ["image", "class", "there", "all"]].drop_duplicates().astype(str)
    return set(distinct.itertuples(index=False, name=None))
