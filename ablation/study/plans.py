"""What was planned into a study, `plans.jsonl`: appended to, never rewritten, and kept twice.

A line is a run, or what a search added to one, with its seal. Of one space and profile there is one run, with the
trials of all. The order of lines says what was begun when, and by which design: names of networks follow from it.
`plans.jsonl.copy` is appended to after it, and so has the same, or, where a kill fell between the two, one line less.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ablate.files import read_regular, write_whole
from ablate.study.manifest import Manifest
from ablate.study.runs import DataRecord, Run
from ablate.study.sealed_lines import append_line, read_lines, seal
from ablate.study.short_names import SEARCH, Planned, short_names

PLANS, COPY = "plans.jsonl", "plans.jsonl.copy"
PLAN = "plan.json"
"""In a trial's folder."""


class _Line(BaseModel):
    """A run as the file has it. What is None is as in the last line of this space and profile."""

    model_config = ConfigDict(extra="forbid")

    space: str
    profile: str
    question: str | None = None
    design: str
    definition: dict[str, Any] | None = None
    factors: dict[str, list[str]]
    trials: dict[str, dict[str, str]]
    data: dict[str, DataRecord] | None = None
    """Those that are new, or said otherwise."""


class _Growing(NamedTuple):
    """A run that more is added to: its levels and trials in place, what else it says by its last line."""

    says: Run
    factors: dict[str, dict[str, None]]
    trials: dict[str, dict[str, str]]


class Plans:
    """Everything that was planned. Adding costs what is added, however much is there."""

    def __init__(self, *runs: Run) -> None:
        self.levels: dict[str, dict[str, str]] = {}
        """Every planned key, with its levels as `space.factor`: the union over runs."""
        self._runs: dict[tuple[str, str], _Growing] = {}
        self._lines: list[_Line] = []
        """What each added, in order."""
        self._names: tuple[int, dict[str, str]] = (0, {})
        """Those of so many lines."""
        self._read: tuple[int, int] = (0, 0)
        """Up to where this has the file: its inode, and how many bytes."""
        for run in runs:
            self.add(run)

    @property
    def runs(self) -> list[Run]:
        """A run each space and profile, in the order in which they were first planned."""
        return [
            one.says.model_copy(
                update={
                    "factors": {name: list(levels) for name, levels in one.factors.items()},
                    "trials": dict(one.trials),
                }
            )
            for one in self._runs.values()
        ]

    @property
    def names(self) -> dict[str, str]:
        """The short names (n1, n2, …) of trials whose networks searches proposed, by key; see `short_names`."""
        lines, names = self._names
        if lines < len(self._lines):
            searched = any(line.design == SEARCH for line in self._lines)
            planned = (Planned(line.space, line.profile, line.design, line.trials) for line in self._lines)
            names = short_names(planned) if searched else {}
            self._names = len(self._lines), names
        return names

    def add(self, run: Run) -> None:
        """Add a run to what an earlier one of the same space and profile had planned."""
        if (line := self._added_by(run)) is not None:
            self._lines.append(line)
        place = run.space, run.profile
        before = self._runs.get(place)
        factors = {name: before.factors.get(name, {}) if before else {} for name in run.factors}
        for name, of_factor in run.factors.items():
            factors[name].update(dict.fromkeys(of_factor))
        trials = before.trials if before else {}
        trials.update(run.trials)
        data = (before.says.data if before else {}) | run.data
        self._runs[place] = _Growing(
            run.model_copy(update={"factors": {}, "trials": {}, "data": data}), factors, trials
        )
        for key, levels in run.trials.items():
            named = {f"{run.space}.{name}": level for name, level in levels.items()}
            self.levels.setdefault(key, {}).update(named)

    def _added_by(self, run: Run) -> _Line | None:
        """A run as far as it says anything new; None where it does not."""
        before = self._runs.get((run.space, run.profile))
        known = before.says if before else None
        trials = before.trials if before else {}
        factors = before.factors if before else {}
        known_data = known.data if known else {}
        line = _Line(
            space=run.space,
            profile=run.profile,
            question=None if known and known.question == run.question else run.question,
            design=run.design,
            definition=None if known and known.definition == run.definition else run.definition,
            factors={
                name: [level for level in levels if level not in factors.get(name, {})]
                for name, levels in run.factors.items()
            },
            trials={key: levels for key, levels in run.trials.items() if trials.get(key) != levels},
            data={name: one for name, one in run.data.items() if known_data.get(name) != one} or None,
        )
        told = _Line(
            space=run.space,
            profile=run.profile,
            design=known.design if known else "",
            factors={name: [] for name in factors},
            trials={},
        )
        return None if line == told else line

    def of(self, key: str) -> list[Run]:
        """The runs that planned a trial, each with that trial alone, and of a range's levels with its own."""
        found = []
        for one in self._runs.values():
            if key in one.trials:
                own = one.trials[key]
                factors = {
                    name: [own[name]] if name in own and one.says.is_range(name) else list(levels)
                    for name, levels in one.factors.items()
                }
                found.append(one.says.model_copy(update={"factors": factors, "trials": {key: own}}))
        return found

    # On disk ---------------------------------------------------------------------------------------------------------

    def append(self, study: Path, run: Run) -> None:
        """Add a run for good, as far as it says anything new, after what others that share the study have added.

        Raises `OSError`.
        """
        self.catch_up(study)
        line = self._added_by(run)
        if line is None:
            return
        for name in (PLANS, COPY):
            append_line(study / name, line.model_dump_json(exclude_none=True).encode())
        self.add(run)
        self._note(study)

    def write(self, study: Path) -> None:
        """Write all of it anew, in the order in which it was planned, and the copy. Raises `OSError`."""
        lines = [seal(one.model_dump_json(exclude_none=True).encode()) + b"\n" for one in self._lines]
        for name in (PLANS, COPY):
            write_whole(study / name, b"".join(lines))
        self._note(study)

    def take(self, line: bytes) -> bool:
        """Add what a line says; false where it says nothing that could be planned."""
        try:
            said = _Line.model_validate_json(line)
            before = self._runs.get((said.space, said.profile))
            known = {"question": before.says.question, "definition": before.says.definition} if before else {}
            whole = {"question": "", "definition": {}} | known | said.model_dump(exclude_none=True)
            self.add(Run.model_validate(whole))
        except ValidationError:
            return False
        return True

    def catch_up(self, study: Path) -> None:
        """Add what was appended since this was read; what was written anew has nothing less. Raises `OSError`."""
        try:
            status = (study / PLANS).stat()
            inode, size = self._read
            if (status.st_ino, status.st_size) != self._read:
                content = read_regular(study / PLANS)
                start = size if status.st_ino == inode and len(content) >= size else 0
                whole = content.rfind(b"\n") + 1  # another may be in the middle of a line
                for line in read_lines(content[start:whole]).lines:
                    self.take(line)
                self._read = status.st_ino, whole
        except FileNotFoundError:
            pass

    def _note(self, study: Path) -> None:
        status = (study / PLANS).stat()
        self._read = status.st_ino, status.st_size


