"""What a study keeps of its data sets, read back: checked, for a study may be anyone's; and as tables of a page."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ablate.analysis.format import several
from ablate.analysis.report.table import Header, Place, Table, TableRow, headed, number, worded
from ablate.data.seen import IN_WORDS
from ablate.errors import InputError
from ablate.settings import explain

_Count = Annotated[int, Field(ge=0, le=10**15)]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Name = Annotated[str, StringConstraints(max_length=200)]
_Side = Annotated[int, Field(ge=0, le=10**7)]
_FITS = {"stretch": "resized to", "pad": "padded to", "patches": "in patches of"}


class _Kept(BaseModel):
    """Of a newer version there may be more: it is not shown."""

    model_config = ConfigDict(extra="ignore")


class ClassFacts(_Kept):
    name: _Name
    images: _Count
    drawn: _Share
    kept: _Share
    objects: _Count = 0
    vanished: _Count = 0


class PartFacts(_Kept):
    images: _Count
    cases: _Count
    empty: _Count
    classes: Annotated[list[ClassFacts], Field(max_length=300)]


class LookFacts(_Kept):
    """A look at a data set, as `ablate.data.check.Look.plain` writes it."""

    size: tuple[_Side, _Side]
    fit: _Name
    stored: Annotated[dict[_Name, _Count], Field(max_length=50)]
    least: tuple[_Side, _Side]
    most: tuple[_Side, _Side]
    spacing: tuple[float, float] | None = None
    passed_over: _Count = 0
    parts: Annotated[dict[_Name, PartFacts], Field(max_length=5)]

    @property
    def at_size(self) -> str:
        return _sides(self.size)

    def in_words(self) -> str:
        """How images are stored, and what they are brought to."""
        stored = ", ".join(f"{several(count, 'image')} of {name}" for name, count in self.stored.items())
        sizes = _sides(self.least) if self.least == self.most else f"{_sides(self.least)} to {_sides(self.most)}"
        spacing = ""
        if self.spacing is not None:
            low, high = (f"{side:.3g}" for side in self.spacing)
            spacing = f", {low} mm a pixel" if low == high else f", {low} to {high} mm a pixel"
        over = f"; {several(self.passed_over, 'file')} passed over" if self.passed_over else ""
        fit = _FITS.get(self.fit, "at")
        return f"{stored + ', ' if stored else ''}{sizes}{spacing}, {fit} {self.at_size}{over}"


def read_looks(facts: dict[str, Any]) -> list[LookFacts]:
    """The looks among what a study keeps of a data set. Raises `InputError` for what cannot be one."""
    looks = facts.get("looks", [])
    if not isinstance(looks, list) or len(looks) > 50:
        raise InputError("what is kept of the data set is no list of looks")
    try:
        return [LookFacts.model_validate(one) for one in looks]
    except ValidationError as error:
        raise InputError(f"what is kept of the data set cannot be read: {explain(error)}") from None


def look_table(found: LookFacts) -> Table:
    """A row each part and class: how many images have it, and how much of them it is."""
    at_size = "Of pixels" if found.fit == "patches" else f"At {found.at_size}"
    headers = (
        Header("Part"),
        Header("Cases", number=True),
        Header("Images", number=True),
        Header("Empty masks", number=True),
        Header("Class"),
        Header("In images", number=True),
        Header("Drawn", number=True),
        Header(at_size, number=True),
        Header("Objects", number=True),
        Header("Vanished", number=True),
    )
    rows = [row for part, one in found.parts.items() for row in _rows(IN_WORDS.get(part, part), one)]
    return Table("What the parts hold", "held", headers, tuple(rows))


def _rows(part: str, found: PartFacts) -> list[TableRow]:
    first = (headed(part), *(number(count, f"{count:,}") for count in (found.cases, found.images, found.empty)))
    rest = (headed(""), *([Place("", "", number=True)] * 3))
    return [
        TableRow(
            (
                *(rest if place else first),
                worded(one.name),
                number(one.images, f"{one.images:,}"),
                number(one.drawn, share(one.drawn)),
                number(one.kept, share(one.kept)),
                number(one.objects, f"{one.objects:,}"),
                number(one.vanished, f"{one.vanished:,}"),
            )
        )
        for place, one in enumerate(found.classes or [ClassFacts(name="", images=0, drawn=0, kept=0)])
    ]


def share(value: float) -> str:
    """A part of all pixels: `12.3 %`, and of what is there but small `<0.1 %`."""
    return "<0.1 %" if 0 < value < 0.001 else f"{100 * value:.1f} %"


def _sides(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
