"""Instruments that send records of fixed columns, between marks or of a fixed size; which is what is declared."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

from drivers.fixed_records.options import Cell, Column, FixedRecordsOptions, Layout, Place
from drivers.fixed_records.variants import VARIANTS
from drivers.kit.checks import sum8
from drivers.kit.declare import Driver, Evidence, Identity, Message
from drivers.kit.exchange import DecodeError, Exchange, Reason
from drivers.kit.facts import Item, as_sent, drawn_facts, make
from drivers.kit.observation import Draft, Json, Kind
from drivers.kit.printed import ANY_RECORDS, believed, instrument, repeated
from drivers.kit.printed import host as listening
from drivers.kit.regular import compiled

MOST_CELLS: Final = 1000  # of one record


def host(options: FixedRecordsOptions) -> Exchange:
    """The gateway's side: it listens, and acknowledges where that is declared."""
    return options.cutting() or listening(options)


def decode(message: Message, options: FixedRecordsOptions) -> Iterator[Draft]:
    """A draft a value. DecodeError where a record is of no declared kind, or its columns cannot be right."""
    for body in _bodies(message, options):
        layout = _layout(body, options)
        if layout.does == "nothing":
            continue
        if layout.does == "event":
            yield Draft(kind=Kind.EVENT, test="record", quantity="record", value=_text(body, options)[:400])
            continue
        yield from believed(message, _drafts(body, layout, options))


def _bodies(message: Message, options: FixedRecordsOptions) -> list[bytes]:
    """The records' bytes. Errors: DecodeError."""
    if options.sized is not None:
        if len(message.data) != options.sized.bytes or (why := options.sum_fault(message.data)):
            raise DecodeError(why if len(message.data) == options.sized.bytes else "not a whole block", Reason.FRAMING)
        return [message.data]
    if options.framing == "lines":
        return [message.data.strip(b"\r\n\0\x11\x13")]
    bodies = options.shape.texts(message.data)
    if not bodies:
        raise DecodeError("no whole block", Reason.FRAMING)
    return [body.rstrip(b"\r\n") for body in bodies]


def _text(data: bytes, options: FixedRecordsOptions) -> str:
    try:
        return data.decode(options.encoding)
    except UnicodeDecodeError as error:
        what = f"not {options.encoding}: {error.reason} at byte {error.start}. Declare `encoding`."
        raise DecodeError(what, Reason.ENCODING) from None


def _layout(body: bytes, options: FixedRecordsOptions) -> Layout:
    """The kind of record: the one way in which it can be read. DecodeError where there is none, or several."""
    begins = [
        (len(start), layout)
        for layout in options.records
        for start in layout.starts
        if body.startswith(start.encode(options.encoding, "replace"))
    ]
    if not begins:
        raise DecodeError(f"no kind of record begins like {body[:20]!r}")
    longest = max(length for length, _ in begins)
    fits: list[Layout] = []
    why = ""
    for layout in [one for length, one in begins if length == longest]:
        if layout.does != "results":
            return layout
        try:
            _fits(body, layout)
            _columns(body, layout, options)
            _names(body, layout, options)
        except DecodeError as error:
            why = why or str(error)
        else:
            fits.append(layout)
    if len(fits) > 1:
        raise DecodeError("its columns can be read in several ways: declare `records` as the analyser is set")
    if not fits:
        raise DecodeError(why)
    return fits[0]


def _fits(body: bytes, layout: Layout) -> None:
    """DecodeError where the record is not as long as it should be."""
    if layout.length and len(body) not in layout.length:
        wanted = " or ".join(map(str, layout.length))
        raise DecodeError(f"a record of {len(body)} bytes where {wanted} are declared")
    repeat = layout.repeat
    if repeat and (len(body) < repeat.at or (len(body) - repeat.at) % repeat.each):
        raise DecodeError(f"{len(body)} bytes are not {repeat.at} and a multiple of {repeat.each}")
    ends = [sum(column.at) for column in layout.columns]
    ends += [sum(place) for cell in layout.cells for place in _places(cell)]
    if ends and max(ends) > len(body):
        raise DecodeError(f"a record of {len(body)} bytes that should have {max(ends)}")


