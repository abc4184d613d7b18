"""Hettich centrifuges with a serial interface of the second generation: speed, run time, state, lid. Reading only.

Hettich AH5680-01EN, Serial communication and PC parameters, 2.2 (telegrams), 2.8 and 2.10 (parameters). A question is
EOT, the address, five digits and ENQ; its answer the address, STX, those digits, "=", four hexadecimal digits, ETX and
the exclusive or of all after STX. NAK stands for a parameter the centrifuge does not have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import xor
from typing import Any, Final

from drivers.hettich.options import HettichOptions
from drivers.kit.asked import Asked
from drivers.kit.asking import Asking, Cut, Question
from drivers.kit.declare import Driver, Evidence, Identity, Message, Quantity, Variant
from drivers.kit.exchange import DecodeError, Event, Exchange, Reason, Received, Rejected, Send, Speaker
from drivers.kit.observation import Draft, Kind, Quality

STX, ETX, EOT, ENQ, NAK = b"\x02", b"\x03", b"\x04", b"\x05", b"\x15"
ANSWER: Final = 14  # bytes
SPEED, TIME, STATE, LID = b"00604", b"00602", b"00634", b"00635"
ASKED: Final = (SPEED, TIME, STATE, LID)
# Low byte of STATE, the highest bit that is set; the others of it are for the maker's own use.
PHASES: Final = ((0x10, "braking"), (0x08, "centrifuging"), (0x04, "accelerating"), (0x02, "standstill"))
ERROR: Final = 0x8000  # of STATE: its high byte is then the number of an error, else of a program
LID_CLOSED, NO_ROTOR, OVERDUE = 0x0200, 0x0400, 0x4000  # of LID

_ANSWER = re.compile(rb"\x02(\d{5})=([0-9A-F]{4})\x03", re.DOTALL)

QUANTITIES: Final = (
    Quantity(name="speed", unit="{rpm}", low=0, high=15_000, step=1, field="00604", source="AH5680-01EN 2.10"),
    Quantity(name="run-time", unit="s", low=0, high=59_999, step=1, field="00602", source="AH5680-01EN 2.10"),
    Quantity(
        name="phase",
        kind=Kind.STATUS,
        words=tuple(word for _, word in PHASES),
        field="00634",
        source="AH5680-01EN 2.10",
    ),
    Quantity(name="lid", kind=Kind.STATUS, words=("closed", "open"), field="00635", source="AH5680-01EN 2.10"),
)


def block_check(data: bytes) -> bytes:
    """The exclusive or of all bytes: of what follows STX, ETX included."""
    return bytes([reduce(xor, data, 0)])


class _Answers:
    """An `Answers` of `drivers.kit.asking`."""

    def __init__(self, address: bytes) -> None:
        self._address = address
        self._start = re.compile(re.escape(address) + rb"[\x02\x15]")

    def ask(self, question: Question) -> bytes:
        return EOT + self._address + question.ask + ENQ

    def cut(self, held: bytearray, question: Question | None) -> Cut | None:
        found = self._start.search(held)
        if found is None:
            keep = held.endswith(self._address)  # its next byte may be STX
            stray = bytes(held[: len(held) - keep])
            return Cut(Rejected(stray, Reason.FRAMING, detail="outside any telegram")) if stray else None
        if found.start():
            return Cut(Rejected(bytes(held[: found.start()]), Reason.FRAMING, detail="outside any telegram"))
        if held[1:2] == NAK:
            why = f"parameter {question.name} was refused" if question else "nothing was asked"
            return Cut(Rejected(bytes(held[:2]), Reason.UNREADABLE, detail=why), answers=question is not None)
        if len(held) < ANSWER:
            return None
        raw = bytes(held[:ANSWER])
        whole = _ANSWER.fullmatch(raw[1:-1])
        if whole is None:
            return Cut(Rejected(raw[:2], Reason.FRAMING, detail="no telegram follows"))
        if raw[-1:] != block_check(raw[2:-1]):
            wanted = block_check(raw[2:-1])[0]
            return Cut(Rejected(raw, Reason.CHECKSUM, detail=f"want {wanted:02X}, got {raw[-1]:02X}"))
        if question is None or whole[1] != question.ask:
            return Cut(Rejected(raw, Reason.UNCLAIMED, detail="it answers nothing that was asked"))
        return Cut(Received(raw), answers=True)

    def left(self, raw: bytes, question: Question | None) -> Event:
        return Rejected(raw, Reason.INCOMPLETE, detail="the telegram was not ended")


def host(options: HettichOptions) -> Exchange:
    """The gateway's side."""
    questions = [Question(name=code.decode(), ask=code, every=options.poll, wait=options.timeout) for code in ASKED]
    return Asking(questions, _Answers(options.address.encode()), gap=0.02)


