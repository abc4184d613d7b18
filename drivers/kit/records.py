"""LIS02-A2 / ASTM E1394 records: a message's text as a list of records, each knowing its parent's place.

Delimiters come from each H record, never from habit. Fields count from 1 as in the standard: field 1 is the
record's letter; in H field 2 is the delimiters themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.frames import Joined

_LINE = re.compile(rb"[^\r\n]+")
_CONTROL = bytes(range(33))  # control characters and blanks around a line
# Text whose only other signs are a unit's micro, degree and power ("µg", "°C", "10³"): ISO 8859-1 for certain, because
# in no other character set of instruments do these bytes make sense there.
_SIGNS = re.compile(rb"(?:[\x00-\x7f]|\xb5(?=[A-Za-z])|\xb0(?=[CF])|(?<=[0m])[\xb2\xb3\xb9](?![\x80-\xff]))*")
_CODES = MappingProxyType({"F": "field", "S": "component", "R": "repeat", "E": "escape"})
_LEVELS = MappingProxyType({"H": 0, "L": 0, "P": 1, "Q": 1, "S": 1, "O": 2, "R": 3})


@dataclass(frozen=True, slots=True)
class Delimiters:
    field: str = "|"
    repeat: str = "\\"
    component: str = "^"
    escape: str = "&"

    def unescape(self, text: str) -> str:
        """Text with its escape sequences resolved, once; unknown ones and lone escape characters stay as sent."""
        if not self.escape or self.escape not in text:
            return text
        mark = re.escape(self.escape)

        def resolve(match: re.Match[str]) -> str:
            code = match[1]
            if code in _CODES:
                return str(getattr(self, _CODES[code])) or match[0]
            if code in ("H", "N"):
                return ""
            return bytes.fromhex(code[1:]).decode("latin-1")

        return re.sub(f"{mark}([FSREHN]|X(?:[0-9A-Fa-f]{{2}})+){mark}", resolve, text)

    def escaped(self, text: str) -> str:
        """Text that survives being put into a field."""
        if self.escape:
            text = text.replace(self.escape, f"{self.escape}E{self.escape}")
            for code, name in _CODES.items():
                if name != "escape" and (mark := getattr(self, name)):
                    text = text.replace(mark, f"{self.escape}{code}{self.escape}")
        return re.sub(r"[\r\n\x00-\x06\x15\x17]", " ", text)


@dataclass(slots=True, eq=False)
class Record:
    """One record. `fields` are as sent, escapes and all; the methods split first and resolve escapes after."""

    letter: str
    fields: list[str]
    delimiters: Delimiters
    end: int  # bytes of the message up to the end of this record
    guessed: bool = False  # its character set is a guess
    parent: Record | None = None
    comments: list[Record] = field(default_factory=list)  # C records, and M records that follow it
    first_result: Record | None = None  # the first R record below it
    sofar: str = ""  # digest of the message's records up to this one

    @property
    def stands_alone(self) -> bool:
        """False for comments and makers' records: they belong to what they follow."""
        return self.letter in _LEVELS

    def raw(self, number: int) -> str:
        """Field `number` as sent; "" where the record ends before it."""
        return self.fields[number - 1] if 0 < number <= len(self.fields) else ""

    def text(self, number: int) -> str:
        """The whole field, delimiters in it kept, escapes resolved, blanks around it gone."""
        raw = self.raw(number)
        return self.delimiters.unescape(raw).strip() if raw else ""

    def repeats(self, number: int) -> list[str]:
        """The field's repetitions that say something."""
        mark = self.delimiters.repeat
        parts = self.raw(number).split(mark) if mark else [self.raw(number)]
        return [text for part in parts if (text := self.delimiters.unescape(part).strip())]

    def components(self, number: int) -> list[str]:
        """The components of the field's first repetition that has any."""
        return next(self._repetitions(number), [])

    def repetitions(self, number: int) -> list[list[str]]:
        """The components of each of the field's repetitions that has any."""
        return list(self._repetitions(number))

    def _repetitions(self, number: int) -> Iterator[list[str]]:
        marks, raw = self.delimiters, self.raw(number)
        if not raw:
            return
        if not (marks.component and marks.component in raw) and not (marks.repeat and marks.repeat in raw):
            if text := marks.unescape(raw).strip():
                yield [text]
            return
        for part in raw.split(marks.repeat) if marks.repeat else [raw]:
            pieces = part.split(marks.component) if marks.component else [part]
            found = [marks.unescape(piece).strip() for piece in pieces]
            if any(found):
                yield found

    def component(self, number: int, place: int) -> str:
        """Component `place` (from 1) of field `number`; "" where there is none."""
        found = self.components(number)
        return found[place - 1] if 0 < place <= len(found) else ""

    def above(self, letter: str) -> Record | None:
        """The record of that letter this one belongs to (itself included)."""
        record: Record | None = self
        while record is not None and record.letter != letter:
            record = record.parent
        return record

    def is_first_in(self, above: Record) -> bool:
        """True for the first result under `above`."""
        return above.first_result is self


