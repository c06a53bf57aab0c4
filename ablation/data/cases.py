"""Which case each image is of, which part of a fixed split, and which stratum, as `data.case` and `data.parts` say."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ablate.data.images import one_form, stem
from ablate.data.one_by_one import OneByOne
from ablate.data.settings import PART_NAMES, DataSource, is_table
from ablate.data.source import Sample
from ablate.errors import InputError, brief
from ablate.files import read_regular
from ablate.settings import Since

_MOST_BYTES = 100_000_000


def with_cases(samples: Sequence[Sample], config: DataSource) -> Sequence[Sample]:
    """The samples of any data set, with `group`, `part`, `stratum` and `spacing` as its settings say.

    Raises `InputError`, in one line, for an image that they do not cover, for rows of a table that are not an image's,
    and for a case in two parts or strata.
    """
    if isinstance(samples, OneByOne):
        return samples.like(_with_cases(samples.outline, config))
    return _with_cases(samples, config)


def _with_cases(samples: Sequence[Sample], config: DataSource) -> list[Sample]:
    spacing = config.spacing if _is_everyones(config, "spacing") else None
    found = [one._replace(spacing=spacing) if spacing else one for one in samples]
    if _says(config, "case"):
        found = _with_groups(found, config)
    if _says(config, "parts"):
        found = _with_parts(found, config)
        _check_one_of_each_case(found, [one.part for one in found], "the parts")
    if any(one.stratum for one in found):
        _check_one_of_each_case(found, [one.stratum for one in found], "the strata")
    return found


def says_cases(config: DataSource) -> bool:
    """Whether the user says what cases, or what parts, there are."""
    return _says(config, "case") or _says(config, "parts")


def _says(config: DataSource, name: str) -> bool:
    return _is_everyones(config, name) and bool(getattr(config, name))


def _is_everyones(config: DataSource, name: str) -> bool:
    """Whether a setting means what it does for every data set: a class of the user's may have one of its own so called,
    from before there was this one."""
    return any(isinstance(mark, Since) for mark in type(config).model_fields[name].metadata)


def name_of(sample: Sample) -> str:
    """The name that tells the case: the image's, and the volume's of a slice of one."""
    is_slice = sample.id.startswith(f"{sample.group}_z") and sample.id[len(sample.group) + 2 :].isdecimal()
    return sample.group if is_slice else sample.id


# Cases ---------------------------------------------------------------------------------------------------------------


def _with_groups(samples: list[Sample], config: DataSource) -> list[Sample]:
    samples = [one._replace(volume=one.volume or one.group) for one in samples]  # a case may be of several
    if is_table(config.case):
        table = _read_table(config, config.case)
        rows = _of_each_image(samples, table.having("image", "case"))
        strata = [row.values.get("stratum", "") for row in rows]
        if "stratum" in table.columns and not all(strata):
            raise rows[strata.index("")].wrong("has no stratum")
        pairs = zip(samples, rows, strata, strict=True)
        return [one._replace(group=row.values["case"], stratum=stratum) for one, row, stratum in pairs]
    if config.case == "folder":
        return [one._replace(group=_folder_of(name_of(one), config)) for one in samples]
    pattern = re.compile(config.case)
    return [one._replace(group=_matched(pattern, name_of(one))) for one in samples]


def _folder_of(name: str, config: DataSource) -> str:
    folders = PurePosixPath(name).parts[:-1]
    if config.parts == "folder":
        folders = folders[1:]
    if not folders:
        raise InputError(f"image '{brief(name)}' is in no sub-folder, and data.case is folder: give each case its own")
    return "/".join(folders)


def _matched(pattern: re.Pattern[str], name: str) -> str:
    match = pattern.search(one_form(name))
    case = match.group(pattern.groups) if match else None
    if not case:  # a group may match nothing
        raise InputError(
            f"image '{brief(name)}' tells no case: its name does not match data.case '{brief(pattern.pattern)}'"
        )
    return case


# Parts ---------------------------------------------------------------------------------------------------------------


def _with_parts(samples: list[Sample], config: DataSource) -> list[Sample]:
    if is_table(config.parts):
        table = _read_table(config, config.parts)
        if "image" in table.columns:
            rows = _of_each_image(samples, table.having("image", "part"))
        else:
            rows = _of_each_case(samples, table.having("case", "part"))
        parts = [(PART_NAMES.get(row.values["part"].lower(), ""), row) for row in rows]
        for part, row in parts:
            if not part:
                raise row.wrong(f"has the part '{brief(row.values['part'])}': expected train, val or test")
        return [one._replace(part=part) for one, (part, _) in zip(samples, parts, strict=True)]
    found = []
    for one in samples:
        folder, slash, _ = name_of(one).partition("/")
        own = PART_NAMES.get(folder.lower())
        if not slash or own is None:
            raise InputError(
                f"image '{brief(one.id)}' is in no folder of a part, and data.parts is folder: expected "
                "sub-folders train, val and test"
            )
        found.append(one._replace(part=own))
    return found


def _check_one_of_each_case(samples: Sequence[Sample], values: Sequence[str], what: str) -> None:
    first: dict[str, tuple[str, str]] = {}
    for one, value in zip(samples, values, strict=True):
        other, image = first.setdefault(one.group, (value, one.id))
        if other != value:
            raise InputError(
                f"case '{brief(one.group)}' is in {what} {brief(other)} ('{brief(image)}') and {brief(value)} "
                f"('{brief(one.id)}'): a case is in one"
            )


# Tables --------------------------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    file: Path
    line: int
    values: dict[str, str]

    def wrong(self, what: str) -> InputError:
        return InputError(f"'{self.file}', line {self.line}: {what}")


class _Table(NamedTuple):
    file: Path
    columns: tuple[str, ...]
    rows: list[_Row]

    def having(self, *columns: str) -> _Table:
        """The same. Raises `InputError` where a column is missing, or a row has nothing in it."""
        for column in columns:
            if column not in self.columns:
                has = ", ".join(brief(name) for name in self.columns)
                raise InputError(f"'{self.file}' has the columns {has}: expected {' and '.join(columns)}")
            for row in self.rows:
                if not row.values[column]:
                    raise row.wrong(f"has no {column}")
        return self


def _read_table(config: DataSource, name: str) -> _Table:
    """The rows of a CSV in the data set's folder, by its header's names. Raises `InputError` for what is none."""
    if config.root is None:
        raise InputError(f"{config.called}: '{brief(name)}' is looked for in its folder: give --data-dir")
    path = config.root / name
    try:
        found = path.resolve(strict=True)
        if found.stat().st_size > _MOST_BYTES:
            raise InputError(f"'{path}' is larger than {_MOST_BYTES:,} bytes: expected a table of images")
        text = read_regular(found).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"'{path}' is not UTF-8 text: save it as CSV, UTF-8") from None
    except FileNotFoundError:
        raise InputError(f"'{path}' does not exist: data.case and data.parts name a CSV in {config.root}") from None
    except (OSError, RuntimeError) as error:
        raise InputError(f"'{path}' cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if "\0" in text:
        raise InputError(f"'{path}' is not UTF-8 text: save it as CSV, UTF-8")
    lines = _lines(path, text)
    _, header = next(lines, (0, []))
    columns = tuple(one_form(column).lower() for column in header)
    if len(columns) == 1 and re.search("[;\t]", columns[0]):
        raise InputError(f"'{path}', line 1: its columns are not separated by commas: save it with commas")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice or not columns:
        raise InputError(
            f"'{path}', line 1: " + (f"column {brief(twice[0])} is there twice" if twice else "it is empty")
        )
    rows = []
    for line, fields in lines:
        if len(fields) != len(columns):
            raise InputError(f"'{path}', line {line}: it has {len(fields)} fields, and the header {len(columns)}")
        rows.append(_Row(path, line, dict(zip(columns, fields, strict=True))))
    return _Table(path, columns, rows)


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """What is in each line, without those that hold nothing."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, [field.strip() for field in fields]
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}: {error}") from None


