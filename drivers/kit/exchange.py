"""The conversation with an instrument as a pure machine: bytes and a time in, events out.

An `Exchange` does no I/O and knows no clock. Whoever owns the wire feeds it (`gateway.session` for a
real instrument, `simulators.bench` on a virtual clock) and carries out its events in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Reason(StrEnum):
    """Why bytes could not become observations: the closed list quarantine speaks in."""

    CHECKSUM = "checksum"  # the frame's checksum is not the one wanted
    FRAME_NUMBER = "frame-number"  # neither the expected frame nor a repeat of the last
    FRAMING = "framing"  # bytes outside any frame, or a frame that never ends
    TOO_LONG = "too-long"  # past the cap on one frame, line or message
    INCOMPLETE = "incomplete"  # the peer stopped in the middle of a message
    UNREADABLE = "unreadable"  # whole, but not what the driver's format says (DecodeError)
    ENCODING = "encoding"  # bytes that are not text in the declared character set
    UNCLAIMED = "unclaimed"  # no configured device claims this topic, address or message
    DAMAGED = "damaged"  # the journal no longer has it as it was kept
    FAULT = "fault"  # our own code failed on it: a defect to report; the bytes are safe


@dataclass(frozen=True, slots=True)
class Send:
    """Write `data` to the peer now. `raw` are the input bytes this used up (an ENQ, an ACK); not kept.

    `channel` says where it goes on a link that has more than one place to write to: an MQTT topic. Other links pay
    no heed to it; MQTT writes nothing without one.
    """

    data: bytes
    raw: bytes = b""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that must be durable before `reply` is written.

    `complete` ends a message; a message of several frames is several events, the last one complete.
    `sound` is False where the peer stopped short of the message's end (link dropped, timeout): what
    was acknowledged is decoded all the same, and reported as incomplete.
    `channel` is what must be known to read the bytes and does not stand in them: the question they answer (a register
    block, a query). It is kept beside them and given to `decode` as `Message.channel`.
    """

    raw: bytes
    reply: bytes = b""
    complete: bool = True
    sound: bool = True
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Bytes that are refused: kept in quarantine with the reason, then `reply` (a NAK, say) is written."""

    raw: bytes
    reason: Reason
    reply: bytes = b""
    detail: str = ""


Event = Send | Received | Rejected


class Exchange(Protocol):
    """One conversation. Every input byte comes out in exactly one event's `raw`, in order.

    `now` is in seconds on a clock that never goes back. In the gateway it is Unix time as of the conversation's
    beginning and runs on steadily, so that replies which must carry a time can; timers only count differences.
    """

    @property
    def deadline(self) -> float | None:
        """When `tick` must run next, on the clock of `now` (seconds); None: no timer runs."""
        ...

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived. The iterator must be exhausted before the next call."""
        ...

    def tick(self, now: float) -> Iterator[Event]:
        """Time has reached `deadline`: timeouts, questions that are due."""
        ...

    def close(self) -> Iterator[Event]:
        """The link is gone: what the peer left unfinished."""
        ...


class Addressed(Exchange, Protocol):
    """An exchange that must know the channel (MQTT topic) its bytes came on to follow the conversation.

    Whoever owns the wire asks `receiver` what to feed: `receive_from` where there is one, else `receive`. `receive`
    stays for wires that have no channels.
    """

    def receive_from(self, channel: str, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived on `channel`."""
        ...


def receiver(exchange: Exchange) -> Callable[[str, bytes, float], Iterator[Event]]:
    """What takes (channel, bytes, now) for this exchange, whether it is `Addressed` or not."""
    addressed: Callable[[str, bytes, float], Iterator[Event]] | None = getattr(exchange, "receive_from", None)
    return addressed or (lambda _channel, data, now: exchange.receive(data, now))


class Speaker(Exchange, Protocol):
    """An exchange that also has messages of its own to deliver (the instrument's side, or a host with orders)."""

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue one message (application bytes: records, a line, a payload) for delivery."""
        ...

    @property
    def delivered(self) -> int:
        """How many offered messages the peer has acknowledged, in order of offering."""
        ...

    @property
    def confirms(self) -> bool:
        """True where `delivered` rests on the peer's word; False where nobody acknowledges and it counts what was
        written."""
        ...

    @property
    def idle(self) -> bool:
        """True when nothing offered is still waiting for its acknowledgement."""
        ...


class WireError(Exception):
    """The peer broke the protocol in a way that ends this conversation (the link reconnects)."""


class DecodeError(Exception):
    """A whole message that cannot be read: it goes to quarantine with `reason`, its bytes kept."""

    def __init__(self, detail: str, reason: Reason = Reason.UNREADABLE) -> None:
        super().__init__(detail)
        self.reason = reason
