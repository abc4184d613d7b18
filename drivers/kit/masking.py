"""Recordings without people in them: names and identifiers replaced, everything else as it was.

A mask has the length and the shape of what it covers (letters for letters, digits for digits), is the same wherever the
same text stands, and cannot be undone without the key. So frames keep their lengths; only their checksums are new.
What stands elsewhere (comments, formats unknown here) is not found: `also` takes regular expressions for it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from drivers.kit.checks import sum8
from drivers.kit.frames import CR, ETX, FRAME, LF, RECORD
from drivers.kit.recording import Piece

# Fields that name a person, a specimen or an order, by record or segment (LIS02-A2; HL7 2.5.1 chapter 2 and 3).
ASTM: Final[Mapping[bytes, frozenset[int]]] = MappingProxyType(
    {
        b"P": frozenset({3, 4, 5, 6, 7, 8, 11, 13, 14, 15, 16, 22, 23}),
        b"O": frozenset({3, 4, 11, 17, 18}),
        b"R": frozenset({11}),
        b"Q": frozenset({3, 4, 9, 10}),
    }
)
HL7: Final[Mapping[bytes, frozenset[int]]] = MappingProxyType(
    {
        b"PID": frozenset({2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 18, 19, 20, 21}),
        b"NK1": frozenset(range(2, 40)),
        b"PV1": frozenset({7, 8, 9, 17, 19}),
        b"ORC": frozenset({2, 3, 10, 11, 12, 19}),
        b"OBR": frozenset({2, 3, 10, 16, 17, 28, 32, 33, 34, 35}),
        b"OBX": frozenset({16}),
        b"SPM": frozenset({2, 3}),
        b"SAC": frozenset({3, 4}),
        b"QPD": frozenset(range(3, 9)),
    }
)
POCT1: Final = re.compile(
    rb"(<(?:PT\.(?:patient_id|name|birth_date)|OPR\.(?:operator_id|name)|ORD\.\w+|ACC\.password)\b[^>]*?\bV=\")([^\"]*)"
    rb"|(<(?:PT\.(?:patient_id|name|birth_date)|OPR\.(?:operator_id|name))\b[^>]*>)([^<]+)"
)
CONTROL: Final = re.compile(rb"(?i)(qc|ctrl|control|cal|blank)")  # such an identifier says what it is, and names nobody
_RECORD = re.compile(rb"(?m)(?:\A|(?<=[\r\n\x0b]))([A-Za-z][A-Z0-9]{0,2})([|])([^\r\n\x1c]*)")
_TEXT = re.compile(rb"[^\^~&\\@|\r\n]+")


class Mask:
    """Replaces texts, with a key of its own for each recording."""

    def __init__(self, key: bytes, also: Iterable[str] = ()) -> None:
        self._key = key
        self._also = [re.compile(one.encode()) for one in also]

    def pieces(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The same traffic with the same times and cuts."""
        masked = list(pieces)
        for incoming in (True, False):
            places = [n for n, piece in enumerate(pieces) if piece.incoming is incoming]
            data = self.covered(b"".join(pieces[n].data for n in places))
            for n in places:
                size = len(pieces[n].data)
                masked[n], data = replace(pieces[n], data=data[:size]), data[size:]
        return masked

    def covered(self, data: bytes) -> bytes:
        """One direction's bytes; as many as were given."""
        return _in_frames(data, self._said) if FRAME.search(data) else self._said(data)

    def _said(self, text: bytes) -> bytes:
        text = POCT1.sub(self._attribute, _RECORD.sub(self._record, text))
        for pattern in self._also:
            text = pattern.sub(lambda match: self._text(match[0]), text)
        return text

    def _record(self, match: re.Match[bytes]) -> bytes:
        letter, bar, rest = match[1].upper(), match[2], match[3]
        hidden = ASTM.get(letter) or HL7.get(letter)
        if hidden is None:
            return match[0]
        first = 2 if letter in ASTM else 1
        fields = rest.split(b"|")
        masked = [
            _TEXT.sub(lambda one: self._text(one[0]), each) if number in hidden else each
            for number, each in enumerate(fields, first)
        ]
        return match[1] + bar + b"|".join(masked)

    def _attribute(self, match: re.Match[bytes]) -> bytes:
        return match[1] + self._text(match[2]) if match[1] else match[3] + self._text(match[4])

    def _text(self, text: bytes) -> bytes:
        if CONTROL.match(text) or not text.strip():
            return text
        stream = b""
        while len(stream) < len(text):
            stream += hmac.digest(self._key, text + len(stream).to_bytes(4, "big"), "sha256")
        return bytes(_shaped(byte, chance) for byte, chance in zip(text, stream, strict=False))


def _shaped(byte: int, chance: int) -> int:
    if 0x30 <= byte <= 0x39:
        return 0x30 + chance % 10
    if 0x41 <= byte <= 0x5A:
        return 0x41 + chance % 26
    if 0x61 <= byte <= 0x7A or byte >= 0x80:  # of a letter that takes several bytes each becomes one
        return 0x61 + chance % 26
    return byte


def _in_frames(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The joined text of the ASTM frames changed, laid into the same frames, whose checksums are made anew.

    Only of frames whose checksum was right: damage stays as it was recorded.
    """
    frames = [one for one in FRAME.finditer(data) if int(one[4], 16) == sum8(data[one.start(1) : one.end(3)])]
    # A record whose CR was left to the frame's end still begins a line.
    breaks = [
        one[3] == ETX and one[2][-1:] not in (CR, LF) and RECORD.match(after[2]) is not None
        for one, after in pairwise(frames)
    ]
    laid = list(zip(frames, [*breaks, False], strict=False))
    text = change(b"".join(one[2] + CR * broken for one, broken in laid))
    made, end = b"", 0
    for one, broken in laid:
        size = len(one[2])
        body = one[1] + text[:size] + one[3]
        made += data[end : one.start()] + b"\x02" + body + b"%02X" % sum8(body)
        text, end = text[size + broken :], one.end()
    return made + data[end:]
