"""A device's conversations: link x exchange x journal. The only place that acknowledges.

A reply is written when, and only when, the bytes it answers are durable, and replies keep the order of their
events. So a repeat that arrives while its first copy is still on the way to the disk waits behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from drivers.kit.exchange import Event, Exchange, Reason, Rejected, Send, WireError, receiver
from gateway.journal.schema import BROKEN, LAST, PART, REFUSED
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep, Thread
from gateway.links.link import Chunk, LinkState, Port

log = structlog.get_logger()

# An acknowledgement later than this may be taken for one of something else: the instrument's own timer (15 s in
# LIS01-A2 6.5.2.3) has had it send again by then. The bytes are kept; the repeat is recognised.
REPLY_WITHIN = 10.0
NO_BYTES = Chunk(b"")


class _Owed:
    """A reply waiting for its bytes to be durable, and for the replies before it."""

    __slots__ = ("at", "channel", "ready", "reply")

    def __init__(self, reply: bytes, at: float, *, ready: bool, channel: str = "") -> None:
        self.reply, self.at, self.ready, self.channel = reply, at, ready, channel


class _Delivery:
    """Counts what a chunk still waits for before the link may call it done."""

    __slots__ = ("_done", "_left")

    def __init__(self, done: Callable[[], None]) -> None:
        self._done, self._left = done, 1

    def expect(self) -> None:
        self._left += 1

    def arrived(self) -> None:
        self._left -= 1
        if not self._left:
            self._done()


@dataclass(slots=True)
class Traffic:
    """What a device has said since the daemon started."""

    messages: int = 0
    refused: int = 0
    bytes: int = 0
    late_replies: int = 0
    last_received: float | None = None  # unix seconds


Tap = Callable[[str, str, bytes], None]  # direction ("in", "out"), peer, bytes


class Conversation:
    """One open port and the exchange that speaks on it."""

    def __init__(self, session: Session, port: Port, exchange: Exchange, journal: Journal) -> None:
        self._device, self._traffic, self._taps = session.device, session.traffic, session.taps
        self._port, self._exchange, self._journal = port, exchange, journal
        self._receive = receiver(exchange)
        self._loop = asyncio.get_running_loop()
        self._owed: deque[_Owed] = deque()
        self._thread: Thread | None = None  # the message whose frames are coming in
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._epoch = time.time() - self._loop.time()  # an exchange's clock: the loop's, set to Unix time
        self._arm()

    def feed(self, chunk: Chunk, done: Callable[[], None]) -> None:
        """Bytes from the instrument; `done` once everything in them is durable."""
        for tap in self._taps:
            tap("in", chunk.channel or self._port.peer, chunk.data)
        delivery = _Delivery(done)
        self._traffic.bytes += len(chunk.data)
        self._traffic.last_received = time.time()
        self._carry_out(lambda now: self._receive(chunk.channel, chunk.data, now), chunk, delivery)
        delivery.arrived()
        if self._journal.pressed and not self._paused:
            self._paused = True
            self._port.pause()
            self._journal.when_relieved(self._resume)

    def close(self) -> None:
        """The port is gone: keep what the peer left unfinished."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._carry_out(lambda _now: self._exchange.close(), NO_BYTES, None)
        self._owed.clear()

    def _tick(self) -> None:
        self._timer = None
        deadline = self._exchange.deadline
        if deadline is not None and self._now() >= deadline:
            self._carry_out(self._exchange.tick, NO_BYTES, None)
        self._arm()

    def _now(self) -> float:
        return self._loop.time() + self._epoch

    def _carry_out(self, events: Callable[[float], Iterable[Event]], chunk: Chunk, delivery: _Delivery | None) -> None:
        now = self._loop.time()
        try:
            for event in events(now + self._epoch):
                self._event(event, chunk, delivery, now)
        except WireError as error:
            log.warning("conversation ended", device=self._device, peer=self._port.peer, why=str(error))
            self._port.close()
        except Exception:
            log.exception("exchange failed", device=self._device, peer=self._port.peer)
            self._event(Rejected(chunk.data, Reason.FAULT, detail="exchange failed"), chunk, delivery, now)
            self._port.close()
        if self._timer is None or (self._exchange.deadline or 0.0) - self._epoch < self._timer.when():
            self._arm()

    def _event(self, event: Event, chunk: Chunk, delivery: _Delivery | None, now: float) -> None:
        if isinstance(event, Send):
            if event.data:
                self._owe(_Owed(event.data, now, ready=True, channel=event.channel))
            return
        channel = ""
        if isinstance(event, Rejected):
            self._traffic.refused += 1
            state, thread, reason, detail = REFUSED, None, str(event.reason), event.detail
        else:
            channel = event.channel
            thread, reason, detail = self._thread, "", ""
            if not event.complete:
                thread = self._thread = self._thread or Thread()
                state = PART
            else:
                self._thread = None
                self._traffic.messages += 1
                state = LAST if event.sound else BROKEN
        owed = _Owed(event.reply, now, ready=False)
        self._owed.append(owed)
        if delivery:
            delivery.expect()

        def durable(_id: int) -> None:
            owed.ready = True
            self._pay()
            if delivery:
                delivery.arrived()

        self._journal.keep(
            Keep(
                self._device,
                channel or chunk.channel or self._port.peer,
                time.time_ns(),
                event.raw,
                state,
                durable,
                thread,
                reason,
                detail,
                -1 - chunk.packet if chunk.retained else chunk.packet,
                chunk.again,
                chunk.key,
            )
        )

    def _owe(self, owed: _Owed) -> None:
        self._owed.append(owed)
        self._pay()

    def _pay(self) -> None:
        owed = self._owed
        while owed and owed[0].ready:
            due = owed.popleft()
            if not due.reply:
                continue
            if self._loop.time() - due.at > REPLY_WITHIN:
                self._traffic.late_replies += 1
                log.warning("reply too late to be safe, not sent", device=self._device, peer=self._port.peer)
                continue
            for tap in self._taps:
                tap("out", due.channel or self._port.peer, due.reply)
            self._port.write(due.reply, due.channel)

    def _resume(self) -> None:
        self._paused = False
        self._port.resume()

    def _arm(self) -> None:
        deadline = self._exchange.deadline
        if deadline is None:
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline - self._epoch, self._tick)


