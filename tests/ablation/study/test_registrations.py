"""What was registered in a study: appended to, kept twice, and nothing in it changed without a trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablate.errors import InputError
from ablate.study.manifest import write_manifest
from ablate.study.registrations import COPY, FILE, Entry, mend, now, read_registrations, register
from ablate.study.study import Study
from ablate.study.verify import repair, verify

HASHES = ["a" * 64, "b" * 64, "c" * 64]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study without trials, and three registrations."""
    opened = Study.open_or_new(tmp_path / "study")
    with opened.holding():
        write_manifest(opened.path, opened.manifest)
    for claim in HASHES:
        register(opened.path, Entry(kind="claim", claim=claim, at=now(), by="me", content={"margin": 1.2e-05}))
    return Study.open(opened.path)


def claims(study: Study) -> list[str]:
    return [entry.claim for entry in read_registrations(study.path).entries]


def test_what_is_registered_is_read_again_in_its_order_and_follows_what_was_there(study):
    found = read_registrations(study.path)
    assert [entry.claim for entry in found.entries] == HASHES
    assert found.fault == ""
    assert found.entries[0].after is None
    assert len({entry.after for entry in found.entries}) == 3
    assert found.of(HASHES[1], "claim") == [found.entries[1]]
    assert found.of(HASHES[1], "look") == []
    assert verify(study) == []
    assert (study.path / FILE).read_bytes() == (study.path / COPY).read_bytes()


def test_a_study_without_a_file_has_registered_nothing(tmp_path):
    assert read_registrations(tmp_path) == ((), "", ())


def broken(name: str, lines: list[bytes]) -> list[bytes]:
    if name == "changed":
        lines[1] = lines[1].replace(b'"by":"me"', b'"by":"us"')
    elif name == "taken out":
        del lines[1]
    elif name == "turned round":
        lines[0], lines[1] = lines[1], lines[0]
    elif name == "put between":
        lines.insert(1, lines[1])
    elif name == "no line":
        lines[0] = b"{}"
    return lines


@pytest.mark.parametrize("what", ["changed", "taken out", "turned round", "put between", "no line"])
def test_a_file_that_was_changed_is_noticed_and_the_copy_counts(study, what):
    file = study.path / FILE
    file.write_bytes(b"\n".join(broken(what, file.read_bytes().split(b"\n"))))
    assert claims(study) == HASHES
    (problem,) = verify(study)
    assert (problem.subject, problem.remedy) == (FILE, "claims")
    with pytest.raises(InputError, match="see `ablate verify"):
        register(study.path, Entry(kind="claim", claim="d" * 64, at=now(), by="me", content={}))
    with study.holding():
        repair(study, [problem])
    assert verify(study) == []
    assert claims(study) == HASHES
    assert list((study.path / "set-aside").iterdir())


@pytest.mark.parametrize("what", ["changed", "taken out", "no line"])
def test_what_both_files_lack_counts_for_nothing(study, what):
    for name in (FILE, COPY):
        file = study.path / name
        file.write_bytes(b"\n".join(broken(what, file.read_bytes().split(b"\n"))))
    kept = HASHES[:0] if what == "no line" else HASHES[:1]
    assert claims(study) == kept
    assert len(verify(study)) == 1
    mend(study.path)
    assert claims(study) == kept
    assert verify(study) == []


def test_the_last_line_cut_off_one_file_is_in_the_other(study):
    file = study.path / FILE
    whole = file.read_bytes()
    file.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    assert claims(study) == HASHES
    assert "lacks lines" in verify(study)[0].what


def test_a_kill_between_the_two_files_loses_nothing_and_is_made_good(study):
    copy = study.path / COPY
    copy.write_bytes(b"".join(copy.read_bytes().splitlines(keepends=True)[:2]))
    assert claims(study) == HASHES
    register(study.path, Entry(kind="claim", claim="d" * 64, at=now(), by="me", content={}))
    assert claims(study) == [*HASHES, "d" * 64]
    assert verify(study) == []


def test_a_kill_within_a_line_loses_that_line_alone(study):
    file = study.path / FILE
    with file.open("ab") as lines:
        lines.write(b'{"seal":"1234')
    assert claims(study) == HASHES
    register(study.path, Entry(kind="claim", claim="d" * 64, at=now(), by="me", content={}))
    assert claims(study) == [*HASHES, "d" * 64]
    assert verify(study) == []


def test_two_files_that_say_different_things_count_as_far_as_they_agree(study, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for claim in (HASHES[0], "e" * 64):
        register(other, Entry(kind="claim", claim=claim, at=now(), by="them", content={}))
    (study.path / COPY).write_bytes((other / FILE).read_bytes())
    assert claims(study) == []
    assert "say different things" in verify(study)[0].what
