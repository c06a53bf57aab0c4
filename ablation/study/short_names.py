"""Short names of the networks that searches proposed: n1, n2, … in the order in which the study began them.

They follow from the lines of the plans, which are only ever appended to: what has a name keeps it, whatever comes
after. A network that a plan asked for before a search did has none: it keeps the label of its levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

SEARCH = "search"
"""The design of what searches propose."""
_SHORT = re.compile("n[1-9][0-9]*")


class Planned(NamedTuple):
    """What a line of the plans added: trials by key, each with its levels."""

    space: str
    profile: str
    design: str
    trials: Mapping[str, Mapping[str, str]]


def is_short(name: str) -> bool:
    """Whether a text looks like a short name. No key does."""
    return _SHORT.fullmatch(name) is not None


def short_names(lines: Iterable[Planned]) -> dict[str, str]:
    """By key, the names of trials of networks that a search was the first to propose.

    The trials of a space and profile with the same levels are one network, whatever their seeds and folds. Where they
    were trained under several settings, several cells share its name.
    """
    by_key: dict[str, str] = {}
    networks: dict[tuple[str, str, frozenset[tuple[str, str]]], str] = {}
    begun = 0
    for line in lines:
        for key, levels in line.trials.items():
            network = line.space, line.profile, frozenset(item for item in levels.items() if item[0] != "seed")
            if network not in networks:
                if key not in by_key and line.design == SEARCH:
                    begun += 1
                    networks[network] = f"n{begun}"
                else:
                    networks[network] = by_key.get(key, "")
            by_key.setdefault(key, networks[network])
    return {key: name for key, name in by_key.items() if name}
