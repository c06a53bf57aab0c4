"""The report's part on its data: what each data set holds, part by part, and what was doubted of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from ablate.analysis.format import several
from ablate.analysis.report.content import Content
from ablate.analysis.report.data_facts import look_table, read_looks
from ablate.analysis.report.page import NOTHING, Part, laid_out, made
from ablate.analysis.report.sections.base import Section
from ablate.settings import Number

if TYPE_CHECKING:
    from ablate.study.runs import DataRecord

_MOST_SETS, _MOST_LOOKS, _MOST_DOUBTS = 12, 6, 40


class DataSets(Section):
    """What the data sets hold, and what was doubted of them before anything was spent."""

    name: Literal["data"] = "data"
    title: str = "The data"
    place: Number = 100

    def parts(self, content: Content) -> Iterable[Part]:
        return [lambda: _data_sets(content)]


def _data_sets(content: Content) -> Markup:
    records = {} if content.study is None else content.study.data_records()
    seen = {name: record for name, record in records.items() if record.facts or record.doubts}
    shown = [
        made(partial(_one, name, record), _called(name, record)) for name, record in list(seen.items())[:_MOST_SETS]
    ]
    if len(seen) > _MOST_SETS:
        shown.append(laid_out("note", text=f"And {several(len(seen) - _MOST_SETS, 'more data set')}."))
    return NOTHING.join(shown)


def _one(name: str, record: DataRecord) -> Markup:
    looks = read_looks(record.facts)
    return laid_out(
        "data_set",
        title=_called(name, record),
        looks=[(one.in_words(), look_table(one)) for one in looks[:_MOST_LOOKS]],
        more=several(len(looks) - _MOST_LOOKS, "more size") if len(looks) > _MOST_LOOKS else "",
        doubts=record.doubts[:_MOST_DOUBTS],
        others=several(len(record.doubts) - _MOST_DOUBTS, "more doubt") if len(record.doubts) > _MOST_DOUBTS else "",
        keys=[],
        pictures=[],
    )


def _called(fingerprint: str, record: DataRecord) -> str:
    return record.title or f"Fingerprint {fingerprint}"
