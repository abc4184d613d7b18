"""What stands in registers: from 16-bit words to values as they were meant, and back for the simulator."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from drivers.kit.observation import Value
from drivers.modbus.options import RegisterOption

INTEGERS: Final = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q"}
FLOATS: Final = {"float32": "f", "float64": "d"}


class UnreadableError(ValueError):
    """The registers hold nothing of the declared type; the message says why."""


def read(words: Sequence[int], register: RegisterOption) -> int | float | str:
    """The number or text in a register's words as sent, before scaling. Errors: UnreadableError."""
    data = _ordered(b"".join(word.to_bytes(2, "big") for word in words), register)
    if register.is_bit:
        return int.from_bytes(data[:2], "big") >> (register.bit or 0) & 1
    if register.type == "string":
        return _text(data)
    if register.type == "bcd":
        digits = data.hex()
        if not digits.isdecimal():
            raise UnreadableError(f"{digits.upper()} is no BCD")
        return int(digits)
    if register.type in INTEGERS:
        number: int = struct.unpack(">" + INTEGERS[register.type], data)[0]
        return number
    real: float = struct.unpack(">" + FLOATS[register.type], data)[0]
    if not math.isfinite(real):
        raise UnreadableError("not a number" if math.isnan(real) else "infinite")
    return shortest(real, data) if register.type == "float32" else real


def written(value: int | float | str | bool, register: RegisterOption) -> list[int]:
    """The words that hold a value, scaled back: what `read` and `scaled` undo. Errors: UnreadableError."""
    if register.type == "string":
        data = str(value).encode("ascii", "replace").ljust(2 * register.length, b"\0")[: 2 * register.length]
    elif register.is_bit:
        data = (bool(value) << (register.bit or 0)).to_bytes(2, "big")
    else:
        exact = (Decimal(str(value)) - Decimal(str(register.offset))) / Decimal(str(register.scale))
        data = _number(exact, register)
    data = _ordered(data, register)
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _number(exact: Decimal, register: RegisterOption) -> bytes:
    try:
        if register.type in FLOATS:
            return struct.pack(">" + FLOATS[register.type], float(exact))
        whole = int(exact.to_integral_value())
        if register.type == "bcd":
            return bytes.fromhex(f"{whole:0{4 * register.length}d}")
        return struct.pack(">" + INTEGERS[register.type], whole)
    except (struct.error, ValueError, OverflowError) as error:
        raise UnreadableError(f"{exact} does not fit a {register.type}") from error


def scaled(number: int | float, register: RegisterOption) -> int | float:
    """The number times the scale plus the offset, computed in decimals: 0xFCE0 by 0.1 is -80.0."""
    if register.scale == 1 and not register.offset:
        return number
    exact = Decimal(str(number)) * Decimal(str(register.scale)) + Decimal(str(register.offset))
    return int(exact) if register.scale == int(register.scale) and exact == int(exact) else float(exact)


def meaning(number: int | float, register: RegisterOption) -> Value:
    """A number as sent as the value it stands for: mapped, a yes or no, or scaled."""
    if register.map is not None:
        return register.map.get(int(number), str(number)) if number == int(number) else str(number)
    return bool(number) if register.is_bit else scaled(number, register)


def shortest(real: float, data: bytes) -> float:
    """The shortest number that is this one in single precision: 23.985, not 23.985000610351562."""
    for digits in range(6, 10):
        candidate = float(f"{real:.{digits}g}")
        try:
            if struct.pack(">f", candidate) == data:
                return candidate
        except OverflowError:
            continue
    return real


def _ordered(data: bytes, register: RegisterOption) -> bytes:
    """Bytes as they arrive to the highest first, and back: every order undoes itself. A text has no highest word."""
    words = register.words
    if words in ("CDAB", "DCBA") and register.type != "string":
        data = b"".join(data[at : at + 2] for at in range(len(data) - 2, -1, -2))
    if words in ("BADC", "DCBA"):
        data = b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2))
    return data


def _text(data: bytes) -> str:
    text = data.split(b"\0", 1)[0].strip(b" ")
    if not all(0x20 <= byte < 0x7F for byte in text):
        raise UnreadableError("not printable ASCII")
    return text.decode("ascii")
