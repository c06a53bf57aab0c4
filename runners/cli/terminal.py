"""The console of every command: text is printed as it was written, and none of it steers the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ablate.analysis.format import shown


class PlainConsole(Console):
    """A rich console that takes no text for markup, emoji or control codes: names and paths may hold anything.

    What is meant to be coloured is given a `style`, or is a `rich.text.Text`.
    """

    def __init__(
        self,
        *,
        stderr: bool = False,
        width: int | None = None,
        plain: bool = False,
        silent: bool = False,
        file: IO[str] | None = None,
    ) -> None:
        """`plain`: without colours and bold text; `silent`: what is printed goes nowhere."""
        super().__init__(
            stderr=stderr,
            width=width,
            markup=False,
            emoji=False,
            highlight=False,
            color_system=None if plain else "auto",
            quiet=silent,
            file=file,
            force_terminal=False if silent else None,
        )

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text, most=sys.maxsize), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Text):
            renderable = renderable.copy()
            renderable.plain = shown(renderable.plain, most=sys.maxsize)  # as long as before: styles stay in place
        return super().render(renderable, options)
