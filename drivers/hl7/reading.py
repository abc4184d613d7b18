"""One order of an HL7 result message as drafts: its results, and what belongs to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from drivers.hl7.beside import MOST_NOTES, note_text, reagent, shortened, supplements
from drivers.hl7.names import named, quantity, test_name
from drivers.hl7.options import CONTROL, Hl7Options
from drivers.hl7.values import CODED, Said, flag_texts, flags, said, with_comma
from drivers.kit.hl7_groups import Entry, Order, located
from drivers.kit.observation import Draft, Json, Kind, Quality, Status
from drivers.kit.results import loinc

_WHEN = re.compile(r"(19|20)\d\d[-/.]?[01]\d")  # the beginning of something that can be a time
MOST_NOTED: Final = 1000  # characters of a remark that are searched
_OWN_TIMES = ("OBX", "TQ1")
_TO_THE_SECOND = re.compile(r"\d{14}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_REAGENT = re.compile(r"SR|MR|R[1-3]|ASY")
_NOBODY: Final = ("<None>", "N/A")  # as operators

_STATUS: Final[Mapping[str, tuple[Status, Quality, str | None]]] = MappingProxyType(
    {
        **dict.fromkeys("FU", (Status.FINAL, Quality.GOOD, None)),
        **dict.fromkeys("PRSIABO", (Status.PRELIMINARY, Quality.GOOD, None)),
        "C": (Status.CORRECTED, Quality.GOOD, None),
        "X": (Status.CANCELLED, Quality.BAD, "the instrument could not do the test"),
        "W": (Status.CANCELLED, Quality.BAD, "the sender says the result it sent before was wrong"),
        "D": (Status.CANCELLED, Quality.BAD, "the sender deletes the result"),
        "N": (Status.CANCELLED, Quality.BAD, "the test was not asked for"),
    }
)  # table 0085; of OBR-25 (table 0123) the letters that are there as well

# What attributes repeat of the segments around a result. Persons and clinical remarks are not among it.
_TOLD: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "MSH": (3, 4, 10),
        "OBX": (4, 7, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 21, 29),
        "OBR": (2, 3, 4, 7, 8, 11, 15, 17, 18, 19, 20, 21, 22),
        "ORC": (2, 3, 4, 5),
        "SPM": (2, 4, 7, 8, 11, 12, 14, 17, 18, 21, 24),
        "SAC": (3, 4, 10, 11),
        "TQ1": (7, 8, 9),
        "TCD": (2, 3),
    }
)
_NAMES: Final = MappingProxyType(
    {
        "MSH3": "sender", "MSH4": "facility", "MSH10": "message_id", "OBX4": "sub_id", "OBX7": "reference_range",
        "OBX17": "method", "OBX18": "instrument", "OBX29": "observation_type", "OBR4": "order",
        "SPM4": "specimen_type", "SPM11": "specimen_role", "SAC10": "carrier", "SAC11": "position",
    }
)  # fmt: skip
_PERSONAL: Final = tuple(range(5, 31))  # of PID


@dataclass(slots=True)
class _Result:
    """An observation that is a result, and what was found to belong to it."""

    entry: Entry
    told: Said
    supplements: list[Entry] = field(default_factory=list)
    test: str = ""
    codes: tuple[str, ...] = ()
    aspect: str = ""  # which aspect of a test it is, where the test's result is another


def order_drafts(
    order: Order, options: Hl7Options, dialect: str | None, *, commas: bool = False
) -> Iterator[tuple[Entry, Draft]]:
    """The drafts of one order: results, checks of the instrument itself, or what stands there instead of results.

    `commas`: the message writes its numbers with decimal commas.
    """
    results, loose, checks = _sorted(order, options)
    named(results, options)
    for result in results:
        if commas:
            with_comma(result.entry, result.told)
        yield result.entry, _draft(result, options, dialect)
    for entry in checks:
        yield entry, _aside(entry, options, Kind.STATUS)
    for entry in loose:
        yield entry, _aside(entry, options, Kind.EVENT)


def _sorted(order: Order, options: Hl7Options) -> tuple[list[_Result], list[Entry], list[Entry]]:
    """Results with their supplements; supplements nobody claims; checks."""
    results: list[_Result] = []
    waiting: list[Entry] = []
    checks: list[Entry] = []
    for entry in order.entries:
        if any(mark.fits(entry) for mark in options.checks):
            checks.append(entry)
            continue
        told = said(entry, options)
        if any(mark.fits(entry) for mark in options.supplements):
            (results[-1].supplements if results else waiting).append(entry)
        elif results and _companion(results[-1], entry, told):
            results[-1].entry.notes.extend(entry.notes)  # what follows the pair is said of both: reagents, remarks
            results[-1].entry.others.extend(entry.others)
        elif told.value is None and told.call is None and not _failed(entry):
            (results[-1].supplements if results else waiting).append(entry)
        elif results and (_said_of(results[-1], entry) or not (entry.said("OBX-3.1") or test_name(entry, options))):
            results[-1].supplements.append(entry)
        else:
            results.append(_Result(entry, told))
    if results:
        around = (*order.patient.observations, *(order.specimen.observations if order.specimen else ()))
        results[0].supplements[:0] = [*around, *waiting]
        waiting = []
    return results, waiting, checks


def _failed(entry: Entry) -> bool:
    """Nothing measured is a result too where the instrument says that it could not."""
    return entry.obx.at(11).upper() in ("X", "D", "W")


def _companion(result: _Result, entry: Entry, told: Said) -> bool:
    """A coded answer right behind the number of the same test and sub-ID is that number's call (IHE LAW)."""
    obx, before = entry.obx, result.entry.obx
    if obx.at(2).upper() not in CODED or before.at(2).upper() in CODED:
        return False
    if any(obx.component(number) != before.component(number) for number in (3, 4)):
        return False
    call = told.call or (told.value and told.value.partition("^")[0])  # of a code without a text, the code
    if call and result.told.call is None and re.search(r"[^\W\d_]|[-+]$", call):
        result.told.call = call
    elif call and call != result.told.call:
        result.told.extra["coded_answer"] = call
    return True


