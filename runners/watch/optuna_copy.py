"""A study as Optuna has it: a copy of its trials in a storage of Optuna's, for its plots, importances and dashboard.

A factor is a parameter with the distribution that the space gives it: a range, or the choice of its levels, as numbers
where they are. Values are validation Dice, parameters and MACs. What a scheduler stopped is PRUNED, what failed FAIL.
Predictors that look at no image are no trials of a search, and are left out: they would lead its front.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import ValidationError

from ablate.errors import InputError
from ablate.files import kind
from ablate.runners.search.memory import DIRECTIONS
from ablate.search_spaces.space import Range, Space
from ablate.study.manifest import is_study
from ablate.study.records import Record
from ablate.study.runs import Run
from ablate.study.study import Study

METRICS = ["validation Dice", "parameters", "MACs"]
_OF = "ablate study"
"""The study's attribute that says whose copy it is."""
_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}


class Copy:
    """The Optuna study `name` in a storage, which follows a study of this project.

    Raises `InputError` where the storage has a study of that name that is no copy of this one.
    """

    def __init__(self, study: Study, storage: optuna.storages.BaseStorage, name: str) -> None:
        known = {found.study_name: found for found in optuna.get_all_study_summaries(storage)}
        if name in known and known[name].user_attrs.get(_OF) != study.manifest.id:
            raise InputError(
                f"there is a study '{name}' already, which is no copy of '{study.path}': give --name another"
            )
        self.storage = storage
        self.optuna_study = optuna.create_study(
            storage=storage, study_name=name, directions=DIRECTIONS, load_if_exists=True
        )
        if name not in known:
            self.optuna_study.set_user_attr(_OF, study.manifest.id)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.optuna_study.set_metric_names(METRICS)
        self._there = {
            (str(trial.user_attrs.get("trial")), str(trial.user_attrs.get("state"))): trial.distributions
            for trial in self.optuna_study.get_trials(deepcopy=False)
        }

    def update(self, study: Study, records: Mapping[str, Record]) -> list[FrozenTrial]:
        """Add those of `records` that are not there yet; they are given, in the storage's order.

        A trial that ended anew, having been stopped or failed, is there twice. Raises `InputError` where a factor has
        got levels that the trials which are there know nothing of: Optuna has one choice of them in a study.
        """
        planned, runs = study.plans.levels, study.plans.runs
        levels = {key: planned.get(key, {}) for key in records}
        several = len({run.space for run in runs}) > 1
        found = distributions(runs, levels.values())
        self._check_same({_named(name, several): distribution for name, distribution in found.items()})
        before = len(self.optuna_study.get_trials(deepcopy=False))
        for key, record in records.items():
            if record.state in _STATES and (key, record.state) not in self._there:
                own = {_named(name, several): (found[name], level) for name, level in levels[key].items()}
                self.put(_trial(study, record, own), study)
                self._there[key, record.state] = {name: distribution for name, (distribution, _) in own.items()}
        return self.optuna_study.get_trials(deepcopy=False)[before:]

    def put(self, trial: FrozenTrial, study: Study) -> None:
        """Put a trial into the storage."""
        self.optuna_study.add_trial(trial)

    def _check_same(self, found: Mapping[str, BaseDistribution]) -> None:
        for there in self._there.values():
            for name, distribution in there.items():
                try:
                    optuna.distributions.check_distribution_compatibility(distribution, found.get(name, distribution))
                except ValueError:
                    raise InputError(
                        f"factor {name} has other levels than in the copy that is there, and Optuna takes none in "
                        "later: give --name another"
                    ) from None


def _trial(study: Study, record: Record, levels: Mapping[str, tuple[BaseDistribution, str]]) -> FrozenTrial:
    state = _STATES[record.state]
    facts = record.model_dump(mode="json", exclude_none=True, exclude={"params", "macs", "val_dice", "key"})
    return create_trial(
        state=state,
        values=[record.val_dice or 0.0, record.params, record.macs] if state == TrialState.COMPLETE else None,
        params={name: value_of(distribution, level) for name, (distribution, level) in levels.items()},
        distributions={name: distribution for name, (distribution, _) in levels.items()},
        intermediate_values=_curve(study, record),
        user_attrs={"trial": record.key, **facts},
    )


