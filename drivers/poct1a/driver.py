"""Point-of-care devices that speak CLSI POCT1-A / POCT1-A2: blood gas and glucose meters, molecular and rapid tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from drivers.kit.declare import Driver, Evidence, Message
from drivers.kit.exchange import DecodeError, Exchange, Speaker
from drivers.kit.mllp import Mllp, MllpSpeaker
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.payload import slug
from drivers.kit.poct1 import Host, Manner
from drivers.kit.poct1_device import Device, Profile
from drivers.kit.poct1_messages import ROOTS, Hello, Style, at, element, hello, message, said, sender, tree
from drivers.kit.xml_documents import Documents, DocumentsSpeaker
from drivers.poct1a.dialects import VARIANTS, recognised
from drivers.poct1a.framing import Either
from drivers.poct1a.options import Poct1aOptions
from drivers.poct1a.reading import Told, results

GUESSED = "read as ISO 8859-1: declare `encoding`"
_SILENT = frozenset({"ACK", "EOT", "KPA", "REQ", "END"})  # they say nothing worth keeping


def host(options: Poct1aOptions) -> Exchange:
    """The gateway's side; a device that says hello is spoken to as its dialect wants."""
    zone: str = getattr(options, "timezone", "UTC")  # every device's table can declare it
    inner = Host(
        _manner(options),
        recognise=lambda who: _manner(recognised(who, options)[0]),
        zone=UTC if zone == "UTC" else ZoneInfo(zone),
        encoding=options.encoding,
    )

    def by_root() -> Exchange:
        return Documents(inner, begins=ROOTS, max_document=options.max_document, refuse=inner.refuse)

    def by_mllp() -> Exchange:
        return Mllp(inner, max_block=options.max_document, refuse=inner.refuse)

    match options.framing:
        case "root":
            return by_root()
        case "mllp":
            return by_mllp()
    return Either(by_root, by_mllp)


def _manner(options: Poct1aOptions) -> Manner:
    return Manner(
        ask=options.ask,
        continuous=options.continuous,
        events=options.events,
        set_time=options.set_time,
        acknowledge_topic_end=options.acknowledge_topic_end,
        acknowledged_in=options.acknowledged_in,
        timeout=options.timeout,
    )


def instrument(options: Poct1aOptions) -> Speaker:
    """A simulated device."""
    device = Device(Profile(answers=options.ask, continuous=options.continuous != "never"))
    if options.framing == "mllp":
        return MllpSpeaker(device)
    return DocumentsSpeaker(device, begins=ROOTS)


# ---- what a message says


def decode(message: Message, options: Poct1aOptions) -> Iterator[Draft]:
    """One draft a result, event or state. Acknowledgements and the like say nothing. Errors: DecodeError."""
    data = message.data[message.data.find(b"<") : message.data.rfind(b">") + 1]  # without MLLP's bytes
    if not data:
        raise DecodeError("no XML")
    (root, guessed), who = tree(data, options.encoding), sender(message.channel)
    drafts = _drafts(root, who, options)
    if not guessed:
        yield from drafts
        return
    for draft in drafts:
        good = draft.quality is Quality.GOOD
        yield replace(draft, quality=Quality.UNCERTAIN, quality_reason=GUESSED) if good else draft


def _drafts(root: Element, who: Hello | None, options: Poct1aOptions) -> Iterator[Draft]:
    options, dialect = recognised(who, options)
    kind = root.tag.partition(".")[0]
    if kind == "OBS":
        yield from results(root, options, who, dialect)
    elif kind == "HEL":
        yield _device(root)
    elif kind == "DST":
        yield _condition(root, who)
    elif kind == "EVS" and root.find(".//EVT") is not None:
        for number, event in enumerate(root.iter("EVT")):
            yield _event(root, event, number, who)
    elif kind == "ESC":
        yield _other(root, who, "escape", at(root, "ESC/ESC.detail_cd") or None)
    elif kind not in _SILENT:
        yield _other(root, who, root.tag, None)


def _device(root: Element) -> Draft:
    """HEL: who it is. The same device says the same at every connection: that is one entry until something changes."""
    who, told = hello(root), Told()
    for part in root.iter():
        if part.tag not in ("HEL.R01", "HDR"):
            told.leaves(part, frozenset({"HDR.control_id", "HDR.creation_dttm"}))
    name = " ".join(dict.fromkeys(part for part in (who.vendor or who.maker, who.model or who.name) if part))
    return Draft(
        kind=Kind.STATUS,
        test="device",
        quantity="device",
        value=name or who.device or None,
        now=at(root, "HDR/HDR.creation_dttm") or None,
        identity=("poct1-device", repr(sorted(told.found.items()))),
        attributes=told.found,
    )


def _condition(root: Element, who: Hello | None) -> Draft:
    """DST: the condition code (R ready, B busy; makers have more) and what is waiting."""
    told = Told()
    for part in root.iter("DST"):
        told.leaves(part, frozenset({"DST.condition_cd", "DST.status_dttm"}))
    if who:
        told.add("instrument", who.serial or who.device)
    return Draft(
        kind=Kind.STATUS,
        test="condition",
        quantity="condition",
        value=at(root, "DST/DST.condition_cd") or None,
        device_time=at(root, "DST/DST.status_dttm") or at(root, "HDR/HDR.creation_dttm") or None,
        now=at(root, "HDR/HDR.creation_dttm") or None,
        attributes=told.found,
    )