def _names(body: bytes, layout: Layout, options: FixedRecordsOptions) -> None:
    """DecodeError where what is repeated does not look as declared."""
    repeat = layout.repeat
    if repeat is None:
        return
    if (len(body) - repeat.at) // repeat.each > MOST_CELLS:
        raise DecodeError(f"more than {MOST_CELLS} values in one record")
    for begins in range(repeat.at, len(body), repeat.each):
        said = _beside(body, repeat, begins, options)
        test, value = said.get("test", "").strip(), said.get("value", "").strip()
        if repeat.name_at and not compiled(repeat.expect_name).fullmatch(test):
            raise DecodeError(f"{test[:20]!r} is no test: the columns are not where they should be")
        if not compiled(repeat.expect_value).fullmatch(value):
            raise DecodeError(f"{value[:20]!r} is no value: the columns are not where they should be")


def _places(cell: Cell) -> list[Place]:
    places = (cell.value, cell.flags, cell.status, cell.call, cell.unit_at, cell.name_at)
    return [place for place in places if place is not None]


def _drafts(body: bytes, layout: Layout, options: FixedRecordsOptions) -> Iterator[Draft]:
    told, extra = _columns(body, layout, options)
    if len(layout.starts) > 1:  # which of them it is may matter: a first run or a repeated one
        extra["record"] = next(start for start in layout.starts if body.startswith(start.encode("latin-1", "replace")))
    cells = [(cell, 0) for cell in layout.cells]
    if repeat := layout.repeat:
        count = (len(body) - repeat.at) // repeat.each
        cells += [(repeat, repeat.at + number * repeat.each) for number in range(count)]
    for cell, begins in cells:
        facts = {**told, **_beside(body, cell, begins, options)}
        test = facts.get("test", "").strip()
        item: Item = cell
        if known := options.by_test.get(test):
            item = known.model_copy(update={"decimals": known.decimals or cell.decimals})
        item = item.model_copy(update={"kind": layout.kind, "nothing": {**cell.nothing, **item.nothing}})
        draft = make(facts, item, options, extra)
        if draft is not None:
            yield draft


def _columns(body: bytes, layout: Layout, options: FixedRecordsOptions) -> tuple[dict[str, str], dict[str, Json]]:
    """What the record says of all its values. Errors: DecodeError."""
    told: dict[str, str] = {}
    extra: dict[str, Json] = {}
    for column in layout.columns:
        said = _column(body, column, options)
        if column.expect is not None and not compiled(column.expect).fullmatch(said):
            raise DecodeError(f"{column.name} is {said[:40]!r}: the columns are not where they should be")
        if column.strip and said and said.lstrip(column.strip) != said:
            extra[f"{column.name}_as_sent"] = said
            said = said.lstrip(column.strip)
        if column.form == "date6" and re.fullmatch(r"\d{6}", said):
            extra[f"{column.name}_as_sent"] = said
            said = "-".join((said[:2], said[2:4], said[4:]))
        told[column.name] = said
    return told, extra


def _column(body: bytes, column: Column, options: FixedRecordsOptions) -> str:
    at, width = column.at
    data = body[at : at + width]
    if column.form == "float32":
        if len(data) != 4:
            raise DecodeError(f"{column.name} is no float of four bytes")
        return f"{struct.unpack('<f', data)[0]:.7g}"
    return _text(data, options).strip(" \0")


def _beside(body: bytes, cell: Cell, begins: int, options: FixedRecordsOptions) -> dict[str, str]:
    """What stands in a cell's columns."""

    def said(place: Place | None) -> str | None:
        return None if place is None else _text(body[begins + place[0] : begins + sum(place)], options)

    flags = said(cell.flags)
    if flags is not None:
        step = cell.flag_width
        flags = " ".join(filter(None, (flags[n : n + step].strip() for n in range(0, len(flags), step))))
    found = {
        "value": said(cell.value),
        "flags": flags,
        "status": said(cell.status),
        "call": said(cell.call),
        "unit": said(cell.unit_at),
        "test": said(cell.name_at),
    }
    return {name: text.strip("\0") for name, text in found.items() if text is not None}


# ---- the instrument's side


def encode(drawn: Mapping[str, Any], options: FixedRecordsOptions) -> bytes:
    """One record of all results, or one a result where a record holds one. ValueError where a column is too narrow."""
    layout = next(one for one in options.records if one.does == "results" and one.kind is Kind.RESULT)
    results = list(drawn.get("results", ()))
    single = not layout.repeat and len(layout.cells) == 1 and layout.cells[0].name_at is not None
    groups = [[result] for result in results] if single else [results]
    return b"".join(_enclosed(_record(drawn, group, layout, options), options) for group in groups)


