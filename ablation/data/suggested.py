"""Names of images that suggest which of them are of one case: `patient01_slice003`, `case_12-04`, `img_12_3`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_PATTERNS = (
    r"^(.*[0-9])[^0-9]+[0-9]+$",  # all but the last number
    r"^([^0-9]*[0-9]+)",  # up to the first number
    r"^([^0-9]*[A-Za-z])[^0-9A-Za-z]+[0-9]+$",  # words before the only number
)
_LEAST_WORDS = 4
"""Words before numbers that are cases: fewer are rather classes, or the names of parts."""
_LEAST_SHARE = 0.5
"""Of the images: how many have another of their case."""


class Suggested(NamedTuple):
    """A pattern, as `data.case` takes it, and the case of each name by it; a name that it does not fit is its own."""

    pattern: str
    cases: tuple[str, ...]


def suggested_cases(names: Sequence[str]) -> Suggested | None:
    """The finest cases that names suggest: at least two, most of them of several images. None where they do not."""
    for pattern in _PATTERNS:
        cases = tuple(found[1] if (found := re.search(pattern, name)) else name for name in names)
        count = Counter(cases)
        several = sum(count[case] > 1 for case in cases)
        words = not any(map(str.isdigit, "".join(count)))
        if len(count) >= (_LEAST_WORDS if words else 2) and several >= _LEAST_SHARE * len(names):
            return Suggested(pattern, cases)
    return None
