"""HL7 v2 (2.3 to 2.6) messages: delimiters, escapes, character sets (chapter 2); read leniently, written strictly.

Fields count from 1 as in the standard; in MSH, BHS and FHS field 1 is the separator itself. A field is split into
repetitions, components and subcomponents first and its escapes are resolved once, afterwards. `""` says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from drivers.kit.exchange import DecodeError, Reason

MOST_SEGMENTS: Final = 200_000  # of one payload
MOST_FIELDS: Final = 400  # of one segment
HEADERS: Final = frozenset({"MSH", "BHS", "FHS"})
WRAPPERS: Final = frozenset({"FHS", "BHS", "BTS", "FTS"})

FRAMING = bytes.maketrans(b"\x0b\x1c", b"\r\r")  # MLLP's own bytes end segments too: places stay what they are
_LINE = re.compile(rb"[^\r\n]+")
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_HEADER = re.compile(rb"\A[\x00- \x7f\xef\xbb\xbf]*(MSH|BHS|FHS)[^A-Za-z0-9\s]")
_CODES = MappingProxyType({"F": "field", "S": "component", "T": "sub", "R": "repeat", "E": "escape"})

# Table 0211 and what senders write instead.
CHARSETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ASCII": "ascii", "US-ASCII": "ascii", "ISO IR6": "ascii",
        **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
        **{f"ISO8859-{part}": f"iso8859-{part}" for part in (1, 2, 5, 9, 15)},
        **{f"ISO-8859-{part}": f"iso8859-{part}" for part in (1, 2, 5, 9, 15)},
        **dict.fromkeys(("UNICODE UTF-8", "UTF-8", "UTF8", "UNICODE"), "utf-8"),
        "GB 18030-2000": "gb18030", "GB18030": "gb18030", "GB2312": "gb18030", "GBK": "gb18030", "BIG-5": "big5",
        "KS X 1001": "euc_kr", "ISO IR87": "iso2022_jp", "ISO IR14": "iso2022_jp", "ISO IR159": "iso2022_jp_2",
        **{f"WINDOWS-{page}": f"cp{page}" for page in (1250, 1251, 1252, 1254, 1256)},
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Delimiters:
    """What MSH-1 and MSH-2 declare."""

    field: str = "|"
    component: str = "^"
    repeat: str = "~"
    escape: str = "\\"
    sub: str = "&"

    @property
    def declared(self) -> str:
        """MSH-2."""
        return f"{self.component}{self.repeat}{self.escape}{self.sub}"

    def unescape(self, text: str, encoding: str = "latin-1") -> str:
        """Text with its escape sequences resolved, once; unknown ones and lone escape characters stay as sent."""
        mark = self.escape
        if not mark or mark not in text:
            return text
        quoted = re.escape(mark)

        def resolve(match: re.Match[str]) -> str:
            code = match[1]
            if code in _CODES:
                return str(getattr(self, _CODES[code])) or match[0]
            if code in ("H", "N"):  # highlighting
                return ""
            if code[0] == ".":
                return "\n" if code.startswith((".br", ".sp")) else ""
            try:
                return bytes.fromhex(code[1:]).decode(encoding)
            except ValueError:
                return match[0]

        return re.sub(
            rf"{quoted}([FSTREHN]|X(?:[0-9A-Fa-f]{{2}})+|\.(?:br|sp|fi|nf|in|ti|sk|ce)[+\-\d]*){quoted}", resolve, text
        )

    def escaped(self, text: str) -> str:
        """Text that survives being put into a field."""
        if self.escape:
            text = text.replace(self.escape, f"{self.escape}E{self.escape}")
            for code, name in _CODES.items():
                if name != "escape" and (mark := getattr(self, name)):
                    text = text.replace(mark, f"{self.escape}{code}{self.escape}")
            line_end = f"{self.escape}.br{self.escape}"
            text = re.sub(r"\r\n|[\r\n]", lambda _match: line_end, text)
        return re.sub(r"[\x00-\x1f]", " ", text)


def declared(header: str) -> Delimiters:
    """The delimiters of an MSH, BHS or FHS segment. Doubled ones (`^~\\\\\\\\&` of some exports) count once; where the
    backslash was lost on the way (`^~&`), it is the escape character all the same."""
    mark = header[3]
    marks: list[str] = []
    for char in header[4:].split(mark, 1)[0]:
        if char not in marks:
            marks.append(char)
    if marks[2:] == ["&"]:
        marks.insert(2, "\\")
    component, repeat, escape, sub = (*marks, "", "", "", "")[:4]
    return Delimiters(mark, component, repeat, escape, sub)


@dataclass(slots=True, eq=False)
class Segment:
    """One segment. `fields` are as sent; `fields[n]` is field n."""

    name: str
    fields: list[str]
    delimiters: Delimiters
    end: int  # bytes of the payload up to the end of this segment
    encoding: str = "utf-8"
    guessed: bool = False  # its character set is a guess

    def raw(self, number: int) -> str:
        """Field `number` as sent; "" where the segment ends before it, or for an explicit null."""
        text = self.fields[number] if 0 < number < len(self.fields) else ""
        return "" if not text.strip('" ') else text

    def text(self, number: int) -> str:
        """The whole field, delimiters in it kept but trailing ones, escapes resolved, blanks around it gone."""
        return self.plain(self.raw(number).rstrip(f"{self.delimiters.component}{self.delimiters.sub} "))

    def repeats(self, number: int) -> list[str]:
        """The field's repetitions as sent."""
        raw, mark = self.raw(number), self.delimiters.repeat
        return raw.split(mark) if mark and mark in raw else [raw] if raw else []

    def components(self, number: int, repeat: int = 1) -> list[str]:
        """The components of one repetition, as texts; subcomponents together."""
        repeats = self.repeats(number)
        if not 0 < repeat <= len(repeats):
            return []
        raw, mark = repeats[repeat - 1], self.delimiters.component
        return [self.plain(piece) for piece in (raw.split(mark) if mark else [raw])]

    def component(self, number: int, component: int = 1, repeat: int = 1) -> str:
        """One component as text, its subcomponents together: an `&` in a name or a text is mostly not escaped."""
        repeats = self.repeats(number)
        if not 0 < repeat <= len(repeats):
            return ""
        piece = _nth(repeats[repeat - 1], self.delimiters.component, component)
        return self.plain(piece.strip(f"{self.delimiters.sub} "))

    def at(self, number: int, component: int = 1, sub: int = 1, repeat: int = 1) -> str:
        """One subcomponent as text; "" where there is none."""
        repeats = self.repeats(number)
        if not 0 < repeat <= len(repeats):
            return ""
        piece = _nth(repeats[repeat - 1], self.delimiters.component, component)
        return self.plain(_nth(piece, self.delimiters.sub, sub))

    def plain(self, raw: str) -> str:
        """Escapes resolved, blanks around it gone; an explicit null is nothing."""
        return "" if not raw.strip('" ') else self.delimiters.unescape(raw, self.encoding).strip()

    @property
    def sent(self) -> str:
        """The whole segment."""
        head = self.name + self.delimiters.field
        rest = self.fields[2:] if self.name in HEADERS else self.fields[1:]
        return (head + self.delimiters.field.join(rest)).rstrip(self.delimiters.field)