def _said_of(result: _Result, entry: Entry) -> bool:
    """A text under the code of the value before it is a remark on it."""
    obx, before = entry.obx, result.entry.obx
    texts = ("TX", "FT")
    code = obx.at(3)
    return bool(code) and obx.at(2).upper() in texts and before.at(2).upper() not in texts and before.at(3) == code


def _draft(result: _Result, options: Hl7Options, dialect: str | None) -> Draft:
    entry, told, test = result.entry, result.told, result.test
    reader = _Reader(entry)
    when, source = reader.first(options.time, _WHEN)
    if source is None or not source.startswith(_OWN_TIMES):
        when, source = _beside(result, options) or (when, source)
    status, quality, why = _status(entry, options)
    if told.doubt and quality is Quality.GOOD:
        quality, why = Quality.UNCERTAIN, told.doubt
    if quality is Quality.GOOD and (doubt := _doubt(entry, told, options)):
        quality, why = Quality.UNCERTAIN, doubt
    specimen, _ = reader.first(options.specimen)
    operator, _ = reader.first(options.operator)
    operator = None if operator in _NOBODY else operator
    run, _ = reader.first(options.run)
    kind = Kind.QC if any(mark.fits(entry) for mark in options.qc) else Kind.RESULT
    noted = _noted(entry, options)
    lot, lot_expiry = _lot(reader, entry, options, kind, test)
    patient = _patient(reader, options, kind, lot)
    attributes = reader.attributes(options.demographics) | told.extra | _said_besides(result, options, test)
    for name, text in (("time_source", source), ("dialect", dialect)):
        if text:
            attributes[name] = text
    draft = Draft(
        kind=kind,
        test=test,
        value=told.value if told.number is None else told.number,
        quantity=quantity(result, options),
        codes=result.codes,
        code=_code(entry),
        unit=told.unit,
        comparator=told.comparator,
        interpretation=told.call,
        flags=flags(entry, options),
        status=status,
        specimen=specimen,
        patient=patient,
        operator=operator,
        lot=lot or noted.get("lot"),
        lot_expiry=lot_expiry or noted.get("lot_expiry"),
        run=run or noted.get("run"),
        device_time=when,
        now=entry.said("MSH-7") or None,
        extent=entry.obx.end,
        quality=quality,
        quality_reason=why,
        attributes=attributes,
    )
    return replace(draft, identity=_identity(entry, draft, source))


