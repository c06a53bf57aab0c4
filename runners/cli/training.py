"""What `run` and `confirm` have in common: how training ends, by itself or before its time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.analysis.format import shortened
from ablate.errors import Halted
from ablate.runners.cli.output import say
from ablate.runners.ending import end_at_once, interruptible

if TYPE_CHECKING:
    from ablate.study import Study
    from ablate.trial_folder import Record

_LONGEST_REASON = 200


class Ends:
    """What a command says where its training ends before its time. `study`: where that is, once it is known."""

    def __init__(self, *, err: bool = False) -> None:
        """`err`: whether it is said on standard error."""
        self.study: Path | None = None
        self._err, self._said = err, False

    def interrupted(self) -> None:
        """How to go on, if there is something to go on from."""
        if self.study is not None and (self.study / "study.yaml").exists() and not self._said:
            self._said = True
            sentence = f"Every finished trial is in {self.study}; the same command goes on from there."
            say(f"Interrupted. {sentence}", err=self._err)

    def lost(self, gone: str) -> None:
        """End the process, whose Ray has lost what it cannot be without."""
        line = f"ablate: {gone}; every finished trial is in {self.study}, and the same command goes on from there"
        end_at_once(1, lambda: say(line, err=True))


def ending(*, err: bool = False) -> Ends:
    """From here to the command's end a Ctrl-C ends it, whatever it is at, with exit code 130 and how to go on."""
    ends = Ends(err=err)
    click.get_current_context().with_resource(interruptible(ends.interrupted))
    return ends


@contextlib.contextmanager
def costing_no_training(what: str, study: Path) -> Iterator[None]:
    """What fails in here is said in a line: the trials are trained, and kept."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # extensions in Rust panic with one that is no Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        say(
            f"Note: {what} could not be made: {shortened(reason, _LONGEST_REASON)}; the trials are kept: "
            f"'ablate report {study}' makes the report",
            err=True,
        )


def check_that_some_succeeded(study: Study, keys: Iterable[str]) -> None:
    """Raises `Halted` if every one of these trials failed: nothing came of the run."""
    known = study.records()
    records: list[Record | None] = [known.get(key) for key in keys]
    failed = [record for record in records if record is not None and record.state == "failed"]
    if failed and len(failed) == len(records):
        reason = shortened(failed[0].error or "for no known reason", _LONGEST_REASON)
        raise Halted(
            f"{len(failed)} of {len(records)} trials failed, the first: {reason}; 'ablate status {study.path}' has "
            "the others' reasons, and 'ablate run --retry-failed' trains them again"
        )