def _nth(text: str, mark: str, number: int) -> str:
    if not mark:
        return text if number == 1 else ""
    pieces = text.split(mark, number)
    return pieces[number - 1] if number <= len(pieces) else ""


@dataclass(slots=True, eq=False)
class Hl7Message:
    """One message: its MSH, and the other segments in their order."""

    header: Segment
    segments: list[Segment] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """MSH-9.1: ORU, OUL, QBP, ..."""
        return self.header.at(9, 1).upper()

    @property
    def trigger(self) -> str:
        """MSH-9.2: R01, R22, Q11, ..."""
        return self.header.at(9, 2).upper()


def parse(payload: bytes, encoding: str | None = None) -> list[Hl7Message]:
    """The messages in a payload, MLLP's framing bytes and batch headers around them or not.

    CR, LF and CR LF end segments; a line that does not begin as a segment goes on with the one before it.
    Characters are as MSH-18 says, else `encoding`, else UTF-8; a segment they do not fit is read as ISO 8859-1 and
    marked `guessed`, but where `encoding` is declared. Errors: DecodeError.
    """
    messages: list[Hl7Message] = []
    reader = _Reader(encoding)
    text = payload.translate(FRAMING)
    for count, match in enumerate(_LINE.finditer(text)):
        if count >= MOST_SEGMENTS:
            raise DecodeError(f"more than {MOST_SEGMENTS} segments")
        line = match[0].strip(b" \t\0")
        if count == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            continue
        segment = reader.segment(line, match.end())
        if segment is None:
            continue
        if segment.name == "MSH":
            messages.append(Hl7Message(segment))
        elif segment.name not in WRAPPERS:
            if not messages:
                raise DecodeError("no MSH segment at the beginning")
            messages[-1].segments.append(segment)
    reader.finish()
    if not messages:
        raise DecodeError("no MSH segment")
    return messages


