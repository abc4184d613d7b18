"""What an R record says its result is: the value as sent, the call beside it, flags, and what is no value at all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from drivers.astm.options import AstmOptions
from drivers.kit.astm_places import located
from drivers.kit.observation import Json
from drivers.kit.records import Record
from drivers.kit.results import Reader
from drivers.kit.words import interpret

_NUMBER = re.compile(r"[<>]?=?\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d]{2,}[^\d]*")
_FLAG = re.compile(r"[^\d\s]{1,12}")  # a flag where a field may hold a range instead
# What stands for a number that is not given: dashes, asterisks; pluses with a decimal point, or too many to be a
# urine strip's call.
_MASK = re.compile(r"[-*]{2,}|[-*]+\.[-*]+|\++\.\++|\+{5,}|[@#]{3,}")
_GRADE = re.compile(r"\+{1,4}|[1-4]\+")  # of something found, where no unit says that it is a number's mask
# A picture: a file's name, or its content.
_PICTURE = re.compile(
    r"(?i)(png|jpe?g|bmp|gif|tiff?)[\\^/&].*|[^|]*\.(png|jpe?g|bmp|gif|tiff?)|.*\bbase64\b.*|[A-Za-z0-9+/]{200,}=*"
)
ARROWS: Final = frozenset({"↑", "↓", "↑↑", "↓↓", "H", "L", "HH", "LL", "N", "A", "!", "*"})


@dataclass(slots=True)
class Read:
    """A result's value. `picture` is what stood there where it is none."""

    value: str | None = None
    call: str | None = None
    flags: tuple[str, ...] = ()
    extra: dict[str, Json] = field(default_factory=dict)
    doubt: str = ""  # why the value is no good
    masked: bool = False
    picture: str = ""


def read(reader: Reader, options: AstmOptions) -> Read:
    """The value of the R record being read: where the options say it stands, else what can mean one thing only."""
    number, _, component = options.value[1:].partition(".")
    record, place = reader.record, int(number)
    whole = record.text(place).strip(record.delimiters.component + " ")
    reader.used(f"R{number}")
    found = Read()
    if _PICTURE.fullmatch(whole):
        found.picture = whole
        return found
    value = _declared(record, place, component, whole, options, found)
    if value is None:
        value = _evident(record, place, whole, found)
    elif value != whole and _PICTURE.fullmatch(value):
        found.picture = whole
        return found
    if options.value_pattern and (match := re.search(options.value_pattern, value)):
        named = match.groupdict()
        if named.get("value"):
            found.extra |= {name: text for name, text in named.items() if name != "value" and text}
            found.extra[f"R{number}"] = whole
            value = named["value"]
    if _MASK.fullmatch(value) or (options.withheld and re.fullmatch(options.withheld, value)):
        found.masked, found.doubt = True, f"the instrument gives no value: {value}"
    elif found.call is None and _GRADE.fullmatch(value) and not (options.unit and reader.unit(options.unit)):
        found.call = "positive"
    found.value = value or None
    if options.call and found.call is None:
        told = reader.peek(options.call)
        found.call = _call(told, options) or told or None
        reader.used(options.call)
    return found


def _declared(record: Record, place: int, component: str, whole: str, options: AstmOptions, found: Read) -> str | None:
    """The value where the options say which it is."""
    if component == "*":
        return whole
    pieces = [record.component(place, int(component))] if component else record.components(place)
    if not component and (not pieces or _call(pieces[0], options) is None):
        return None
    value = pieces[0]
    if (call := _call(value, options)) is not None:
        found.call = call
        if len(pieces) > 1:
            value = pieces[1]
        elif _NUMBER.fullmatch(value):
            value = ""  # a code and no number: "-1"
    if value != whole:
        found.extra[f"R{place}"] = whole
    return value


def _call(text: str, options: AstmOptions) -> str | None:
    """What a code or grade in the value's first component means."""
    return options.qualitative.get(text, options.qualitative.get(text.casefold())) if options.qualitative else None


def _evident(record: Record, place: int, whole: str, found: Read) -> str:
    """The value where only one thing can be it: alone, or beside a call or a flag."""
    told = [piece for piece in record.components(place) if piece]
    if len(record.repeats(place)) > 1:
        _several(record.repeats(place), found)
        return whole
    if len(told) == 1:
        return told[0]
    if len(told) == 2:
        number = next((piece for piece in told if _NUMBER.fullmatch(piece)), None)
        if number is not None and not _NUMBER.fullmatch(other := told[1 - told.index(number)]):
            if other in ARROWS:
                found.flags = (other,)
                return number
            if _WORD.fullmatch(other) and (number == told[0] or interpret(other) is not None):
                found.call = other
                return number
    if len(told) > 1:
        _several(told, found)
    return whole


def _several(parts: list[str], found: Read) -> None:
    found.extra["components"] = list(parts)
    found.doubt = "the value has several components: declare which in `value`"


def flags(reader: Reader, places: tuple[str, ...]) -> tuple[str, ...]:
    """The abnormal flags: of several places the first that holds some and not, say, a range."""
    for place in places:
        source, number, component = located(reader.record, place)
        if source is None:
            continue
        told = tuple(
            piece
            for pieces in source.repetitions(number)
            for piece in (pieces[component - 1 : component] if component > 0 else pieces)
            if piece
        )
        if told and (len(places) == 1 or all(_FLAG.fullmatch(piece) for piece in told)):
            reader.used(place)
            return told
    return ()


def displaced(reader: Reader, places: tuple[str, ...]) -> str | None:
    """A call in a status field: "Positif" is no letter of a status."""
    for place in places:
        text = reader.peek(place)
        if len(text) > 1 and interpret(text) is not None:
            reader.used(place)
            return text
    return None
