"""Scores of the masks that networks' files find in a runtime, in place of the networks' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablate.analysis.frames import with_scores
from ablate.cost.names import RUNTIMES, how_to_measure
from ablate.errors import InputError
from ablate.study.in_runtimes import InRuntimes, images_in, read_runtimes
from ablate.study.tables import CASE

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study


def scored_in(frames: Frames, study: Study, runtime: str) -> Frames:
    """The same tables, scored by the masks that the trials' files find in a runtime.

    Trials without such masks have no scores; trivial predictors need none, and keep theirs.
    """
    known: dict[str, InRuntimes] = {}
    try:
        known = read_runtimes(study.path)
    except InputError as error:
        study.faults["runtimes"] = str(error)
    tables = []
    trivial = set(frames.trials.loc[frames.trials["state"] == "trivial", "key"])
    cases = frames.images[["key", "image", CASE]].drop_duplicates()
    for key, cell in frames.trials[["key", "cell"]].itertuples(index=False):
        found = known.get(cell, {}).get(runtime)
        if found is not None and key in found.trials:
            try:
                table = images_in(study.path, runtime, key, found.trials[key])
            except InputError as error:
                study.faults[f"runtimes/{runtime}/{key}.parquet"] = str(error)
                continue
            own = cases[cases["key"] == key].set_index("image")[CASE]
            tables.append(table.assign(**{CASE: table["image"].map(own).fillna(table["image"])}))
    own_rows = frames.images[frames.images["key"].isin(trivial)]
    images = pd.concat([*tables, own_rows], ignore_index=True).reindex(columns=frames.images.columns)
    return with_scores(frames._replace(images=images, runtime=runtime))


def check_scored(frames: Frames, study: object) -> None:
    """Raises `InputError` where scores are of a runtime in which no trial has any."""
    scored = frames.trials.loc[frames.trials["state"] == "complete", "key"]
    if frames.runtime and len(scored) and not set(scored) & set(frames.images["key"]):
        raise InputError(
            f"no network's files were scored in {RUNTIMES[frames.runtime]}: run "
            f"`{how_to_measure(f'@{frames.runtime}', study)}` first"
        )
