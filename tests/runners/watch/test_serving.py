"""What the server of a live page lets out: everything to who has the token, on this machine, and nothing to others."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from ablate.errors import InputError
from ablate.runners.watch.serving import Answer, Server

BODY = b"<p>" + b"what only one person may see " * 100
NAMES = (
    "",
    "page",
    "nothing",
    "../page",
    "%2e%2e/etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "page/",
    "a\\b",
)
QUERIES = ("", "?token=", "?token=wrong", "?token=TOKEN&token=TOKEN", "?Token=TOKEN", "?token=TOKEN0")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    def fails() -> Answer:
        raise ValueError("it is damaged")

    with Server(0) as served:
        served.pages = {
            "/": lambda: Answer("text/html", b"<p>"),
            "/page": lambda: Answer("text/html", BODY),
            "/fails": fails,
        }
        threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
        yield served
        served.shutdown()


def asked(
    server: Server, target: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer to one request, and its body. `Host` and others by keyword, with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer, read


def sent(server: Server, request: bytes) -> bytes:
    """Whatever comes back for these bytes, until the connection is closed."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("query", QUERIES)
def test_without_the_token_nothing_is_served(server, name, query):
    for method in ("GET", "HEAD", "POST", "OPTIONS", "BREW"):
        answer, body = asked(server, f"/{name}{query.replace('TOKEN', server.token)}", method)
        assert (answer.status, body, answer.getheader("Content-Length")) == (403, b"", "0")
        assert not {"ETag", "Content-Type", "Location", "Server"} & set(answer.headers)


def test_with_it_pages_are_served_and_nothing_but_pages(server):
    answer, body = asked(server, f"/page?token={server.token}")
    assert (answer.status, body) == (200, BODY)
    for name in NAMES:
        if name not in ("", "page"):
            answer, body = asked(server, f"/{name}?token={server.token}")
            assert (answer.status, body) == (404, b""), name
    answer, body = asked(server, f"/page?token={server.token}", "HEAD")
    assert (answer.status, body, answer.getheader("Content-Length")) == (200, b"", str(len(BODY)))
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        answer, body = asked(server, f"/page?token={server.token}", method, b"x" * 10_000)
        assert (answer.status, body) == (403, b"")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example:80",
        "localhost.evil.example",
        "[::2]:80",
        "",
        "127.0.0.1:80:80",
        "0.0.0.0",
    ],
)
def test_a_page_whose_name_was_made_to_lead_here_gets_nothing(server, host):
    answer, body = asked(server, f"/page?token={server.token}", Host=host)
    assert (answer.status, body) == (403, b"")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9999", "LOCALHOST", "[::1]:8081"])
def test_through_a_tunnel_it_may_be_called_by_another_port(server, host):
    assert asked(server, f"/page?token={server.token}", Host=host)[1] == BODY


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /page?token=TOKEN HTTP/1.1\r\n",
        "GET /page?token=TOKEN HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        "GET http://localhost/page?token=TOKEN HTTP/1.1\r\nHost: localhost\r\n",
        "GET //localhost/page?token=TOKEN HTTP/9.9\r\nHost: localhost\r\n",
        "GET /page?token=TOKEN\r\n",
        "GET /page HTTP/1.1\r\nHost: localhost\r\nCookie: token=TOKEN\r\n",
        "GET /page HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\n",
        "GET /[?token=TOKEN HTTP/1.1\r\nHost: localhost\r\nX: " + "x" * 70_000 + "\r\n",
        "GET /" + "x" * 70_000 + "?token=TOKEN HTTP/1.1\r\nHost: localhost\r\n",
        "\x16\x03\x01\x02",
    ],
)
def test_what_is_no_proper_request_is_told_nothing(server, request_line):
    came = sent(server, f"{request_line}\r\n".replace("TOKEN", server.token).encode("latin-1"))
    assert b"what only one person" not in came
    assert not came or came.startswith(b"HTTP/1.1 403 "), came[:200]
    assert came.partition(b"\r\n\r\n")[2] == b""


def test_it_listens_on_the_loopback_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # no packet is sent: it says which address would be
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return  # this machine has no other address
        other = probe.getsockname()[0]
    if other.startswith("127."):
        return
    with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
        socket.create_connection((other, server.server_port), timeout=5)


def test_a_port_that_is_taken_is_said_in_one_line(server):
    with pytest.raises(InputError, match=r"^--port \d+: Address already in use; give another, or 0 for any$"):
        Server(server.server_port)


def test_a_browser_keeps_what_has_not_changed(server):
    answer, _ = asked(server, f"/page?token={server.token}")
    tag = answer.getheader("ETag")
    answer, body = asked(server, f"/page?token={server.token}", If_None_Match=str(tag))
    assert (answer.status, body) == (304, b"")
    answer, body = asked(server, f"/page?token={server.token}", If_None_Match='"another"')
    assert (answer.status, body) == (200, BODY)


def test_what_is_large_is_packed_for_who_unpacks(server):
    answer, body = asked(server, f"/page?token={server.token}", Accept_Encoding="gzip, br")
    assert answer.getheader("Content-Encoding") == "gzip"
    assert len(body) < len(BODY) / 5
    assert gzip.decompress(body) == BODY


def test_a_page_may_load_and_ask_nothing_but_its_own_server(server):
    answer, _ = asked(server, f"/?token={server.token}")
    policy = dict(part.strip().split(" ", 1) for part in str(answer.getheader("Content-Security-Policy")).split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"


def test_a_page_that_fails_says_why_and_the_next_request_is_answered(server):
    answer, body = asked(server, f"/fails?token={server.token}")
    assert (answer.status, body) == (500, b"ValueError: it is damaged")
    assert asked(server, f"/page?token={server.token}")[1] == BODY


def test_a_ticket_leads_in_once(server):
    """It is on a browser's command line, which others see."""
    target = server.ticket().partition(str(server.server_port))[2]
    assert server.token not in target
    assert asked(server, target.replace("/?", "/page?"))[0].status == 403
    answer, body = asked(server, target)
    assert (answer.status, body, answer.getheader("Location")) == (303, b"", f"/?token={server.token}")
    answer, body = asked(server, target)
    assert (answer.status, body) == (403, b"")


def test_each_server_has_a_token_of_its_own(server):
    with Server(0) as other:
        assert other.token != server.token
        assert len(other.token) >= 43