class Session:
    """The ear of one device's link: a conversation for every port that opens."""

    def __init__(self, device: str, exchange: Callable[[], Exchange], journal: Journal) -> None:
        self.device = device
        self.traffic = Traffic()
        self.link_state = LinkState.STARTING
        self.link_detail = ""
        self.losses = 0  # how often a link that stood was lost
        self._exchange = exchange
        self._journal = journal
        self._conversations: dict[Port, Conversation] = {}
        self.taps: list[Tap] = []  # each is shown all wire traffic

    @property
    def peers(self) -> list[str]:
        return [port.peer for port in self._conversations]

    def opened(self, port: Port) -> None:
        self._conversations[port] = Conversation(self, port, self._exchange(), self._journal)
        log.info("connected", device=self.device, peer=port.peer)

    def received(self, port: Port, chunk: Chunk, done: Callable[[], None]) -> None:
        conversation = self._conversations.get(port)
        if conversation:
            conversation.feed(chunk, done)

    def closed(self, port: Port, why: str) -> None:
        conversation = self._conversations.pop(port, None)
        if conversation:
            conversation.close()
            log.info("disconnected", device=self.device, peer=port.peer, why=why)

    def state(self, state: LinkState, detail: str) -> None:
        if (state, detail) != (self.link_state, self.link_detail):
            log.info("link", device=self.device, state=str(state), detail=detail)
        self.losses += self.link_state is LinkState.CONNECTED and state is LinkState.WAITING
        self.link_state, self.link_detail = state, detail
