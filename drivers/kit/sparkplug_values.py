"""Values of Sparkplug B by their datatype, read and written (Sparkplug 3.0, chapter 6.4).

Signed integers travel in unsigned fields: they are cut to their width and get their sign from there. What does not fit
its datatype is no value.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final

from drivers.kit.exchange import DecodeError
from drivers.kit.observation import NOTHING, Json, Value
from drivers.kit.protobuf import (
    Field,
    bytes_of,
    fields,
    float_of,
    number_of,
    numbers_of,
    put_bytes,
    put_double,
    put_float,
    put_number,
    text_of,
)


class Type(IntEnum):
    """Datatypes by their number in a payload."""

    UNKNOWN = 0
    INT8, INT16, INT32, INT64 = 1, 2, 3, 4
    UINT8, UINT16, UINT32, UINT64 = 5, 6, 7, 8
    FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME, TEXT, UUID = 9, 10, 11, 12, 13, 14, 15
    DATASET, BYTES, FILE, TEMPLATE, PROPERTY_SET, PROPERTY_SET_LIST = 16, 17, 18, 19, 20, 21
    INT8_ARRAY, INT16_ARRAY, INT32_ARRAY, INT64_ARRAY = 22, 23, 24, 25
    UINT8_ARRAY, UINT16_ARRAY, UINT32_ARRAY, UINT64_ARRAY = 26, 27, 28, 29
    FLOAT_ARRAY, DOUBLE_ARRAY, BOOLEAN_ARRAY, STRING_ARRAY, DATETIME_ARRAY = 30, 31, 32, 33, 34


class Holder(StrEnum):
    """Which member of the value's oneof it stands in."""

    INT, LONG, FLOAT, DOUBLE, BOOLEAN, STRING = "integer", "long", "float", "double", "boolean", "string"
    BYTES, DATASET, TEMPLATE, EXTENSION = "bytes", "data set", "template", "extension"


HOLDERS: Final = tuple(Holder)


MOST_ITEMS: Final = 1000  # of an array or a data set that are shown
_NAMES: Final = {int(one): one.name.lower().replace("_", " ") for one in Type}
_SIGNED: Final[Mapping[int, int]] = {Type.INT8: 8, Type.INT16: 16, Type.INT32: 32, Type.INT64: 64}
_UNSIGNED: Final[Mapping[int, int]] = {Type.UINT8: 8, Type.UINT16: 16, Type.UINT32: 32, Type.UINT64: 64}
_ARRAYS: Final = dict(zip(range(Type.INT8_ARRAY, Type.BOOLEAN_ARRAY), "bhiqBHIQfd", strict=True)) | {
    int(Type.DATETIME_ARRAY): "Q"
}
_TEXTS: Final = (Type.STRING, Type.TEXT, Type.UUID)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """A value, or why there is none; `told` is what goes beside it."""

    value: Value = None
    why: str = ""
    told: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    structured: bool = False  # whole, but no single value: an array, a data set, bytes


def label(datatype: int) -> str:
    """A datatype's name for people."""
    return _NAMES.get(datatype, f"datatype {datatype}")


def value_of(holder: Holder | None, held: Field | None, datatype: int, name: str) -> Found:
    """A metric's value. DecodeError where an integer's datatype is not known, or the content is no such thing."""
    if holder is None or held is None:
        return Found(why="sent without a value")
    if holder in (Holder.INT, Holder.LONG) and datatype == Type.UNKNOWN:
        raise DecodeError(f"the datatype of {name[:80]!r} is not known: no birth was seen")
    if holder is Holder.DATASET:
        return Found(told=_data_set(bytes_of(held)), structured=True)
    if holder is Holder.BYTES:
        return _array(bytes_of(held), datatype)
    return scalar(holder, held, datatype)