def _enclosed(body: bytes, options: FixedRecordsOptions) -> bytes:
    size = options.sized
    if size is not None:
        magic = bytes.fromhex(size.magic)
        raw = bytearray(magic + body[len(magic) :])
        if size.sum_at is not None:
            raw[size.sum_at] = sum8(bytes(raw[size.sum_from : size.sum_at]))
        return bytes(raw)
    if options.framing == "lines":
        return body + b"\r\n"
    return options.shape.write(body)


def _record(
    drawn: Mapping[str, Any], results: list[Mapping[str, Any]], layout: Layout, options: FixedRecordsOptions
) -> bytes:
    told = drawn_facts(drawn)
    body = bytearray(layout.fill.encode("latin-1"))
    body[: len(layout.starts[0])] = layout.starts[0].encode("latin-1")
    for column in layout.columns:
        _put(body, 0, column.at, _printed(told, column), b"0" if column.strip == "0" else b" ")
    by_name = {str(result.get("quantity")): result for result in results}
    for cell in layout.cells:
        result = by_name.get(cell.named) if cell.test or cell.quantity else next(iter(results), None)
        if result is not None:
            _cell(body, 0, cell, result, options)
    if repeat := layout.repeat:
        for number, result in enumerate(results):
            begins = repeat.at + number * repeat.each
            body[begins:] = b" " * repeat.each
            _cell(body, begins, repeat, result, options)
    return bytes(body)


def _printed(told: Mapping[str, Any], column: Column) -> bytes | None:
    fact = told.get(column.name)
    if fact is None:
        return None
    if column.name in ("date", "time"):
        form = "%H%M" if column.name == "time" else {6: "%y%m%d", 8: "%Y%m%d"}.get(column.at[1], "%Y-%m-%d")
        return bytes(fact.strftime(form).encode())
    return str(fact).encode("latin-1", "replace")


def _cell(body: bytearray, begins: int, cell: Cell, result: Mapping[str, Any], options: FixedRecordsOptions) -> None:
    item = options.by_test.get(str(result.get("test")), cell)
    number = as_sent(result.get("value"), item if item.decimals else cell)
    filler = b"0" if cell.decimals or re.fullmatch(r"0+", _held(body, begins, cell.value)) else b" "
    said = (
        (cell.value, number, filler),
        (cell.name_at, result.get("test"), b" "),
        (cell.unit_at, result.get("unit"), b" "),
        (cell.call, result.get("interpretation"), b" "),
        (cell.status, "0" if cell.status else None, b" "),
    )
    for place, fact, fill in said:
        if place is not None and fact is not None:
            _put(body, begins, place, str(fact).encode("latin-1", "replace"), fill)


def _held(body: bytearray, begins: int, place: Place | None) -> str:
    return "" if place is None else body[begins + place[0] : begins + sum(place)].decode("latin-1")


def _put(body: bytearray, begins: int, place: Place, data: bytes | None, filler: bytes) -> None:
    if data is None:
        return
    at, width = place
    if len(data) > width:
        raise ValueError(f"{data!r} does not fit into {width} bytes at {begins + at}")
    end = begins + at + width
    if len(body) < end:
        body.extend(b" " * (end - len(body)))
    body[begins + at : end] = data.rjust(width, filler)


def _identity(options: FixedRecordsOptions) -> Identity:
    names = {column.name for layout in options.records for column in layout.columns}
    return repeated(names, acknowledged=options.acknowledge)


DRIVER = Driver(
    name="fixed-records",
    summary="Instruments that send records of fixed columns, between marks or of a fixed size, acknowledged or not.",
    **ANY_RECORDS,
    options=FixedRecordsOptions,
    observes=FixedRecordsOptions.observed,
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    variants=VARIANTS,
    identity=_identity,
    evidence=Evidence.RECORDING,
    recordings=("github.com/elexis/elexis-3-base bundles/ch.elexis.connect.sysmex/testdaten",),
    sources=("The instrument's host interface manual: the table of its record's columns",),
    example="""\
[[devices]]
id = "counter-1"
driver = "fixed-records"
link = { type = "serial", port = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0", baudrate = 9600 }
acknowledge = true

[[devices.records]]
starts = "R1"
length = 34
columns = [ { name = "date", at = [2, 8] }, { name = "specimen", at = [10, 12], strip = "0" } ]
cells = [
  { test = "WBC", unit = "10*3/uL", value = [22, 5], flags = [27, 1], decimals = 2, low = 0, high = 99 },
  { test = "PLT", unit = "10*3/uL", value = [28, 5], flags = [33, 1], low = 10, high = 999, step = 1 },
]
fill = "R100000000000000000000000000000000"
""",
)
