"""What a section is to a report: a heading, its place on the page, and what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from markupsafe import Markup
from pydantic import Field

from ablate.analysis.report.content import Content
from ablate.analysis.report.page import NOTHING, Part, laid_out, made, plot
from ablate.calls import said
from ablate.errors import InputError
from ablate.settings import Config, Number

if TYPE_CHECKING:
    from ablate.analysis.frames import Frames
    from ablate.study.study import Study

LATE = 95
"""Where users' sections are, if they do not say: after all results, before how the numbers were made."""


class Section(Config):
    """Base of all sections: settings as typed fields, and `build`.

    class Slowest(Section):
        title: str = "What took longest"
        most: int = 3

        def build(self, study, frames):
            slowest = frames.trials.nlargest(self.most, "train_seconds")
            return ", ".join(slowest["label"])
    """

    title: str = Field("", max_length=200)
    """Its heading [the name of its class]."""
    place: Number = LATE
    """Sections are in the order of their places; this project's are at 10, 20, … 110, that of searches at 45."""

    @property
    def heading(self) -> str:
        return self.title or in_words(type(self).__name__)

    def build(self, study: Study | None, frames: Frames) -> Any:
        """What the section shows: a text, HTML as `markupsafe.Markup`, or a Plotly figure; nothing where it is empty.

        `frames` are the study's tables. `study` is None where a page is made from tables alone. What is raised is said
        in the section's place.
        """
        raise NotImplementedError(f"{type(self).__name__} has no build")

    def parts(self, content: Content) -> Iterable[Part]:
        """Its parts, each made by itself: what `build` gives. This project's sections have theirs from `content`."""
        return built(self.build, self.heading, content)


def built(build: Callable[..., Any], heading: str, content: Content) -> Iterable[Part]:
    """The one part of a section that others wrote."""
    return [partial(_built, build, heading, content)]


def _built(build: Callable[..., Any], heading: str, content: Content) -> Markup:
    try:
        found = build(content.study, content.frames)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # in others' code: where
        raise InputError(said(error)) from error
    return html_of(found, heading)


def html_of(found: Any, heading: str) -> Markup:
    """What others' `build` gave, as HTML: text is escaped, `Markup` is not, a figure is drawn.

    Raises `InputError` for anything else.
    """
    if found is None:
        return NOTHING
    if hasattr(found, "__html__"):
        return Markup(found)
    if isinstance(found, go.Figure):
        return laid_out("figure", plot=plot(found, f"section-{re.sub('[^a-z0-9]+', '-', heading.lower())}", heading))
    if isinstance(found, str):
        return laid_out("text", paragraphs=[text for text in re.split(r"\n\s*\n", found) if text.strip()])
    raise InputError(f"expected a text, markupsafe.Markup or a Plotly figure, not a {type(found).__name__}")


def in_words(name: str) -> str:
    """`SlowestTrials` and `slowest_trials` as `Slowest trials`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", name).strip().capitalize()


def of_tasks(content: Content, make: Callable[[Content, str], Markup]) -> Markup:
    """A part for each data set, under its name."""
    return NOTHING.join(made(partial(make, content, task), content.heading(task)) for task in content.by_task)
