"""Sections of a report as parts: those that are there, and a user's own in one file."""

from __future__ import annotations

import importlib.metadata
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from synthetic import study as synthetic_study
from test_report import about

from ablate.analysis.report.report import render
from ablate.analysis.report.sections.base import html_of, in_words
from ablate.analysis.report.sections.found import KIND, found_sections
from ablate.errors import InputError
from ablate.kinds import own_parts, packaged, part_of
from ablate.modules import code_from
from ablate.runners.cli.report import report as command

ASSETS = Path(__file__).parents[2] / "assets"
MINE = """
import plotly.graph_objects as go
from markupsafe import Markup
from ablate.analysis.report.sections.base import Section


class Hello(Section):
    title: str = "Hello <there>"
    to: str = "you"

    def build(self, study, frames):
        return f"Hello <b>{self.to}</b>, of {len(frames.trials)} trials.\\n\\nAnother paragraph."


class Early(Section):
    place: float = 5

    def build(self, study, frames):
        return Markup("<p><b>bold</b></p>")


class Drawn(Section):
    def build(self, study, frames):
        return go.Figure(go.Bar(y=[1, 2]))


class Fails(Section):
    def build(self, study, frames):
        return 1 / 0


class Wrong(Section):
    def build(self, study, frames):
        return frames.trials


def best_of_all(trials, most=1):
    return ", ".join(trials.nlargest(most, "dice")["label"])


def where(study, frames):
    return f"In {study.path.name}."


def silent(frames):
    return None
"""


@pytest.fixture
def mine(tmp_path: Path):
    (tmp_path / "my_sections.py").write_text(MINE)
    with code_from(tmp_path):
        yield tmp_path


def shown(*asked: object, **options: object) -> dict[str, str]:
    """The sections of a report of the synthetic study by their headings, in their order."""
    html = render(synthetic_study(), about(), more=[part_of(KIND, one) for one in asked], **options)  # type: ignore[arg-type]
    return dict(re.findall(r"<section>\s*<h2>(.*?)</h2>(.*?)</section>", html, re.DOTALL))


def test_sections_have_distinct_places_from_the_verdict_to_the_method():
    found = found_sections()
    assert {one.name for one in found} == own_parts(KIND).keys()
    assert [one.place for one in found] == [10, 20, 30, 40, 45, *range(50, 111, 10)]
    assert [found[at].name for at in (0, -1)] == ["verdict", "method"]


def test_a_users_section_is_on_the_page_before_how_it_was_made_and_its_text_is_escaped(mine):
    before, with_it = shown(), shown({"name": "my_sections:Hello", "to": "me"})
    added = "Hello &lt;there&gt;"
    assert list(with_it) == [*list(before)[:-1], added, "How this was made"]
    assert {name: html for name, html in with_it.items() if name != added} == before
    trials = len(synthetic_study().trials)
    assert f"<p>Hello &lt;b&gt;me&lt;/b&gt;, of {trials} trials.</p>" in with_it[added]
    assert "<p>Another paragraph.</p>" in with_it[added]


def test_markup_is_taken_as_it_is_at_the_place_that_the_section_states(mine):
    found = shown("my_sections:Early")
    assert next(iter(found)) == "Early"
    assert "<p><b>bold</b></p>" in found["Early"]
    assert list(shown({"name": "my_sections:Early", "place": 99.5}))[-2] == "Early"


def test_a_figure_is_drawn(mine):
    html = render(synthetic_study(), about(), more=[part_of(KIND, "my_sections:Drawn")])
    assert html.count('id="section-drawn"') == 1
    assert "cdn.plot" not in shown("my_sections:Drawn")["Drawn"]


def test_functions_are_sections_under_their_own_names(mine):
    trials = synthetic_study().trials
    best = trials.nlargest(2, "dice")["label"]
    assert ", ".join(best) in shown({"name": "my_sections:best_of_all", "most": 2})["Best of all"]
    assert "In here." in shown("my_sections:where", study=SimpleNamespace(path=Path("some/here")))["Where"]
    assert list(shown("my_sections:silent")) == list(shown())


