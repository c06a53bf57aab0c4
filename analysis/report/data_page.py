"""The page of a look at data sets: what each holds, what is doubted, and images with their masks to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

from markupsafe import Markup

from ablate.analysis.format import shortened
from ablate.analysis.report.data_facts import LookFacts, look_table, share
from ablate.analysis.report.outlines import colour_of, outlined, png_of
from ablate.analysis.report.page import laid_out, report_page, section
from ablate.analysis.report.sections.segmentations import Shown
from ablate.data.seen import IN_WORDS, PARTS
from ablate.data.source import IGNORED
from ablate.search_spaces.looks import Taken

_MOST, _LEAST = 60, 9
"""Images on a page, and of each data set."""
_DOUBTFUL = 0.6
"""The most of these that are shown because they are in doubt."""
_MOST_KEYS = 12
_SHORT = {
    "same": "in two parts",
    "alike": "in two parts",
    "names": "its case is divided",
    "neighbours": "like its neighbour",
    "empty": "empty",
    "masks vanish": "empties at this size",
    "constant": "of one value",
    "image is mask": "its own mask",
    "inverted": "inverted?",
    "stretched": "stretched",
    "enlarged": "enlarged",
    "sizes": "of another size",
}
"""By kind of doubt, what is said beneath an image."""
_NOT_OF_IMAGES = ("training", "val without foreground", "test without foreground")
"""Doubts about a part as a whole, as others are about all images: none of these is more worth looking at."""


class Overlay(NamedTuple):
    """An image as the page has it."""

    image: Shown
    name: str
    said: str
    doubts: tuple[str, ...]


class PartShown(NamedTuple):
    """Images of one part of a data set."""

    name: str
    said: str
    shown: tuple[Overlay, ...]


def data_page(title: str, taken: Sequence[Taken], unread: Iterable[str] = ()) -> str:
    """The whole document. `unread`: what could not be read, a line each."""
    most = max(_LEAST, _MOST // max(1, len(taken)))
    sections = [section(one.look.called, partial(_section, one, most)) for one in taken]
    stops = [f"{one.look.called}: {one.look.stops}" for one in taken if one.look.stops]
    first = dict.fromkeys([*unread, *stops])  # what stopped a look is why it could not be used, too
    return report_page(title, "Images as a network sees them, with their masks.", list(first), sections)


def _section(taken: Taken, most: int) -> Markup:
    look = LookFacts.model_validate(taken.look.plain())
    return laid_out(
        "data_set",
        title="",
        looks=[(look.in_words(), look_table(look))],
        more="",
        doubts=[one.text for one in taken.doubts],
        others="",
        keys=_keys(taken),
        pictures=list(_pictures(taken, most)),
    )


def _keys(taken: Taken) -> list[tuple[str, str]]:
    """The classes' colours; none for what is hatched."""
    classes = taken.look.parts[0].classes[:_MOST_KEYS]
    keys = [(f"rgb{colour_of(place)}", one.name) for place, one in enumerate(classes, 1)]
    ignored = any((mask == IGNORED).any() for mask in taken.dataset.masks)
    return [*keys, ("", "ignored")] if ignored else keys


def _pictures(taken: Taken, most: int) -> Iterable[PartShown]:
    doubts = _doubts_by_image(taken)
    if taken.parts is None:
        parts = {"all": tuple(range(len(taken.dataset)))}
    else:
        parts = {IN_WORDS[name]: part for name, part in zip(PARTS, taken.parts, strict=True)}
        if taken.parts.val == taken.parts.test:
            parts = {"training": taken.parts.train, "validation and test": taken.parts.test}
    chosen = choose(doubts, parts.values(), most)
    for name, part in parts.items():
        shown = [image for image in part if image in chosen]
        if shown:
            title = name.capitalize()
            overlays = tuple(_overlay(taken, image, doubts.get(image, ())) for image in shown)
            yield PartShown(title, f"{len(shown)} of {len(part)} images", overlays)


def _doubts_by_image(taken: Taken) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for one in taken.doubts:
        if one.doubt.kind not in _NOT_OF_IMAGES and len(one.doubt.images) < len(taken.dataset):
            text = _SHORT.get(one.doubt.kind, "objects vanish" if one.doubt.kind.startswith("objects") else "")
            for image in one.doubt.images if text else ():
                found[image] = (*found.get(image, ()), text)
    return found


def choose(doubts: dict[int, tuple[str, ...]], parts: Iterable[Sequence[int]], most: int) -> set[int]:
    """Which images are worth looking at: of every kind of doubt some, then of every part, evenly spaced."""
    by_text: dict[str, list[int]] = {}
    for image, texts in doubts.items():
        for text in texts:
            by_text.setdefault(text, []).append(image)
    in_turn = [image for row in zip_longest(*by_text.values()) for image in row if image is not None]
    chosen = list(dict.fromkeys(in_turn))[: int(most * _DOUBTFUL)]
    smallest_first = sorted(parts, key=len)
    for place, part in enumerate(smallest_first):
        others = [image for image in part if image not in set(chosen)]
        count = min(len(others), (most - len(chosen)) // (len(smallest_first) - place))
        chosen += [others[int((at + 0.5) * len(others) / count)] for at in range(count)]
    return set(chosen)


def _overlay(taken: Taken, image: int, doubts: tuple[str, ...]) -> Overlay:
    data = taken.dataset
    picture = outlined(data.images[image], data.masks[image])
    name, case = shortened(data.ids[image], 40), data.groups[image]
    alone = case == data.ids[image] or len(set(data.groups)) == 1
    of_case = "" if alone else f"{shortened(case, 40)}, "
    drawn = _foreground(taken, image)
    alt = f"Image {name} with the outline of its mask"
    return Overlay(Shown(png_of(picture), alt, *picture.size), name, f"{of_case}{drawn}", doubts)


def _foreground(taken: Taken, image: int) -> str:
    """How much of an image is foreground, and of how many objects."""
    if not taken.dataset.facts.images:
        return ""
    one = taken.dataset.facts.images[image]
    drawn = sum(found.drawn for index, found in one.classes.items() if index)
    objects = sum(found.objects for found in one.classes.values())
    return f"{share(drawn / (one.size[0] * one.size[1]))}, {objects:,} object{'' if objects == 1 else 's'}"
