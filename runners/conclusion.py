"""What is made of a run once its trials have ended: the front, the report, and whether anything came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import Halted
from ablate.runners.execution.ending import Ends
from ablate.runners.kept_report import is_of, keep_in_mind, state_of

if TYPE_CHECKING:
    from rich.console import Console

    from ablate.study.records import Record
    from ablate.study.study import Study

_LONGEST_REASON = 200


def conclude(study: Study, out: Console, ends: Ends) -> None:
    """The front, printed, and the report, unless the one that is there was written of this very study."""
    from ablate.analysis.by_seed import by_seed, remarks
    from ablate.analysis.failure_words import legend
    from ablate.analysis.failures import failures
    from ablate.analysis.frames import load
    from ablate.analysis.report.evidence import intervals
    from ablate.analysis.scores import cell_scores
    from ablate.analysis.summary import front_summary
    from ablate.runners.cli.report import write_report
    from ablate.runners.cli.shared import notes

    frames, path = None, study.path / "report.html"
    state = state_of(study.path, path)
    with costing_no_training("the summary", study.path, ends):
        frames = load(study)
        out.print()
        found = intervals(cell_scores(frames, "dice"))
        said = " ".join([*remarks(frames), *notes(study)])
        lost = failures(frames)
        explained = legend(lost, frames)
        front_summary(
            by_seed(frames),
            out,
            caution=said,
            intervals={"dice": found},
            failures=lost,
            lost=explained,
            named=frames.named,
        )
    with costing_no_training("the report", study.path, ends):
        if not is_of(path, state):
            write_report(study, frames or load(study), path)
            keep_in_mind(path, state)
        out.print(f"Report: {path}", soft_wrap=True)


@contextlib.contextmanager
def costing_no_training(what: str, study: Path, ends: Ends) -> Iterator[None]:
    """What fails in here is said in a line: the trials are trained, and kept."""
    from ablate.analysis.format import shortened

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # extensions in Rust panic with one that is no Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        ends.note(
            f"Note: {what} could not be made: {shortened(reason, _LONGEST_REASON)}; the trials are kept: "
            f"'ablate report {study}' makes the report"
        )


def check_that_some_succeeded(study: Study, keys: Iterable[str]) -> None:
    """Raises `Halted` if every one of these trials failed: nothing came of the run."""
    from ablate.analysis.format import shortened

    known = study.records()
    records: list[Record | None] = [known.get(key) for key in keys]
    failed = [record for record in records if record is not None and record.state == "failed"]
    if failed and len(failed) == len(records):
        reason = shortened(failed[0].error or "for no known reason", _LONGEST_REASON)
        raise Halted(
            f"{len(failed)} of {len(records)} trials failed, the first: {reason}; 'ablate status {study.path}' has "
            "the others' reasons, and 'ablate run --retry-failed' trains them again"
        )
