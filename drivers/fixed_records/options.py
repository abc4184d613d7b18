"""What a `[[devices]]` table may say about an instrument that sends records of fixed columns."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from drivers.kit.blocks import Sized
from drivers.kit.checks import sum8
from drivers.kit.declare import Options, Quantity
from drivers.kit.facts import Item, Name, Rules
from drivers.kit.observation import Kind
from drivers.kit.printed import WireOptions
from drivers.kit.regular import Pattern

Place = tuple[Annotated[int, Field(ge=0, le=65_535)], Annotated[int, Field(ge=1, le=1000)]]
"""Where a column stands: its first byte, counted from 0 behind the start mark, and how many bytes it has."""


def _one_or_more(given: object) -> object:
    return (given,) if isinstance(given, str | int) else given


class Column(Options):
    """A column that says something of the whole record."""

    name: Name
    """What it is, as for a printed line: specimen, patient, date, run ...; any other name goes into the attributes."""
    at: Place
    form: Literal["text", "float32", "date6"] = "text"
    """"float32": four bytes, little-endian IEEE 754; "date6": six digits, which are read as three numbers of two."""
    expect: Pattern | None = None
    """What it must be for the record to be read at all, blanks around it apart."""
    strip: Annotated[str, Field(max_length=4)] = ""
    """Characters its beginning is filled up with ("0"); as it was sent it stays in the attributes."""


class Cell(Item):
    """One value of a record and the columns beside it that are about it."""

    value: Place | None = None
    flags: Place | None = None
    flag_width: int = Field(1, ge=1, le=8)
    """Bytes of one flag, where several stand side by side."""
    status: Place | None = None
    call: Place | None = None
    unit_at: Place | None = None
    name_at: Place | None = None
    """The column that says which test it is."""


class Repeat(Cell):
    """A value that stands again and again up to the record's end; its columns count from the beginning of each."""

    at: Annotated[int, Field(ge=0, le=65_535)]
    each: Annotated[int, Field(ge=1, le=1000)]
    expect_name: Pattern = r"\S.*"
    """What the name of a test looks like; anything else means that the columns are not where they should be."""
    expect_value: Pattern = r".*"
    """The same of a value, without the blanks around it."""


class Layout(Options):
    """One kind of record."""

    starts: Annotated[tuple[Annotated[str, Field(max_length=40)], ...], BeforeValidator(_one_or_more)]
    """What it may begin with; "" fits any."""
    length: Annotated[tuple[int, ...], BeforeValidator(_one_or_more)] = ()
    """How long it is. A record of another length has its columns elsewhere and is not read."""
    does: Literal["results", "nothing", "event"] = "results"
    """"nothing": questions, beginnings and ends; "event": kept as an event, such as controls of another layout."""
    kind: Kind = Kind.RESULT
    columns: tuple[Column, ...] = ()
    cells: tuple[Cell, ...] = ()
    repeat: Repeat | None = None
    fill: str = ""
    """What the simulated instrument's record holds where no column is."""


class Size(Options):
    """Blocks that are known by their beginning and their size alone."""

    magic: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}){2,16}$")]
    """How a block begins, in hexadecimal digits."""
    bytes: Annotated[int, Field(ge=4, le=4096)]
    sum_from: int = Field(0, ge=0)
    """The sum of the bytes from this one on stands modulo 256 in byte `sum_at`."""
    sum_at: int | None = None


class FixedRecordsOptions(WireOptions, Rules):
    """Columns are counted from 0 behind the start mark, or from the first byte of a block of fixed size."""

    framing: Literal["lines", "blocks"] = "blocks"
    sized: Size | None = None
    records: Annotated[tuple[Layout, ...], Field(min_length=1, max_length=120)]
    analytes: tuple[Item, ...] = ()
    """Tests by the name the record gives them: units, codes and quantities."""

    @model_validator(mode="after")
    def _summed(self) -> FixedRecordsOptions:
        size = self.sized
        if size and size.sum_at is not None and not size.sum_from < size.sum_at < size.bytes:
            raise ValueError("`sum_at` must stand behind `sum_from` and within the block.")
        return self

    @cached_property
    def by_test(self) -> dict[str, Item]:
        """The analytes by their test."""
        return {item.test: item for item in self.analytes}

    def sum_fault(self, raw: bytes) -> str:
        """What is wrong with a block of fixed size; "" where nothing is."""
        size = self.sized
        if size is None or size.sum_at is None:
            return ""
        wanted = sum8(raw[size.sum_from : size.sum_at])
        return "" if raw[size.sum_at] == wanted else f"wanted {wanted:02X}"

    def cutting(self) -> Sized | None:
        """What cuts blocks of fixed size; None where blocks have marks."""
        size = self.sized
        if size is None:
            return None
        return Sized(bytes.fromhex(size.magic), size.bytes, self.sum_fault, quiet=self.quiet)

    def observed(self) -> tuple[Quantity, ...]:
        """What it observes, by its cells and analytes."""
        items: dict[str, Item] = {}
        for record in self.records:
            for cell in record.cells if record.does == "results" and record.kind is Kind.RESULT else ():
                if cell.test or cell.quantity:
                    items.setdefault(cell.named, cell.model_copy(update={"kind": Kind.RESULT}))
        for item in self.analytes:
            items.setdefault(item.named, item.model_copy(update={"kind": Kind.RESULT}))
        return tuple(item.observed() for item in items.values())
