"""What `run` and `confirm` have in common as commands: how they end before their time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click

from ablate.runners.cli.output import say
from ablate.runners.execution.ending import Ends, end_at_once, interruptible


class CommandEnds(Ends):
    """A command ends its process. `err`: whether what it says then is said on standard error."""

    def __init__(self, *, err: bool = False) -> None:
        self._err, self._said = err, False

    def interrupted(self) -> None:
        """Say how to go on, once."""
        sentence = self.how_to_go_on()
        if sentence and not self._said:
            self._said = True
            say(sentence, err=self._err)

    @property
    def lost(self) -> Callable[[str], None]:
        return self._end

    def _end(self, gone: str) -> None:
        line = f"ablate: {gone}; every finished trial is in {self.study}, and the same command goes on from there"
        end_at_once(1, lambda: say(line, err=True))

    def note(self, text: str) -> None:
        say(text, err=True)


@contextlib.contextmanager
def ending(*, err: bool = False) -> Iterator[CommandEnds]:
    """From here to the command's end a Ctrl-C ends it, whatever it is at, with exit code 130 and how to go on."""
    ends = CommandEnds(err=err)
    click.get_current_context().with_resource(interruptible(ends.interrupted))
    try:
        yield ends
    except KeyboardInterrupt:
        ends.interrupted()
        sys.exit(130)
