"""Pages for one person on one machine: served on the loopback, to who has the token, and only to be read.

Other users of the machine reach its loopback, and so does any page in the user's browser. Against both stands a random
token, which each request must carry in its address, as the one that is printed does. (A cookie would not do: a browser
sends it to every port of a host, another user's too.) Against a page whose name is made to lead here (DNS rebinding)
stands the host that a request names. Who lacks either is told nothing: an empty answer, whatever was asked for.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import secrets
import socketserver
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from ablate.errors import InputError

_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""What a request may call this machine: the last two where it comes through a tunnel."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",  # kept by the browser, and asked for again by its tag
}
"""Styles may be inline: plotly.js makes them as it draws."""
_SMALL = 1000
"""Bytes that are not worth packing."""
_IDLE_SECONDS = 60


class Answer(NamedTuple):
    """A document and its type, `text/html` say."""

    kind: str
    body: bytes


class Server(ThreadingHTTPServer):
    """Serves its `pages`, by their paths, on the loopback; 0 is any free port.

    Raises `InputError` where the port is in use, or not to be had.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.pages: Mapping[str, Callable[[], Answer]] = {}
        self._token = secrets.token_urlsafe(32)
        self._tickets: set[str] = set()
        self._changing = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise InputError(f"--port {port}: {error.strerror}; give another, or 0 for any") from None

    @property
    def token(self) -> str:
        return self._token

    @property
    def address(self) -> str:
        """Where the page is, for who may see it."""
        return f"http://127.0.0.1:{self.server_port}/?token={self._token}"

    def ticket(self) -> str:
        """An address that leads there once: for a browser's command line, which other users of the machine see."""
        ticket = secrets.token_urlsafe(32)
        with self._changing:
            self._tickets.add(ticket)
        return f"http://127.0.0.1:{self.server_port}/?token={ticket}"

    def admits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(errors="replace"), self._token.encode())

    def takes(self, ticket: str) -> bool:
        """Whether it is a ticket; from now on it is none."""
        with self._changing:
            found = [one for one in self._tickets if hmac.compare_digest(one.encode(), ticket.encode(errors="replace"))]
            self._tickets.difference_update(found)
        return bool(found)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer asks the network for this machine's name
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is nobody's concern; what fails in a page is answered (`_Handler`)."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        if not self._is_local() or not self.path.startswith("/"):
            self._send(HTTPStatus.FORBIDDEN)
            return
        path, token = _parts(self.path)
        if self.server.admits(token):
            self._send_page(path)
        elif path == "/" and self.server.takes(token):
            self._send(HTTPStatus.SEE_OTHER, {"Location": f"/?token={self.server.token}"})
        else:
            self._send(HTTPStatus.FORBIDDEN)

    do_HEAD = do_GET  # noqa: N815 - by this name it is found

    def _is_local(self) -> bool:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1:
            return False
        name, colon, port = hosts[0].rpartition(":")
        return (name if colon and port.isdigit() else hosts[0]).lower() in _HOSTS

    def _send_page(self, path: str) -> None:
        page = self.server.pages.get(path)
        if page is None:
            self._send(HTTPStatus.NOT_FOUND)
            return
        try:
            answer = page()
        except Exception as error:  # the page says it, and asks again
            said = f"{type(error).__name__}: {error}"[:500]
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, {"Content-Type": "text/plain; charset=utf-8"}, said.encode())
            return
        tag = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, {"ETag": tag})
            return
        headers = {"Content-Type": answer.kind, "ETag": tag, "Vary": "Accept-Encoding"}
        body = answer.body
        if len(body) > _SMALL and "gzip" in self.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = _packed(body), "gzip"
        self._send(HTTPStatus.OK, headers, body)

    def _send(self, status: HTTPStatus, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response_only(status)
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is no request that could be answered: of another method, or none at all. Nothing is said of it."""
        self.close_connection = True
        self.send_response_only(HTTPStatus.FORBIDDEN)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not told: the terminal is for people, and their addresses have the token."""


def _parts(target: str) -> tuple[str, str]:
    """The path of a request, and the token that it carries, if one."""
    try:
        found = urlsplit(target)
        tokens = parse_qs(found.query, max_num_fields=8).get("token", [])
    except ValueError:
        return "", ""
    return found.path, tokens[0] if len(tokens) == 1 else ""


@lru_cache(maxsize=8)
def _packed(body: bytes) -> bytes:
    return gzip.compress(body, 6, mtime=0)
