"""Any analyser that speaks LIS02-A2 / ASTM E1394 records, over LIS01-A2 / E1381 frames or as plain lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from drivers.astm.dialects import VARIANTS, recognised
from drivers.astm.options import AstmOptions
from drivers.astm.reading import Read, displaced, flags, read
from drivers.kit.analyser import host, instrument
from drivers.kit.astm_places import pool
from drivers.kit.declare import Driver, Evidence, Message
from drivers.kit.observation import Comparator, Draft, Json, Kind, Quality, Status
from drivers.kit.records import Parts, Record, write
from drivers.kit.results import Reader, comment, finished, loinc, remarks_alone, whole_records
from drivers.kit.values import number


def decode(message: Message, options: AstmOptions) -> Iterator[Draft]:
    """One draft a result; queries are no results. DecodeError where the records cannot be read."""
    records, doubtful = whole_records(message, options.encoding, options.checksum == "required")
    failed = [record for record in records if _could_not_be_done(record)] if message.sound else []
    # Of a message that broke off, an order without its results says nothing yet.
    setting = _Setting(options)
    told = [(record, _draft(record, setting)) for record in records if record.letter == "R" or record in failed]
    if message.sound:
        told += remarks_alone(records, failed)
    yield from finished(told, message, records[-1], doubtful)


def _could_not_be_done(record: Record) -> bool:
    """An order whose report type says so, and for which no result comes (LIS02-A2 8.4.26)."""
    return record.letter == "O" and record.first_result is None and record.text(26).upper() == "X"


class _Setting:
    """What is the same for all results below one record: found once a message."""

    def __init__(self, options: AstmOptions) -> None:
        self._options = options
        self._dialects: dict[int, tuple[AstmOptions, str | None]] = {}
        self._controls: dict[int, bool] = {}

    def dialect(self, record: Record) -> tuple[AstmOptions, str | None]:
        """The options to read it by, and the dialect's name."""
        header = record.above("H")
        if header is None:
            return recognised("", "", self._options)
        if id(header) not in self._dialects:
            sender = f"{header.text(5)} {header.text(6)}".strip()
            self._dialects[id(header)] = recognised(sender, header.text(12), self._options)
        return self._dialects[id(header)]

    def is_control(self, record: Record, options: AstmOptions) -> bool:
        """True for a control material's."""
        above = record.parent if record.letter == "R" else record
        if above is None:
            return any(mark.fits(record) for mark in options.qc)
        if id(above) not in self._controls:
            self._controls[id(above)] = any(mark.fits(record) for mark in options.qc if mark.field[0] != "R")
        return self._controls[id(above)] or any(mark.fits(record) for mark in options.qc if mark.field[0] == "R")


