"""Modbus, both roles, reading only: RTU, ASCII and TCP frames around the questions 01 to 04 and their answers.

After the MODBUS Application Protocol V1.1b3, MODBUS over serial line V1.02 and MODBUS Messaging on TCP/IP V1.0b. The
silences RTU frames are told apart by do not survive operating systems and USB: an answer is known by unit, function,
length and CRC, wherever it stands among other bytes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, Literal

from drivers.kit.asking import Cut, Question
from drivers.kit.checks import crc16_modbus, lrc8
from drivers.kit.exchange import DecodeError, Event, Reason, Received, Rejected, Send

Framing = Literal["rtu", "ascii", "tcp"]
Table = Literal["coil", "discrete", "holding", "input"]

FUNCTIONS: Final[dict[Table, int]] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
TABLES: Final[dict[int, Table]] = {function: table for table, function in FUNCTIONS.items()}
MOST_REGISTERS: Final = 125  # one answer may hold (6.3)
MOST_BITS: Final = 2000  # (6.1)
MOST_JUNK: Final = 512  # bytes that are no frame, refused at a time
EXCEPTION: Final = 0x80
EXCEPTIONS: Final = {
    1: "illegal-function",
    2: "illegal-data-address",
    3: "illegal-data-value",
    4: "server-device-failure",
    5: "acknowledge",
    6: "server-device-busy",
    8: "memory-parity-error",
    10: "gateway-path-unavailable",
    11: "gateway-target-failed-to-respond",
}

_NAMED = re.compile(r"(rtu|ascii|tcp) (\d{1,3}) (coil|discrete|holding|input) (\d{1,5}) (\d{1,4})")
_ASCII = re.compile(rb":([0-9A-Fa-f]{2,510})\r\n")
_ASCII_BEGUN = re.compile(rb":[0-9A-Fa-f]{0,510}\r?")


@dataclass(frozen=True, slots=True)
class Read:
    """A question: `count` coils or registers of a table from `address` on, counted from 0 as on the wire."""

    unit: int
    table: Table
    address: int
    count: int

    @property
    def function(self) -> int:
        return FUNCTIONS[self.table]

    @property
    def size(self) -> int:
        """Bytes of data in its answer."""
        return (self.count + 7) // 8 if self.function <= 2 else 2 * self.count

    @property
    def pdu(self) -> bytes:
        return struct.pack(">BHH", self.function, self.address, self.count)

    def name(self, framing: Framing) -> str:
        """All it takes to read the answer, in words: "rtu 1 holding 0 2"."""
        return f"{framing} {self.unit} {self.table} {self.address} {self.count}"


def named(name: str) -> tuple[Framing, Read]:
    """What `Read.name` was made of. Errors: DecodeError."""
    match = _NAMED.fullmatch(name)
    if match is None:
        raise DecodeError(f"{name[:60]!r} is no Modbus question")
    framing, unit, table, address, count = match.groups()
    return framing, Read(int(unit), table, int(address), int(count))  # type: ignore[return-value, arg-type]


def frame(framing: Framing, unit: int, pdu: bytes, transaction: int = 0) -> bytes:
    """A unit's PDU as it goes over the wire."""
    if framing == "tcp":
        return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu
    body = bytes([unit]) + pdu
    if framing == "ascii":
        return b":%s\r\n" % (body + bytes([lrc8(body)])).hex().upper().encode()
    return body + crc16_modbus(body).to_bytes(2, "little")


