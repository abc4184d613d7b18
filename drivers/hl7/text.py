"""HL7 without MLLP around it: messages as plain text on a connection, one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drivers.kit.exchange import Event, Reason, Received, Rejected, Send

PAUSE = 3.0  # seconds of silence that end a message
_NEXT = re.compile(rb"[\r\n][ \t]*(?=(?:MSH|FHS|BHS)[^A-Za-z0-9\s])")
_BLANK = re.compile(rb"[\x00- ]+")


class Texts:
    """Gathers text into messages: each ends where the next MSH begins, with `pause` seconds of silence, or with the
    link. What stands before the first header is refused. An `Exchange`; nothing is answered.
    """

    def __init__(self, *, max_message: int, pause: float = PAUSE) -> None:
        self._max, self._pause = max_message, pause
        self._held = bytearray()
        self._scanned = 0
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence ends the message held."""
        return self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        held = self._held
        held += data
        while match := _NEXT.search(held, self._scanned):
            yield self._take(match.end())
        # A header may be cut anywhere in its first four bytes, and blanks may stand before it.
        self._scanned = max(0, max(held.rfind(b"\r"), held.rfind(b"\n")))
        if len(held) > self._max:
            raw = self._all()
            yield Rejected(raw, Reason.TOO_LONG, detail=f"no end within {self._max} bytes")
        self._due = now + self._pause if held else None

    def tick(self, now: float) -> Iterator[Event]:
        """Silence may have ended the message."""
        if self._due is not None and now >= self._due:
            yield from self.close()

    def close(self) -> Iterator[Event]:
        """The link has ended."""
        if self._held:
            yield self._event(self._all())

    def _all(self) -> bytes:
        raw, self._held, self._scanned, self._due = bytes(self._held), bytearray(), 0, None
        return raw

    def _take(self, size: int) -> Event:
        raw = bytes(self._held[:size])
        del self._held[:size]
        self._scanned = 0
        return self._event(raw)

    @staticmethod
    def _event(raw: bytes) -> Event:
        text = raw.lstrip(b"\x00\x0b\xef\xbb\xbf \t\r\n\x1c")
        if not text:
            return Send(b"", raw)
        if re.match(rb"(MSH|FHS|BHS)[^A-Za-z0-9\s]", text) is None:
            return Rejected(raw, Reason.FRAMING, detail="text before the first MSH segment")
        whole = raw.endswith((b"\r", b"\n", b"\x1c")) or _BLANK.fullmatch(raw[-1:]) is not None
        return Received(raw, sound=whole)
