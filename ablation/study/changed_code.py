"""Trials that are new to a study only because code that they name is another than it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ablate.errors import InputError
from ablate.kinds import without_makers
from ablate.study.study import Study
from ablate.trial import TrialConfig

if TYPE_CHECKING:
    from ablate.part import Part


def changed_code(study: Study, trials: Iterable[TrialConfig]) -> list[str]:
    """One line for each part whose code changed since trials of `study` that `trials` ask for again were trained.

    What made a part is in the key, so those trials have new keys, and are not in the study.
    """
    asked = {key: trial for trial in trials if (key := trial.key) and _is_of_others(trial)}
    if not asked:
        return []
    known: dict[str, list[TrialConfig]] = {}
    for key in study.records():
        try:
            config = study.config(key)
        except InputError:  # damaged, as `ablate verify` says
            continue
        if key not in asked and _is_of_others(config):
            known.setdefault(_asked(config), []).append(config)
    again: Counter[tuple[str, str, str]] = Counter()
    for key, trial in asked.items():
        if key not in study.records() and (earlier := known.get(_asked(trial))):
            again.update(_differences(earlier[-1], trial))
    return [
        f"{count} trial{'s are' if count > 1 else ' is'} new because {name} changed ({before} → {now})"
        for (name, before, now), count in again.items()
    ]


def _is_of_others(trial: TrialConfig) -> bool:
    return any(part.made_by for part in trial.parts.values())


def _asked(trial: TrialConfig) -> str:
    """What was asked for, whatever code it named."""
    return json.dumps(without_makers(trial.canonical()), sort_keys=True)


def _differences(earlier: TrialConfig, now: TrialConfig) -> list[tuple[str, str, str]]:
    def made(part: Part) -> str:
        return part.made_by or "of this project"

    pairs = [(earlier.parts[place], part) for place, part in now.parts.items()]
    return list(dict.fromkeys((one.name, made(one), made(part)) for one, part in pairs if made(one) != made(part)))
