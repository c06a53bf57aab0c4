"""The gate for users' YAML: plain data, each key once, of bounded size; what is else is one line with its place."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ablate.errors import InputError
from ablate.yaml_files import MOST_BYTES, MOST_DEPTH, MOST_NODES, read_yaml, yaml_value


class Anything(BaseModel, extra="allow"):
    """Whatever a mapping holds."""


def read(path: Path) -> dict[str, Any]:
    return read_yaml(path, Anything, "test", "anything").model_extra or {}


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


_STEPS = [f"&{b} [{','.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefg")]
LAUGHS = f"[&a [{'x,' * 9}], {', '.join(_STEPS)}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is given twice, first in line 1"),
        ("a:\n  b:\n    c: 1\n    c: 2", "line 4: the key 'c' is given twice, first in line 3"),
        ("a: {4: 1, '4': 2}", "line 1: the key '4' is given twice"),
        ("a: {yes: 1, true: 2}", "line 1: the key 'True' is given twice"),
        ("a: {1.0: 1, 1.00: 2}", "line 1: the key '1.0' is given twice"),
        ("a: [1,\n .inf]", "line 2: '.inf' is not a finite number"),
        ("a: -.nan", None),
        ("a: .NaN", "line 1: '.NaN' is not a finite number"),
        ("a: 1.0e+999", "line 1: '1.0e.999' is not a finite number"),
        (f"a: {'9' * 5000}", "line 1: a whole number of 5000 digits: at most 18 are read"),
        (f"a: 0x{'f' * 30}", "line 1: '0xf*' has more than the 18 digits"),
        ("a: 010", "line 1: '010' is 8 to YAML, which counts by eights after a 0: write 8 or 10"),
        (f"a: {'[' * 400}{']' * 400}", f"line 1: nested more than {MOST_DEPTH} deep"),
        ("- " * 400 + "a", f"line 1: nested more than {MOST_DEPTH} deep"),
        ("b: 1\na: &a [*a]", r"line 2: alias '\*a' lies within what it names"),
        ("a: &a {b: {c: *a}}", r"line 1: alias '\*a' lies within what it names"),
        (f"a: {LAUGHS}", "line 1: more than 50,000 keys and values, with what its aliases name"),
        ("a: {<<: &a {b: *a}}", r"alias '\*a' lies within what it names"),
        (f"a: [{'1,' * (MOST_NODES + 1)}]", "line 1: more than 50,000 keys and values"),
        ("a: {[1]: 2}", "line 1: a key must be text or a number, not a list"),
        ("? {b: 1}\n: 2", "line 1: a key must be text or a number, not a list"),
        ("~: 1", "line 1: a key is missing"),
        ("a: !!binary aGk=", "line 1: the tag '.*binary' is not read here"),
        ("a: !!python/object/apply:os.system [id]", "line 1: the tag '.*python.*' is not read here"),
        ("a: !!set {b}", "line 1: the tag '.*set' is not read here"),
        ("a: !!int b", "line 1: 'b' is not of the kind that its tag says"),
        ('a: "\\0"', r"line 1: the control character \\x00 does not belong in text"),
        ('"a\\x1b[2J": 1', r"line 1: the control character \\x1b does not belong in text"),
        ('a: "\\ud800"', r"line 1: the control character \\ud800 does not belong in text"),
        ('a: "\\UFFFFFFFF"', "line 1: an escape such as .* is no character"),
        ("b: 1\na: \x00", r"line 2: the character \\x00 does not belong in text"),
        ("a: 1\n---\nb: 2", "line 2: but found another document"),
        (b"a: 1\nb: \xff", "line 2: this is not UTF-8 text; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "line 1: this is not UTF-8 text"),
        ("x" * (MOST_BYTES + 1), "has 1,000,001 bytes: at most 1,000,000 are read"),
    ],
)
def test_what_is_not_plain_data_is_one_line_with_its_place(tmp_path, text, message):
    path = written(tmp_path, text)
    if message is None:  # YAML has no negative NaN: that is text
        assert read(path) == {"a": "-.nan"}
        return
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200 + len(str(path))


def test_what_yaml_would_guess_is_text():
    assert yaml_value("[2024-01-01, 2001-12-14t21:59:43.10-05:00, 1:30, 190:20:30.15]") == [
        *("2024-01-01", "2001-12-14t21:59:43.10-05:00", "1:30", "190:20:30.15")
    ]


def test_keys_are_text_and_merged_ones_yield():
    assert yaml_value("{4: a, yes: b, 1.5: c}") == {"4": "a", "True": "b", "1.5": "c"}
    assert yaml_value("{x: &x {a: 1, b: 1}, y: {<<: *x, b: 2}, z: {<<: [{b: 3}, *x]}}") == {
        "x": {"a": 1, "b": 1},
        "y": {"a": 1, "b": 2},
        "z": {"a": 1, "b": 3},
    }
    assert yaml_value("") is None


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    assert read(written(tmp_path, b"\xef\xbb\xbfa: \xc3\xa9")) == {"a": "é"}


def test_text_is_utf8_whatever_the_locale_says(tmp_path, monkeypatch):
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    assert read(written(tmp_path, "a: é")) == {"a": "é"}


def test_only_regular_files_are_read_and_links_to_them(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "zeros.yaml").symlink_to("/dev/zero")
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    (tmp_path / "lost.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "link.yaml").symlink_to(written(tmp_path, "a: 1"))
    assert read(tmp_path / "link.yaml") == {"a": 1}
    for name, message in (
        ("pipe", "it is a named pipe, not a file"),
        ("folder", "it is a directory, not a file"),
        ("zeros", "it is a device, not a file"),
        ("circle", "cannot be read: "),
        ("lost", "does not exist"),
        ("nul\0", "cannot be read: "),
    ):
        with pytest.raises(InputError, match=message) as error:
            read(tmp_path / f"{name}.yaml")
        assert "\0" not in str(error.value)
