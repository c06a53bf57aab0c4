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
from ablate.analysis.pareto import pareto
from ablate.analysis.report.report import About, Evidence, Picture, Prediction, render
from ablate.analysis.significance import Difference, Interval

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

# The page's coordinates of cell `e5` in the Pareto plot.
_POINT = """(() => {
  const plot = document.getElementById("pareto");
  plot.scrollIntoView({block: "center"});
  const trace = plot._fullData.find(trace => trace.meta?.cells?.includes("e5"));
  const at = trace.meta.cells.indexOf("e5");
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


def _choose(page: Page, menu: int, label: str) -> None:
    page.click(f"document.querySelectorAll('#pareto .updatemenu-header')[{menu}]")
    page.click(
        f"[...document.querySelectorAll('#pareto .updatemenu-dropdown-button')].find(b => b.textContent === '{label}')"
    )


def _front(page: Page) -> list[list[float]]:
    """The ringed points of the front that is drawn, as [x, y]."""
    return page.js(
        "(() => { const all = document.getElementById('pareto')._fullData;"
        " const t = all.filter(t => t.meta?.front && t.visible === true);"
        " return t.length === 1 && t[0].x.map((x, i) => [x, t[0].y[i]]).filter((_, i) => t[0].marker.size[i] > 0); })()"
    )


def test_menus_switch_both_axes_and_the_front(page: Page) -> None:
    titles = "['xtitle', 'ytitle'].map(name => document.querySelector(`#pareto .${name}`).textContent)"
    assert page.js(titles) == ["Parameters", "Test Dice"]
    _choose(page, 0, "x: MACs")
    assert page.js(titles) == ["MACs (multiply–accumulates for one image)", "Test Dice"]
    _choose(page, 1, "y: MIoU")
    assert page.js(titles) == ["MACs (multiply–accumulates for one image)", "Test MIoU"]
    record = pareto(study().trials, "macs", "miou")
    expected = [[point.x, point.y] for point in record.points if point.on_front]
    assert _front(page) == [pytest.approx(point) for point in expected]
    low, high = page.js("document.getElementById('pareto')._fullLayout.xaxis.range.map(r => 10 ** r)")
    assert low < min(point.x for point in record.points) < max(point.x for point in record.points) < high
    _choose(page, 2, "x linear")
    assert page.js("document.getElementById('pareto')._fullLayout.xaxis.type") == "linear"


def test_hover_shows_the_configuration(page: Page) -> None:
    page.mouse(*page.js(_POINT))
    text = page.js("document.querySelector('#pareto .hoverlayer').textContent")
    for expected in ("levels=4", "kernels=3,5,7,9", "5.38\N{NO-BREAK SPACE}M", "±", "3 seeds", "on the front"):
        assert expected in text


def test_headers_sort_the_table_both_ways_and_keep_the_missing_last(page: Page) -> None:
    def column(index: int) -> list[str]:
        return page.js(f"[...document.querySelectorAll('#cells tbody tr')].map(r => r.children[{index}].dataset.sort)")

    def header(name: str) -> str:
        return f"[...document.querySelectorAll('#cells th button')].find(b => b.textContent === '{name}')"

    assert page.js("document.querySelectorAll('#cells [aria-sort]').length") == 1
    page.click(header("Parameters"))
    rising = [float(value) for value in column(4)]
    assert rising == sorted(rising)
    assert len(set(rising)) > 5
    assert page.js(f"{header('Parameters')}.closest('th').getAttribute('aria-sort')") == "ascending"
    assert page.js("document.querySelectorAll('#cells [aria-sort]').length") == 1
    page.click(header("Parameters"))
    assert [float(value) for value in column(4)] == sorted(rising, reverse=True)
    for _ in range(2):
        page.click(header("Train s"))
        assert column(8)[-3:] == ["", "", ""]


def test_headers_sort_by_keyboard(page: Page) -> None:
    page.js("document.querySelector('#cells th button').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    page.settle()
    labels = page.js("[...document.querySelectorAll('#cells tbody th')].map(e => e.textContent)")
    assert labels == sorted(labels)


_CHOSEN = "[...document.querySelectorAll('.strip .chosen')].map(e => e.dataset.cell)"
_HEAD_TOP = "document.querySelector('.strip thead .chosen')?.getBoundingClientRect().top"


def test_a_click_on_a_point_shows_its_test_images(page: Page) -> None:
    assert page.js(_CHOSEN) == []
    page.mouse(*page.js(_POINT), click=True)
    chosen = page.js(_CHOSEN)
    assert chosen == ["e5"] * (1 + len(_ROLES))
    assert 0 <= page.js(_HEAD_TOP) < 900
    assert page.js("document.activeElement.dataset.cell") == "e5"
    page.js("history.back()")
    page.settle()
    assert page.js(_CHOSEN) == []


def test_a_name_in_the_table_leads_to_its_test_images_by_keyboard(page: Page) -> None:
    page.js("document.querySelector('#cells tbody a[href$=b2]').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    page.settle()
    assert set(page.js(_CHOSEN)) == {"b2"}
    assert 0 <= page.js(_HEAD_TOP) < 900


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
    assert "best networks only" in page.js("document.querySelector('.notice').textContent")


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
