"""A suite of `ablate.testing` for each of this project's own parts: found as users' are, and not listed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ablate.kinds import KINDS, own_parts


def suites(
    base: type,
    settings: Callable[[str], dict[str, Any]] = lambda name: {},
    local: Callable[[str], dict[str, Any]] = lambda name: {},
) -> dict[str, type]:
    """A test class for each part of the kind that `base` is of, by its name.

    `settings` are those of each: what it must have, and what makes it small. `local`: the paths.
    """
    made = {}
    for name in own_parts(KINDS[base.kind]):
        title = f"Test_{name}"
        made[title] = type(title, (base,), {"part": name, "variants": (settings(name),), "local": local(name)})
    assert made
    return made
