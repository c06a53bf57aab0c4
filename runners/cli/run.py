"""`ablate run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ablate.runners.cli.named_parts import named_part
from ablate.runners.cli.output import console
from ablate.runners.cli.shared import parse_settings, space_options, training_options
from ablate.runners.cli.training import ending


@click.command()
@space_options
@click.option(
    "--study", type=click.Path(path_type=Path), help="The study directory [default: studies/SPACE-DATA-PROFILE]."
)
@training_options
@click.option("--retrain-other-versions", is_flag=True, help="Train what other code or PyTorch made once more.")
@click.option(
    "--sampler",
    metavar="PART",
    callback=named_part,
    help="Search the space: known_cost, tpe, nsgaii, gp, random, …, or your own (my_code:Sampler), propose what to "
    "train.",
)
@click.option("--trials", type=click.IntRange(1), help="Configurations that a search trains [default: 24].")
@click.option("--budget-epochs", type=click.IntRange(1), help="A search proposes no more after so many epochs.")
@click.option("--sampler-seed", type=click.IntRange(0), default=0, show_default=True, help="The search's own seed.")
@click.option(
    "--scheduler",
    metavar="PART",
    callback=named_part,
    default="none",
    show_default=True,
    help="Stop what promises nothing: pareto, pareto-promote, asha, median, hyperband, or your own; none finishes what "
    "was stopped. With settings: '{name: asha, grace: 3}'.",
)
def run(**options: Any) -> None:
    """Train what a space asks for and a study does not have yet; then report.

    Trials are kept for good as they end. Run the same command again to go on
    after an interruption, or with more seeds or levels: only what is new is
    trained. End it with Ctrl-C.

    \b
    Examples:
      ablate run --space pyramid_levels
      ablate run --space baselines --data isbi2012 --data-dir isbi/ --seeds 3
      ablate run --space my_space.yaml --profile standard --gpus-per-trial auto
      ablate run --space baselines --address auto --storage-path s3://lab/scratch
      ablate run --space search_pyconvunet --sampler known_cost --trials 24
    """
    from ablate.runners.request import Request
    from ablate.runners.run import carry_out

    with ending() as ends:
        settings = parse_settings(options.pop("settings"))
        carry_out(Request(**options, settings=settings), console(), ends)
