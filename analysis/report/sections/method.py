"""The report's parts on how its numbers were made: the settings, what was left out, and the trials that failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.format import model_name, several
from ablate.analysis.report.content import About, Content
from ablate.analysis.report.page import NOTHING, Part, laid_out
from ablate.analysis.report.sections.base import Section
from ablate.analysis.report.table import Header, Place, Table, TableRow, headed, worded
from ablate.settings import Number

if TYPE_CHECKING:
    import pandas as pd

_MOST_FAILED, _MOST_NOTES = 200, 50


class Method(Section):
    """The settings, what was left out, and the trials that failed."""

    name: Literal["method"] = "method"
    title: str = "How this was made"
    place: Number = 110

    def parts(self, content: Content) -> Iterable[Part]:
        return [
            lambda: method_section(content.about),
            lambda: left_out(content),
            lambda: failed_section(content.frames.trials),
        ]


def method_section(about: About) -> Markup:
    named = {"Profile": ", ".join(about.profiles), **about.facts}
    return laid_out("method", named=named, definitions=about.definitions)


def left_out(content: Content) -> Markup:
    texts = list(dict.fromkeys([*content.about.notes, *content.evidence.notes]))
    more = [f"And {several(len(texts) - _MOST_NOTES, 'more note')}."] if len(texts) > _MOST_NOTES else []
    return laid_out("left_out", texts=[*texts[:_MOST_NOTES], *more]) if texts else NOTHING


def failed_section(trials: pd.DataFrame) -> Markup:
    failed = trials[trials["state"] == "failed"]
    if failed.empty:
        return NOTHING
    return laid_out(
        "failed",
        trials=several(len(failed), "trial"),
        listed=_failed_table(failed[:_MOST_FAILED]),
        most=_MOST_FAILED if len(failed) > _MOST_FAILED else 0,
    )


def _failed_table(failed: pd.DataFrame) -> Table:
    reasons = failed["error"].fillna("").replace("", "no reason was recorded")
    rows = tuple(
        TableRow((headed(str(label)), worded(model_name(str(model))), _seed(seed), worded(str(reason))))
        for label, model, seed, reason in zip(failed["label"], failed["model"], failed["seed"], reasons, strict=True)
    )
    headers = (Header("Configuration"), Header("Model"), Header("Seed", number=True), Header("Reason"))
    return Table("Failed trials", "failed", headers, rows, "failed")


def _seed(seed: object) -> Place:
    return Place(str(seed), str(seed), number=True)
