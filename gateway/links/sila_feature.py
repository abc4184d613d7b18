"""SiLA 2 features: what a feature definition says of its properties, and their values from protobuf. Pure.

Types and their messages by the rules of SiLA 2 Part B (mapping of the Feature Definition Language to Protocol
Buffers): every basic type is a message with its value in field 1, a structure's elements are numbered in order, a
definition of the feature's own is one message more, a list is a repeated field.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from xml.etree.ElementTree import Element

from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Json
from drivers.kit.protobuf import Field, bytes_of, fields, float_of, number_of, put_bytes, text_of
from drivers.kit.xmltree import parse

MOST_DEPTH: Final = 12  # of types within types
MOST_ITEMS: Final = 1000  # of a list
BASIC: Final = frozenset(("String", "Integer", "Real", "Boolean", "Binary", "Date", "Time", "Timestamp", "Any"))

_IDENTIFIER = re.compile(r"[A-Z][A-Za-z0-9]*")
_NAME = re.compile(r"[a-z][a-z0-9.]*")


@dataclass(frozen=True, slots=True)
class Type:
    """One type of the definition language. `wraps`: it is a definition, and its value one message further in."""

    name: str  # of `BASIC`, "Structure" or "List"
    elements: tuple[tuple[str, Type], ...] = ()  # of a structure; of a list its one
    wraps: bool = False
    unit: str = ""  # the label of its unit constraint
    constraints: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Property:
    """A property, and the path of its call."""

    id: str  # fully qualified
    name: str
    observable: bool
    type: Type
    call: str


@dataclass(frozen=True, slots=True)
class Feature:
    id: str
    properties: Mapping[str, Property]


def feature(definition: bytes) -> Feature:
    """A feature definition read. Errors: DecodeError."""
    root = parse(definition)
    if _tag(root) != "Feature":
        raise DecodeError("no feature definition")
    name, originator = _text(root, "Identifier"), root.get("Originator", "")
    category, major = root.get("Category", "none"), root.get("FeatureVersion", "").partition(".")[0]
    if not (_IDENTIFIER.fullmatch(name) and _NAME.fullmatch(originator) and _NAME.fullmatch(category)):
        raise DecodeError(f"a feature with names that are none: {originator[:80]!r} {category[:80]!r} {name[:80]!r}")
    if not (major.isascii() and major.isdigit()):
        raise DecodeError(f"feature {name} has no version")
    whole = f"{originator}/{category}/{name}/v{major}"
    service = f"/sila2.{originator}.{category}.{name.lower()}.v{major}.{name}/"
    definitions = {_text(one, "Identifier"): _one(one, "DataType") for one in _all(root, "DataTypeDefinition")}
    found = {}
    for one in _all(root, "Property"):
        title, observable = _text(one, "Identifier"), _text(one, "Observable") == "Yes"
        if not _IDENTIFIER.fullmatch(title):
            raise DecodeError(f"a property whose name is none: {title[:80]!r}")
        kind = _type(_one(one, "DataType"), definitions, 0)
        call = f"{service}{'Subscribe' if observable else 'Get'}_{title}"
        found[title] = Property(f"{whole}/Property/{title}", title, observable, kind, call)
    return Feature(whole, found)


def _tag(element: Element) -> str:
    return element.tag.rpartition(":")[2]


def _all(parent: Element, name: str) -> list[Element]:
    return [child for child in parent if _tag(child) == name]


def _one(parent: Element, name: str) -> Element:
    found = _all(parent, name)
    if len(found) != 1:
        raise DecodeError(f"{len(found)} {name} in a {_tag(parent)}")
    return found[0]


def _text(parent: Element, name: str) -> str:
    return (_one(parent, name).text or "").strip()


def _type(data_type: Element, definitions: Mapping[str, Element], depth: int) -> Type:
    if depth > MOST_DEPTH or len(data_type) != 1:
        raise DecodeError("types within types without end" if depth > MOST_DEPTH else "a DataType of several")
    (inner,) = data_type
    match _tag(inner):
        case "Basic" if (name := (inner.text or "").strip()) in BASIC:
            return Type(name)
        case "Constrained":
            bare = _type(_one(inner, "DataType"), definitions, depth + 1)
            unit, constraints = _constraints(_one(inner, "Constraints"))
            return replace(bare, unit=unit or bare.unit, constraints={**bare.constraints, **constraints})
        case "List":
            return Type("List", (("", _type(_one(inner, "DataType"), definitions, depth + 1)),))
        case "Structure":
            elements = [
                (_text(one, "Identifier"), _type(_one(one, "DataType"), definitions, depth + 1))
                for one in _all(inner, "Element")
            ]
            return Type("Structure", tuple(elements))
        case "DataTypeIdentifier" if (name := (inner.text or "").strip()) in definitions:
            bare = _type(definitions[name], definitions, depth + 1)
            return Type("Wrapped", (("", bare),), wraps=True, unit=bare.unit, constraints=bare.constraints)
    raise DecodeError(f"an unknown type: {_tag(inner)} {(inner.text or '').strip()[:80]!r}")


_LIMITS: Final = ("MinimalInclusive", "MinimalExclusive", "MaximalInclusive", "MaximalExclusive")


def _constraints(constraints: Element) -> tuple[str, dict[str, Json]]:
    """The unit's label, and what bounds the value."""
    unit, found = "", dict[str, Json]()
    for one in constraints:
        match _tag(one):
            case "Unit":
                unit = _text(one, "Label")[:64]
                found["factor"], found["offset"] = _text(one, "Factor")[:40], _text(one, "Offset")[:40]
            case name if name in _LIMITS:
                found[name] = (one.text or "").strip()[:100]
            case "Set":
                words: list[Json] = [(word.text or "").strip()[:200] for word in one]
                found["Set"] = words[:100]
    return unit, found


