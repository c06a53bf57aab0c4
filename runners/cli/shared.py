"""What several commands share: options, and the steps from options to a plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from ablate.errors import InputError, brief, unknown
from ablate.runners.cli.output import waiting

if TYPE_CHECKING:
    from ablate.config import Data
    from ablate.data import Dataset
    from ablate.search_spaces.plan import Plan, Planned
    from ablate.search_spaces.profiles import Profile
    from ablate.search_spaces.space import Space
    from ablate.study import Study

F = TypeVar("F", bound=Callable[..., Any])


def space_options(command: F) -> F:
    """The options that say what to train."""
    options = [
        click.option("--space", required=True, help="A packaged space's name, or the path of a YAML file."),
        click.option("--data", help="The data set, by name [default: the space's own, or mni152]."),
        click.option("--data-dir", type=click.Path(path_type=Path), help="The folder that holds its files."),
        click.option("--profile", help="quick, standard or paper [default: standard with a GPU, else quick]."),
        click.option("--seeds", type=click.IntRange(1), help="Seeds of each configuration [default: the profile's]."),
        click.option("--epochs", type=click.IntRange(1), help="Epochs of each trial [default: the profile's]."),
        click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Set a field in every trial."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def study_argument(command: F) -> F:
    return click.argument("study", type=click.Path(path_type=Path))(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(command)


class Basis(NamedTuple):
    """A space and how it is to be trained: what its trials are made from."""

    space: Space
    profile_name: str
    profile: Profile
    dataset_of: Callable[[Data], Dataset]
    arguments: dict[str, Any]
    """The rest of what `make_plan` and `Planner` take."""


class Prepared(NamedTuple):
    """A space with its plan, and the data it was planned on."""

    space: Space
    profile_name: str
    profile: Profile
    plan: Plan
    dataset_of: Callable[[Data], Dataset]


def prepare(**options: Any) -> Prepared:
    """From `space_options` to a plan. Raises `InputError` for whatever is wrong with them."""
    from ablate.search_spaces.plan import make_plan

    found = basis(**options)
    with waiting(f"pricing {found.space.name}"):
        plan = make_plan(found.space, found.profile, dataset_of=found.dataset_of, **found.arguments)
    return Prepared(found.space, found.profile_name, found.profile, plan, found.dataset_of)


def basis(
    space: str,
    data: str | None,
    data_dir: Path | None,
    profile: str | None,
    seeds: int | None,
    epochs: int | None,
    settings: tuple[str, ...],
) -> Basis:
    """`space_options`, read. Raises `InputError` for whatever is wrong with them."""
    from ablate.search_spaces.profiles import PROFILES
    from ablate.search_spaces.space import load_space

    parsed = load_space(space)
    name = profile or _default_profile()
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    overrides = parse_settings(settings)
    if epochs is not None:
        if "protocol.epochs" in overrides:
            raise InputError(f"--epochs {epochs}: --set protocol.epochs gives them too; leave one out")
        overrides["protocol.epochs"] = epochs
    loaded: dict[str, Dataset] = {}

    def dataset_of(config: Data) -> Dataset:
        from ablate.data import load_data

        identity = config.model_dump_json(exclude={"fingerprint"}) + str(config.root)
        if identity not in loaded:
            loaded[identity] = load_data(config)
        return loaded[identity]

    rest = {
        "data": data, "data_dir": str(data_dir) if data_dir else None, "seeds": seeds, "overrides": overrides,
    }  # fmt: skip
    return Basis(parsed, name, PROFILES[name], dataset_of, rest)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """`model.width=16` as fields; a value is read as YAML.

    Raises `InputError` for what is no setting, and for a field that is given twice: itself, or as a part of another.
    """
    from ablate.search_spaces.space import nested
    from ablate.yaml_files import yaml_value

    fields: dict[str, Any] = {}
    for setting in settings:
        path, separator, value = setting.partition("=")
        if not separator or not path.startswith(("model.", "data.", "protocol.")):
            raise InputError(
                f"--set {brief(setting)}: expected model.…, data.… or protocol.…, then =value (model.width=16)"
            )
        if path in fields:
            raise InputError(f"--set {brief(path)} is given twice: leave one out")
        try:
            fields[path] = yaml_value(value)
            nested(fields)
        except ValueError as error:
            raise InputError(f"--set {brief(setting)}: {error}") from None
    return fields


def extent(trials: Sequence[Planned]) -> str:
    """What is trained on what, and how long: `8 epochs, mni152 at 1x96x96`, and each of several data sets."""
    from ablate.analysis.format import listing

    epochs = sorted({trial.config.protocol.epochs for trial in trials})
    folders = {trial.config.data.root for trial in trials}
    found: dict[str, None] = {}
    for data in (trial.config.data for trial in trials):
        height, width = data.size
        folder = f" '{data.root}'" if data.root and len(folders) > 1 else ""
        found[f"{data.name}{folder} at {data.channels}x{height}x{width}"] = None
    most = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else str(epochs[0])
    return f"{most} epochs, {listing(list(found), 6)}"


def plan_notes(plan: Plan) -> list[str]:
    """What must be said of a plan: levels that come to one configuration, and how the data were taken."""
    from ablate.analysis.format import listing
    from ablate.analysis.frames import level_label

    same = [listing([level_label(levels) for levels in group], 4) for group in plan.same]
    return [*(f"{labels} are one configuration: trained once" for labels in same), *plan.notes]


def parse_input(text: str) -> tuple[int, int, int]:
    """`3x512x512` as channels, height and width."""
    match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})x([0-9]{1,6})", text)
    if not match or "0" in match.groups():
        raise InputError(f"--input {text}: expected channels x height x width, such as 3x512x512")
    channels, height, width = map(int, match.groups())
    return channels, height, width


def _default_profile() -> str:
    from ablate.training import choose_device

    return "standard" if choose_device().type == "cuda" else "quick"


def open_study(path: Path) -> Study:
    from ablate.study import Study

    return Study.open(path)


def notes(study: Study) -> list[str]:
    """What every output of this study must say: of what was found damaged, and of the profiles it was made under."""
    from ablate.search_spaces.profiles import PROFILES

    profiles = dict.fromkeys(run.profile for run in study.manifest.runs)
    said = [note for name in profiles if name in PROFILES and (note := PROFILES[name].note)]
    return [*study.said_of_faults(), *said]