def _beside(result: _Result, options: Hl7Options) -> tuple[str, str] | None:
    """When it was measured, as only what stands beside it under the same code says."""
    for each in result.supplements:
        if each.obx.text(3) == result.entry.obx.text(3):
            for place in options.time:
                if place.startswith("OBX") and _WHEN.match(text := each.said(place)):
                    return text, place
    return None


def _identity(entry: Entry, draft: Draft, source: str | None) -> tuple[str, ...] | None:
    """What makes a result itself in whichever message it comes: whose it is, its test, time and value.

    Without its own time the order's or the message's counts where it is one to the second; with its own to the second
    nobody need be named.
    """
    whose, when = draft.specimen or draft.patient or "", draft.device_time
    own = source is not None and source.startswith(_OWN_TIMES)
    exact = when is not None and _TO_THE_SECOND.match(when) is not None
    if not when or not ((exact and (own or whose)) or (own and whose)):
        return None
    number = f"{draft.comparator or ''}{draft.value or ''}", draft.interpretation or "", draft.unit or ""
    return (whose, draft.test, entry.said("OBX-4"), when, *number, "~".join(draft.flags), entry.said("OBX-11"))


def _said_besides(result: _Result, options: Hl7Options, test: str) -> dict[str, Json]:
    """The test's name, what its flags say in words, and its supplements."""
    told: dict[str, Json] = {}
    name = result.entry.said("OBX-3.2")
    if name and name not in (test, result.entry.said("OBX-4")):
        told["name"] = name
    if texts := flag_texts(result.entry, options):
        told["flag_texts"] = texts
    if extra := supplements(result.supplements):
        told["supplements"] = extra
    return told


def _patient(reader: _Reader, options: Hl7Options, kind: Kind, lot: str | None) -> str | None:
    """Who it is of; of a control, nobody where only that it is one stands there."""
    patient, _ = reader.first(options.patient)
    if patient is None or patient.casefold() in {word.casefold() for word in options.no_patient}:
        return None
    return None if kind is Kind.QC and (patient == lot or re.fullmatch(CONTROL, patient)) else patient


def _lot(reader: _Reader, entry: Entry, options: Hl7Options, kind: Kind, test: str) -> tuple[str | None, str | None]:
    """A control's lot is its own; a patient's result has its reagent's."""
    own = kind is Kind.QC
    lot, _ = reader.first((*options.control_lot, *options.lot) if own else options.lot)
    expiry, _ = reader.first((*options.control_expiry, *options.lot_expiry) if own else options.lot_expiry)
    return (lot, expiry) if lot or own else _reagent_lot(entry, test)


def _reagent_lot(entry: Entry, test: str) -> tuple[str | None, str | None]:
    """The lot of a test's reagent and its expiry: of what is called as the test, else of its reagents if they have one.

    Table 0384's SR and MR; R1 to R3 and ASY are Roche's. Controls and calibrators of a test are no reagents of it.
    """
    told = [each for each in (*entry.others, *entry.order.others) if each.name == "INV" and each.at(16)]
    lots = {each.at(16) for each in told if each.at(1) == test} or {
        each.at(16) for each in told if _REAGENT.fullmatch(each.at(3))
    }
    if len(lots) != 1:
        return None, None
    (lot,) = lots
    return lot, next((each.at(12) for each in told if each.at(16) == lot and each.at(12)), None)


