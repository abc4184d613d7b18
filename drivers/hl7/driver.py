"""Any analyser that sends HL7 v2 results (ORU, OUL) over MLLP, or writes them into files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from drivers.hl7.controls import in_order
from drivers.hl7.dialects import VARIANTS, recognised
from drivers.hl7.encoding import encode
from drivers.hl7.options import Hl7Options
from drivers.hl7.reading import order_drafts
from drivers.hl7.text import Texts
from drivers.hl7.values import decimal_commas
from drivers.kit.declare import Driver, Evidence, Message
from drivers.kit.exchange import DecodeError, Exchange, Speaker
from drivers.kit.hl7 import Hl7Message, parse
from drivers.kit.hl7_answers import Answering, answers
from drivers.kit.hl7_groups import Entry, Order, orders
from drivers.kit.mllp import Delivery, Mllp, MllpSpeaker
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole

# What these messages say of observations, they say of others' or of none.
OTHERS: Final = frozenset(
    {
        "ACK", "MCF", "QBP", "QRY", "QCN", "QSB", "QVR", "QCK", "RSP", "RTB", "RDY", "RTQ", "DSR", "OML",
        "ORL", "ORM", "ORR", "OMG", "ORG", "ESU", "ESR", "EAC", "EAR", "EAN", "INU", "INR", "SSU", "SSR",
        "LSU", "LSR", "TCU", "TCR", "ADT", "SIU", "MDM", "BAR", "DFT", "MFN", "MFK", "NMQ", "NMR", "NMD",
        "UDM",
    }
)  # fmt: skip
QUERIES: Final = frozenset({"QPD", "QRD", "QRF"})
ALERTS: Final = frozenset({"R40", "R41", "R42"})  # alarms of patient monitors travel as ORU


def decode(message: Message, options: Hl7Options) -> Iterator[Draft]:
    """One draft a result; queries, orders and acknowledgements are none, equipment messages are statuses.

    DecodeError where there is no MSH, or a result message holds nothing that could be read as a result.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    for each in parse(message.data, options.encoding):
        for draft in _drafts(each, options):
            identity = draft.identity
            if identity is not None:
                seen[identity] += 1
                if seen[identity] > 1:
                    identity = (*identity, f"#{seen[identity]}")
            draft = replace(draft, identity=identity)
            if (
                not message.sound
                and draft.quality is Quality.GOOD
                and draft.extent
                and draft.extent >= len(message.data) - 2
            ):
                draft = replace(draft, quality=Quality.UNCERTAIN, quality_reason="message incomplete")
            yield draft


def _drafts(message: Hl7Message, options: Hl7Options) -> Iterator[Draft]:
    if message.kind in OTHERS or message.trigger in ALERTS:
        yield from _statuses(message)
        return
    options, dialect = recognised(signature(message), options)
    count = 0
    told = orders(message)
    commas = decimal_commas(entry for order in told for entry in order.entries)
    for order in told:
        in_order(message.header, order)
        for _, draft in order_drafts(order, options, dialect, commas=commas):
            count += 1
            yield draft
        if not order.entries and (alone := _order_alone(message, order, options)):
            count += 1
            yield alone
    if not count and any(segment.name in QUERIES for segment in message.segments):
        return  # a question of a maker's own type
    if not count:
        raise DecodeError(f"a message of type {message.kind[:20] or 'unknown'} without OBX segments")


def signature(message: Hl7Message) -> str:
    """What a message says of who made it: MSH-3, MSH-4, MSH-21, the first OBR's service and OBX's equipment; and
    MSH-16 where it says by a digit what the results are of."""
    header = message.header
    parts = [header.text(3), header.text(4), header.text(21)]
    if (subject := header.at(16)) in ("0", "1", "2"):
        parts.append(f"MSH-16 {subject}")
    obr = next((segment for segment in message.segments if segment.name == "OBR"), None)
    obx = next((segment for segment in message.segments if segment.name == "OBX"), None)
    parts += [obr.text(4) if obr else "", obx.text(18) if obx else ""]
    return "|".join(parts)


