"""What a run is asked for: the options of `ablate run`, the arguments of `ablate.run`, and what is made of them.

No part of it but the trials' threads decides a number of a trial.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

from ablate.cuda import has_cuda
from ablate.data.fit import is_scored_at_own_size
from ablate.errors import InputError, unknown
from ablate.modules import use_code
from ablate.settings import parse
from ablate.user_code import UserCode

if TYPE_CHECKING:
    from ablate.data.dataset import Dataset
    from ablate.part import DataPart
    from ablate.search_spaces.profiles import Profile
    from ablate.search_spaces.space import Space

MAX_FAILURES = 3
"""How often, by default, a trial whose process died is started again, from its last epoch."""
SEARCH_TRIALS = 24
"""Configurations that a search trains by default."""

Cost = Literal["params", "macs", "latency_ms", "peak_memory_mb"]

_Count = Annotated[int, Field(ge=1, strict=True)]


class Training(BaseModel):
    """Where and how trials are trained: what `run` and `confirm` have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus_per_trial: _Count | None = None
    """CPUs, and threads, of each trial [as many as the study's trials had so far, or 1]."""
    gpus_per_trial: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["auto"] | None = None
    """GPUs of each trial: 0.5 shares a card, 2 train one trial together, auto shares cards by memory [1 if any]."""
    workers_per_trial: _Count | None = None
    """Processes that train each trial [1 a GPU]."""
    max_concurrent: _Count | None = None
    """Trials at a time [as many as fit]."""
    address: str | None = None
    """The Ray cluster to train on: auto, or host:port [this machine alone]."""
    storage_path: str | None = None
    """Where workers leave checkpoints and finished trials, s3://… say [the study; from other machines through Ray]."""
    max_failures: Annotated[int, Field(ge=0, strict=True)] = MAX_FAILURES
    """How often a trial whose process or machine died is started again, from its last epoch."""
    retry_failed: bool = False
    """Train trials that failed once more."""
    share: bool = False
    """Work beside another run of this study, on trials that it has not taken."""
    scheduler: str | dict[str, Any] = "none"
    """Stop what promises nothing: pareto, pareto-promote, asha, median, hyperband; none finishes what was stopped.

    By name, or with settings: {"name": "asha", "grace": 3}.
    """
    log: tuple[str, ...] = ()
    """Also log to these of tensorboard, mlflow and wandb."""

    @property
    def finish_stopped(self) -> bool:
        """Whether trials that a scheduler stopped are trained to their end."""
        return self.scheduler in ("none", {"name": "none"})