def scalar(holder: Holder, held: Field, datatype: int) -> Found:
    """A single value."""
    match holder:
        case Holder.INT | Holder.LONG:
            return _integer(number_of(held) & (0xFFFFFFFF if holder is Holder.INT else 2**64 - 1), holder, datatype)
        case Holder.FLOAT | Holder.DOUBLE if datatype in (Type.FLOAT, Type.DOUBLE, Type.UNKNOWN):
            number = float_of(held)
            return Found(shortest(number) if _width(held) == 4 else number)
        case Holder.BOOLEAN if datatype in (Type.BOOLEAN, Type.UNKNOWN):
            return Found(bool(number_of(held)))
        case Holder.STRING if datatype in (*_TEXTS, Type.UNKNOWN):
            return Found(text_of(held))
    return Found(why=f"declared as {label(datatype)}, sent as {holder}")


def _width(held: Field) -> int:
    return len(held[2]) if isinstance(held[2], bytes) else 0


def _integer(number: int, holder: Holder, datatype: int) -> Found:
    if bits := _UNSIGNED.get(datatype):
        return _misfit(number, datatype) if number >> bits else Found(number)
    if bits := _SIGNED.get(datatype):
        width = 32 if holder is Holder.INT else 64
        if not number >> bits:
            return Found(number - (1 << bits) if number >> (bits - 1) else number)
        extended = number >> (bits - 1) == (1 << (width - bits + 1)) - 1
        return Found(number - (1 << width)) if extended else _misfit(number, datatype)
    if datatype == Type.DATETIME:
        told: dict[str, Json] = {"as_sent": number}
        moment = _moment(number)
        return Found(moment, told=told) if moment else Found(why=f"{number} ms is no date", told=told)
    if datatype == Type.BOOLEAN and number < 2:
        return Found(bool(number))
    return Found(why=f"declared as {label(datatype)}, sent as {holder}", told={"as_sent": number})


def _misfit(number: int, datatype: int) -> Found:
    return Found(why=f"{number} does not fit {label(datatype)}", told={"as_sent": number})


def _moment(milliseconds: int) -> str | None:
    try:
        return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return None


def shortest(number: float) -> float:
    """The shortest decimal that is this number of 32 bits: 21.3 rather than 21.299999237."""
    if number != number or number in (float("inf"), float("-inf")):
        return number
    raw = struct.pack("<f", number)
    for digits in range(6, 9):
        candidate = float(f"{number:.{digits}g}")
        try:
            if struct.pack("<f", candidate) == raw:
                return candidate
        except OverflowError:
            continue
    return float(f"{number:.9g}")


# ---- what is more than one value


