"""What a run on this machine opens to a network: nothing."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from commands import ABLATE, SPACE, descendants, kill_tree

LISTEN = "0A"


def listening(processes: list[int]) -> set[tuple[str, int]]:
    """Addresses and ports on which `processes` listen (TCP), or hear anyone (UDP), as the kernel has them."""
    inodes = set()
    for process in processes:
        for descriptor in Path(f"/proc/{process}/fd").glob("*"):
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
            waits = state == LISTEN if table.startswith("tcp") else remote.endswith(":0000")
            if inode in inodes and waits:
                address, port = local.split(":")
                found.add((_readable(address), int(port, 16)))
    return found


def _readable(address: str) -> str:
    """An address of /proc/net: words of 32 bits, each in this machine's order of bytes."""
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return str(ipaddress.ip_address(packed))


def is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def test_the_sockets_of_a_process_are_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as near, socket.create_server(("0.0.0.0", 0)) as far:
        found = listening([os.getpid()])
        assert {("127.0.0.1", near.getsockname()[1]), ("0.0.0.0", far.getsockname()[1])} <= found
    assert [is_loopback(a) for a in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:10.0.0.1")] == [
        *(True, True, True),
        *(False, False, False),
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_listens_on_loopback_only(tmp_path: Path, workers: int) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE.replace("epochs: 3", "epochs: 10000"))
    command = [ABLATE, "run", "--space", space, "--study", tmp_path / "study", "--max-concurrent", "1"]
    command += ["--workers-per-trial", str(workers)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        run = subprocess.Popen(list(map(str, command)), stdout=output, stderr=subprocess.STDOUT)
    found: set[tuple[str, int]] = set()
    try:
        deadline = time.monotonic() + 120
        # Its first epoch is over: everything that a run starts has been started.
        while not any("epoch 1:" in file.read_text() for file in (tmp_path / "study").glob("logs/*.log")):
            assert run.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            found |= listening(descendants(run.pid))
            time.sleep(0.2)
        found |= listening(descendants(run.pid))
    finally:
        kill_tree(run.pid)
        run.wait()
    assert len(found) >= 4, "Ray's own sockets are not seen"
    assert not {(address, port) for address, port in found if not is_loopback(address)}
