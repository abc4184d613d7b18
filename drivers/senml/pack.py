"""A SenML pack resolved: base fields applied, rules of RFC 8428 section 4 checked."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from drivers.kit import cbor, payload
from drivers.kit.exchange import DecodeError

VERSION = 10
ABSOLUTE = 2**28  # times from here on are seconds since 1970, smaller ones relative to now (4.5.3)
MOST_RECORDS = 100_000
LABELS = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
TEXTS, NUMBERS = ("bn", "bu", "n", "u", "vs"), ("bt", "bv", "bs", "v", "s", "t", "ut", "bver")
VALUES = ("v", "vs", "vb", "vd")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")


@dataclass(frozen=True, slots=True)
class Record:
    """One resolved record. `field` says which value it has ("v" "vs" "vb" "vd", "" for a sum alone)."""

    name: str
    field: str
    value: int | float | str | bool | None
    unit: str | None
    time: int | float  # the sum of base time and time: see `absolute`
    sum: int | float | None
    update: int | float | None

    @property
    def absolute(self) -> bool:
        """True for seconds since 1970, False for seconds relative to now."""
        return self.time >= ABSOLUTE


def resolve(data: bytes) -> Iterator[Record]:
    """The records of a pack in JSON or CBOR. DecodeError where RFC 8428 says the pack must be rejected."""
    pack = _labelled(cbor.load(data)) if 0x80 <= (data[:1] or b"\0")[0] <= 0x9F else payload.load(data)
    if not isinstance(pack, list) or not pack:
        raise DecodeError("not a SenML pack: not an array of records")
    if len(pack) > MOST_RECORDS:
        raise DecodeError(f"more than {MOST_RECORDS} records")
    held: dict[str, Any] = {}
    for number, record in enumerate(pack, start=1):
        try:
            yield from _resolve(record, held)
        except DecodeError as error:
            raise DecodeError(f"record {number}: {error}") from None


def _labelled(pack: Any) -> Any:
    """CBOR's numbers for labels as their names."""
    if not isinstance(pack, list):
        return pack
    return [
        {LABELS.get(key, str(key)) if isinstance(key, int) else key: value for key, value in record.items()}
        if isinstance(record, dict)
        else record
        for record in pack
    ]


def _resolve(record: Any, held: dict[str, Any]) -> Iterator[Record]:
    if not isinstance(record, dict):
        raise DecodeError("not an object")
    _check(record)
    held.update({label: value for label, value in record.items() if label in ("bn", "bt", "bu", "bv", "bs", "bver")})
    found = [label for label in VALUES if label in record]
    if len(found) > 1:
        raise DecodeError(f"has {' and '.join(found)}: one value is allowed")
    if not found and "s" not in record:
        if "n" in record:
            raise DecodeError("has no value")
        return  # base fields alone
    name = held.get("bn", "") + record.get("n", "")
    if not _NAME.fullmatch(name):
        raise DecodeError(f"the name {name[:80]!r} is not allowed")
    label = found[0] if found else ""
    value = record.get(label)
    if label == "v" and math.isfinite(record["v"]):
        value = _add(held.get("bv"), record["v"])
    elif isinstance(value, bytes):
        value = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    time = _add(held.get("bt"), record.get("t", 0))
    if time < -ABSOLUTE:
        raise DecodeError(f"the time {time!r} is out of range")
    yield Record(
        name=name,
        field=label,
        value=value,
        unit=record.get("u", held.get("bu")),
        time=time,
        sum=_add(held.get("bs"), record["s"]) if "s" in record else None,
        update=record.get("ut"),
    )


def _check(record: dict[Any, Any]) -> None:
    for label, value in record.items():
        if label in TEXTS:
            right = isinstance(value, str)
        elif label in NUMBERS:
            right = isinstance(value, int | float) and not isinstance(value, bool)
            right = right and (label == "v" or math.isfinite(value))
        elif label == "vb":
            right = isinstance(value, bool)
        elif label == "vd":
            right = isinstance(value, str | bytes)
        elif str(label).endswith("_"):
            raise DecodeError(f"the label {label[:40]!r} must be understood and is not")
        else:
            continue
        if not right:
            raise DecodeError(f"{label} is of the wrong type: {value!r:.60}")
    if record.get("bver", VERSION) > VERSION:
        raise DecodeError(f"SenML version {record['bver']} is newer than {VERSION}")


def _add(base: int | float | None, value: int | float) -> int | float:
    """The sum in decimal arithmetic: 20.1 + 0.2 is 20.3."""
    if not base:
        return value
    if isinstance(base, int) and isinstance(value, int):
        return base + value
    total = float(Decimal(str(base)) + Decimal(str(value)))
    if not math.isfinite(total):
        raise DecodeError("a sum is out of range")
    return total