# ---- values


def value(message: bytes, of: Type) -> Json:
    """What a property's response says; None where it says nothing. Errors: DecodeError."""
    return _value(fields(message), 1, of, 0)


def _value(all_fields: Iterable[Field], number: int, of: Type, depth: int) -> Json:
    found = [one for one in all_fields if one[0] == number]
    if of.name == "List":
        if len(found) > MOST_ITEMS:
            raise DecodeError(f"a list of {len(found)}")
        return [_message(bytes_of(one), of.elements[0][1], depth) for one in found]
    return _message(bytes_of(found[-1]), of, depth) if found else None


def _message(data: bytes, of: Type, depth: int) -> Json:
    if depth > MOST_DEPTH:
        raise DecodeError("messages within messages without end")
    if of.wraps:
        return _value(fields(data), 1, of.elements[0][1], depth + 1)
    if of.name == "Structure":
        held = list(fields(data))
        return {name: _value(held, number, inner, depth + 1) for number, (name, inner) in enumerate(of.elements, 1)}
    return _basic(of.name, {one[0]: one for one in fields(data)})


def _basic(name: str, held: Mapping[int, Field]) -> Json:
    """What is not sent is zero, empty or false (proto3)."""
    first = held.get(1)
    match name:
        case "String":
            return text_of(first) if first else ""
        case "Integer":
            return _signed(number_of(first)) if first else 0
        case "Real":
            return float_of(first) if first else 0.0
        case "Boolean":
            return bool(number_of(first)) if first else False
        case "Date":
            return f"{_date(held, (3, 2, 1))}{_zone(held.get(4))}"
        case "Time":
            return f"{_clock(held, (3, 2, 1), 5)}{_zone(held.get(4))}"
        case "Timestamp":
            return f"{_date(held, (6, 5, 4))}T{_clock(held, (3, 2, 1), 8)}{_zone(held.get(7))}"
        case "Binary":
            return {"binary": len(bytes_of(first)) if first else 0}
    return {"any": text_of(first)[:200] if first else ""}


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _numbers(held: Mapping[int, Field], places: Sequence[int]) -> list[int]:
    return [number_of(held[place]) if place in held else 0 for place in places]


def _date(held: Mapping[int, Field], places: Sequence[int]) -> str:
    year, month, day = _numbers(held, places)
    return f"{year:04d}-{month:02d}-{day:02d}"


def _clock(held: Mapping[int, Field], places: Sequence[int], millisecond: int) -> str:
    hour, minute, second = _numbers(held, places)
    (milli,) = _numbers(held, (millisecond,))
    return f"{hour:02d}:{minute:02d}:{second:02d}" + (f".{milli:03d}" if milli else "")


def _zone(sent: Field | None) -> str:
    if sent is None:
        return "Z"  # a message left out is one of zeros
    inner = {one[0]: one for one in fields(bytes_of(sent))}
    hours = _signed(number_of(inner[1])) if 1 in inner else 0
    (minutes,) = _numbers(inner, (2,))
    if hours < 0 and minutes:
        return f" (zone {hours} h {minutes} min)"  # -4 h and 30 min: 3:30 west or 4:30? nobody can know
    return f"{'-' if hours < 0 else '+'}{abs(hours):02d}:{minutes:02d}" if hours or minutes else "Z"


def described(of: Type) -> dict[str, Any]:
    """What the definition says of a value: type, unit and constraints, of a structure by its elements."""
    inner = of
    while inner.wraps:
        inner = inner.elements[0][1]
    told: dict[str, Any] = {"type": inner.name}
    if of.unit:
        told["unit"] = of.unit
    if inner.name == "Structure":
        told["elements"] = {name: described(one) for name, one in inner.elements}
    if inner.name == "List":
        told["of"] = described(inner.elements[0][1])
    if of.constraints:
        told["constraints"] = dict(of.constraints)
    return told


# ---- the service every server has


SERVICE: Final = "/sila2.org.silastandard.core.silaservice.v1.SiLAService/"
_TEXT: Final = Type("String")


def texts(message: bytes) -> list[str]:
    """A response that is a list of texts. Errors: DecodeError."""
    found = value(message, Type("List", (("", _TEXT),)))
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def text(message: bytes) -> str:
    """A response that is a text. Errors: DecodeError."""
    return str(value(message, _TEXT) or "")


def put_text(said: str) -> bytes:
    """A parameter that is a text."""
    return put_bytes(1, put_bytes(1, said))


def error_text(details: str) -> str:
    """A SiLA error (base64 in the details of an ABORTED call) in words; details that are none as they are."""
    try:
        ((number, _, _), *_rest) = found = list(fields(base64.b64decode(details, validate=True)))
        inner = {one[0]: one for one in fields(bytes_of(found[0]))}
        words = [text_of(inner[place]) for place in ((1,) if number == 3 else (2,)) if place in inner]
        if number in (1, 2) and 1 in inner:
            words.insert(0, text_of(inner[1]))
    except (DecodeError, binascii.Error, ValueError, IndexError):
        return details[:300]
    return ": ".join(words)[:300] or details[:300]
