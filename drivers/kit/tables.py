"""Tables as instruments' software exports them: delimited text with a preamble, sections, a header row and a footer.

Text is cut into rows of cells; a header's names find the columns. Nothing is converted: cells stay the text they are.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from drivers.kit.exchange import DecodeError, Reason

Ref = str | int
"""A column by its name ("Sample", "Units#2" the second of that name), or by its number from 1."""

PREAMBLE: Final = 400  # rows before a header that are looked at
MOST_ROWS: Final = 200_000
MOST_CELL: Final = 131_072  # characters: what `csv` takes
SECTION = re.compile(r"\[[^\[\]]{1,60}\]")
_SEPARATOR = re.compile(r"(?i)\ufeff?\s*\"?sep=(.)[^\r\n]*(\r\n|\r|\n|$)")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def text_of(data: bytes, encodings: Sequence[str]) -> str:
    """The file as text: by its byte order mark where it has one, else by the first of `encodings` that fits.

    DecodeError (encoding) where none does, or where NULs stand in it: another encoding, or a file half written.
    """
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    why = ""
    for encoding in (marked,) if marked else encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            why = why or f"not {encoding}: {error.reason} at byte {error.start}. Declare `encoding`."
            continue
        if "\0" in text:
            raise DecodeError("NUL bytes: another encoding, or a file not written to its end", Reason.ENCODING)
        return text
    raise DecodeError(why or "no encoding is declared", Reason.ENCODING)


def cells_of(text: str, separator: str, quote: str = '"') -> Iterator[tuple[int, list[str]]]:
    """Row number (the line it ends on, from 1) and cells. A first line `sep=;` says the separator.

    DecodeError where quotes do not pair: then no one knows where the rows end.
    """
    if told := _SEPARATOR.match(text):
        separator = told[1]
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        for row in reader:
            if reader.line_num > MOST_ROWS:
                raise DecodeError(f"more than {MOST_ROWS} lines", Reason.TOO_LONG)
            if not (told and reader.line_num == 1):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise DecodeError(f"line {reader.line_num}: {error}") from None


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A column's name for comparing: one form for each letter (both micro signs), any case, single blanks."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class Columns:
    """Where each name of a header row stands."""

    def __init__(self, names: Sequence[str]) -> None:
        width = len(names)
        while width and not names[width - 1]:
            width -= 1
        self.names = tuple(names[:width])
        self._places: dict[str, int] = {}
        seen: dict[str, int] = {}
        self.keys: list[str] = []  # each name as a `Ref`: the second of a name as "Units#2"
        for index, name in enumerate(self.names):
            count = seen[plain(name)] = seen.get(plain(name), 0) + 1
            self._places[plain(name) if count == 1 else f"{plain(name)}#{count}"] = index
            self.keys.append(name if count == 1 else f"{name}#{count}")

    def index(self, ref: Ref) -> int | None:
        """The column's place from 0; None where the table has no such column."""
        if isinstance(ref, int):
            return ref - 1
        return self._places.get(plain(ref)) if ref else None


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table."""

    number: int  # line or row in the file, from 1
    cells: tuple[str, ...]

    @property
    def blank(self) -> bool:
        return not any(self.cells)

    def shown(self, separator: str = ",") -> str:
        """The row as one text."""
        return separator.join(self.cells)


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that is not like its table."""

    number: int
    shown: str
    why: str