class _Reader:
    """Reads lines as segments in the delimiters and characters of the last header."""

    def __init__(self, encoding: str | None) -> None:
        self._default = encoding
        self._encoding = encoding or "utf-8"
        self._delimiters: Delimiters | None = None
        self._last: Segment | None = None
        self._more: list[str] = []  # lines that go on with it

    def segment(self, line: bytes, end: int) -> Segment | None:
        """The segment a line is; None where it goes on with the one before."""
        if _HEADER.match(line):
            self._head(line)
        text, guessed = self._decoded(line)
        marks = self._delimiters
        if marks is None:
            raise DecodeError("no MSH segment at the beginning")
        fields = text.split(marks.field, MOST_FIELDS)
        name = fields[0].strip().upper()
        if not _NAME.fullmatch(name):
            self._go_on(text, end)
            return None
        if name in HEADERS:
            fields.insert(1, marks.field)
        self.finish()
        self._last = Segment(name, fields, marks, end, self._encoding, guessed)
        return self._last

    def _go_on(self, text: str, end: int) -> None:
        """A line end within a field: the text belongs to the segment before."""
        if self._last is None:
            raise DecodeError("no MSH segment at the beginning")
        self._more.append(text)
        self._last.end = end

    def finish(self) -> None:
        """The last segment is complete."""
        if self._last is not None and self._more:
            fields, room = self._last.fields, max(0, MOST_FIELDS - len(self._last.fields))
            text = "\n".join((fields[-1], *self._more))
            # A remark ends its segment; in any other the line may have been broken before the last field.
            fields[-1:] = [text] if self._last.name == "NTE" else text.split(self._last.delimiters.field, room)
        self._more = []

    def _head(self, line: bytes) -> None:
        head = line.decode("latin-1").lstrip()
        self._delimiters = declared(head)
        fields = head.split(head[3])
        self._encoding = self._default or "utf-8"
        if head.startswith("MSH") and len(fields) > 17:
            repeats = fields[17].split(self._delimiters.repeat or "~")
            known = [CHARSETS[name] for each in repeats if (name := each.split("^")[0].strip().upper()) in CHARSETS]
            self._encoding = next((name for name in known if name.startswith("iso2022")), (*known, self._encoding)[0])

    def _decoded(self, line: bytes) -> tuple[str, bool]:
        for name in (self._encoding, self._default or "utf-8"):
            try:
                return line.decode(name), False
            except UnicodeDecodeError:
                continue
        if self._default is not None:
            raise DecodeError(f"not {self._default}", Reason.ENCODING)
        return line.decode("latin-1"), True


# ---- writing

Parts = str | Sequence["str | Sequence[str]"]
"""A text, or its components, each a text or its subcomponents."""


class Row:
    """A segment being written: texts put where they belong, escaped when it is rendered."""

    def __init__(self, name: str, fields: Mapping[int, Parts | list[Parts]] | None = None) -> None:
        self.name = name
        self._fields: dict[int, list[list[list[str]]]] = {}  # repetitions of components of subcomponents
        for number, value in (fields or {}).items():
            for place, one in enumerate(value if isinstance(value, list) else [value], start=1):
                for component, piece in enumerate((one,) if isinstance(one, str) else one, start=1):
                    for sub, text in enumerate((piece,) if isinstance(piece, str) else piece, start=1):
                        self.put(number, text, component, sub, place)

    def put(self, number: int, text: str, component: int = 1, sub: int = 1, repeat: int = 1) -> None:
        """Write one subcomponent."""
        repeats = self._fields.setdefault(number, [])
        repeats.extend([[""]] for _ in range(repeat - len(repeats)))
        components = repeats[repeat - 1]
        components.extend([""] for _ in range(component - len(components)))
        subs = components[component - 1]
        subs.extend("" for _ in range(sub - len(subs)))
        subs[sub - 1] = text

    def render(self, marks: Delimiters) -> str:
        """The segment without its end."""
        cells = [""] * (max(self._fields, default=0) + 1)
        cells[0] = self.name
        for number, repeats in self._fields.items():
            cells[number] = marks.repeat.join(
                marks.component.join(marks.sub.join(map(marks.escaped, subs)) for subs in components)
                for components in repeats
            )
        if self.name in HEADERS:
            cells = [self.name, marks.declared, *cells[3:]]
        return marks.field.join(cells)


def write(rows: Sequence[Row], marks: Delimiters = Delimiters()) -> str:
    """The text of a message, every segment ending with CR. MSH-1 and MSH-2 are filled in."""
    return "".join(row.render(marks) + "\r" for row in rows)


_MSH = re.compile(rb"(?:\A[\x00- \xef\xbb\xbf]*|[\r\n][ \t]*)(?=MSH[^A-Za-z0-9\s\x00])")


def texts(payload: bytes) -> Iterator[bytes]:
    """The messages of a payload as sent, each from its MSH to the next one; nothing is decoded."""
    start = None
    for match in _MSH.finditer(payload):
        if start is not None:
            yield payload[start : match.start()]
        start = match.end()
    if start is not None:
        yield payload[start:]
