"""Rows out of a damaged SQLite file, page by page, without trusting anything above them.

What SQLite cannot open any more still holds most of its rows: each leaf page of a table carries whole rows by
itself. Facts: sqlite.org/fileformat2.html, sections 1.3 (header), 1.6 (b-tree pages) and 2.1 (records).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LEAF: Final = 0x0D  # a table's leaf page
MAX_ROW: Final = 1 << 28  # bytes: above our own limit for a message
Value = int | float | str | bytes | None

_INTEGER_SIZES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class _DamagedError(Exception):
    """This row cannot be read."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and the place after it. Errors: IndexError past the end."""
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9


def record(payload: bytes) -> list[Value]:
    """The values of one record. Errors: IndexError, KeyError, ValueError, struct.error where it is damaged."""
    size, at = varint(payload, 0)
    kinds = []
    while at < size:
        kind, at = varint(payload, at)
        kinds.append(kind)
    if at != size:
        raise ValueError("the header does not end where it says")
    values = []
    for kind in kinds:
        value, at = _value(payload, kind, at)
        values.append(value)
    if at != len(payload):
        raise ValueError("the values do not end with the record")
    return values


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind in (10, 11):
        raise ValueError("a kind that is never stored")
    if kind >= 12:
        size = (kind - 12) // 2
        if at + size > len(payload):
            raise ValueError("a value goes beyond the record")
        content = payload[at : at + size]
        return (content if kind % 2 == 0 else content.decode()), at + size
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    size = _INTEGER_SIZES[kind]
    if at + size > len(payload):
        raise ValueError("a value goes beyond the record")
    return int.from_bytes(payload[at : at + size], "big", signed=True), at + size


class Pages:
    """A database file's pages, its write-ahead log's committed ones laid over them."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._length = path.stat().st_size
        header = self._file.read(100)
        size = int.from_bytes(header[16:18], "big") if header.startswith(b"SQLite format 3\0") else 4096
        self.size = 65536 if size == 1 else size if size in {1 << n for n in range(9, 16)} else 4096
        self.usable = self.size - (header[20] if len(header) > 20 and header[20] <= 64 else 0)
        self._over = _committed(path.with_name(path.name + "-wal"), self.size)
        self.count = max([self._length // self.size, *self._over], default=0)

    def close(self) -> None:
        self._file.close()

    def page(self, number: int) -> bytes:
        """Page `number`, from 1; fewer bytes, or none, where the file was cut off."""
        if number in self._over:
            return self._over[number]
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def rows(self) -> Iterator[tuple[int, list[Value]]]:
        """(rowid, values) of every row of every table's leaf page, in the order of pages; damaged rows are left out.

        Pages given back to the file are among them: the same row may come twice, and rows that were deleted may."""
        for number in range(1, self.count + 1):
            page = self.page(number)
            start = 100 if number == 1 else 0
            if len(page) < self.size or page[start] != LEAF:
                continue
            cells = int.from_bytes(page[start + 3 : start + 5], "big")
            for cell in range(min(cells, (self.size - start - 8) // 2)):
                at = int.from_bytes(page[start + 8 + 2 * cell : start + 10 + 2 * cell], "big")
                try:
                    yield self._row(page, at)
                except (_DamagedError, IndexError, KeyError, ValueError, struct.error):
                    continue

    def _row(self, page: bytes, at: int) -> tuple[int, list[Value]]:
        length, at = varint(page, at)
        rowid, at = varint(page, at)
        if length > MAX_ROW:
            raise _DamagedError
        # How much of a long row stays in its page: section 1.6.
        most = self.usable - 35
        if length <= most:
            payload = page[at : at + length]
        else:
            least = (self.usable - 12) * 32 // 255 - 23
            kept = least + (length - least) % (self.usable - 4)
            kept = kept if kept <= most else least
            payload = page[at : at + kept]
            payload += self._overflow(int.from_bytes(page[at + kept : at + kept + 4], "big"), length - kept)
        if len(payload) != length:
            raise _DamagedError
        return (rowid - (1 << 64) if rowid >> 63 else rowid), record(payload)

    def _overflow(self, number: int, left: int) -> bytes:
        parts = []
        seen = set[int]()
        while left:
            if not number or number in seen or number > self.count:
                raise _DamagedError
            seen.add(number)
            page = self.page(number)
            part = page[4 : min(self.usable, 4 + left)]
            if not part:
                raise _DamagedError
            parts.append(part)
            left -= len(part)
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def _committed(path: Path, size: int) -> dict[int, bytes]:
    """The pages of the log's whole transactions: section 4 of the file format. Empty where there is no log."""
    try:
        log = path.read_bytes()
    except OSError:
        return {}
    if len(log) < 32 or log[:4] not in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
        return {}
    order = ">" if log[3] & 1 else "<"
    salts = log[16:24]
    sums = _checksum(log[:24], (0, 0), order)
    if sums != struct.unpack(">II", log[24:32]):
        return {}
    done: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    for at in range(32, len(log) - size - 23, size + 24):
        head, content = log[at : at + 24], log[at + 24 : at + 24 + size]
        if head[8:16] != salts:
            break
        sums = _checksum(content, _checksum(head[:8], sums, order), order)
        if sums != struct.unpack(">II", head[16:24]):
            break
        number, ends = struct.unpack(">II", head[:8])
        waiting[number] = content
        if ends:
            done.update(waiting)
            waiting.clear()
    return done


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for place in range(0, len(words), 2):
        one = (one + words[place] + two) & 0xFFFFFFFF
        two = (two + words[place + 1] + one) & 0xFFFFFFFF
    return one, two
