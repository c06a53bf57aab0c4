"""`ablate claim`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.errors import InputError, brief
from ablate.runners.cli import completion
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.naming import cell_named, open_study, studies_argument
from ablate.runners.cli.output import console, print_json
from ablate.runners.cli.several import by_name, judged_in
from ablate.runners.cli.shared import class_option, empty_option, json_option, notes, tables, unit_option

if TYPE_CHECKING:
    from ablate.analysis.claims.across import Across, Together
    from ablate.analysis.claims.looks_taken import Looks
    from ablate.analysis.claims.registered import Standing
    from ablate.analysis.claims.schema import Claim
    from ablate.analysis.claims.verdict import Verdict
    from ablate.analysis.frames import Frames
    from ablate.analysis.scores import Unit
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty
    from ablate.study.study import Study


_AT_ONCE = "The verdicts above are as if it had been looked at once; those of the looks count."
_STYLES = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


@click.command()
@studies_argument
@click.option(
    "--claim",
    "name",
    default="lightweight",
    show_default=True,
    help="A packaged claim, or a YAML file.",
    shell_complete=completion.claims,
)
@click.option(
    "--subject",
    metavar="CELL",
    help="The cell that the claim is about: its label, its key, or n7 [default: as the claim says].",
    shell_complete=completion.cells,
)
@click.option(
    "--space",
    help="Judge the trials of this space of the study alone.",
    shell_complete=completion.spaces_of_study,
)
@class_option
@empty_option
@fail_below_option
@unit_option
@json_option
def claim(
    studies: tuple[Path, ...],
    name: str,
    subject: str | None,
    space: str | None,
    of_class: str,
    empty: Empty | None,
    fail_below: FailBelow | None,
    unit: Unit | None,
    as_json: bool,
) -> None:
    """Judge a claim: each of its hypotheses is supported, refuted or inconclusive.

    What the study cannot decide is inconclusive, and says what is missing.
    Of several data sets, in one study or several, each is judged by itself and
    then all together: whether it holds for data sets like these.
    Exits with 0 whatever the verdict; with 2 for a claim that cannot be asked:
    its subject has no complete trial, or a name is several configurations.

    A study of several spaces may have several cells that fit a claim's subject
    or a rival: --space judges by one space, --subject names the cell. A claim
    with a subject of its own is another claim: register it by itself.

    \b
    Examples:
      ablate claim studies/baselines-isbi2012-quick
      ablate claim STUDY --claim lightweight_strict
      ablate claim STUDY --claim lightweight_deployed
      ablate claim STUDY --space baselines
      ablate claim STUDY --subject n7 --claim my_claim.yaml
      ablate claim STUDY --claim my_network.yaml
      ablate claim STUDY --class liver --empty skip
      ablate claim studies/lung studies/liver studies/isbi2012 --json
      ablate claim STUDY --fail-below 0.5
    """
    from ablate.analysis.claims.across import across
    from ablate.analysis.claims.looks_taken import looks_of
    from ablate.analysis.claims.registered import standing
    from ablate.analysis.claims.schema import load_claim

    parsed = load_claim(name).about(of_class, empty, fail_below)
    if subject is not None:
        parsed = _about_cell(parsed, studies, subject)
    frames, said, stands, looks = {}, [], {}, {}
    for called, path in by_name(studies).items():
        opened = open_study(path)
        found = tables(opened, unit, parsed.empty)
        frames[called], cautions = judged_in(opened, found, space, parsed.runtime)
        found = found if space is None else frames[called]
        notes_too = *cautions, *_notes(parsed, opened, found, frames[called])
        said += [f"{called}: {one}" if len(studies) > 1 else one for one in notes_too]
        stands[called] = standing(opened, parsed)
        looks[called] = looks_of(opened, stands[called].digest)
    judged = across(parsed, frames)
    if as_json:
        print_json(_document(judged, stands, looks, said))
        return
    _show(judged, stands, looks, said)


def _notes(claim: Claim, study: Study, found: Frames, judged: Frames) -> Iterable[str]:
    """What must be said of a study beside the verdicts."""
    from ablate.analysis.by_seed import remarks
    from ablate.analysis.failure_words import failed_trainings

    return [
        *failed_trainings(found.trials),
        *_doubts(claim, study, found),
        *remarks(judged),
        *notes(study),
    ]


def _doubts(claim: Claim, study: Study, frames: Frames) -> Sequence[str]:
    """Which of the latencies that a claim is about are in doubt."""
    from ablate.analysis.deployed import doubted_files
    from ablate.analysis.measured import doubted
    from ablate.cost.names import runtime_of

    costs = [getattr(one, "cost", "") for one in claim.hypotheses]
    runtimes = dict.fromkeys(runtime_of(cost) for cost in costs if cost.startswith("latency_ms"))
    own = doubted(study.measurements(), frames.trials) if "" in runtimes else ()
    return [*own, *doubted_files(frames.trials, filter(None, runtimes))]


def _about_cell(claim: Claim, studies: Sequence[Path], subject: str) -> Claim:
    """The claim with another subject. Raises `InputError` for several studies, and for a name that no cell has."""
    if len(studies) > 1:
        raise InputError(f"--subject {brief(subject)}: is a cell of one study; give one, or a claim of your own")
    return claim.model_copy(update={"subject": {"cell": cell_named(open_study(studies[0]), subject)}})


def _show(judged: Across, stands: Mapping[str, Standing], looks: Mapping[str, Looks], said: Sequence[str]) -> None:
    from rich.text import Text

    from ablate.analysis.claims.looks_taken import sentences
    from ablate.analysis.claims.whole import said_of_error, said_of_power
    from ablate.analysis.format import several

    out = console()
    out.print(Text(judged.statement, style="bold"))
    for result in judged.results:
        _print(result.verdicts, result.sentence, result.outcome)
        for line in filter(None, (said_of_power(result), said_of_error(result))):
            out.print(Text(line, style="dim"))
    if judged.together:
        out.print(Text(f"\nTogether, over {several(len(judged.together[0].each), 'data set')}", style="bold"))
        _print([one.verdict for one in judged.together], judged.sentence, judged.outcome)
        out.print(Text(said_of_error(judged.result), style="dim"))
    for called, stand in stands.items():
        line = f"{called}: {stand.sentence}" if len(stands) > 1 else stand.sentence
        out.print(Text(line, style="green" if stand.before else "yellow"))
        for decided in sentences(looks[called]):
            out.print(Text(f"{decided} {_AT_ONCE}", style="bold"))
    for note in (*judged.notes, *said):
        out.print(Text(note, style="yellow"))


def _print(verdicts: Iterable[Verdict], sentence: str, outcome: str) -> None:
    from rich.text import Text

    out = console()
    out.print()
    for verdict in verdicts:
        out.print(Text.assemble((f"{verdict.outcome:<13}", _STYLES[verdict.outcome]), (verdict.name, "bold")))
        out.print(Text(f"{verdict.sentence}{f' [{verdict.note}]' if verdict.note else ''}"), soft_wrap=False)
    out.print()
    out.print(Text(sentence, style=f"bold {_STYLES[outcome]}"))


def _document(
    judged: Across, stands: Mapping[str, Standing], looks: Mapping[str, Looks], said: Sequence[str]
) -> dict[str, Any]:
    from ablate.analysis.claims.looks_taken import sentences

    def together(one: Together) -> dict[str, Any]:
        found = one.synthesis
        return {
            **_plain(one.verdict._asdict()),
            "each": {name: verdict.outcome for name, verdict in one.each.items()},
            "synthesis": None
            if found is None
            else _plain(found._asdict())
            | {"interval": _plain(found.interval._asdict()), "predicted": _plain(found.predicted._asdict())},
            "signs": None if one.signs is None else one.signs._asdict(),
        }

    return {
        "claim": judged.name,
        "statement": judged.statement,
        "registered": {
            called: {
                "sha256": stand.digest,
                "at": stand.entry.at if stand.entry else None,
                "before_the_first_test_score": stand.before,
                "sentence": stand.sentence,
                "looks": [look.model_dump(mode="json") for look in looks[called].taken],
                "decided": sentences(looks[called]),
            }
            for called, stand in stands.items()
        },
        "results": [
            _plain(result._asdict()) | {"verdicts": [_plain(verdict._asdict()) for verdict in result.verdicts]}
            for result in judged.results
        ],
        "together": {
            "outcome": judged.outcome,
            "sentence": judged.sentence,
            "verdicts": [together(one) for one in judged.together],
        }
        if judged.together
        else None,
        "notes": [*judged.notes, *said],
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """As JSON has them: a number that is not known, or has no end, is null; what was lost is by name."""
    lost = {"failures": _plain(fields["failures"]._asdict())} if fields.get("failures") else {}
    return {
        name: value if not isinstance(value, float) or math.isfinite(value) else None for name, value in fields.items()
    } | lost