def read_plans(study: Path) -> tuple[Plans, str]:
    """What was planned, and why it is not the file's, and where it is from; else empty.

    Each line is the file's, or else its copy's: nothing is lost but what neither has.
    """
    own, copied = (_content(study / name) for name in (PLANS, COPY))
    file, copy = read_lines(own or b""), read_lines(copied or b"")
    plans = Plans()
    taken = [plans.take(line) for line in file.lines]
    if own is not None and all(taken) and not file.damaged and set(copy.lines) <= set(file.lines):
        plans._note(study)
        return plans, ""
    plans = Plans()
    rest = [line for line in file.lines if line not in set(copy.lines)]
    taken = [plans.take(line) for line in (*copy.lines, *rest)]
    if own is None and copied is None:
        return plans, ""
    what = "is missing" if own is None else "is damaged"
    if copied is None or copy.damaged or not all(taken):
        return plans, f"{PLANS} {what}, and so is its copy: a line that neither has is lost"
    return plans, f"{PLANS} {what}: read from {COPY}"


def are_kept_twice(study: Path) -> bool:
    """Whether the plans and their copy are the same."""
    return _content(study / PLANS) == _content(study / COPY)


def _content(file: Path) -> bytes | None:
    """None for what is no file."""
    try:
        return read_regular(file)
    except OSError:
        return None


# What a trial's folder has of its plan -------------------------------------------------------------------------------


class _TrialPlan(BaseModel):
    """`plan.json`: what was planned of one trial when it was taken in, and the study's own facts."""

    model_config = ConfigDict(extra="forbid")

    study: Manifest
    """With this trial alone in its runs."""


def trial_plan(manifest: Manifest, plans: Plans, key: str) -> bytes:
    """`plan.json` of a trial."""
    part = manifest.model_copy(update={"runs": plans.of(key)})
    return _TrialPlan(study=part).model_dump_json(indent=1).encode()


def read_trial_plan(content: bytes) -> Manifest:
    """The study's facts, with the runs that planned the trial. Raises `ValueError` if `content` is no such plan."""
    return _TrialPlan.model_validate_json(content).study