def unframe(framing: Framing, raw: bytes) -> tuple[int, bytes]:
    """The unit and the PDU of one whole frame. Errors: DecodeError."""
    if framing == "tcp":
        if len(raw) < 8 or raw[2:4] != b"\0\0" or int.from_bytes(raw[4:6], "big") != len(raw) - 6:
            raise DecodeError("not a Modbus TCP frame", Reason.FRAMING)
        return raw[6], raw[7:]
    if framing == "ascii":
        match = _ASCII.fullmatch(raw)
        if match is None or len(match[1]) % 2 or len(match[1]) < 6:
            raise DecodeError("not a Modbus ASCII frame", Reason.FRAMING)
        body = bytes.fromhex(match[1].decode())
        wanted = lrc8(body[:-1])
        if body[-1] != wanted:
            raise DecodeError(f"LRC: wanted {wanted:02X}", Reason.CHECKSUM)
        return body[0], body[1:-1]
    if len(raw) < 4:
        raise DecodeError("too short for a Modbus RTU frame", Reason.FRAMING)
    crc = crc16_modbus(raw[:-2]).to_bytes(2, "little")
    if raw[-2:] != crc:
        raise DecodeError(f"CRC: wanted {crc.hex(' ').upper()}", Reason.CHECKSUM)
    return raw[0], raw[1:-2]


def answer(read: Read, unit: int, pdu: bytes) -> bytes:
    """The data of the answer to `read`; of an exception its one byte. Errors: DecodeError where it answers another.

    Whether it is an exception says `pdu[0] & EXCEPTION`.
    """
    if unit != read.unit:
        raise DecodeError(f"unit {unit} answers where unit {read.unit} was asked", Reason.UNCLAIMED)
    if not pdu or pdu[0] & ~EXCEPTION != read.function:
        raise DecodeError(f"function {pdu[0] if pdu else 0} answers function {read.function}", Reason.UNCLAIMED)
    if pdu[0] & EXCEPTION:
        if len(pdu) != 2:
            raise DecodeError("an exception of a wrong length")
        return pdu[1:]
    if len(pdu) != read.size + 2 or pdu[1] != read.size:
        raise DecodeError(f"{len(pdu) - 2} bytes of data where {read.size} were asked for")
    return pdu[2:]


def exception(code: int) -> str:
    """An exception code's name."""
    return EXCEPTIONS.get(code, f"exception-{code}")


# ---- asking: where frames begin and end among what arrives

MORE, NONE = 0, -1  # what may begin a frame is not there whole yet; no frame begins here


