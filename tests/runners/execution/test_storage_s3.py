"""A run whose storage is an S3 server, over HTTP."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import ABLATE, SPACE, ablate, kill_tree, tables, wait_until
from pyarrow import fs

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "not-to-be-kept",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Server(NamedTuple):
    uri: str
    log: Path

    def written(self) -> list[str]:
        """What was written to the bucket, in order."""
        return re.findall(r'"(?:PUT|POST) /bucket/prefix/([^ ?]+)', self.log.read_text())

    def objects(self) -> list[str]:
        files, root = fs.FileSystem.from_uri(self.uri)
        found = files.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
        return [info.path for info in found if info.type == fs.FileType.File]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        make = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(make, timeout=30).close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield Server(f"s3://bucket/prefix?endpoint_override=127.0.0.1:{port}&scheme=http", log)
    finally:
        process.kill()
        process.wait()


def test_a_study_through_s3_survives_its_driver_and_equals_one_on_the_disk(server: Server, tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE.replace("epochs: 3", "epochs: 8"))
    calm, study = tmp_path / "calm", tmp_path / "study"
    ablate("run", "--space", space, "--study", calm)

    again = ["run", "--space", str(space), "--study", str(study), "--max-concurrent", "1"]
    first = subprocess.Popen(
        [ABLATE, *again, "--storage-path", server.uri], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: sum("checkpoints/" in name for name in server.written()) >= 3, first)
    finally:
        kill_tree(first.pid)
        first.wait()
    assert any("checkpoints/" in name for name in server.objects())

    refused = ablate(*again, check=False)  # the study remembers its storage, and its word alone opens nothing
    assert refused.returncode == 2
    assert server.uri in refused.stderr
    ablate(*again, "--storage-path", server.uri)
    assert tables(study) == tables(calm)
    assert len({name for name in server.written() if name.endswith(".zip")}) == 2
    assert server.objects() == []
    assert not any((study / "ray").rglob("*.safetensors"))
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in (study / "study.yaml").read_text()
