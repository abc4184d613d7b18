"""Listen to a device for a while without promising it anything: what the doctor judges by.

Where the daemon runs, its wire is tapped. Otherwise the device's own link is opened and its questions are asked, but
nothing is ever acknowledged: what an instrument says to the doctor it will say again to the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import drivers
from drivers.kit.exchange import Event, Exchange, Rejected, Send, receiver
from drivers.kit.recording import Piece
from gateway import control
from gateway.config import Config, Device
from gateway.journal.folder import holder
from gateway.links.link import Chunk, Link, LinkState, Port
from gateway.links.listen import Listeners, ListenLink
from gateway.links.options import (
    BrokerOptions,
    FileOptions,
    MqttLinkOptions,
    SerialOptions,
    TcpListenOptions,
    TcpOptions,
)
from gateway.links.serial import SerialLink
from gateway.links.tcp import TcpLink

NEWEST = 3  # files of a folder that are looked at
MOST_HEARD = 4 << 20  # bytes; who says more has said enough


@dataclass(slots=True)
class Heard:
    """What came and went, and how the link was."""

    pieces: list[Piece] = field(default_factory=list)
    state: LinkState = LinkState.STARTING
    detail: str = ""
    tapped: bool = False  # the running daemon was listened to
    size: int = 0

    @property
    def said(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces if piece.incoming)

    @property
    def asked(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces if not piece.incoming)

    def add(self, piece: Piece) -> None:
        self.size += len(piece.data)
        if self.size <= MOST_HEARD:
            self.pieces.append(piece)


async def listen(config: Config, device: Device, seconds: float) -> Heard:
    """What a device says within `seconds`. Errors: OSError and ValueError of brokers that cannot be reached."""
    heard = Heard()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            if holder(config.gateway.data_dir):
                await _tap(config, device, heard)
            elif isinstance(device.link, MqttLinkOptions):
                await _subscribe(config.broker(device.link.broker), device.link, heard)
            elif isinstance(device.link, FileOptions):
                await asyncio.to_thread(_look, device.link, heard)
            else:
                await _open(device).run(_Ear(device, heard))
    return heard


def _look(link: FileOptions, heard: Heard) -> None:
    """The newest files of the folder, left as they are."""
    try:
        found = sorted((p for p in link.path.glob(link.pattern) if p.is_file()), key=lambda p: p.stat().st_mtime)
        for path in found[-NEWEST:]:
            if path.stat().st_size <= link.max_bytes:
                heard.add(Piece(0.0, True, path.read_bytes(), path.name))
    except OSError as error:
        heard.state, heard.detail = LinkState.WAITING, f"{link.path}: {error.strerror}"
    else:
        heard.state = LinkState.CONNECTED


async def _tap(config: Config, device: Device, heard: Heard) -> None:
    heard.tapped = True
    loop = asyncio.get_running_loop()
    started = loop.time()
    async for piece in control.tap(config.gateway.data_dir, device.id):
        if "hex" not in piece:
            heard.state = LinkState.CONNECTED if piece["peers"] else LinkState.LISTENING
            continue
        heard.state = LinkState.CONNECTED
        channel = piece["peer"] if isinstance(device.link, MqttLinkOptions) else ""
        incoming = piece["direction"] == "in"
        heard.add(Piece(loop.time() - started, incoming, bytes.fromhex(piece["hex"]), channel))


async def _subscribe(broker: BrokerOptions, link: MqttLinkOptions, heard: Heard) -> None:
    """Under a name of our own and at QoS 0: the daemon's own session at the broker is not touched."""
    import aiomqtt

    from gateway.sinks.mqtt import client_of

    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        async with await client_of(broker, f"assaygate-doctor-{os.getpid()}", 5.0) as client:
            for one in link.filters:
                await client.subscribe(one, qos=0)
            heard.state = LinkState.CONNECTED
            async for message in client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                heard.add(Piece(loop.time() - started, True, payload, str(message.topic)))
    except aiomqtt.MqttError as error:
        heard.state, heard.detail = LinkState.WAITING, str(error)


def _open(device: Device) -> Link:
    options = device.link
    match options:
        case SerialOptions():
            return SerialLink(options)
        case TcpOptions():
            return TcpLink(options)
        case TcpListenOptions():
            return ListenLink(device.id, options, Listeners(), asyncio.Event())
    raise ValueError(f"a {options.type} link cannot be listened to without the daemon. Start it, then ask again.")


class _Ear:
    """Hears a link; asks what the driver asks, and acknowledges nothing."""

    def __init__(self, device: Device, heard: Heard) -> None:
        self.heard = heard
        self._driver, self._device = drivers.load(device.driver), device
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._talks: dict[Port, tuple[Exchange, asyncio.TimerHandle | None]] = {}

    def opened(self, port: Port) -> None:
        self._talks[port] = (self._driver.host(self._device), None)
        self._arm(port)

    def received(self, port: Port, chunk: Chunk, done: Callable[[], None]) -> None:
        self.heard.add(Piece(self._now(), True, chunk.data, chunk.channel if chunk.whole else ""))
        exchange, _ = self._talks[port]
        self._ask(port, list(receiver(exchange)(chunk.channel, chunk.data, self._now())))

    def closed(self, port: Port, why: str) -> None:
        _, timer = self._talks.pop(port)
        if timer:
            timer.cancel()

    def state(self, state: LinkState, detail: str) -> None:
        if state is not LinkState.STOPPED:
            self.heard.state, self.heard.detail = state, detail

    def _now(self) -> float:
        return self._loop.time() - self._started

    def _ask(self, port: Port, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Rejected) or not isinstance(event, Send) or not event.data:
                continue
            port.write(event.data, event.channel)
            self.heard.add(Piece(self._now(), False, event.data))
        self._arm(port)

    def _arm(self, port: Port) -> None:
        if port not in self._talks:
            return
        exchange, timer = self._talks[port]
        if timer:
            timer.cancel()
        due = exchange.deadline
        later = None if due is None else self._loop.call_later(max(0.0, due - self._now()), self._due, port)
        self._talks[port] = (exchange, later)

    def _due(self, port: Port) -> None:
        exchange, _ = self._talks[port]
        self._ask(port, list(exchange.tick(self._now())))
