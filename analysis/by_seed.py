"""From trials to the seeds of a cell: what its folds tested, as one test set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ablate.analysis.deployed import scored_where
from ablate.analysis.format import listing, several
from ablate.analysis.frames import scores_by_trial
from ablate.analysis.independent import FEWEST_SLICES
from ablate.analysis.scores import of_unit
from ablate.analysis.scoring import scoring_notes
from ablate.study.tables import CASE, JUDGED, VALIDATION

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames


def by_seed(frames: Frames) -> pd.DataFrame:
    """The trials' table with the folds of a cell's seed as one row: what all that is said of cells is made of.

    Its scores are by `frames.unit`, over all that the folds tested; `folds` is how many there are (0 without folds).
    Epochs, seconds and validation scores are means over the folds. Trials that were not judged stay as they are. Where
    there are no folds and scores are by image, it is the trials' table.
    """
    trials = frames.trials
    has_folds = "fold" in trials and bool(trials["fold"].notna().any())
    if not has_folds and frames.unit == "image":
        return trials
    scored = trials[trials["state"].isin(JUDGED)]
    seed = scored.groupby(["cell", "seed"], sort=False)["key"].transform("first")
    found = of_unit(frames.images, frames.unit)
    found = found.assign(key=found["key"].map(dict(zip(scored["key"], seed, strict=True))))
    means = scored[["epochs", "train_seconds", *VALIDATION]].astype(float).groupby(seed, sort=False).mean()
    rows = scored.drop_duplicates(["cell", "seed"])
    values = means.join(scores_by_trial(found, frames.scoring)).reindex(rows["key"]).set_axis(rows.index)
    folds = scored.groupby(seed)["fold"].count().reindex(rows["key"]).to_numpy() if has_folds else 0
    rows = rows.assign(**{str(name): values[name] for name in values}, folds=folds)
    return pd.concat([rows, trials[~trials.index.isin(scored.index)]]).sort_index()


def remarks(frames: Frames) -> list[str]:
    """What all that is said of cells must say: what is scored, and what was pooled to it."""
    rows = by_seed(frames)
    folds = int(rows["folds"].max()) if "folds" in rows else 0
    said = [f"Scores are of the images of all folds of a seed together ({folds} folds)."] if folds else []
    if frames.unit == "case":
        said.append("Scores are by case: the pixels of its images are counted together, and each case counts once.")
    return [
        *said,
        *scored_where(frames),
        *_counted(frames),
        *_lacking(frames),
        *scoring_notes(frames._replace(images=of_unit(frames.images, frames.unit))),
    ]


def _counted(frames: Frames) -> list[str]:
    """What intervals count, where that is not each image."""
    if frames.unit == "case":
        return []
    said = []
    for task, scored in frames.trials[frames.trials["state"].isin(JUDGED)].groupby("data", sort=False):
        rows = frames.images[frames.images["key"].isin(scored["key"])]
        where = f"{task}: " if frames.trials["data"].nunique() > 1 else ""
        images, cases = rows["image"].nunique(), rows[CASE].nunique() if CASE in rows else rows["image"].nunique()
        if cases < images:
            said.append(
                f"{where}Scores are by image, and intervals and tests count cases: "
                f"{several(images, 'image')} of {several(cases, 'case')}."
            )
        elif frames.scoring.stacks.get(str(task)):
            said.append(
                f"{where}The {images} test images are slices of one volume: intervals count as many as their "
                f"autocorrelation leaves independent, and of fewer than {FEWEST_SLICES} there is none."
            )
    return said


def _lacking(frames: Frames) -> list[str]:
    """A sentence for each cell and seed that has not every fold that others have on its data."""
    trials = frames.trials
    scored = trials[trials["state"].isin(JUDGED)]
    scored = scored[scored["fold"].notna()] if "fold" in scored else scored.iloc[:0]
    trained = scored[scored["state"] != "trivial"]
    folds = {str(data): set(rows["fold"]) for data, rows in trained.groupby("data")}
    lacks = {
        (label, seed): sorted(folds.get(str(data), set()) - set(rows["fold"]))
        for (data, label, seed), rows in scored.groupby(["data", "label", "seed"], sort=False)
    }
    return [
        f"{label} has no {'fold' if len(gone) == 1 else 'folds'} {listing([str(fold) for fold in gone])} of seed "
        f"{seed}: its scores are of the others' images."
        for (label, seed), gone in lacks.items()
        if gone
    ]
