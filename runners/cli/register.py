"""`ablate register`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.runners.cli import completion
from ablate.runners.cli.failures import fail_below_option
from ablate.runners.cli.naming import StudyName
from ablate.runners.cli.output import console, print_json
from ablate.runners.cli.shared import class_option, empty_option, json_option

if TYPE_CHECKING:
    from ablate.analysis.claims.registered import Standing
    from ablate.analysis.claims.schema import Claim
    from ablate.analysis.scoring import FailBelow
    from ablate.metrics.counts import Empty
    from ablate.study.study import Study


@click.command()
@click.argument("claim", shell_complete=completion.claims)
@click.argument("study", type=StudyName(begun=True))
@click.option("--by", metavar="NAME", help="Who registers it [default: this machine's user].")
@class_option
@empty_option
@fail_below_option
@json_option
def register(
    claim: str,
    study: Path,
    by: str | None,
    of_class: str,
    empty: Empty | None,
    fail_below: FailBelow | None,
    as_json: bool,
) -> None:
    """Register a claim in a study, before there are test scores to judge it by.

    The claim is kept with its hash, the date and who. From then on every
    verdict on it says that it was registered before the first test score of
    its networks; or that it was written after, if there were some already.
    A STUDY that is not there yet is begun. A claim that is registered already
    stays as it is: the first time counts.

    The hash is of what the claim asks: its cells, hypotheses and margins, not
    of its name or layout. Keep it where you cannot change it (a commit, a
    mail) if others are to believe the date.

    \b
    Examples:
      ablate register lightweight studies/baselines-isbi2012-standard
      ablate register my_claim.yaml STUDY --by "A. Author"
    """
    from ablate.analysis.claims.schema import load_claim
    from ablate.study.study import Study

    parsed = load_claim(claim).about(of_class, empty, fail_below)
    opened = Study.open_or_new(study)
    found = register_claim(opened, parsed, by)
    if as_json:
        print_json(
            {
                "claim": parsed.name,
                "statement": parsed.statement,
                "study": str(study),
                "sha256": found.digest,
                "at": found.entry.at if found.entry else None,
                "by": found.entry.by if found.entry else None,
                "before_the_first_test_score": found.before,
                "scored_trials": found.scored,
                "sentence": found.sentence,
            }
        )
        return
    out = console()
    out.print(parsed.statement, style="bold", markup=False)
    out.print(found.sentence, style="green" if found.before else "yellow", markup=False)
    out.print(f"SHA-256 {found.digest}", style="dim", soft_wrap=True)


def register_claim(study: Study, claim: Claim, by: str | None = None) -> Standing:
    """Register a claim, if it is not, and say how it stands. The study is begun on disk if it is not there.

    Raises `InputError` where the study cannot be written, or what was registered in it is not what was written.
    """
    from ablate.errors import InputError

    try:
        with study.holding(share=True):
            return keep_claim(study, claim, by)
    except OSError as error:
        raise InputError(f"study '{study.path}' cannot be written: {error.strerror or error}") from None


def keep_claim(study: Study, claim: Claim, by: str | None = None) -> Standing:
    """As `register_claim`, within `study.holding`."""
    from ablate.analysis.claims.registered import entry_of, standing
    from ablate.analysis.frames import load
    from ablate.study.manifest import is_study, write_manifest
    from ablate.study.registrations import register as keep

    if standing(study, claim).entry is None:
        if not is_study(study.path):
            write_manifest(study.path, study.manifest)
        keep(study.path, entry_of(claim, study, load(study), by or _user()))
    return standing(study, claim)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