def _event(root: Element, event: Element, number: int, who: Hello | None) -> Draft:
    told = Told()
    for part in event.iter():
        told.leaves(part, frozenset({"EVT.event_dttm", "OPR.operator_id"}))
    operator = event.find(".//OPR.operator_id")
    if who:
        told.add("instrument", who.serial or who.device)
    when = at(event, "EVT.event_dttm")
    return Draft(
        kind=Kind.EVENT,
        test="event",
        quantity="device-event",
        value=at(event, "EVT.description") or None,
        operator=said(operator) or None,
        device_time=when or at(root, "HDR/HDR.creation_dttm") or None,
        now=at(root, "HDR/HDR.creation_dttm") or None,
        identity=("poct1-event", repr(sorted(told.found.items())), when, str(number)) if when else None,
        attributes=told.found,
    )


def _other(root: Element, who: Hello | None, name: str, value: str | None) -> Draft:
    """A message that is no result: an escape, a maker's own."""
    told = Told()
    for part in root.iter():
        if part.tag != "HDR":
            told.leaves(part)
    if who:
        told.add("instrument", who.serial or who.device)
    return Draft(
        kind=Kind.EVENT,
        test=name,
        quantity=slug(name),
        value=value,
        device_time=at(root, "HDR/HDR.creation_dttm") or None,
        now=at(root, "HDR/HDR.creation_dttm") or None,
        attributes=told.found,
    )


# ---- the simulator's half

_LETTERS = {"final": "A", "preliminary": "U", "corrected": "A", "cancelled": "X"}


def encode(drawn: Mapping[str, Any], options: Poct1aOptions) -> bytes:
    """One OBS.R01, or OBS.R02 of a control.

    `drawn` has `time` (aware), `kind`, `results` (test, value, unit, interpretation, flags, status), and may have
    specimen, patient, operator, lot, lot_expiry, run; they go where the options say the driver finds them.
    """
    control = drawn.get("kind") == "qc"
    objects: dict[str, list[str]] = {"SVC": [], "PT": [], "CTC": [], "OPR": [], "ORD": [], "SPC": [], "RGT": []}
    absent = "PT" if control else "CTC"
    for name in ("patient", "specimen", "operator"):
        places = [place for place in getattr(options, name) if not place.startswith(absent)]
        if places and drawn.get(name) is not None:
            objects.setdefault(places[0].partition(".")[0], []).append(element(places[0], str(drawn[name])))
    of_lot = "CTC" if control else "RGT"
    for name, told in (("lot", "lot_number"), ("lot_expiry", "expiration_date")):
        if drawn.get(name) is not None:
            objects[of_lot].append(element(f"{of_lot}.{told}", str(drawn[name])))
    time = drawn["time"].isoformat(timespec="seconds")
    corrected = any(result.get("status") == "corrected" for result in drawn.get("results", ()))
    head = element("SVC.role_cd", "LQC" if control else "OBS") + element("SVC.observation_dttm", time)
    head += element("SVC.status_cd", "NRM") + element("SVC.reason_cd", "EDT" if corrected else "NEW")
    if drawn.get("run") is not None:
        head += element("SVC.sequence_nbr", str(drawn["run"]))
    tested = "CTC" if control else "PT"
    objects[tested] += [_written(result) for result in drawn.get("results", ())]
    body = "".join(f"<{name}>{''.join(parts)}</{name}>" for name, parts in objects.items() if parts)
    root = "OBS.R02" if control else "OBS.R01"
    return message(root, "0", time, f"<SVC>{head}{body}</SVC>", Style())


def _written(result: Mapping[str, Any]) -> str:
    told = element("OBS.observation_id", str(result.get("test") or result.get("quantity")).strip("^"))
    if result.get("value") is not None:
        unit = {"U": str(result["unit"])} if result.get("unit") else {}
        told += element("OBS.value", str(result["value"]), **unit)
    if result.get("interpretation") is not None:
        told += element("OBS.qualitative_value", str(result["interpretation"]))
    told += element("OBS.method_cd", "M")
    told += element("OBS.status_cd", _LETTERS.get(str(result.get("status") or "final"), "A"))
    told += "".join(element("OBS.interpretation_cd", flag) for flag in result.get("flags") or ())
    return f"<OBS>{told}</OBS>"


DRIVER = Driver(
    name="poct1a",
    maker="any",
    summary="Point-of-care devices that speak CLSI POCT1-A / POCT1-A2 (device messaging layer) over TCP, or in MLLP.",
    links=("tcp-listen", "tcp"),
    options=Poct1aOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="chemistry",
    variants=VARIANTS,
    evidence=Evidence.MANUAL,
    sources=(
        "CLSI POCT1-A2, device messaging layer, as makers document their use of it",
        "DML NovaNet interface specification 2.59",
        "Quidel Sofia POCT1-A interface",
    ),
    example="""\
[[devices]]
id = "meters-1"
driver = "poct1a"
link = { type = "tcp-listen", host = "0.0.0.0", port = 5050, allow = ["10.20.0.0/24"] }
timezone = "Asia/Karachi"
tests."2341-6" = { quantity = "glucose", loinc = "2341-6", unit = "mmol/L", molar_mass = 180.16 }
""",
)