def _of_each_image(samples: Sequence[Sample], table: _Table) -> list[_Row]:
    """The row of each sample. Raises `InputError` for an image without one, or with two, and a row without an image."""
    known = _images_by_name(samples)
    found: dict[int, _Row] = {}
    for row in table.rows:
        given = one_form(row.values["image"]).replace("\\", "/").removeprefix("./")
        places = known.get(given) or known.get(_without_suffix(given))
        if not places:
            raise row.wrong(f"there is no image '{brief(row.values['image'])}'{_nearest(given, known)}")
        for place in places:
            if (other := found.setdefault(place, row)) is not row:
                raise row.wrong(f"image '{brief(row.values['image'])}' is in line {other.line} already")
    for place, sample in enumerate(samples):
        if place not in found:
            raise InputError(f"'{table.file}' has no row for image '{brief(name_of(sample))}': give every image one")
    return [found[place] for place in range(len(samples))]


def _without_suffix(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + stem(Path(file))


def _images_by_name(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """Places of samples by what a table may call them: image, volume or slice; without a folder if that is plain."""
    whole: dict[str, list[int]] = {}
    bare: dict[str, set[str]] = {}
    for place, sample in enumerate(samples):
        for name in {name_of(sample), sample.id}:
            whole.setdefault(one_form(name), []).append(place)
            bare.setdefault(one_form(PurePosixPath(name).name), set()).add(one_form(name))
    return {short: whole[next(iter(names))] for short, names in bare.items() if len(names) == 1} | whole


def _of_each_case(samples: Sequence[Sample], table: _Table) -> list[_Row]:
    cases = {one_form(sample.group) for sample in samples}
    found: dict[str, _Row] = {}
    for row in table.rows:
        case = one_form(row.values["case"])
        if case not in cases:
            raise row.wrong(f"there is no case '{brief(case)}'{_nearest(case, cases)}")
        if (other := found.setdefault(case, row)) is not row:
            raise row.wrong(f"case '{brief(case)}' is in line {other.line} already")
    for case in sorted(cases - found.keys()):
        raise InputError(f"'{table.file}' has no row for case '{brief(case)}': give every case one")
    return [found[one_form(sample.group)] for sample in samples]


def _nearest(given: str, known: Mapping[str, object] | set[str]) -> str:
    nearest = difflib.get_close_matches(given[:200], known, n=1)
    return f", did you mean '{brief(nearest[0])}'?" if nearest else ""