def test_a_section_that_fails_is_said_in_its_place_and_the_rest_stands(mine):
    before, found = shown(), shown("my_sections:Fails", "my_sections:Wrong")
    assert re.search(r"could not be made: ZeroDivisionError: .*my_sections\.py, line \d+\)", found["Fails"])
    assert "expected a text, markupsafe.Markup or a Plotly figure, not a DataFrame" in found["Wrong"]
    assert {name: html for name, html in found.items() if name not in ("Fails", "Wrong")} == before


def test_this_project_s_own_may_be_moved_and_renamed():
    before, found = shown(), shown({"name": "results", "place": 1, "title": "First of all"})
    assert list(found) == ["First of all", *[name for name in before if name != "All results"]]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("resultss", "unknown section 'resultss': did you mean 'results'"),
        ("my_sections:Helo", "did you mean 'Hello'"),
        ({"name": "my_sections:Hello", "too": "me"}, "there is no field 'too'"),
        ({"name": "my_sections:best_of_all", "moist": 2}, "setting 'moist': did you mean 'most'"),
        ({"name": "my_sections:best_of_all", "trials": 2}, "setting 'trials'"),
        ("no_such_sections:Hello", "there is no module no_such_sections"),
    ],
)
def test_what_is_no_section_is_said_in_one_line(asked, said, mine):
    with pytest.raises(InputError, match=said) as error:
        part_of(KIND, asked)
    assert "\n" not in str(error.value)


# Other packages' -----------------------------------------------------------------------------------------------------


def entry(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name, value, KIND.group)


def installed(monkeypatch: pytest.MonkeyPatch, *entries: importlib.metadata.EntryPoint) -> None:
    packaged.cache_clear()
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries if group == KIND.group else ())


@pytest.fixture(autouse=True)
def _forget_packaged():
    yield
    packaged.cache_clear()


def test_an_installed_package_s_section_is_there_without_being_asked_for(mine, monkeypatch):
    installed(monkeypatch, entry("greeting", "my_sections:Hello"))
    assert "Hello <b>you" not in "".join(found := shown())
    assert "Hello &lt;b&gt;you" in found["Hello &lt;there&gt;"]
    assert next(iter(shown({"name": "greeting", "place": 1}))) == "Hello &lt;there&gt;"


def test_an_installed_package_that_does_not_import_costs_its_own_section(mine, monkeypatch):
    before = shown()
    (mine / "broken_sections.py").write_text("import no_such_library\n")
    installed(monkeypatch, entry("broken", "broken_sections:X"), entry("greeting", "my_sections:Hello"))
    found = shown()
    assert "module broken_sections does not import: ModuleNotFoundError" in found["broken"]
    assert "Hello" in found["Hello &lt;there&gt;"]
    assert {name: found[name] for name in before} == before
    installed(monkeypatch, entry("results", "my_sections:Hello"))
    assert "section results is named by" in shown()["Sections of other packages"]


# The command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    with zipfile.ZipFile(ASSETS / "schema-3.zip") as archive:
        archive.extractall(tmp_path / "study")
    return tmp_path / "study"


def test_the_command_shows_what_is_asked_for_from_the_current_folder(kept, tmp_path, monkeypatch):
    (tmp_path / "my_sections.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.html"
    sections = ("--section", "my_sections:where", "--section", "{name: my_sections:Hello, to: all}")
    command.main([str(kept), "-o", str(page), *sections], standalone_mode=False)
    html = page.read_text()
    assert "<p>In study.</p>" in html
    assert "Hello &lt;b&gt;all&lt;/b&gt;" in html
    assert "All results" in html


def test_a_name_that_is_none_leaves_no_report(kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.html"
    with pytest.raises(InputError, match="did you mean 'front'"):
        command.main([str(kept), "-o", str(page), "--section", "fronts"], standalone_mode=False)
    assert not page.exists()


def test_code_that_lies_in_a_study_is_not_run(kept, monkeypatch):
    (kept / "my_sections.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(kept)
    with pytest.raises(InputError, match="is inside the study"):
        command.main([str(kept), "--section", "my_sections:Hello"], standalone_mode=False)


# Words ---------------------------------------------------------------------------------------------------------------


def test_a_name_becomes_a_heading():
    assert [in_words(name) for name in ("SlowestTrials", "slowest_trials", "Hello")] == [
        *["Slowest trials"] * 2,
        "Hello",
    ]


def test_what_is_empty_is_no_section():
    assert html_of(None, "x") == html_of("", "x") == html_of(" \n\n ", "x") == ""
