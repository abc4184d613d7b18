"""Modbus instruments: controllers, transmitters and input modules, read by a declared table of registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from drivers.kit.asking import Asking, Question
from drivers.kit.declare import Driver, Evidence, Identity, Message, Quantity
from drivers.kit.exchange import Exchange, Speaker
from drivers.kit.modbus import (
    EXCEPTION,
    FUNCTIONS,
    MOST_BITS,
    Framing,
    ModbusAnswers,
    Read,
    answer,
    exception,
    named,
    unframe,
)
from drivers.kit.observation import Draft, Json, Kind, Quality, Value
from drivers.modbus.dialects import VARIANTS
from drivers.modbus.options import ModbusOptions, RegisterOption
from drivers.modbus.server import Place, Server, image
from drivers.modbus.values import UnreadableError, meaning, read, written

LINE_GAP = 0.05  # seconds of silence before a question on a line: more than 3.5 characters at 1200 baud


def framing(options: ModbusOptions) -> Framing:
    """As declared, else by the device's link."""
    if options.framing is not None:
        return options.framing
    return "rtu" if getattr(getattr(options, "link", None), "type", "") == "serial" else "tcp"


def host(options: ModbusOptions) -> Exchange:
    """The gateway's side."""
    how = framing(options)
    reads = plan(options)
    syncs = {} if how == "tcp" else {unit: _sync(unit, reads) for unit in {one.unit for one in reads}}

    def question(one: Read, sync: Question | None = None) -> Question:
        return Question(name=one.name(how), ask=one.pdu, every=options.poll, wait=options.timeout, sync=sync)

    keeps = {unit: question(one) for unit, one in syncs.items() if one}
    questions = [question(one, keeps.get(one.unit)) for one in reads]
    return Asking(questions, ModbusAnswers(how), gap=0.0 if how == "tcp" else LINE_GAP)


def plan(options: ModbusOptions) -> list[Read]:
    """The questions that read all registers: neighbours with one."""
    reads: list[Read] = []

    def where(register: RegisterOption) -> tuple[int, int, int]:
        return _unit(register, options), FUNCTIONS[register.table], _address(register, options)

    for (unit, _), group in groupby(sorted(options.registers, key=where), lambda register: where(register)[:2]):
        begun: Read | None = None
        for register in group:
            at, end = _address(register, options), _address(register, options) + register.registers
            most = MOST_BITS if register.table in ("coil", "discrete") else options.block
            if begun and at <= begun.address + begun.count + options.gap and end - begun.address <= most:
                begun = replace(begun, count=max(begun.count, end - begun.address))
                reads[-1] = begun
            else:
                begun = Read(unit, register.table, at, end - at)
                reads.append(begun)
    return reads


def _unit(register: RegisterOption, options: ModbusOptions) -> int:
    return options.unit if register.station is None else register.station


def _address(register: RegisterOption, options: ModbusOptions) -> int:
    return register.at - options.base


def _sync(unit: int, reads: Sequence[Read]) -> Read | None:
    """A question to this unit whose answer looks like no other's; None where there is none, or none is needed."""
    own = [one for one in reads if one.unit == unit]
    if len(own) < 2:
        return None
    shapes = [(one.function, one.size) for one in own]
    for one in own:
        if shapes.count((one.function, one.size)) == 1:
            return one
    for one in own:
        taken = {other.size for other in own if other.function == one.function}
        for count in range(1, one.count):
            if replace(one, count=count).size not in taken:
                return replace(one, count=count)
    return None


