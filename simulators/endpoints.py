"""Where a simulated instrument is plugged in: a pseudo-terminal, TCP either way, an MQTT topic, a folder."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pty
import socket
import struct
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from drivers.kit.exchange import Send
from simulators.faults import SLOW, Faults
from simulators.plan import LINKS, Plan

Received = Callable[..., None]  # bytes, and the topic where there are topics
MOST_LEFT = 8  # connections that were vanished from and stay open


class GoneError(ConnectionError):
    """The other end is not there (any more)."""


async def either(*events: asyncio.Event, timeout: float | None) -> None:  # noqa: ASYNC109 - of a wait, not a deadline
    """Until one of the events is set, or `timeout` seconds are over."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def free_port(host: str = "127.0.0.1") -> int:
    """A port of `host` that nobody listens on."""
    with socket.create_server((host, 0)) as found:
        return int(found.getsockname()[1])


class Endpoint(Protocol):
    """A place to speak from. `acknowledges` where the transport itself says that a message arrived (MQTT)."""

    acknowledges: bool

    @property
    def address(self) -> str: ...
    async def open(self, received: Received) -> None:
        """Wait until somebody is there. Errors: GoneError."""
        ...

    async def write(self, data: bytes, channel: str = "") -> None:
        """`channel`: where to, on links with several places to write to (MQTT topics). Errors: GoneError."""
        ...

    async def drop(self, how: str = "disconnect") -> None:
        """Break the connection: the ways of `simulators.wire.Broken`, as far as this kind of link has them."""
        ...

    async def close(self) -> None: ...
    @property
    def gone(self) -> asyncio.Event: ...


class PtyEndpoint:
    """A pseudo-terminal, raw; `link` is a name for it that stays."""

    acknowledges = False

    def __init__(self, link: Path | None = None) -> None:
        self._link = link
        self._plugged = False
        self._ends = pty.openpty()
        self._plug()
        self.gone = asyncio.Event()

    def _plug(self) -> None:
        self._master, slave = self._ends
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self._path = os.ttyname(slave)
        self._plugged = True
        if self._link:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._path)

    def _unplug(self) -> None:
        self._plugged = False
        asyncio.get_running_loop().remove_reader(self._master)
        for end in self._ends:
            os.close(end)
        if self._link:
            self._link.unlink(missing_ok=True)

    @property
    def address(self) -> str:
        return str(self._link or self._path)

    async def open(self, received: Received) -> None:
        if not self._plugged:
            self._plug()

        def readable() -> None:
            with contextlib.suppress(BlockingIOError, OSError):
                received(os.read(self._master, 65536))

        asyncio.get_running_loop().add_reader(self._master, readable)

    async def write(self, data: bytes, channel: str = "") -> None:
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

    async def drop(self, how: str = "disconnect") -> None:
        """A cable has no connection to break: what was being said is lost. Unplugged, the port goes away, and what
        comes back has another name."""
        if how == "unplug" and self._plugged:
            another = pty.openpty()
            self._unplug()
            self._ends = another

    async def close(self) -> None:
        if self._plugged:
            self._unplug()
        else:
            for end in self._ends:
                os.close(end)


