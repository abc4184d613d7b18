"""JSON payloads: read without surprises, and looked into by path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import GetPydanticSchema
from pydantic_core import core_schema

from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.observation import Json

DEEPEST = 32  # levels of nesting that are looked into
MOST_LEAVES = 2_000

_BARE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_BIG = 2**63


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a path finds where there is nothing; None is a null that was sent."""


def load(data: bytes) -> Json:
    """A payload as JSON; a bare word or number that is not JSON is taken as text.

    NaN and infinities come out as floats that are not finite. DecodeError where the payload is neither, where a key
    stands twice in one object (nobody can know which was meant) or where it is nested too deeply.
    """
    try:
        text = data.decode("utf-8-sig").strip(" \t\r\n\0")
    except UnicodeDecodeError as error:
        raise DecodeError(f"not UTF-8: {error.reason} at byte {error.start}", Reason.ENCODING) from None
    try:
        found: Json = json.loads(text, object_pairs_hook=_object, parse_int=_integer)
    except RecursionError:
        raise DecodeError("nested too deeply") from None
    except json.JSONDecodeError as error:
        if text[:1] not in ("{", "[", '"', "") and _BARE.fullmatch(text):
            return text
        raise DecodeError(f"not JSON: {error.msg} at character {error.pos}") from None
    return found


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DecodeError(f"the key {twice[:40]!r} stands twice in one object")
    return found


def _integer(text: str) -> int | float:
    if len(text) > 25:
        return float(text)
    number = int(text)
    return number if -_BIG <= number < _BIG else float(text)


def finite(value: Json) -> bool:
    """False for NaN and infinities."""
    return not isinstance(value, float) or math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Path:
    """Where something stands in a payload: `$.a.b[0]["x y"]`; `$` is the payload itself. No wildcards, no scripts."""

    text: str
    parts: tuple[str | int, ...]

    @property
    def name(self) -> str:
        """The path without its `$.`: "a.b[0]"; "" for the payload itself."""
        return self.text.removeprefix("$").removeprefix(".")

    def find(self, payload: Json) -> Any:
        """What stands there, or MISSING."""
        at: Any = payload
        for part in self.parts:
            if isinstance(at, dict) and isinstance(part, str):
                at = at.get(part, MISSING)
            elif isinstance(at, list) and isinstance(part, int) and part < len(at):
                at = at[part]
            else:
                return MISSING
            if at is MISSING:
                return MISSING
        return at


_PART = re.compile(r"""\.([^.\[\]"'\s$*()?@]+)|\[(\d{1,6})\]|\["((?:[^"\\]|\\["\\])*)"\]|\['((?:[^'\\]|\\['\\])*)'\]""")


def path(text: str) -> Path:
    """`$.a.b[0]["x y"]` read. ValueError says what is wrong with it."""
    if not text.startswith("$"):
        raise ValueError(f'{text!r} is not a path. Write it from the root: "$.{text.lstrip(".")}".')
    at, parts = 1, list[str | int]()
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise ValueError(
                f'{text!r} is not a path from character {at + 1} on. Write "$.key", "$[0]" or \'$["a key"]\'.'
            )
        name, index, double, single = match.groups()
        quoted = double if double is not None else single
        if index is not None:
            parts.append(int(index))
        else:
            parts.append(name if name is not None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
    return Path(text, tuple(parts))


def _path_schema(_source: Any, _handler: Any) -> core_schema.CoreSchema:
    return core_schema.no_info_after_validator_function(
        path, core_schema.str_schema(), serialization=core_schema.plain_serializer_function_ser_schema(lambda p: p.text)
    )


PathOption = Annotated[Path, GetPydanticSchema(_path_schema)]
"""A path as a configuration writes it."""


def leaves(payload: Json, prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Every scalar with its dotted place ("a.b", "c[0]"), in order; bounded in depth and number."""
    count = 0
    open_: list[tuple[str, Json, int]] = [(prefix, payload, 0)]
    while open_ and count < MOST_LEAVES:
        place, value, depth = open_.pop()
        if isinstance(value, dict | list) and depth >= DEEPEST:
            continue
        if isinstance(value, dict):
            inner = [(f"{place}.{key}" if place else key, one, depth + 1) for key, one in value.items()]
            open_.extend(reversed(inner))
        elif isinstance(value, list):
            inner = [(f"{place}[{index}]", one, depth + 1) for index, one in enumerate(value[:MOST_LEAVES])]
            open_.extend(reversed(inner))
        else:
            count += 1
            yield place, value


def slug(text: str) -> str:
    """A name as a quantity: lower case with hyphens. "deviceTemperature" -> "device-temperature"."""
    spread = re.sub(r"([a-z])([A-Z])", r"\1-\2", text[:200])
    return re.sub(r"[^\w]+|_+", "-", spread).strip("-").lower() or "value"


def tidy(value: Json) -> Json:
    """Something as sent, fit for attributes: long texts cut, numbers JSON does not know as words."""
    if isinstance(value, str):
        return value[:500]
    return value if finite(value) else str(value)
