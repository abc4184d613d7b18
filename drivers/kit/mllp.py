"""MLLP, the Minimal Lower Layer Protocol of HL7 (Transport Specification: MLLP, release 1 and 2): whole documents
between a start byte and two end bytes.

`0B` payload `1C 0D`. No length, no checksum, no session: what the payload is and how it is answered is the affair of
the exchange inside.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Final

from drivers.kit.exchange import Event, Exchange, Reason, Rejected, Send, Speaker

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
COMMITTED, REFUSED = b"\x06", b"\x15"  # release 2: what a commit block carries

MOST: Final = 8 * 1024 * 1024  # bytes of one block
QUIET: Final = 30.0  # seconds of silence after which an unfinished block is given up
LATE: Final = 1.0  # seconds the CR after FS may be late; some senders leave it out
QUEUED: Final = 10_000  # messages that may wait
WAIT: Final = 30.0  # seconds for the answer to a message

_END = re.compile(rb"\x1c(?:[\r\n]|(?=\x0b))|\x0b")  # of a block, or the beginning of another
_STARTS = re.compile(rb"\x0b+(?=\x0b)")  # blocks with nothing in them
# What may stand between blocks without meaning anything: line ends, and control characters, with which some analysers
# show every few seconds that they are there (STX).
_BLANK = re.compile(rb"[\x00-\x0a\x0c-\x20\x7f]+")


def block(payload: bytes) -> bytes:
    """One document as it goes onto the wire."""
    return VT + payload + FS + CR


class Mllp:
    """Cuts blocks and gives each payload, whole, to `inner.receive`; what inner says goes out in blocks. An `Exchange`.

    The `raw` of events is the wire's, framing included. `max_block` counts payload bytes; of a longer block the
    beginning is refused (and answered with `refuse(beginning, now)`, where given), the rest dropped. `commit`: release
    2's commit blocks, sent before inner's own answer. Commit blocks that arrive are taken off without telling inner.
    """

    def __init__(
        self,
        inner: Exchange,
        *,
        max_block: int = MOST,
        quiet: float = QUIET,
        late: float | None = LATE,
        commit: bool = False,
        refuse: Callable[[bytes, float], bytes] | None = None,
    ) -> None:
        self._inner = inner
        self._max = max(max_block, 16) + 3
        self._quiet, self._late = quiet, quiet if late is None else late
        self._commit = commit
        self._refuse = refuse
        self._held = bytearray()
        self._scanned = 0  # how much of what is held is known to hold no end
        self._skipping = False  # the rest of a block that was too long
        self._due: float | None = None
        self._now = 0.0

    @property
    def deadline(self) -> float | None:
        """When silence makes the block that is held an unfinished one, or inner has something due."""
        inner = self._inner.deadline
        return min((due for due in (self._due, inner) if due is not None), default=None)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        self._now = now
        held = self._held
        held += data
        while held:
            events = self._block(now) if held.startswith(VT) else self._stray()
            if events is None:
                break
            yield from events
        self._due = now + (self._late if held.endswith(FS) else self._quiet) if held else None

    def tick(self, now: float) -> Iterator[Event]:
        """Silence may have made the held block unfinished; inner's timers."""
        self._now = now
        if self._due is not None and now >= self._due:
            yield from self._unfinished("the block was not ended")
        if self._inner.deadline is not None and now >= self._inner.deadline:
            yield from self._said(self._inner.tick(now))

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        yield from self._unfinished("the link closed within a block")
        yield from self._said(self._inner.close())

    def _take(self, size: int) -> bytes:
        raw = bytes(self._held[:size])
        del self._held[:size]
        self._scanned = 0
        return raw

    def _stray(self) -> Sequence[Event] | None:
        """What stands between blocks: blanks mean nothing, anything else is refused as one piece."""
        held = self._held
        if not self._scanned and (blank := _BLANK.match(held)):
            return [Send(b"", self._take(blank.end()))]
        end = held.find(VT, self._scanned, self._max)
        if end < 0 and len(held) < self._max and not self._skipping:
            self._scanned = len(held)
            return None
        skipped, self._skipping = self._skipping, self._skipping and end < 0
        raw = self._take(end if end >= 0 else min(len(held), self._max))
        return [Send(b"", raw) if skipped else Rejected(raw, Reason.FRAMING, detail="bytes outside a block")]

    def _block(self, now: float) -> Sequence[Event] | None:
        self._skipping = False
        held = self._held
        if empty := _STARTS.match(held):
            return [Send(b"", self._take(empty.end()))]
        match = _END.search(held, max(1, self._scanned), self._max)
        if match is None:
            self._scanned = max(1, len(held) - 1)  # FS may be the last byte held
            return self._too_long(now) if len(held) >= self._max else None
        if match[0] == VT:
            return [Rejected(self._take(match.start()), Reason.INCOMPLETE, detail="a block began within a block")]
        start, end = match.span()
        raw = self._take(end)
        return self._whole(raw[1:start], raw, now)

    def _whole(self, payload: bytes, raw: bytes, now: float) -> Sequence[Event]:
        """One payload for inner, and its answers."""
        if payload in (COMMITTED, REFUSED):
            return self._committed(payload, raw, now)
        if not payload.strip(b" \t\r\n\0"):
            return [Send(b"", raw)]
        events = list(self._inner.receive(payload, now))
        if not any(event.raw for event in events):
            events.insert(0, Send(b"", payload))
        return self._said(events, raw[:1], raw[1 + len(payload) :], answer=True)

    def _committed(self, payload: bytes, raw: bytes, now: float) -> Sequence[Event]:
        """The peer has stored a block of ours, or not: a host's answers are not sent again."""
        return [Send(b"", raw)]

    def _said(
        self, events: Iterable[Event], head: bytes = b"", tail: bytes = b"", *, answer: bool = False
    ) -> list[Event]:
        """Inner's events on the wire: framing around their bytes, blocks around what they send."""
        made = list(events)
        carrying = [place for place, event in enumerate(made) if event.raw]
        for place, event in enumerate(made):
            raw = event.raw
            if carrying and place == carrying[0]:
                raw = head + raw
            commit = b""
            if carrying and place == carrying[-1]:
                raw += tail
                if answer and self._commit:
                    commit = block(REFUSED if isinstance(event, Rejected) else COMMITTED)
            said = event.data if isinstance(event, Send) else event.reply
            said = commit + (block(said) if said else b"")
            made[place] = (
                replace(event, raw=raw, data=said) if isinstance(event, Send) else replace(event, raw=raw, reply=said)
            )
        return made

    def _too_long(self, now: float) -> Sequence[Event]:
        raw = self._take(self._max)
        self._skipping = True
        reply = self._refuse(raw[1:], now) if self._refuse else b""
        answer = (block(REFUSED) if self._commit else b"") + (block(reply) if reply else b"")
        detail = f"no end within {self._max - 3} bytes; dropped up to the next block"
        return [Rejected(raw, Reason.TOO_LONG, answer, detail)]

    def _unfinished(self, why: str) -> Iterable[Event]:
        held, self._due = self._held, None
        skipped, self._skipping = self._skipping, False
        if not held:
            return []
        raw = self._take(len(held))
        if skipped:
            return [Send(b"", raw)]
        if not raw.startswith(VT):
            return [Rejected(raw, Reason.FRAMING, detail="bytes outside a block")]
        if raw.endswith(FS):  # only the last byte is missing
            return self._whole(raw[1:-1], raw, self._now)
        return [Rejected(raw, Reason.INCOMPLETE, block(REFUSED) if self._commit else b"", why)]


