"""All networks of a report in a real browser: every menu, filter and view, and how plot and table follow each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import PROGRAM, Page
from many_networks import LONG, MARKUP, many
from synthetic import disc, png

from ablate.analysis.failures import failures
from ablate.analysis.figures.networks import by_task
from ablate.analysis.pareto import cells, front, fronts, tasks
from ablate.analysis.report.content import Evidence, Picture, Prediction
from ablate.analysis.report.evidence import intervals
from ablate.analysis.report.networks_part import networks_page
from ablate.analysis.report.report import About, render
from ablate.analysis.scores import cell_scores
from ablate.analysis.uncertainty import uncertain_fronts

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")

_NETWORKS, _SEEDS = 150, 3
_MOST_BYTES = 15_000_000
FRAMES = many(_NETWORKS, _SEEDS)


def _pages(folder: Path) -> Path:
    scores = {"dice": cell_scores(FRAMES, "dice")}
    planes = [plane for plane in fronts(FRAMES.trials) if plane.y == "dice" and plane.x in ("params", "macs")]
    found = Evidence(
        intervals={"dice": intervals(scores["dice"])},
        uncertain={"slices": uncertain_fronts(planes, scores, resamples=50)},
        scores=scores["dice"],
        failures=failures(FRAMES),
    )
    best = [cell.id for cell in sorted(cells(FRAMES.trials), key=lambda cell: -cell.dice.mean)[:2]]
    mask = disc(24, 32, 12, 16, 8)
    picture = Picture("z1", png(mask * 128), png(mask * 255), {cell: Prediction(png(255 * mask), 1.0) for cell in best})
    path = folder / "report.html"
    about = About(MARKUP, "Which?", ("quick",), {"Data": MARKUP}, head={"Report": "written today", "Data": MARKUP})
    path.write_text(render(FRAMES, about, [picture], found), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _pages(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with Page(patience=60) as page:
        yield page


@pytest.fixture(scope="module")
def opened(browser: Page, report: Path) -> Page:
    browser.open(report)
    return browser


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """The page as it opens: whatever a test chose is taken back. It must not complain."""
    opened.complaints.clear()
    opened.js("document.querySelector('#networks').shown.reset()")
    opened.settle()
    yield opened
    assert opened.complaints == []


def _set(page: Page, name: str, value: object) -> None:
    """Choose in a menu, or move the slider, or type."""
    page.js(
        f"(() => {{ const e = document.querySelector('#networks [name={name}]'); e.value = {json.dumps(value)};"
        " e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input')); })()"
    )
    page.settle()


def _status(page: Page) -> str:
    return page.js("document.querySelector('#networks .status').textContent")


def _rows(page: Page) -> list[str]:
    """The names in the table, from top to bottom."""
    return page.js("[...document.querySelectorAll('#cells tbody .name')].map(e => e.textContent)")


def _front(page: Page) -> set[str]:
    """The ids of the networks that are ringed."""
    return set(
        page.js(
            "(() => { const {cells} = JSON.parse(document.querySelector('#networks script').textContent)[0];"
            " const {data} = document.getElementById('pareto');"
            " return data.find(t => t.meta?.front).meta.front.map(i => cells[i]); })()"
        )
    )


def _place(page: Page, at: int) -> list[float]:
    """Where the point of the network at a place of the data is on the page."""
    return page.js(
        "(() => { const plot = document.getElementById('pareto'); plot.scrollIntoView({block: 'center'});"
        f" const trace = plot._fullData.find(t => t.meta?.at?.includes({at}) && t.mode === 'markers');"
        f" const i = trace.meta.at.indexOf({at}); const box = plot.getBoundingClientRect();"
        " const {xaxis, yaxis} = plot._fullLayout;"
        " return [box.x + xaxis._offset + xaxis.d2p(trace.x[i]), box.y + yaxis._offset + yaxis.d2p(trace.y[i])]; })()"
    )


def _axes(page: Page) -> list[str]:
    return page.js("['xtitle', 'ytitle'].map(name => document.querySelector(`#pareto .${name}`).textContent)")


# What is drawn -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y"), [("params", "dice"), ("macs", "miou"), ("latency_ms", "dice"), ("params", "failures")]
)
def test_a_front_of_any_two_is_the_one_that_is_computed_elsewhere(page: Page, x: str, y: str) -> None:
    _set(page, "x", x)
    _set(page, "y", y)
    if y == "failures":
        (rows,) = tasks(FRAMES.trials).values()
        lost = failures(FRAMES)
        points = [(cell.params, lost[cell.id].bounds.rate, cell.id) for cell in cells(rows) if not cell.trivial]
        expected = {c for a, b, c in points if not any(p <= a and q <= b and (p, q) != (a, b) for p, q, _ in points)}
    else:
        expected = set(front(FRAMES.trials, (y, x)).front)  # type: ignore[arg-type]
    assert _front(page) == expected
    assert f"{len(expected)} of 150 networks" in _status(page)


def test_a_front_of_three_is_the_one_that_is_computed_elsewhere(page: Page) -> None:
    _set(page, "z", "macs")
    expected = set(front(FRAMES.trials, ("dice", "params", "macs")).front)
    assert _front(page) == expected
    assert len(expected) > len(front(FRAMES.trials, ("dice", "params")).front)
    assert not page.js("document.getElementById('pareto').data.some(t => t.meta?.boundary)")


def test_axes_are_fitted_to_the_networks_and_trivial_rows_are_told_beside(page: Page) -> None:
    low, high = page.js("document.getElementById('pareto')._fullLayout.yaxis.range")
    scores = [cell.dice.mean for cell in cells(FRAMES.trials) if not cell.trivial]
    assert 0.3 < low < min(scores) < max(scores) < high < max(scores) + 0.2
    assert "look at no image: all foreground 0.300" in page.js("document.querySelector('#networks .below').textContent")


def test_names_are_of_the_front_alone_and_no_two_overlap(page: Page) -> None:
    found = page.js(
        "[...document.querySelectorAll('#networks .labels span')].map(e => {"
        " const b = e.getBoundingClientRect(); return [e.textContent, b.left, b.top, b.right, b.bottom]; })"
    )
    assert 5 < len(found) <= len(_front(page))
    names = page.js(
        "(() => { const d = JSON.parse(document.querySelector('#networks script').textContent)[0];"
        " return document.getElementById('pareto').data.find(t => t.meta?.front).meta.front.map(i => d.names[i]); })()"
    )
    assert {name for name, *_ in found} <= set(names)
    boxes = [box for _, *box in found]
    for at, (a, b, c, d) in enumerate(boxes):
        assert not any(a < g - 1 and e < c - 1 and b < h - 1 and f < d - 1 for e, f, g, h in boxes[at + 1 :])


def test_intervals_are_on_the_front_and_on_hover_only(page: Page) -> None:
    barred = "document.getElementById('pareto').data.filter(t => t.error_y).flatMap(t => t.meta.errors ?? t.x)"
    front_places = page.js("document.getElementById('pareto').data.find(t => t.meta?.front).meta.front")
    assert sorted(page.js(barred)) == sorted(front_places)
    off = next(at for at in range(20, _NETWORKS) if at not in front_places)
    page.mouse(*_place(page, off))
    assert len(page.js(barred)) == len(front_places) + 1
    assert "not on the front" in page.js("document.querySelector('#pareto .hoverlayer').textContent")


def test_colours_follow_the_factor_and_numbers_are_in_their_order(page: Page) -> None:
    names = "document.getElementById('pareto').data.filter(t => t.meta?.at && t.showlegend).map(t => t.name)"
    assert page.js(names) == ["PyConvU-Net", "U-Net"]
    symbols = page.js("document.getElementById('pareto').data.filter(t => t.meta?.at).map(t => t.marker.symbol)")
    assert len(set(symbols)) == 2
    _set(page, "colour", "kernels")
    assert "&lt;img src=x" in " ".join(page.js(names))
    _set(page, "colour", "model.width")
    scale = page.js("document.getElementById('pareto').data.find(t => t.marker?.showscale).marker.color")
    assert [round(10**end) for end in (min(scale), max(scale))] == [8, 96]  # more than a decade: by logarithms
    _set(page, "colour", "")
    assert page.js(names) == []


def test_the_slider_goes_back_to_the_front_after_so_many_epochs(page: Page) -> None:
    output = "document.querySelector('#networks .epochs output').textContent"
    assert page.js(output) == "all 9,000 epochs spent: test scores"
    _set(page, "step", 1)
    assert page.js(output).startswith("after 2 epochs a trial (900 of 9,000 spent): best validation scores so far")
    assert _axes(page)[1] == "Validation Dice"
    curves = FRAMES.epochs[FRAMES.epochs["epoch"] <= 2].groupby("key")["val_dice"].max()
    rows = FRAMES.trials[FRAMES.trials["state"] == "complete"]
    means = rows.assign(best=rows["key"].map(curves)).groupby("cell")[["params", "best"]].mean().round(4)
    points = list(means.itertuples(name=None))
    beaten = {
        cell
        for cell, cost, best in points
        if any(c <= cost and b >= best and (c, b) != (cost, best) for _, c, b in points)
    }
    assert _front(page) == set(means.index) - beaten
    _set(page, "y", "failures")
    assert page.js("document.querySelector('#networks [name=step]').disabled")
    assert "only scores that are measured on validation images" in page.js(output)


def test_the_scale_of_costs_can_be_chosen(page: Page) -> None:
    kind = "document.getElementById('pareto')._fullLayout.xaxis.type"
    assert page.js(kind) == "log"
    _set(page, "scale", "linear")
    assert page.js(kind) == "linear"


def test_every_network_is_a_line_through_its_levels_and_objectives(page: Page) -> None:
    _set(page, "view", "parallel")
    lines = page.js("document.getElementById('pareto').data.flatMap(t => t.meta?.lines ?? [])")
    assert sorted(lines) == list(range(_NETWORKS))
    axes = page.js("document.getElementById('pareto').layout.xaxis.ticktext")
    assert [re.sub("<[^>]*>", "", axis) for axis in axes] == ["network", "kernels", "width", "lr", "Parameters", "Dice"]
    ticks = page.js(
        "document.getElementById('pareto').layout.annotations.filter(a => a.x === 2).map(a => Number(a.text))"
    )
    assert ticks == sorted(ticks)
    assert len(ticks) == 12


def test_the_matrix_has_each_pair_of_quantities(page: Page) -> None:
    _set(page, "view", "matrix")
    panels = page.js("Object.keys(document.getElementById('pareto')._fullLayout._plots).length")
    assert panels == 10
    titles = page.js("[...document.querySelectorAll('#pareto [class$=title]')].map(e => e.textContent).filter(Boolean)")
    assert {"Parameters", "Dice", "MACs", "Latency", "Peak memory"} <= set(titles)


# The table, and what ties it to the plot ------------------------------------------------------------------------------


def test_text_filters_plot_and_table(page: Page) -> None:
    _set(page, "text", "KERNELS=3,5,7 ")
    assert "30 networks" in _status(page)
    assert len(_rows(page)) == 30
    drawn = page.js("document.getElementById('pareto').data.flatMap(t => t.meta?.at ?? []).length")
    assert drawn == 30
    page.click("document.querySelector('#networks [name=clear]')")
    assert "of 150 networks" in _status(page)
    assert page.js("document.querySelector('#networks [name=text]').value") == ""


def test_levels_filter_plot_and_table(page: Page) -> None:
    page.js("document.querySelector('#networks .filters').open = true")
    labels = "[...document.querySelectorAll('#networks .levels label')]"
    box = f"{labels}.find(e => e.textContent.trim() === {json.dumps(MARKUP)})"
    page.click(f"{box}.querySelector('input')")
    assert "of 120 networks" in _status(page)
    assert "Filtered: 30 networks of 150 left out" in _status(page)
    assert not page.js("document.getElementById('pareto').data.some(t => t.meta?.band)")
    page.click("document.querySelectorAll('#networks .levels fieldset')[0].querySelectorAll('button')[1]")
    assert "0 of 0 networks" in _status(page)
    assert _rows(page) == []


def test_of_many_numbers_a_range_filters(page: Page) -> None:
    page.js("document.querySelector('#networks .filters').open = true")
    field = "document.querySelector('#networks [aria-label=\"optimizer.lr from\"]')"
    page.js(f"{field}.value = 0.001; {field}.dispatchEvent(new Event('input'))")
    trained = FRAMES.trials[FRAMES.trials["state"] == "complete"].drop_duplicates("cell")
    left = (trained["factor.optimizer.lr"].astype(float) >= 0.001).sum()
    assert f"of {left} networks" in _status(page)


def test_headers_sort_levels_that_are_numbers_as_numbers(page: Page) -> None:
    header = "[...document.querySelectorAll('#cells th button')].find(b => b.textContent === 'width')"
    page.click(header)
    at = page.js(f"{header}.closest('th').cellIndex")
    shown = page.js(f"[...document.querySelectorAll('#cells tbody tr')].map(r => r.cells[{at}].textContent)")
    assert [int(text) for text in shown[:13]] == [8] * 13
    assert page.js(f"{header}.closest('th').getAttribute('aria-sort')") == "ascending"
    assert page.js("document.activeElement.textContent") == "width"
    page.click(header)
    assert page.js(f"document.querySelector('#cells tbody tr').cells[{at}].textContent") == "96"


def test_a_page_of_rows_is_shown_and_more_when_asked(page: Page) -> None:
    assert len(_rows(page)) == 100
    page.click("document.querySelector('#networks [name=more]')")
    assert len(_rows(page)) == _NETWORKS
    assert page.js("document.querySelector('#networks [name=more]').hidden")


def test_a_click_on_a_point_marks_its_row_and_one_on_a_row_its_point(page: Page) -> None:
    marked = "document.getElementById('pareto').data.find(t => t.meta?.marked).meta.marked"
    place = _place(page, 140)
    before = page.js("scrollY")
    page.mouse(*place, click=True)  # a row that is not made yet
    assert page.js("scrollY") == before
    seen = "(e => { const [b, t] = [e.getBoundingClientRect(), e.closest('.wide').getBoundingClientRect()];"
    seen += " return b.top >= t.top && b.bottom <= t.bottom; })(document.querySelector('#cells tr.marked'))"
    assert page.js(seen)
    assert page.js(marked) == [140]
    assert page.js("[...document.querySelectorAll('#cells tr.marked')].map(r => r.dataset.at)") == ["140"]
    name = page.js("document.querySelector('#cells tr.marked .name').textContent")
    assert name in page.js("document.querySelector('#networks .labels .strong').textContent")
    assert page.js("document.querySelector('#cells tr.marked .name').getAttribute('aria-pressed')") == "true"
    page.click("document.querySelectorAll('#cells tbody tr')[3].cells[2]")
    assert page.js(marked) == [int(page.js("document.querySelectorAll('#cells tbody tr')[3].dataset.at"))]


def test_a_name_marks_by_keyboard(page: Page) -> None:
    page.js("document.querySelector('#cells tbody .name').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    page.settle()
    assert page.js("document.querySelectorAll('#cells tr.marked').length") == 1
    assert page.js("document.activeElement === document.querySelector('#cells tr.marked .name')")


def _drag(page: Page, points: list[tuple[float, float]]) -> None:
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=points[0][0], y=points[0][1])
    page.call(
        "Input.dispatchMouseEvent", type="mousePressed", x=points[0][0], y=points[0][1], button="left", clickCount=1
    )
    for x, y in points[1:]:
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
    page.call(
        "Input.dispatchMouseEvent", type="mouseReleased", x=points[-1][0], y=points[-1][1], button="left", clickCount=1
    )
    page.settle()


@pytest.mark.parametrize("kind", ["select", "lasso"])
def test_a_brush_on_the_plot_filters_the_table(page: Page, kind: str) -> None:
    _set(page, "drag", kind)
    left, top, width, height = page.js(
        "(() => { const plot = document.getElementById('pareto'); plot.scrollIntoView({block: 'center'});"
        " const b = plot.getBoundingClientRect(); const {xaxis, yaxis} = plot._fullLayout;"
        " return [b.x + xaxis._offset, b.y + yaxis._offset, xaxis._length, yaxis._length]; })()"
    )
    corners = [
        (left + 2, top + 2),
        (left + width / 2, top + 2),
        (left + width / 2, top + height - 2),
        (left + 2, top + height - 2),
    ]
    _drag(page, [corners[0], corners[2]] if kind == "select" else [*corners, corners[0]])
    low, high = page.js("document.getElementById('pareto')._fullLayout.xaxis.range")
    middle = 10 ** ((low + high) / 2)
    inside = [cell for cell in cells(FRAMES.trials) if not cell.trivial and cell.params < middle]
    assert abs(len(_rows(page)) - len(inside)) <= 1  # one may be beneath the edge
    assert f"the table has {len(_rows(page))} networks" in _status(page)
    page.click("document.querySelector('#networks [name=clear]')")
    assert len(_rows(page)) == 100


def test_two_networks_are_compared_side_by_side(page: Page) -> None:
    for at in (0, 1):
        page.click(f"document.querySelectorAll('#cells tbody input')[{at}]")
    panel = "document.querySelector('#networks .compare')"
    names = _rows(page)[:2]
    assert page.js(f"{panel}.querySelector('h3').textContent").strip() == " and ".join(names)
    differing = page.js(f"[...{panel}.querySelectorAll('.differs th')].map(e => e.textContent)")
    assert "optimizer.lr" in differing
    assert page.js(f"{panel}.querySelectorAll('.cases tbody tr').length") == 12
    shown = page.js(
        f"[...{panel}.querySelectorAll('.cases td')].slice(0, 3).map(e => Number(e.textContent.replace('−', '-')))"
    )
    assert shown[0] - shown[1] == pytest.approx(shown[2], abs=0.0011)
    assert page.js(f"[...{panel}.querySelectorAll('.pictures img')].length") == 2
    page.click("document.querySelectorAll('#cells tbody input')[5]")  # a third takes the place of the first
    assert page.js("[...document.querySelectorAll('#cells tbody input')].filter(e => e.checked).length") == 2
    assert "No pictures of" in page.js(f"{panel}.textContent")
    page.click(f"{panel}.querySelector('button')")
    assert page.js(f"{panel}.hidden")


def test_a_marked_network_is_compared_and_leads_to_its_test_images(page: Page) -> None:
    page.click("document.querySelector('#cells tbody .name')")
    card = "document.querySelector('#networks .marked-card')"
    page.click(f"{card}.querySelector('button')")
    assert "tick another row" in page.js("document.querySelector('#networks .compare').textContent")
    page.click(f"{card}.querySelector('a')")
    assert page.js("[...document.querySelectorAll('.strip .chosen')].length") == 2
    page.js("history.back()")
    page.click("document.querySelectorAll('#cells tbody .name')[9]")
    assert "best networks only" in page.js(f"{card}.textContent")


def test_new_data_keep_what_was_chosen(page: Page) -> None:
    """What a page that grows while trials train does."""
    page.mouse(*_place(page, 10), click=True)
    cell = page.js("document.querySelector('#networks .marked-card code').textContent")
    _set(page, "y", "miou")
    page.js("document.querySelector('#networks .filters').open = true")
    page.click("document.querySelectorAll('#networks .levels fieldset')[1].querySelectorAll('input')[1]")
    shown = _status(page)
    page.js(
        "(() => { const root = document.querySelector('#networks');"
        " const data = JSON.parse(root.querySelector('script').textContent);"
        " const turned = (list) => [...list.slice(0, 150).reverse(), ...list.slice(150)];"
        " for (const name of ['cells', 'names', 'labels']) data[0][name] = turned(data[0][name]);"
        " const kernels = data[0].factors[1]; kernels.levels.reverse();"
        " kernels.at = kernels.at.map(level => level < 0 ? level : kernels.levels.length - 1 - level);"
        " root.shown.update(data); })()"
    )
    page.settle()
    assert page.js("document.querySelector('#networks .marked-card code').textContent") == cell
    assert page.js("document.querySelector('#networks [name=y]').value") == "miou"
    assert "of 120 networks" in shown
    assert _status(page) == shown


# The page ------------------------------------------------------------------------------------------------------------


def test_columns_are_never_cut_and_markup_in_names_is_text(page: Page, report: Path) -> None:
    for width, phone in ((1280, False), (390, True)):
        page.requests.clear()
        page.open(report, width, 900, phone=phone)
        assert page.js("document.title") == MARKUP
        assert page.js("document.documentElement.scrollWidth") <= width
        wrap = "document.querySelector('#cells').parentElement"
        assert page.js(f"{wrap}.scrollWidth <= {wrap}.clientWidth")
        assert page.js("document.querySelector('#networks [name=columns]').textContent").startswith("Show ")
        headers = "[...document.querySelectorAll('#cells thead th')].filter(e => !e.hidden).length"
        few = page.js(headers)
        page.click("document.querySelector('#networks [name=columns]')")
        assert page.js(headers) > few
        assert page.js("document.querySelectorAll('#networks img').length") == 0
        assert {url for url in page.requests if not url.startswith(("data:", "blob:"))} == {report.as_uri()}
    page.open(report)
    text = page.js("[...document.querySelectorAll('#cells td')].map(e => e.title)")
    assert LONG in text


def test_the_file_is_small_enough(report: Path) -> None:
    assert report.stat().st_size < _MOST_BYTES


def test_of_ten_thousand_networks_the_page_has_all_and_says_what_is_not_drawn(browser: Page, tmp_path: Path) -> None:
    frames = many(10_000, 1, images=2, epochs=4)
    found = by_task(frames, tasks(frames.trials), {})
    path = tmp_path / "many.html"
    path.write_text(networks_page("Many", found, "params", "dice"), encoding="utf-8")
    assert path.stat().st_size < _MOST_BYTES
    browser.complaints.clear()
    browser.open(path)
    assert browser.complaints == []
    expected: Any = front(frames.trials, ("dice", "params")).front
    assert _front(browser) == set(expected)
    assert "8,000 of those off the front are not drawn; the table has all." in _status(browser)
    assert "of 9,9" in browser.js("document.querySelector('#networks [name=more]').textContent")
    drawn = browser.js("document.getElementById('pareto').data.flatMap(t => t.meta?.at ?? []).length")
    assert drawn == 2000
    assert np.isfinite(browser.js("performance.now()"))


def test_ticks_of_scores_that_hardly_differ_are_told_apart(browser: Page, tmp_path: Path) -> None:
    tables = many(2, 1)
    trials = tables.trials.copy()
    trials.loc[trials["state"] == "complete", "dice"] = [0.7331, 0.7340]
    found = by_task(tables._replace(trials=trials), tasks(trials), {})
    path = tmp_path / "close.html"
    path.write_text(networks_page("close", found, "params", "dice"), encoding="utf-8")
    browser.open(path)
    browser.settle()
    shown = browser.js("[...document.querySelectorAll('.ytick text')].map((one) => one.textContent)")
    assert len(set(shown)) == len(shown) >= 3
