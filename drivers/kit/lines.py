"""Text lines on a wire, ended by a terminator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from drivers.kit.exchange import Event, Reason, Received, Rejected, Send

STX, ETX, ACK, NAK = b"\x02", b"\x03", b"\x06", b"\x15"
MAX_LINE = 65_536

BLANK = b" \t\r\n\0\x11\x13"  # what an empty line may consist of: white space, NUL, XON and XOFF


class Lines:
    """Cuts what arrives into lines. An `Exchange`.

    `terminator` None: CR, LF and CR LF all end a line, in any mixture (the LF of a CR LF is then an empty line).
    `max_line` counts bytes, terminator included: of a longer line the beginning is refused, the rest dropped.
    `quiet`: seconds of silence after which an unterminated line is unfinished; None: only when the link closes.
    `unterminated`: what becomes of an unfinished line. "refuse" it (it may have been cut in the middle of a number)
    or "take" it (files without a last line end, instruments that send no terminator).
    `discard_first`: drop everything up to the first terminator after opening. `reply` answers every line.
    """

    def __init__(
        self,
        *,
        terminator: bytes | None = None,
        max_line: int = MAX_LINE,
        quiet: float | None = None,
        unterminated: Literal["refuse", "take"] = "refuse",
        discard_first: bool = False,
        reply: bytes = b"",
    ) -> None:
        self._terminator = terminator or b"\n"
        self._end = re.compile(rb"[\r\n]" if terminator is None else re.escape(terminator))
        self._max = max(max_line, len(self._terminator) + 1)
        self._quiet = quiet
        self._take = unterminated == "take"
        self._skipping = discard_first
        self._reply = reply
        self._held = bytearray()
        self._scanned = 0  # how much of what is held is known to hold no terminator
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence makes the line that is held an unfinished one."""
        return self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        held, start = self._held, 0
        held += data
        while True:
            limit = start + self._max
            match = self._end.search(held, max(start, self._scanned), limit)
            if match:
                end = match.end()
                yield self._line(bytes(held[start:end]))
            elif len(held) >= limit:
                end = self._cut(bytes(held[start:limit])) + start
                yield self._too_long(bytes(held[start:end]))
            else:
                break
            start = self._scanned = end
        del held[:start]
        self._scanned = max(0, len(held) - len(self._terminator) + 1)
        self._due = now + self._quiet if held and self._quiet is not None else None

    def tick(self, now: float) -> Iterator[Event]:
        """Silence may have made the held line unfinished."""
        if self._due is not None and now >= self._due:
            yield from self._unfinished("the line was not ended", sound=True)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        yield from self._unfinished("the link closed within a line", sound=False)

    def _line(self, raw: bytes) -> Event:
        skipped, self._skipping = self._skipping, False
        if skipped or not raw.removesuffix(self._terminator).strip(BLANK):
            return Send(b"", raw)
        return Received(raw, self._reply)

    def _too_long(self, raw: bytes) -> Event:
        if self._skipping:
            return Send(b"", raw)
        self._skipping = True
        return Rejected(raw, Reason.TOO_LONG, detail=f"no line end within {self._max} bytes; dropped up to the next")

    def _cut(self, raw: bytes) -> int:
        """Where to cut a line that is too long: not within its terminator."""
        for length in range(len(self._terminator) - 1, 0, -1):
            if raw.endswith(self._terminator[:length]):
                return len(raw) - length
        return len(raw)

    def _unfinished(self, why: str, *, sound: bool) -> Iterator[Event]:
        raw, self._held, self._scanned, self._due = bytes(self._held), bytearray(), 0, None
        skipped, self._skipping = self._skipping, False
        if not raw:
            return
        if skipped or not raw.strip(BLANK):
            yield Send(b"", raw)
        elif self._take:
            yield Received(raw, self._reply, sound=sound)
        else:
            yield Rejected(raw, Reason.INCOMPLETE, detail=why)


def text_of(raw: bytes, start: bytes = STX, end: bytes = ETX) -> bytes:
    """What a line or frame says: without its terminator, or without its frame and checksum."""
    begin = raw.find(start)
    stop = raw.rfind(end)
    if begin >= 0 and stop > begin:
        return raw[begin + 1 : stop]
    return raw.strip(b"\r\n\0\x11\x13")