class MllpSpeaker(Mllp):
    """The same around an exchange that has messages of its own; commit blocks reach it as payloads. A `Speaker`."""

    def __init__(self, inner: Speaker, *, max_block: int = MOST, quiet: float = QUIET, commit: bool = False) -> None:
        super().__init__(inner, max_block=max_block, quiet=quiet, commit=commit)
        self._speaker = inner

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue one payload."""
        yield from self._said(self._speaker.offer(message, now))

    @property
    def delivered(self) -> int:
        """How many offered messages inner knows acknowledged."""
        return self._speaker.delivered

    @property
    def confirms(self) -> bool:
        """Whether `delivered` rests on the peer's word."""
        return self._speaker.confirms

    @property
    def idle(self) -> bool:
        """True when nothing offered still waits."""
        return self._speaker.idle

    def _committed(self, payload: bytes, raw: bytes, now: float) -> Sequence[Event]:
        return self._said(self._speaker.receive(payload, now), raw[:1], raw[2:])


class Answer(Enum):
    """What a payload that arrives says about the message on its way."""

    ACCEPTED = auto()
    REFUSED = auto()  # try again later
    OTHER = auto()  # it answers something else, or only a part


class Delivery:
    """Payloads one at a time, each sent again, unchanged, until the peer accepts it. A `Speaker`, for `MllpSpeaker`.

    `answers(message, payload)` says whether what arrived accepts the message. `wait` seconds without an answer, or
    `pause` seconds after a refusal, send it again.
    """

    def __init__(self, answers: Callable[[bytes, bytes], Answer], *, wait: float = WAIT, pause: float = 5.0) -> None:
        self._answers = answers
        self._wait, self._pause = wait, pause
        self._queue: deque[bytes] = deque()
        self._due: float | None = None
        self._delivered = 0

    @property
    def deadline(self) -> float | None:
        """When the message on its way is sent again."""
        return self._due

    @property
    def delivered(self) -> int:
        """Messages accepted, in order of offering."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """The peer's word is waited for."""
        return True

    @property
    def idle(self) -> bool:
        """True when nothing waits for its acceptance."""
        return not self._queue

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue one payload; the oldest is on its way."""
        if len(self._queue) < QUEUED:
            self._queue.append(message)
        if self._due is None:
            yield self._send(b"", now)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """A payload of the peer's: an answer, or nothing we know."""
        answer = Answer.OTHER
        if self._queue and self._due is not None:
            answer = Answer.REFUSED if data == REFUSED else self._answers(self._queue[0], data)
        if answer is Answer.REFUSED:
            self._due = now + self._pause
        if answer is not Answer.ACCEPTED:
            yield Send(b"", data)
            return
        self._queue.popleft()
        self._delivered += 1
        self._due = None
        yield self._send(data, now) if self._queue else Send(b"", data)

    def tick(self, now: float) -> Iterator[Event]:
        """No answer came: again."""
        if self._due is not None and now >= self._due:
            yield self._send(b"", now)

    def close(self) -> Iterator[Event]:
        """The link is gone. What was not accepted is sent anew when it is back."""
        self._due = 0.0 if self._queue else None
        return iter(())

    def _send(self, raw: bytes, now: float) -> Event:
        self._due = now + self._wait
        return Send(self._queue[0], raw)