def _noted(entry: Entry, options: Hl7Options) -> dict[str, str]:
    """What is found in remarks on the result or on its order."""
    told: dict[str, str] = {}
    for what, pattern in options.noted.items():
        for note in (*entry.notes, *entry.order.notes)[:MOST_NOTES]:
            if match := re.search(pattern, note.text(3)[:MOST_NOTED]):
                told.setdefault(what, (match[1] or "").strip())
    return {what: text for what, text in told.items() if text}


def _status(entry: Entry, options: Hl7Options) -> tuple[Status, Quality, str | None]:
    letter = (entry.said("OBX-11") or entry.said("OBR-25") or "F").upper()
    if letter in options.status:
        return options.status[letter], Quality.GOOD, None
    known = _STATUS.get(letter)
    return known or (Status.FINAL, Quality.UNCERTAIN, f"result status {letter!r} is not in the standard")


def _doubt(entry: Entry, told: Said, options: Hl7Options) -> str | None:
    """Why a result that reads well is not certain all the same."""
    if told.value is None and told.call is None:
        return "the result has no value"
    around = (entry.obx, *entry.all("SPM"), *entry.all("SAC"), *entry.all("OBR"))
    if any(segment.guessed for segment in around):
        return "read as ISO 8859-1: declare `encoding`"
    if options.training == "doubt" and entry.said("MSH-11").upper() in ("T", "D"):
        return "the message is marked as training or debugging (MSH-11)"
    return None


def _code(entry: Entry) -> str | None:
    """A LOINC code where either triplet of OBX-3 has one."""
    pieces = [*entry.obx.components(3), *[""] * 6]
    for code, system in ((pieces[0], pieces[2]), (pieces[3], pieces[5])):
        if system.upper() in ("LN", "LOINC", "2.16.840.1.113883.6.1") and (found := loinc(code)):
            return found
    return None


class _Reader:
    """Gives texts out and remembers which field they were, so that attributes need not repeat it."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._used: set[tuple[str, int]] = set()

    def first(self, places: Iterable[str], shaped: re.Pattern[str] | None = None) -> tuple[str | None, str | None]:
        """The first of `places` that says something (of that shape), and which it was."""
        for place in places:
            text = self._entry.said(place)
            if text and (shaped is None or shaped.match(text)):
                name, number, *_ = located(place)
                if any(segment.text(number) == text for segment in self._entry.all(name)):
                    self._used.add((name, number))
                return text, place
        return None, None

    def attributes(self, demographics: bool) -> dict[str, Json]:
        """What else the segments around the result say."""
        told: dict[str, Json] = {}
        for name, numbers in _TOLD.items():
            for segment in self._entry.all(name)[:1]:
                for number in numbers:
                    if (name, number) not in self._used and (text := segment.text(number)):
                        told[_NAMES.get(f"{name}{number}", f"{name}{number}")] = text
        for segment in self._entry.all("PID") if demographics else ():
            told |= {f"PID{number}": text for number in _PERSONAL if (text := segment.text(number))}
        for title, notes in (("comments", self._entry.notes), ("order_comments", self._entry.order.notes)):
            if texts := [text for note in notes[:MOST_NOTES] if (text := note_text(note))]:
                told[title] = list(texts)
        if reagents := [one for each in self._entry.others if each.name == "INV" and (one := reagent(each))]:
            told["reagents"] = list(reagents)
        return told


def _aside(entry: Entry, options: Hl7Options, kind: Kind) -> Draft:
    """Something that is no result: kept as an event or a status."""
    reader = _Reader(entry)
    test = test_name(entry, options) or "observation"
    when, _ = reader.first(options.time, _WHEN)
    specimen, _ = reader.first(options.specimen)
    return Draft(
        kind=kind,
        test=test,
        value=shortened(entry.obx) or None,
        specimen=specimen,
        device_time=when,
        extent=entry.obx.end,
        attributes=reader.attributes(False),
    )