def _draft(record: Record, setting: _Setting) -> Draft:
    """A result; or an order that could not be done: a result without a value."""
    options, dialect = setting.dialect(record)
    reader = Reader(record)
    result = record.letter == "R"
    found = read(reader, options) if result else Read(doubt=_why(record))
    when, source = reader.time(options.time)
    marks = flags(reader, _places(options.flags)) + found.flags
    call = found.call
    if call is None and (found.value is None or number(found.value) is not None):
        call = displaced(reader, options.status)
    if call is None and found.value is None:
        call = next((options.flagged[mark] for mark in marks if mark in options.flagged), None)
    status, quality, why = reader.status(options.status, options.statuses)
    if not result:
        status, quality, why = Status.CANCELLED, Quality.BAD, found.doubt
    elif quality is Quality.GOOD:
        quality, why = _judged(found, call, marks, options)
    specimen, _ = reader.first(options.specimen)
    patient, _ = reader.first(options.patient)
    operator, _ = reader.first(options.operator)
    run, _ = reader.first(options.run)
    lot, _ = reader.first(options.lot)
    lot_expiry, _ = reader.first(options.lot_expiry)
    code = next((code for place in options.loinc if (code := loinc(reader.peek(place)))), None)
    test = _test_of(record, options) or reader.peek("O5") or "result"
    reader.used("R3")
    unit = reader.unit(options.unit)
    attributes = reader.attributes(options.demographics) | found.extra | _asides(record, found, source, dialect, test)
    identity = None
    if result and specimen and when and source and source.startswith("R"):
        identity = (
            specimen,
            record.raw(3).strip() or test,
            when,
            record.text(4),
            unit or "",
            "\\".join(marks),
            record.text(9),
            run or record.text(14),
        )
    return Draft(
        kind=_kind(record, found, options, setting),
        test=test,
        codes=_codes(record, options),
        quantity=_quantity(record, options),
        value=found.value,
        comparator=_beyond(found, marks),
        code=code,
        unit=unit,
        interpretation=call,
        flags=marks,
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


def _beyond(found: Read, marks: tuple[str, ...]) -> Comparator | None:
    """R7's `<` and `>`: beyond the instrument's scale, which ends at the number sent (LIS02-A2 9.8)."""
    low, high = "<" in marks, ">" in marks
    if low == high or found.value is None or not re.fullmatch(r"[-+]?\d[\d.,]*", found.value.strip()):
        return None
    return "<" if low else ">"


def _kind(record: Record, found: Read, options: AstmOptions, setting: _Setting) -> Kind:
    """A picture, or a row that names the result in the analyser's memory, is no result."""
    if found.picture or options.aspects.get(_last(record)) == "-":
        return Kind.EVENT
    return Kind.QC if setting.is_control(record, options) else Kind.RESULT


def _judged(found: Read, call: str | None, marks: tuple[str, ...], options: AstmOptions) -> tuple[Quality, str | None]:
    if found.picture:
        return Quality.GOOD, None
    if found.masked:
        return Quality.BAD, found.doubt
    if found.doubt:
        return Quality.UNCERTAIN, found.doubt
    if found.value is None and call is None:
        return Quality.UNCERTAIN, "the result has no value"
    if doubtful := next((mark for mark in marks if mark in options.doubtful_flags), None):
        return Quality.UNCERTAIN, f"the instrument does not rely on the value: flag {doubtful}"
    return Quality.GOOD, None


def _why(order: Record) -> str:
    """What the instrument says about an order it could not do."""
    return next((text for each in order.comments if (text := comment(each))), "the order could not be done")


def _places(place: str | tuple[str, ...]) -> tuple[str, ...]:
    return place if isinstance(place, tuple) else (place,) if place else ()


def _last(record: Record) -> str:
    """The last component of R3 that says something."""
    return next((piece for piece in reversed(record.components(3)) if piece), "") if record.letter == "R" else ""


def _test_of(record: Record, options: AstmOptions) -> str:
    """R3 as sent (of an order O5); without what differs from run to run where that is declared."""
    raw = record.raw(3 if record.letter == "R" else 5).strip()
    mark = record.delimiters.component
    if not options.passing or not mark or mark not in raw:
        return raw
    pieces = raw.split(mark)
    return mark.join("" if place in options.passing else piece for place, piece in enumerate(pieces, 1)).rstrip(mark)


def _codes(record: Record, options: AstmOptions) -> tuple[str, ...] | None:
    """What else `tests` may know it by: a LOINC code, the maker's code and name (components 4 and 5), or where a maker
    begins with them components 1 and 2. An interpretation or a signal is not found by its test's code."""
    if record.letter != "R":
        return None
    if options.aspects.get(_last(record)):
        return ()
    first, second, _, code, name = (*record.components(3), *("",) * 5)[:5]
    named = re.search(options.name, record.text(3)) if options.name else None
    told = (first if loinc(first) else "", code, name, named[1] if named else "", first, second if first else "")
    return tuple(piece for piece in told if piece)


def _quantity(record: Record, options: AstmOptions) -> str | None:
    """A name of the dialect's own making, where it has one."""
    if record.letter != "R":
        return None
    if options.name and (match := re.search(options.name, record.text(3))):
        return _slug(match[1])
    if record.delimiters.component not in ("^", ""):  # the normaliser takes names apart at the usual delimiters only
        return _slug(next((piece for piece in record.components(3) if re.search(r"[^\W\d]", piece)), record.text(3)))
    if options.aspects and (aspect := options.aspects.get(_last(record))) is not None:
        told = [piece for piece in record.components(3) if piece]
        return _slug(f"{told[min(1, len(told) - 1)]} {aspect.strip('-')}")
    return None


def _slug(text: str) -> str | None:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or None


def _asides(record: Record, found: Read, source: str | None, dialect: str | None, test: str) -> dict[str, Json]:
    """What the attributes say besides the fields that were not given out."""
    told: dict[str, Json] = {}
    if source:
        told["time_source"] = source
    if dialect:
        told["dialect"] = dialect
    if found.picture:
        told["picture"] = found.picture
    if several := pool(record):
        told["pool"] = list(several)
    if record.letter == "R" and test != (raw := record.raw(3).strip()) and raw:
        told["R3"] = raw
    return told


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
        if options.call and result.get("value") is not None:
            _put(rows, (options.call,), result.get("interpretation"))
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
    for place, text in fields.items():
        row[place - 1] = text
    return row


def _put(rows: Mapping[str, list[Parts | list[Parts]]], places: Sequence[str], text: object) -> None:
    """Write `text` where the driver looks first for it."""
    if not places or text is None:
        return
    number, _, component = places[0][1:].partition(".")
    row, index = rows[places[0][0]], int(number) - 1
    if not component or component == "*":
        row[index] = str(text)
        return
    held = row[index]
    pieces = list(held) if isinstance(held, tuple) else [str(held)]
    pieces += [""] * (int(component) - len(pieces))
    pieces[int(component) - 1] = str(text)
    row[index] = tuple(pieces)


def _sent(result: Mapping[str, Any], options: AstmOptions) -> Parts:
    value = "" if result.get("value") is None else _written(result["value"], options)
    call = result.get("interpretation")
    _, _, component = options.value.partition(".")
    if component.isdigit():  # the simulator has nothing for the components before and behind it
        return (*[""] * (int(component) - 1), value or str(call or ""))
    if call is None:
        return value
    codes = [code for code, word in options.qualitative.items() if word == call]
    if codes:
        return (codes[0], value)
    return (value, str(call)) if value else str(call)


def _written(value: object, options: AstmOptions) -> str:
    """A number with the decimal sign the variant's device has."""
    decimal: str = getattr(options, "decimal", ".")
    text = str(value)
    return text.replace(".", decimal) if re.fullmatch(r"[<>]?[-+]?\d*\.\d+", text) else text


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
    recordings=(
        "github.com/blutspende/go-astm",
        "github.com/deforay/intelis-interfacing",
        "github.com/senaite/senaite.astm",
    ),
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