def _array(raw: bytes, datatype: int) -> Found:
    items: list[Json] = []
    if datatype in _ARRAYS:
        code = _ARRAYS[datatype]
        size = struct.calcsize(f"<{code}")
        if len(raw) % size:
            return Found(why=f"{len(raw)} bytes are no {label(datatype)}")
        shown = min(len(raw) // size, MOST_ITEMS)
        items = [_item(one, datatype) for one in struct.unpack_from(f"<{shown}{code}", raw)]
    elif datatype == Type.BOOLEAN_ARRAY:
        count = int.from_bytes(raw[:4], "little")
        if len(raw) < 4 or (count + 7) // 8 != len(raw) - 4:
            return Found(why=f"{len(raw)} bytes are no {label(datatype)}")
        items = [bool(raw[4 + n // 8] & (128 >> n % 8)) for n in range(min(count, MOST_ITEMS))]
    elif datatype == Type.STRING_ARRAY:
        parts = raw.split(b"\0")[:-1] if raw.endswith(b"\0") else raw.split(b"\0")
        items = [part.decode("utf-8", "replace")[:500] for part in parts[:MOST_ITEMS]]
    elif datatype in (Type.BYTES, Type.FILE, Type.UNKNOWN):
        shown_bytes = base64.b64encode(raw[:MOST_ITEMS]).decode()
        return Found(told={"bytes": len(raw), "base64": shown_bytes}, structured=True)
    else:
        return Found(why=f"declared as {label(datatype)}, sent as bytes")
    return Found(told={"values": items}, structured=True)


def _item(item: float, datatype: int) -> Json:
    if datatype == Type.DATETIME_ARRAY:
        return _moment(int(item))
    if isinstance(item, float):
        if item != item or abs(item) == float("inf"):
            return str(item)
        return shortest(item) if datatype == Type.FLOAT_ARRAY else item
    return item


def _data_set(data: bytes) -> dict[str, Json]:
    columns: list[Json] = []
    types: list[int] = []
    rows: list[Json] = []
    for one in fields(data):
        match one[0]:
            case 2 if len(columns) < MOST_ITEMS:
                columns.append(text_of(one)[:200])
            case 3:
                types += numbers_of(one)[:MOST_ITEMS]
            case 4 if len(rows) * max(1, len(columns)) < MOST_ITEMS:
                rows.append([_cell(bytes_of(part)) for part in fields(bytes_of(one)) if part[0] == 1])
    typed: list[Json] = [
        [_typed(cell, types[n] if n < len(types) else 0) for n, cell in enumerate(row)] if isinstance(row, list) else []
        for row in rows
    ]
    return {"columns": columns, "rows": typed}


def _cell(data: bytes) -> Json:
    """A cell by itself; integers as [holder, number] until their column's type is known."""
    found: Json = None
    for one in fields(data):
        if 1 <= one[0] <= 2:
            found = [str(HOLDERS[one[0] - 1]), number_of(one)]
        elif 3 <= one[0] <= 6:
            found = _item_of(scalar(HOLDERS[one[0] - 1], one, Type.UNKNOWN).value)
    return found


def _item_of(value: Value) -> Json:
    return str(value) if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


def _typed(cell: Json, datatype: int) -> Json:
    if not isinstance(cell, list):
        return cell
    holder, number = cell
    held: Field = (1, 0, number if isinstance(number, int) else 0)
    return scalar(Holder(str(holder)), held, datatype).value


# ---- writing


def put_value(datatype: Type, value: Value) -> bytes:
    """A value in the field its datatype travels in; nothing sent is null. ValueError where it does not fit."""
    if value is None:
        return put_number(7, 1)
    if datatype in _TEXTS:
        return put_bytes(15, str(value))
    if isinstance(value, str):
        raise ValueError(f"{value!r} is no {label(datatype)}")
    if datatype == Type.BOOLEAN:
        return put_number(14, bool(value))
    if datatype == Type.FLOAT:
        return put_float(12, value)
    if datatype == Type.DOUBLE:
        return put_double(13, value)
    bits = _SIGNED.get(datatype) or _UNSIGNED.get(datatype) or (64 if datatype == Type.DATETIME else 0)
    low, high = (-(1 << bits - 1), 1 << bits - 1) if datatype in _SIGNED else (0, 1 << bits)
    if not bits or not isinstance(value, int) or not low <= value < high:
        raise ValueError(f"{value!r} is no {label(datatype)}")
    return put_number(11, value) if bits == 64 else put_number(10, value & ((1 << bits) - 1))


def put_metric(
    name: str, datatype: Type, value: Value, timestamp: int | None, alias: int | None = None, unit: str = ""
) -> bytes:
    """A metric as a birth has it: with name and datatype."""
    made = put_bytes(1, name) + (b"" if alias is None else put_number(2, alias))
    made += (b"" if timestamp is None else put_number(3, timestamp)) + put_number(4, datatype)
    if unit:
        said = put_number(1, Type.STRING) + put_bytes(8, unit)
        made += put_bytes(9, put_bytes(1, "engUnit") + put_bytes(2, said))
    return made + put_value(datatype, value)


def put_update(alias: int, datatype: Type, value: Value, timestamp: int | None) -> bytes:
    """A metric as DATA has it: by its alias, without name and datatype."""
    return put_number(2, alias) + (b"" if timestamp is None else put_number(3, timestamp)) + put_value(datatype, value)
