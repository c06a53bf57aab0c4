"""A section that is any function of a study, or of its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.analysis.report.content import Content
from ablate.analysis.report.page import Part
from ablate.analysis.report.sections.base import LATE, built, in_words
from ablate.calls import call, check_settings

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study

CONSTANTS: dict[str, Any] = {}
_TABLES = ("trials", "epochs", "images")


def data_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """Arguments that are no settings: the study, all of its tables, or one of them."""
    return ("study", "frames", *_TABLES)


class CalledSection(NamedTuple):
    """A section as its function gives it; see `ablate.analysis.report.sections.base.Section`."""

    target: Callable[..., Any]
    settings: dict[str, Any]
    called: str
    heading: str
    place: float = LATE

    def build(self, study: Study | None, frames: Frames) -> Any:
        known = {"study": study, "frames": frames} | {name: getattr(frames, name) for name in _TABLES}
        return call(self.target, self.settings, known, self.called)

    def parts(self, content: Content) -> Iterable[Part]:
        return built(self.build, self.heading, content)


def adapt(target: Callable[..., Any], settings: dict[str, Any], what: str) -> CalledSection:
    """`target` called with `settings`, under its own name. Raises `InputError` for a setting that it does not take."""
    check_settings(target, settings, what, data_names(target))
    return CalledSection(target, settings, what, in_words(getattr(target, "__name__", what)))
