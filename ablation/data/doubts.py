"""What may not be as it was meant in the images and masks of a data set, however it is split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ablate.data.fit import box_of, fit_of
from ablate.data.seen import Doubt, Seen, doubt

_STRETCHED = 1.1
_MANY_EMPTY = 0.1
_SIZES_APART = 4
"""The greatest image's area by the least one's."""
_SPACINGS_APART = 1.1
_OBJECTS_GONE, _AREA_GONE, _MANY_GONE = 0.05, 0.005, 1 / 3
"""From which shares on objects that vanish at the size are said: crumbs of a mask are many, and of no area. Of
very many objects whatever their area."""
_BORDER, _OF_MASKS = 0.95, 0.9


def doubts_of_all(seen: Seen, spacings: tuple[tuple[float, float] | None, ...]) -> Iterator[Doubt]:
    """Of images and masks as stored, and of what resizing makes of them."""
    of_one_class = list(_of_one_class(seen))
    yield from of_one_class
    if not of_one_class:
        yield from _empty(seen)
        yield from _inverted(seen)
    yield from _images(seen)
    yield from _sizes(seen)
    yield from _spacings(spacings)
    yield from _vanished(seen)


def _of_one_class(seen: Seen) -> Iterator[Doubt]:
    """Masks of which nothing can be learnt: they hold one class, or none."""
    held = {index for one in seen.facts for index in one.classes}
    if len(held) > 1:
        return
    if not held:
        said = f"every pixel of all {len(seen.ids)} masks is ignored: say by data.ignore what is, and by data.labels"
    elif held == {0}:
        said = (
            f"no mask of {len(seen.ids)} has any foreground (the first: {seen.name(0)}), so nothing can be learnt: "
            "look at what the mask files hold (an alpha channel alone? 0 and 1 lost in a cast?); data.labels says "
            "which values are classes"
        )
    else:
        said = (
            f"every pixel of all {len(seen.ids)} masks is {seen.called(held.pop())} (the first: {seen.name(0)}), so "
            "nothing can be learnt: are the masks of one value, or inverted? data.labels says which values are classes"
        )
    yield Doubt("one class", said, stops=True)


def _empty(seen: Seen) -> Iterator[Doubt]:
    empty = [i for i in range(len(seen.ids)) if not seen.foreground(i)]
    if len(empty) >= max(1, _MANY_EMPTY * len(seen.ids)):
        yield doubt(
            "empty",
            f"{seen.some(empty, 'masks')} have no foreground: an image whose mask and prediction are both empty "
            "scores 1 (or as --empty says), which lifts the mean of whoever claims little",
            empty,
        )


def _inverted(seen: Seen) -> Iterator[Doubt]:
    """A background in the middle, framed by foreground: not said of tissue that fills the image in pieces."""
    if seen.data.classes > 1:
        return
    framed = [i for i, one in enumerate(seen.facts) if one.border >= _BORDER]
    share = float(np.mean([seen.foreground(i) / np.prod(one.size) for i, one in enumerate(seen.facts)]))
    if len(framed) >= _OF_MASKS * len(seen.ids) and 0.5 < share < 1:
        yield doubt(
            "inverted",
            f"foreground is {share:.0%} of the pixels and frames {seen.some(framed)}: if masks are inverted, "
            "data.labels=[255, 0] makes 0 the foreground",
            framed,
        )


def _images(seen: Seen) -> Iterator[Doubt]:
    constant = [i for i, one in enumerate(seen.facts) if one.constant]
    if constant:
        yield doubt(
            "constant",
            f"{seen.some(constant)} are of one value as a network sees them: look at the files, and at data.intensity",
            constant,
        )
    masks = [i for i, one in enumerate(seen.facts) if one.is_mask]
    if masks:
        yield doubt(
            "image is mask",
            f"{seen.some(masks)} hold just what their masks hold: has a mask been put in the image's place?",
            masks,
        )
    types = Counter(one.stored.split()[0] for one in seen.facts)
    if len(types) > 1:
        listed = ", ".join(f"{count} {name}" for name, count in types.most_common(4))
        yield doubt("types", f"images are stored in several types ({listed}), each scaled by its own rule")


def _sizes(seen: Seen) -> Iterator[Doubt]:
    """What resizing makes of images; of patches nothing is resized."""
    fit = fit_of(seen.data)
    if fit == "patches":
        return
    height, width = seen.data.size
    factors = []
    for one in seen.facts:
        box = box_of(one.size, (height, width), fit)
        factors.append((box.height / one.size[0], box.width / one.size[1]))
    ratios = [max(down / across, across / down) for down, across in factors]
    stretched = [i for i, ratio in enumerate(ratios) if ratio > _STRETCHED] if fit == "stretch" else []
    if stretched:
        own_height, own_width = seen.facts[stretched[0]].size
        yield doubt(
            "stretched",
            f"{seen.some(stretched)} are stretched by more than 10 % (the first from {own_height}x{own_width}, at most "
            f"by {max(ratios) - 1:.0%}) to {seen.at_size}: data.fit=pad keeps their aspect",
            stretched,
        )
    enlarged = [i for i, both in enumerate(factors) if min(both) > 1]
    if enlarged:
        own_height, own_width = seen.facts[enlarged[0]].size
        yield doubt(
            "enlarged",
            f"{seen.some(enlarged)} are enlarged to {seen.at_size} (the first from {own_height}x{own_width}), which "
            "costs and shows no more: a smaller data.size would do",
            enlarged,
        )
    areas = [one.size[0] * one.size[1] for one in seen.facts]
    small, large = int(np.argmin(areas)), int(np.argmax(areas))
    if areas[large] > _SIZES_APART * areas[small]:
        yield doubt(
            "sizes",
            f"images are of very different sizes, from {'x'.join(map(str, seen.facts[small].size))} "
            f"({seen.name(small)}) to {'x'.join(map(str, seen.facts[large].size))} ({seen.name(large)}): all become "
            f"{seen.at_size}, where a pixel is of another scale in each",
            (small, large),
        )


def _spacings(spacings: tuple[tuple[float, float] | None, ...]) -> Iterator[Doubt]:
    known = [one for one in spacings if one is not None]
    if not known:
        return
    if len(known) < len(spacings):
        yield doubt(
            "spacing unknown", f"the spacing of {len(spacings) - len(known)} of {len(spacings)} images is not known"
        )
    least, most = min(map(min, known)), max(map(max, known))
    if most > _SPACINGS_APART * least:
        yield doubt(
            "spacings",
            f"pixels are from {least:.3g} to {most:.3g} mm a side: what is as large is not in all as many pixels",
        )


def _vanished(seen: Seen) -> Iterator[Doubt]:
    wholly = [i for i in range(len(seen.ids)) if seen.foreground(i) and not seen.foreground(i, kept=True)]
    remedy = "a larger data.size keeps more, and data.fit=patches all"
    if wholly:
        yield doubt("masks vanish", f"{seen.some(wholly, 'masks')} are empty at {seen.at_size}: {remedy}", wholly)
    for index in seen.classes:
        found = [seen.of(i, index) for i in range(len(seen.ids))]
        objects, gone = sum(one.objects for one in found), sum(one.vanished for one in found)
        area = sum(one.lost for one in found) / max(1, sum(one.drawn for one in found))
        if gone and gone >= (_OBJECTS_GONE if area >= _AREA_GONE else _MANY_GONE) * objects:
            where = [i for i, one in enumerate(found) if one.vanished]
            yield doubt(
                f"objects vanish {index}",
                f"{gone:,} of {objects:,} objects of {seen.called(index)} ({area:.1%} of its area), in "
                f"{seen.some(where)}, are gone at {seen.at_size}: {remedy}",
                where,
            )
