"""What a link is: bytes in and out, nothing else. It connects, reconnects for ever, and reports its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class LinkState(StrEnum):
    STARTING = "starting"
    CONNECTED = "connected"  # bytes can flow
    LISTENING = "listening"  # waiting for an instrument to connect
    WAITING = "waiting"  # lost; trying again after a backoff
    STOPPED = "stopped"


class LinkError(Exception):
    """The wire failed (unplugged, refused, unreachable): worth trying again."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as they came off the wire. `whole` when they are one message by the link's own framing (MQTT, a file)."""

    data: bytes
    channel: str = ""  # peer address, MQTT topic or file name
    whole: bool = False
    retained: bool = False  # MQTT: the broker's last value, not a new measurement
    packet: int = 0  # MQTT packet identifier of a QoS 1 delivery; 0: none
    again: bool = False  # MQTT DUP: the broker has sent this packet before
    key: str = ""  # a file: its identity; the journal takes each once
    epoch: int = 0  # counts the MQTT connections since start: packet identifiers belong to one


class Port(Protocol):
    """One open conversation: an opened serial port, an accepted or made connection, a subscription."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for people and for `Chunk.channel`: "10.20.0.7:50112", "/dev/ttyUSB0"."""
        ...

    def write(self, data: bytes, channel: str = "") -> None:
        """Queue bytes for the wire, in order. After the port closed it does nothing.

        `channel` is where they go on a link with more than one place to write to: an MQTT topic."""
        ...

    def pause(self) -> None:
        """Stop reading: pressure goes back to the instrument."""
        ...

    def resume(self) -> None: ...

    def close(self) -> None:
        """Hang up; `Ear.closed` follows."""
        ...


class Ear(Protocol):
    """What a link speaks to (the session is one). All calls come on the event loop and return at once."""

    def opened(self, port: Port) -> None: ...

    def received(self, port: Port, chunk: Chunk, done: Callable[[], None]) -> None:
        """`done` must be called when the chunk is durable or handed to someone who will not lose it;
        a link that can acknowledge (MQTT) or mark as read (a file) does so then, in order of arrival."""
        ...

    def closed(self, port: Port, why: str) -> None: ...

    def state(self, state: LinkState, detail: str) -> None: ...


class Link(Protocol):
    """A configured link of one device. `run` returns only when cancelled, having closed its ports."""

    async def run(self, ear: Ear) -> None: ...
