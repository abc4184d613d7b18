"""Frames of CLSI LIS01-A2 / ASTM E1381: cutting a message into them and joining their texts again.

`STX number text (ETB|ETX) checksum CR LF`. A frame is not a record: texts are joined by bytes and records
are split afterwards, because an instrument may cut anywhere.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from drivers.kit.checks import sum8

STX, ETX, EOT, ENQ, ACK, LF, CR, NAK, ETB = (bytes([code]) for code in (2, 3, 4, 5, 6, 10, 13, 21, 23))

FRAME = re.compile(rb"\x02([0-7])([^\x02\x03\x17]*)([\x03\x17])([0-9A-Fa-f]{2})")
UNCHECKED = re.compile(rb"\x02([0-7])([^\x02\x03\x17]*)([\x03\x17])([0-9A-Fa-f]{2}(?=[\r\n\x02]|\Z))?")
RECORD = re.compile(rb"[A-Za-z]\|")  # how a record begins
TEXT = 240  # bytes of text in a frame of 247, the limit of E1381-95 every receiver keeps


def frame(number: int, text: bytes, end: bytes = ETX, checked: bool = True) -> bytes:
    """One frame, whole: `number` counts the frames of the session and is sent modulo 8."""
    body = b"%d%b%b" % (number % 8, text, end)
    return b"\x02%b%02X\r\n" % (body, sum8(body)) if checked else b"\x02%b\r\n" % body


def cut(message: bytes, size: int = TEXT, by_record: bool = True) -> Iterator[tuple[bytes, bytes]]:
    """The texts `message` is sent in, each with its end mark: one record a frame, or the whole cut by `size`.

    The last piece of a record (or of the whole) ends with ETX, the pieces before it with ETB.
    """
    parts = re.findall(rb"[^\r]*\r|[^\r]+", message) if by_record else [message]
    for part in parts or [b""]:
        for start in range(0, len(part) or 1, size):
            yield part[start : start + size], ETX if start + size >= len(part) else ETB


def is_framed(raw: bytes) -> bool:
    return STX in raw


def sound_frames(raw: bytes, checked: bool = True) -> Iterator[re.Match[bytes]]:
    """The frames in `raw` whose checksum is right: what a receiver of the same bytes accepted. One that need not be
    `checked` may have none."""
    for match in (FRAME if checked else UNCHECKED).finditer(raw):
        if match[4] is None or int(match[4], 16) == sum8(raw[match.start(1) : match.end(3)]):
            yield match


class Joined:
    """The text of a message and where each of its bytes stood on the wire."""

    __slots__ = ("_ends", "_starts", "ends_whole", "text")

    def __init__(self, raw: bytes, checked: bool = True) -> None:
        if is_framed(raw):
            found = list(sound_frames(raw, checked))
            texts = [match[2] for match in found]
            for place in range(len(texts) - 1):
                if found[place][3] == ETX and texts[place][-1:] not in (CR, LF) and RECORD.match(texts[place + 1]):
                    texts[place] += CR  # one record a frame, its CR left to the frame's end
            self.text = b"".join(texts)
            self._starts = [match.start(2) for match in found]
            self._ends = list(accumulate(map(len, texts)))
            self.ends_whole = bool(found) and (found[-1][3] == ETX or self.text.endswith((CR, LF)))
        else:
            self.text = raw
            self._starts, self._ends = [0], [len(raw)]
            self.ends_whole = raw.endswith((CR, LF))

    def extent(self, end: int) -> int:
        """How many bytes of the wire it took to bring `text[:end]`, the last frame's tail left out."""
        index = bisect_left(self._ends, end)
        before = self._ends[index - 1] if index else 0
        return self._starts[index] + end - before if index < len(self._ends) else 0
