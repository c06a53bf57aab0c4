"""The page of `ablate watch` in a browser: it grows in place, keeps what a person did to it, and says what is gone."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import PROGRAM, Page
from commands import ABLATE, SPACE, ablate, kill_tree
from made_studies import Trained, made_study, packed, run_of, trained, trivial

from ablate.models.settings import UNet
from ablate.runners.cli.live_page import LivePage
from ablate.runners.watch.live import Live, LiveNode, Running, fall_silent, tell
from ablate.runners.watch.serving import Server
from ablate.study.logs import epoch_line
from ablate.study.study import Study
from ablate.training.checkpoint import Epoch

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
SCRIPT = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"


@pytest.fixture(scope="module")
def one() -> Trained:
    return trained()


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with Page(patience=60) as page:
        yield page


def sized(one: Trained, width: int, seed: int = 0) -> Trained:
    """As if a network of another width had been trained with the same result."""
    model = UNet(width=width, stages=2)
    return one._replace(trial=one.trial.model_copy(update={"model": model, "seed": seed}))


@pytest.fixture
def study(tmp_path, one) -> Study:
    return made_study(tmp_path / "study", one, *trivial(one))


class _Server(Server):
    """One that closes its connections when it ends, as a process does."""

    def __init__(self, port: int) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(port)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def server_close(self) -> None:
        super().server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Served:
    """The page of a study, as long as this is."""

    def __init__(self, path: Path, port: int = 0) -> None:
        self.page = LivePage(path)
        self.server = _Server(port)
        self.server.pages = self.page.pages(self.server.token)
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def served(study) -> Iterator[Served]:
    found = Served(study.path)
    yield found
    found.end()


def wait_for(browser: Page, condition: str, served: Served | None = None, seconds: float = 60) -> None:
    """Until that is so in the page, which is made to look at once, and to take newer results without a rest."""
    until = time.monotonic() + seconds
    while not browser.js(condition):
        said = browser.js("[...document.querySelectorAll('#connection, #standing, #facts')].map(e => e.textContent)")
        assert time.monotonic() < until, (condition, said, browser.complaints)
        if served is not None:
            served.page._results._rests_until = 0.0
            browser.js("look()")
        time.sleep(0.05)


def opened(browser: Page, served: Served, width: int = 1280) -> None:
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(served.server.address, width, 900, phone=width < 640)
    wait_for(browser, "!!document.querySelector('#part tbody tr') && !!document.querySelector('#listed tr')", served)


def text(browser: Page, selector: str) -> str:
    return str(browser.js(f"document.querySelector({selector!r}).innerText"))


def tells(study: Study, **running: str) -> None:
    """A driver that trains trials, by key with their names."""
    trials = {key: Running(key=key, name=name, epoch=1, epochs=2, val_dice=0.5) for key, name in running.items()}
    now = time.time()
    nodes = [LiveNode(address="10.0.0.1", cpus=2, gpus=1), LiveNode(address="10.0.0.2", cpus=2, gpus=0, alive=False)]
    tell(study, Live(began=now - 60, updated=now, total=3, epochs_done=6, running=trials, nodes=nodes, seconds_left=90))


def test_it_grows_in_place_while_trials_begin_and_end(study, one, served, browser):
    opened(browser, served)
    browser.js("window.mark = document.querySelector('#listed tr')")
    assert browser.js("document.title") == "1/1 widths"
    assert text(browser, "#standing") == "All 1 planned trials have ended."
    wider, failing = sized(one, 5), sized(one, 6)
    with study.writing():
        study.plan(run_of(wider.trial, failing.trial), threads=1, data_dir=None)
        tells(study, **{wider.trial.key: "width=5, seed 0"})
        study.log(wider.trial.key, epoch_line(Epoch(1, 0.5, 0.6, 0.7, 0.5, 0.6, 1.5, 40.0)))
        wait_for(browser, "document.querySelectorAll('#running-curves .scatterlayer .trace').length === 2", served)
        assert text(browser, "#standing") == "Training: 1 of 3 planned trials have ended."
        facts = text(browser, "#facts")
        for said in ("1 of 3 have ended", "in about 1:30 min", "6.00 epochs a minute", "2 CPUs, 1 GPU; lost: 10.0.0.2"):
            assert said in facts
        assert "width=5, seed 0" in text(browser, "#running")
        assert "1/2" in text(browser, "#running")
        study.accept(wider.trial.key, packed(wider))
        study.accept(failing.trial.key, packed(failing, state="failed", epochs=1, error="diverged in epoch 1"))
        fall_silent(study)
        wait_for(browser, "document.querySelectorAll('#part tbody tr:not(.trivial)').length === 2", served)
        wait_for(browser, "document.querySelector('#under-way').hidden", served)
    assert "diverged in epoch 1" in text(browser, "#failed")
    wait_for(browser, "document.title === '3/3 widths'", served)
    assert browser.js("window.mark.isConnected"), "a row that was there is still the same"
    assert not browser.complaints
    assert {url.split("?")[1] for url in browser.requests} == {f"token={served.server.token}"}
    assert all(url.startswith(f"http://127.0.0.1:{served.server.server_port}/") for url in browser.requests)


def test_a_trial_that_a_killed_driver_had_is_shown_once_where_another_trains_it(study, one, served, browser):
    again = sized(one, 5)
    with study.writing():
        study.plan(run_of(again.trial), threads=1, data_dir=None)
        tells(study, **{again.trial.key: "width=5, seed 0"})
        (alive,) = (study.ray_dir / "drivers").iterdir()
        killed = json.loads(alive.read_text()) | {"host": "another", "updated": 1}
        (alive.parent / f"another-{killed['process']}.json").write_text(json.dumps(killed))
        opened(browser, served)
        for _ in range(3):
            browser.js("look()")
        assert browser.js("document.querySelectorAll('#running tr').length") == 1
        assert browser.js("document.querySelector('#running th').textContent") == "width=5, seed 0"
        assert served.page.state()["counts"] == {"complete": 1, "running": 1, "interrupted": 0, "planned": 0}
    fall_silent(study)


def test_what_a_person_did_to_it_stays_as_it_grows(study, one, served, browser):
    more = sized(one, 5)
    with study.writing():
        study.plan(run_of(more.trial), threads=1, data_dir=None)
        study.accept(more.trial.key, packed(more, params=30, macs=15))
    opened(browser, served)
    # A zoom as the mouse makes it, another axis by its menu, a column's order, filters, a name in the legend.
    plot, part = "document.getElementById('pareto')", "document.querySelector('.networks')"
    choose = f"{part}.querySelector('[name=x]')"
    browser.js(f"{choose}.value = 'macs'; {choose}.dispatchEvent(new Event('change', {{bubbles: true}}))")
    browser.settle()
    assert browser.js(f"{plot}.layout.xaxis.title.text").startswith("MACs")
    box = f"{plot}.querySelector('.nsewdrag').getBoundingClientRect()"
    browser.js(f"{plot}.scrollIntoView({{block: 'center'}})")
    x, y, width, height = browser.js(f"(() => {{ const b = {box}; return [b.x, b.y, b.width, b.height]; }})()")
    steps = ("mouseMoved", 0.3), ("mousePressed", 0.3), ("mouseMoved", 0.5), ("mouseMoved", 0.7), ("mouseReleased", 0.7)
    for number, (kind, at) in enumerate(steps):
        held = {"button": "left", "buttons": 1, "clickCount": 1} if number else {}
        browser.call("Input.dispatchMouseEvent", type=kind, x=x + at * width, y=y + at * height, **held)
    browser.settle()
    zoomed = browser.js(f"{plot}._fullLayout.xaxis.range.map(Number)")
    browser.click("document.querySelector('#all-curves .legendtoggle')")
    time.sleep(0.5)  # a second click within it would be a double one
    off = "document.getElementById('all-curves')._fullData.filter(t => t.visible === 'legendonly').length"
    hidden = browser.js(off)
    assert hidden
    header = "[...document.querySelectorAll('#part thead th')].find(h => /^MACs/.test(h.textContent))"
    browser.click(f"{header}.querySelector('button')")
    assert browser.js(f"{header}.getAttribute('aria-sort')") == "ascending"
    browser.click("document.querySelector('#filter [data-state=complete]')")
    another, failing = sized(one, 6), sized(one, 7)
    with study.writing():
        study.plan(run_of(another.trial, failing.trial), threads=1, data_dir=None)
        study.accept(another.trial.key, packed(another, params=20, macs=16))
        study.accept(failing.trial.key, packed(failing, state="failed", epochs=1, error="diverged"))
    wait_for(browser, "document.querySelectorAll('#part tbody tr:not(.trivial)').length === 3", served)
    browser.settle()
    assert browser.js(f"{choose}.value") == "macs"
    assert browser.js(f"{plot}.layout.xaxis.title.text").startswith("MACs")
    assert browser.js(f"{plot}._fullLayout.xaxis.range.map(Number)") == pytest.approx(zoomed)
    assert browser.js(off) == hidden
    assert browser.js(f"{header}.getAttribute('aria-sort')") == "ascending"
    states = browser.js("[...document.querySelectorAll('#listed tr')].map(r => r.cells[1].textContent)")
    assert states == ["complete"] * 3
    assert not browser.complaints


def test_it_fits_a_phone_and_a_desk(study, served, browser):
    for width in (390, 1280):
        opened(browser, served, width)
        assert browser.js("document.documentElement.scrollWidth") <= width
        wait_for(browser, "document.getElementById('pareto')?._fullLayout?.width <= innerWidth")


def test_a_server_that_is_gone_is_said_and_one_that_is_back_is_found(study, browser):
    served = Served(study.path)
    port = served.server.server_port
    try:
        opened(browser, served)
        token = served.server.token
        served.end()
        wait_for(browser, "look() && document.getElementById('connection').innerText.includes('does not answer')")
        assert "What is shown is of " in text(browser, "#connection")
        assert text(browser, "#standing") == "All 1 planned trials have ended.", "what was shown is still there"
        served = Served(study.path, port)
        wait_for(browser, "document.getElementById('connection').innerText.includes('no longer good')", served)
        served.server._token = token
        wait_for(browser, "document.getElementById('connection').hidden", served)
    finally:
        served.end()


def test_one_that_nobody_sees_asks_for_nothing(study, served, browser):
    opened(browser, served)
    browser.js("Object.defineProperty(document, 'hidden', {configurable: true, get: () => window.away})")
    browser.js("window.away = true")
    browser.js("look()")
    before = len(browser.requests)
    time.sleep(2.5)
    browser.settle()
    assert len(browser.requests) == before
    browser.js("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(browser, "true")
    browser.settle()
    assert len(browser.requests) > before


def test_nothing_of_a_strangers_study_is_markup(study, one, served, browser):
    odd, failed = sized(one, 5), sized(one, 6)
    names = {odd.trial.key: {SCRIPT: SCRIPT}, failed.trial.key: {SCRIPT: "x" * 200}}
    run = run_of(odd.trial, failed.trial, space=SCRIPT).model_copy(update={"trials": names, "question": SCRIPT})
    with study.writing():
        study.plan(run, threads=1, data_dir=None)
        study.accept(odd.trial.key, packed(odd))
        study.accept(failed.trial.key, packed(failed, state="failed", epochs=1, error=SCRIPT))
        tells(study, **{odd.trial.key: SCRIPT})
        study.log(odd.trial.key, epoch_line(Epoch(1, 0.5, 0.6, 0.7, 0.5, 0.6, 1.5, 40.0)))
        opened(browser, served, 390)
        wait_for(browser, "document.querySelectorAll('#failed tr').length === 1", served)
    fall_silent(study)
    assert browser.js("window.hacked") is None
    assert not browser.js("document.querySelectorAll('main img, main script:not([type=\"application/json\"])').length")
    assert SCRIPT in text(browser, "#question")
    assert browser.js("document.documentElement.scrollWidth") <= 390
    assert not browser.complaints


def test_a_real_run_is_killed_and_goes_on_in_the_same_page(tmp_path, browser):
    space, path = tmp_path / "widths.yaml", tmp_path / "study"
    space.write_text(SPACE.replace("epochs: 3", "epochs: 40").replace("[4, 8]", "[12, 16]"))
    command = [ABLATE, "run", "--space", space, "--study", path, "--max-concurrent", "1", "--seeds", "1"]
    served = Served(path)
    browser.complaints.clear()
    browser.open(served.server.address)
    browser.js("window.mark = 'the same page'")
    standing = "document.getElementById('standing')"
    wait_for(browser, f"{standing}.className === 'standing waiting'", served)
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(browser, "document.querySelectorAll('#running-curves .trace').length >= 2", served, 120)
        assert "running" in browser.js(f"{standing}.className")
        kill_tree(run.pid)
        run.wait()
        wait_for(browser, f"{standing}.className === 'standing killed'", served)
        assert f"The run was killed (process {run.pid} on " in text(browser, "#standing")
        again = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(browser, f"{standing}.className === 'standing running'", served, 120)
            wait_for(browser, f"{standing}.className === 'standing finished'", served, 180)
        finally:
            kill_tree(again.pid)
            again.wait()
        wait_for(browser, "document.querySelectorAll('#part tbody tr:not(.trivial)').length === 2", served)
        assert browser.js("window.mark") == "the same page"
        assert not browser.complaints
    finally:
        kill_tree(run.pid)
        run.wait()
        served.end()
    assert json.loads(ablate("status", path, "--json").stdout)["counts"] == {"complete": 2, "failed": 0, "missing": 0}
