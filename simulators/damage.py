"""What a bad line does to one write: pure functions of the bytes and a seeded source of chance.

Each gives the bytes that arrive; the same bytes where it can do nothing to them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from drivers.kit.checks import sum8

_FRAME = re.compile(rb"\x02([0-7].*[\x03\x17])([0-9A-F]{2})\r\n", re.DOTALL)
STRAY: Final = 8  # bytes of noise at most
Damage = Callable[[bytes, random.Random], bytes]


def drop(data: bytes, rng: random.Random) -> bytes:
    """One byte is lost."""
    at = rng.randrange(len(data))
    return data[:at] + data[at + 1 :]


def corrupt(data: bytes, rng: random.Random) -> bytes:
    """One bit of one byte turns."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(7))]) + data[at + 1 :]


def truncate(data: bytes, rng: random.Random) -> bytes:
    """The end is lost."""
    return data[: rng.randrange(len(data))]


def noise(data: bytes, rng: random.Random) -> bytes:
    """Stray bytes come before it."""
    return rng.randbytes(rng.randrange(1, STRAY + 1)) + data


def wrong_checksum(data: bytes, rng: random.Random) -> bytes:
    """The last character before the line end is another one: where there is a check, it no longer fits."""
    body = data.rstrip(b"\r\n")
    if len(body) < 4:
        return data
    wrong = ord(rng.choice("0123456789ABCDEF".replace(chr(body[-1]), "")))
    return body[:-1] + bytes([wrong]) + data[len(body) :]


def wrong_frame_number(data: bytes, rng: random.Random) -> bytes:
    """An ASTM frame carries the number after next, and a checksum that fits it."""
    whole = _FRAME.fullmatch(data)
    if whole is None or int(whole[2], 16) != sum8(whole[1]):
        return data
    body = b"%d" % ((data[1] - 0x30 + 3) % 8) + whole[1][1:]
    return b"\x02" + body + b"%02X\r\n" % sum8(body)


def baud_mismatch(data: bytes, rng: random.Random) -> bytes:
    """What a receiver at twice the sender's rate reads (8 bits, no parity): every bit twice. No chance in it."""
    line = [level for byte in data for bit in (0, *((byte >> n) & 1 for n in range(8)), 1) for level in (bit, bit)]
    line += [1] * 10
    read, at = bytearray(), 0
    while at + 9 < len(line):
        if line[at]:
            at += 1
            continue
        read.append(sum(line[at + 1 + n] << n for n in range(8)))
        at += 10  # its stop bit is wherever it falls: a receiver reports the error and goes on
    return bytes(read)


DAMAGE: Final[Mapping[str, Damage]] = MappingProxyType(
    {
        "drop": drop,
        "corrupt": corrupt,
        "truncate": truncate,
        "noise": noise,
        "wrong-checksum": wrong_checksum,
        "wrong-frame-number": wrong_frame_number,
        "baud-mismatch": baud_mismatch,
    }
)
