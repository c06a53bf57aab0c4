"""A checkpoint in a storage: what is not as it was written is as good as none."""

import pytest

from ablate.runners.execution.storage import PathStorage, StoredCheckpoint


@pytest.fixture
def entry(tmp_path) -> StoredCheckpoint:
    return StoredCheckpoint(PathStorage(str(tmp_path)), "checkpoints/0123456789ab.safetensors")


def test_it_comes_back_as_it_was_written(entry):
    assert entry.read() is None
    for data in (b"weights", b"", b"x" * 1000):
        entry.write(data)
        assert entry.read() == data


def test_no_single_damage_is_believed(entry, tmp_path):
    entry.write(b"weights" * 10)
    file = tmp_path / entry.name
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert entry.read() is None
        file.write_bytes(whole[:at])
        assert entry.read() is None


def test_one_of_an_earlier_version_is_none(entry):
    entry.storage.write(entry.name, b"\x08\0\0\0\0\0\0\0{}")  # without a seal: nobody knows which code made it
    assert entry.read() is None
