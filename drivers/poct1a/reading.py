"""From a POCT1-A message to drafts: who is tested, with what, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from xml.etree.ElementTree import Element

from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Comparator, Draft, Json, Kind, Quality, Status
from drivers.kit.payload import slug
from drivers.kit.poct1_messages import Hello, at, said
from drivers.kit.results import loinc
from drivers.kit.values import number
from drivers.poct1a.options import Poct1aOptions

MOST_TOLD: Final = 200  # attributes of one observation
MOST_TESTED: Final = 500  # patients or controls in one SVC; the standard has one
LOINC_NAMES: Final = frozenset({"", "LN", "LOINC"})  # a test's `SN` that can mean LOINC; none at all: the digit decides
CONTROLS: Final = frozenset({"LQC", "EQC", "AQC", "CAL", "CVR", "PRF", "LIN"})  # SVC.role_cd
_TESTED: Final = ("PT", "CTC")  # what holds the OBS objects: a patient, or a control or calibrator
_UNTOLD: Final = frozenset(
    {"OBS.observation_id", "OBS.value", "OBS.qualitative_value", "OBS.interpretation_cd", "OBS.observation_dttm"}
)
_OPEN: Final = frozenset({"PT.patient_id", "PT.location"})  # of the patient; the rest says who that is
_NAMES: Final = MappingProxyType(
    {
        "HDR.control_id": "message_id",
        "SVC.role_cd": "role",
        "SVC.status_cd": "service_status",
        "SVC.reason_cd": "reason",
        "PT.location": "location",
        "PT.patient_id": "patient_id",
        "CTC.name": "control",
        "CTC.level_cd": "level",
        "CTC.lot_number": "control_lot",
        "CTC.expiration_date": "control_expiry",
        "OBS.method_cd": "method",
        "OBS.status_cd": "result_status",
        "OBS.normal_lo-hi_limit": "reference_range",
        "OBS.critical_lo-hi_limit": "critical_range",
        "OPR.name": "operator_name",
        "ORD.universal_service_id": "service",
        "ORD.ordering_provider_id": "ordering_provider",
        "ORD.order_id": "order",
        "SPC.specimen_dttm": "specimen_time",
        "SPC.type_cd": "specimen_type",
        "SPC.source_cd": "specimen_source",
        "RGT.name": "reagent",
        "RGT.lot_number": "reagent_lot",
        "RGT.expiration_date": "reagent_expiry",
        "EVT.severity_cd": "severity",
        "EVT.number": "number",
    }
)
_GIVEN: Final = frozenset(
    {
        *("patient_id", "order", "SPC.specimen_id", "control"),
        *("reagent_lot", "reagent_expiry", "control_lot", "control_expiry"),
    }
)
_STATUS = MappingProxyType(
    {
        "": (Status.FINAL, None),
        "A": (Status.FINAL, None),
        "U": (Status.PRELIMINARY, None),
        "D": (Status.CANCELLED, "discarded at the device"),
        "X": (Status.CANCELLED, "the device could not do the test"),
    }
)
_CHECK = re.compile(
    r"(?i)\b(?:internal|procedural|procedure|process|extraction|sample processing) (?:control|ctrl)\b|\bIQC\b"
)
_MARK = re.compile(r"[^\w\s]")  # a note of one such character is a flag
_OFFSET = re.compile(r"(?<=:\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)$")


@dataclass(slots=True)
class Told:
    """Attributes being gathered: what is said twice becomes a list."""

    found: dict[str, Json] = field(default_factory=dict)

    def add(self, name: str, text: str) -> None:
        """One more thing said."""
        if not text or (name not in self.found and len(self.found) >= MOST_TOLD):
            return
        held = self.found.get(name)
        if held is None:
            self.found[name] = text
        elif isinstance(held, list):
            if len(held) < MOST_TOLD:
                held.append(text)
        elif held != text:
            self.found[name] = [held, text]

    def leaves(self, parent: Element, leave_out: frozenset[str] = frozenset()) -> None:
        """The elements of `parent` that hold no others."""
        for one in parent:
            if "." in one.tag and one.tag not in leave_out:
                self.add(_NAMES.get(one.tag, one.tag), whole(one))


def whole(one: Element) -> str:
    """Everything an element says: value, unit, display name, text; why it has no value."""
    told = [(one.get(key) or "").strip() for key in ("V", "U", "DN")]
    text = " ".join((one.text or "").split())
    if why := one.get("NULL"):
        told.append(f"NULL {why.strip()}")
    return " ".join(dict.fromkeys(part for part in (*told, text) if part))


def results(root: Element, options: Poct1aOptions, who: Hello | None, dialect: str | None) -> Iterator[Draft]:
    """One draft for every OBS of an OBS.R01 or OBS.R02. Errors: DecodeError where there is none."""
    found = False
    for service in root.iter("SVC"):
        holders = [one for one in service if one.tag in _TESTED]
        if len(holders) > MOST_TESTED:
            raise DecodeError(f"more than {MOST_TESTED} patients or controls in one SVC")
        loose = [one for one in service if one.tag == "OBS"]
        if loose:  # beside the patient instead of in it: whose they are is only known where there is one
            run = _Run.of(root, service, holders[0] if len(holders) == 1 else None, options, who, dialect)
            yield from (run.result(one) for one in loose)
        for holder in holders:
            held = list(holder.iter("OBS"))
            found = found or bool(held)
            if held:
                run = _Run.of(root, service, holder, options, who, dialect)
                yield from (run.result(one) for one in held)
        found = found or bool(loose)
    if not found:
        raise DecodeError(f"{root.tag} holds no observation")


@dataclass(frozen=True, slots=True)
class _Run:
    """What all results of one test run have in common: a SVC with its patient or control."""

    common: Draft
    edited: bool
    doubts: tuple[str, ...]
    identity: tuple[str, ...]
    without_time: str  # what tells a run apart that has no time of its own
    local: bool  # times are without their UTC offset

    @classmethod
    def of(
        cls,
        root: Element,
        service: Element,
        tested: Element | None,
        options: Poct1aOptions,
        who: Hello | None,
        dialect: str | None,
    ) -> _Run:
        """The run of a SVC; `tested` is its PT or CTC."""
        parts = [one for one in service if one.tag not in _TESTED or one is tested]
        role, doubts = at(service, "SVC.role_cd").upper(), []
        if role not in ("", "OBS", *CONTROLS):
            doubts.append(f"the role {role[:20]!r} is not in the standard")
        if at(service, "SVC.status_cd").upper() == "OVR":
            doubts.append("measured although the device was locked: overridden")
        # Only what nothing says is of a control is a patient's: the message's type and the CTC go before the role.
        mine = root.tag == "OBS.R01" and service.find("CTC") is None and role in ("", "OBS")
        local = options.utc_offset == "ignore"
        control = tested if tested is not None and tested.tag == "CTC" else None
        lot, expiry = _lot(parts, control)
        specimen, patient = _first(parts, options.specimen), _first(parts, options.patient)
        patient = None if patient in options.no_patient else patient
        when, number = at(service, "SVC.observation_dttm"), at(root, "HDR/HDR.control_id")
        sequence, reason = at(service, "SVC.sequence_nbr"), at(service, "SVC.reason_cd").upper()
        serial = (who.serial or who.device) if who else ""
        operator, supervisor = _first(parts, options.operator), ""
        if options.supervised and operator:
            operator, _, supervisor = operator.partition("^")
        told = _without(_told(parts, options, number, serial, dialect), specimen, patient, lot, expiry)
        common = Draft(
            kind=Kind.RESULT if mine else Kind.QC,
            test="",
            specimen=specimen,
            patient=patient,
            operator=operator or None,
            lot=lot,
            lot_expiry=expiry,
            run=sequence or None,
            device_time=when or None,
            now=_clock(at(root, "HDR/HDR.creation_dttm"), local),
            attributes={**told, "supervisor": supervisor} if supervisor else told,
        )
        named = [] if control is None else [at(control, f"CTC.{name}") for name in ("name", "lot_number", "level_cd")]
        edited = reason == "EDT"
        identity = (serial, sequence, "|".join(named), specimen or "", patient or "", "EDT" if edited else "")
        return cls(common, edited, tuple(doubts), identity, "" if sequence else number, local)

    def result(self, observation: Element) -> Draft:
        """One of its results, as sent."""
        named = observation.find("OBS.observation_id")
        shown = (named.get("DN") or "").strip() if named is not None else ""
        test, code = said(named) or shown or "result", _code(named)
        value, unit, call, why = _value(observation)
        flags, letter = _flags(observation), at(observation, "OBS.status_cd").upper()
        status, cancelled = _STATUS.get(letter, (Status.FINAL, f"the status {letter[:20]!r} is not known"))
        doubts = [*self.doubts, *(text for text in (why, cancelled) if text)]
        quality = Quality.BAD if status is Status.CANCELLED else Quality.UNCERTAIN if doubts else Quality.GOOD
        when = at(observation, "OBS.observation_dttm") or self.common.device_time or ""
        told = Told(dict(self.common.attributes))
        told.leaves(observation, _UNTOLD)
        for note in observation.findall("NTE/NTE.text"):
            told.add("comments", "" if _MARK.fullmatch(said(note)) else whole(note))
        told.add("display", shown)
        told.add("code_system", (named.get("SN") or "").strip() if named is not None else "")
        time = _clock(when, self.local)
        told.add("time_as_sent", "" if time == when else when)
        # A resent result has another control id; without a time and a number of its own nothing else tells it apart.
        mark = when or self.without_time
        same = (test, value, unit, call, ",".join(flags), letter)
        check = self.common.kind is Kind.RESULT and _CHECK.search(f"{test} {shown}")
        return replace(
            self.common,
            kind=Kind.STATUS if check else self.common.kind,  # a cartridge's own control says nothing of the patient
            test=test,
            quantity=slug(shown) if code and shown else None,
            value=value,
            code=code,
            unit=unit,
            comparator=_comparator(value, flags),
            interpretation=call,
            flags=flags,
            status=Status.CORRECTED if self.edited and status is Status.FINAL else status,
            device_time=time,
            identity=("poct1", mark, *self.identity, *(part or "" for part in same)),
            quality=quality,
            quality_reason="; ".join(doubts) or None,
            attributes=told.found,
        )


def _code(named: Element | None) -> str | None:
    if named is None or (named.get("SN") or "").strip().upper() not in LOINC_NAMES:
        return None
    return loinc(said(named))


def _value(observation: Element) -> tuple[str | None, str | None, str | None, str | None]:
    """The value, its unit, the call where both stand there, and why there is no value."""
    measured, called = observation.find("OBS.value"), observation.find("OBS.qualitative_value")
    value, call = said(measured), said(called)
    unit = (measured.get("U") or "").strip() if measured is not None else ""
    shown = (called.get("DN") or "").strip() if called is not None else ""
    if not value and not call:
        why = next((one.get("NULL") for one in (measured, called) if one is not None and one.get("NULL")), None)
        return shown or None, None, None, None if shown else f"the result has no value{f': {why}' if why else ''}"
    if not value:
        return call, None, shown or None, None
    return value, unit or None, shown or call or None, None


def _flags(observation: Element) -> tuple[str, ...]:
    codes = [said(one) for one in observation.findall("OBS.interpretation_cd")]
    notes = [said(one) for one in observation.findall("NTE/NTE.text")]
    marks = [mark for mark in notes if _MARK.fullmatch(mark)]
    return tuple(dict.fromkeys((*(code for code in codes if code and code != "null"), *marks)))


def _clock(text: str, local: bool) -> str | None:
    return (_OFFSET.sub(r"\1", text) if local else text) or None


def _first(parts: Iterable[Element], places: Iterable[str]) -> str | None:
    for place in places:
        for part in parts:
            if part.tag in (place, place.partition(".")[0]) and (
                text := next(filter(None, map(said, part.iter(place))), "")
            ):
                return text
    return None


def _lot(parts: Iterable[Element], control: Element | None) -> tuple[str | None, str | None]:
    """A control's lot is its own; a patient's result has the reagent's."""
    if control is not None and at(control, "CTC.lot_number"):
        return at(control, "CTC.lot_number"), at(control, "CTC.expiration_date") or None
    for part in parts:
        if part.tag == "RGT" and (lot := at(part, "RGT.lot_number")):
            return lot, at(part, "RGT.expiration_date") or None
    return None, None


