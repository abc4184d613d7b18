"""Any analyser that speaks LIS02-A2 / ASTM E1394 records, over LIS01-A2 / E1381 frames or as plain lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drivers.astm.dialects import VARIANTS, recognised
from drivers.astm.options import AstmOptions
from drivers.kit.analyser import host, instrument
from drivers.kit.declare import Driver, Evidence, Message
from drivers.kit.observation import Draft, Json, Kind, Quality
from drivers.kit.records import Parts, Record, write
from drivers.kit.results import Reader, finished, loinc, remarks_alone, whole_records

_NUMBER = re.compile(r"[<>]?=?\s*[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d]{2,}[^\d]*")


def decode(message: Message, options: AstmOptions) -> Iterator[Draft]:
    """One draft a result; queries are no results. DecodeError where the records cannot be read."""
    records, doubtful = whole_records(message, options.encoding)
    # Of a message that broke off, an order without its results says nothing yet.
    told = ((record, _draft(record, options)) for record in records if record.letter == "R")
    yield from finished((*told, *(remarks_alone(records) if message.sound else ())), message, records[-1], doubtful)


def _draft(record: Record, options: AstmOptions) -> Draft:
    header = record.above("H")
    sender = "" if header is None else f"{header.text(5)} {header.text(6)}".strip()
    options, dialect = recognised(sender, options)
    reader = Reader(record)
    value, call, extra = _value(reader, options)
    when, source = reader.time(options.time)
    status, quality, why = reader.status()
    if call is None and value is None and quality is Quality.GOOD:
        quality, why = Quality.UNCERTAIN, "the result has no value"
    if "components" in extra and quality is Quality.GOOD:
        quality, why = Quality.UNCERTAIN, "the value has several components: declare which in `value`"
    specimen, _ = reader.first(options.specimen)
    patient, _ = reader.first(options.patient)
    operator, _ = reader.first(options.operator)
    unit, _ = reader.first([options.unit] if options.unit else [])
    flags = _flags(reader, options.flags)
    run, _ = reader.first(options.run)
    lot, _ = reader.first(options.lot)
    lot_expiry, _ = reader.first(options.lot_expiry)
    code = next((code for place in options.loinc if (code := loinc(reader.peek(place)))), None)
    test = record.raw(3).strip() or reader.peek("O5") or "result"
    reader.used("R3")
    attributes = reader.attributes(options.demographics) | extra
    if source:
        attributes["time_source"] = source
    if dialect:
        attributes["dialect"] = dialect
    identity = None
    if specimen and when and source and source.startswith("R"):
        identity = (
            specimen,
            test,
            when,
            record.text(4),
            unit or "",
            "\\".join(flags),
            record.text(9),
            run or record.text(14),
        )
    return Draft(
        kind=Kind.QC if any(mark.fits(record) for mark in options.qc) else Kind.RESULT,
        test=test,
        value=value,
        code=code,
        unit=unit,
        interpretation=call,
        flags=flags,
        status=status,
        specimen=specimen,
        patient=patient,
        operator=operator,
        lot=lot,
        lot_expiry=lot_expiry,
        run=run,
        device_time=when,
        now=reader.peek("H14") or None,
        identity=identity,
        extent=record.end,
        quality=quality,
        quality_reason=why,
        attributes=attributes,
    )


def _flags(reader: Reader, place: str) -> tuple[str, ...]:
    if not place:
        return ()
    number = int(place[1:].partition(".")[0])
    source = reader.record.above(place[0])
    if source is None:
        return ()
    reader.used(place)
    return tuple(part.strip(source.delimiters.component) for part in source.repeats(number))


def _value(reader: Reader, options: AstmOptions) -> tuple[str | None, str | None, dict[str, Json]]:
    """The value as sent, the call where one stands beside it, and what else the field says."""
    number, _, component = options.value[1:].partition(".")
    record = reader.record
    whole = record.text(int(number)).strip(record.delimiters.component + " ")
    reader.used(f"R{number}")
    pieces = record.components(int(number))
    told = [piece for piece in pieces if piece]
    repeated = len(record.repeats(int(number))) > 1
    value, call, extra = told[0] if len(told) == 1 and not repeated else whole, None, dict[str, Json]()
    if component == "*":
        value = whole
    elif component:
        value = record.component(int(number), int(component))
        if value != whole:
            extra[f"R{number}"] = whole
    elif options.qualitative and pieces and pieces[0] in options.qualitative:
        call = options.qualitative[pieces[0]]
        value = pieces[1] if len(pieces) > 1 else ""
        extra[f"R{number}"] = whole
    elif len(told) == 2 and not repeated and _NUMBER.fullmatch(told[0]) and _WORD.fullmatch(told[1]):
        value, call = told
    elif repeated or len(told) > 1:
        extra["components"] = list(record.repeats(int(number)) if repeated else told)
    if options.value_pattern and (match := re.search(options.value_pattern, value)):
        named = match.groupdict()
        if named.get("value"):
            extra |= {name: text for name, text in named.items() if name != "value" and text}
            extra[f"R{number}"] = whole
            value = named["value"]
    return value or None, call, extra


_LETTERS = {"final": "F", "preliminary": "P", "corrected": "C", "cancelled": "X"}


def encode(drawn: Mapping[str, Any], options: AstmOptions) -> bytes:
    """One message: header, patient, order, results, terminator.

    `drawn` has `time` (aware), `kind`, `results` (test, value, unit, interpretation, flags, status), and may have
    specimen, patient, operator, lot, lot_expiry, run; they go where the options say the driver finds them.
    """
    when = drawn["time"].strftime("%Y%m%d%H%M%S")
    quality_control = drawn.get("kind") == "qc"
    results = list(drawn.get("results", ()))
    header = _row("H", {5: ("Simulated Analyser", "1.0", "SIM-1"), 12: "P", 13: "LIS2-A2", 14: when})
    patient = _row("P", {2: "1"})
    tests = {_test(result) for result in results}
    order = _row("O", {2: "1", 5: _parts(tests.pop() if len(tests) == 1 else "^^^ALL")})
    order[11] = "Q" if quality_control else ""
    order[25] = "F"
    rows = {"H": header, "P": patient, "O": order}
    lines = [header, patient, order]
    for count, result in enumerate(results, start=1):
        rows["R"] = _row("R", {2: str(count), 3: _parts(_test(result)), 12: when})
        for name in ("specimen", "patient", "operator", "run", "lot", "lot_expiry"):
            _put(rows, getattr(options, name), drawn.get(name))
        _put(rows, options.time, when)
        _put(rows, (options.unit or "R5",), result.get("unit"))
        rows["R"][3] = _sent(result, options)
        rows["R"][6] = list(result.get("flags") or ())
        rows["R"][8] = _LETTERS.get(str(result.get("status") or "final"), "F")
        lines.append(rows["R"])
    return write([*lines, ["L", "1", "N"]]).encode(options.encoding or "utf-8", "replace")


def _test(result: Mapping[str, Any]) -> str:
    return str(result.get("test") or f"^^^{result['quantity']}")


def _parts(test: str) -> tuple[str, ...]:
    return tuple(test.split("^"))


def _row(letter: str, fields: Mapping[int, Parts | list[Parts]]) -> list[Parts | list[Parts]]:
    row: list[Parts | list[Parts]] = [""] * 35
    row[0] = letter
    for number, text in fields.items():
        row[number - 1] = text
    return row


def _put(rows: Mapping[str, list[Parts | list[Parts]]], places: Sequence[str], text: object) -> None:
    """Write `text` where the driver looks first for it."""
    if not places or text is None:
        return
    number, _, component = places[0][1:].partition(".")
    row, index = rows[places[0][0]], int(number) - 1
    if not component:
        row[index] = str(text)
        return
    held = row[index]
    pieces = list(held) if isinstance(held, tuple) else [str(held)]
    pieces += [""] * (int(component) - len(pieces))
    pieces[int(component) - 1] = str(text)
    row[index] = tuple(pieces)


def _sent(result: Mapping[str, Any], options: AstmOptions) -> Parts:
    value = "" if result.get("value") is None else str(result["value"])
    call = result.get("interpretation")
    if call is None:
        return value
    codes = [code for code, word in options.qualitative.items() if word == call]
    if codes:
        return (codes[0], value)
    return (value, str(call)) if value else str(call)


DRIVER = Driver(
    name="astm",
    maker="any",
    summary="Any analyser that sends LIS02-A2 / ASTM E1394 records, over LIS01-A2 / E1381 frames or as plain lines.",
    links=("tcp-listen", "serial", "tcp", "file"),
    options=AstmOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="chemistry",
    variants=VARIANTS,
    link_settings={"baudrate": 9600, "bytesize": 8, "parity": "none", "stopbits": 1},
    evidence=Evidence.RECORDING,
    recordings=("github.com/blutspende/go-astm", "github.com/deforay/intelis-interfacing"),
    sources=("CLSI LIS01-A2 / ASTM E1381-95", "CLSI LIS02-A2 / ASTM E1394-97"),
    example="""\
[[devices]]
id = "analyser-1"
driver = "astm"
link = { type = "tcp-listen", host = "0.0.0.0", port = 5001, allow = ["10.20.0.0/24"] }
timezone = "Asia/Karachi"
tests."^^^CRP" = { quantity = "crp", loinc = "1988-5", unit = "mg/L" }
""",
)
