"""What the page of `ablate watch` is made of: its files, the study's state, and what follows from the trials so far.

The state is small, and asked for every two seconds; the results are made anew only where a trial has ended since, and
in no more than a tenth of a core's time.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.analysis.format import level_label, shown
from ablate.errors import InputError
from ablate.runners.watch.following import Following, Now
from ablate.runners.watch.live import Live, seed_and_fold
from ablate.runners.watch.serving import Answer
from ablate.study.manifest import is_study
from ablate.study.study import Study

if TYPE_CHECKING:
    from ablate.study.logs import LoggedEpoch

_RESTS = 9
"""How many times as long as results took to make they are left as they are: a tenth of a core at most."""
_MOST_CURVES, _MOST_POINTS = 50, 300
"""Of trials under way: how many curves, each of how many epochs."""
_PLOTLY, _TEXT, _STYLE, _SCRIPT, _JSON = (
    "text/javascript; charset=utf-8",
    "text/html; charset=utf-8",
    "text/css; charset=utf-8",
    "text/javascript; charset=utf-8",
    "application/json",
)


class LivePage:
    """The page of the study at `path`, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._following, self._looking = Following(path), threading.Lock()
        self._results = _Results(path)

    def check(self) -> str:
        """How the study stands, in a sentence. Raises `InputError` for what neither is a study nor can become one."""
        if self._path.exists() and not is_study(self._path):
            Study.open_or_new(self._path)
        with self._looking:
            self._following.now()
        return str(self.state()["standing"]["said"])

    def pages(self, token: str) -> Mapping[str, Callable[[], Answer]]:
        """Every document that there is, by its path. `token`: what requests for them carry."""
        ours, report = resources.files("ablate.runners.watch") / "page", resources.files("ablate.analysis.report")
        return {
            "/": lambda: Answer(_TEXT, (ours / "watch.html").read_bytes().replace(b"TOKEN", token.encode())),
            "/watch.js": lambda: Answer(_SCRIPT, (ours / "watch.js").read_bytes()),
            "/watch.css": lambda: Answer(_STYLE, (ours / "watch.css").read_bytes()),
            "/report.css": lambda: Answer(_STYLE, (report / "report.css").read_bytes()),
            "/networks.js": lambda: Answer(_SCRIPT, _networks()),
            "/plotly.js": lambda: Answer(_PLOTLY, _plotly()),
            "/state": lambda: Answer(_JSON, json.dumps(self.state(), allow_nan=False).encode()),
            "/results": lambda: Answer(_JSON, self._results.document()),
        }

    def state(self) -> dict[str, Any]:
        """What the study does now, and which of the results there are to be had."""
        with self._looking:
            try:
                now = self._following.now()
            except InputError as error:
                return _without(self._path, "unreadable", f"{error}. It is looked at again.")
            if now is None:
                return _without(
                    self._path, "waiting", f"There is no study at '{self._path}' yet: it is shown once a run begins."
                )
            return _visible(_state(now) | {"results": self._results.offered(now.change)})


def _networks() -> bytes:
    from ablate.analysis.report.page import networks_script

    return networks_script().encode()


def _plotly() -> bytes:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).encode()


def _visible(document: Any) -> Any:
    """The same with each text as it can be shown: a study's may hold anything."""
    if isinstance(document, str):
        return shown(document)
    if isinstance(document, dict):
        return {key: _visible(value) for key, value in document.items()}
    return [_visible(value) for value in document] if isinstance(document, list | tuple) else document


# The state -----------------------------------------------------------------------------------------------------------


def _without(path: Path, kind: str, said: str) -> dict[str, Any]:
    standing = {"kind": kind, "said": shown(said)}
    return {"title": path.name, "question": "", "study": str(path), "standing": standing, "results": None}


def _state(now: Now) -> dict[str, Any]:
    study, records = now.study, now.records
    states = _states(now)
    runs = study.plans.runs
    ended = [record for record in records.values() if record.state != "trivial"]
    epochs = [epoch for trained in now.curves.values() for epoch in trained]
    return {
        "title": ", ".join(dict.fromkeys(run.space.replace("_", " ") for run in runs)) or study.path.name,
        "question": " ".join(dict.fromkeys(run.question for run in runs)),
        "study": str(study.path),
        "standing": _standing(now, states),
        "counts": {"running": 0, "interrupted": 0, "planned": 0} | Counter(states.values()),
        "spent": {
            "epochs": sum(record.epochs for record in ended) + len(epochs),
            "seconds": sum(record.train_seconds for record in ended)
            + sum(epoch.seconds for epoch in epochs if math.isfinite(epoch.seconds)),
        },
        "drivers": [_driver(live) for live in now.drivers],
        "curves": _curves(now),
    }


def _states(now: Now) -> dict[str, str]:
    """In which state each planned trial is, by its key."""
    begun = dict.fromkeys(now.study.interrupted(), "interrupted")
    begun |= {key: "interrupted" for live in now.drivers if live.dead for key in live.running}
    begun |= {key: "running" for live in now.drivers if not live.dead for key in live.running}
    return {
        key: now.records[key].state if key in now.records else begun.get(key, "planned")
        for key in now.study.plans.levels
    }