class Request(Training):
    """A run: what to train, where to keep it, and all of `Training`."""

    space: str | Path | dict[str, Any]
    """A packaged space's name, the path of a YAML file, or what such a file would hold."""
    model: str | None = None
    """The network of every trial: a short name, or module:attribute [the space's own]."""
    code: Path | None = None
    """The folder of your own modules that the space names [that of its file, or the current one]."""
    study: Path | None = None
    """The study directory [studies/SPACE-DATA-PROFILE]."""
    data: str | None = None
    """The data set, by name [the space's own, or mni152]."""
    data_dir: Path | None = None
    """The folder that holds its files."""
    profile: str | None = None
    """quick, standard or paper [standard with a GPU, else quick]."""
    seeds: _Count | None = None
    """Seeds of each configuration [the profile's]."""
    folds: Annotated[int, Field(ge=3, strict=True)] | None = None
    """Train and judge each configuration on every fold of so many [the space's, or none]."""
    fold: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = ()
    """Train only these folds, counted from 0 [all]."""
    epochs: _Count | None = None
    """Epochs of each trial [the profile's]."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Fields to set in every trial, by dotted path: {"model.width": 16}."""
    retrain_other_versions: bool = False
    """Train what other code or PyTorch made once more."""
    sampler: str | dict[str, Any] | None = None
    """Search the space: known_cost, tpe, nsgaii, gp, random, … propose what to train.

    By name, or with settings: {"name": "tpe", "n_startup_trials": 4}.
    """
    search: bool = False
    """Search the space: start, pause and go on with what promises most for its seconds, until little is left."""
    cost: tuple[Cost, ...] = ()
    """Costs that --search goes by: params, macs, latency_ms, peak_memory_mb [params and macs]."""
    trials: _Count | None = None
    """Configurations that a search trains [24; of --search as many as it takes]."""
    budget_epochs: _Count | None = None
    """Epochs that may be trained in all, those of earlier runs among them."""
    sampler_seed: Annotated[int, Field(ge=0, strict=True)] = 0
    """The search's own seed."""
    learn_from: tuple[Path, ...] = ()
    """Earlier studies of the same factors, from which --search learns."""
    decide: str | Path | None = None
    """Train until this claim is decided: a packaged one's name, or the path of a YAML file."""
    looks: tuple[_Count, ...] = ()
    """Seeds after which it is looked at [2, 4, 6, 10]."""
    budget_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Hours that this run may train; with a claim, no look is begun that would end later."""

    def check(self) -> None:
        """Raises `InputError` for options that do not go together."""
        self._check_deciding()
        if self.search:
            for name, given in (("--sampler", self.sampler is not None), ("--scheduler", not self.finish_stopped)):
                if given:
                    raise InputError(f"{name}: --search is sampler and scheduler in one; leave one of them out")
        elif self.cost:
            why = "samplers go by params and macs" if self.sampler is not None else "it is what --search goes by"
            raise InputError(f"--cost {self.cost[0]}: {why}; leave it out, or give --search")
        if self.learn_from and not self.search:
            raise InputError(f"--learn-from '{self.learn_from[0]}': it is --search that learns; give that too")
        way = "--search" if self.search else "--sampler"
        if not self.search and self.sampler is None:
            if self.trials is not None:
                raise InputError(f"--trials {self.trials}: belongs to a search; give --search or --sampler too")
        elif self.share:
            raise InputError(f"--share: a search is one process, which sees every trial; leave it out, or {way}")
        elif self.retrain_other_versions:
            raise InputError(f"--retrain-other-versions: a search goes by what it has seen; leave it out, or {way}")

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What --search goes by, each once."""
        return tuple(name for name in get_args(Cost) if name in (self.cost or ("params", "macs")))

    def _check_deciding(self) -> None:
        if self.decide is None:
            if self.looks:
                raise InputError(f"--looks {','.join(map(str, self.looks))}: belongs to --decide CLAIM; give that too")
            return
        for name, given, why in (
            ("--seeds", self.seeds is not None, "--looks says how many there are"),
            ("--budget-epochs", self.budget_epochs is not None, "a look is taken whole or not at all"),
            ("--sampler", self.sampler is not None, "what a search proposes is not known beforehand"),
            ("--search", self.search, "what a search trains is not known beforehand"),
            ("--scheduler", not self.finish_stopped, "a network that is stopped early has no test scores"),
            ("--share", self.share, "looks are taken one after the other"),
            ("--retrain-other-versions", self.retrain_other_versions, "a look is never taken again"),
        ):
            if given:
                raise InputError(f"{name}: does not go with --decide, for {why}; leave it out")

    def basis(self) -> Basis:
        """The space and what its trials are made from. Raises as `basis` does."""
        return basis(
            self.space,
            self.data,
            self.data_dir,
            self.profile,
            self.seeds,
            self.epochs,
            self.settings,
            model=self.model,
            code=self.code,
            study=self.study,
            folds=self.folds,
            fold=self.fold,
        )


def default_study(space: str, data: DataPart, profile: str) -> Path:
    """Where a run keeps its study, if it is not told: by what its data set is called.

    Earlier versions went by the data set's name alone; what they began with these images goes on where it is.
    """
    from ablate.study.manifest import is_study

    path, earlier = _default_places(space, data, profile)
    if path == earlier or is_study(path) or not is_study(earlier):
        return path
    return earlier if _has_data(earlier, data) else path


def _default_places(space: str, data: DataPart, profile: str) -> tuple[Path, Path]:
    """Where this version keeps such a study, and where earlier ones did."""
    path, earlier = (
        Path("studies") / "-".join((space, _in_a_path(name), profile)) for name in (data.called, data.name)
    )
    return path, earlier


