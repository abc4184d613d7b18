"""Every route of the API asked in every hostile way: the answer says what is wrong, and is never a fault of ours."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.web.openapi import openapi
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser

ROUTES = [
    (path, method.upper(), tuple(one["name"] for one in operation["parameters"] if one["in"] == "query"))
    for path, methods in openapi()["paths"].items()
    for method, operation in methods.items()
]
WORDS = (
    b"", b"0", b"1", b"-1", b"1e9", b"9" * 18, b"9" * 19, b"9" * 5000, "\u00b2".encode(), "\u0663".encode(), b"nan",
    b"0001-01-01", b"9999-12-31T23:59:59-23:59", b"9" * 20 + b"d", b"9" * 400 + b"d", b"1d", b"0s", b"\x00", b"*" * 5,
    b"../../etc/passwd", b"%2e%2e%2f", b"%", b"%zz", b"[" * 200, b"[^-", b"' OR 1=1 --", b"<script>", b"{}", b"astm",
    b"\xed\xa0\x80", b"\xff\xfe", b"crp", b"quiet:astm", b"2026-01-15T09:30:00Z",
)  # fmt: skip
BODIES = (
    b"", b"{}", b"null", b"[" * 60_000, b'{"by":' * 9000, b'{"by":"\\ud800"}', b'{"by":"x"}', b"x" * 70_000, b"\xff",
    b'{"by":"x","minutes":1e308,"reason":"r"}', b'{"by":"x","minutes":NaN,"reason":"r"}', b'{"by":"\x00"}',
    b'{"by":"x","minutes":60,"reason":"<script>"}', b'{"by":' + b"9" * 5000 + b"}",
)  # fmt: skip
HEADERS = (
    b"Last-Event-ID: \xb2", b"Last-Event-ID: " + b"9" * 40, b"Last-Event-ID: " + b"9" * 18, b"Range: bytes=9-1,-",
    b"Cookie: assaygate=%ff; ;;=", b"Authorization: Bearer \xff", b"Content-Type: \xff/\x01", b"Origin: http://[",
    b"Transfer-Encoding: gzip", b"Accept: text/html;q=x", b"If-Modified-Since: never", b"Upgrade: websocket",
    b"Expect: 100-continue", b"X: " + b"y" * 20_000, b"X-Forwarded-For: \x00", b"Host: [", b"Host: 127.0.0.1:x",
)  # fmt: skip
words = st.one_of(st.sampled_from(WORDS), st.binary(max_size=40))
Hostile = tuple[tuple[str, str, tuple[str, ...]], str, bytes, dict[str, bytes], list[bytes], bytes]
requests: st.SearchStrategy[Hostile] = st.tuples(
    st.sampled_from(ROUTES),
    st.one_of(st.just(""), st.sampled_from(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"))),
    words,
    st.dictionaries(st.sampled_from(("device", "quantity", "since", "until", "after", "limit", "points")), words),
    st.lists(st.sampled_from(HEADERS), max_size=3),
    st.one_of(st.sampled_from(BODIES), st.binary(max_size=60)),
)


def asked(route: str, method: str, query: dict[str, bytes], headers: list[bytes], body: bytes, name: bytes) -> bytes:
    path = route.replace("{id}", quote_from_bytes(name, safe="") or "0")
    given = "&".join(f"{key}={quote_from_bytes(value)}" for key, value in query.items())
    own = [] if any(one.startswith(b"Host") for one in headers) else [b"Host: 127.0.0.1"]
    head = [f"{method} {path}?{given} HTTP/1.1".encode(), *own, b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join([*head, *headers]) + b"\r\n\r\n" + body


def answer(port: int, request: bytes) -> bytes:
    """The beginning of what is answered: a stream never ends. b"": the request was so wrong that it was hung up on."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        said = b""
        try:
            sock.sendall(request)
            while len(said) < 5000 and (piece := sock.recv(65536)):
                said += piece
                if b"text/event-stream" in said or b"101 Switching" in said:
                    break
        except ConnectionError:
            pass  # it did not want to read to the end
        return said


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    port = free_port()
    one = Daemon(
        tmp_path_factory.mktemp("hostile"),
        f'[[devices]]\nid = "astm"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
        '[[alarms]]\nid = "quiet"\nwhen = { device = "astm", quantity = "*", below = 1e9 }\n',
    )
    try:
        one.start()
        peer = Analyser(port, "S", 3)
        peer.start()
        peer.join(60)
        assert eventually(lambda: len(json.loads(one.get("/api/v1/observations")[1])["items"]) == 3)
        yield one
    finally:
        one.kill()


def blameless(daemon: Daemon, request: bytes) -> None:
    """Errors: AssertionError (a fault of ours)."""
    faults = len([line for line in daemon.log if "Traceback" in line])
    said = answer(daemon.http, request)
    head, _, body = said.partition(b"\r\n\r\n")
    assert not said or head.startswith(b"HTTP/1.1 "), said
    assert head.split(b" ")[1:2] < [b"500"] or b"/readyz" in request, said
    assert b"Traceback" not in body, said
    assert daemon.alive
    assert len([line for line in daemon.log if "Traceback" in line]) == faults, daemon.log[-30:]


@given(hostile=requests)
@example(hostile=(("/api/v1/stream", "GET", ()), "", b"", {"after": "\u00b2".encode()}, [], b""))
@example(hostile=(("/api/v1/stream", "GET", ()), "", b"", {}, [b"Last-Event-ID: \xb2"], b""))
@example(hostile=(("/api/v1/stream", "GET", ()), "", b"", {"after": b"9" * 19}, [], b""))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_is_a_fault_of_ours(daemon: Daemon, hostile: Hostile) -> None:
    (path, usual, _), method, name, query, headers, body = hostile
    blameless(daemon, asked(path, method or usual, query, headers, body, name))


@pytest.mark.parametrize(("path", "method", "parameters"), ROUTES, ids=[f"{one[1]} {one[0]}" for one in ROUTES])
def test_every_parameter_of_every_route_takes_every_word(
    daemon: Daemon, path: str, method: str, parameters: tuple[str, ...]
) -> None:
    for word in WORDS:
        for name in parameters or ("limit",):
            blameless(daemon, asked(path, method, {name: word}, [], b"", word))
    for header in HEADERS:
        blameless(daemon, asked(path, method, {}, [header], b"", b"1"))
    for body in BODIES if method == "POST" else ():
        blameless(daemon, asked(path, method, {}, [], body, b"quiet:astm"))
    assert daemon.get("/readyz")[0] == 200
