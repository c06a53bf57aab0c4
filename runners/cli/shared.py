"""What several commands share: options, and the steps from options to a plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from ablate.data.fit import is_scored_at_own_size
from ablate.errors import InputError, brief, unknown
from ablate.runners.cli import completion
from ablate.runners.cli.output import note, waiting

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.analysis.scores import Unit
    from ablate.data.dataset import Dataset
    from ablate.metrics.counts import Empty, MetricName
    from ablate.part import DataPart
    from ablate.search_spaces.plan import Plan, Planned
    from ablate.search_spaces.profiles import Profile
    from ablate.search_spaces.space import Space
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

F = TypeVar("F", bound=Callable[..., Any])


def space_options(command: F, *, required: bool = True, named: bool = True) -> F:
    """The options that say what to train. `required`: whether a space must be given; `named`: by an option."""
    options = [
        click.option(
            "--space",
            required=required,
            help="A packaged space's name, or the path of a YAML file.",
            shell_complete=completion.spaces,
        ),
        click.option(
            "--model",
            help="The network of every trial, module:attribute too [default: the space's own].",
            shell_complete=completion.networks,
        ),
        click.option(
            "--code",
            type=click.Path(path_type=Path),
            help="The folder of your own modules [default: that of the space's file, or the current one].",
        ),
        click.option(
            "--data",
            help="The data set, by name [default: the space's own, or mni152].",
            shell_complete=completion.data_sets,
        ),
        click.option("--data-dir", type=click.Path(path_type=Path), help="The folder that holds its files."),
        click.option(
            "--profile",
            help="quick, standard or paper [default: standard with a GPU, else quick].",
            shell_complete=completion.profiles,
        ),
        click.option("--seeds", type=click.IntRange(1), help="Seeds of each configuration [default: the profile's]."),
        click.option(
            "--folds",
            type=click.IntRange(3),
            help="Train and judge each configuration on every fold of so many [default: the space's, or none].",
        ),
        click.option(
            "--fold",
            type=click.IntRange(0),
            multiple=True,
            help="Only this fold, from 0; again for more [default: all].",
        ),
        click.option("--epochs", type=click.IntRange(1), help="Epochs of each trial [default: the profile's]."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="FIELD=VALUE",
            help="Set a field in every trial.",
            shell_complete=completion.fields,
        ),
    ]
    for option in reversed(options if named else options[1:]):
        command = option(command)
    return command


def metric_option(name: str) -> Callable[[F], F]:
    """Which score. What a study has by a metric of its trials' own is known once it is read."""
    return click.option(
        name,
        default="dice",
        show_default=True,
        metavar="METRIC",
        callback=lambda context, option, text: metric_name(text),
        shell_complete=completion.metrics,
        help="The score: dice, iou, miou, sensitivity, precision, specificity, or a metric of the trials' own (hd95).",
    )


def unit_option(command: F) -> F:
    """What is scored, and what intervals count; None is as the study has it."""
    return click.option(
        "--unit",
        type=click.Choice(["image", "case"]),
        help="Score each image, or the images of a case together [default: case, where cases have several].",
    )(command)


def class_option(command: F, *, several: bool = False) -> F:
    """Of which class a score is; '' is the mean over classes."""
    return click.option(
        "--class",
        "classes" if several else "of_class",
        multiple=several,
        default=() if several else "",
        metavar="CLASS",
        help="The score of this class alone, by name or number (liver, 2)"
        + ("; give it again for more." if several else "."),
    )(command)


def empty_option(command: F) -> F:
    """What an image scores in a class that neither its mask nor its prediction has; None is as a claim has it."""
    return click.option(
        "--empty",
        type=click.Choice(["one", "skip", "zero"]),
        help="What an image scores in a class that neither its mask nor its prediction has: 1, nothing (left out of "
        "means), or 0 [default: one].",
    )(command)


def metric_name(text: str) -> str:
    """The name of a score. Raises `InputError` for what cannot be one in any study."""
    from ablate.metrics.counts import METRICS, ON_REQUEST
    from ablate.study.tables import is_metric_label

    whole = text.partition(".")[0]
    if whole not in (*METRICS, *ON_REQUEST) and not is_metric_label(whole):
        raise unknown("metric", whole, [*METRICS, *ON_REQUEST])
    return text


def metric_names(text: str) -> list[str]:
    """Those that are named with commas, each once. Raises as `metric_name`."""
    return [metric_name(name) for name in dict.fromkeys(part.strip() for part in text.split(",") if part.strip())]


