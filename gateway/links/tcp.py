"""TCP, connecting: the gateway calls the instrument."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import cast

from gateway.backoff import Backoff
from gateway.links.link import Chunk, Ear, LinkState
from gateway.links.options import TcpOptions

CONNECT_WITHIN = 10.0  # seconds
MOST_UNREAD = 1 << 20  # bytes a peer may leave unread before it is taken for dead
SETTLED = 10.0  # a connection that lasted so long was a good one


def nothing() -> None:
    """TCP has no acknowledgement of its own to give."""


class TcpPort(asyncio.Protocol):
    """One connection, made or accepted; a `Port`."""

    def __init__(self, ear: Ear, gone: Callable[[TcpPort], None]) -> None:
        self._ear, self._gone = ear, gone
        self._transport: asyncio.Transport | None = None
        self._why = ""
        self.peer = ""
        self.address = ""  # the peer's, without its port
        self.heard = 0.0  # when it last said something, or connected; monotonic seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.address = address[0] if address else ""
        self.peer = f"{address[0]}:{address[1]}" if address else "?"
        self.heard = time.monotonic()
        _keep_alive(transport.get_extra_info("socket"))
        self._ear.opened(self)

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        self._ear.received(self, Chunk(data, self.peer), nothing)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._ear.closed(self, self._why or (str(exc) if exc else "the peer closed it"))
        self._gone(self)

    def write(self, data: bytes, channel: str = "") -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MOST_UNREAD:
            self._why = "the peer does not read"
            transport.abort()
            return
        transport.write(data)

    def pause(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def abort(self, why: str) -> None:
        """Drop the connection without waiting for what is unsent."""
        self._why = why
        if self._transport:
            self._transport.abort()


def _keep_alive(sock: socket.socket | None) -> None:
    """Find a peer that vanished without a word within about a minute."""
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


class TcpLink:
    """Connects to one instrument, for ever."""

    def __init__(self, options: TcpOptions) -> None:
        self._options = options

    async def run(self, ear: Ear) -> None:
        loop = asyncio.get_running_loop()
        options, backoff = self._options, Backoff(longest=30.0)
        ear.state(LinkState.STARTING, options.address)
        try:
            while True:
                lost = asyncio.Event()
                started = loop.time()
                try:
                    async with asyncio.timeout(CONNECT_WITHIN):
                        _, port = await loop.create_connection(
                            lambda: TcpPort(ear, lambda _p: lost.set()),  # noqa: B023 - awaited within this turn
                            options.host,
                            options.port,
                        )
                except (OSError, TimeoutError) as error:
                    why = str(error) or "no answer"
                else:
                    ear.state(LinkState.CONNECTED, port.peer)
                    try:
                        await lost.wait()
                    finally:
                        port.abort("stopped")
                    why = "the connection ended"
                    if loop.time() - started > SETTLED:
                        backoff.succeeded()
                ear.state(LinkState.WAITING, f"{options.address}: {why}")
                await asyncio.sleep(backoff.next())
        finally:
            ear.state(LinkState.STOPPED, "")
