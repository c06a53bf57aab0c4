"""`ablate run`."""

from __future__ import annotations

from typing import Any

import click

from ablate.cost.names import COSTS_OF_NETWORKS
from ablate.runners.cli import completion
from ablate.runners.cli.named_parts import named_part
from ablate.runners.cli.naming import StudyName
from ablate.runners.cli.output import console, telling
from ablate.runners.cli.shared import parse_settings, space_options, training_options
from ablate.runners.cli.training import ending


@click.command()
@space_options
@click.option("--study", type=StudyName(begun=True), help="The study directory [default: studies/SPACE-DATA-PROFILE].")
@training_options
@click.option("--retrain-other-versions", is_flag=True, help="Train what other code or PyTorch made once more.")
@click.option(
    "--sampler",
    metavar="PART",
    callback=named_part,
    shell_complete=completion.parts_of_kind("sampler"),
    help="Search the space: known_cost, tpe, nsgaii, gp, random, …, or your own (my_code:Sampler), propose what to "
    "train.",
)
@click.option(
    "--search",
    is_flag=True,
    help="Search the space: start, pause and go on with what promises most for its seconds, until little is left to "
    "gain.",
)
@click.option(
    "--cost",
    type=click.Choice(list(COSTS_OF_NETWORKS)),
    multiple=True,
    help="A cost that --search goes by; give it again, for up to four [default: params, macs]. Latency and memory are "
    "measured of what it starts.",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    help="Configurations that a search trains [default: 24; with --search as many as it takes].",
)
@click.option(
    "--budget-epochs",
    type=click.IntRange(1),
    help="Train so many epochs in all, those of earlier runs among them; with more, it goes on.",
)
@click.option("--sampler-seed", type=click.IntRange(0), default=0, show_default=True, help="The search's own seed.")
@click.option(
    "--scheduler",
    metavar="PART",
    callback=named_part,
    shell_complete=completion.parts_of_kind("scheduler"),
    default="none",
    show_default=True,
    help="Stop what promises nothing: pareto, pareto-promote, asha, median, hyperband, or your own; none finishes what "
    "was stopped. With settings: '{name: asha, grace: 3}'.",
)
@click.option(
    "--decide",
    metavar="CLAIM",
    shell_complete=completion.claims,
    help="Train in looks until this claim is decided.",
)
@click.option(
    "--looks",
    metavar="N,…",
    default="",
    callback=lambda context, option, text: _numbers(text),
    help="With --decide: seeds after which it is looked at [default: 2,4,6,10].",
)
@click.option(
    "--budget-hours",
    type=click.FloatRange(0, min_open=True),
    help="Train so many hours; with --decide, no look is begun that would end later.",
)
@click.option(
    "--learn-from",
    metavar="STUDY",
    type=StudyName(),
    multiple=True,
    help="An earlier study of the same factors, on other data say, from which --search learns; give it again for more.",
)
def run(**options: Any) -> None:
    """Train what a space asks for and a study does not have yet; then report.

    Trials are kept for good as they end. Run the same command again to go on
    after an interruption, or with more seeds or levels: only what is new is
    trained. End it with Ctrl-C.

    With --decide, a claim is registered, and seeds are added in looks planned
    beforehand, to networks of which a hypothesis is still open. Each look may
    spend a part of the 5 % that the claim may err in; none is taken twice.

    \b
    Examples:
      ablate run --space pyramid_levels
      ablate run --space baselines --data isbi2012 --data-dir isbi/ --seeds 3
      ablate run --space my_space.yaml --profile standard --gpus-per-trial auto
      ablate run --space baselines --address auto --storage-path s3://lab/scratch
      ablate run --space search_pyconvunet --search --budget-hours 8
      ablate run --space my_space.yaml --search --cost macs --cost latency_ms
      ablate run --space my_space.yaml --search --learn-from studies/earlier
      ablate run --space search_pyconvunet --sampler known_cost --trials 24
      ablate run --space baselines --decide lightweight --budget-hours 12
    """
    from ablate.runners.request import Request
    from ablate.runners.run import carry_out

    with ending() as ends:
        settings = parse_settings(options.pop("settings"))
        carry_out(Request(**options, settings=settings), telling(), ends, console())


def _numbers(text: str) -> tuple[int, ...]:
    """`2,4,6` as numbers. Raises `InputError` for what is none."""
    from ablate.errors import InputError, brief

    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        raise InputError(f"--looks {brief(text)}: expected numbers of seeds with commas between them (2,4,6,10)")
    return tuple(map(int, parts))
