"""Where a simulated instrument is plugged in: a pseudo-terminal, TCP either way, an MQTT topic, a folder."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pty
import tty
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

Received = Callable[[bytes], None]
MOST_IN_FLIGHT = 200  # MQTT messages published and not acknowledged


class GoneError(ConnectionError):
    """The other end is not there (any more)."""


class Endpoint(Protocol):
    """A place to speak from. `acknowledges` where the transport itself says that a message arrived (MQTT)."""

    acknowledges: bool

    @property
    def address(self) -> str: ...
    async def open(self, received: Received) -> None:
        """Wait until somebody is there. Errors: GoneError."""
        ...

    async def write(self, data: bytes) -> None:
        """Errors: GoneError."""
        ...

    async def drop(self) -> None:
        """Break the connection."""
        ...

    async def close(self) -> None: ...
    @property
    def gone(self) -> asyncio.Event: ...


class PtyEndpoint:
    """A pseudo-terminal, raw; `link` is a name for it that stays."""

    acknowledges = False

    def __init__(self, link: Path | None = None) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._path = os.ttyname(self._slave)
        self._link = link
        if link:
            link.unlink(missing_ok=True)
            link.symlink_to(self._path)
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return str(self._link or self._path)

    async def open(self, received: Received) -> None:
        loop = asyncio.get_running_loop()

        def readable() -> None:
            with contextlib.suppress(BlockingIOError, OSError):
                received(os.read(self._master, 65536))

        loop.add_reader(self._master, readable)

    async def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                free: asyncio.Future[None] = loop.create_future()
                loop.add_writer(self._master, free.set_result, None)
                try:
                    await free
                finally:
                    loop.remove_writer(self._master)

    async def drop(self) -> None:
        """A cable has no connection to break: what was being said is lost."""

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        if self._link:
            self._link.unlink(missing_ok=True)


class TcpEndpoint:
    """Connects to the gateway, or listens for it."""

    acknowledges = False

    def __init__(self, host: str, port: int, *, listen: bool = False) -> None:
        self._host, self._port, self._listen = host, port, listen
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue(1)
        self._pump: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    async def open(self, received: Received) -> None:
        if self._listen:
            if self._server is None:
                self._server = await asyncio.start_server(
                    lambda reader, writer: self._arrived.put((reader, writer)), self._host, self._port
                )
                self._port = self._server.sockets[0].getsockname()[1]
            reader, self._writer = await self._arrived.get()
        else:
            try:
                reader, self._writer = await asyncio.open_connection(self._host, self._port)
            except OSError as error:
                raise GoneError(str(error)) from None
        self.gone.clear()
        self._pump = asyncio.create_task(self._read(reader, received), name=f"read:{self.address}")

    async def _read(self, reader: asyncio.StreamReader, received: Received) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                received(data)
        self.gone.set()

    async def write(self, data: bytes) -> None:
        if self._writer is None or self.gone.is_set():
            raise GoneError("the connection ended")
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise GoneError(str(error)) from None

    async def drop(self) -> None:
        if self._pump:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            self._pump = None
        if self._writer:
            self._writer.transport.abort()
            self._writer = None
        self.gone.set()

    async def close(self) -> None:
        await self.drop()
        if self._server:
            self._server.close()


class MqttEndpoint:
    """Publishes at QoS 1; acknowledged is what the broker acknowledged."""

    acknowledges = True

    def __init__(self, host: str, port: int, topic: str, name: str, acknowledged: Callable[[], None]) -> None:
        self._host, self._port, self._topic, self._name = host, port, topic, name
        self._acknowledged = acknowledged
        self._publishing: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._stack: contextlib.AsyncExitStack | None = None
        self._publish: Callable[[bytes], Awaitable[None]] | None = None
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return f"mqtt://{self._host}:{self._port}/{self._topic}"

    async def open(self, received: Received) -> None:
        import aiomqtt

        await self.drop()
        stack = contextlib.AsyncExitStack()
        there = aiomqtt.Client(self._host, self._port, identifier=self._name, max_inflight_messages=MOST_IN_FLIGHT)
        there.pending_calls_threshold = MOST_IN_FLIGHT + 1
        try:
            client = await stack.enter_async_context(there)
        except aiomqtt.MqttError as error:
            raise GoneError(str(error)) from None
        self._stack = stack
        self.gone.clear()

        async def publish(data: bytes) -> None:
            try:
                await client.publish(self._topic, data, qos=1, timeout=10)
            except aiomqtt.MqttError:
                self.gone.set()
            else:
                self._acknowledged()

        self._publish = publish

    async def write(self, data: bytes) -> None:
        if self._publish is None or self.gone.is_set():
            raise GoneError("the connection ended")
        await self._room.acquire()
        task = asyncio.create_task(self._deliver(self._publish, data))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _deliver(self, publish: Callable[[bytes], Awaitable[None]], data: bytes) -> None:
        try:
            await publish(data)
        finally:
            self._room.release()

    async def drop(self) -> None:
        await asyncio.gather(*self._publishing, return_exceptions=True)
        stack, self._stack, self._publish = self._stack, None, None
        if stack:
            with contextlib.suppress(Exception):
                await stack.aclose()

    async def close(self) -> None:
        await self.drop()


class FolderEndpoint:
    """Puts each message into a folder as a file, whole at once."""

    acknowledges = False

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._numbers = itertools.count(1)
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return str(self._folder)

    async def open(self, received: Received) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    async def write(self, data: bytes) -> None:
        name = f"{self._name}-{next(self._numbers):06d}.txt"

        def put() -> None:
            half = self._folder / f".{name}"
            half.write_bytes(data)
            half.rename(self._folder / name)

        await asyncio.to_thread(put)

    async def drop(self) -> None:
        """A folder has no connection."""

    async def close(self) -> None:
        """Nothing is open."""
