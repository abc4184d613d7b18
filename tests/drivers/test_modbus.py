"""Registers: what stands in them, how they are asked for, and our gateway and instrument on a virtual clock."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.declare import Identity, Message
from drivers.kit.exchange import DecodeError, Received, Rejected, Send
from drivers.kit.modbus import Framing, frame, named, unframe
from drivers.kit.observation import Draft, Kind, Quality
from drivers.modbus.driver import DRIVER, plan
from drivers.modbus.options import ModbusOptions
from drivers.modbus.values import read as read_words
from drivers.modbus.values import written
from simulators.bench import Bench


def options(*registers: dict[str, Any], **more: Any) -> ModbusOptions:
    return ModbusOptions.model_validate({"registers": registers, **more})


def read(hexadecimal: str, **register: Any) -> Draft:
    """The draft of a register at 0 that holds these bytes."""
    data = bytes.fromhex(hexadecimal)
    table = register.get("table", "holding")
    function, count = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}[table], len(data) // 2 or 1
    raw = frame("rtu", 1, bytes([function, len(data)]) + data)
    declared = options({"quantity": "x", "at": 0, **register})
    (draft,) = DRIVER.decode(Message(raw, f"rtu 1 {table} 0 {count}"), declared)
    return draft


# ---- values


def test_eighty_below_zero_in_tenths_is_not_six_thousand() -> None:
    draft = read("FCE0", scale=0.1, unit="Cel")
    assert (draft.value, draft.unit, draft.quality) == (-80.0, "Cel", Quality.GOOD)
    assert draft.attributes == {"sent": -800}


@pytest.mark.parametrize(
    ("said", "words"), [("42140000", "ABCD"), ("00004214", "CDAB"), ("14420000", "BADC"), ("00001442", "DCBA")]
)
def test_thirty_seven_degrees_in_every_order_of_words(said: str, words: str) -> None:
    assert read(said, type="float32", words=words).value == 37.0


@pytest.mark.parametrize(
    ("said", "register", "value"),
    [
        ("FFFF", {}, -1),
        ("FFFF", {"type": "uint16"}, 65535),
        ("FFFFFCE0", {"type": "int32", "scale": 0.1}, -80.0),
        ("FFFFFFFF", {"type": "uint32"}, 4294967295),
        ("FFFFFEFFFFFFFFFF", {"type": "int64"}, -(2**40) - 1),
        ("C2A00000", {"type": "float32"}, -80.0),
        ("41BFE148", {"type": "float32"}, 23.985),
        ("3FB999999999999A", {"type": "float64"}, 0.1),
        ("0325", {"scale": 0.1}, 80.5),
        ("00D7", {"scale": 0.1}, 21.5),
        ("1388", {"scale": 0.01, "offset": -40}, 10.0),
        ("0003", {"scale": 100}, 300),
        ("12345678", {"type": "bcd", "length": 2}, 12345678),
        ("3412", {"type": "bcd", "words": "BADC"}, 1234),
        ("41422D3700200000", {"type": "string", "length": 4}, "AB-7"),
        ("4241", {"type": "string", "words": "BADC"}, "AB"),
        ("0008", {"type": "bit", "bit": 3}, True),
        ("FFF7", {"type": "bit", "bit": 3}, False),
        ("0008", {"type": "bit", "bit": 3, "map": {0: "closed", 1: "open"}}, "open"),
        ("0002", {"map": {0: "off", 2: "defrost"}}, "defrost"),
        ("01", {"table": "coil"}, True),
        ("FE", {"table": "discrete", "map": {0: "closed", 1: "open"}}, "closed"),
    ],
)
def test_a_value_is_what_was_meant(said: str, register: dict[str, Any], value: object) -> None:
    draft = read(said, **register)
    assert (draft.value, type(draft.value)) == (value, type(value))
    assert draft.quality is Quality.GOOD


@pytest.mark.parametrize(
    ("said", "register"),
    [
        ("7FFF", {"scale": 0.1, "invalid": [32767]}),
        ("8000", {"invalid": [-32768]}),
        ("7FC00000", {"type": "float32"}),
        ("7F800000", {"type": "float32"}),
        ("FFF8000000000000", {"type": "float64"}),
        ("C2FE0000", {"type": "float32", "invalid": [-127]}),
        ("12A4", {"type": "bcd"}),
        ("4101", {"type": "string"}),
    ],
)
def test_what_is_no_measurement_has_no_value_and_says_why(said: str, register: dict[str, Any]) -> None:
    draft = read(said, **register)
    assert (draft.value, draft.quality) == (None, Quality.BAD)
    assert draft.quality_reason


@pytest.mark.parametrize(("said", "value"), [("2580", 960.0), ("8002", -3276.6)])
def test_an_open_sensor_is_not_plausible(said: str, value: float) -> None:
    draft = read(said, scale=0.1, low=-200, high=850)
    assert (draft.value, draft.quality) == (value, Quality.BAD)


def test_a_number_without_declared_meaning_stays_a_number_in_doubt() -> None:
    draft = read("0007", map={0: "off", 1: "on"})
    assert (draft.value, draft.quality) == ("7", Quality.UNCERTAIN)


@pytest.mark.parametrize(
    ("code", "name"), [(2, "illegal-data-address"), (6, "server-device-busy"), (11, "gateway-target-failed-to-respond")]
)
def test_an_exception_is_a_bad_reading_of_everything_asked_for(code: int, name: str) -> None:
    declared = options({"quantity": "a", "at": 0}, {"quantity": "b", "at": 1}, {"quantity": "c", "at": 9})
    drafts = list(DRIVER.decode(Message(frame("rtu", 1, bytes([0x83, code])), "rtu 1 holding 0 2"), declared))
    assert [(draft.quantity, draft.value, draft.quality) for draft in drafts] == [
        ("a", None, Quality.BAD),
        ("b", None, Quality.BAD),
    ]
    assert drafts[0].attributes == {"exception": name}


@pytest.mark.parametrize(
    ("raw", "channel"),
    [
        (frame("rtu", 1, b"\x03\x02\0\0"), ""),
        (frame("rtu", 1, b"\x03\x02\0\0"), "rtu 2 holding 0 1"),
        (frame("rtu", 1, b"\x03\x02\0\0"), "rtu 1 input 0 1"),
        (frame("rtu", 1, b"\x03\x02\0\0"), "rtu 1 holding 0 2"),
        (frame("rtu", 1, b"\x03\x02\0\0"), "tcp 1 holding 0 1"),
        (frame("rtu", 1, b"\x03\x02\0\0")[:-1] + b"\x7f", "rtu 1 holding 0 1"),
        (frame("tcp", 1, b"\x03\x02\0\0"), "127.0.0.1:502"),
    ],
)
def test_bytes_that_do_not_answer_their_question_are_not_read(raw: bytes, channel: str) -> None:
    with pytest.raises(DecodeError):
        list(DRIVER.decode(Message(raw, channel), options({"quantity": "a", "at": 0})))


NUMBERS = {
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
}


@given(st.sampled_from(sorted(NUMBERS)), st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]), st.data())
def test_what_is_written_is_read_in_every_type_and_order(kind: str, words: str, data: st.DataObject) -> None:
    (register,) = options({"quantity": "x", "at": 0, "type": kind, "words": words}).registers
    value = data.draw(NUMBERS[kind])
    found = read_words(written(value, register), register)
    if kind == "float32":
        assert struct.pack(">f", float(found)) == struct.pack(">f", value)
    else:
        assert found == value


@given(st.integers(-(2**15), 2**15 - 1), st.sampled_from([0.1, 0.01, 0.001, 0.5, 10.0, -0.1]), st.integers(-50, 50))
def test_scaling_makes_no_digits(sent: int, scale: float, offset: int) -> None:
    draft = read(sent.to_bytes(2, "big", signed=True).hex(), scale=scale, offset=offset)
    assert isinstance(draft.value, int | float)
    assert len(repr(abs(draft.value)).replace(".", "").lstrip("0")) <= 8
    (register,) = options({"quantity": "x", "at": 0, "scale": scale, "offset": offset}).registers
    assert written(draft.value, register) == [sent & 0xFFFF]


@given(st.binary(max_size=40), st.sampled_from(["rtu 1 holding 0 2", "tcp 1 discrete 3 9", "ascii 1 input 1 1", "x"]))
def test_any_bytes_are_drafts_or_a_decode_error(data: bytes, channel: str) -> None:
    declared = options({"quantity": "a", "at": 0}, {"quantity": "b", "at": 3, "table": "discrete"})
    try:
        list(DRIVER.decode(Message(data, channel), declared))
    except DecodeError:
        return


# ---- asking


def blocks(*registers: dict[str, Any], **more: Any) -> list[str]:
    return [one.name("rtu").removeprefix("rtu ") for one in plan(options(*registers, **more))]


def at(*places: int, **more: Any) -> list[dict[str, Any]]:
    return [{"quantity": f"q{place}", "at": place, **more} for place in places]


def test_neighbours_are_read_with_one_question() -> None:
    assert blocks(*at(2, 0, 1)) == ["1 holding 0 3"]
    assert blocks(*at(0, 2, type="float32")) == ["1 holding 0 4"]


def test_a_gap_is_read_along_only_where_it_is_allowed() -> None:
    assert blocks(*at(0, 4)) == ["1 holding 0 1", "1 holding 4 1"]
    assert blocks(*at(0, 4), gap=3) == ["1 holding 0 5"]
    assert blocks(*at(0, 4), gap=2) == ["1 holding 0 1", "1 holding 4 1"]


def test_a_question_asks_for_no_more_than_allowed_and_cuts_no_value() -> None:
    assert blocks(*at(*range(0, 200, 2), type="float32")) == ["1 holding 0 124", "1 holding 124 76"]
    assert blocks(*at(0, 2, 4, type="float32"), block=5) == ["1 holding 0 4", "1 holding 4 2"]


def test_tables_units_and_counting_from_one() -> None:
    registers = [*at(1), *at(3, table="input"), *at(5, table="coil"), *at(7, station=9)]
    assert blocks(*registers, base=1, unit=4) == ["4 coil 4 1", "4 holding 0 1", "4 input 2 1", "9 holding 6 1"]


def test_two_things_in_one_register_are_read_once() -> None:
    register = [{"quantity": f"bit-{bit}", "at": 8, "type": "bit", "bit": bit} for bit in range(3)]
    assert blocks(*register) == ["1 holding 8 1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": 70000},
        {"at": 65535, "type": "float32"},
        {"type": "bit"},
        {"table": "coil", "type": "float32"},
        {"bit": 3, "type": "float32"},
        {"length": 2},
        {"type": "bcd", "length": 5},
        {"scale": 0},
        {"low": 5, "high": 5},
        {"quantity": "Not This"},
        {"words": "ACBD"},
        {"write": True},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options({"quantity": "x", "at": 0, **wrong})


def test_the_framing_is_that_of_the_link_unless_declared() -> None:
    class Linked(ModbusOptions):
        link: Any = None

    def first(kind: str, **more: Any) -> bytes:
        class Link:
            type = kind

        given_options = Linked.model_validate({"registers": at(0), "link": Link(), **more})
        return b"".join(event.data for event in DRIVER.host(given_options).tick(1.0) if isinstance(event, Send))

    assert first("serial") == frame("rtu", 1, b"\x03\0\0\0\1")
    assert first("tcp") == frame("tcp", 1, b"\x03\0\0\0\1", 1)
    assert first("tcp", framing="rtu") == frame("rtu", 1, b"\x03\0\0\0\1")
    assert first("serial", framing="ascii") == frame("ascii", 1, b"\x03\0\0\0\1")


@pytest.mark.parametrize("framing", ["rtu", "ascii", "tcp"])
def test_every_image_is_told_once_and_whole(framing: Framing) -> None:
    declared = options(
        {"quantity": "temperature", "at": 0, "scale": 0.1, "unit": "Cel"},
        {"quantity": "co2", "at": 40, "type": "float32", "unit": "%"},
        {"quantity": "door", "at": 3, "table": "discrete", "map": {0: "closed", 1: "open"}},
        framing=framing,
    )
    bench = Bench(DRIVER.host(declared), DRIVER.instrument(declared))
    meant = [{"temperature": -80.0 + n, "co2": 5.0 + n, "door": ("open", "closed")[n % 2]} for n in range(4)]
    for readings in meant:
        bench.say(DRIVER.encode({"readings": readings}, declared))
    bench.run(35.0)
    drafts = [draft for heard in bench.heard for draft in DRIVER.decode(heard, declared)]
    for number, name in enumerate(("temperature", "co2", "door")):
        assert [draft.value for draft in drafts if draft.quantity == name] == [row[name] for row in meant], number
    assert (bench.instrument.delivered, bench.instrument.idle, bench.refused) == (4, True, [])


def test_before_it_has_measured_anything_the_instrument_is_busy() -> None:
    declared = options(*at(0), framing="tcp")
    bench = Bench(DRIVER.host(declared), DRIVER.instrument(declared))
    bench.run(1.0)
    (draft,) = DRIVER.decode(bench.heard[0], declared)
    assert (draft.value, draft.attributes) == (None, {"exception": "server-device-busy"})


@given(st.binary(max_size=300), st.sampled_from(["rtu", "ascii", "tcp"]))
def test_the_instrument_takes_any_bytes(data: bytes, framing: Framing) -> None:
    speaker = DRIVER.instrument(options(*at(0), framing=framing))
    events = [*speaker.receive(data, 0.0), *speaker.tick(5.0), *speaker.close()]
    assert b"".join(event.raw for event in events) == data
    assert not [event for event in events if isinstance(event, Received | Rejected)]


def test_a_dead_unit_on_the_line_does_not_silence_the_others() -> None:
    declared = options(*at(0, 10, station=5), *at(1, 11, station=6), framing="rtu", poll="10s", timeout="1s")
    host = DRIVER.host(declared)
    now, kept = 0.0, []
    while now < 300:
        due = host.deadline
        assert due is not None
        now = max(now, due)
        for event in list(host.tick(now)):
            if isinstance(event, Send) and event.data and event.data[0] == 6:
                answers = host.receive(frame("rtu", 6, b"\x03\x02\0\x2a"), now + 0.01)
                kept += [one.channel for one in answers if isinstance(one, Received)]
    assert len(kept) > 40
    assert set(kept) == {"rtu 6 holding 1 1", "rtu 6 holding 11 1"}


SHAPES: list[list[dict[str, Any]]] = [
    [*at(0, 100, type="int32")],
    [*at(0, 100), *at(7, table="discrete")],
    [*at(0, 100, 200, type="float64")],
    [*at(0, 1, 2), *at(100, 101, 102)],
]


@given(st.sampled_from(SHAPES), st.lists(st.one_of(st.none(), st.floats(0, 9)), min_size=1, max_size=8))
def test_however_late_an_answer_comes_it_is_read_as_what_it_answers(
    registers: list[dict[str, Any]], delays: list[float | None]
) -> None:
    """An instrument whose registers hold their own address, and that answers in order, each time later or never."""
    declared = options(*registers, framing="rtu", timeout="2s")
    host = DRIVER.host(declared)
    now, last, count = 100.0, 0.0, 0
    under_way: list[tuple[float, bytes]] = []
    found: list[tuple[str, bytes]] = []
    while now < 220:
        times = [due for due in (host.deadline, under_way[0][0] if under_way else None) if due is not None]
        now = max(now, min(times))
        if under_way and under_way[0][0] <= now:
            events = host.receive(under_way.pop(0)[1], now)
            found += [(event.channel, event.raw) for event in events if isinstance(event, Received)]
            continue
        for event in host.tick(now):
            if isinstance(event, Send) and event.data:
                delay = delays[count % len(delays)]
                count += 1
                if delay is not None:
                    last = max(last, now + delay)
                    under_way.append((last, own_address(event.data)))
    for channel, raw in found:
        _, asked = named(channel)
        assert raw == own_address(frame("rtu", 1, asked.pdu)), channel


def own_address(asked: bytes) -> bytes:
    unit, pdu = unframe("rtu", asked)
    address, count = struct.unpack(">HH", pdu[1:])
    data = b"\0" if pdu[0] == 2 else b"".join((address + n).to_bytes(2, "big") for n in range(count))
    return frame("rtu", unit, bytes([pdu[0], len(data)]) + data)


# ---- makers' tables


@pytest.mark.parametrize("variant", [variant.name for variant in DRIVER.variants])
def test_a_makers_table_says_what_it_rests_on(variant: str) -> None:
    preset = DRIVER.preset(variant)
    assert preset.models
    assert len(preset.note) > 20
    declared = ModbusOptions.model_validate(preset.options)
    assert all(register.kind == "status" or register.unit or register.map for register in declared.registers)


def test_watlow_sends_the_low_word_first() -> None:
    """The maker's example: 75.0 is 42960000, read as 0000 4296 (Communications user's manual, page 13)."""
    declared = DRIVER.trial("watlow-ez-zone")
    raw = frame("tcp", 1, bytes.fromhex("03 04 0000 4296"))
    (draft,) = DRIVER.decode(Message(raw, "tcp 1 holding 2160 2"), declared)
    assert (draft.quantity, draft.value, draft.unit, draft.kind) == ("setpoint", 75.0, "[degF]", Kind.STATUS)


def test_polled_readings_are_known_by_their_arrival() -> None:
    assert DRIVER.identity(options(*at(0))) is Identity.ARRIVAL