class ModbusAnswers:
    """Tells a unit's answers; each question's name is a `Read.name`. An `Answers`."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._transaction = 0
        self._read: Read | None = None  # asked last
        self._asked = b""
        self._start = re.compile(b":" if framing == "ascii" else b"")  # how a frame may begin
        self._junk = 0  # how many of the bytes held begin no frame

    def ask(self, question: Question) -> bytes:
        """The question in its frame; over TCP with a transaction number of its own."""
        _, self._read = named(question.name)
        self._transaction = self._transaction % 0xFFFF + 1
        self._asked = frame(self._framing, self._read.unit, self._read.pdu, self._transaction)
        if self._framing == "rtu":
            functions = bytes([self._read.function, self._read.function | EXCEPTION])
            self._start = re.compile(re.escape(self._asked[:1]) + b"(?:[" + re.escape(functions) + b"]|$)", re.DOTALL)
        return self._asked

    def cut(self, held: bytearray, question: Question | None) -> Cut | None:
        """The first frame, or the bytes before it that are none."""
        size, most = MORE, min(len(held), MOST_JUNK)
        while (at := self._begin(held, most, question)) < most:
            size = self._look(held, at, question)
            if size != NONE:
                break
            self._junk += 1
        if size > 0 and not self._junk:
            return self._frame(bytes(held[:size]), question)
        if size > 0 or self._junk == MOST_JUNK:
            return Cut(self.left(bytes(held[: self._junk]), question))
        return None

    def _begin(self, held: bytearray, most: int, question: Question | None) -> int:
        """The first place where a frame may begin."""
        match = None
        if self._framing != "rtu" or question is not None:
            match = self._start.search(held, self._junk, most)
        self._junk = match.start() if match else most
        return self._junk

    def _look(self, held: bytearray, at: int, question: Question | None) -> int:
        """How long the frame is that begins at `at`."""
        if self._framing == "tcp":
            return tcp_size(held, at)
        if self._framing == "ascii":
            return ascii_size(held, at)
        return NONE if self._read is None else _rtu_size(held, at, self._read, self._asked)

    def _frame(self, raw: bytes, question: Question | None) -> Cut:
        self._junk = 0
        if question is None or self._read is None:
            return Cut(Rejected(raw, Reason.UNCLAIMED, detail="nothing was asked"))
        if raw == self._asked and self._framing != "tcp":
            return Cut(Send(b"", raw))  # a two-wire line echoes what we say
        try:
            unit, pdu = unframe(self._framing, raw)
            if self._framing == "tcp" and raw[:2] != self._asked[:2]:
                number = int.from_bytes(raw[:2], "big")
                raise DecodeError(f"transaction {number} is not the open one, {self._transaction}", Reason.UNCLAIMED)
            answer(self._read, unit, pdu)
        except DecodeError as error:
            return Cut(Rejected(raw, error.reason, detail=str(error)))
        return Cut(Received(raw), answers=True)

    def left(self, raw: bytes, question: Question | None) -> Event:
        """Why it is no answer."""
        self._junk = 0
        reason, detail = Reason.FRAMING, "no frame begins here"
        if question is None or self._read is None:
            return Rejected(raw, Reason.UNCLAIMED, detail="nothing was asked")
        if self._framing == "rtu":
            reason, detail = _rtu_fault(raw, self._read)
        elif raw.startswith(b":" if self._framing == "ascii" else self._asked[:2]):
            reason, detail = Reason.INCOMPLETE, "the answer stopped before its end"
        return Rejected(raw, reason, detail=detail)


def tcp_size(held: bytearray, at: int) -> int:
    """How long the frame is that begins at `at`: transaction 2, protocol 2 (zero), length 2 of what follows, unit 1."""
    head = held[at : at + 6]
    if any(head[2:5]):
        return NONE
    if len(head) < 6:
        return MORE
    if head[5] < 3 or head[5] > 254:
        return NONE
    return 6 + head[5] if len(held) - at >= 6 + head[5] else MORE


def ascii_size(held: bytearray, at: int) -> int:
    """How long the frame is that begins at `at`: a colon, digits, CR LF."""
    match = _ASCII.match(held, at)
    if match:
        return match.end() - at
    begun = _ASCII_BEGUN.match(held, at)
    return MORE if begun and begun.end() == len(held) else NONE


def _rtu_size(held: bytearray, at: int, read: Read, asked: bytes) -> int:
    """Of the answer, an exception, or the question's own echo; nothing else is a frame."""
    here = bytes(held[at : at + read.size + 5])
    sizes = []
    if len(here) == 1:
        return MORE
    if here[:2] == bytes([read.unit, read.function | EXCEPTION]):
        sizes.append(5)
    elif here[:3] == bytes([read.unit, read.function, read.size])[: len(here)]:
        sizes.append(read.size + 5)
    for size in sizes:
        if len(here) >= size and crc16_modbus(here[: size - 2]).to_bytes(2, "little") == here[size - 2 : size]:
            return size
    if asked.startswith(here[: len(asked)]):
        if len(here) >= len(asked):
            return len(asked)
        return MORE
    return MORE if any(len(here) < size for size in sizes) else NONE


def _rtu_fault(raw: bytes, read: Read) -> tuple[Reason, str]:
    """What is wrong with bytes among which no answer was found."""
    try:
        answer(read, *unframe("rtu", raw))
    except DecodeError as error:
        if error.reason is not Reason.CHECKSUM:
            return (error.reason, str(error)) if len(raw) >= 4 else (Reason.INCOMPLETE, "the answer stopped")
        head = bytes([read.unit, read.function, read.size])
        if raw[:2] == bytes([read.unit, read.function | EXCEPTION]) and len(raw) == 5:
            return error.reason, str(error)
        if raw[:3] != head:
            return Reason.FRAMING, f"no answer of unit {read.unit} to function {read.function} begins here"
        if len(raw) < read.size + 5:
            return Reason.INCOMPLETE, f"{len(raw)} bytes of {read.size + 5}"
        return error.reason, str(error)
    return Reason.FRAMING, "an answer, but not when it was waited for"
