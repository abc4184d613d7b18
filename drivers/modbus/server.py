"""The instrument's side: a register image that is read, and never written."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from drivers.kit.checks import crc16_modbus
from drivers.kit.exchange import DecodeError, Event, Send
from drivers.kit.modbus import (
    EXCEPTION,
    MOST_BITS,
    MOST_REGISTERS,
    TABLES,
    Framing,
    ascii_size,
    frame,
    tcp_size,
    unframe,
)

Place = tuple[int, int, int]  # unit, function, address
QUEUED: Final = 10_000
QUIET: Final = 1.0  # seconds after which an unfinished question is forgotten
SIZES: Final = {**dict.fromkeys((1, 2, 3, 4, 5, 6), 8), 8: 8, 22: 10}  # of RTU questions, by function
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY = b"\x01", b"\x02", b"\x03", b"\x06"

_CELL = struct.Struct(">BBHH")  # unit, function, address, word


def image(cells: Iterable[tuple[int, int, int, int]]) -> bytes:
    """What `Server.offer` takes: unit, function, address and word (or bit) of everything an instrument holds."""
    return b"".join(_CELL.pack(*cell) for cell in cells)


class Server:
    """A simulated instrument's registers. A `Speaker`.

    Every offered image is told once, in order: it gives way to the next one when something that was read from it is
    read again. Before the first one the instrument is busy.
    """

    def __init__(self, framing: Framing, places: Iterable[Place]) -> None:
        self._framing = framing
        self._places = frozenset(places)
        self._units = {unit for unit, _, _ in self._places}
        self._images: deque[bytes] = deque(maxlen=QUEUED)
        self._image: dict[Place, int] = {}
        self._read: set[Place] = set()
        self._counted = True  # the present image, in `delivered`
        self._delivered = 0
        self._held = bytearray()
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence makes the question that is held an unfinished one."""
        return self._due

    @property
    def delivered(self) -> int:
        """Images that were read."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """Nobody acknowledges a reading."""
        return False

    @property
    def idle(self) -> bool:
        """True when every offered image was read."""
        return not self._images and self._counted

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """The next image."""
        self._images.append(message)
        return iter(())

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Questions."""
        self._held += data
        at = 0
        while at < len(self._held):
            size = self._size(at)
            if size == 0:
                break
            if size > 0:
                raw = bytes(self._held[: at + size])
                yield Send(self._answer(raw[at:]), raw)
                del self._held[: at + size]
                at = 0
            else:
                at += 1
        junk = bytes(self._held[:at])
        del self._held[:at]
        self._due = now + QUIET if self._held else None
        if junk:
            yield Send(b"", junk)

    def tick(self, now: float) -> Iterator[Event]:
        """An unfinished question is forgotten."""
        if self._due is not None and now >= self._due:
            yield from self.close()

    def close(self) -> Iterator[Event]:
        """The link is gone; the registers stay."""
        raw, self._due = bytes(self._held), None
        self._held.clear()
        if raw:
            yield Send(b"", raw)

    def _size(self, at: int) -> int:
        """How long the question is that begins at `at`; 0: not there whole yet; below: none begins."""
        if self._framing == "tcp":
            return tcp_size(self._held, at)
        if self._framing == "ascii":
            return ascii_size(self._held, at)
        here = bytes(self._held[at : at + 256])
        if here[0] not in self._units:
            return -1
        if len(here) < 2:
            return 0
        if here[1] in (15, 16):
            if len(here) < 7:
                return 0
            sizes: Iterable[int] = (9 + here[6],)
        else:
            sizes = (SIZES[here[1]],) if here[1] in SIZES else range(4, len(here) + 1)
        for size in sizes:
            if len(here) < size:
                return 0
            if crc16_modbus(here[: size - 2]).to_bytes(2, "little") == here[size - 2 : size]:
                return size
        return -1

    def _answer(self, raw: bytes) -> bytes:
        try:
            unit, pdu = unframe(self._framing, raw)
        except DecodeError:
            return b""
        if unit not in self._units or not pdu:
            return b""
        transaction = int.from_bytes(raw[:2], "big") if self._framing == "tcp" else 0
        return frame(self._framing, unit, self._told(unit, pdu), transaction)

    def _told(self, unit: int, pdu: bytes) -> bytes:
        function, refused = pdu[0], bytes([pdu[0] | EXCEPTION])
        if function not in TABLES:
            return refused + ILLEGAL_FUNCTION
        if len(pdu) != 5:
            return refused + ILLEGAL_VALUE
        address, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= (MOST_BITS if function <= 2 else MOST_REGISTERS):
            return refused + ILLEGAL_VALUE
        places = [(unit, function, at) for at in range(address, address + count)]
        if not self._places.issuperset(places):
            return refused + ILLEGAL_ADDRESS
        self._turn(places)
        if not self._image:
            return refused + BUSY
        words = [self._image.get(place, 0) for place in places]
        if function <= 2:
            bits = sum((word & 1) << number for number, word in enumerate(words))
            data = bits.to_bytes((count + 7) // 8, "little")
        else:
            data = b"".join(word.to_bytes(2, "big") for word in words)
        return bytes([function, len(data)]) + data

    def _turn(self, places: Iterable[Place]) -> None:
        """The next image, where this one was already read here."""
        if self._images and (not self._image or not self._read.isdisjoint(places)):
            if not self._counted:
                self._delivered += 1
            self._image = {cell[:3]: cell[3] for cell in _CELL.iter_unpack(self._images.popleft())}
            self._read.clear()
            self._counted = False
        if self._image:
            self._read.update(places)
        if not self._counted and self._read >= self._places:
            self._counted = True
            self._delivered += 1
