"""LIS02-A2 records without the LIS01 transfer around them: lines in a file or on a plain TCP connection."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drivers.kit.astm import Transfer
from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.frames import ENQ

LAST = 1.0  # seconds the line end of an L record may be late
SILENCE = 30.0  # seconds within a message before it counts as broken off
SHORT = 200  # bytes an L record has at most

_BLANK = re.compile(rb"(?:[\r\n\0\x04-\x06\x0b\x15\x1a\x1c ]|\xef\xbb\xbf)+")  # between messages; a file's UTF-8 mark
_END = re.compile(rb"(?:\A|[\r\n])[\0-\x1f ]*[Ll](?:\|[^\r\n]*)?[\r\n]|[\r\n]\x04")  # a whole L record, or EOT instead
_LAST = re.compile(rb"(?:\A|[\r\n])[\0-\x1f ]*[Ll]\|[^\r\n]*\Z")  # an L record that lacks only its line end
_PLAIN = re.compile(rb"(?:[\r\n\0\x0b ]|\xef\xbb\xbf)*H(?:[^\0-\x20A-Za-z0-9]|\Z)")  # a header, or what may become one
_MAYBE = re.compile(rb"[\r\n\0 ]*(?:\x0b|\xef(?:\xbb\xbf?)?)[\r\n\0\x0b ]*")  # what may stand before one
_FRAMES = re.compile(rb"[\x02\x05]")


class Unframed:
    """Gathers lines into messages ending with the L record; answers nothing. An `Exchange`."""

    def __init__(self, *, max_message: int = 16 * 1024 * 1024) -> None:
        self._max = max_message
        self._buffer = bytearray()
        self._line = 0  # where the last line held begins: nothing before it ends a message
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `tick` must run next."""
        return self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        fresh = not self._buffer
        self._buffer += data
        if fresh or b"\r" in data or b"\n" in data or b"\x04" in data:
            yield from self._messages(fresh)
        self._due = None
        if len(self._buffer) > self._max:
            yield Rejected(self._take(), Reason.TOO_LONG, detail=f"no L record within {self._max} bytes")
        elif self._buffer:
            self._due = now + (LAST if self._ended else SILENCE)

    def tick(self, now: float) -> Iterator[Event]:
        """A message that ended without its line end, or was broken off."""
        if self._due is not None and now >= self._due:
            yield from self.close()

    def close(self) -> Iterator[Event]:
        """The file or the link has ended: the L record may lack its line end, nothing else."""
        ended = self._ended
        if held := self._take():
            yield Received(held, sound=ended)

    def _messages(self, fresh: bool) -> Iterator[Event]:
        """Give out the whole messages held, and the blanks between them; hold the rest."""
        held, start, search = bytes(self._buffer), 0, self._line
        while start < len(held):
            if fresh and (blank := _BLANK.match(held, start)):
                yield Send(b"", blank[0])
                start = search = blank.end()
            fresh = False
            match = _END.search(held, search)
            if match is None:
                break
            yield Received(held[start : match.end()])
            start = search = match.end()
            fresh = True
        self._buffer = bytearray(held[start:])
        self._line = max(self._buffer.rfind(b"\r", 0, -1), self._buffer.rfind(b"\n", 0, -1), 0)

    @property
    def _ended(self) -> bool:
        return len(self._buffer) - self._line < SHORT and _LAST.search(self._buffer, self._line) is not None

    def _take(self) -> bytes:
        held, self._buffer, self._line, self._due = bytes(self._buffer), bytearray(), 0, None
        return held


class Either:
    """Frames, or plain lines from a peer whose first words are a header record. An `Exchange`.

    A peer that sent lines and then bids or begins a frame is taken at its word: its next bytes are frames. One that
    bids and then sends lines all the same is heard too.
    """

    def __init__(self, framed: Transfer, plain: Unframed) -> None:
        self._framed = framed
        self._plain = plain
        self._lines = False
        self._held = b""  # an H: a header's, or the first byte of something else
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `tick` must run next."""
        times = (self._due, self._plain.deadline if self._lines else self._framed.deadline)
        return min((time for time in times if time is not None), default=None)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        data, self._held, self._due = self._held + data, b"", None
        if not self._lines and self._framed.at_rest and data[:1] == ENQ and _PLAIN.match(data, 1):
            yield from self._framed.receive(ENQ, now)
            data = data[1:]
        header = _PLAIN.match(data)
        if not self._lines and self._framed.expectant and (header or _MAYBE.fullmatch(data)):
            if header is None or (header.end() == len(data) and data.endswith(b"H")):
                self._held, self._due = data, now + LAST
                return
            yield from self._framed.close()
            self._lines = True
        if self._lines and (match := _FRAMES.search(data)):
            if match.start():
                yield from self._plain.receive(data[: match.start()], now)
            yield from self._plain.close()
            self._lines, data = False, data[match.start() :]
        yield from (self._plain if self._lines else self._framed).receive(data, now)

    def tick(self, now: float) -> Iterator[Event]:
        """A timer is due."""
        if self._due is not None and now >= self._due:
            held, self._held, self._due = self._held, b"", None
            yield from self._framed.receive(held, now)
        yield from (self._plain if self._lines else self._framed).tick(now)

    def close(self) -> Iterator[Event]:
        """The link is gone; who comes next may speak otherwise."""
        if held := self._held:
            self._held, self._due = b"", None
            yield from self._framed.receive(held, 0.0)
        yield from self._plain.close()
        yield from self._framed.close()
        self._lines = False