def scored_at_own_size(study: Path | None, space: str, profile: str) -> Callable[[DataPart], bool]:
    """Whether a study scores one's own data at each image's own size, where nothing is set: asked of its data sets, of
    which the first decides.

    A new study does. One that has trials of one's own data that were scored at the trial's size goes on as it was.
    """
    from ablate.study.manifest import is_study

    found: list[bool] = []

    def decide(data: DataPart) -> bool:
        if not found:
            new, earlier = (study, study) if study else _default_places(space, data, profile)
            places = [new] if is_study(new) else [new, earlier]
            found.append(not any(_scores_at_size(place) for place in places))
        return found[0]

    return decide


def _scores_at_size(study: Path) -> bool:
    """Whether a study has trials of one's own data that were scored at the trial's size."""
    from ablate.data.load import is_own
    from ablate.study.contents import read_config
    from ablate.study.trial_folder import key_folders

    configs = (read_config(folder) for folder in key_folders(study))
    return any(
        config is not None and is_own(config.data) and not is_scored_at_own_size(config.data) for config in configs
    )


def _in_a_path(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)


def _has_data(study: Path, data: DataPart) -> bool:
    """Whether trials of a study are of this data set."""
    from ablate.study.contents import read_config
    from ablate.study.trial_folder import key_folders

    configs = (read_config(folder) for folder in key_folders(study))
    return any(config is not None and config.data.fingerprint == data.fingerprint for config in configs)


class Basis(NamedTuple):
    """A space and how it is to be trained: what its trials are made from."""

    space: Space
    profile_name: str
    profile: Profile
    dataset_of: Callable[[DataPart], Dataset]
    arguments: dict[str, Any]
    """The rest of what `make_plan` and `Planner` take."""


def basis(
    space: str | Path | Mapping[str, Any],
    data: str | None,
    data_dir: Path | None,
    profile: str | None,
    seeds: int | None,
    epochs: int | None,
    settings: Mapping[str, Any],
    *,
    model: str | None = None,
    code: Path | None = None,
    study: Path | None = None,
    folds: int | None = None,
    fold: tuple[int, ...] = (),
) -> Basis:
    """What a space's trials are made from; arguments as the fields of `Request`.

    From then on, modules that a part names are looked for where `code` says.
    Raises `InputError` for a space or a profile that is none, and for epochs that are given twice.
    """
    from ablate.search_spaces.fields import on_model
    from ablate.search_spaces.profiles import PROFILES
    from ablate.search_spaces.space import Space, load_space

    parsed = parse(Space, dict(space), "space") if isinstance(space, Mapping) else load_space(str(space))
    name = profile or _default_profile()
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    use_code(UserCode(code_folders(space, code)))
    if model:
        parsed = on_model(parsed, model)
    overrides = dict(settings)
    if epochs is not None:
        if "protocol.epochs" in overrides:
            raise InputError(f"--epochs {epochs}: --set protocol.epochs gives them too; leave one out")
        overrides["protocol.epochs"] = epochs
    loaded: dict[str, Dataset] = {}

    def dataset_of(config: DataPart) -> Dataset:
        from ablate.data.load import load_data

        identity = config.but(fingerprint="").text + str(config.root)
        if identity not in loaded:
            loaded[identity] = load_data(config)
        return loaded[identity]

    rest = {
        "data": data, "data_dir": str(data_dir) if data_dir else None, "seeds": seeds, "folds": folds,
        "fold": fold, "overrides": overrides,
        "own_size": scored_at_own_size(study, parsed.name, name),
    }  # fmt: skip
    return Basis(parsed, name, PROFILES[name], dataset_of, rest)


def code_folders(space: str | Path | Mapping[str, Any], code: Path | None) -> list[Path]:
    """Where a user's modules are looked for: in `code`, and beside the space's file, or else in the current folder.

    Raises `InputError` where `code` is no folder.
    """
    if code is not None and not code.is_dir():
        raise InputError(f"--code '{code}' is not a folder: give the one that holds your modules")
    is_file = not isinstance(space, Mapping) and Path(space).suffix in (".yaml", ".yml")
    beside = Path(str(space)).parent if is_file else Path()
    return [*([code] if code else []), *([beside] if is_file or code is None else [])]


def _default_profile() -> str:
    return "standard" if has_cuda() else "quick"
