"""A plan: every trial of a space, priced before anything is spent; what cannot be built is rejected with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from ablate.cost.foretold import Images, epoch_images
from ablate.data.dataset import Dataset
from ablate.data.settings import Split
from ablate.data.splits import Parts
from ablate.errors import InputError, PartError
from ablate.kinds import kind_at
from ablate.part import DataPart, Part
from ablate.search_spaces.designs import Variant, expand
from ablate.search_spaces.fields import overlay, parts_of
from ablate.search_spaces.folds import check_factor, fold_fields, folds_of, protocol_on, unused_parts
from ablate.search_spaces.located import located
from ablate.search_spaces.looks import Looks
from ablate.search_spaces.profiles import Profile
from ablate.search_spaces.space import MOST_SEEDS, Fields, Range, Space, nested
from ablate.settings import explain
from ablate.trial import Protocol, TrialConfig

if TYPE_CHECKING:
    from ablate.study.runs import Run

MOST_TRIALS = 100_000


class Planned(NamedTuple):
    """A trial with its place in the design and its price; MACs are of one image at the trial's size.

    `images`: what its epochs train on and validate. Where that is not known, one image stands for them, which keeps the
    order of trials on the same data.
    """

    config: TrialConfig
    levels: dict[str, str]
    params: int
    macs: int
    images: Images = Images(1, 0)

    @property
    def key(self) -> str:
        return self.config.key


class Rejected(NamedTuple):
    """A configuration that cannot be built."""

    levels: dict[str, str]
    reason: str


class Plan(NamedTuple):
    """Trials (one a configuration and seed, in the design's order), and what was rejected."""

    trials: list[Planned]
    rejected: list[Rejected]
    same: list[list[dict[str, str]]]
    """The levels that come to one configuration, which is trained once: a list for each such configuration."""
    notes: list[str]
    """What must be said of the data, and of prices."""
    looks: Looks
    """At the data sets."""


def make_plan(
    space: Space,
    profile: Profile,
    *,
    dataset_of: Callable[[DataPart], Dataset],
    data: str | None = None,
    data_dir: str | None = None,
    seeds: int | None = None,
    folds: int | None = None,
    fold: Sequence[int] = (),
    overrides: Fields | None = None,
    own_size: Callable[[DataPart], bool] = lambda data: False,
) -> Plan:
    """Expand `space` into priced trials.

    A trial's fields come from, each over the one before: the profile, the space's base, the levels, `overrides`.

    Args:
        dataset_of: reads a data set; called once for each distinct one.
        data: a data set to use instead of the space's own (or of `mni152`).
        data_dir: where that data set's files are.
        seeds: seeds of each configuration, 0, 1, …; by default the space's or the profile's number.
        folds: of each configuration; by default the space's number, or what its fields say.
        fold: the folds, counted from 0, that are trained; by default the one that a field names, or all.
        overrides: fields by dotted path, for every trial.
        own_size: whether one's own data are scored at each image's own size where no field says (`data.scored_at`).

    Raises:
        InputError: more configurations or trials than can be planned, or nothing left to train: it says why the first
            configuration was rejected.
    """
    planner = Planner(
        space,
        profile,
        dataset_of=dataset_of,
        data=data,
        data_dir=data_dir,
        seeds=seeds,
        folds=folds,
        fold=fold,
        overrides=overrides,
        own_size=own_size,
    )
    return _plan_by(planner)


def _plan_by(planner: Planner) -> Plan:
    """Every configuration of its space. Raises as `make_plan` does."""
    space, variants = planner.space, expand(planner.space)
    trials: dict[str, Planned] = {}
    rejected: list[Rejected] = []
    levels: dict[str, list[dict[str, str]]] = {}
    for found in variants:
        _check_number(space, len(variants), len(planner.seeds), len(trials))
        try:
            made = planner.trials(found)
        except ImpossibleError as reason:
            rejected.append(Rejected(found.levels, str(reason)))
            continue
        first = made[0].key
        levels.setdefault(first, []).append(found.levels)
        if len(levels[first]) == 1:
            trials |= {planned.key: planned for planned in made}
    _check_number(space, len(variants), len(planner.seeds), len(trials))
    if not trials:
        raise InputError(rejected[0].reason)
    same = [group for group in levels.values() if len(group) > 1]
    return Plan(list(trials.values()), rejected, same, planner.notes(), planner.looks)


def _check_number(space: Space, configurations: int, seeds: int, made: int) -> None:
    """Raises `InputError` where they are too many trials; with folds, that is known once they are `made`."""
    found = max(configurations * seeds, made)
    if found > MOST_TRIALS:
        folds = "and its folds at least " if made > configurations * seeds else ""
        raise InputError(
            f"space {space.name} has {configurations:,} configurations, with {seeds:,} seeds {folds}{found:,} trials: "
            f"at most {MOST_TRIALS:,} are planned"
        )


class ImpossibleError(InputError):
    """A configuration that cannot be built, or that the space's constraints rule out; the others can be.

    `over`: by which share each constraint is broken; {"possible": 1} for what cannot be built.
    """

    def __init__(self, reason: str, over: dict[str, float] | None = None) -> None:
        super().__init__(reason)
        self.over = over or {"possible": 1.0}


class Planner:
    """Makes priced trials of a space's configurations, one configuration at a time; arguments as of `make_plan`.

    Raises `InputError` for an override, a data set or a folder that the space varies, and for overrides that are none.
    """

    def __init__(
        self,
        space: Space,
        profile: Profile,
        *,
        dataset_of: Callable[[DataPart], Dataset],
        data: str | None = None,
        data_dir: str | None = None,
        seeds: int | None = None,
        folds: int | None = None,
        fold: Sequence[int] = (),
        overrides: Fields | None = None,
        own_size: Callable[[DataPart], bool] = lambda data: False,
    ) -> None:
        self.space = space
        self._profile = profile
        self._dataset_of, self._own_size = dataset_of, own_size
        self._data = data
        self._data_dir = data_dir
        self.seeds = range(seeds or space.seeds or profile.seeds)
        if len(self.seeds) > MOST_SEEDS:
            raise InputError(f"--seeds {seeds}: at most {MOST_SEEDS:,} are trained")
        self._overrides, self._fold = fold_fields(space, folds, overrides or {}), fold
        self._datasets: dict[tuple[str, str], Dataset | InputError] = {}
        """What was read, or why it cannot be."""
        self._said: dict[str, None] = {}
        self._tried: set[tuple[str, str]] = set()
        self._splits: dict[tuple[str, Split], Parts] = {}
        self.looks = Looks()
        try:
            nested(self._overrides)
        except ValueError as error:
            raise InputError(f"--set: {error}") from None
        given = {path: f"--set {path}" if path in (overrides or {}) else "folds" for path in self._overrides}
        given |= {"data.name": f"--data {data}"} if data else {}
        given |= {"data.root": f"--data-dir {data_dir}"} if data_dir else {}
        self._given = given
        for factor in space.factors:
            check_factor(space, factor, _varied(space, factor))
            for path in _varied(space, factor):
                for field, option in given.items():
                    if f"{path}.".startswith(f"{field}."):
                        what = "this field" if option == f"--set {path}" else path
                        raise InputError(
                            f"{option}: space {space.name} varies {what} itself; write a space of your own"
                        )

    def base(self) -> tuple[Dataset, Protocol]:
        """The data set of all configurations, and the protocol of those that vary nothing of it.

        Raises `InputError` where the space varies the data, or they cannot be read.
        """
        for factor in self.space.factors:
            if any(path.split(".")[0] == "data" for path in _varied(self.space, factor)):
                raise InputError(f"factor {factor} varies the data: a search compares on one data set")
        fields, parts = self._parts(Variant({}, {}))
        dataset = self._read(parts["data"])
        protocol = protocol_on(dataset, fields, parts["protocol"])
        varied = [path for factor in self.space.factors for path in _varied(self.space, factor)]
        if not any(path.startswith("protocol.split") for path in varied):
            self._split(dataset, protocol.split)
        return dataset, protocol

    def _parts(self, variant: Variant) -> tuple[dict[str, Any], dict[str, Any]]:
        """A configuration's fields, and what is made of them. Raises `InputError`, with where the field was given."""
        with located(self.space, variant.levels, self._given):
            fields = overlay(self.space, variant.fields, self._profile, self._data, self._overrides, self._data_dir)
            return fields, parts_of(fields, self.space.name, self._own_size)

    def _read(self, source: DataPart) -> Dataset:
        identity = source.text, str(source.root)
        if identity not in self._datasets:
            try:
                self._datasets[identity] = self._dataset_of(source)
            except InputError as error:
                self._datasets[identity] = error
        found = self._datasets[identity]
        if isinstance(found, InputError):
            raise found
        return found

    def look(self, variant: Variant) -> None:
        """Take a look at the data of one configuration, which need be possible in nothing else.

        Raises `InputError` where they cannot be read or split, or nothing can be learnt on them.
        """
        fields, parts = self._parts(variant)
        dataset = self._read(parts["data"])
        split = protocol_on(dataset, fields, parts["protocol"]).split
        for fold in folds_of(fields, split, self._fold):
            self._split(dataset, split if fold == split.fold else split.model_copy(update={"fold": fold}))

    def trials(self, variant: Variant) -> list[Planned]:
        """The trials of one configuration, one a seed and fold.

        Raises `ImpossibleError` for a configuration that is none (a field or value that does not exist, data that
        cannot be read), cannot be built, or costs more than the space allows.
        """
        try:
            fields, parts = self._parts(variant)
            dataset = self._read(parts["data"])
            model, protocol = parts["model"], protocol_on(dataset, fields, parts["protocol"])
            parts["protocol"] = protocol
            folds = folds_of(fields, protocol.split, self._fold)
            source = parts["data"] = parts["data"].but(fingerprint=dataset.config.fingerprint)
            first = TrialConfig(**parts, seed=self.seeds[0])
            self._try_parts(first)
            parts_of_fold = [self._split(dataset, first.of_fold(fold).protocol.split) for fold in folds]
            params, macs, note = _price(model, source)
            self._said |= {note: None} if note else {}
            if 1 in {protocol.batch_size, *(len(part.train) for part in parts_of_fold)}:  # else no batch is of one
                _try_one_image(model, source)
        except ValidationError as error:
            raise ImpossibleError(explain(error)) from None
        except PartError:  # what is no code is no configuration's fault
            raise
        except InputError as error:
            raise ImpossibleError(str(error)) from None
        check(self.space, params, macs)
        images = [epoch_images(first, part.train, part.val, dataset.own_sizes) for part in parts_of_fold]
        return [
            Planned(first.of_fold(fold).model_copy(update={"seed": seed}), variant.levels, params, macs, seen)
            for seed in self.seeds
            for fold, seen in zip(folds, images, strict=True)
        ]

    def _split(self, dataset: Dataset, split: Split) -> Parts:
        """The parts of a data set, which is looked at. Raises `InputError` where nothing can be learnt on it."""
        place = dataset.config.text, split
        if place not in self._splits:
            unused = unused_parts(dataset, split)
            self._said |= {unused: None} if unused else {}
            try:
                self._splits[place] = dataset.split(split)
            except InputError as error:
                self.looks.take(dataset, split, None, str(error))
        self.looks.take(dataset, split, self._splits[place])
        return self._splits[place]

    def _try_parts(self, trial: TrialConfig) -> None:
        """See that the code of others in a trial does what its kind must, each once.

        Raises `PartError` with the first thing that it does not.
        """
        for place, part in trial.parts.items():
            tried = place.partition(".")[0], part.text
            if part.made_by and tried not in self._tried:
                self._tried.add(tried)
                problems = _problems(place, part, trial)
                if problems:
                    raise PartError(problems[0])

    def notes(self) -> list[str]:
        """What must be said of the data sets read and the networks priced so far, each once."""
        read = [dataset for dataset in self._datasets.values() if not isinstance(dataset, InputError)]
        return list(
            dict.fromkeys([*(note for dataset in read for note in dataset.notes), *self.looks.notes(), *self._said])
        )


def run_of(space: Space, profile: str, trials: list[Planned], design: str, looks: Looks) -> Run:
    """Trials of a space as a study keeps what was planned, and what was seen of their data."""
    from ablate.study.runs import DataRecord, Run

    return Run(
        space=space.name,
        question=space.question,
        profile=profile,
        design=design,
        factors={
            name: list(dict.fromkeys(trial.levels[name] for trial in trials if name in trial.levels))
            for name in space.factors
        },
        definition=space.model_dump(mode="json", exclude_none=True),
        trials={trial.key: trial.levels for trial in trials},
        data={
            data.fingerprint: DataRecord.of(data).model_copy(update=looks.record(data.fingerprint))
            for data in dict.fromkeys(trial.config.data for trial in trials)
        },
    )


def check(space: Space, params: int, macs: int) -> None:
    """Raises `ImpossibleError` for costs that the space's constraints rule out; latency is not known here."""
    for constraint in space.constraints:
        spent = {"params": params, "macs": macs}.get(constraint.cost, 0)
        if constraint.excess(spent) > 0:
            over: dict[str, float] = {constraint.cost: constraint.excess(spent)}
            raise ImpossibleError(f"{constraint.cost} {spent:,}: the space allows {constraint.most:,.12g}", over)


def _problems(place: str, part: Part, trial: TrialConfig) -> list[str]:
    from ablate.contracts.contract import quick_problems

    data = trial.data
    return quick_problems(kind_at(place), part, data.channels, data.classes, data.size)


def _price(model: Part, source: DataPart) -> tuple[int, int, str]:
    """Parameters, MACs, and what must be said of them."""
    from ablate.cost.counted import cost, cost_note

    asked = model, source.channels, source.classes, source.size
    return (*cost(*asked), cost_note(*asked))


def _try_one_image(model: Part, source: DataPart) -> None:
    from ablate.cost.counted import try_one_image

    try_one_image(model, source.channels, source.classes, source.size)


def _varied(space: Space, factor: str) -> list[str]:
    """The fields that a factor's levels set, by dotted path."""
    levels = space.factors[factor]
    fields = [{factor: levels.low}] if isinstance(levels, Range) else list(levels.values())
    return list(dict.fromkeys(path for one in fields for path in _leaves(nested(one))))


def _leaves(tree: Mapping[str, Any], above: str = "") -> list[str]:
    found = []
    for name, value in tree.items():
        found += _leaves(value, f"{above}{name}.") if isinstance(value, dict) else [f"{above}{name}"]
    return found
