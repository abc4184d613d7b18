"""Files into records: one shape for the rows of delimited text and workbooks, of XML and of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol
from xml.etree.ElementTree import Element

from drivers.kit import spreadsheets, tables, xmltree
from drivers.kit.exchange import DecodeError
from drivers.kit.payload import MISSING, leaves, load, path
from drivers.kit.tables import Bad, Columns, Line, Ref
from drivers.table.options import META, TableOptions

SHOWN: Final = 500  # characters of a row in an event
MOST_ROWS: Final = 100_000


class Record(Protocol):
    """One row of a file."""

    @property
    def number(self) -> int:
        """Its line or place in the file, from 1."""
        ...

    def cell(self, ref: Ref) -> str:
        """What stands there, "" where nothing does."""
        ...

    def has(self, ref: Ref) -> bool:
        """Whether the file has such a column."""
        ...

    def rest(self, used: frozenset[Ref]) -> Iterator[tuple[str, str]]:
        """The cells of every column not in `used`, with their names."""
        ...

    def shown(self) -> str:
        """The row as text."""
        ...


@dataclass(slots=True)
class Table:
    """What a file holds."""

    records: Sequence[Record]
    bad: list[Bad] = field(default_factory=list)
    meta: Mapping[str, str] = field(default_factory=dict)


def read(data: bytes, options: TableOptions) -> Table:
    """The file's rows. Errors: DecodeError where it is not of the declared form."""
    reader = {"csv": _grid, "xlsx": _grid, "pairs": _pairs, "xml": _xml, "json": _json}[options.format]
    table = reader(data, options)
    if len(table.records) > MOST_ROWS:
        raise DecodeError(f"more than {MOST_ROWS} rows")
    return table


# ---- rows of cells


@dataclass(frozen=True, slots=True)
class Row:
    line: Line
    columns: Columns
    meta: Mapping[str, str]
    above: Mapping[int, str]  # cells of columns written only where they change
    units: Mapping[int, str]
    unended: bool = False  # the file ends with it, and it has no line end

    @property
    def number(self) -> int:
        return self.line.number

    def cell(self, ref: Ref) -> str:
        if isinstance(ref, str) and ref.startswith(META):
            return tables.said(self.meta, ref[len(META) :].strip())
        index = self.columns.index(ref)
        if index is None or index >= len(self.line.cells):
            return ""
        return self.line.cells[index] or self.above.get(index, "")

    def has(self, ref: Ref) -> bool:
        index = self.columns.index(ref)
        return index is not None and index < len(self.line.cells)

    def unit(self, ref: Ref) -> str:
        index = self.columns.index(ref)
        return self.units.get(index, "") if index is not None else ""

    def rest(self, used: frozenset[Ref]) -> Iterator[tuple[str, str]]:
        taken = {self.columns.index(ref) for ref in used}
        for index, cell in enumerate(self.line.cells):
            if cell and index not in taken:
                key = self.columns.keys[index] if index < len(self.columns.keys) else ""
                yield key or str(index + 1), cell

    def shown(self) -> str:
        return self.line.shown()[:SHOWN]

    def cut(self, used: frozenset[Ref]) -> bool:
        """Whether the file may end within a cell that counts."""
        last = max((index for index, cell in enumerate(self.line.cells) if cell), default=-1)
        ends = last == len(self.line.cells) - 1 or last == len(self.columns.names) - 1
        return self.unended and ends and last in {self.columns.index(ref) for ref in used}


def _grid(data: bytes, options: TableOptions) -> Table:
    whole = True
    if options.format == "xlsx":
        rows: Iterator[tuple[int, list[str]]] = enumerate(
            ([cell.strip() for cell in row] for row in spreadsheets.rows(data, options.sheet)), 1
        )
    else:
        text = tables.text_of(data, options.encoding)
        whole = text.endswith(("\n", "\r"))
        rows = tables.cells_of(text, options.separator, options.quote)
    found = tables.grid(rows, _shape(options), whole)
    lines, units = found.lines, dict[int, str]()
    if options.units_row and lines and _holds_units(lines[0], found.columns, options):
        units = {index: cell for index, cell in enumerate(lines[0].cells) if cell not in ("", "-")}
        lines = lines[1:]
    above: Mapping[int, str] = {}
    filled = [index for ref in options.fill_down if (index := found.columns.index(ref)) is not None]
    records = []
    for line in lines:
        if filled:
            above = {**above, **{index: line.cells[index] for index in filled if line.cells[index]}}
        unended = found.open_end and line is lines[-1]
        records.append(Row(line, found.columns, found.meta, above, units, unended))
    return Table(records, found.bad, found.meta)