def decode(message: Message, options: HettichOptions) -> Iterator[Draft]:
    """What one answer says. DecodeError where it is none."""
    found = _ANSWER.fullmatch(message.data[1:-1])
    if found is None or message.data[-1:] != block_check(message.data[2:-1]):
        raise DecodeError("not an answer to an enquiry")
    code, sent = found[1], found[2].decode()
    value = int(sent, 16)
    if code in (SPEED, TIME):
        quantity = QUANTITIES[0] if code == SPEED else QUANTITIES[1]
        yield Draft(
            kind=Kind.READING,
            test=code.decode(),
            quantity=quantity.name,
            value=str(value),
            unit=quantity.unit,
            attributes={"hexadecimal": sent},
        )
    elif code == STATE:
        yield from _state(value, sent)
    elif code == LID:
        flags = tuple(word for bit, word in ((NO_ROTOR, "no-rotor"), (OVERDUE, "rotor-cycles-exceeded")) if value & bit)
        yield Draft(
            kind=Kind.STATUS,
            test=code.decode(),
            quantity="lid",
            value="closed" if value & LID_CLOSED else "open",
            flags=flags,
            attributes={"hexadecimal": sent, "rotor": value >> 4 & 0x0F},
        )
    else:
        raise DecodeError(f"parameter {code.decode()} is not one that is asked for", Reason.UNCLAIMED)


def _state(value: int, sent: str) -> Iterator[Draft]:
    phase = next((word for bit, word in PHASES if value & bit), None)
    program = {} if value & ERROR else {"program": value >> 8}
    yield Draft(
        kind=Kind.STATUS,
        test=STATE.decode(),
        quantity="phase",
        value=phase,
        quality=Quality.GOOD if phase else Quality.UNCERTAIN,
        quality_reason=None if phase else "no phase is set",
        attributes={"hexadecimal": sent, **program},
    )
    if value & ERROR:
        number = value >> 8 & 0x7F
        yield Draft(kind=Kind.EVENT, test=STATE.decode(), quantity="error", value=str(number), flags=(str(number),))


class Centrifuge(Asked):
    """A simulated centrifuge: answers enquiries from what it was last offered, and nothing before. A `Speaker`."""

    def __init__(self, options: HettichOptions) -> None:
        super().__init__([code.decode() for code in ASKED])
        self._address = options.address.encode()
        self._ask = re.compile(re.escape(EOT + self._address) + rb"(\d{5})" + ENQ)
        self._held = bytearray()

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Enquiries; whatever else is on the line is for other stations."""
        self._held += data
        while (found := self._ask.search(self._held)) is not None:
            raw, code = bytes(self._held[: found.end()]), found[1].decode()
            del self._held[: found.end()]
            yield Send(self._answer(code), raw)
        stray = len(self._held) - 7
        if stray > 0:
            raw = bytes(self._held[:stray])
            del self._held[:stray]
            yield Send(b"", raw)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        if self._held:
            yield Send(b"", bytes(self._held))
            self._held.clear()

    def _answer(self, code: str) -> bytes:
        if code.encode() not in ASKED:
            return self._address + NAK
        value = self.answer(code)
        if value is None:
            return b""  # not switched on yet
        body = f"{code}={value:04X}".encode() + ETX
        return self._address + STX + body + block_check(body)


def encode(drawn: Mapping[str, Any], options: HettichOptions) -> bytes:
    """What `Centrifuge.offer` takes: the parameters as numbers."""
    readings = drawn["readings"]
    phase = next(bit for bit, word in PHASES if word == readings["phase"])
    lid = LID_CLOSED if readings["lid"] == "closed" else 0
    told = {SPEED: int(readings["speed"]), TIME: int(readings["run-time"]), STATE: 0x0100 | phase, LID: lid | 0x92}
    return json.dumps({code.decode(): value for code, value in told.items()}).encode()


def instrument(options: HettichOptions) -> Speaker:
    """A simulated centrifuge."""
    return Centrifuge(options)


DRIVER = Driver(
    name="hettich",
    maker="Hettich",
    summary="Hettich robotic centrifuges, asked for speed, run time, phase and lid; never commanded.",
    variants=(
        Variant(
            name="robotic",
            models=("ROTANTA 460 Robotic", "ROTANTA 46 RSC Robotic", "ROTINA 380 Robotic", "MIKRO 220 Robotic"),
            note="serial 9600 7E1, address ] as delivered; temperature is not read: its coding was not seen in print",
        ),
    ),
    links=("serial", "tcp"),
    options=HettichOptions,
    quantities=QUANTITIES,
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    identity=lambda _options: Identity.ARRIVAL,
    link_settings={"baudrate": 9600, "bytesize": 7, "parity": "even", "stopbits": 1},
    evidence=Evidence.MANUAL,
    sources=("Andreas Hettich AH5680-01EN / 2010, Serial communication and PC parameters",),
    example="""\
[[devices]]
id = "centrifuge-1"
driver = "hettich"
link = { type = "serial", port = "/dev/serial/by-id/usb-...", baudrate = 9600, bytesize = 7, parity = "even" }
poll = "5s"
""",
)
