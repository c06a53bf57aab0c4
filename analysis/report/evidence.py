"""All that the statistics can say of a study, for its report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis.by_seed import by_seed
from ablate.analysis.confirmation import DESIGN, confirmation, of_fresh_seeds, searched_and_fresh
from ablate.analysis.crossed import Interval
from ablate.analysis.deployed import doubted_files
from ablate.analysis.effects import effects
from ablate.analysis.failure_words import legend
from ablate.analysis.failures import failures
from ablate.analysis.figures.heatmap import level_means
from ablate.analysis.figures.hypervolume import spent
from ablate.analysis.figures.parallel import parallel
from ablate.analysis.guard import noted
from ablate.analysis.measured import disagreements, doubted
from ablate.analysis.pareto import cells, fronts, tasks
from ablate.analysis.report.content import Evidence
from ablate.analysis.scores import CellScores, cell_scores, metrics_of
from ablate.analysis.significance import mean_interval
from ablate.analysis.uncertainty import uncertain_fronts
from ablate.metrics.counts import METRICS, MetricName

if TYPE_CHECKING:
    import pandas as pd

    from ablate.analysis.frames import Frames
    from ablate.analysis.uncertainty import UncertainFront
    from ablate.study.study import Study


def evidence(study: Study, frames: Frames) -> Evidence:
    """All that the statistics can say of a study. What they cannot is in its notes, and stops nothing else."""
    from ablate.analysis.claims.evaluate import Applicable, applicable

    notes: list[str] = []
    runs = [run for run in study.manifest.runs if run.design != DESIGN]
    searched, fresh = searched_and_fresh(study.manifest.runs)
    judged = noted(notes, "fresh seeds", lambda: of_fresh_seeds(frames, fresh) if fresh else frames, frames)
    seeds = noted(notes, "seeds", partial(by_seed, frames), frames.trials)
    scores = {
        metric: noted(notes, f"{METRICS[metric].label} of images", partial(cell_scores, frames, metric), {})
        for metric in (*metrics_of(frames.images), *frames.scoring.asked)
    }
    lost = noted(notes, "failures", partial(failures, frames), {})
    known = {cell.id: cell for cell in noted(notes, "networks", lambda: cells(seeds), ()) if not cell.trivial}
    claims = noted(notes, "claims", lambda: applicable(judged, study), Applicable((), ()))
    uncertain = {
        task: noted(notes, f"fronts of {task}", partial(_uncertain, trials, scores), ())
        for task, trials in noted(notes, "data sets", lambda: tasks(seeds), {}).items()
    }
    found = Evidence(
        claims=claims.results,
        confirmation=noted(notes, "confirmation", lambda: confirmation(frames, searched, fresh), None),
        intervals={
            metric: noted(notes, "intervals", partial(intervals, found), {}) for metric, found in scores.items()
        },
        scores=scores.get("dice", {}),
        uncertain=uncertain,
        failures=lost,
        lost=legend(lost, frames),
        disagreements=noted(notes, "latency against MACs", lambda: disagreements(frames.trials), ()),
        effects=noted(notes, "effects", lambda: effects(frames, runs, "dice"), None),
        maps=noted(notes, "maps of two factors", lambda: level_means(seeds, runs), ()),
        parallels=[
            record
            for run in runs
            for record in noted(notes, f"networks of {run.space}", partial(parallel, seeds, run, known), ())
        ],
        spent=noted(notes, "what the training bought", lambda: spent(frames), ()),
    )
    doubts = noted(notes, "measurements", lambda: doubted(study.measurements(), frames.trials), ())
    of_files = noted(notes, "measurements of files", lambda: doubted_files(frames.trials), ())
    return found._replace(notes=(*notes, *claims.notes, *doubts, *of_files))


def _uncertain(
    trials: pd.DataFrame, scores: Mapping[MetricName, Mapping[str, CellScores]]
) -> tuple[UncertainFront, ...]:
    return uncertain_fronts(fronts(trials), scores)


def intervals(scores: Mapping[str, CellScores]) -> dict[str, Interval]:
    """Of the mean scores of the cells with more than one seed, and a score."""
    return {
        cell: mean_interval(found)
        for cell, found in scores.items()
        if len(found.seeds) > 1 and np.isfinite(found.values).any()
    }
