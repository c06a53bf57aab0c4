"""What only a browser can tell of the report: that it draws, switches, hovers and sorts, and requests nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PROGRAM, Page
from synthetic import Tables, disc, png, study, table, trial, trivial

from ablate.analysis.claims.verdict import ClaimResult, Verdict
from ablate.analysis.effects import Effect, Effects
from ablate.analysis.figures.heatmap import LevelMeans
from ablate.analysis.figures.parallel import Axis, Line, Parallel
from ablate.analysis.report.report import About, Evidence, Picture, Prediction, render
from ablate.analysis.significance import Difference, Interval

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

# The page's coordinates of cell `e5` in the Pareto plot.
_POINT = """(() => {
  const plot = document.getElementById("pareto");
  plot.scrollIntoView({block: "center"});
  const {cells} = JSON.parse(document.querySelector("#networks script").textContent)[0];
  const trace = plot._fullData.find(trace => trace.mode === "markers" && trace.meta?.at?.includes(cells.indexOf("e5")));
  const at = trace.meta.at.indexOf(cells.indexOf("e5"));
  const box = plot.getBoundingClientRect();
  const {xaxis, yaxis} = plot._fullLayout;
  return [box.x + xaxis._offset + xaxis.d2p(trace.x[at]), box.y + yaxis._offset + yaxis.d2p(trace.y[at])];
})()"""


_ROLES = ("worst", "median", "best", "", "", "")


def _evidence() -> Evidence:
    """A record for each figure."""
    interval = Interval(0.01, -0.01, 0.03, 0.95)
    difference = Difference("a", "b", "dice", interval, 0.3, 0.3, None, 3, 12, None, "")
    effects = [Effect("s", "slices", "levels", str(n), "4", difference, 1.1, 1.2, 1) for n in (1, 2, 3)]
    means = LevelMeans("s", "dice", ("f", "g"), (("a", "b"), ("c", "d")), ((0.8, 0.9), (0.7, 0.6)), ((1, 1), (1, 1)), 1)
    lines = tuple(Line(cell, cell, "unet", (0.0, at / 2, 1.0), ("a", "b", "c")) for at, cell in enumerate(("a1", "b2")))
    across = Parallel("s", "slices", (Axis("f", ((0.0, "a"),)), Axis("g", ()), Axis("Dice", ())), lines)
    verdicts = tuple(
        Verdict(outcome, "superior", outcome, 0.01, -0.01, 0.03, "difference", "A sentence of some length. " * 6)
        for outcome in ("supported", "refuted", "inconclusive")
    )
    return Evidence(
        claims=[ClaimResult("claim", "It is better.", "slices", "refuted", verdicts, "It is refuted.")],
        effects=Effects("dice", tuple(effects), (), (), ()),
        maps=[means],
        parallels=[across],
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mask = disc(48, 64, 24, 32, 15)
    predictions = {
        cell: Prediction(png(255 * disc(48, 64, 24, 30 + at, 14)), 0.9)
        for at, cell in enumerate(("a1", "b2", "c3", "e5", *(f"other{i}" for i in range(12))))
    }
    pictures = [
        Picture(f"z{at}", png(mask * 128), png(mask * 255), predictions, role) for at, role in enumerate(_ROLES)
    ]
    about = About("A study", "Why?", ("quick",), {"Data": "mni152"}, (), {"synthetic": "name: synthetic"})
    html = render(study(), about, pictures, _evidence())
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with Page() as page:
        yield page


@pytest.fixture
def page(browser: Page, report: Path) -> Iterator[Page]:
    """The report on a desktop. Whatever a test does to it, it must not complain, nor request anything."""
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(report)
    yield browser
    assert browser.complaints == []
    elsewhere = [url for url in browser.requests if not url.startswith(("data:", "blob:"))]
    assert set(elsewhere) == {report.as_uri()}


_CHOSEN = "[...document.querySelectorAll('.strip .chosen')].map(e => e.dataset.cell)"
_HEAD_TOP = "document.querySelector('.strip thead .chosen')?.getBoundingClientRect().top"


def test_hover_shows_what_is_known_of_a_network(page: Page) -> None:
    page.mouse(*page.js(_POINT))
    text = page.js("document.querySelector('#pareto .hoverlayer').textContent")
    for expected in ("levels=4", "5.38\N{NO-BREAK SPACE}M", "±", "3 seeds", "on the front"):
        assert expected in text


def test_a_marked_network_leads_to_its_test_images_by_keyboard(page: Page) -> None:
    assert page.js(_CHOSEN) == []
    page.mouse(*page.js(_POINT), click=True)
    page.js("document.querySelector('.marked-card a').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    page.settle()
    assert page.js(_CHOSEN) == ["e5"] * (1 + len(_ROLES))
    assert 0 <= page.js(_HEAD_TOP) < 900
    assert page.js("document.activeElement.dataset.cell") == "e5"
    page.js("history.back()")
    page.settle()
    assert page.js(_CHOSEN) == []


def test_a_column_that_waits_comes_into_view_when_it_is_asked_for(page: Page) -> None:
    width = "document.querySelector('.strip thead [data-cell=other11]').getBoundingClientRect().width"
    assert page.js(width) == 0
    page.js("location.hash = '#images-other11'")
    page.settle()
    assert page.js(width) > 50
    assert 0 <= page.js(_HEAD_TOP) < 900


def test_a_point_without_test_images_says_so(page: Page) -> None:
    place = _POINT.replace("e5", "g7")
    page.mouse(*page.js(place), click=True)
    assert page.js(_CHOSEN) == []
    assert "best networks only" in page.js("document.querySelector('.marked-card').textContent")


def test_what_is_folded_is_drawn_when_opened_and_printed(page: Page) -> None:
    page.js("document.querySelector('details').open = true")
    page.settle()
    page.js("document.querySelector('details').open = false")
    page.js("dispatchEvent(new Event('beforeprint'))")
    page.settle()
    assert page.js("[...document.querySelectorAll('details')].every(fold => fold.open)")
    page.js("dispatchEvent(new Event('afterprint'))")
    page.settle()
    assert not page.js("[...document.querySelectorAll('details')].some(fold => fold.open)")


def test_hostile_and_long_names_break_neither_page_nor_layout(browser: Page, tmp_path: Path) -> None:
    long = "kernels=" + "3-" * 100
    hostile = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">'\""
    rows = [trial(f"c{i}", 0.8 + i / 100, 1e6 + i, label=name) for i, name in enumerate((long, hostile, "plain"))]
    mask = png(255 * disc(24, 32, 12, 16, 8))
    picture = Picture(hostile * 2, mask, mask, {f"c{i}": Prediction(mask, 1.0) for i in range(3)}, "worst")
    tables = Tables(table(*rows, *trivial()), study().epochs.assign(key="c0-0"), study().images)
    path = tmp_path / "hostile.html"
    path.write_text(render(tables, About(hostile, long, (), {long: hostile}), [picture], _evidence()), encoding="utf-8")
    for width, phone in ((1280, False), (390, True)):
        browser.complaints.clear()
        browser.open(path, width, 900, phone=phone)
        assert browser.complaints == []
        assert browser.js("document.title") == hostile
        assert browser.js("document.documentElement.scrollWidth") <= width
        assert browser.js("document.querySelectorAll('.js-plotly-plot .main-svg').length") > 3


def test_nothing_is_wider_than_a_phone(page: Page, report: Path) -> None:
    page.open(report, 390, 844, phone=True)
    assert page.js("document.documentElement.scrollWidth") == 390
    wide = page.js("[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).length")
    assert wide >= 2
    inside = page.js(
        "[...document.querySelectorAll('.js-plotly-plot')].every(plot => {"
        " const box = plot.parentElement.getBoundingClientRect();"
        " const svg = plot.querySelector('.main-svg').getBoundingClientRect();"
        " return !svg.width || (svg.right <= box.right + 1 && svg.bottom <= box.bottom + 1); })"
    )
    assert inside


def test_printing_fits_the_figures_to_the_paper_and_back(page: Page) -> None:
    width = "document.querySelector('#pareto .main-svg').getBoundingClientRect().width"
    before = page.js(width)
    page.js("dispatchEvent(new Event('beforeprint'))")
    page.settle()
    assert page.js(width) < 720 < before
    page.js("dispatchEvent(new Event('afterprint'))")
    page.settle()
    assert page.js(width) == before