class TcpEndpoint:
    """Connects to the gateway, or listens for it."""

    acknowledges = False

    def __init__(self, host: str, port: int, *, listen: bool = False) -> None:
        self._listening = socket.create_server((host, port)) if listen else None
        self._host, self._port = host, port
        if self._listening:
            self._port = self._listening.getsockname()[1]
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self._arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue(1)
        self._pump: asyncio.Task[None] | None = None
        self._left: deque[asyncio.StreamWriter] = deque()  # closing, or vanished from
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    async def open(self, received: Received) -> None:
        if self._listening:
            if self._server is None:
                self._server = await asyncio.start_server(
                    lambda reader, writer: self._arrived.put((reader, writer)), sock=self._listening
                )
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

    def send(self, data: bytes) -> asyncio.StreamWriter:
        """Write without waiting. Errors: GoneError."""
        if self._writer is None or self.gone.is_set():
            raise GoneError("the connection ended")
        self._writer.write(data)
        return self._writer

    async def write(self, data: bytes, channel: str = "") -> None:
        try:
            await self.send(data).drain()
        except ConnectionError as error:
            raise GoneError(str(error)) from None

    async def drop(self, how: str = "disconnect") -> None:
        """Close, reset, or vanish without a word (half-open: what was open stays open until `close`)."""
        if self._pump:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            self._pump = None
        writer, self._writer = self._writer, None
        self.gone.set()
        if writer is None:
            return
        if how == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        if how != "half-open":
            writer.close()
        self._left.append(writer)
        if len(self._left) > MOST_LEFT:
            self._left.popleft().transport.abort()

    async def close(self) -> None:
        await self.drop()
        while self._left:
            self._left.popleft().transport.abort()
        if self._server:
            self._server.close()
        elif self._listening:
            self._listening.close()


class Published(Protocol):
    """What an instrument on a broker has besides messages: a will, and a topic its commands come on ("": none)."""

    @property
    def will(self) -> Send | None: ...
    @property
    def listens(self) -> str: ...


class FolderEndpoint:
    """Puts each message into a folder as a file: whole at once by renaming, or slowly, in two halves, in its place."""

    acknowledges = False

    def __init__(self, folder: Path, name: str, faults: Faults | None = None) -> None:
        self._folder, self._name = folder, name
        self._faults = faults or Faults({}, 1)
        self._numbers = itertools.count(1)
        self.gone = asyncio.Event()

    @property
    def address(self) -> str:
        return str(self._folder)

    async def open(self, received: Received) -> None:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)

    async def write(self, data: bytes, channel: str = "") -> None:
        path = self._folder / f"{self._name}-{next(self._numbers):06d}.txt"
        if not self._faults.happens("slow"):
            await asyncio.to_thread(_put, path, data)
            return
        half = len(data) // 2
        await asyncio.to_thread(_append, path, data[:half])
        try:
            await asyncio.sleep(SLOW)
        finally:  # a file left at its half would pass for whole
            _append(path, data[half:])

    async def drop(self, how: str = "disconnect") -> None:
        """A folder has no connection."""

    async def close(self) -> None:
        """Nothing is open."""


def _put(path: Path, data: bytes) -> None:
    half = path.with_name(f".{path.name}")
    half.write_bytes(data)
    half.rename(path)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def build(plan: Plan, delivered: Callable[[], None], faults: Faults, about: Published | None = None) -> Endpoint:
    """The endpoint of a plan's link. Errors: LookupError, OSError (a port that is taken)."""
    kind, _, rest = plan.link.partition(":")
    host, _, port = rest.rpartition(":")
    try:
        match kind:
            case "pty":
                return PtyEndpoint(Path(rest) if rest else None)
            case "tcp" | "tcp-listen":
                return TcpEndpoint(host or "127.0.0.1", int(port or 0), listen=kind == "tcp-listen")
            case "rfc2217":
                from simulators.rfc2217 import Rfc2217Endpoint

                return Rfc2217Endpoint(host or "127.0.0.1", int(port or 0))
            case "mqtt":
                where, _, topic = rest.partition("/")
                host, _, port = where.partition(":")
                name = f"sim-{plan.driver}-{plan.device or plan.seed}"
                from simulators.mqtt import MqttEndpoint

                return MqttEndpoint(host, int(port or 1883), topic or "sim", name, delivered, faults, about)
            case "opcua":
                from simulators.opcua import OpcUaEndpoint

                return OpcUaEndpoint(host or "127.0.0.1", int(port or 4840), plan)
            case "sila":
                from simulators.sila import SilaEndpoint

                return SilaEndpoint(host or "127.0.0.1", int(port or 50052), plan)
            case "folder" if rest:
                return FolderEndpoint(Path(rest), f"{plan.driver}-{plan.seed}", faults)
    except ValueError:
        pass
    raise LookupError(f"{plan.link!r} is no link. Write {LINKS}.")