def _told(
    parts: Iterable[Element], options: Poct1aOptions, number: str, serial: str, dialect: str | None
) -> dict[str, Json]:
    """Everything else the message says of a run."""
    told, prompts = Told(), dict[str, Json]()
    used = frozenset({"SVC.observation_dttm", "SVC.sequence_nbr", *options.operator})
    for part in parts:
        if part.tag.startswith("SVC.") and part.tag not in used:
            told.add(_NAMES.get(part.tag, part.tag), whole(part))
        elif part.tag == "NTE":
            for note in part.findall("NTE.text"):
                told.add("service_comments", whole(note))
        elif part.tag == "RSN":
            _prompts(part, prompts, told)
        elif part.tag != "OBS":
            hidden = part.tag == "PT" and not options.demographics
            told.leaves(part, used | {one.tag for one in part if hidden and one.tag not in _OPEN})
    if prompts:
        told.found["prompts"] = prompts
    for name, text in (("message_id", number), ("instrument", serial), ("dialect", dialect or "")):
        told.add(name, text)
    return told.found


def _without(told: dict[str, Json], *given: str | None) -> dict[str, Json]:
    """What has its own place in an observation is not said again."""
    return {name: text for name, text in told.items() if name not in _GIVEN or text not in given}


def _prompts(part: Element, prompts: dict[str, Json], told: Told) -> None:
    """RSN: what the device asked its operator, and what was answered (i-STAT)."""
    asked = ""
    for one in part:
        if one.tag.endswith("_prompt"):
            asked = said(one)
        elif one.tag.endswith("_content") and asked and len(prompts) < MOST_TOLD:
            prompts[asked] = said(one)
        else:
            told.add(one.tag, whole(one))


def _comparator(value: str | None, flags: tuple[str, ...]) -> Comparator | None:
    """HL7 0078 `<` and `>`: beyond the instrument's scale, which ends at the number sent."""
    read = number(value) if value else None
    if read is None or read.comparator:
        return None
    below, above = "<" in flags, ">" in flags
    if below == above:
        return None
    return "<" if below else ">"
