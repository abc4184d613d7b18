"""The protobuf wire format as far as measurements need it: bounded to read, and small to write.

Facts from protobuf.dev, Encoding. A message is a row of fields: a number, a wire type and a value. What the fields
mean stands in a schema, which its reader knows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from drivers.kit.exchange import DecodeError

MOST_FIELDS: Final = 200_000  # of one message on one level
_MOST_NUMBER: Final = 2**29 - 1
_MASK: Final = 2**64 - 1
_SIZES: Final = {1: 8, 5: 4}
VARINT, FIXED64, SIZED, FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, int | bytes]
"""Field number, wire type, value: an int for a varint (0 to 2**64 - 1), bytes for everything else."""


def fields(data: bytes) -> Iterator[Field]:
    """The fields of a message, in order. DecodeError where it is cut short or no such message."""
    at, end, count = 0, len(data), 0
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        count += 1
        if not 1 <= number <= _MOST_NUMBER or count > MOST_FIELDS:
            raise DecodeError(f"not protobuf we read: field {number}, the {count}. of its message")
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == SIZED:
            size, at = _varint(data, at)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise DecodeError(f"not protobuf we read: wire type {wire} of field {number}")
        if size > end - at:
            raise DecodeError(f"not protobuf: it ends within field {number}")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise DecodeError("not protobuf: it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _MASK, at
        shift += 7
    raise DecodeError("not protobuf: a number longer than ten bytes")


def number_of(field: Field) -> int:
    """The value of an integer field, as unsigned. DecodeError where the field is of another kind."""
    _, wire, value = field
    if not isinstance(value, int):
        raise DecodeError(f"field {field[0]} is no integer (wire type {wire})")
    return value


def bytes_of(field: Field) -> bytes:
    """The content of a field with a length (bytes, text, a message). DecodeError where it is of another kind."""
    number, wire, value = field
    if wire != SIZED or isinstance(value, int):
        raise DecodeError(f"field {number} has no length (wire type {wire})")
    return value


def text_of(field: Field) -> str:
    """The text of a field. DecodeError where it is none, or not UTF-8."""
    try:
        return bytes_of(field).decode()
    except UnicodeDecodeError:
        raise DecodeError(f"field {field[0]} is a text that is not UTF-8") from None


def float_of(field: Field) -> float:
    """A float or double by its wire type. DecodeError where it is neither."""
    number, wire, value = field
    if isinstance(value, int) or wire == SIZED:
        raise DecodeError(f"field {number} is no floating-point number (wire type {wire})")
    found: float = struct.unpack("<d" if wire == FIXED64 else "<f", value)[0]
    return found


def numbers_of(field: Field) -> list[int]:
    """The values of one occurrence of a repeated integer field, packed or not."""
    _, wire, value = field
    if wire != SIZED or isinstance(value, int):
        return [number_of(field)]
    found, at = [], 0
    while at < len(value):
        one, at = _varint(value, at)
        found.append(one)
    return found


# ---- writing


def varint(value: int) -> bytes:
    """A number in seven bits a byte; a negative one as its two's complement of 64 bits."""
    value &= _MASK
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def put_number(number: int, value: int) -> bytes:
    """An integer or truth value as field `number`."""
    return varint(number << 3 | VARINT) + varint(value)


def put_bytes(number: int, value: bytes | str) -> bytes:
    """Bytes, a text or a message as field `number`."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | SIZED) + varint(len(raw)) + raw


def put_float(number: int, value: float) -> bytes:
    """A number of 32 bits."""
    return varint(number << 3 | FIXED32) + struct.pack("<f", value)


def put_double(number: int, value: float) -> bytes:
    """A number of 64 bits."""
    return varint(number << 3 | FIXED64) + struct.pack("<d", value)