@dataclass(slots=True)
class Grid:
    """A table found in a file."""

    columns: Columns
    lines: list[Line] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)  # what the preamble and the footer say: name -> text
    open_end: bool = False  # the last line of the file, which has no line end, is the last of `lines`


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a table stands in its file."""

    section: str = ""  # the line it follows, "[Results]"; "": the file is the table
    skip: int = 0  # rows before anything else
    named: bool = True  # it has a header row
    required: tuple[tuple[Ref, ...], ...] = ()  # the header is the first row with one of each of these
    width: int = 0  # columns of a table without a header
    meta: str = "none"  # how the preamble says things: "equals", "colon", "cells"
    ends_blank: bool = False  # an empty row ends it; a footer may follow
    short_rows: bool = False  # empty cells at a row's end may be left out


def grid(rows: Iterable[tuple[int, Sequence[str]]], shape: Shape, whole: bool = True) -> Grid:
    """The table of that shape among `rows`. `whole` is False where the file's last row has no line end.

    Errors: DecodeError where its section or its header row is not there.
    """
    lines = [Line(number, tuple(cells)) for number, cells in rows][shape.skip :]
    meta: dict[str, str] = {}
    start = _section(lines, shape, meta) if shape.section else 0
    found, start = _header(lines, start, shape, meta)
    made = Grid(found, meta=meta)
    width, ended = len(found.names) or shape.width, False
    for index, line in enumerate(lines[start:], start):
        if line.blank:
            ended = ended or shape.ends_blank
        elif shape.section and _is_section(line):
            break
        elif _says(line, shape.meta, meta) if ended or _looks_said(line, shape.meta) else False:
            continue
        elif ended:
            made.bad.append(Bad(line.number, line.shown(), "a row after the table's end"))
        else:
            cut, before = not whole and index == len(lines) - 1, len(made.lines)
            _take(line, width, cut, shape, made)
            made.open_end = cut and len(made.lines) > before
    return made


def _take(line: Line, width: int, cut: bool, shape: Shape, made: Grid) -> None:
    cells = line.cells
    if len(cells) < width:
        if not shape.short_rows or cut:
            made.bad.append(Bad(line.number, line.shown(), f"{len(cells)} cells where {width} are named"))
            return
        cells += ("",) * (width - len(cells))
    elif any(cells[width:]) and width:
        made.bad.append(Bad(line.number, line.shown(), f"{len(cells)} cells where {width} are named"))
        return
    made.lines.append(Line(line.number, cells))


def _section(lines: Sequence[Line], shape: Shape, meta: dict[str, str]) -> int:
    preamble = True
    for index, line in enumerate(lines):
        if line.cells and plain(line.cells[0]) == plain(shape.section):
            return index + 1
        preamble = preamble and not _is_section(line)
        if preamble and not line.blank:
            _says(line, shape.meta, meta)
    raise DecodeError(f"no section {shape.section}")


def _header(lines: Sequence[Line], start: int, shape: Shape, meta: dict[str, str]) -> tuple[Columns, int]:
    if not shape.named:
        return Columns(()), start
    for index, line in enumerate(lines[start : start + PREAMBLE], start):
        columns = Columns(line.cells)
        if all(any(columns.index(ref) is not None for ref in one) for one in shape.required):
            return columns, index + 1
        if shape.section and _is_section(line):
            break
        if not line.blank:
            _says(line, shape.meta, meta)
    wanted = ", ".join(" or ".join(map(repr, one)) for one in shape.required)
    raise DecodeError(f"no header row with {wanted}"[:300])


def _is_section(line: Line) -> bool:
    return bool(line.cells and SECTION.fullmatch(line.cells[0]) and not any(line.cells[1:]))


def _looks_said(line: Line, how: str) -> bool:
    """A remark among the rows: a line of one cell that says NAME = TEXT."""
    return how in ("equals", "colon") and len([cell for cell in line.cells if cell]) == 1


def _says(line: Line, how: str, meta: dict[str, str]) -> bool:
    """Whether the row is a remark that says something; it goes into `meta`."""
    if how == "cells":
        filled = [cell for cell in line.cells if cell]
        if not line.cells[0] or len(filled) > 2:
            return False
        name, value = line.cells[0].rstrip(": "), filled[1] if len(filled) == 2 else ""
    else:
        sign = {"equals": "=", "colon": ":"}.get(how)
        text = line.shown().lstrip("*# ").rstrip(", ")
        if sign is None or sign not in text:
            return False
        name, _, value = (part.strip() for part in text.partition(sign))
    if not name or len(name) > 100 or len(meta) >= 500:
        return False
    meta.setdefault(name, value[:1000])
    return True


def said(meta: Mapping[str, str], name: str) -> str:
    """What the preamble says under this name, in any case."""
    if name in meta:
        return meta[name]
    wanted = plain(name)
    return next((value for key, value in meta.items() if plain(key) == wanted), "")
