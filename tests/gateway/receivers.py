"""Real receivers of what the gateway sends to people: an HTTP server and a mail server, on ports of their own."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.body)
        return found


@dataclass
class Web:
    """What an HTTP server was asked; it answers `status`."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told?key=hush"


@contextmanager
def web(port: int = 0) -> Iterator[Web]:
    """An HTTP server, for as long as the block lasts."""
    told = Web()

    class Answer(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.asked.append(Request(self.command, self.path, dict(self.headers), body))
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _take  # noqa: N815 - names of the library

        def log_message(self, *_given: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    server.daemon_threads = False
    told.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mail:
    """What a mail server was given, and for whom."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)


@asynccontextmanager
async def mail_server(refuse: bool = False) -> AsyncIterator[Mail]:
    """An SMTP server (RFC 5321, as much of it as a sender of mail needs), for as long as the block lasts. `refuse`: it
    would have no letter."""
    told = Mail()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 mail.example ready")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].upper()
            match verb:
                case "RCPT" if refuse:
                    say("550 nobody of that name")
                case "DATA":
                    say("354 go on")
                    told.letters.append(await _letter(reader))
                    say("250 taken")
                case "QUIT":
                    say("221 bye")
                    break
                case "EHLO" | "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP":
                    if verb == "RCPT":
                        told.recipients.append(line.partition(":")[2].strip("<> "))
                    say("250 good")
                case _:
                    say("502 not known")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    told.port = server.sockets[0].getsockname()[1]
    async with server:
        yield told


async def _letter(reader: asyncio.StreamReader) -> EmailMessage:
    lines = []
    while (line := await reader.readline()) not in (b".\r\n", b""):
        lines.append(line.removeprefix(b"."))
    letter = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
    assert isinstance(letter, EmailMessage)
    return letter
