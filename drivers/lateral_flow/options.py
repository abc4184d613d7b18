"""What a `[[devices]]` table may say about a rapid-test reader: which field of its line is what."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from drivers.kit.declare import Options
from drivers.kit.durations import Duration
from drivers.kit.printed import known_encoding
from drivers.kit.regular import Pattern

PLAIN = ("time", "date", "specimen", "patient", "operator", "lot", "lot_expiry", "run", "serial", "kind", "panel")
PER_ANALYTE = ("test", "call", "control", "test_line", "ratio", "value", "unit")
IGNORED = "-"


def _one_character(text: str) -> str:
    if len(text) != 1 or text in "\r\n":
        raise ValueError(f'{text!r} is not one character. Write one like "," ";" "|" or "\\t".')
    return text


def _column(given: Any) -> Any:
    return {"name": given} if isinstance(given, str) else given


def _known_name(name: str) -> str:
    plain, _, analyte = name.partition(":")
    if name == IGNORED or name in PLAIN or re.fullmatch(r"\+[A-Za-z0-9_.-]{1,40}", name):
        return name
    if plain in PER_ANALYTE and (analyte or ":" not in name):
        return name
    known = ", ".join((*PLAIN, *PER_ANALYTE))
    raise ValueError(
        f'{name!r} is not a field. Known are: {known}; "call:flu-a" for one analyte of several, '
        f'"+name" to keep it in the attributes, "-" to ignore it.'
    )


class Column(Options):
    """One field of the line."""

    name: Annotated[str, AfterValidator(_known_name)]
    """What it is; per analyte "call:flu-a"; "+name" an attribute; "-" ignored."""
    unit: str | None = None
    """The unit of its number, where the line does not say it."""

    @property
    def plain(self) -> str:
        """The name without its analyte."""
        return self.name.partition(":")[0]

    @property
    def analyte(self) -> str:
        """The analyte, "" where the line has only one."""
        return self.name.partition(":")[2]


ColumnOption = Annotated[Column, BeforeValidator(_column, json_schema_input_type=str | Column)]


def columns(*names: str) -> tuple[Column, ...]:
    """Columns without units."""
    return tuple(Column(name=name) for name in names)


USUAL = columns(
    *("time", "specimen", "patient", "operator", "test", "call", "control", "test_line"),
    *("ratio", "lot", "lot_expiry", "run"),
)
VALID = ("OK", "VALID", "PASS", "PASSED")


class LateralFlowOptions(Options):
    """The defaults fit a reader that prints the fields in the order of `fields`, separated by commas."""

    fields: Annotated[tuple[ColumnOption, ...], Field(min_length=1, max_length=400)] = USUAL
    """The line's fields in order: names, or tables with `name` and `unit`. A line that arrives again is the same result
    where it carries a `time`, or a `date` and a `run`, or, acknowledged, a `specimen`; without them two true results
    may look alike, so every line counts. `identity = "content"` of the device says otherwise."""
    delimiter: Annotated[str, AfterValidator(_one_character)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    """The character around fields that hold the delimiter; "" where there is none."""
    encoding: Annotated[str, AfterValidator(known_encoding)] = "utf-8"
    framing: Literal["lines", "stx-etx"] = "lines"
    terminator: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """What ends a line; undeclared: CR, LF or both."""
    checksum: Literal["none", "sum8"] = "none"
    """Of a framed line: two hexadecimal digits after ETX."""
    acknowledge: bool = False
    """Answer a kept line with ACK, a damaged frame with NAK."""
    quiet: Duration = 10.0
    """Silence after which a line without its end is unfinished."""
    unterminated: Literal["refuse", "take"] = "refuse"
    """An unfinished line is refused, since a number may be cut; "take" it from readers and files that end none."""
    header: str = ""
    """The heading row as printed, if there is one; it becomes an event."""
    remarks: tuple[Pattern, ...] = ()
    """Regular expressions of whole lines that are no results ("READY.*"); they become events."""
    test: str = ""
    """The test's name where the line does not say it."""
    calls: dict[str, str] = Field(default_factory=dict)
    """The reader's own words -> positive, negative, invalid ... ("R" = "reactive")."""
    control_valid: float | Annotated[tuple[str, ...], Field(min_length=1)] = VALID
    """When the control line is valid: the least intensity, or the words that say so. Anything else is invalid."""
    measure: Literal["call", "ratio", "test_line", "value"] = "call"
    """What the observation's value is; the call is its interpretation in any case."""
    qc: tuple[Annotated[str, Field(min_length=1)], ...] = ("QC", "CTRL", "CONTROL")
    """What a control material's specimen (or the field `kind`) begins with, in any case."""

    @model_validator(mode="after")
    def _fits(self) -> LateralFlowOptions:
        names = [column.name for column in self.fields if column.name != IGNORED]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'the field {name!r} is declared twice. Write "-" for one, or name its analyte.')
        wanted = self.measure
        if not any(column.plain == wanted for column in self.fields):
            raise ValueError(f"measure = {wanted!r}, but no field is called {wanted!r}. Declare it in `fields`.")
        if self.delimiter == self.quote:
            raise ValueError('delimiter and quote are the same character. Write quote = "" if nothing is quoted.')
        if self.checksum != "none" and self.framing == "lines":
            raise ValueError('a checksum stands after a frame\'s end. Write framing = "stx-etx", or no checksum.')
        return self

    @property
    def analytes(self) -> tuple[str, ...]:
        """The analytes of one line in order; ("",) where there is one."""
        named = dict.fromkeys(column.analyte for column in self.fields if column.plain in PER_ANALYTE)
        return tuple(name for name in named if name) or ("",)