def _curve(study: Study, record: Record) -> dict[int, float]:
    """Validation Dice by epoch; nothing where it failed, or where that table is damaged."""
    if record.state == "failed":
        return {}
    try:
        return {number: float(dice) for number, dice in enumerate(study.table(record.key, "epochs")["val_dice"], 1)}
    except InputError:
        return {}


def _named(name: str, several: bool) -> str:
    """A factor without its space's name where there is only one space."""
    return name if several else name.partition(".")[2]


@contextlib.contextmanager
def database(url: str) -> Iterator[tuple[optuna.storages.BaseStorage, str]]:
    """Optuna's storage at a URL of a database (sqlite:///file.db, postgresql://…), and that URL without its password.

    Raises `InputError` in one line for whatever the database has to say.
    """
    import sqlalchemy

    try:
        place = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise InputError("--to optuna: expected the URL of a database, such as sqlite:///trials.db") from None
    shown = place.render_as_string(hide_password=True)
    file = Path(place.database) if place.get_backend_name() == "sqlite" and place.database else None
    if file is not None and kind(file) not in ("", "file"):
        raise InputError(f"'{file}' is a {kind(file)}, which is not replaced: give the name of a file, or a new one")
    if file is not None and any(is_study(folder) for folder in file.absolute().parents):
        raise InputError(f"'{file}' would be in a study: give a place elsewhere")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna.storages.RDBStorage(url), shown
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError, ImportError, RuntimeError) as error:
        reason = next(
            (line for line in str(error.__cause__ or error).splitlines() if line.strip()), type(error).__name__
        )
        raise InputError(f"--to optuna {shown}: {reason}") from None


# Distributions -------------------------------------------------------------------------------------------------------


def distributions(runs: Iterable[Run], levels: Iterable[Mapping[str, str]]) -> dict[str, BaseDistribution]:
    """Of each factor, by `space.factor`: as its space defines it, with the levels that trials have beside those."""
    ranges: dict[str, Range] = {}
    options: dict[str, dict[str, None]] = {}
    for run in runs:
        space = _space(run)
        for factor in space.factors if space else ():
            of = space.options(factor) if space else []
            if isinstance(of, Range):
                ranges[f"{run.space}.{factor}"] = of
            else:
                options.setdefault(f"{run.space}.{factor}", {}).update(dict.fromkeys(of))
    for row in levels:
        for name, level in row.items():
            options.setdefault(name, {})[level] = None
    return {
        name: _range(ranges[name], found) if name in ranges else CategoricalDistribution(_choices(list(found)))
        for name, found in options.items()
        if found
    }


def _space(run: Run) -> Space | None:
    try:
        return Space.model_validate(run.definition)
    except ValidationError:  # a confirmation has none
        return None


def _range(of: Range, levels: Iterable[str]) -> BaseDistribution:
    """A range, made wide enough for what was drawn from an earlier one of that name."""
    numbers = [float(level) for level in levels]
    low, high = min([of.low, *numbers]), max([of.high, *numbers])
    if of.whole:
        return IntDistribution(int(low), int(high), log=of.log, step=int(of.step or 1))
    return FloatDistribution(float(low), float(high), log=of.log, step=of.step)


def _choices(levels: list[str]) -> list[str | int | float]:
    """Levels as numbers, in their order, where they all are and stay apart; else as they are called."""
    numbers = [_number(level) for level in levels]
    whole = [number for number in numbers if number is not None]
    if len(set(whole)) < len(levels):
        return list(levels)
    return sorted(whole)


def _number(text: str) -> int | float | None:
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        number = float(text)
        return number if math.isfinite(number) else None
    return None


def value_of(distribution: BaseDistribution, level: str) -> Any:
    """A level, as its distribution has it."""
    if not isinstance(distribution, CategoricalDistribution):
        return int(level) if isinstance(distribution, IntDistribution) else float(level)
    return level if level in distribution.choices else _number(level)
