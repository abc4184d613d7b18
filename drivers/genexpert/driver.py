"""Cepheid GeneXpert: a call and a number side by side in R4, and rows of cycle thresholds below each result.

R3 is `^panel^^test code^assay name^version^analyte^complementary name`; single tests have no panel (LIS Interface
Protocol Specification 301-2002, 6.3.4.1.6). A row with an assay's name is a result of the test; rows below it tell
what it rests on: the call of each target and control (POS, NEG, PASS, ...) and their `Ct`, `EndPt`, `Delta Ct`. Those
have its time, operator and cartridge. The key of the device's `tests` map is R3 as sent, for example
`^^^HIV-1_VL 2 2^Xpert_HIV-1 Viral Load^2^^`, or for a result of the test its code alone, `HIV-1_VL 2 2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from drivers.genexpert.options import GeneXpertOptions
from drivers.kit.analyser import host, instrument
from drivers.kit.astm_places import pool
from drivers.kit.declare import Driver, Evidence, Message, Variant
from drivers.kit.observation import Comparator, Draft, Interpretation, Json, Kind, Quality
from drivers.kit.records import Delimiters, Parts, Record, write
from drivers.kit.results import Reader, finished, remarks_alone, whole_records

DELIMITERS = Delimiters("|", "@", "^", "\\")

# What the software says in the languages it speaks (LIS guidance 303-0251 section 3, 302-7279 section 7).
_NO_RESULT = re.compile(
    r"(?i)(ERROR|ERREUR|FEHLER|ERRORE|ERRO|NO RESULT|PAS DE RÉSULTAT|AUCUN RÉSULTAT|KEIN ERGEBNIS|SIN RESULTADO"
    r"|NESSUN RISULTATO|SEM RESULTADO)(?!\w).*"
)
_INVALID = frozenset({"INVALID", "INVALIDE", "NON VALIDE", "UNGÜLTIG", "NO VÁLIDO", "NON VALIDO", "INVÁLIDO"})
_CHECKS = frozenset({"PASS", "FAIL", "NA", "RÉUSSITE", "ÉCHEC", "S/O"})  # of the cartridge's own controls and probes
# The cartridge's own controls, by name: sample processing and adequacy, internal standards, probe checks.
_CONTROL = re.compile(r"(SPC|SAC|IQS|QC|PCC|CIC|IC)([ _-].*)?")
_LOGARITHMS = {"copies/ml": "{Log_copies}/mL", "cp/ml": "{Log_copies}/mL", "iu/ml": "{Log_IU}/mL"}
_NOBODY = "<None>"
_TIMES = ("R13", "R12")
_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {"detected": "DETECTED", "not-detected": "NOT DETECTED", "invalid": "INVALID", "error": "ERROR"},
    "fr": {"detected": "DÉTECTÉ", "not-detected": "NON DÉTECTÉ", "invalid": "INVALIDE", "error": "ERREUR"},
}


def decode(message: Message, options: GeneXpertOptions) -> Iterator[Draft]:
    """One draft a row, complementary rows included. DecodeError where the records cannot be read."""
    records, doubtful = whole_records(message, options.encoding, options.checksum == "required")
    told = _drafts(records, options)
    yield from finished((*told, *(remarks_alone(records) if message.sound else ())), message, records[-1], doubtful)


def _drafts(records: list[Record], options: GeneXpertOptions) -> Iterator[tuple[Record, Draft]]:
    main: Record | None = None  # the latest result row: rows below it say only what differs
    for record in records:
        if record.letter != "R":
            continue
        if main is None or main.parent is not record.parent or _is_main(record):
            main = record
        yield record, _draft(record, main, options)


def _is_main(record: Record) -> bool:
    """A result of the test, and not what it rests on."""
    if record.component(3, 8):
        return False
    return bool(record.component(3, 5)) or (not record.component(3, 7) and bool(record.raw(9) or record.raw(13)))


def _draft(record: Record, main: Record, options: GeneXpertOptions) -> Draft:
    reader, above = Reader(record), Reader(main)
    value, call, comparator = _value(record)
    reader.used("R4")
    when, source = reader.time(_TIMES)
    if when is None:
        when, source = above.time(_TIMES)
    if when is None:
        when, source = reader.time(("H14",))
    status, quality, why = reader.status()
    specimen, _ = reader.first(options.specimen)
    patient, _ = reader.first(options.patient)
    unit = _unit(record, reader)
    operator = next((told for told in (reader.peek("R11"), above.peek("R11")) if told not in ("", _NOBODY)), None)
    reader.used("R11")
    reader.used("R7")
    flags = tuple(record.repeats(7))
    # System, instrument, module, cartridge serial, reagent lot, its expiry.
    cartridge = record.components(14) or main.components(14)
    run, lot, expiry = (part or None for part in [*cartridge, *("",) * 6][3:6])
    test = record.raw(3).strip() or reader.peek("O5") or "result"
    reader.used("R3")
    attributes = reader.attributes(options.demographics)
    if main is not record:
        attributes["result"] = main.raw(3).strip()
    if several := pool(record):
        attributes["pool"] = list(several)
    if source:
        attributes["time_source"] = source
    if call == Interpretation.INVALID:
        error = _error(main)
        attributes |= error
        if quality is Quality.GOOD and _NO_RESULT.fullmatch(value or ""):
            quality, why = Quality.BAD, f"{value} {error.get('error_code', '')}".strip()
    if value is None and quality is Quality.GOOD:
        quality, why = Quality.UNCERTAIN, "the result has no value"
    identity = None
    if specimen and when and source != "H14":
        identity = (specimen, test, when, record.text(4), unit or "", "\\".join(flags), record.text(9), main.text(14))
    return Draft(
        kind=_kind(record, main, options),
        test=test,
        codes=_codes(record) if main is record else (),
        quantity=_quantity(record, main),
        value=value,
        unit=unit,
        comparator=comparator,
        interpretation=call,
        flags=flags,
        status=status,
        specimen=specimen,
        patient=patient,
        operator=operator,
        lot=lot,
        lot_expiry=expiry,
        run=run,
        device_time=when,
        now=reader.peek("H14") or None,
        identity=identity,
        extent=record.end,
        quality=quality,
        quality_reason=why,
        attributes=attributes,
    )


def _value(record: Record) -> tuple[str | None, str | None, Comparator | None]:
    """R4 is `call^number`, either alone or both. A number is never made up where only a call was sent."""
    pieces = record.components(4)
    call = pieces[0] if pieces else ""
    number = pieces[1] if len(pieces) > 1 else ""
    if call.upper() in _INVALID or _NO_RESULT.fullmatch(call):
        return call, Interpretation.INVALID, None
    if not number:
        return call or None, None, None
    flag: Comparator | None = next((mark for mark in ("<", ">") if mark in record.repeats(7)), None)
    return number, call or None, flag if number[0].isdigit() else None


def _unit(record: Record, reader: Reader) -> str | None:
    """R5; beside the row of the logarithm it is the unit of what the logarithm is of."""
    unit = reader.unit("R5")
    if unit and record.component(3, 8).upper() == "LOG":
        return _LOGARITHMS.get(unit.replace(" ", "").casefold(), f"log({unit})")
    return unit


def _kind(record: Record, main: Record, options: GeneXpertOptions) -> Kind:
    """Rows of the cartridge's controls, and of the rows below a result PASS, FAIL and INVALID, say how control or probe
    fared: no result of the specimen's."""
    if any(mark.fits(record) for mark in options.qc):
        return Kind.QC
    if _CONTROL.fullmatch(record.component(3, 7)):
        return Kind.STATUS
    call = record.component(4, 1).upper()
    checks = main is not record and (call in _CHECKS | _INVALID or _NO_RESULT.fullmatch(call))
    return Kind.STATUS if checks else Kind.RESULT


