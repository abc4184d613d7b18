"""What is wrong with a device, in plain words, by what it said. Pure."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import orjson

import drivers
from drivers.kit.declare import Driver, Message
from drivers.kit.exchange import Reason, Rejected, WireError
from drivers.kit.frames import Joined
from drivers.kit.recognise import Recognised, parity, recognise
from drivers.kit.recording import Piece, play
from gateway.config import Device
from gateway.decode import Failure, Reading, read
from gateway.finding import Check
from gateway.journal.schema import BROKEN, LAST
from gateway.journal.transaction import RawMessage, Row
from gateway.links.link import LinkState
from gateway.links.options import SerialOptions, TcpListenOptions
from gateway.listening import Heard
from gateway.readings import reading

ENQ, ACK = b"\x05", b"\x06"
QUERY: Final = re.compile(rb"(?:\A|[\r\n])Q\||\|(?:QBP|QRY|QCN)\^")


def diagnose(device: Device, heard: Heard, seconds: float) -> Iterator[Check]:
    """One line a thing that is wrong, and one on what is right."""
    name = f"{device.id}: wire"
    said = heard.said
    if not said:
        yield _silent(device, heard, seconds)
        return
    driver = drivers.load(device.driver)
    messages, refused = _played(driver, device, heard.pieces)
    seen = recognise(said, next((piece.channel for piece in heard.pieces if piece.channel), ""))
    wrong = [*_wire(name, device, heard, seen, driver, messages), *_damage(name, device, refused, messages)]
    yield from wrong
    yield from _meaning(device, driver, messages, wrong)
    yield from _query(device, said)


def _silent(device: Device, heard: Heard, seconds: float) -> Check:
    name, link = f"{device.id}: wire", device.link
    waited = f"nothing was said in {seconds:g} s"
    if heard.state is LinkState.WAITING:
        return Check(
            name, False, heard.detail or "the link is not up", "Mend the link first: see the line on its port."
        )
    if heard.asked:
        what = f"{waited}, though {len(heard.asked)} bytes were asked"
        return Check(
            name, False, what, "Check address or unit, baud rate and parity, and whether two wires are crossed."
        )
    if isinstance(link, TcpListenOptions) and heard.state is LinkState.LISTENING:
        return Check(
            name,
            False,
            f"{waited}: nobody has connected",
            f"Set the instrument to connect to this machine, port {link.port}.",
        )
    return Check(name, False, waited, "Let it send a result; check its interface setting, the cable, and TX and RX.")


def _played(driver: Driver, device: Device, pieces: Sequence[Piece]) -> tuple[list[Message], list[Rejected]]:
    messages: list[Message] = []
    refused: list[Rejected] = []
    try:
        for heard in play(driver.host(device), pieces):
            if isinstance(heard, Rejected):
                refused.append(heard)
            else:
                messages.append(heard)
    except WireError:
        pass  # what led to it stands in `refused` or is not understood at all
    return messages, refused


def _wire(
    name: str, device: Device, heard: Heard, seen: Recognised, driver: Driver, messages: Sequence[Message]
) -> Iterator[Check]:
    """Is it what the driver expects, at the right speed?"""
    said = heard.said
    if bit := parity(said):
        yield Check(name, False, bit[0].partition(":")[0], "In link, write" + bit[0].partition(": declare")[2] + ".")
    elif not any(message.sound for message in messages) and seen.framing == "bytes that are no text":
        if isinstance(device.link, SerialOptions):
            found = f"{len(said)} bytes that make no sense at {device.link.baudrate} baud"
            yield Check(name, False, found, "Try the instrument's other baud rates, and its data bits and parity.")
        else:
            yield Check(name, False, f"{len(said)} bytes that make no sense: {'; '.join(seen.notes)}", _RECORD)
    elif said.count(ENQ) > 1 and not said.strip(ENQ) and ACK in heard.asked:
        yield Check(
            name, False, "it asks to send (ENQ) again and again and does not hear our ACK",
            "Check the wire from us to it (our TX to its RX), and flow control.",
        )  # fmt: skip
    elif seen.driver and seen.driver != driver.name and not any(message.sound for message in messages):
        options = ", ".join(f"{key} = {value!r}" for key, value in seen.options.items())
        remedy = f'Write driver = "{seen.driver}"' + (f" with {options}." if options else ".")
        yield Check(name, False, f"it speaks {seen.framing}, not what {driver.name} reads", remedy)
    for note in seen.notes:
        if "HL7 inside ASTM" in note or "ASTM records in MLLP" in note:
            what, _, remedy = note.partition(": ")
            yield Check(name, False, what, f"{remedy[:1].upper()}{remedy[1:]}.")


_RECORD: Final = "Record it (assaygate capture) and look at it (assaygate tap); is it the right instrument?"


def _damage(name: str, device: Device, refused: Sequence[Rejected], messages: Sequence[Message]) -> Iterator[Check]:
    counts = Counter(one.reason for one in refused)
    remedies = {
        Reason.CHECKSUM: "Check the cable, its length and its ground; on USB the adapter; and flow control.",
        Reason.FRAME_NUMBER: "Frames are lost on the way: check the cable and flow control.",
        Reason.FRAMING: "Is it the right instrument, and the right driver?",
        Reason.INCOMPLETE: "It stops in the middle: check the cable, flow control and the instrument's time-outs.",
        Reason.TOO_LONG: "Is it the right terminator and driver? The limits are options of the driver.",
    }
    for reason, count in counts.items():
        detail = next(one.detail for one in refused if one.reason is reason)
        found = f"{count} pieces refused ({reason}) beside {len(messages)} whole messages: {detail}"
        yield Check(name, False, found, remedies.get(reason, _RECORD))


def _meaning(device: Device, driver: Driver, messages: Sequence[Message], wrong: Sequence[Check]) -> Iterator[Check]:
    """What the messages become, and what is doubted in them."""
    known = reading(device)
    understood, failures, doubts = 0, Counter[str](), Counter[str]()
    for number, message in enumerate(messages, 1):
        rows = _read(number, device, message, known)
        if isinstance(rows, Failure):
            failures[f"{rows.reason}: {rows.detail}"] += 1
            continue
        understood += 1
        for row in rows:
            if reason := orjson.loads(row.body)["attributes"].get("quality_reason"):
                doubts.update(str(reason).split("; "))
    name = f"{device.id}: messages"
    for why, count in failures.most_common(3):
        yield Check(
            name, False, f"{count} not understood: {why}", "Correct the device's options, or report the driver."
        )
    for doubt, count in doubts.most_common(5):
        yield Check(name, False, f"{count} results: {doubt}", _remedy(doubt))
    if understood and not wrong:
        yield Check(name, True, f"{understood} messages understood")


def _read(number: int, device: Device, message: Message, known: Reading) -> list[Row] | Failure:
    state = LAST if message.sound else BROKEN
    topic = device.link.type == "mqtt"
    raw = RawMessage(number, device.id, message.channel, time.time_ns(), message.data, state, False, topic)
    return read(raw, known)


def _remedy(doubt: str) -> str:
    for word, remedy in (
        ("clock", "Set the instrument's clock, and the device's timezone to where it stands."),
        ("time not understood", "Declare time_format, or report the driver."),
        ("unit not known", 'Declare what it means: units."..." = "UCUM".'),
        ("number format", "Declare decimal and thousands of the device."),
        ("word not known", 'Declare what it means: words."..." = "positive".'),
        ("encoding", "Declare encoding."),
    ):
        if word in doubt:
            return remedy
    return "Look at one: assaygate export, or the device's page."


def _query(device: Device, said: bytes) -> Iterator[Check]:
    """An instrument that asks for orders waits for an answer."""
    if QUERY.search(Joined(said).text) or QUERY.search(said):
        ignored = getattr(device, "host_query", "answer") == "ignore"
        found = "it asks for orders (host query)" + (
            " and waits for an answer" if ignored else "; it is told there are none"
        )
        yield Check(f"{device.id}: query", not ignored, found, 'Write host_query = "answer".' if ignored else "")
