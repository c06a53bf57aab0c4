"""Where a run starts: no home, odd temporary folders, and addresses at which no cluster answers."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import SPACE, ablate

from ablate.errors import Halted, InputError
from ablate.runners.execution import address, environment
from ablate.runners.execution.address import Address, check_address, find_address

REFUSED = "start the cluster ('ray up', 'ray start --head'), or "


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "widths.yaml"
    path.write_text(SPACE.replace("epochs: 3", "epochs: 1").replace("[4, 8]", "[4]"))
    return path


def without(*names: str, **changes: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in names} | changes


# Home ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", ["missing", "a file"])
def test_a_run_needs_no_home(home: str, small: Path, tmp_path: Path) -> None:
    place = small if home == "a file" else tmp_path / "nowhere"
    ran = ablate("run", "--space", small, "--study", tmp_path / "study", env=without(HOME=str(place)))
    assert "1 trials trained" in ran.stdout
    assert not (tmp_path / "nowhere").exists()


def test_the_token_of_a_run_is_its_own_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = []
    for given in ("", "", "given"):
        monkeypatch.setenv("RAY_AUTH_TOKEN", given)
        environment.prepare_ray(None)
        tokens.append(os.environ["RAY_AUTH_TOKEN"])
    assert tokens[2] == "given"
    assert len(set(tokens)) == 3
    assert len(tokens[0]) == 64


def test_no_more_processes_start_than_train_at_a_time(small: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:  # sockets want a short path
        ablate("run", "--space", small, "--study", tmp_path / "study", env=without(RAY_TMPDIR=scratch))
        assert len(list(Path(scratch).glob("ray/session_2*/logs/worker-*.out"))) == 1


# Temporary folders ---------------------------------------------------------------------------------------------------


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a")
    return monkeypatch


def test_a_folder_that_ray_can_use_is_used_without_a_word(scratch: pytest.MonkeyPatch) -> None:
    scratch.setenv("TMPDIR", "/tmp")
    assert environment.prepare_ray(None) == ""
    assert os.environ["RAY_TMPDIR"] == "/tmp"


def test_another_folder_is_chosen_and_said(scratch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    faults = {
        str(long): "is too long a path for sockets",
        "/nowhere": "is not a folder",
        "/etc/passwd": "is not a folder",
        "/proc": "",
    }
    for folder, fault in faults.items():
        scratch.delenv("RAY_TMPDIR", raising=False)
        scratch.setenv("TMPDIR", folder)
        said = environment.prepare_ray(None)
        assert said.startswith(f"TMPDIR '{folder}' {fault}")
        assert said.endswith("Ray's files are in /tmp")
        assert os.environ["RAY_TMPDIR"] == "/tmp"


def test_the_longest_path_that_is_taken_is_short_enough_for_a_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        folder = Path("/tmp") / ("x" * (environment._LONGEST_SOCKET - len(environment._SOCKET) - len("/tmp//")))
        with pytest.raises(FileNotFoundError):  # and not that it is too long
            one.bind(str(folder / environment._SOCKET))
        assert "socket" not in environment._fault(folder)
        assert "socket" in environment._fault(Path(f"{folder}x"))


def test_a_full_folder_is_said_with_its_room(scratch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # a short path
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("only root can mount a small disk")
    try:
        scratch.setenv("TMPDIR", str(folder))
        with pytest.raises(Halted, match=rf"^'{folder}', where Ray keeps its logs, has no room \(1 MB are free there"):
            environment.prepare_ray(None)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def test_a_run_in_a_temporary_folder_of_130_characters_says_where_its_files_are(small: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * (129 - len(str(tmp_path))))
    long.mkdir()
    env = without("RAY_TMPDIR", TMPDIR=str(long))
    ran = ablate("run", "--space", small, "--study", tmp_path / "study", env=env)
    assert f"Note: TMPDIR '{long}' is too long a path for sockets" in ran.stdout
    assert "1 trials trained" in ran.stdout


# Addresses -----------------------------------------------------------------------------------------------------------


def test_where_an_address_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert find_address(None) is None
    assert find_address("local") is None
    assert find_address("auto") == ("auto", "--address")
    monkeypatch.setenv("RAY_ADDRESS", "h:1")
    assert find_address(None) == find_address("auto") == ("h:1", "RAY_ADDRESS")
    assert find_address("other:2") == ("other:2", "--address")
    assert find_address("local") is None
    monkeypatch.setenv("RAY_ADDRESS", "")
    assert find_address(None) is None


@pytest.mark.parametrize(
    "text", ["", "host", "host:0", "host:99999", "host:1:2", "[::1", "a b:1", "h:1/x", "foo://h:1"]
)
def test_what_is_no_address_is_told_what_one_is(text: str) -> None:
    with pytest.raises(InputError, match=r"expected auto, or host:port"):
        check_address(Address(text, "--address"))


def test_addresses_of_other_services_are_told_what_to_do() -> None:
    with pytest.raises(InputError, match=r"^--address http://h:8265: that takes jobs \('ray job submit"):
        check_address(Address("http://h:8265", "--address"))
    with pytest.raises(InputError, match=r"^RAY_ADDRESS=ray://h:10001: a run needs a machine of the cluster"):
        check_address(Address("ray://h:10001", "RAY_ADDRESS"))


@pytest.fixture
def closed() -> str:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address of a server that takes whoever comes, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept())
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_an_address_at_which_nothing_answers_is_said_with_where_it_came_from(
    closed: str, small: Path, tmp_path: Path
) -> None:
    command = ("run", "--space", small, "--study", tmp_path / "study")
    ran = ablate(*command, check=False, env=without(RAY_ADDRESS=closed))
    reason = "no Ray cluster answers there (Connection refused)"
    assert (ran.returncode, ran.stdout) == (2, "")
    assert (
        ran.stderr == f"ablate: RAY_ADDRESS={closed}: {reason}: {REFUSED}unset RAY_ADDRESS to use this machine alone\n"
    )
    ran = ablate(*command, "--address", closed, check=False, env=without("RAY_ADDRESS"))
    assert ran.stderr == f"ablate: --address {closed}: {reason}: {REFUSED}leave it out to use this machine alone\n"
    assert not (tmp_path / "study").exists()


def test_a_machine_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match=r"no-such-host.invalid is no machine's name"):
        check_address(Address("no-such-host.invalid:6379", "--address"))


def test_whoever_takes_connections_and_is_no_cluster_is_given_up(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "PATIENCE_SECONDS", 8.0)
    with pytest.raises(InputError, match=rf"^RAY_ADDRESS={silent}: no Ray cluster answered within 8 s: start the"):
        check_address(Address(silent, "RAY_ADDRESS"))


def test_daemons_that_were_not_up_in_time_are_ended_and_started_once_more():
    left: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        left.append(subprocess.Popen(["sleep", "60"]))
        if len(left) == 1:
            raise Exception("The current node timed out during startup. This could happen because …")

    environment.start_patiently(start)
    first, second = left
    assert first.wait(30) == -9
    assert second.poll() is None
    second.kill()
    second.wait()


@pytest.mark.parametrize("always", ["timed out during startup", "no room"])
def test_what_still_fails_is_raised(always):
    tried = []

    def start() -> None:
        tried.append(always)
        raise RuntimeError(always)

    with pytest.raises(RuntimeError, match=always):
        environment.start_patiently(start)
    assert len(tried) == (environment._STARTS if "timed out" in always else 1)
