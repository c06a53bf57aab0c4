"""The head of a report: when, by what, on which machines and of which data, as the records have it."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ablate.analysis.format import listing, several
from ablate.analysis.guard import attempt
from ablate.analysis.report.data_facts import read_looks
from ablate.data.seen import IN_WORDS
from ablate.study.logs import told_of_training
from ablate.study.registrations import read_registrations

if TYPE_CHECKING:
    from ablate.study.records import Record
    from ablate.study.runs import DataRecord
    from ablate.study.study import Study
    from ablate.trial import TrialConfig

_MOST_SETS = 4


def head_of(
    study: Study, configs: Sequence[TrialConfig], records: Sequence[Record], now: datetime.datetime | None = None
) -> dict[str, str]:
    """By name, what stands under a report's title. What no record has is not there, and what cannot be read says why.

    Args:
        configs: of the trained trials.
        records: of the trials that ended, without trivial ones.
        now: when it is written [the present].
    """
    written = now or datetime.datetime.now(datetime.UTC)
    makers: dict[str, Callable[[], str]] = {
        "Report": lambda: f"written {written:%Y-%m-%d %H:%M} UTC",
        "Trained": partial(_trained, study),
        "Claims": partial(_claims, study),
        "Trials": partial(_trials, records),
        "Data": partial(_data, study, configs),
        "Versions": partial(_versions, study, records),
        "Hardware": partial(_hardware, records),
    }
    found = {name: attempt(make, lambda why: f"could not be read: {why}") for name, make in makers.items()}
    return {name: text for name, text in found.items() if text}


def _trained(study: Study) -> str:
    told = told_of_training(study.path)
    if told is None:
        return ""
    on = f" on {listing(list(told.machines))}" if told.machines else ""
    return f"{told.first} to {told.last} UTC{on}" if told.first != told.last else f"{told.first} UTC{on}"


def _claims(study: Study) -> str:
    """Who registered what, and when."""
    said = [
        f"registered by {one.by}, {one.when}" for one in read_registrations(study.path).entries if one.kind == "claim"
    ]
    return listing(said, 4) if said else ""


def _trials(records: Sequence[Record]) -> str:
    if not records:
        return ""
    states = Counter(record.state for record in records)
    seeds = sorted({record.seed for record in records})
    ended = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
    return f"{ended}; {several(len({record.cell for record in records}), 'network')}; {_seeds(seeds)}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listing([str(seed) for seed in seeds], 12)}"


def _data(study: Study, configs: Sequence[TrialConfig]) -> str:
    """Each data set with how many images of how many cases its parts hold, as it was looked at when it was planned."""
    known = study.data_records()
    used = dict.fromkeys((config.data.fingerprint, config.data.name) for config in configs)
    said = [_one(known.get(fingerprint), name) for fingerprint, name in used]
    more = f"; and {several(len(said) - _MOST_SETS, 'more data set')}" if len(said) > _MOST_SETS else ""
    return "; ".join(dict.fromkeys(said[:_MOST_SETS])) + more


def _one(record: DataRecord | None, name: str) -> str:
    title = (record.title if record else "") or name
    looks = read_looks(record.facts) if record else []
    if not looks:
        return title
    parts = [
        f"{IN_WORDS.get(part, part)} {several(one.images, 'image')} of {several(one.cases, 'case')}"
        for part, one in looks[0].parts.items()
    ]
    return f"{title}: {', '.join(parts)}"


def _versions(study: Study, records: Sequence[Record]) -> str:
    """Of what made the trials; of several, how many trials each made."""
    origins = [study.origin(record) for record in records]
    fields = ("ablate", "torch", "monai", "numpy", "python")
    return _counted(
        ", ".join(f"{name} {version}" for name in fields if (version := getattr(origin, name))) for origin in origins
    )


def _hardware(records: Sequence[Record]) -> str:
    return _counted(
        ", ".join(
            [
                f"{record.processor} ({record.device})" if record.processor else record.device,
                several(record.threads, "thread") + " a trial",
                *([f"{record.workers} workers a trial"] if record.workers > 1 else []),
                record.precision,
            ]
        )
        for record in records
    )


def _counted(texts: Iterable[str]) -> str:
    """What is true of trials; of several things, of how many."""
    counts: Mapping[str, int] = Counter(text for text in texts if text)
    if len(counts) < 2:
        return next(iter(counts), "")
    return listing([f"{text} ({several(count, 'trial')})" for text, count in counts.items()], 4)
