"""What each factor of a sampled search space is worth: its share in what the configurations differ by.

The shares are Optuna's, by fANOVA and by PED-ANOVA, of the mean over seeds of each configuration.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ablate.analysis.format import several
from ablate.analysis.pareto import maximised
from ablate.analysis.scores import CostedScores
from ablate.metrics.counts import MetricName

if TYPE_CHECKING:
    import optuna

    from ablate.study.runs import Run

LEAST_CONFIGURATIONS = 10
"""Of fewer sampled configurations no importance is computed."""
_ELITE = 5
"""PED-ANOVA compares the best configurations with all; Optuna advises at least this many among the best."""
MOST_CONFIGURATIONS = 1000
"""Of more sampled configurations as many drawn at random make do: fANOVA's time grows with them."""
_TREES = {"n_trees": 32, "max_depth": 6, "seed": 0}
"""Optuna's default of 64 trees of depth 64 takes minutes where the score is mostly noise, which such trees learn."""


class Importance(NamedTuple):
    """A factor's share in what a sampled space's configurations differ by; the shares of a target sum to 1."""

    space: str
    task: str
    factor: str
    target: str
    """The metric, or a cost: `params`, `macs`."""
    fanova: float | None
    """Share of the variance over the space (Hutter, Hoos and Leyton-Brown 2014)."""
    ped_anova: float | None
    """Share in being among the best (Watanabe, Bansal and Hutter 2023)."""


def importances_of(
    space: str,
    run: Run,
    configurations: Mapping[tuple[str, ...], CostedScores],
    metric: MetricName,
    notes: list[str],
) -> Iterator[Importance]:
    """fANOVA and PED-ANOVA of the score and of each cost. `configurations` are by their levels, in the run's order.

    What cannot be told is said in `notes`.
    """
    tasks = sorted({cell.scores.task for cell in configurations.values()})
    if len(tasks) > 1:
        notes.append(f"{space}: its samples are judged on {len(tasks)} data sets, whose scores do not compare")
        return
    if len(configurations) < LEAST_CONFIGURATIONS:
        notes.append(
            f"{space}: {several(len(configurations), 'scored configuration')} of {LEAST_CONFIGURATIONS} "
            "that importances need at least"
        )
        return
    distributions = {
        factor: _distribution(run, factor, {levels[axis] for levels in configurations})
        for axis, factor in enumerate(run.factors)
    }
    params = [
        {factor: _value(level, distributions[factor]) for factor, level in zip(run.factors, levels, strict=True)}
        for levels in configurations
    ]
    targets = {
        metric: [cell.scores.mean for cell in configurations.values()],
        "params": [cell.params for cell in configurations.values()],
        "macs": [cell.macs for cell in configurations.values()],
    }
    for target, values in targets.items():
        known = [(param, value) for param, value in zip(params, values, strict=True) if math.isfinite(value)]
        if len(known) > MOST_CONFIGURATIONS:
            drawn = np.random.default_rng(0).choice(len(known), MOST_CONFIGURATIONS, replace=False)
            notes.append(
                f"{space}: importances are of {MOST_CONFIGURATIONS} of its {len(known)} configurations, at random"
            )
            known = [known[place] for place in sorted(drawn)]
        if len(known) < LEAST_CONFIGURATIONS or len({value for _, value in known}) == 1:
            notes.append(f"{space}: {target} is unknown or the same in all configurations: no importance for it")
            continue
        fanova, ped = _shares(_optuna_study(known, distributions, "maximize" if maximised(target) else "minimize"))
        for factor in run.factors:
            yield Importance(space, tasks[0], factor, target, fanova.get(factor), ped.get(factor))


def _shares(study: optuna.Study) -> tuple[dict[str, float], dict[str, float]]:
    """Of each factor, by fANOVA and by PED-ANOVA."""
    import optuna

    evaluators = (
        optuna.importance.FanovaImportanceEvaluator(**_TREES),
        optuna.importance.PedAnovaImportanceEvaluator(target_quantile=min(max(0.1, _ELITE / len(study.trials)), 0.5)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fanova, ped = (optuna.importance.get_param_importances(study, evaluator=one) for one in evaluators)
    return fanova, ped


def _distribution(run: Run, factor: str, levels: set[str]) -> optuna.distributions.BaseDistribution:
    """A factor as Optuna sees it: a range where the space has one (wide enough for what was drawn), else its levels."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    spec = run.definition.get("factors", {}).get(factor)
    if not (isinstance(spec, dict) and {"low", "high"} <= spec.keys() and not isinstance(spec["low"], dict)):
        return CategoricalDistribution(sorted(levels))
    drawn = [float(level) for level in levels]
    low, high, log = min(spec["low"], *drawn), max(spec["high"], *drawn), bool(spec.get("log"))
    if all(float(bound).is_integer() for bound in (low, high, *drawn)):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _value(level: str, distribution: optuna.distributions.BaseDistribution) -> Any:
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(distribution, IntDistribution):
        return int(float(level))
    return float(level) if isinstance(distribution, FloatDistribution) else level


def _optuna_study(
    known: Sequence[tuple[dict[str, Any], float]],
    distributions: dict[str, optuna.distributions.BaseDistribution],
    direction: Literal["minimize", "maximize"],
) -> optuna.Study:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=direction)
    study.add_trials(
        [optuna.trial.create_trial(params=param, distributions=distributions, value=value) for param, value in known]
    )
    optuna.logging.set_verbosity(verbosity)
    return study
