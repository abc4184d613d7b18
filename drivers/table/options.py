"""What a `[[devices]]` table may say about an export: how its file is built, and which column is what."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drivers.kit.declare import Options
from drivers.kit.observation import Kind
from drivers.kit.payload import path
from drivers.kit.tables import Ref

META = "meta:"
_STEPS = re.compile(r"(?:(?:\.\.|[\w:.-]+)(?:/(?:\.\.|[\w:.-]+))*)?(?:/?@[\w:.-]+)?")
_HOLE = re.compile(r"\{([^{}]{1,100})\}")


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"no character set is called {name!r}. Write one like utf-8-sig, cp1252, gb18030.") from None
    return name


def _one_character(text: str) -> str:
    if len(text) != 1 or text in '\r\n"':
        raise ValueError(f'{text!r} is not one character. Write one like "," ";" "|" or "\\t".')
    return text


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}.") from None
    return pattern


def _several(given: Any) -> Any:
    return (given,) if isinstance(given, str | int) else given


def _is_path(ref: Ref, form: str) -> None:
    if form == "json" and isinstance(ref, str) and ref.startswith("$"):
        path(ref)
    if form == "xml" and not _STEPS.fullmatch(str(ref)):
        raise ValueError(f'{ref!r} is not a path. Write "Order/Result", "../Sample" or "Result@value".')


Name = Annotated[str, Field(min_length=1, max_length=200)]
Place = Name | Annotated[int, Field(ge=1, le=2000)]
Refs = Annotated[
    tuple[Place, ...],
    Field(max_length=20),
    BeforeValidator(_several, json_schema_input_type=Place | tuple[Place, ...]),
]
"""A column: its name, its number from 1, a path (XML, JSON), or `meta:NAME` of the preamble. Of several the first that
says something in a row."""

Words = Annotated[
    tuple[str, ...],
    Field(max_length=200),
    BeforeValidator(_several, json_schema_input_type=str | tuple[str, ...]),
]
Pattern = Annotated[str, Field(max_length=400), AfterValidator(_compiles)]


class Rule(Options):
    """What is true of a row: what stands in one of its columns."""

    column: Refs
    equals: Words | None = None  # one of these, in any case
    pattern: Pattern | None = None  # a regular expression found anywhere in it
    filled: bool | None = None  # whether anything stands there

    @model_validator(mode="after")
    def _one_test(self) -> Rule:
        if sum(test is not None for test in (self.equals, self.pattern, self.filled)) != 1:
            raise ValueError("exactly one of equals, pattern, filled")
        return self

    def fits(self, cell: str) -> bool:
        """Whether the text is as declared."""
        if self.equals is not None:
            return cell.casefold() in (word.casefold() for word in self.equals)
        if self.pattern is not None:
            return re.search(self.pattern, cell) is not None
        return bool(cell) is self.filled


class Check(Options):
    """A column that says whether a row's results count: a control line, a quality control, an omission."""

    column: Refs
    words: Words  # that say they do
    otherwise: Literal["invalid", "uncertain"] = "invalid"


class Result(Options):
    """One result of a row."""

    value: Refs = ()
    call: Refs = ()
    """The interpretation: positive, detected, S ..."""
    test: str = ""
    """The test's name: `{test}` is the column `test`, `{COLUMN}` any other; "": `test`, or the value's own name."""
    quantity: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")] | None = None
    unit: str = ""
    """The unit of its numbers, where the file does not say it."""
    unit_column: Refs = ()
    empty: Words = ()
    """Cells of this column that say nothing, beside the table's own `empty`."""
    when: Rule | None = None
    """Only in rows of which this is true."""
    split: str = ""
    """What stands between several results in one cell ("MTB DETECTED|RIF NOT DETECTED")."""
    pattern: Pattern | None = None
    """Takes a part apart: groups `test`, `call`, `value`. A part it does not fit is a call of the row's own test."""
    low: float | None = None
    """Range, resolution and words for the simulator."""
    high: float | None = None
    step: float | None = None
    words: Words = ()
    simulated: bool = True
    """Whether the simulator says it."""

    @model_validator(mode="after")
    def _something(self) -> Result:
        if not self.value and not self.call:
            raise ValueError("a result needs a column: value or call.")
        return self


