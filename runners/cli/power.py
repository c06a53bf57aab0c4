"""`ablate power`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError, brief
from ablate.runners.cli import completion
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.naming import StudyName, open_study
from ablate.runners.cli.output import console, print_json
from ablate.runners.cli.shared import class_option, empty_option, json_option, notes, tables, unit_option

if TYPE_CHECKING:
    from ablate.analysis.claims.design import Needed
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty
    from ablate.study.study import Study

_MOST = 1000


@click.command()
@click.argument("claim", shell_complete=completion.claims)
@click.option("--pilot", required=True, metavar="STUDY", type=StudyName(), help="The study with the claim's networks.")
@click.option("--seeds", default="2,3,5,10", show_default=True, metavar="N,…", help="Say the power of so many seeds.")
@click.option(
    "--likely",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="The power that is likely enough.",
)
@click.option(
    "--effect",
    type=click.FloatRange(0, min_open=True),
    default=0.01,
    show_default=True,
    help="The true difference, where a hypothesis has no margin.",
)
@class_option
@empty_option
@fail_below_option
@unit_option
@json_option
def power(
    claim: str,
    pilot: Path,
    seeds: str,
    likely: float,
    effect: float,
    of_class: str,
    empty: Empty | None,
    fail_below: FailBelow | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """How many seeds, images and folds would likely decide a claim.

    By the spread over seeds and images of a pilot study that has the claim's
    networks, with two seeds or more. A margin is asked for networks that are
    equal; what has none, for those that differ by --effect. A pilot of few
    seeds knows little of their spread, so the seeds that would be needed at
    worst are said too.

    \b
    Examples:
      ablate power lightweight --pilot studies/baselines-isbi2012-quick
      ablate power my_claim.yaml --pilot STUDY --seeds 3,5,20 --likely 0.9
    """
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.claims.design import Asked, needed
    from ablate.analysis.claims.schema import load_claim

    asked = Asked(_numbers(seeds), likely, effect)
    parsed = load_claim(claim).about(of_class, empty, fail_below)
    opened = open_study(pilot)
    frames = tables(opened, unit, parsed.empty)
    found = needed(parsed, frames, asked._replace(test_share=_test_share(opened)))
    said = [*remarks(frames), *notes(opened)]
    if as_json:
        print_json(
            {
                "claim": parsed.name,
                "pilot": str(pilot),
                "likely": likely,
                "effect": effect,
                "verdicts": [_row(one) for one in found],
                "notes": said,
            }
        )
        return
    out = console()
    out.print(parsed.statement, style="bold", markup=False)
    for one in found:
        out.print()
        name, *lines = one.lines
        out.print(f"{one.task}: {name}" if len({each.task for each in found}) > 1 else name, markup=False)
        for line in lines:
            out.print(f"  {line}", markup=False)
    out.print()
    out.print(f"Likely: with a power of {likely:.0%}, by the pilot's variances, for each by itself.", style="dim")
    for note in said:
        out.print(note, style="yellow", markup=False)


def _row(one: Needed) -> dict[str, Any]:
    return one._asdict() | {"power": {str(seeds): share for seeds, share in one.power.items()}}


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 5 and 2 <= int(part) <= _MOST for part in parts):
        raise InputError(
            f"--seeds {brief(text)}: expected numbers from 2 to {_MOST}, with commas between them (3,5,10)"
        )
    return tuple(map(int, parts))


def _test_share(study: Study) -> float | None:
    """The share of images that a trial tests, where it has no folds yet."""
    for key, record in study.records().items():
        if record.state == "complete":
            split = study.config(key).protocol.split
            return split.test if split.method == "fractions" else None
    return None
