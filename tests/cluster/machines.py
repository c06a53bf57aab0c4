"""Machines in a network of their own, on this one: each with its own network, processes, home and temporary directory.

A machine is a network namespace on a bridge with no way out, and in it a PID and a mount namespace whose first process
is an SSH server. What it can write is its own: `/root`, `/tmp`, `/run` and `/dev/shm` are private, the Python
environment is an overlay of this one's, and all else is read-only. Needs root, and Debian's openssh-server, rsync and
iproute2.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

ENVIRONMENT = Path(sys.prefix)
NETWORK = "10.213.77"
BRIDGE = "ablate-br"

_SSHD = """\
ListenAddress {address}
HostKey /root/host_key
AuthorizedKeysFile /root/.ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PidFile none
"""

_BOOT = """\
set -eu
mount --make-rprivate /
cd {disk}
mount -t tmpfs tmpfs overlay
mkdir overlay/upper overlay/work
mount -t overlay overlay -o lowerdir={environment},upperdir=overlay/upper,workdir=overlay/work environment
mount --bind {python} python
mount -t tmpfs tmpfs /dev/shm
for directory in root tmp run; do mount --bind $directory /$directory; done
hostname {name}
echo "127.0.0.1 localhost
{address} {name}" > hosts
mount --bind hosts /etc/hosts
mkdir -p {python} {environment} /run/sshd
mount --bind python {python}
mount -o remount,bind,ro {python}
mount --bind environment {environment}
mount -o remount,bind,ro /
exec /usr/sbin/sshd -D -e -f /root/sshd_config
"""


class Machine(NamedTuple):
    name: str
    address: str
    disk: Path
    """Its private directories, as seen from outside: `root`, `tmp`, …"""
    first: int
    """The first process of its PID namespace, as seen from outside."""

    def command(self, line: str) -> list[str]:
        """What runs `line` in a login shell of this machine."""
        enter = ["nsenter", f"--target={self.first}", "--mount", "--net", "--pid", "--uts", "--wd=/root"]
        shell = [
            "env",
            "-i",
            "HOME=/root",
            "TERM=dumb",
            f"PATH={os.defpath}",
            "bash",
            "--login",
            "-c",
            f"source ~/.bashrc; {line}",
        ]
        return enter + shell

    def run(self, line: str, timeout: float = 300) -> str:
        """What `line` printed. Raises `RuntimeError` with the end of it if the exit code was not 0."""
        done = subprocess.run(
            self.command(line), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: `{line}` ended with exit code {done.returncode}\n{done.stdout[-6000:]}")
        return done.stdout

    def processes(self, word: str = "") -> dict[int, str]:
        """Its processes whose command line has `word`, with their numbers as seen from outside."""
        network = _network_of(self.first)
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if word in line and _network_of(int(entry.name)) == network:
                    found[int(entry.name)] = line
        return found

    def link(self, state: str) -> None:
        """Plug its cable in ("up") or out ("down")."""
        _do("ip", "link", "set", _cable(self.name), state)


def wait_for(what: str, look: Callable[[], T | None], timeout: float, every: float = 0.5) -> T:
    """What `look` returns once that is true. Raises `TimeoutError`."""
    end = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout:.0f} s")
        time.sleep(every)
    return found


@contextlib.contextmanager
def machines(*names: str) -> Iterator[list[Machine]]:
    """Machines that reach each other by SSH as root, with the key `~/.ssh/id_ed25519`.

    They are gone afterwards, whatever happens. Their names are short and their addresses count up from 10.213.77.1. pip
    on them takes nothing from a network, and finds in `~/wheels` what builds this project.
    """
    with contextlib.ExitStack() as stack:
        # One at a time on this machine, for the names and addresses are the same.
        here = os.open("/var/lib", os.O_RDONLY)
        stack.callback(os.close, here)
        fcntl.flock(here, fcntl.LOCK_EX)
        disks = Path(tempfile.mkdtemp(prefix="ablate-machines-", dir="/var/lib"))
        stack.callback(shutil.rmtree, disks, ignore_errors=True)
        shared = disks / "shared"
        shared.mkdir()
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(shared / "id_ed25519"))
        _do(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(shared / "wheels"), "setuptools>=77")
        _remove_network(names)
        stack.callback(_remove_network, names)
        _do("ip", "link", "add", BRIDGE, "type", "bridge")
        _do("ip", "link", "set", BRIDGE, "up")
        yield [
            stack.enter_context(_machine(name, f"{NETWORK}.{number}", disks / name, shared))
            for number, name in enumerate(names, start=1)
        ]


@contextlib.contextmanager
def _machine(name: str, address: str, disk: Path, shared: Path) -> Iterator[Machine]:
    for directory in ("root/.ssh", "root/.config/pip", "tmp", "run", "overlay", "environment", "python"):
        (disk / directory).mkdir(parents=True)
    (disk / "tmp").chmod(0o1777)
    home = disk / "root"
    shutil.copytree(shared / "wheels", home / "wheels")
    for source, target in (("id_ed25519", "id_ed25519"), ("id_ed25519.pub", "authorized_keys")):
        shutil.copy(shared / source, home / ".ssh" / target)
    (home / ".config/pip/pip.conf").write_text("[global]\nno-index = true\nfind-links = /root/wheels\n")
    (home / "ablate-env").symlink_to(ENVIRONMENT)
    (home / ".bashrc").touch()
    (home / "sshd_config").write_text(_SSHD.format(address=address))
    (home / "boot").write_text(
        _BOOT.format(name=name, address=address, disk=disk, environment=ENVIRONMENT, python=sys.base_prefix)
    )
    _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "host_key"))

    _do("ip", "netns", "add", _namespace(name))
    _do("ip", "link", "add", _cable(name), "type", "veth", "peer", "name", "eth0", "netns", _namespace(name))
    _do("ip", "link", "set", _cable(name), "master", BRIDGE, "up")
    _do("ip", "-n", _namespace(name), "address", "add", f"{address}/24", "dev", "eth0")
    for link in ("lo", "eth0"):
        _do("ip", "-n", _namespace(name), "link", "set", link, "up")
    isolated = ["--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
    log = disk / "boot.log"
    with log.open("wb") as output:
        outer = subprocess.Popen(
            ["ip", "netns", "exec", _namespace(name), "unshare", *isolated, "bash", str(home / "boot")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def first() -> int | None:
        if outer.poll() is not None:
            raise RuntimeError(f"the machine {name} did not start:\n{log.read_text()}")
        child = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        return int(child[0]) if child and "listening on" in log.read_text() else None

    try:
        yield Machine(name, address, disk, wait_for(f"the SSH server of {name}", first, 30))
    finally:
        outer.kill()  # and with it, by --kill-child, all that runs there
        outer.wait()


def _remove_network(names: tuple[str, ...]) -> None:
    """Remove what `machines` adds, where it is there."""
    for name in names:
        # The cable first: the namespace goes in its own time, once the last of its processes is gone.
        subprocess.run(["ip", "link", "delete", _cable(name)], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "delete", _namespace(name)], stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "link", "delete", BRIDGE], stderr=subprocess.DEVNULL)


def _namespace(name: str) -> str:
    return f"ablate-{name}"


def _cable(name: str) -> str:
    return f"abl-{name}"


def _network_of(process: int) -> int:
    return Path(f"/proc/{process}/ns/net").stat().st_ino


def _do(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {done.stdout.strip()}")
