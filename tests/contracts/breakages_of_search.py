"""Samplers, schedulers and sections that each break their contract in one way."""

from __future__ import annotations

from textwrap import indent

from breakages import Breakage


def sampler(independent: str, build: str = "return Drawn(setting.fresh)") -> str:
    return f"""
import numpy as np
import optuna
from ablate.runners.search.samplers.base import Sampler

ASKED = []

class Drawn(optuna.samplers.RandomSampler):
    def __init__(self, seed):
        super().__init__(seed=seed)

    def sample_independent(self, study, trial, name, distribution):
        drawn = super().sample_independent(study, trial, name, distribution)
        {independent}
        return drawn

class Net(Sampler):
    def build(self, setting):
        {build}
"""


SAMPLERS = {
    "no sampler": Breakage("sampler", sampler("pass", "return 3"), "it proposes", "expected an optuna.samplers"),
    "a width that is none": Breakage(
        "sampler",
        sampler("drawn = 5000 if name == 'model.width' else drawn"),
        "it stays within the space",
        "it proposes model.width = 5000, which the space has not",
    ),
    "seeded by nothing": Breakage(
        "sampler",
        sampler("pass", "return Drawn(None)"),
        "the same seed proposes the same",
        "draw all from setting.fresh",
    ),
    "memory of its own": Breakage(
        "sampler",
        sampler("pass", "ASKED.append(1); return Drawn(setting.fresh + len(ASKED) % 12)"),
        "a search goes on as it would have",
        "each question is put to a fresh sampler",
    ),
}  # fmt: skip


def scheduler(decide: str, build: str = "return Judge()") -> str:
    return f"""
import random
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ablate.runners.search.schedulers.base import Scheduler

class Judge(FIFOScheduler):
    def on_trial_result(self, tune_controller, trial, result):
        {decide}

class Net(Scheduler):
    def build(self, costs, max_epochs):
        {build}
"""


SCHEDULERS = {
    "no scheduler": Breakage(
        "scheduler", scheduler("pass", "return 3"), "it builds", "expected a ray.tune.schedulers.TrialScheduler"
    ),
    "a column that nobody reports": Breakage(
        "scheduler",
        scheduler("return 'STOP' if result['accuracy'] < 0.5 else 'CONTINUE'"),
        "a run with it ends",
        "KeyError: 'accuracy'",
    ),
    "all is stopped": Breakage(
        "scheduler",
        scheduler("return 'STOP' if result['epoch'] == 3 else 'CONTINUE'"),
        "some trial is trained to its end",
        "every trial is stopped before its last epoch (9)",
    ),
    "a lottery": Breakage(
        "scheduler",
        scheduler("return 'STOP' if random.random() < 0.2 else 'CONTINUE'"),
        "the same reports bring the same decisions",
        "keeps nothing from an earlier run",
    ),
}


def section(build: str, title: str = "") -> str:
    return f"""
import time
from ablate.analysis.report.sections.base import Section

class Net(Section):
    title: str = "{title or "Mine"}"

    def build(self, study, frames):
{indent(build, " " * 8)}
"""


SECTIONS = {
    "no heading": Breakage("section", section("return 'x'", "   "), "it has a heading and a place", "give it a title"),
    "a table as it is": Breakage(
        "section", section("return frames.trials"), "it shows something of a small study", "expected a text"
    ),
    "an exception": Breakage(
        "section", section("return frames.trials['dicee'].max()"), "it shows something of a small study", "'dicee'"
    ),
    "tables changed": Breakage(
        "section",
        section("frames.trials['dice'] = frames.trials['dice'].round(1)\nreturn 'x'"),
        "the tables stay as they are",
        "it changes the table trials, which others read too",
    ),
    "the time": Breakage(
        "section", section("return str(time.perf_counter_ns())"), "it shows the same twice", "show no times"
    ),
}
