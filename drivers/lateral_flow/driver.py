"""Rapid-test readers that print one delimited line a cassette. Which field is what is declared."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from drivers.kit.blocks import CHECKS, Blocks, Shape
from drivers.kit.checks import sum8
from drivers.kit.declare import Driver, Evidence, Identity, Message, Variant
from drivers.kit.exchange import DecodeError, Exchange, Reason, Speaker
from drivers.kit.lines import ACK, ETX, NAK, STX, Lines, text_of
from drivers.kit.observation import Draft, Interpretation, Json, Kind, Quality
from drivers.kit.printed import repeated
from drivers.kit.printer import Printer
from drivers.kit.values import plain_number
from drivers.kit.words import interpret
from drivers.lateral_flow.options import LateralFlowOptions


def host(options: LateralFlowOptions) -> Exchange:
    """The gateway's side: it listens, and acknowledges where that is declared."""
    reply, refusal = (ACK, NAK) if options.acknowledge else (b"", b"")
    if options.framing == "stx-etx":
        check = CHECKS["sum8"] if options.checksum == "sum8" else None
        return Blocks(Shape(check=check), reply=reply, refusal=refusal, quiet=options.quiet)
    return Lines(
        terminator=options.terminator.encode() if options.terminator else None,
        quiet=options.quiet,
        unterminated=options.unterminated,
        reply=reply,
    )


def decode(message: Message, options: LateralFlowOptions) -> Iterator[Draft]:
    """One draft an analyte of the cassette. DecodeError where the line has other fields than declared."""
    line = _text(message.data, options)
    if told := _remark(line, options):
        yield told
        return
    cells = _cells(line, options)
    analytes = [name for name in options.analytes if any(_own(cells, name).values())]
    if not analytes and not any(cell for name, cell in cells.items() if name.startswith("control")):
        raise DecodeError("the line holds no result")
    for analyte in analytes or options.analytes:
        draft = _draft(cells, analyte, options)
        if not message.sound and draft.quality is Quality.GOOD:
            draft = replace(draft, quality=Quality.UNCERTAIN, quality_reason="the line was broken off")
        yield draft


def _text(raw: bytes, options: LateralFlowOptions) -> str:
    data = raw.removesuffix(options.terminator.encode()) if options.terminator else raw
    try:
        text = (text_of(data) if options.framing == "stx-etx" else data).decode(options.encoding)
    except UnicodeDecodeError as error:
        what = f"not {options.encoding}: {error.reason} at byte {error.start}. Declare `encoding`."
        raise DecodeError(what, Reason.ENCODING) from None
    return text.removeprefix("\ufeff").strip("\r\n\0\x11\x13")


def _remark(line: str, options: LateralFlowOptions) -> Draft | None:
    plain = line.strip()
    if options.header and plain.casefold() == options.header.strip().casefold():
        return Draft(kind=Kind.EVENT, test="header", quantity="header", value=plain)
    if any(re.fullmatch(pattern, plain) for pattern in options.remarks):
        return Draft(kind=Kind.EVENT, test="remark", quantity="remark", value=plain)
    return None


def _cells(line: str, options: LateralFlowOptions) -> dict[str, str]:
    """Field name -> what the line says, without the blanks around it."""
    try:
        rows = list(
            csv.reader(
                [line],
                delimiter=options.delimiter,
                quotechar=options.quote or None,
                quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
                skipinitialspace=options.delimiter != " ",
                strict=True,
            )
        )
    except csv.Error as error:
        raise DecodeError(f"not a delimited line: {error}") from None
    if len(rows) != 1:
        raise DecodeError("not one delimited line")
    row, wanted = [cell.strip() for cell in rows[0]], len(options.fields)
    if len(row) == wanted + 1 and not row[-1]:
        row.pop()  # a delimiter after the last field
    if len(row) != wanted:
        raise DecodeError(f"{len(row)} fields where {wanted} are declared")
    return {column.name: cell for column, cell in zip(options.fields, row, strict=True) if column.name != "-"}


def _own(cells: Mapping[str, str], analyte: str) -> dict[str, str]:
    """The cells that say this analyte's result."""
    if not analyte:
        return {name: cells.get(name, "") for name in ("call", "test_line", "ratio", "value")}
    return {name: cells.get(f"{name}:{analyte}", "") for name in ("call", "test_line", "ratio", "value")}


