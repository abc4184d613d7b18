"""CBOR (RFC 8949) as far as measurements need it: bounded, and an error where it is not well-formed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from drivers.kit.exchange import DecodeError

DEEPEST = 16
MOST_ITEMS = 100_000
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}
_BREAK = object()
_INDEFINITE = 31
_DECIMAL_FRACTION = 4


def load(data: bytes) -> Any:
    """One data item, and nothing after it. Maps become dicts, byte strings bytes. DecodeError."""
    reader = _Reader(data)
    found = reader.item(0)
    if reader.at != len(data):
        raise DecodeError(f"not CBOR: {len(data) - reader.at} bytes after its end")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0
        self.at = 0

    def item(self, depth: int, *, may_break: bool = False) -> Any:
        self._items += 1
        if depth > DEEPEST or self._items > MOST_ITEMS:
            raise DecodeError("not CBOR we read: nested too deeply or too long")
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info, may_break)
        if info == _INDEFINITE and major in (2, 3, 4, 5):
            return self._endless(major, depth)
        size = self._number(info)
        if major in (0, 1):
            number = size if major == 0 else -1 - size
            return number if -(2**63) <= number < 2**63 else float(number)
        if major in (2, 3):
            return self._text(major, self._take(size))
        if major == 6:
            return self._tagged(size, depth)
        if size > len(self._data):  # an element takes a byte at least
            raise DecodeError("not CBOR: longer than the payload")
        if major == 4:
            return [self.item(depth + 1) for _ in range(size)]
        pairs: dict[Any, Any] = {}
        for _ in range(size):
            self._pair(pairs, self.item(depth + 1), lambda: self.item(depth + 1))
        return pairs

    def _take(self, size: int) -> bytes:
        found = self._data[self.at : self.at + size]
        if len(found) < size:
            raise DecodeError("not CBOR: it ends within an item")
        self.at += size
        return found

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        if info not in _SIZES:
            raise DecodeError("not CBOR: a reserved length")
        return int.from_bytes(self._take(_SIZES[info]), "big")

    def _simple(self, info: int, may_break: bool) -> Any:
        if info in _FLOATS:
            return struct.unpack(_FLOATS[info], self._take(_SIZES[info]))[0]
        if info == _INDEFINITE and may_break:
            return _BREAK
        if info in (20, 21):
            return info == 21
        if info in (22, 23):
            return None
        raise DecodeError("not CBOR we read: an unknown simple value")

    def _text(self, major: int, raw: bytes) -> bytes | str:
        if major == 2:
            return raw
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise DecodeError("not CBOR: a text that is not UTF-8") from None

    def _tagged(self, tag: int, depth: int) -> Any:
        """Tags say how an item is meant; of a decimal fraction the number, of others the item itself."""
        content = self.item(depth + 1)
        if tag != _DECIMAL_FRACTION:
            return content
        if isinstance(content, list) and len(content) == 2 and all(type(part) is int for part in content):
            exponent, mantissa = content
            if abs(exponent) <= 300:
                return float(Decimal(mantissa).scaleb(exponent))
        raise DecodeError("not CBOR we read: a decimal fraction out of range")

    def _endless(self, major: int, depth: int) -> Any:
        """Items up to a break; the chunks of an endless string are put together."""
        items: list[Any] = []
        pairs: dict[Any, Any] = {}
        while (found := self.item(depth + 1, may_break=True)) is not _BREAK:
            if major == 5:
                self._pair(pairs, found, lambda: self.item(depth + 1))
            elif major == 4 or isinstance(found, bytes if major == 2 else str):
                items.append(found)
            else:
                raise DecodeError("not CBOR: a string in pieces of another kind")
        if major == 5:
            return pairs
        if major == 4:
            return items
        return b"".join(items) if major == 2 else "".join(items)

    def _pair(self, pairs: dict[Any, Any], key: Any, value: Callable[[], Any]) -> None:
        if not isinstance(key, str | int):
            raise DecodeError("not CBOR we read: a key that is neither text nor a number")
        if key in pairs:
            raise DecodeError(f"the key {key!r:.40} stands twice in one map")
        pairs[key] = value()
