"""Pages of text on a wire: lines up to one that ends the page, which may carry a checksum; answered in lines or not."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.lines import BLANK, MAX_LINE

QUEUED: Final = 10_000


def crc16(data: bytes) -> int:
    """CRC-16 with the reflected polynomial A001 and the start FFFF, as Modbus and the CELL-DYN Emerald use it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


Judge = Callable[[bytes, bytes], str]
"""The page before its last line, that line -> what is wrong, "" where nothing is."""


class Pages:
    """Cuts what arrives into pages. An `Exchange`.

    `last` is what the line that ends a page looks like. `says` gives the answer to a line that belongs to no page but
    to the conversation (None: it is of a page): what stood before it on its page is part of that. `reply` answers a
    page, `refusal` one that `check` finds fault with.
    """

    def __init__(
        self,
        last: re.Pattern[bytes],
        *,
        check: Judge,
        says: Callable[[bytes], bytes | None],
        reply: bytes = b"",
        refusal: bytes = b"",
        max_page: int = MAX_LINE,
        quiet: float = 10.0,
    ) -> None:
        self._last, self._check, self._says = last, check, says
        self._reply, self._refusal = reply, refusal
        self._max, self._quiet = max_page, quiet
        self._end = re.compile(rb"[\r\n]")
        self._held = bytearray()
        self._begins = 0  # where the line that is being read begins
        self._scanned = 0
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence makes the page that is held an unfinished one."""
        return self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        self._held += data
        while match := self._end.search(self._held, self._scanned, self._max):
            event = self._line(match.end())
            if event is None:
                self._begins = self._scanned = match.end()
            else:
                yield self._used(event)
        self._scanned = min(len(self._held), self._max)
        while len(self._held) >= self._max:
            raw = bytes(self._held[: self._max])
            yield self._used(Rejected(raw, Reason.TOO_LONG, self._refusal, f"no page within {self._max} bytes"))
        self._due = now + self._quiet if self._held else None

    def tick(self, now: float) -> Iterator[Event]:
        """Silence may have made the held page unfinished."""
        if self._due is not None and now >= self._due:
            yield from self._unfinished("the page was not ended")

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        yield from self._unfinished("the link closed within a page")

    def _used(self, event: Event) -> Event:
        del self._held[: len(event.raw)]
        self._begins = self._scanned = 0
        return event

    def _line(self, ends: int) -> Event | None:
        """What a whole line ends; None where its page goes on."""
        raw = bytes(self._held[:ends])
        line = raw[self._begins :].rstrip(b"\r\n")
        if not raw.strip(BLANK):
            return Send(b"", raw)
        answer = self._says(line)
        if answer is not None:
            return Send(answer, raw)
        if not self._last.fullmatch(line):
            return None
        if why := self._check(raw[: self._begins], line):
            return Rejected(raw, Reason.CHECKSUM, self._refusal, why)
        return Received(raw, self._reply)

    def _unfinished(self, why: str) -> Iterator[Event]:
        raw, self._held, self._due = bytes(self._held), bytearray(), None
        self._begins = self._scanned = 0
        if raw.strip(BLANK):
            yield Rejected(raw, Reason.INCOMPLETE, detail=why)
        elif raw:
            yield Send(b"", raw)


class Paged:
    """The instrument's side: each page waits for the line that says it was kept. A `Speaker`.

    `refused` or `wait` seconds without an answer: the page is sent again.
    """

    def __init__(self, kept: bytes, refused: bytes, *, wait: float = 5.0) -> None:
        self._kept, self._refused, self._wait = kept.strip(), refused.strip(), wait
        self._queue: deque[bytes] = deque()
        self._held = bytearray()
        self.confirms = True
        self.delivered = 0
        self.deadline: float | None = None

    @property
    def idle(self) -> bool:
        """True when nothing waits to be kept."""
        return not self._queue

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Send one page."""
        if len(self._queue) < QUEUED:
            self._queue.append(message)
        if self.deadline is None:
            yield from self._send(now)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """What the host answers."""
        self._held += data
        yield Send(b"", data)
        *lines, rest = bytes(self._held).split(b"\r")
        self._held = bytearray(rest[-200:])
        for line in map(bytes.strip, lines):
            if self.deadline is None or line not in (self._kept, self._refused):
                continue
            if line == self._kept:
                self._queue.popleft()
                self.delivered += 1
            self.deadline = None
            yield from self._send(now)

    def tick(self, now: float) -> Iterator[Event]:
        """No answer came: again."""
        if self.deadline is not None and now >= self.deadline:
            yield from self._send(now)

    def close(self) -> Iterator[Event]:
        """The link is gone. What was not kept is sent anew when it is back."""
        self._held.clear()
        self.deadline = 0.0 if self._queue else None
        return iter(())

    def _send(self, now: float) -> Iterator[Event]:
        if self._queue:
            self.deadline = now + self._wait
            yield Send(self._queue[0])