def _draft(cells: Mapping[str, str], analyte: str, options: LateralFlowOptions) -> Draft:
    def said(name: str) -> str | None:
        """The analyte's own field, or the line's."""
        return cells.get(f"{name}:{analyte}", "") or cells.get(name, "") or None

    own = _own(cells, analyte)
    call = own["call"] or None
    interpretation = options.calls.get(call, call) if call else None
    value = call if options.measure == "call" else own[options.measure] or None
    attributes = _attributes(cells, analyte, options)
    quality, why = Quality.GOOD, None
    if fault := _control_fault(cells, analyte, options):
        quality, why = Quality.BAD, f"control line invalid: {fault}"
        if call:
            attributes["printed_call"] = call
        if value != call:
            attributes["printed_value"] = value
        value, interpretation = None, "invalid"
    elif interpretation and interpret(interpretation) is Interpretation.INVALID:
        quality, why = Quality.BAD, "the reader calls the test invalid"
        if options.measure != "call":
            attributes["printed_value"] = value
            value = None
    elif value is None:
        quality, why = Quality.UNCERTAIN, f"the line has no {options.measure.replace('_', ' ')}"
    specimen = said("specimen")
    return Draft(
        kind=Kind.QC if _is_control(specimen, said("kind"), options) else Kind.RESULT,
        test=cells.get(f"test:{analyte}") or analyte or said("test") or options.test or "result",
        value=value,
        unit=None if options.measure == "call" else said("unit") or _unit(options, analyte),
        interpretation=interpretation,
        specimen=specimen,
        patient=said("patient"),
        operator=said("operator"),
        lot=said("lot"),
        lot_expiry=said("lot_expiry"),
        run=said("run"),
        device_time=" ".join(text for name in ("date", "time") if (text := said(name))) or None,
        quality=quality,
        quality_reason=why,
        attributes=attributes,
    )


def _control_fault(cells: Mapping[str, str], analyte: str, options: LateralFlowOptions) -> str | None:
    """Why the control line does not count; None where it is valid, or no field says anything about it."""
    names = [name for name in (f"control:{analyte}", "control") if name in cells]
    if not names:
        return None
    said = next((cells[name] for name in names if cells[name]), "")
    if not said:
        return "the line does not say"
    rule = options.control_valid
    if isinstance(rule, tuple):
        valid = said.casefold() in (word.casefold() for word in rule)
        return None if valid else f"{said!r} is not one of the valid words"
    number = plain_number(said.removeprefix(">"), _decimal(options))
    if number is None:
        return f"{said!r} is not a number"
    return None if number >= Decimal(str(rule)) else f"{said} is below {rule:g}"


def _decimal(options: LateralFlowOptions) -> str:
    """The decimal sign, which every device's table can declare."""
    declared: str = getattr(options, "decimal", ".")
    return declared


def _is_control(specimen: str | None, kind: str | None, options: LateralFlowOptions) -> bool:
    starts = tuple(word.casefold() for word in options.qc)
    return any(text.casefold().startswith(starts) for text in (specimen, kind) if text)


def _unit(options: LateralFlowOptions, analyte: str) -> str | None:
    names = (f"{options.measure}:{analyte}", options.measure)
    return next((column.unit for column in options.fields if column.name in names), None)


def _attributes(cells: Mapping[str, str], analyte: str, options: LateralFlowOptions) -> dict[str, Json]:
    """The line intensities and what else the line says about this analyte; numbers as numbers."""
    told: dict[str, Json] = {}
    for column in options.fields:
        cell = cells.get(column.name, "")
        if not cell or column.analyte not in ("", analyte):
            continue
        if column.name.startswith("+"):
            told[column.name[1:]] = cell
        elif column.plain in ("control", "test_line", "ratio", "value") and column.plain != options.measure:
            told["control_line" if column.plain == "control" else column.plain] = _number(cell, _decimal(options))
            if column.unit:
                told[f"{column.plain}_unit"] = column.unit
        elif column.name in ("serial", "panel", "kind") or (column.name == "test" and analyte):
            told["panel" if column.name == "test" else column.name] = cell
    return told


def _number(text: str, decimal: str) -> Json:
    number = plain_number(text, decimal)
    if number is None or abs(number) >= 10**15:
        return text
    return int(number) if number == number.to_integral_value() and "." not in text else float(number)


def instrument(options: LateralFlowOptions) -> Speaker:
    """A simulated reader."""
    return Printer(acknowledged=options.acknowledge)