def tables(study: Study, unit: Unit | None, empty: Empty | None = None) -> Frames:
    """A study's tables, scored as is asked."""
    from ablate.analysis.frames import load, scored

    return scored(load(study).by(unit), empty=empty)


def tables_with(
    study: Study, metric: MetricName, of_class: str, unit: Unit | None, empty: Empty | None
) -> tuple[Frames, MetricName]:
    """As `tables`, with what a metric and class are called there. Raises `InputError` for what no trial has."""
    from ablate.analysis.frames import scored
    from ablate.analysis.scoring import metric_asked

    frames = tables(study, unit, empty)
    name = metric_asked(frames, metric, of_class)
    return scored(frames, [name]), name


def tables_more(
    study: Study, metrics: Sequence[MetricName], classes: Sequence[str], unit: Unit | None, empty: Empty | None
) -> Frames:
    """As `tables`, with columns of these metrics, or of Dice, of each of these classes. Raises as `tables_with`."""
    from ablate.analysis.frames import scored
    from ablate.analysis.scoring import metric_asked

    frames = tables(study, unit, empty)
    named = metrics or (["dice"] if classes else [])
    return scored(frames, [metric_asked(frames, name, one) for name in named for one in classes or [""]])


def training_options(command: F) -> F:
    """The options that say where and how to train."""
    options = [
        click.option("--cpus-per-trial", type=click.IntRange(1), help="CPUs, and threads, of each trial [default: 1]."),
        click.option(
            "--gpus-per-trial",
            metavar="N|auto",
            callback=_gpus,
            help="GPUs of each trial: 0.5 shares a card, 2 train one trial together, auto shares cards by memory "
            "[default: 1 if any].",
        ),
        click.option(
            "--workers-per-trial", type=click.IntRange(1), help="Processes that train each trial [default: 1 a GPU]."
        ),
        click.option("--max-concurrent", type=click.IntRange(1), help="Trials at a time [default: as many as fit]."),
        click.option(
            "--address", help="The Ray cluster to train on: auto, or host:port [default: this machine alone]."
        ),
        click.option(
            "--storage-path",
            metavar="PATH|URI",
            help="Where workers leave checkpoints and finished trials, s3://… say [default: the study; from other "
            "machines through Ray].",
        ),
        click.option(
            "--max-failures",
            type=click.IntRange(0),
            default=3,
            show_default=True,
            help="How often a trial whose process or machine died is started again, from its last epoch.",
        ),
        click.option("--retry-failed", is_flag=True, help="Train trials that failed once more."),
        click.option(
            "--share", is_flag=True, help="Work beside another run of this study, on trials that it has not taken."
        ),
        click.option(
            "--log",
            metavar="NAME,…",
            default="",
            callback=lambda context, option, text: tuple(name.strip() for name in text.split(",")) if text else (),
            help="Also log to tensorboard, mlflow or wandb.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _gpus(context: click.Context, option: click.Parameter, text: str | None) -> float | str | None:
    from ablate.runners.execution.resources import parse_gpus

    return parse_gpus(text) if text else None


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(command)


class Prepared(NamedTuple):
    """A space with its plan, and the data it was planned on."""

    space: Space
    profile_name: str
    profile: Profile
    plan: Plan
    dataset_of: Callable[[DataPart], Dataset]


def prepare(*, settings: tuple[str, ...], **options: Any) -> Prepared:
    """From `space_options` to a plan. Raises `InputError` for whatever is wrong with them."""
    from ablate.runners.request import basis
    from ablate.search_spaces.plan import make_plan

    found = basis(**options, settings=parse_settings(settings))
    with waiting(f"pricing {found.space.name}"):
        plan = make_plan(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    return Prepared(found.space, found.profile_name, found.profile, plan, found.dataset_of)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """`model.width=16` as fields; a value is read as YAML.

    Raises `InputError` for what is no setting, and for a field that is given twice: itself, or as a part of another.
    """
    from ablate.search_spaces.space import PARTS, nested
    from ablate.yaml_files import yaml_value

    fields: dict[str, Any] = {}
    for setting in settings:
        path, separator, value = setting.partition("=")
        if not separator or path.partition(".")[0] not in PARTS:
            raise InputError(
                f"--set {brief(setting)}: expected a field of {', '.join(PARTS)}, then =value (model.width=16)"
            )
        if path in fields:
            raise InputError(f"--set {brief(path)} is given twice: leave one out")
        try:
            fields[path] = yaml_value(value)
            nested(fields)
        except ValueError as error:
            raise InputError(f"--set {brief(setting)}: {error}") from None
    return fields


def counted(trials: Sequence[Planned]) -> str:
    """What a plan comes to: `4 configurations x 3 seeds x 5 folds = 60 trials`."""
    from ablate.analysis.format import several

    configs = [trial.config for trial in trials]
    cells, seeds = {config.cell for config in configs}, {config.seed for config in configs}
    folds = {config.fold for config in configs}
    product = f"{several(len(cells), 'configuration')} x {several(len(seeds), 'seed')}"
    if folds != {None}:
        product += f" x {several(len(folds), 'fold')}"
    if len(cells) * len(seeds) * len(folds) != len(trials):  # splits differ
        return f"{several(len(cells), 'configuration')}, {several(len(trials), 'trial')}"
    return f"{product} = {several(len(trials), 'trial')}"


def extent(trials: Sequence[Planned]) -> str:
    """What is trained on what, and how long: `8 epochs, mni152 at 1x96x96`, and each of several data sets."""
    from ablate.analysis.format import listing

    epochs = sorted({trial.config.protocol.epochs for trial in trials})
    folders: dict[str, set[str]] = {}
    for data in (trial.config.data for trial in trials):
        folders.setdefault(data.called, set()).add(str(data.root))
    found: dict[str, None] = {}
    for data in (trial.config.data for trial in trials):
        height, width = data.size
        folder = f" '{data.root}'" if data.root and len(folders[data.called]) > 1 else ""
        found[f"{data.called}{folder} at {data.channels}x{height}x{width}"] = None
    most = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else str(epochs[0])
    at_own_size = [is_scored_at_own_size(trial.config.data) for trial in trials]
    scored = "scored at each image's own size" if all(at_own_size) else "some scored at each image's own size"
    return f"{most} epochs, {listing(list(found), 6)}{f', {scored}' if any(at_own_size) else ''}"


def plan_notes(plan: Plan) -> list[str]:
    """What must be said of a plan: levels that come to one configuration, and how the data were taken."""
    from ablate.analysis.format import level_label, listing

    same = [listing([level_label(levels) for levels in group], 4) for group in plan.same]
    return [*(f"{labels} are one configuration: trained once" for labels in same), *plan.notes]


def parse_input(text: str) -> tuple[int, int, int]:
    """`3x512x512` as channels, height and width."""
    match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})x([0-9]{1,6})", text)
    if not match or "0" in match.groups():
        raise InputError(f"--input {text}: expected channels x height x width, such as 3x512x512")
    channels, height, width = map(int, match.groups())
    return channels, height, width


def code_option(command: F) -> F:
    """Where the user's modules are, for what makes a study's networks again."""
    return click.option(
        "--code",
        type=click.Path(path_type=Path),
        help="The folder of your own modules that the study names [default: the current one].",
    )(command)


def use_own_code(folder: Path | None) -> None:
    """Look for the modules that a study names in this folder, never where the study says or is.

    Raises `InputError` where it is no folder.
    """
    from ablate.modules import use_code
    from ablate.runners.request import code_folders
    from ablate.user_code import UserCode

    use_code(UserCode(code_folders({}, folder)))


def say_imports(configs: Sequence[TrialConfig], *, everything: bool = False) -> None:
    """Say on standard error which code of others these networks name, before any of it runs.

    `everything`: also what their losses, data and all other parts name.
    Raises `PartError` for what is neither the user's nor installed.
    """
    from ablate.kinds import named_within
    from ablate.modules import whereabouts

    parts = [part for config in configs for part in (config.parts.values() if everything else [config.model])]
    names = dict.fromkeys(name for part in parts for name in named_within(part.canonical()))
    for place in dict.fromkeys(whereabouts(name) for name in names):
        note(f"imports {place}")


def notes(study: Study) -> list[str]:
    """What every output of this study must say: of what was found damaged, and of the profiles it was made under."""
    from ablate.search_spaces.profiles import PROFILES

    profiles = dict.fromkeys(run.profile for run in study.manifest.runs)
    said = [note for name in profiles if name in PROFILES and (note := PROFILES[name].note)]
    return [*study.said_of_faults(), *said, *_resolution(study)]


def _resolution(study: Study) -> list[str]:
    """At which size scores are, of each data set, as its trivial predictors say."""
    from ablate.analysis.format import listing, resolution
    from ablate.trial import TRIVIAL

    rows = [key for key, record in study.sound().records.items() if record.model == TRIVIAL[0]]
    sizes = list(dict.fromkeys(resolution(study.config(key).data) for key in rows))
    return [f"Scores are {listing(sizes)}."] if sizes else []
