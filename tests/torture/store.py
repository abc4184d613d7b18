"""A store that does as it is told: an InfluxDB-compatible address on loopback, answering well or badly."""

from __future__ import annotations

import contextlib
import gzip
import re
import sys
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.system.daemon import free_port

Fault = Callable[["Writing"], None]
_LINE: Final = re.compile(r"^(.*?[^\\]) (.*) (\d+)$")
_FIELD: Final = re.compile(r"(?:^|,)(value|seq)=(-?[\d.eE+]+)i?(?=,|$)")


class Writing:
    """One write request, to be answered. A fault may keep lines, answer, hang up or do nothing (then all is well)."""

    def __init__(self, store: ScriptedStore, handler: BaseHTTPRequestHandler, lines: list[str]) -> None:
        self.store, self.lines, self._handler = store, lines, handler
        self.answered = False

    def keep(self, lines: list[str] | None = None) -> None:
        for line in self.lines if lines is None else lines:
            self.store.take(line)

    def say(self, status: int, text: str = "", **headers: str) -> None:
        self.answered = True
        self._handler.send_response_only(status)
        self._handler.send_header("Date", formatdate(time.time() + self.store.ahead, usegmt=True))
        self._handler.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()
        self._handler.wfile.write(text.encode())

    def hang_up(self, said: bytes = b"") -> None:
        """End the connection, after the beginning of an answer or none."""
        self.answered = True
        self._handler.wfile.write(said)
        self._handler.close_connection = True

    def wait(self, seconds: float) -> None:
        self.store.ended.wait(seconds)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A daemon that was killed hung up: no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class ScriptedStore:
    """Keeps points by series and time, as stores do. While `fault` is set it decides; `faults` counts what it did."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.faults = 0
        self.ahead = 0.0  # seconds its clock is ahead
        self.ended = threading.Event()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._points: dict[tuple[str, str], dict[str, float]] = {}
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                Writing(store, self, []).say(200, "process_start_time_seconds 1.7e9\n")

            def do_POST(self) -> None:
                with contextlib.suppress(OSError):
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                    if body.startswith(b"\x1f\x8b"):
                        body = gzip.decompress(body)
                    store.answer(Writing(store, self, body.decode().splitlines()))

            def log_message(self, *_: object) -> None:
                """Not on our standard error."""

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="store")
        self._thread.start()

    def stop(self) -> None:
        self.ended.set()
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def answer(self, writing: Writing) -> None:
        fault = self.fault
        if fault:
            fault(writing)
            self.faults += 1
        if not writing.answered:
            writing.keep()
            writing.say(204)

    def take(self, line: str) -> None:
        match = _LINE.match(line)
        if match:
            series, fields, at = match.groups()
            with self._lock:
                self._points.setdefault((series, at), {}).update({k: float(v) for k, v in _FIELD.findall(fields)})

    def by_seq(self, field: str) -> dict[int, float]:
        """As `tests.system.stores.Victoria.by_seq`."""
        with self._lock:
            points = list(self._points.values())
        numbers = [int(point["seq"]) for point in points]
        assert len(numbers) == len(set(numbers)), "in the store twice"
        return {int(point["seq"]): point[field] for point in points if field in point}