def _codes(record: Record) -> tuple[str, ...]:
    """What else a result may be called by: its code; of a panel the result's name, of a single test the assay's."""
    if record.component(3, 8):
        return ()
    return record.component(3, 4), record.component(3, 7 if record.component(3, 2) else 5)


def _quantity(record: Record, main: Record) -> str | None:
    """A name of our own: of a panel the result's, of a single test its code; then target and complementary name."""
    target, name = _slug(record.component(3, 7)), _slug(record.component(3, 8))
    panel, result = main.component(3, 2), _slug(main.component(3, 7))
    if panel and result:
        if main is record:
            return result
        own = target.removeprefix(f"{result}-") if target != result else ""
        parts = [result, own or ("" if name else "target" if target else "unnamed"), name]
    else:
        code = record.component(3, 4) or record.component(3, 2) or main.component(3, 4) or panel
        parts = [_slug(code), target, name]
    return "-".join(part for part in parts if part) or None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _error(record: Record) -> dict[str, Json]:
    """The error a C record tells: `Error^code^what^detail^time`."""
    for comment in record.comments:
        parts = [*comment.components(4), "", "", "", ""]
        if comment.letter == "C" and parts[0].upper() in ("ERROR", "ERREUR") and parts[1]:
            return {"error_code": parts[1], "error": ": ".join(part for part in parts[2:4] if part)}
    return {}