def _standing(now: Now, states: Mapping[str, str]) -> dict[str, str]:
    """How things stand, in a word for the page and in a sentence for who reads it."""
    missing = sum(state in ("running", "interrupted", "planned") for state in states.values())
    all_ended = f"All {len(states)} planned trials have ended"
    done = f"{len(states) - missing} of {len(states)} planned trials have ended"
    rest = f"{missing} of {len(states)} planned trials have not ended"
    again = "give the run's command again, and this page goes on with it"
    alive = [live for live in now.drivers if not live.dead]
    if alive:
        told = max(live.ended + len(live.running) for live in alive)
        return {"kind": "running", "said": f"Training: {done}." if told else "A run is starting Ray."}
    if now.held and missing:
        return {"kind": "starting", "said": f"A run is starting, or another command is at work. {rest}."}
    if now.held:
        return {"kind": "ending", "said": f"{all_ended}; a command is at work: a run's report, say."}
    if missing and now.drivers:
        who = " and ".join(f"process {live.process} on {live.host}" for live in now.drivers)
        return {"kind": "killed", "said": f"The run was killed ({who}). {rest}: {again}."}
    if missing:
        return {"kind": "idle", "said": f"Nothing is running. {rest}: {again}."}
    report = f" The report is {now.study.path / 'report.html'}." if (now.study.path / "report.html").exists() else ""
    return {"kind": "finished", "said": f"{all_ended}.{report}" if states else "Nothing was planned yet."}


def _driver(live: Live) -> dict[str, Any]:
    return {
        **live.model_dump(
            include={"host", "process", "total", "ended", "failed", "stopped", "seconds_left", "incidents"}
        ),
        "nodes": [node.model_dump() for node in live.nodes],
        "running": [trial.model_dump() for trial in live.running.values()],
        "dead": live.dead,
        "updated": live.updated,
        "elapsed": live.elapsed,
        "epochs_a_minute": live.epochs_a_minute,
    }


def _curves(now: Now) -> list[dict[str, Any]]:
    names = {key: trial.name for live in now.drivers for key, trial in live.running.items()}
    curves = {key: epochs for key, epochs in now.curves.items() if epochs}
    return [_curve(key, names.get(key, _label(now.study, key)), curves[key]) for key in list(curves)[:_MOST_CURVES]]


def _curve(key: str, name: str, epochs: list[LoggedEpoch]) -> dict[str, Any]:
    """A trial's epochs so far; of many, evenly as many as a plot can show, the last among them."""
    kept = epochs[:: -(-len(epochs) // _MOST_POINTS)]
    kept = kept if kept[-1] is epochs[-1] else [*kept, epochs[-1]]
    return {
        "key": key,
        "name": name,
        "epoch": [one.epoch for one in kept],
        "train_loss": [one.train_loss if math.isfinite(one.train_loss) else None for one in kept],
        "val_dice": [one.val_dice if math.isfinite(one.val_dice) else None for one in kept],
        "seconds": epochs[-1].seconds if math.isfinite(epochs[-1].seconds) else None,
    }


def _label(study: Study, key: str) -> str:
    """What a planned trial is called: by its network's short name, or by its levels in the first of its spaces."""
    if name := study.plans.names.get(key):
        return name
    levels = next((run.trials[key] for run in study.plans.runs if key in run.trials), {})
    return level_label(levels) or key


# The results ---------------------------------------------------------------------------------------------------------


class _Results:
    """What follows from the trials of the study at `path` that have ended, as the page's JSON.

    It reads the study by itself, for it takes long, and others ask for the state meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._following, self._making = Following(path), threading.Lock()
        self._made, self._change, self._asked = b"", 0, 0
        self._rests_until = 0.0

    def offered(self, change: int) -> int:
        """The change of the study that results are to be had of: the latest, unless they are to rest."""
        if time.monotonic() >= self._rests_until:
            self._asked = change
        return self._asked

    def document(self) -> bytes:
        """Results as they were offered last. Raises `InputError` where they cannot be had."""
        with self._making:
            if self._change != self._asked:
                change, began = self._asked, time.monotonic()
                try:
                    now = self._following.now()
                    if now is None:
                        raise InputError("the study is gone")
                    self._made, self._change = _document(now, change), change
                finally:
                    ended = time.monotonic()
                    self._rests_until = ended + _RESTS * (ended - began)
            return self._made


def _document(now: Now, change: int) -> bytes:
    from plotly.io.json import to_json_plotly

    from ablate.analysis.figures.style import CONFIG
    from ablate.analysis.live import live_results
    from ablate.analysis.search_words import standing
    from ablate.runners.cli.shared import notes
    from ablate.study.searches import searches

    found = live_results(now.study)
    document = {
        "results": change,
        "networks": str(found.networks),
        "about": str(found.about),
        "curves": found.curves.to_plotly_json() if found.curves else None,
        "curves_of": found.curves_of,
        "curves_drawn": found.curves_drawn,
        "config": CONFIG,
        **_visible(
            {
                "notes": [*notes(now.study), *found.said],
                "searches": [standing(search, now.records) for search in searches(now.study)],
                "trials": _trials(now),
            }
        ),
    }
    return str(to_json_plotly(document)).encode()


def _trials(now: Now) -> list[dict[str, Any]]:
    """A row a planned trial, in the order of the plans: what its record says, or what it is called."""
    study = now.study
    short = study.plans.names
    labels: dict[str, str] = {}
    for run in study.plans.runs:
        for key, levels in run.trials.items():
            labels.setdefault(key, short.get(key) or level_label(levels) or key)
    rows = []
    for key, label in labels.items():
        record = now.records.get(key)
        row: dict[str, Any] = {"key": key, "name": label}
        if record:
            row |= {
                "name": f"{label}, {seed_and_fold(record.seed, record.fold)}",
                **record.model_dump(include={"state", "epochs", "val_dice", "train_seconds", "error"}),
            }
        rows.append(row)
    return rows
