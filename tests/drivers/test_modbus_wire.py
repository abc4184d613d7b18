"""Modbus frames and answers: the examples of the standards and of makers' manuals, damage, echoes, and late answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.asking import Asking, Question
from drivers.kit.checks import crc16_modbus, lrc8
from drivers.kit.exchange import DecodeError, Event, Reason, Received, Rejected, Send
from drivers.kit.modbus import Framing, ModbusAnswers, Read, answer, frame, named, unframe

FRAMINGS: list[Framing] = ["rtu", "ascii", "tcp"]
TWO = Read(1, "holding", 0, 2)
WARM = bytes.fromhex("03 04 42140000")  # 37.0


def test_the_check_values_of_the_catalogue() -> None:
    assert crc16_modbus(b"123456789") == 0x4B37
    assert lrc8(bytes.fromhex("010300000002")) == 0xFA


@pytest.mark.parametrize(
    ("framing", "read", "printed"),
    [
        ("rtu", TWO, bytes.fromhex("01 03 0000 0002 C40B")),
        ("rtu", Read(1, "input", 0, 1), bytes.fromhex("01 04 0000 0001 31CA")),
        ("rtu", Read(17, "holding", 0x6B, 3), bytes.fromhex("11 03 006B 0003 7687")),
        ("rtu", Read(240, "holding", 0, 2), bytes.fromhex("F0 03 0000 0002 D12A")),  # Vaisala GMP252, A.3
        ("rtu", Read(254, "input", 3, 1), bytes.fromhex("FE 04 0003 0001 D5C5")),  # Senseair S8
        ("ascii", TWO, b":010300000002FA\r\n"),
        ("ascii", Read(1, "holding", 0x1000, 2), b":010310000002EA\r\n"),  # Delta DT3, page 20
        ("ascii", Read(1, "holding", 0x530, 2), b":010305300002C5\r\n"),  # Thermo Isotemp -86, appendix B
        ("tcp", TWO, bytes.fromhex("0001 0000 0006 01 03 0000 0002")),
    ],
)
def test_a_question_goes_out_as_the_printed_example(framing: Framing, read: Read, printed: bytes) -> None:
    asked = ModbusAnswers(framing).ask(Question(name=read.name(framing), ask=read.pdu))
    assert asked == printed


@pytest.mark.parametrize(
    ("framing", "printed", "pdu"),
    [
        ("rtu", bytes.fromhex("01 03 04 42140000 AE4F"), WARM),
        ("rtu", bytes.fromhex("01 83 02 C0F1"), b"\x83\x02"),
        ("ascii", b":010304FFFFFCE01E\r\n", bytes.fromhex("03 04 FFFFFCE0")),
        ("tcp", bytes.fromhex("0001 0000 0007 01 03 04 42140000"), WARM),
    ],
)
def test_a_printed_answer_is_read(framing: Framing, printed: bytes, pdu: bytes) -> None:
    assert unframe(framing, printed) == (1, pdu)


@given(st.sampled_from(FRAMINGS), st.integers(0, 255), st.binary(min_size=2, max_size=253), st.integers(0, 0xFFFF))
def test_what_is_framed_is_unframed(framing: Framing, unit: int, pdu: bytes, transaction: int) -> None:
    assert unframe(framing, frame(framing, unit, pdu, transaction)) == (unit, pdu)


@given(st.sampled_from(["rtu", "ascii"]), st.binary(min_size=2, max_size=60), st.data())
def test_a_changed_byte_is_seen(framing: Framing, pdu: bytes, data: st.DataObject) -> None:
    raw = bytearray(frame(framing, 1, pdu))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        read = unframe(framing, bytes(raw))
    except DecodeError:
        return
    assert framing == "ascii"
    assert read == (1, pdu)  # a hexadecimal digit in lower case


@given(st.integers(0, 255), st.sampled_from(["coil", "discrete", "holding", "input"]), st.integers(0, 0xFFFF))
def test_a_question_can_be_read_from_its_name(unit: int, table: str, address: int) -> None:
    read = Read(unit, table, address, 7)  # type: ignore[arg-type]
    assert named(read.name("rtu")) == ("rtu", read)


@pytest.mark.parametrize(
    ("unit", "pdu", "reason"),
    [
        (2, WARM, Reason.UNCLAIMED),
        (1, b"\x04\x04\x42\x14\x00\x00", Reason.UNCLAIMED),
        (1, b"\x03\x02\x42\x14", Reason.UNREADABLE),
        (1, b"\x03\x04\x42\x14", Reason.UNREADABLE),
        (1, b"\x83", Reason.UNREADABLE),
        (1, b"", Reason.UNCLAIMED),
    ],
)
def test_another_unit_function_or_length_is_no_answer(unit: int, pdu: bytes, reason: Reason) -> None:
    with pytest.raises(DecodeError) as caught:
        answer(TWO, unit, pdu)
    assert caught.value.reason is reason


# ---- in conversation


class Line:
    """Our side of one question (or two that look alike) on a clock of its own."""

    def __init__(self, framing: Framing, *reads: Read, sync: Read | None = None) -> None:
        self.framing = framing
        keep = None if sync is None else self.question(sync)
        questions = [self.question(read, keep) for read in reads or (TWO,)]
        self.asking = Asking(questions, ModbusAnswers(framing), gap=0.0 if framing == "tcp" else 0.05)
        self.now = 100.0
        self.asked: list[bytes] = []
        self.kept: list[tuple[str, bytes]] = []
        self.refused: list[Rejected] = []
        self.run(self.now)

    def question(self, read: Read, sync: Question | None = None) -> Question:
        return Question(name=read.name(self.framing), ask=read.pdu, every=10.0, wait=2.0, sync=sync)

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Received):
                self.kept.append((event.channel, event.raw))
            elif isinstance(event, Rejected):
                self.refused.append(event)
            elif event.data:
                self.asked.append(event.data)

    def hear(self, data: bytes) -> None:
        self.take(self.asking.receive(data, self.now))

    def run(self, until: float) -> None:
        while (due := self.asking.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.asking.tick(self.now))
        self.now = until


@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_answer_is_known_among_noise(framing: Framing) -> None:
    line = Line(framing)
    good = frame(framing, 1, WARM, 1)
    line.hear(b"\xff\x01\x07" + good)
    assert line.kept == [(TWO.name(framing), good)]
    assert [event.raw for event in line.refused] == [b"\xff\x01\x07"]


@pytest.mark.parametrize("framing", ["rtu", "ascii"])
def test_the_echo_of_a_two_wire_line_is_passed_over(framing: Framing) -> None:
    line = Line(framing)
    good = frame(framing, 1, WARM)
    line.hear(line.asked[0] + good)
    assert [raw for _, raw in line.kept] == [good]
    assert line.refused == []


def test_an_answer_with_gaps_in_it_is_one_answer() -> None:
    line = Line("rtu")
    good = frame("rtu", 1, WARM)
    for byte in good:
        line.hear(bytes([byte]))
        line.run(line.now + 0.1)
    assert [raw for _, raw in line.kept] == [good]


def test_a_damaged_answer_does_not_hide_the_sound_one_behind_it() -> None:
    line = Line("rtu")
    good = frame("rtu", 1, WARM)
    bad = good[:4] + b"\x55" + good[5:]
    line.hear(bad + good)
    assert [raw for _, raw in line.kept] == [good]
    assert [(event.raw, event.reason) for event in line.refused] == [(bad, Reason.CHECKSUM)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (frame("rtu", 1, WARM)[:-1] + b"\0", Reason.CHECKSUM),
        (frame("rtu", 1, WARM)[:-2], Reason.INCOMPLETE),
        (frame("rtu", 2, WARM), Reason.UNCLAIMED),
        (frame("rtu", 1, b"\x04" + WARM[1:]), Reason.UNCLAIMED),
        (frame("rtu", 1, b"\x03\x02\x42\x14"), Reason.UNREADABLE),
        (b"\x01\x03", Reason.INCOMPLETE),
        (b"hello there", Reason.FRAMING),
    ],
)
def test_what_is_no_answer_is_refused_with_its_reason_when_time_is_up(said: bytes, reason: Reason) -> None:
    line = Line("rtu")
    line.hear(said)
    line.run(103.0)
    assert line.kept == []
    assert [(event.raw, event.reason) for event in line.refused] == [(said, reason)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (frame("tcp", 1, WARM, 2), Reason.UNCLAIMED),
        (frame("tcp", 9, WARM, 1), Reason.UNCLAIMED),
        (frame("tcp", 1, b"\x04" + WARM[1:], 1), Reason.UNCLAIMED),
        (frame("tcp", 1, b"\x03\x02\x42\x14", 1), Reason.UNREADABLE),
        (b":01030442140000A2\r\n", Reason.FRAMING),
    ],
)
def test_over_tcp_another_transaction_unit_function_or_length_is_refused(said: bytes, reason: Reason) -> None:
    line = Line("tcp")
    line.hear(said)
    line.run(103.0)
    assert line.kept == []
    assert [(event.raw, event.reason) for event in line.refused] == [(said, reason)]


ALIKE = (Read(1, "holding", 0, 2), Read(1, "holding", 100, 2))


def test_over_tcp_a_late_answer_is_known_by_its_number() -> None:
    line = Line("tcp", *ALIKE)
    line.run(104.0)
    assert len(line.asked) == 2
    line.hear(frame("tcp", 1, WARM, 1))  # of the first question, given up
    line.hear(frame("tcp", 1, b"\x03\x04\0\0\0\x07", 2))
    assert line.kept == [(ALIKE[1].name("tcp"), frame("tcp", 1, b"\x03\x04\0\0\0\x07", 2))]


@given(
    st.sampled_from(FRAMINGS),
    st.lists(st.one_of(st.none(), st.floats(0, 9)), min_size=1, max_size=12),
    st.integers(1, 3),
)
def test_however_late_answers_come_none_is_taken_for_one_that_looks_alike(
    framing: Framing, delays: list[float | None], alike: int
) -> None:
    """An instrument that answers in order, each time with another delay, and some questions never."""
    reads = [Read(1, "holding", 100 * number, 2) for number in range(alike)]
    sync = Read(1, "holding", 0, 1) if framing != "tcp" else None
    line = Line(framing, *reads, sync=sync)
    under_way: list[tuple[float, bytes]] = []
    seen, last = 0, 0.0
    for tenth in range(1000, 2200):
        now = tenth / 10
        line.run(now)
        for asked in line.asked[seen:]:
            delay = delays[seen % len(delays)] if now < 160 else 0.0
            seen += 1
            if delay is not None:
                last = max(last, now + delay)
                under_way.append((last, reply(framing, asked)))
        while under_way and under_way[0][0] <= now:
            line.hear(under_way.pop(0)[1])
    for channel, raw in line.kept:
        _, read = named(channel)
        _, pdu = unframe(framing, raw)
        assert int.from_bytes(pdu[2:4], "big") == read.address
    assert {channel for channel, _ in line.kept} >= {read.name(framing) for read in reads}


def reply(framing: Framing, asked: bytes) -> bytes:
    """The answer says the address it was asked for."""
    unit, pdu = unframe(framing, asked)
    data = pdu[1:3] * pdu[4]
    return frame(framing, unit, bytes([3, len(data)]) + data, int.from_bytes(asked[:2], "big"))


# ---- hostile


def fed(framing: Framing, pieces: Iterable[bytes]) -> list[Event]:
    asking = Asking([Question(name=TWO.name(framing), ask=TWO.pdu, every=10.0)], ModbusAnswers(framing), gap=1.0)
    events = list(asking.tick(100.0))
    for piece in pieces:
        events += asking.receive(piece, 100.0)
    return [*events, *asking.close()]


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.just(frame("rtu", 1, WARM)),
        st.just(frame("rtu", 1, TWO.pdu)),
        st.just(frame("ascii", 1, WARM)),
        st.just(frame("tcp", 1, WARM, 1)),
        st.just(b"\x01\x03\x04"),
        st.just(b":0103"),
        st.just(b"\0\1\0\0\0\7\1"),
    ),
    max_size=8,
)


@given(st.sampled_from(FRAMINGS), PIECES, st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_come_out_once_and_the_same_at_any_cut(framing: Framing, parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole = fed(framing, [data])
    assert b"".join(event.raw for event in whole) == data
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    assert fed(framing, [data[a:b] for a, b in itertools.pairwise(bounds)]) == whole
    assert fed(framing, [data[n : n + 1] for n in range(len(data))]) == whole
    assert len([event for event in whole if isinstance(event, Received)]) <= 1
    assert not [event for event in whole if isinstance(event, Send) and event.data][1:]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("filler", [b"\0", b"\x01", b"\x01\x03\x04", b":", b":01", b"\0\1\0\0\0\xfe"])
def test_endless_noise_is_refused_piece_by_piece(framing: Framing, filler: bytes) -> None:
    events = fed(framing, [filler * (20_000 // len(filler))])
    assert max(len(event.raw) for event in events) <= 1100