def encode(drawn: Mapping[str, Any], options: GeneXpertOptions) -> bytes:
    """One message. `drawn`: `time` (aware), `results` (test, value, interpretation, unit, ...), and specimen,
    patient, operator, lot, lot_expiry, run, error_code where there are any."""
    when = drawn["time"].strftime("%Y%m%d%H%M%S")
    told = {
        name: str(drawn.get(name) or "") for name in ("specimen", "patient", "operator", "lot", "lot_expiry", "run")
    }
    cartridge = ("GeneXpert-SIM", "SIM-1", "1", told["run"], told["lot"], told["lot_expiry"])
    control = "Q" if drawn.get("kind") == "qc" else ""
    results = list(drawn.get("results", ()))
    first = _test(results[0]) if results else ""
    code = next((part for part in first.split("^") if part), "")
    sender = ("Simulated", "GeneXpert", "6.2")
    rows: list[list[Parts | list[Parts]]] = [
        ["H", "", f"SIM-{when}", "", sender, "", "", "", "", "", "", "P", "1394-97", when],
        ["P", "1", "", told["patient"]],
        ["O", "1", told["specimen"], "", ("", "", "", code), "R", when, *[""] * 4, control, *[""] * 3, "ORH"]
        + [""] * 9
        + ["F"],
    ]
    for count, result in enumerate(results, start=1):
        sent = tuple(_test(result).split("^"))
        row: list[Parts | list[Parts]] = ["R", str(count), sent, _sent(result, options)]
        if len(sent) < 8 or not sent[7]:
            flags: list[Parts] = list(result.get("flags") or ())
            row += [str(result.get("unit") or ""), "", flags, "", _status(result), "", told["operator"], when, when]
            row.append(cartridge)
        rows.append(row)
        if error := result.get("error_code"):
            rows.append(["C", "1", "I", ("Error", str(error), "Operation terminated"), "N"])
    return write([*rows, ["L", "1", "N"]], DELIMITERS).encode(options.encoding or "utf-8", "replace")


def _test(result: Mapping[str, Any]) -> str:
    return str(result.get("test") or f"^^^{result['quantity']}^^^^")


def _status(result: Mapping[str, Any]) -> str:
    return {"preliminary": "P", "corrected": "C", "cancelled": "X"}.get(str(result.get("status")), "F")


def _sent(result: Mapping[str, Any], options: GeneXpertOptions) -> tuple[str, str]:
    call, value = result.get("interpretation"), result.get("value")
    word = "" if call is None else _WORDS[options.language].get(str(call), str(call).upper())
    if isinstance(value, str) and call is None and not value[:1].isdigit():
        return _WORDS[options.language].get(value, value), ""
    number = "" if value is None else str(value)
    return word, number.replace(".", ",") if options.language == "fr" else number


DRIVER = Driver(
    name="genexpert",
    maker="Cepheid",
    summary="GeneXpert systems (Dx, Xpert Check, Infinity) sending results over ASTM, in any of their languages.",
    links=("tcp-listen", "serial", "tcp", "file"),
    options=GeneXpertOptions,
    quantities=(),
    host=lambda options: host(options, DELIMITERS),
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="genexpert",
    variants=(
        Variant(
            name="fr",
            models=("GeneXpert, French software",),
            options={"language": "fr"},
            evidence=Evidence.RECORDING,
            recordings=("github.com/deforay/intelis-interfacing GeneXpert captures, French",),
            device={"decimal": ","},
            note="Numbers come with a decimal comma.",
        ),
    ),
    evidence=Evidence.RECORDING,
    recordings=(
        "github.com/deforay/intelis-interfacing GeneXpert captures",
        "github.com/senaite/senaite.astm src/senaite/astm/tests/data/genexpert.txt",
    ),
    sources=(
        "CLSI LIS01-A2",
        "CLSI LIS02-A2",
        "Cepheid 301-2002 LIS Interface Protocol Specification; LIS guidance 302-7279, 303-0251",
        "recordings of GeneXpert software 4.8, 6.2 and 6.5",
    ),
    example="""\
[[devices]]
id = "genexpert-1"
driver = "genexpert"
link = { type = "tcp-listen", host = "0.0.0.0", port = 5002 }
timezone = "Africa/Kinshasa"
tests."^^^HIV-1_VL 2 2^Xpert_HIV-1 Viral Load^2^^" = { quantity = "hiv-1-viral-load", unit = "{copies}/mL" }
""",
)
