"""Which Ray cluster a run is for, and whether one answers there: known before anything else is done."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from typing import NamedTuple

from ablate.errors import InputError

PATIENCE_SECONDS = 30.0
"""How long a cluster has to answer."""
_CONNECT_SECONDS = 10.0

# Ray's own client waits for minutes, some of them where nothing interrupts it, so this is a process of its own.
_PROBE = """
import socket, sys
from ray._private import services
from ray._private.authentication import authentication_token_setup as tokens
from ray._raylet import GcsClient
try:
    address = services.canonicalize_bootstrap_address(sys.argv[1])
    if sys.argv[1] == "auto":
        tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    tokens.ensure_token_if_auth_enabled(create_token_if_missing=False)
    print(address, flush=True)
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    GcsClient(address=address).internal_kv_get(b"session_name", namespace=b"session")
except Exception as error:
    sys.exit(next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__))
"""


class Address(NamedTuple):
    """Of a cluster: `auto`, or `host:port`. `origin`: what gave it, `--address` or `RAY_ADDRESS`."""

    text: str
    origin: str

    def __str__(self) -> str:
        return f"{self.origin} {self.text}" if self.origin.startswith("-") else f"{self.origin}={self.text}"

    @property
    def instead(self) -> str:
        """What to do to be rid of it."""
        return "leave it out" if self.origin.startswith("-") else f"unset {self.origin}"


def find_address(given: str | None) -> Address | None:
    """The cluster that is to be used, by `--address` or the environment; None for this machine alone."""
    known = os.environ.get("RAY_ADDRESS", "")
    if known and given in (None, "auto"):  # so says Ray too: the variable is what `auto` means
        address = Address(known, "RAY_ADDRESS")
    elif given is None:
        return None
    else:
        address = Address(given, "--address")
    return None if address.text == "local" else address


def check_address(address: Address) -> None:
    """Raises `InputError` where no cluster that takes runs answers at `address`, within `PATIENCE_SECONDS`."""
    to_do = f"start the cluster ('ray up', 'ray start --head'), or {address.instead} to use this machine alone"
    if address.text.startswith("ray://"):
        raise InputError(
            f"{address}: a run needs a machine of the cluster; start it there, or with 'ray job submit -- ablate run …'"
        )
    if address.text.startswith(("http://", "https://")):
        raise InputError(
            f"{address}: that takes jobs ('ray job submit --address … -- ablate run …'); expected the cluster's own "
            f"address, host:port (its port is 6379 by default) or auto; or {address.instead} to use this machine alone"
        )
    if address.text != "auto":
        host, port = _parts(address)
        try:
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            reason = f"{host} is no machine's name" if isinstance(error, socket.gaierror) else _reason(error)
            raise InputError(f"{address}: no Ray cluster answers there ({reason}): {to_do}") from None
    command = [sys.executable, "-c", _PROBE, address.text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as probe:
        try:
            _, said = probe.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            probe.kill()
            found, _ = probe.communicate()
            at = f" ({found.strip()})" if address.text == "auto" and found.strip() else ""
            raise InputError(
                f"{address}: no Ray cluster answered{at} within {PATIENCE_SECONDS:.0f} s: {to_do}"
            ) from None
        finally:
            probe.kill()
    if probe.returncode:
        reason = (said.strip().splitlines() or ["no reason was given"])[-1]
        if "uthentication" in reason:  # of Ray's words on this there are many
            reason = "it asks for a token: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file that holds it"
        raise InputError(f"{address}: no Ray cluster answers there ({reason.rstrip('.')}): {to_do}")


def _parts(address: Address) -> tuple[str, int]:
    """Host and port. Raises `InputError` for what is neither these nor `auto`."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", address.text)
    if not match or not 0 < int(match[2]) < 2**16:
        raise InputError(f"{address}: expected auto, or host:port of the cluster (its port is 6379 by default)")
    return match[1].strip("[]"), int(match[2])


def _reason(error: OSError) -> str:
    return "it does not answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