class TableOptions(Options):
    """How the file is built, then which column is what."""

    format: Literal["csv", "xlsx", "pairs", "xml", "json"] = "csv"
    """csv: any delimited text. pairs: one record a file, every line a name and what it says."""
    encoding: Annotated[
        tuple[Annotated[str, AfterValidator(_known_encoding)], ...],
        Field(min_length=1, max_length=5),
        BeforeValidator(_several, json_schema_input_type=str | tuple[str, ...]),
    ] = ("utf-8-sig",)
    """Of several the first that fits; a byte order mark comes first."""
    separator: Annotated[str, AfterValidator(_one_character)] = ","
    """Between cells; a first line `sep=;` says it too."""
    quote: Annotated[str, Field(max_length=1)] = '"'
    sheet: str = ""
    """Of a workbook; "": the first."""
    rows: str = ""
    """XML: the path of a row's element below the root, "Order/Result". JSON: that of the row or rows, "$.results"."""
    section: str = ""
    """The line the table follows, "[Results]"."""
    skip: Annotated[int, Field(ge=0, le=1000)] = 0
    """Rows before anything else."""
    header: bool | Annotated[tuple[Refs, ...], Field(max_length=50)] = True
    """The header is the first row with these columns (true: with every column of the results, the specimen and the
    time); false: no header, columns go by number."""
    width: Annotated[int, Field(ge=0, le=2000)] = 0
    """How many columns a table without a header has; 0: any number."""
    preamble: Literal["none", "equals", "colon", "cells"] = "none"
    """How lines before the header, and behind the table's end, say things: `NAME = TEXT`, `NAME: TEXT`, two cells."""
    ends_blank: bool = False
    """An empty row ends the table."""
    short_rows: bool = False
    """Empty cells at a row's end are left out."""
    units_row: bool = False
    """The row below the header may hold units: it does where it names neither specimen nor time."""
    fill_down: Refs = ()
    """Columns written only where they change."""
    ignore_rows: Annotated[tuple[Rule, ...], Field(max_length=20)] = ()
    """Rows that are no results: averages, empty wells."""

    measures: Literal["result", "reading"] = "result"
    """Results of tests on specimens, or readings of an instrument or its surroundings."""
    results: Annotated[tuple[Result, ...], Field(min_length=1, max_length=200)]
    test: Refs = ()
    specimen: Refs = ()
    patient: Refs = ()
    operator: Refs = ()
    lot: Refs = ()
    lot_expiry: Refs = ()
    run: Refs = ()
    well: Refs = ()
    date: Refs = ()
    time: Refs = ()
    """With `date` before it, where the file has two columns."""
    zones: dict[Annotated[str, Field(pattern=r"^[A-Z]{2,5}$")], Annotated[str, Field(pattern=r"^[+-]\d\d:\d\d$")]] = (
        Field(default_factory=dict)
    )
    """What the letters behind a time mean ("EST" = "-05:00"): it is then read, 12-hour clock included."""
    kind: Refs = ()
    """What was measured: a specimen or a control."""
    samples: Words = ()
    """What `kind` says of a specimen ("Unkn"); anything else is a control's."""
    qc: Words = ()
    """What `kind` says of a control, for the simulator; a word in neither list makes the result uncertain."""
    qc_names: Words = ()
    """What a control's specimen name begins with ("NTC", "QC")."""
    calls: dict[str, str] = Field(default_factory=dict)
    """The file's words -> positive, negative, invalid ..."""
    error: Refs = ()
    """A column that says what went wrong: the row's results are invalid then."""
    no_error: Words = ("0",)
    """What it says where nothing did."""
    checks: Annotated[tuple[Check, ...], Field(max_length=20)] = ()
    flags: Refs = ()
    empty: Words = ()
    """Cells that say nothing: "---", "N/A"."""
    attributes: dict[Name, Refs] = Field(default_factory=dict)
    """More of the row, the preamble or the surroundings, under a name of its own."""
    ignore: Annotated[tuple[Place, ...], Field(max_length=200)] = ()
    """Columns that stay in the file: names, ages and the like."""
    keep_rest: bool = True
    """Whether every other column goes into the attributes."""
    key: Refs = ()
    """Columns that tell rows apart beside specimen, test, time and value, in files whose rows have no time."""
    panel: Words = ("TARGET 1",)
    """What the simulator writes into the column `test`."""

    @model_validator(mode="after")
    def _fits(self) -> TableOptions:
        if self.separator == self.quote:
            raise ValueError('separator and quote are the same character. Write quote = "" if nothing is quoted.')
        if self.format == "json" and not self.rows.startswith("$"):
            raise ValueError('rows is needed: the path of the row or rows, "$" or "$.results".')
        if self.format == "xml" and not self.rows:
            raise ValueError('rows is needed: the path of a row\'s element below the root, "Result".')
        if self.header is False and self.tabular:
            named = [ref for ref in self.refs if isinstance(ref, str) and not ref.startswith(META)]
            if named:
                raise ValueError(f"without a header columns go by number, and {named[0]!r} is none.")
        if self.format in ("xml", "json"):
            for ref in (*self.refs, *self.key):
                _is_path(ref, self.format)
            _is_path(self.rows, self.format)
        if self.kind and not self.samples:
            raise ValueError('samples is needed with kind: what it says of a specimen, ["UNKNOWN"].')
        return self

    @property
    def tabular(self) -> bool:
        """Rows of cells rather than trees."""
        return self.format in ("csv", "xlsx")

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Every column that is spoken of, but those of `key`, which stay in the attributes."""
        own = (
            *(self.test, self.specimen, self.patient, self.operator, self.lot, self.lot_expiry, self.run, self.well),
            *(self.date, self.time, self.kind, self.error, self.flags),
        )
        of_results = (ref for one in self.results for refs in (one.value, one.call, one.unit_column) for ref in refs)
        holes = (place(hole, self) for one in self.results for hole in holes_of(one.test) if hole != "test")
        extra = (ref for refs in self.attributes.values() for ref in refs)
        return (*(ref for refs in own for ref in refs), *of_results, *holes, *extra)

    @property
    def kind_of_row(self) -> Kind:
        """What a row's results are, unless they are a control's."""
        return Kind.READING if self.measures == "reading" else Kind.RESULT


def holes_of(template: str) -> list[str]:
    """What stands in braces in a test's name."""
    return _HOLE.findall(template)


def filled(template: str, said: dict[str, str]) -> str:
    """The template with its holes filled."""
    return " ".join(_HOLE.sub(lambda hole: said.get(hole[1], ""), template).split())


def place(hole: str, options: TableOptions) -> Ref:
    """The column a hole means: a number where the table has no header."""
    return int(hole) if options.header is False and hole.isdecimal() else hole
