"""What a template shows of what it is given: text that can neither act nor break, and nothing that is not text."""

from __future__ import annotations

import math

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from ablate.analysis.report import page
from ablate.analysis.report.page import laid_out, section
from ablate.analysis.report.table import number, worded


def test_text_is_made_visible_before_it_is_escaped_and_markup_stays() -> None:
    assert laid_out("note", text="<b>\x1b\ud800'\"&") == (
        '<p class="note">&lt;b&gt;␛\N{REPLACEMENT CHARACTER}&#39;&#34;&amp;</p>'
    )
    assert laid_out("note", text=Markup("<b>ours</b>")) == '<p class="note"><b>ours</b></p>'


def test_text_keeps_to_its_place_in_an_attribute() -> None:
    html = laid_out("made_of", name='"><i>\x00', named={"</dt>\x07": "</dd>"})
    assert "<summary>&#34;&gt;&lt;i&gt;␀</summary>" in html
    assert "<dt>&lt;/dt&gt;␇</dt><dd>&lt;/dd&gt;</dd>" in html


@pytest.mark.parametrize("value", [None, 0.1, ["a"], b"a"])
def test_what_is_neither_text_nor_a_count_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="a template shows text and counts, not"):
        laid_out("note", text=value)


def test_what_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        laid_out("note")


def test_a_section_is_not_there_without_parts_and_a_part_that_fails_is_in_its_place() -> None:
    def fails() -> Markup:
        raise ValueError("<b>")

    assert section("Empty", lambda: Markup("")) == ""
    html = section("<Full>", fails, lambda: Markup("<p>it stands</p>"))
    assert "<h2>&lt;Full&gt;</h2>" in html
    assert "This part could not be made: ValueError: &lt;b&gt;</p>" in html
    assert "<p>it stands</p>" in html


def test_numbers_sort_by_what_they_are_and_unknown_ones_last() -> None:
    assert number(1234.5678901234, "1.23 k").sort == "1234.56789"
    for unknown in (None, math.nan, math.inf):
        assert number(unknown, "?")[:3] == ("–", "", True)
    assert worded("", "none")[:2] == ("none", "")


def test_every_template_comes_with_the_package_and_can_be_read() -> None:
    names = page._TEMPLATES.list_templates()
    assert {"document.html", "parts.html", "report.html"} <= set(names)
    for name in names:
        page._TEMPLATES.get_template(name)
