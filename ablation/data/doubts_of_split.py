"""What may not be as it was meant in how a data set is split: parts that hold nothing, and images in two of them."""

from __future__ import annotations

from collections.abc import Iterator

from ablate.data.duplicates import Pair, exact, nearly, neighbours
from ablate.data.seen import IN_WORDS, PARTS, Doubt, Seen, doubt
from ablate.data.suggested import suggested_cases
from ablate.errors import brief

_FEWEST_NEIGHBOURS = 4
"""In contiguous blocks there is a pair of neighbours at each border."""


def doubts_of_split(seen: Seen) -> Iterator[Doubt]:
    """Of the parts' foreground and classes, and of what is in two parts."""
    if any(map(seen.foreground, range(len(seen.ids)))):  # else that is said of all masks
        yield from _training(seen)
        yield from _without_foreground(seen)
        yield from _classes(seen)
    yield from _twice(seen)
    yield from _cases(seen)


def _training(seen: Seen) -> Iterator[Doubt]:
    if any(seen.foreground(i, kept=True) for i in seen.parts.train):
        return
    drawn = any(map(seen.foreground, seen.parts.train))
    if drawn:
        said = f"no training mask has any foreground left at {seen.at_size}: choose a larger data.size"
    else:
        said = (
            f"none of the {len(seen.parts.train)} training masks has any foreground, so nothing can be learnt: split "
            "otherwise (protocol.split.shuffle, seed, stratify=foreground)"
        )
    yield Doubt("training", said, seen.parts.train, stops=True)


def _without_foreground(seen: Seen) -> Iterator[Doubt]:
    remedy = "split otherwise (protocol.split.shuffle, seed, stratify=foreground)"
    what = {
        "val": "so the epoch that claims nothing is selected",
        "test": "so no score says what was found",
    }
    for name in ("val", "test"):
        part = getattr(seen.parts, name)
        if not any(seen.foreground(i, kept=True) for i in part):
            left = f" left at {seen.at_size}" if any(map(seen.foreground, part)) else ""
            yield doubt(
                f"{name} without foreground",
                f"no {IN_WORDS[name]} image has foreground{left}: who claims nothing scores 1, {what[name]}; {remedy}",
                part,
            )


def _classes(seen: Seen) -> Iterator[Doubt]:
    """Classes of several that a part lacks, where another has them."""
    if seen.data.classes == 1:
        return
    has = {
        name: {i for i in seen.classes if any(seen.of(image, i).kept for image in part)}
        for name, part in zip(PARTS, seen.parts, strict=True)
    }
    for name, others, so in (
        ("train", ("val", "test"), "it cannot be learnt"),
        ("val", ("train", "test"), "no epoch is selected for it"),
        ("test", ("train", "val"), "no score says how well it is found"),
    ):
        lacks = sorted((has[others[0]] | has[others[1]]) - has[name]) if has[name] else []
        if lacks:
            listed = ", ".join(brief(seen.called(i)) for i in lacks[:6]) + (", …" if len(lacks) > 6 else "")
            yield doubt(f"{name} lacks", f"no {IN_WORDS[name]} mask has {listed}, which others have: {so}")


def _twice(seen: Seen) -> Iterator[Doubt]:
    """Images that are in two parts, and those that look alike."""
    same = exact(seen.facts, seen.parts)
    if same:
        said = f"{_pairs(seen, same)}, pixel for pixel: what is judged on was trained on; keep one of each, or give"
        yield doubt("same", f"{said} them one case (data.case)", _both(same))
    twice = {pair.second for pair in same}
    alike = [pair for pair in nearly(seen.thumbnails, seen.parts, seen.cases) if pair.second not in twice]
    if alike:
        said = f"{_pairs(seen, alike)}, but for a few pixels, noise or compression: keep one of each, or give them one"
        yield doubt("alike", f"{said} case (data.case)", _both(alike))


def _pairs(seen: Seen, pairs: list[Pair]) -> str:
    first, second = pairs[0]
    count = "1 image is" if len(pairs) == 1 else f"{len(pairs)} images are"
    return (
        f"{count} in two parts (the first: {seen.name(second)} of {seen.where(second)} is {seen.name(first)} of "
        f"{seen.where(first)})"
    )


def _cases(seen: Seen) -> Iterator[Doubt]:
    """Images of one case in several parts, as far as names or looks suggest it, where nobody said the cases."""
    if getattr(seen.data, "case", ""):
        return
    suggested = suggested_cases(seen.cases)
    if suggested is not None:
        parts_of: dict[str, set[str]] = {}
        for image in range(len(seen.ids)):
            parts_of.setdefault(suggested.cases[image], set()).add(seen.where(image))
        divided = [case for case, held in parts_of.items() if len(held - {"no part"}) > 1]
        if divided:
            yield doubt(
                "names",
                f"names suggest {len(parts_of)} cases (patients, volumes), and slices or images of {len(divided)} of "
                f"them are in several parts (the first: '{brief(divided[0])}'): data.case='{suggested.pattern}' keeps "
                "each whole",
                [i for i, case in enumerate(suggested.cases) if case in set(divided)],
            )
            return
    beside = neighbours(seen.thumbnails, seen.parts, seen.cases)
    if len(beside) >= _FEWEST_NEIGHBOURS:
        first, second = beside[0]
        yield doubt(
            "neighbours",
            f"{len(beside)} pairs of neighbours are alike, as slices of one volume are, and in different parts (the "
            f"first: {seen.name(first)} of {seen.where(first)}, {seen.name(second)} of {seen.where(second)}): say "
            "which are of one case (data.case), or keep neighbours together (protocol.split.shuffle=false)",
            _both(beside),
        )


def _both(pairs: list[Pair]) -> list[int]:
    return sorted({image for pair in pairs for image in pair})
