"""From LIS02-A2 records to drafts: what the ASTM drivers share once a message is records."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator

from drivers.kit.astm_places import located, said
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.frames import Joined
from drivers.kit.observation import Draft, Json, Kind, Quality, Status
from drivers.kit.records import Record, parse
from drivers.kit.words import interpret


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"no character set is called {name!r}") from None
    return name


Encoding = Annotated[str, AfterValidator(_known_encoding)]

# Fields of P that say who the patient is rather than which: kept in the raw message only, unless asked for.
_DEMOGRAPHICS = frozenset({*range(6, 25), *range(27, 33), 35})
_PASSWORD = ("H", 4)
_NAMES = MappingProxyType({"H3": "message_id", "H5": "sender", "R6": "reference_range", "R14": "instrument"})
_LOINC = re.compile(r"\d{1,5}-\d")
_WHEN = re.compile(r"(19|20)\d\d[-/.]?[01]\d|\d{1,2}([-/.])\d{1,2}\2(\d{4}|\d\d)(?!\d)")  # how a time can begin
_POWER = re.compile(r"[xX×*]?\s*10\^-?\d{1,2}(?!\d)|\S*m\^[23]\Z")  # "x10^3/uL", "mL/min/1.73m^2"
_STATUS: Mapping[str, tuple[Status, Quality, str | None]] = MappingProxyType(
    {
        **dict.fromkeys(("", "F", "V", "R", "M", "Q", "N"), (Status.FINAL, Quality.GOOD, None)),
        **dict.fromkeys("PIS", (Status.PRELIMINARY, Quality.GOOD, None)),
        "C": (Status.CORRECTED, Quality.GOOD, None),
        "X": (Status.CANCELLED, Quality.BAD, "the instrument could not do the test"),
        "W": (Status.FINAL, Quality.UNCERTAIN, "the instrument questions the result's validity"),
    }
)
_WEIGHT = ("X", "C", "W", "P", "I", "S")
_SPELLED = MappingProxyType(
    {"FINAL": "F", "PRELIMINARY": "P", "CORRECTED": "C", "CORRECTION": "C", "CANCELLED": "X", "CANCELED": "X"}
)
_MAKERS: Mapping[str, tuple[Status, Quality, str | None]] = MappingProxyType(
    {
        "final": (Status.FINAL, Quality.GOOD, None),
        "preliminary": (Status.PRELIMINARY, Quality.GOOD, None),
        "corrected": (Status.CORRECTED, Quality.GOOD, None),
        "cancelled": (Status.CANCELLED, Quality.BAD, "the instrument rejected the result"),
        "doubtful": (Status.FINAL, Quality.UNCERTAIN, "the instrument questions the result's validity"),
    }
)
_PRACTICE = MappingProxyType({"T": "sent for training", "D": "sent for debugging"})
_SHORT = MappingProxyType(
    {"T": "the sender broke the message off", "R": "the receiver broke it off", "E": "the sender met an error"}
)


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

    def status(
        self, places: Iterable[str] = ("R9",), makers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[Status, Quality, str | None]:
        """The result's status, with what it means for its quality; `makers` are letters of the maker's own.

        A call that stands there is another field's: the next place is looked at.
        """
        unknown = ""
        for place in places:
            text = self._foremost(place)
            if text in makers:
                self.used(place)
                return _MAKERS[makers[text]]
            letter = _SPELLED.get(text.upper(), text.upper())
            if letter and letter in _STATUS:
                if letter in "FPCX":
                    self.used(place)
                return _STATUS[letter]
            if interpret(text) is None:
                unknown = unknown or text
        if unknown:
            return Status.FINAL, Quality.UNCERTAIN, f"result status {unknown!r} is not in the standard"
        return _STATUS[""]

    def _foremost(self, place: str) -> str:
        """Of several letters in a status field ("F\\C": final, and a correction) the one that says most."""
        source, number, component = located(self.record, place)
        told = source.repeats(number) if source is not None and not component else []
        if len(told) < 2:
            return self.peek(place)
        return min(told, key=lambda each: _WEIGHT.index(each.upper()) if each.upper() in _WEIGHT else len(_WEIGHT))

    def unit(self, place: str) -> str | None:
        """The unit at `place`. A number there is a code of the maker's, and no unit."""
        source, number, component = located(self.record, place) if place else (None, 0, 0)
        if source is None:
            return None
        pieces = source.components(number)
        told = [piece for piece in pieces if piece]
        if not component and _POWER.match(whole := source.text(number)):
            text = whole  # the power sign of "10^9/L" is the component delimiter too
        elif component or len(told) == 1:
            text = said(self.record, place)
        else:  # "g/dL^1^0": the unit, and how it is shown
            text = pieces[0] if pieces and all(piece.isdigit() for piece in told[1:]) else ""
        if not text or text.isdigit():
            return None
        self.take(place, text)
        return text

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


def whole_records(message: Message, encoding: str | None, checked: bool = True) -> tuple[list[Record], Record | None]:
    """The message's records; of one that was broken off those that are whole, and the last of them where
    something that belongs to it may be missing."""
    records = parse(message.data, encoding, checked)
    if message.sound:
        return records, None
    if Joined(message.data, checked).ends_whole:
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
        why = "message incomplete" if record is doubtful else aborted or _unproductive(record)
        if why is None and (record.guessed or _guessed(record.above("O"))):
            why = "read as ISO 8859-1: declare `encoding`"
        if draft.quality is Quality.GOOD and why:
            draft = replace(draft, quality=Quality.UNCERTAIN, quality_reason=why)
        yield draft
    if not count and not message.sound:
        raise DecodeError("broken off before its first whole result", Reason.INCOMPLETE)


def _unproductive(record: Record) -> str | None:
    """What H12 says of a message that was not sent for its results (LIS02-A2 6.12)."""
    header = record.above("H")
    return _PRACTICE.get(header.text(12).upper()) if header is not None else None


def _guessed(record: Record | None) -> bool:
    return record is not None and record.guessed


def remarks_alone(records: list[Record], apart: Collection[Record] = ()) -> Iterator[tuple[Record, Draft]]:
    """Events for what is not attached to any result: comments, maker's records, scientific records, orders.

    `apart` are orders that are told otherwise.
    """
    if any(record.letter in ("R", "Q") for record in records):
        return
    for record in records:
        if record.letter in ("H", "P", "L") or record in apart or record.parent in apart:
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
