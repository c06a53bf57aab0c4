"""Peers from outside the project on a grid of recorded curves, as the simulator has its own strategies.

    pip install -c constraints.txt -e '.[peers]'

- `mo-asha`: Syne Tune's MOASHA, a scheduler, over all trials in random order. It ranks by non-dominated sorting.
- `mo-asha linear`: the same, which ranks by the mean of the objectives.
- `mo-rea`: Syne Tune's MultiObjectiveRegularizedEvolution, a searcher. What it proposes again is not trained again: it
  is told the same. Its population is 10, of which 5 compete; with the default, 100, it would draw at random throughout.
- `qlognehvi`: BoTorch's qLogNoisyExpectedHypervolumeImprovement, a searcher: a Gaussian process of the score over
  factors and prices, the costs as deterministic models, the best of all networks that were not begun. Those under way
  are pending. The first five are random, and what failed scores the bar.

Objectives are the error and each cost by its logarithm, from 0 to 1 over the grid: as they are judged, of like ranges.
Searchers propose `trials` configurations, each trained to its end. Seeds of a configuration are one proposal to
searchers; to MO-ASHA each is a network.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ablate.runners.replay.curves import Grid
from ablate.runners.replay.reached import MARGIN
from ablate.runners.replay.strategy import Strategy, searcher_and_scheduler
from ablate.runners.search.proposals import Scored
from ablate.runners.search.proposer import Proposer
from ablate.runners.search.search_queue import SearchQueue

Floats = NDArray[np.float64]
STARTUP = 5
POPULATION, COMPETE = 10, 5
SAMPLES = 32
ITERATIONS = 50


def has_syne_tune() -> bool:
    return importlib.util.find_spec("syne_tune") is not None


class Cells:
    """What a peer may know of a grid: names of the cells, levels of their factors, costs.

    `costs` (cells, costs) are logarithms from 0 to 1; `features` (cells, features) are the factors, from 0 to 1 where
    they are numbers, else a column for each level; `margin` (costs,) is how far above 1 the reference point lies.
    """

    def __init__(self, grid: Grid) -> None:
        self.names = list(grid.cells)
        first = [keys[0] for keys in grid.cells.values()]
        logs = np.log([grid.curves[key].costs for key in first])
        span = np.maximum(np.ptp(logs, axis=0), 1e-12)
        self.costs: Floats = (logs - logs.min(axis=0)) / span
        self.margin: Floats = np.log(MARGIN) / span
        rows = {key: row for row, key in enumerate(grid.curves)}
        factors = [name for name in map(str, grid.trials) if name.startswith("factor.")]
        columns = [[str(grid.trials[name].iloc[rows[key]]) for key in first] for name in factors]
        columns = [column for column in columns if len(set(column)) > 1]
        self.levels = list(zip(*columns, strict=True)) if columns else [(name,) for name in self.names]
        self.features: Floats = np.column_stack([np.empty((len(first), 0)), *map(_feature, columns)])


def _feature(levels: list[str]) -> Floats:
    try:
        numbers = np.array([float(level) for level in levels])
    except ValueError:
        return (np.array(levels)[:, None] == sorted(set(levels))).astype(float)
    ranks = np.unique(numbers, return_inverse=True)[1]
    return (ranks / ranks.max())[:, None]


# Searchers -----------------------------------------------------------------------------------------------------------


class Proposing(Protocol):
    """A peer that proposes cells by their number; None where it has no more."""

    def ask(self) -> int | None: ...

    def tell(self, cell: int, score: float | None) -> None: ...


class _Proposer:
    """`peer` as a `SearchQueue` asks a proposer."""

    def __init__(self, peer: Proposing, cells: Cells, trials: int) -> None:
        self._peer, self._cells, self._left = peer, cells, min(trials, len(cells.names))

    @property
    def is_done(self) -> bool:
        return not self._left

    def pending(self) -> list[Any]:
        return []

    def ask(self) -> Any:
        asked = self._peer.ask() if self._left else None
        if asked is None:
            self._left = 0
            return None
        self._left -= 1
        return SimpleNamespace(cell=self._cells.names[asked])

    def tell(self, cell: str, scored: Scored) -> None:
        self._peer.tell(self._cells.names.index(cell), scored.score)


def _searching(make: Callable[[Cells, Grid, int], Proposing]) -> Callable[..., tuple[Searcher, TrialScheduler]]:
    def search(grid: Grid, workers: int, repeat: int, trials: int = 32) -> tuple[Searcher, TrialScheduler]:
        cells = Cells(grid)
        proposer = cast(Proposer, _Proposer(make(cells, grid, repeat), cells, trials))
        return SearchQueue(proposer, lambda asked: [{"key": key} for key in grid.cells[asked.cell]]), FIFOScheduler()

    return search


class Evolution:
    def __init__(self, cells: Cells, grid: Grid, seed: int) -> None:
        from syne_tune.config_space import choice
        from syne_tune.optimizer.schedulers.multiobjective import MultiObjectiveRegularizedEvolution

        space = {str(n): choice(sorted(set(levels))) for n, levels in enumerate(zip(*cells.levels, strict=True))}
        np.random.seed(seed)  # what its random configurations are drawn with
        self._searcher = MultiObjectiveRegularizedEvolution(
            space, population_size=POPULATION, sample_size=COMPETE, random_seed=seed
        )
        self._cells = cells
        self._cell_at = {levels: cell for cell, levels in enumerate(cells.levels)}
        self._begun: set[int] = set()
        self._told: dict[int, list[float]] = {}

    def ask(self) -> int | None:
        for _ in range(1000 * len(self._cell_at)):
            cell = self._cell_at.get(tuple(self._searcher.suggest().values()))
            if cell is not None and cell not in self._begun:
                self._begun.add(cell)
                return cell
            if cell in self._told:
                self._tell(cell)
        return None

    def tell(self, cell: int, score: float | None) -> None:
        if score is not None:
            self._told[cell] = [1 - score, *self._cells.costs[cell]]
            self._tell(cell)

    def _tell(self, cell: int) -> None:
        config = dict(zip(map(str, range(len(self._cells.levels[cell]))), self._cells.levels[cell], strict=True))
        self._searcher.on_trial_complete(cell, config, self._told[cell])


class LogNEHVI:
    def __init__(self, cells: Cells, grid: Grid, seed: int) -> None:
        self._points = np.column_stack([cells.features, cells.costs])
        self._bar = grid.bar
        self._margin = cells.margin
        self._rng, self._seed = np.random.default_rng(seed), seed
        self._fresh = list(range(len(cells.names)))
        self._running: list[int] = []
        self._scores: dict[int, float] = {}

    def ask(self) -> int | None:
        if not self._fresh:
            return None
        is_early = len(self._scores) < STARTUP
        at = self._rng.integers(len(self._fresh)) if is_early else np.argmax(self._gains())
        self._running.append(self._fresh.pop(int(at)))
        return self._running[-1]

    def tell(self, cell: int, score: float | None) -> None:
        self._running.remove(cell)
        self._scores[cell] = self._bar if score is None else score

    def _gains(self) -> Floats:
        """Of each cell that was not begun, the logarithm of what it promises."""
        import torch
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.deterministic import GenericDeterministicModel
        from botorch.models.model import ModelList
        from botorch.models.transforms import Standardize
        from botorch.sampling.index_sampler import IndexSampler
        from botorch.sampling.list_sampler import ListSampler
        from botorch.sampling.normal import SobolQMCNormalSampler
        from gpytorch.mlls import ExactMarginalLogLikelihood

        points = torch.from_numpy(self._points)
        trained = points[list(self._scores)]
        scores = torch.tensor(list(self._scores.values()), dtype=torch.float64)[:, None]
        size, costs = torch.Size([SAMPLES]), len(self._margin)
        torch.manual_seed(self._seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = SingleTaskGP(trained, scores, outcome_transform=Standardize(1))
            options = {"options": {"maxiter": ITERATIONS}}
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs=options)
            sampled = SobolQMCNormalSampler(size, seed=self._seed)
            known = [GenericDeterministicModel(lambda x, at=at: -x[..., at, None]) for at in range(-costs, 0)]
            gains = qLogNoisyExpectedHypervolumeImprovement(
                ModelList(model, *known),
                ref_point=[self._bar, *(-1 - self._margin)],
                X_baseline=trained,
                X_pending=points[self._running] if self._running else None,
                sampler=ListSampler(sampled, *(IndexSampler(size) for _ in known)),
                prune_baseline=True,
                cache_root=False,
            )
            with torch.no_grad():
                return cast(Floats, gains(points[self._fresh][:, None]).numpy())


# Schedulers ----------------------------------------------------------------------------------------------------------


def mo_asha(grid: Grid, workers: int, repeat: int, trials: int = 0) -> tuple[Searcher, TrialScheduler]:
    return searcher_and_scheduler(Strategy("none", "shuffled"), grid, repeat)[0], MOASHA(grid, None)


def linear_mo_asha(grid: Grid, workers: int, repeat: int, trials: int = 0) -> tuple[Searcher, TrialScheduler]:
    from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import LinearScalarizationPriority

    searcher, _ = mo_asha(grid, workers, repeat)
    return searcher, MOASHA(grid, LinearScalarizationPriority())


class MOASHA(FIFOScheduler):
    """Syne Tune's, as Ray asks a scheduler. It minimises."""

    def __init__(self, grid: Grid, priority: Any) -> None:
        from syne_tune.optimizer.schedulers.multiobjective import moasha

        super().__init__()
        cells = Cells(grid)
        at = {name: row for row, name in enumerate(cells.names)}
        self._costs = {key: cells.costs[at[cell]].tolist() for key, cell in grid.cell_of.items()}
        self._metrics = ["error", *grid.costs]
        self._theirs = moasha.MOASHA(
            {}, self._metrics, time_attr="epoch", multiobjective_priority=priority, max_t=grid.max_epochs
        )

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._theirs.on_trial_add(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if "epoch" not in result:
            return TrialScheduler.CONTINUE
        objectives = (1 - result["val_dice"], *self._costs[trial.config["key"]])
        said = {"epoch": result["epoch"], **dict(zip(self._metrics, objectives, strict=True))}
        return TrialScheduler.STOP if self._theirs.on_trial_result(trial, said) == "STOP" else TrialScheduler.CONTINUE


PEERS = {
    "mo-asha": mo_asha,
    "mo-asha linear": linear_mo_asha,
    "mo-rea": _searching(Evolution),
    "qlognehvi": _searching(LogNEHVI),
}