def decode(message: Message, options: ModbusOptions) -> Iterator[Draft]:
    """One draft a register that the answered question covers. DecodeError where it is no answer to it."""
    how, asked = named(message.channel)
    unit, pdu = unframe(how, message.data)
    data = answer(asked, unit, pdu)
    refused = exception(data[0]) if pdu[0] & EXCEPTION else None
    for register in options.registers:
        at = _address(register, options) - asked.address
        here = _unit(register, options) == asked.unit and register.table == asked.table
        if not here or at < 0 or at + register.registers > asked.count:
            continue
        if refused is not None:
            yield _draft(register, None, Quality.BAD, f"the instrument answers {refused}", {"exception": refused})
        elif asked.function <= 2:
            yield _read([data[at // 8] >> at % 8 & 1], register)
        else:
            cells = data[2 * at : 2 * (at + register.registers)]
            words = [int.from_bytes(cells[place : place + 2], "big") for place in range(0, len(cells), 2)]
            yield _read(words, register)


def _read(words: Sequence[int], register: RegisterOption) -> Draft:
    try:
        number = read(words, register)
    except UnreadableError as error:
        sent = " ".join(f"{word:04X}" for word in words)
        return _draft(register, None, Quality.BAD, str(error), {"sent": sent})
    if isinstance(number, str):
        return _draft(register, number or None, Quality.GOOD, None, {})
    told: dict[str, Json] = {} if register.is_bit else {"sent": number}
    if number in register.invalid:
        return _draft(register, None, Quality.BAD, f"{number} means that nothing was measured", {"sent": number})
    value = meaning(number, register)
    if register.map is not None and number not in register.map:
        return _draft(register, value, Quality.UNCERTAIN, f"what {number} means is not declared", told)
    if value == number:
        told = {}
    if register.map is None and not register.is_bit and isinstance(value, int | float):
        if register.low is not None and value < register.low:
            return _draft(register, value, Quality.BAD, f"not plausible: below {register.low:g}", told)
        if register.high is not None and value > register.high:
            return _draft(register, value, Quality.BAD, f"not plausible: above {register.high:g}", told)
    return _draft(register, value, Quality.GOOD, None, told)


def _draft(
    register: RegisterOption, value: Value, quality: Quality, why: str | None, told: Mapping[str, Json]
) -> Draft:
    return Draft(
        kind=Kind(register.kind),
        test=register.quantity,
        quantity=register.quantity,
        value=value,
        unit=register.unit if value is None or isinstance(value, int | float) else None,
        quality=quality,
        quality_reason=why,
        attributes=told,
    )


def observes(options: ModbusOptions) -> tuple[Quantity, ...]:
    """What the configuration declares."""
    return tuple(_quantity(register) for register in options.registers)


def _quantity(register: RegisterOption) -> Quantity:
    low, high, step = register.low, register.high, abs(register.scale)
    if register.type in ("float32", "float64"):
        step = 0.01
    if register.is_bit:
        low, high, step = 0.0, 1.0, 1.0
    return Quantity(
        name=register.quantity,
        unit=register.unit,
        kind=Kind(register.kind),
        low=low,
        high=high,
        step=step,
        words=tuple(register.map.values()) if register.map else (),
        field=f"{register.table} {register.at}",
    )


def instrument(options: ModbusOptions) -> Speaker:
    """A simulated instrument with these registers."""
    return Server(framing(options), _places(options))


def _places(options: ModbusOptions) -> Iterator[Place]:
    for one in plan(options):
        for at in range(one.address, one.address + one.count):
            yield one.unit, one.function, at


def encode(drawn: Mapping[str, Any], options: ModbusOptions) -> bytes:
    """The register image of what the model drew."""
    readings: Mapping[str, Any] = drawn["readings"]
    cells: dict[Place, int] = {}
    for register in options.registers:
        said = readings.get(register.quantity)
        if said is None:
            continue
        spoken = {word: number for number, word in (register.map or {}).items()}
        number = spoken.get(said) if register.map else said
        if register.map and not register.is_bit:
            words = written(number or 0, register.model_copy(update={"scale": 1.0, "offset": 0.0}))
        else:
            words = written(number or 0, register)
        place = _unit(register, options), FUNCTIONS[register.table], _address(register, options)
        for offset, word in enumerate(words):
            at = (*place[:2], place[2] + offset)
            cells[at] = cells.get(at, 0) | word if register.is_bit else word
    return image((*place, word) for place, word in cells.items())


DRIVER = Driver(
    name="modbus",
    maker="any",
    summary="Controllers, transmitters and input modules that are read over Modbus RTU, ASCII or TCP; never written.",
    links=("serial", "tcp"),
    options=ModbusOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    observes=observes,
    variants=VARIANTS,
    identity=lambda _options: Identity.ARRIVAL,
    link_settings={"baudrate": 9600, "bytesize": 8, "parity": "none", "stopbits": 1},
    evidence=Evidence.MANUAL,
    sources=(
        "Modbus Organization, MODBUS Application Protocol Specification V1.1b3",
        "Modbus Organization, MODBUS over Serial Line V1.02",
        "Modbus Organization, MODBUS Messaging on TCP/IP Implementation Guide V1.0b",
    ),
    example="""\
[[devices]]
id = "freezer-5"
driver = "modbus"
link = { type = "serial", port = "/dev/serial/by-id/usb-FTDI_USB-RS485-if00-port0", baudrate = 9600 }
unit = 1
poll = "10s"
registers = [
  { quantity = "temperature", at = 0, scale = 0.1, unit = "Cel", low = -100, high = 50, invalid = [32767, -32768] },
  { quantity = "setpoint", at = 1, scale = 0.1, unit = "Cel", kind = "status" },
  { quantity = "door", at = 0, table = "discrete", map = { 0 = "closed", 1 = "open" } },
]
""",
)
