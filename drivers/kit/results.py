"""From LIS02-A2 records to drafts: what the ASTM drivers share once a message is records.

A place in a message is written as in the standard's tables: "R4" (a field), "O3.1" (a component of it).
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.frames import Joined
from drivers.kit.observation import Draft, Json, Kind, Quality, Status
from drivers.kit.records import Record, parse


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"no character set is called {name!r}") from None
    return name


Encoding = Annotated[str, AfterValidator(_known_encoding)]
Place = Annotated[str, Field(pattern=r"^[HPOR][1-9]\d?(\.[1-9]\d?)?$")]

# Fields of P that say who the patient is rather than which: kept in the raw message only, unless asked for.
_DEMOGRAPHICS = frozenset({*range(6, 25), *range(27, 33), 35})
_PASSWORD = ("H", 4)
_NAMES = MappingProxyType({"H3": "message_id", "H5": "sender", "R6": "reference_range", "R14": "instrument"})
_LOINC = re.compile(r"\d{1,5}-\d")
_WHEN = re.compile(r"(19|20)\d\d[-/.]?[01]\d")  # the beginning of something that can be a time
_STATUS: Mapping[str, tuple[Status, Quality, str | None]] = MappingProxyType(
    {
        **dict.fromkeys(("", "F", "V", "R", "M", "Q", "N"), (Status.FINAL, Quality.GOOD, None)),
        **dict.fromkeys("PIS", (Status.PRELIMINARY, Quality.GOOD, None)),
        "C": (Status.CORRECTED, Quality.GOOD, None),
        "X": (Status.CANCELLED, Quality.BAD, "the instrument could not do the test"),
        "W": (Status.FINAL, Quality.UNCERTAIN, "the instrument questions the result's validity"),
    }
)
_SHORT = MappingProxyType(
    {"T": "the sender broke the message off", "R": "the receiver broke it off", "E": "the sender met an error"}
)


class Mark(BaseModel):
    """What tells a control material from a patient's specimen: one place and what stands there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: Place
    equals: str | None = None
    prefix: str | None = None
    pattern: str | None = None  # a regular expression found anywhere in it

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if sum(test is not None for test in (self.equals, self.prefix, self.pattern)) != 1:
            raise ValueError("exactly one of equals, prefix, pattern")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return self

    def fits(self, record: Record) -> bool:
        """True where the field, or one of its components, is as declared."""
        source, number, component = located(record, self.field)
        if source is None:
            return False
        if not source.raw(number):
            return False
        if component:
            texts = [source.component(number, component)]
        else:
            texts = [source.text(number), *source.components(number)]
        return any(self._fits(text) for text in texts if text)

    def _fits(self, text: str) -> bool:
        if self.equals is not None:
            return text.casefold() == self.equals.casefold()
        if self.prefix is not None:
            return text.casefold().startswith(self.prefix.casefold())
        return re.search(self.pattern or "", text) is not None


CONTROLS = (
    Mark(field="H12", equals="Q"),
    Mark(field="O12", equals="Q"),
    Mark(field="O26", equals="Q"),
    Mark(field="O16", pattern=r"(?i)^(control|ctrl|qc)"),
)


@cache  # places are declared: there are as many as a configuration holds
def _parsed(place: str) -> tuple[str, int, int]:
    number, _, component = place[1:].partition(".")
    return place[0], int(number), int(component or 0)


def located(record: Record, place: str) -> tuple[Record | None, int, int]:
    """The record a place means, seen from `record`, with field and component number (0: the whole field)."""
    letter, number, component = _parsed(place)
    return record.above(letter), number, component


def said(record: Record, place: str) -> str:
    """What stands at `place`, seen from `record`.

    Of a field with several components O3 gives its first; others give nothing, because a rack and a position
    are no specimen: the component has to be declared.
    """
    source, number, component = located(record, place)
    if source is None:
        return ""
    if component:
        return source.component(number, component)
    pieces = source.components(number)
    told = [piece for piece in pieces if piece]
    if len(told) == 1:
        return told[0]
    return pieces[0] if pieces and place == "O3" else ""


class Reader:
    """One R record being read: gives fields out and remembers which, so that the rest goes into attributes."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._used: set[tuple[str, int]] = set()

    def first(self, places: Iterable[str], shaped: re.Pattern[str] | None = None) -> tuple[str | None, str | None]:
        """The first of `places` that says something (of that shape), and which it was."""
        for place in places:
            text = said(self.record, place)
            if text and (shaped is None or shaped.match(text)):
                self.take(place, text)
                return text, place
        return None, None

    def peek(self, place: str) -> str:
        """What stands at `place`, without taking it out of the attributes."""
        return said(self.record, place)

    def used(self, place: str) -> None:
        """The whole field at `place` has been given out."""
        source, number, _ = located(self.record, place)
        if source is not None:
            self._used.add((source.letter, number))

    def take(self, place: str, text: str) -> None:
        """`text` was all that stood at `place`: attributes need not repeat it."""
        source, number, _ = located(self.record, place)
        if source is not None and source.text(number).strip(source.delimiters.component + " ") == text:
            self._used.add((source.letter, number))

    def time(self, places: Iterable[str]) -> tuple[str | None, str | None]:
        """The result's time as sent, and where it stood."""
        return self.first(places, _WHEN)

    def status(self) -> tuple[Status, Quality, str | None]:
        """R9, with what it means for the result's quality."""
        letter = self.record.text(9).upper()[:1]
        known = _STATUS.get(letter)
        if known is None:
            return Status.FINAL, Quality.UNCERTAIN, f"result status {letter!r} is not in the standard"
        if letter in "FPCX":
            self._used.add(("R", 9))
        return known

    def code(self) -> str | None:
        """A LOINC code where the universal test ID has one (its first component, by the standard)."""
        return loinc(self.record.component(3, 1))

    def attributes(self, demographics: bool) -> dict[str, Json]:
        """Everything the records above this result say that was not given out."""
        told: dict[str, Json] = {}
        record: Record | None = self.record
        while record is not None:
            for number, raw in enumerate(record.fields[2:], 3):
                if not raw or (record.letter, number) == _PASSWORD or (record.letter, number) in self._used:
                    continue
                if record.letter == "P" and number in _DEMOGRAPHICS and not demographics:
                    continue
                if text := record.text(number).strip(record.delimiters.component):
                    place = f"{record.letter}{number}"
                    told[_NAMES.get(place, place)] = text
            if record.letter != "P" or demographics:
                _remarks(record, told, first=self.record)
            record = record.parent
        return told