def parse(raw: bytes, encoding: str | None = None, checked: bool = True) -> list[Record]:
    """The records of one message's wire bytes, framed (with checksums where `checked`) or not.

    Without a declared `encoding` a record is UTF-8, or else the standard's own ISO 8859-1 and marked `guessed`, unless
    only a unit's signs need it.
    DecodeError where no H record says what the delimiters are, or a character cannot be read.
    """
    joined = Joined(raw, checked)
    sofar = hashlib.sha256()
    records: list[Record] = []
    tree = _Tree()
    for match in _LINE.finditer(joined.text):
        line = match[0].strip(_CONTROL)
        if not line:
            continue
        text, guessed = _decoded(line, encoding)
        if text[0] in "Hh" and len(text) > 1 and not text[1].isalnum():
            tree.delimiters = _declared(text)
        marks = tree.delimiters
        if marks is None:
            raise DecodeError("no H record at the beginning of the message")
        fields = text.split(marks.field)
        record = Record(fields[0].strip().upper(), fields, marks, joined.extent(match.end()), guessed)
        sofar.update(line + b"\r")
        record.sofar = sofar.hexdigest()[:32]
        records.append(tree.placed(record))
    if not records:
        raise DecodeError("no record in the message")
    _adopted(records)
    return records


def _adopted(records: list[Record]) -> None:
    """Results sent before their order belong to it where it is the only one, and no results follow it."""
    orphans: dict[int, list[Record]] = {}
    orders: dict[int, list[Record]] = {}
    for record in records:
        if record.letter == "R" and record.parent is not None and record.parent.letter in "HP":
            orphans.setdefault(id(record.parent), []).append(record)
        elif record.letter == "O" and record.parent is not None:
            orders.setdefault(id(record.parent), []).append(record)
    for above, results in orphans.items():
        if len(found := orders.get(above, [])) == 1 and found[0].first_result is None:
            for result in results:
                result.parent = found[0]
            found[0].first_result = results[0]


def _decoded(line: bytes, encoding: str | None) -> tuple[str, bool]:
    try:
        return line.decode(encoding or "utf-8"), False
    except UnicodeDecodeError:
        if encoding is None:
            return line.decode("latin-1"), _SIGNS.fullmatch(line) is None
    raise DecodeError(f"not {encoding}", Reason.ENCODING)


def _declared(header: str) -> Delimiters:
    """The delimiters an H record declares. Doubled ones (`\\\\\\\\^&` of some exports) count once."""
    mark = header[1]
    marks: list[str] = []
    for char in header[2:].split(mark, 1)[0]:
        if char not in marks:
            marks.append(char)
    repeat, component, escape = (*marks, "", "", "")[:3]
    return Delimiters(mark, repeat, component, escape)


class _Tree:
    """Puts each record under the one it belongs to: H > P > O > R; C, M and unknown ones beside what they follow."""

    def __init__(self) -> None:
        self.delimiters: Delimiters | None = None
        self._path: list[Record] = []
        self._latest: Record | None = None

    def placed(self, record: Record) -> Record:
        level = _LEVELS.get(record.letter)
        if level is None:
            record.parent = self._latest
            if self._latest is not None:
                self._latest.comments.append(record)
            return record
        self._path = [above for above in self._path if _LEVELS[above.letter] < level]
        record.parent = self._path[-1] if self._path else None
        if record.letter == "R":
            for above in self._path:
                above.first_result = above.first_result or record
        self._path.append(record)
        self._latest = record
        return record


Parts = str | tuple[str, ...]
"""A text, or its components."""


def write(rows: Iterable[Sequence[Parts | list[Parts]]], delimiters: Delimiters = Delimiters()) -> str:
    """The text of a message, every record ending with CR.

    A field is a text, a tuple of components, or a list of repetitions; an H row's second field is filled in.
    """
    marks = delimiters
    declared = f"{marks.repeat}{marks.component}{marks.escape}"

    def composed(value: Parts | list[Parts]) -> str:
        if isinstance(value, list):
            return marks.repeat.join(composed(part) for part in value)
        pieces = (value,) if isinstance(value, str) else value
        return marks.component.join(marks.escaped(piece) for piece in pieces)

    lines = []
    for row in rows:
        fields = [composed(value) for value in row]
        if fields[0] == "H":
            fields[1] = declared
        while not fields[-1]:
            fields.pop()
        lines.append(marks.field.join(fields) + "\r")
    return "".join(lines)
