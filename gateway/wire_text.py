"""Wire traffic for people: control bytes by name, bytes in hex, checksums judged."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drivers.kit.checks import sum8

NAMES = {
    0x00: "NUL",
    0x01: "SOH",
    0x02: "STX",
    0x03: "ETX",
    0x04: "EOT",
    0x05: "ENQ",
    0x06: "ACK",
    0x09: "TAB",
    0x0A: "LF",
    0x0B: "VT",
    0x0D: "CR",
    0x11: "XON",
    0x13: "XOFF",
    0x15: "NAK",
    0x16: "SYN",
    0x17: "ETB",
    0x1B: "ESC",
    0x1C: "FS",
}

_FRAME = re.compile(rb"\x02([0-7][^\x02\x03\x17]*[\x03\x17])([0-9A-Fa-f]{2})")
HEX_COLUMNS = 16


def readable(data: bytes) -> str:
    """Text with control bytes named: `<STX>1H|...<CR><ETX>4C`. Bytes that are not UTF-8 stand as `\\xNN`."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(f"<{NAMES.get(ord(c), f'{ord(c):02X}')}>" if c < " " or c == "\x7f" else c for c in text)


def judgements(data: bytes) -> Iterator[str]:
    """What is wrong with the checksums of the ASTM frames in `data`, and what was wanted."""
    for frame in _FRAME.finditer(data):
        wanted = f"{sum8(frame[1]):02X}"
        if frame[2].decode().upper() != wanted:
            yield f"checksum of frame {chr(frame[1][0])} is {frame[2].decode()}, wanted {wanted}"


def dump(data: bytes) -> Iterator[str]:
    """Lines of hex beside readable text."""
    for start in range(0, len(data), HEX_COLUMNS):
        piece = data[start : start + HEX_COLUMNS]
        yield f"{start:6d}  {piece.hex(' '):<{HEX_COLUMNS * 3}} {readable(piece)}"