def _pairs(data: bytes, options: TableOptions) -> Table:
    """One record a file: every line a name and what it says."""
    text = tables.text_of(data, options.encoding)
    names, cells, bad = list[str](), list[str](), list[Bad]()
    for number, row in tables.cells_of(text, options.separator, options.quote):
        if len(row) < 2 or not row[0] or not row[1]:
            continue  # a title, a blank line, a name that says nothing
        if any(row[2:]):
            bad.append(Bad(number, Line(number, tuple(row)).shown(options.separator), "more than a name and a text"))
            continue
        names.append(row[0])
        cells.append(row[1])
    columns = Columns(names)
    missing = [one for one in _required(options) if all(columns.index(ref) is None for ref in one)]
    if missing:
        raise DecodeError("no line " + ", ".join(" or ".join(map(repr, one)) for one in missing)[:300])
    row_ = Row(Line(1, tuple(cells)), columns, {}, {}, {}, not text.endswith(("\n", "\r")))
    return Table([row_], bad)


def _shape(options: TableOptions) -> tables.Shape:
    return tables.Shape(
        section=options.section,
        skip=options.skip,
        named=options.header is not False,
        required=_required(options),
        width=options.width,
        meta=options.preamble,
        ends_blank=options.ends_blank,
        short_rows=options.short_rows or options.format == "xlsx",  # workbooks leave out what is empty
    )


def _required(options: TableOptions) -> tuple[tuple[Ref, ...], ...]:
    """What a header must name: of each one."""
    if isinstance(options.header, tuple):
        return options.header
    columns = [refs for one in options.results for refs in (one.value, one.call, one.unit_column)]
    given = (*columns, options.specimen, options.time, options.test)
    return tuple(
        refs for refs in given if refs and not any(isinstance(ref, str) and ref.startswith(META) for ref in refs)
    )


def _holds_units(line: Line, columns: Columns, options: TableOptions) -> bool:
    own = [columns.index(ref) for ref in (*options.specimen, *options.date, *options.time)]
    return not any(line.cells[index] for index in own if index is not None and index < len(line.cells))


# ---- XML


@dataclass(frozen=True, slots=True)
class _Node:
    """An element with those above it, the nearest last."""

    number: int
    element: Element
    above: tuple[Element, ...]

    def cell(self, ref: Ref) -> str:
        text = self._find(str(ref))
        return " ".join(text.split()) if text else ""

    def has(self, ref: Ref) -> bool:
        return self._find(str(ref)) is not None

    def _find(self, ref: str) -> str | None:
        steps, attribute = _steps(ref)
        at, above = self.element, list(self.above)
        for step in steps:
            if step == "..":
                if not above:
                    return None
                at = above.pop()
                continue
            below = at.find(step)
            if below is None:
                return None
            above.append(at)
            at = below
        return at.get(attribute) if attribute else at.text

    def rest(self, used: frozenset[Ref]) -> Iterator[tuple[str, str]]:
        open_: list[tuple[str, Element]] = [("", self.element)]
        while open_:
            place, at = open_.pop(0)
            for name, value in at.attrib.items():
                if f"{place}@{name}" not in used:
                    yield f"{place}@{name}", value
            if place and place not in used and at.text and at.text.strip():
                yield place, " ".join(at.text.split())
            open_.extend((f"{place}/{each.tag}".lstrip("/"), each) for each in at)

    def shown(self) -> str:
        return " ".join(f"{name}={cell}" for name, cell in self.rest(frozenset()))[:SHOWN]


@lru_cache(maxsize=1024)
def _steps(ref: str) -> tuple[tuple[str, ...], str]:
    """ "../Control@value" -> its steps, and the attribute."""
    way, _, attribute = ref.partition("@")
    return tuple(step for step in way.split("/") if step), attribute


def _xml(data: bytes, options: TableOptions) -> Table:
    found: list[tuple[Element, tuple[Element, ...]]] = [(xmltree.parse(data), ())]
    for step in (step for step in options.rows.split("/") if step):
        found = [(each, (*above, at)) for at, above in found for each in at.findall(step)]
    return Table([_Node(number, at, above) for number, (at, above) in enumerate(found, 1)])


# ---- JSON


@dataclass(frozen=True, slots=True)
class _Object:
    number: int
    value: dict[str, Any]

    def cell(self, ref: Ref) -> str:
        found = self._find(str(ref))
        if found is MISSING or found is None:
            return ""
        return found.strip() if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    def has(self, ref: Ref) -> bool:
        return self._find(str(ref)) is not MISSING

    def _find(self, ref: str) -> Any:
        if not ref.startswith("$"):
            return self.value.get(ref, MISSING)
        return path(ref).find(self.value)

    def rest(self, used: frozenset[Ref]) -> Iterator[tuple[str, str]]:
        taken = {str(ref).removeprefix("$.") for ref in used}
        for place, value in leaves(self.value):
            if place not in taken and value is not None:
                yield place, value if isinstance(value, str) else json.dumps(value)

    def shown(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)[:SHOWN]


def _json(data: bytes, options: TableOptions) -> Table:
    found = path(options.rows).find(load(data))
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        raise DecodeError(f"nothing like rows at {options.rows}")
    table = Table([_Object(number, one) for number, one in enumerate(found, 1) if isinstance(one, dict)])
    for number, one in enumerate(found, 1):
        if not isinstance(one, dict):
            table.bad.append(Bad(number, json.dumps(one)[:SHOWN], "no object"))
    return table