def _order_alone(message: Hl7Message, order: Order, options: Hl7Options) -> Draft | None:
    """An order without results: that its status has changed (IHE LAW), or why the instrument could not do it."""
    entry = Entry(message.header, order, message.header)
    remark = order.notes[0].text(3) if order.notes else ""
    status = entry.said("ORC-5") or entry.said("OBR-25")
    if not remark and not status:
        return None
    ends = [each.end for each in (order.obr, order.orc, *order.notes) if each]
    return Draft(
        kind=Kind.EVENT,
        test="order",
        quantity="order",
        value=remark or status,
        specimen=next((text for place in options.specimen if (text := entry.said(place))), None),
        device_time=message.header.at(7) or None,
        extent=max(ends),
        attributes={"order": entry.said("OBR-4.1"), "order_status": status},
    )


def _statuses(message: Hl7Message) -> Iterator[Draft]:
    """Equipment messages (v2.5.1 chapter 13): what state the instrument says it is in, what it notifies of."""
    when = message.header.at(7) or None
    for segment in message.segments:
        if message.kind == "ESU" and segment.name == "EQU":
            yield Draft(
                kind=Kind.STATUS,
                test="equipment-state",
                quantity="equipment-state",
                value=segment.at(3) or None,
                device_time=segment.at(2) or when,
                extent=segment.end,
                attributes={"equipment": segment.text(1)},
            )
        elif message.kind == "EAN" and segment.name == "NDS":
            yield Draft(
                kind=Kind.EVENT,
                test="equipment-notification",
                quantity="equipment-notification",
                value=segment.at(4, 2) or segment.at(4) or None,
                device_time=segment.at(2) or when,
                extent=segment.end,
            )


# ---- both ends of the wire


def _zone(options: Any) -> tzinfo:
    """The instrument's zone, which every device's table can declare: answers carry local time."""
    name = getattr(options, "timezone", "UTC")
    return UTC if name == "UTC" else ZoneInfo(name)


def host(options: Hl7Options) -> Exchange:
    """The gateway's side."""
    if getattr(getattr(options, "link", None), "type", "") == "file":
        return Whole(max_message=options.max_message)
    if options.framing == "none":
        return Texts(max_message=options.max_message)
    inner = Answering(zone=_zone(options), enhanced=options.enhanced, queries=options.host_query)
    return Mllp(inner, max_block=options.max_message, commit=options.commit, refuse=inner.refuse)


def instrument(options: Hl7Options) -> Speaker:
    """A simulated analyser's side."""
    if options.framing == "none":
        return Printer()
    return MllpSpeaker(Delivery(answers, wait=10.0), commit=options.commit)


DRIVER = Driver(
    name="hl7",
    maker="any",
    summary="Any analyser that sends HL7 v2.3 to v2.6 results (ORU, OUL) over MLLP, or as text in files.",
    links=("tcp-listen", "tcp", "serial", "file"),
    options=Hl7Options,
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
        "github.com/deforay/intelis-interfacing",
        "github.com/deforay/vlsm-interfacing",
        "github.com/udsm-dhis2-lab/universal-machine-interfacing-adapter",
    ),
    sources=(
        "HL7 v2.5.1 chapters 2, 7 and 13",
        "HL7 Transport Specification: MLLP, release 1 and 2",
        "IHE Laboratory Technical Framework, LAW (LAB-27, LAB-28, LAB-29)",
    ),
    example="""\
[[devices]]
id = "analyser-2"
driver = "hl7"
link = { type = "tcp-listen", host = "0.0.0.0", port = 2575, allow = ["10.20.0.0/24"] }
timezone = "Asia/Karachi"
tests.CRP = { quantity = "crp", loinc = "1988-5", unit = "mg/L" }
""",
)