def encode(drawn: Mapping[str, Any], options: LateralFlowOptions) -> bytes:
    """The line of one cassette; a line a result where `fields` names no analytes but several results were drawn."""
    results = list(drawn.get("results", ()))
    if options.analytes == ("",):
        return b"".join(_line(drawn, {"": result}, options) for result in results or [{}])
    named = {str(result.get("test") or result.get("quantity")): result for result in results}
    return _line(drawn, named, options)


def _line(drawn: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]], options: LateralFlowOptions) -> bytes:
    first = next(iter(results.values()), {})
    row = [
        _cell(column.plain, drawn, results.get(column.analyte, {} if column.analyte else first), options)
        for column in options.fields
    ]
    written = io.StringIO()
    csv.writer(
        written,
        delimiter=options.delimiter,
        quotechar=options.quote or None,
        quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
        escapechar=None if options.quote else "\\",
        lineterminator="",
    ).writerow(row)
    text = written.getvalue().encode(options.encoding, "replace")
    if options.framing == "lines":
        return text + (options.terminator.encode() if options.terminator else b"\r\n")
    frame = STX + text + ETX
    return frame + (b"%02X" % sum8(frame[1:]) if options.checksum == "sum8" else b"")


def _cell(name: str, drawn: Mapping[str, Any], result: Mapping[str, Any], options: LateralFlowOptions) -> str:
    invalid = result.get("interpretation") == "invalid"
    said: object = None
    if name in ("time", "date"):
        both = any(column.name == "date" for column in options.fields)
        said = drawn["time"].strftime("%Y-%m-%d" if name == "date" else "%H:%M:%S" if both else "%Y-%m-%d %H:%M:%S")
    elif name == "call":
        spoken = {word: sent for sent, word in options.calls.items()}
        call = str(result.get("interpretation") or result.get("value") or "")
        said = spoken.get(call, call)
    elif name == "control":
        said = result.get("control_line")
        if isinstance(options.control_valid, tuple):
            said = "INVALID" if invalid else options.control_valid[0]
        elif said is None and result:
            said = 0 if invalid else f"{options.control_valid:g}"
    elif name in PRINTED:
        said = result.get(name)
    elif name == "kind":
        said = options.qc[0] if drawn.get("kind") == "qc" and options.qc else "SAMPLE"
    elif name != "-":
        said = drawn.get(name.removeprefix("+"))
        if (
            name == "specimen"
            and drawn.get("kind") == "qc"
            and options.qc
            and not _is_control(str(said), None, options)
        ):
            said = f"{options.qc[0]}-{said or 1}"
    return "" if said is None else str(said)


PRINTED = ("test", "test_line", "ratio", "value", "unit")


def _identity(options: LateralFlowOptions) -> Identity:
    return repeated({column.name for column in options.fields}, acknowledged=options.acknowledge)


FLU = (
    *("date", "time", "run", "specimen", "operator", "lot", "lot_expiry", "control"),
    *("call:sars-cov-2", "test_line:sars-cov-2", "call:flu-a", "test_line:flu-a", "call:flu-b", "test_line:flu-b"),
)

DRIVER = Driver(
    name="lateral-flow",
    maker="any",
    summary="Rapid-test readers that print one delimited line a cassette; which field is what is declared.",
    links=("serial", "tcp-listen", "tcp", "file"),
    options=LateralFlowOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="cassettes",
    variants=(
        Variant(name="multiplex", options={"fields": FLU}, note="three analytes on one cassette, one control line"),
        Variant(
            name="framed",
            options={"framing": "stx-etx", "checksum": "sum8", "acknowledge": True},
            note="lines between STX and ETX with a checksum, each acknowledged",
        ),
    ),
    identity=_identity,
    link_settings={"baudrate": 9600, "bytesize": 8, "parity": "none", "stopbits": 1},
    evidence=Evidence.MANUAL,
    sources=("The reader's manual, section on its printer or LIS port: the order of its fields",),
    example="""\
[[devices]]
id = "reader-1"
driver = "lateral-flow"
link = { type = "serial", port = "/dev/serial/by-id/usb-Prolific_USB-Serial-if00-port0", baudrate = 9600 }
timezone = "Asia/Karachi"
delimiter = ";"
fields = [
  "date", "time", "run", "specimen", "operator", "test", "control", "test_line", "ratio", "call", "lot", "lot_expiry",
]
control_valid = 200.0
calls = { POS = "positive", NEG = "negative" }
""",
)
