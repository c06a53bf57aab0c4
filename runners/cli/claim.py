"""`ablate claim`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
    from ablate.analysis.scores import Unit
    from ablate.metrics.counts import Empty


@click.command()
@study_argument
@click.option("--claim", "name", default="lightweight", show_default=True, help="A packaged claim, or a YAML file.")
@class_option
@empty_option
@unit_option
@json_option
def claim(study: Path, name: str, of_class: str, empty: Empty | None, unit: Unit | None, as_json: bool) -> None:
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
    """
    from rich.text import Text

    from ablate.analysis.by_seed import remarks
    from ablate.analysis.claims.evaluate import evaluate
    from ablate.analysis.claims.registered import standing
    from ablate.analysis.claims.schema import load_claim
    from ablate.analysis.claims.whole import said_of_error, said_of_power
    from ablate.analysis.confirmation import of_fresh_seeds, searched_and_fresh

    parsed = load_claim(name).about(of_class, empty)
    opened = open_study(study)
    frames = tables(opened, unit, parsed.empty)
    said = [*remarks(frames), *notes(opened)]
    _, fresh = searched_and_fresh(opened.manifest.runs)
    found = standing(opened, parsed)
    judged = evaluate(parsed, of_fresh_seeds(frames, fresh) if fresh else frames)  # a search's own seeds flatter it
    results = [result._replace(registered=found.sentence) for result in judged]
    if as_json:
        print_json(
            {
                "claim": parsed.name,
                "statement": parsed.statement,
                "sha256": found.digest,
                "registered_before_the_first_test_score": found.before,
                "results": [
                    _plain(result._asdict()) | {"verdicts": [_plain(verdict._asdict()) for verdict in result.verdicts]}
                    for result in results
                ],
                "notes": said,
            }
        )
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
        for said_too in filter(None, (said_of_power(result), said_of_error(result))):
            out.print(Text(said_too, style="dim"))
    out.print(Text(found.sentence, style="green" if found.before else "yellow"))
    for note in said:
        out.print(Text(note, style="yellow"))


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """As JSON has them: a number that is not known, or has no end, is null."""
    return {
        name: value if not isinstance(value, float) or math.isfinite(value) else None for name, value in fields.items()
    }