def _remarks(record: Record, told: dict[str, Json], first: Record) -> None:
    """Comments, and records the maker defined, beside the result or above it."""
    prefix = "" if record is first else {"O": "order_", "P": "patient_", "H": "message_"}.get(record.letter, "")
    texts: list[Json] = [text for each in record.comments if each.letter == "C" and (text := comment(each))]
    if texts:
        told[f"{prefix}comments"] = texts
    if record is first or first.is_first_in(record):  # bulk data (histograms, kinetics) goes with one result only
        bulk: list[Json] = [content(each) for each in record.comments if each.letter != "C"]
        if bulk:
            told[f"{prefix}records"] = bulk


def comment(record: Record) -> str:
    """A C record's text; where C3 and C5 say more than a source and a type letter, they stay around it."""
    parts = [record.text(number).strip(record.delimiters.component) for number in (3, 4, 5)]
    if len(parts[0]) <= 1 and len(parts[2]) <= 1:
        return parts[1]
    return record.delimiters.field.join(parts).strip(record.delimiters.field)


def content(record: Record) -> str:
    """A whole record as sent."""
    return record.delimiters.field.join(record.fields).rstrip(record.delimiters.field)


def loinc(text: str) -> str | None:
    """`loinc:...` where `text` is a LOINC code with the right check digit."""
    if not _LOINC.fullmatch(text):
        return None
    total = 0
    for place, digit in enumerate(reversed(text[:-2])):
        doubled = int(digit) * (1 if place % 2 else 2)
        total += doubled - 9 if doubled > 9 else doubled
    return f"loinc:{text}" if -total % 10 == int(text[-1]) else None


def whole_records(message: Message, encoding: str | None) -> tuple[list[Record], Record | None]:
    """The message's records; of one that was broken off those that are whole, and the last of them where
    something that belongs to it may be missing."""
    records = parse(message.data, encoding)
    if message.sound:
        return records, None
    if Joined(message.data).ends_whole:
        return records, records[-1]
    cut = records.pop()
    if not records:
        raise DecodeError("broken off within its first record", Reason.INCOMPLETE)
    return records, None if cut.stands_alone else records[-1]


def finished(
    drafts: Iterable[tuple[Record, Draft]], message: Message, ending: Record, doubtful: Record | None
) -> Iterator[Draft]:
    """Drafts as the message's end leaves them: told apart where equal, uncertain where it was broken off.

    `ending` is the message's last record, `doubtful` the one that may lack something. DecodeError where a
    broken-off message holds no whole result.
    """
    aborted = _SHORT.get(ending.text(3).upper()[:1]) if ending.letter == "L" else None
    seen: Counter[tuple[str, ...]] = Counter()
    count = 0
    for record, draft in drafts:
        count += 1
        # Without an own time the text up to here tells it apart: a message sent again has other frame numbers
        # and the same text, one broken off after this record the same beginning.
        identity = draft.identity or ("text", record.sofar)
        seen[identity] += 1
        if (times := seen[identity]) > 1:
            identity = (*identity, f"#{times}")
        draft = replace(draft, identity=identity)
        why = "message incomplete" if record is doubtful else aborted
        if why is None and (record.guessed or _guessed(record.above("O"))):
            why = "read as ISO 8859-1: declare `encoding`"
        if draft.quality is Quality.GOOD and why:
            draft = replace(draft, quality=Quality.UNCERTAIN, quality_reason=why)
        yield draft
    if not count and not message.sound:
        raise DecodeError("broken off before its first whole result", Reason.INCOMPLETE)


def _guessed(record: Record | None) -> bool:
    return record is not None and record.guessed


def remarks_alone(records: list[Record]) -> Iterator[tuple[Record, Draft]]:
    """Events for what is not attached to any result: comments, maker's records, scientific records, orders."""
    if any(record.letter in ("R", "Q") for record in records):
        return
    for record in records:
        if record.letter in ("H", "P", "L"):
            continue
        place = {"C": "comment", "O": "order", "S": "scientific-record"}.get(record.letter, "maker-record")
        text = comment(record) if record.letter == "C" else content(record)
        header = record.above("H")
        time = header.text(14) or None if header else None
        specimen = said(record, "O3") or None
        yield (
            record,
            Draft(
                kind=Kind.EVENT,
                test=place,
                quantity=place,
                value=text,
                specimen=specimen,
                device_time=time,
                extent=record.end,
            ),
        )
