"""A suite of `ablate.testing` for each of this project's own parts: found as users' are, and not listed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ablate.kinds import KINDS, own_parts


def suites(
    base: type, settings: Callable[[str], dict[str, Any]] = lambda name: {}, **attributes: Any
) -> dict[str, type]:
    """A test class for each part of the kind that `base` is of, by its name; `settings` of each, to be small."""
    made = {}
    for name in own_parts(KINDS[base.kind]):
        title = f"Test_{name}"
        made[title] = type(title, (base,), {"part": name, "variants": (settings(name),), **attributes})
    assert made
    return made
