"""`ablate claim`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.output import console, print_json
from ablate.runners.cli.shared import (
    class_option,
    empty_option,
    json_option,
    notes,
    open_study,
    study_argument,
    tables,
    unit_option,
)

if TYPE_CHECKING:
    from ablate.analysis.claims.schema import Claim
    from ablate.analysis.claims.verdict import ClaimResult
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty


@click.command()
@study_argument
@click.option("--claim", "name", default="lightweight", show_default=True, help="A packaged claim, or a YAML file.")
@class_option
@empty_option
@fail_below_option
@unit_option
@json_option
def claim(
    study: Path,
    name: str,
    of_class: str,
    empty: Empty | None,
    fail_below: FailBelow | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """Judge a claim: each of its hypotheses is supported, refuted or inconclusive.

    What the study cannot decide is inconclusive, and says what is missing.
    Exits with 0 whatever the verdict; with 2 for a claim that cannot be asked:
    its subject has no complete trial, or a name is several configurations.

    \b
    Examples:
      ablate claim studies/baselines-isbi2012-quick
      ablate claim STUDY --claim lightweight_strict
      ablate claim STUDY --claim my_network.yaml
      ablate claim STUDY --class liver --empty skip
      ablate claim STUDY --fail-below 0.5
    """
    from rich.text import Text

    from ablate.analysis.by_seed import remarks
    from ablate.analysis.claims.evaluate import evaluate
    from ablate.analysis.claims.schema import load_claim
    from ablate.analysis.confirmation import of_fresh_seeds, searched_and_fresh
    from ablate.analysis.failure_words import failed_trainings

    parsed = load_claim(name).about(of_class, empty, fail_below)
    opened = open_study(study)
    frames = tables(opened, unit, parsed.empty)
    said = [*failed_trainings(frames.trials), *remarks(frames), *notes(opened)]
    _, fresh = searched_and_fresh(opened.manifest.runs)
    results = evaluate(parsed, of_fresh_seeds(frames, fresh) if fresh else frames)  # a search's own seeds flatter it
    if as_json:
        print_json(_document(parsed, results, said))
        return
    out = console()
    styles = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}
    out.print(Text(parsed.statement, style="bold"))
    for result in results:
        out.print()
        for verdict in result.verdicts:
            out.print(Text.assemble((f"{verdict.outcome:<13}", styles[verdict.outcome]), (verdict.name, "bold")))
            out.print(Text(f"{verdict.sentence}{f' [{verdict.note}]' if verdict.note else ''}"), soft_wrap=False)
        out.print()
        out.print(Text(result.sentence, style=f"bold {styles[result.outcome]}"))
    out.print("All verdicts must be supported for the claim to be; one refuted refutes it.", style="dim")
    for note in said:
        out.print(Text(note, style="yellow"))


def _document(claim: Claim, results: Sequence[ClaimResult], said: Sequence[str]) -> dict[str, Any]:
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "results": [
            result._asdict() | {"verdicts": [_plain(verdict._asdict()) for verdict in result.verdicts]}
            for result in results
        ],
        "notes": list(said),
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """As JSON has them: a number that is not known, or has no end, is null; what was lost is by name."""
    lost = {"failures": _plain(fields["failures"]._asdict())} if fields.get("failures") else {}
    return {
        name: value if not isinstance(value, float) or math.isfinite(value) else None for name, value in fields.items()
    } | lost
