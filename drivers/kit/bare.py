"""ENQ, STX, records, ETX, EOT, each acknowledged, without frame numbers and checksums: how Snibe's analysers can be set
(MAGLUMI 800 operating instructions, 16.2 to 16.6). Nothing tells a damaged record here; both roles.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.frames import ACK, ENQ, EOT, ETX, NAK, STX

PAUSE = 0.3  # seconds of silence after which the peer waits for an answer
LATE = 5.0  # seconds the rest of a record may take
SILENCE = 30.0  # seconds within a message before it counts as broken off
REPLY = 15.0  # seconds to wait for an answer
TRIES = 6

_PART = re.compile(rb"[\0\x02-\x06\x15]|[^\0\x02-\x06\x15]+")
_LAST = re.compile(rb"(?:\A|[\r\n])[Ll](?:\|[^\r\n]*)?[\r\n]+")  # a whole L record
_ASKS = frozenset((ENQ, STX, ETX, EOT))


class Bare:
    """The host's side; an `Exchange`. Whatever comes without a pause between is answered with one ACK, and kept before
    that."""

    def __init__(self, max_message: int = 16 * 1024 * 1024) -> None:
        self._max = max_message
        self._held = b""  # since the last answer
        self._size = 0  # of the message so far
        self._whole = True  # the message so far ends where a record ends
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `tick` must run next."""
        return self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        self._held += data
        if self._size + len(self._held) > self._max:
            held, self._held, self._size, self._due = self._held, b"", 0, None
            yield Rejected(held, Reason.TOO_LONG, detail=f"no L record within {self._max} bytes")
        elif self._held:
            ended = self._held[-1:] in _ASKS or self._held[-1:] in (b"\r", b"\n")
            self._due = now + (PAUSE if ended else LATE)

    def tick(self, now: float) -> Iterator[Event]:
        """The peer waits, or has gone."""
        if self._due is None or now < self._due:
            return
        self._due = None
        if self._held:
            yield from self._answered()
            self._due = now + SILENCE if self._size else None
        elif self._size:
            yield self._end(b"", sound=False)

    def close(self) -> Iterator[Event]:
        """The link is gone: nobody waits for an answer any more."""
        for event in self._answered():
            yield Send(b"", event.raw) if isinstance(event, Send) else event
        if self._size:
            yield self._end(b"", sound=False)
        self._due = None

    def _answered(self) -> Iterator[Event]:
        """What is held, the last of it answered where it asks for an answer."""
        held, self._held = self._held, b""
        events: list[Event] = []
        for match in _PART.finditer(held):
            part = match[0]
            if part in (ENQ, EOT) and self._size:
                events.append(self._end(part, sound=part == EOT and self._whole))
            elif len(part) == 1 and part < b" " and part not in b"\r\n":
                events.append(Send(b"", part))
            else:
                events += self._text(part)
        asks = any(isinstance(event, Received) or event.raw in _ASKS for event in events)
        for place, event in enumerate(events, 1):
            if not asks or place < len(events):
                yield event
            elif isinstance(event, Received):
                yield Received(event.raw, ACK, event.complete, event.sound)
            else:
                yield Send(ACK, event.raw)

    def _text(self, text: bytes) -> Iterator[Event]:
        """Records; what stands between messages is blank."""
        if not self._size and not text.strip():
            yield Send(b"", text)
            return
        start = 0
        while start < len(text):
            begun = 0 if self._whole else 1  # an L within a record ends nothing
            match = _LAST.search(text, max(start, begun))
            stop = match.end() if match else len(text)
            piece, start = text[start:stop], stop
            self._size += len(piece)
            self._whole = piece.endswith((b"\r", b"\n"))
            yield self._end(piece) if match else Received(piece, complete=False)

    def _end(self, raw: bytes, sound: bool = True) -> Received:
        self._size, self._whole = 0, True
        return Received(raw, sound=sound)


class BareSpeaker:
    """The analyser's side; a `Speaker`. Every piece waits for its ACK."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._step = 0
        self._tries = 0
        self._due: float | None = None
        self._delivered = 0

    @property
    def deadline(self) -> float | None:
        """When an answer is late."""
        return self._due

    @property
    def delivered(self) -> int:
        """Messages whose last piece was acknowledged."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """Whether `delivered` rests on the peer's word."""
        return True

    @property
    def idle(self) -> bool:
        """True when nothing waits for its acknowledgement."""
        return not self._queue

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Send one message, its records ending with CR."""
        self._queue.append(message)
        if self._due is None:
            yield self._say(now)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """What the host answers: to one piece one answer."""
        answer = next((byte for byte in (data[at : at + 1] for at in range(len(data))) if byte in (ACK, NAK)), None)
        if not self._queue or answer is None:
            yield Send(b"", data)
        elif answer == NAK:
            yield self._say(now, data)
        else:
            self._step, self._tries = self._step + 1, 0
            if self._step == len(self._pieces):
                self._queue.popleft()
                self._step, self._delivered, self._due = 0, self._delivered + 1, None
            yield self._say(now, data) if self._queue else Send(b"", data)

    def tick(self, now: float) -> Iterator[Event]:
        """No answer came: the piece again, and after some tries the whole message."""
        if self._due is not None and now >= self._due and self._queue:
            self._step = self._step if self._tries < TRIES else 0
            yield self._say(now)

    def close(self) -> Iterator[Event]:
        """The link is gone; what was not acknowledged is sent anew when it is back."""
        self._step, self._tries = 0, 0
        self._due = 0.0 if self._queue else None
        return iter(())

    @property
    def _pieces(self) -> tuple[bytes, ...]:
        return (ENQ, STX, self._queue[0], ETX, EOT)

    def _say(self, now: float, raw: bytes = b"") -> Send:
        self._due, self._tries = now + REPLY, self._tries + 1
        return Send(self._pieces[self._step], raw)
