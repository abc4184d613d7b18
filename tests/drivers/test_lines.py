"""Lines and frames: nothing lost, nothing joined wrongly, whatever way the bytes are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from drivers.kit.blocks import CHECKS, Blocks, Shape
from drivers.kit.checks import sum8
from drivers.kit.durations import Duration, seconds, written
from drivers.kit.exchange import Event, Exchange, Reason, Received, Rejected, Send
from drivers.kit.lines import ACK, ETX, NAK, STX, Lines, text_of
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole


def fed(exchange: Exchange, *chunks: bytes) -> list[Event]:
    return [event for chunk in chunks for event in exchange.receive(chunk, 0.0)]


def messages(events: Iterable[Event]) -> list[bytes]:
    return [event.raw for event in events if isinstance(event, Received)]


def raw(events: Iterable[Event]) -> bytes:
    return b"".join(event.raw for event in events)


MACHINES: list[Callable[[], Exchange]] = [
    lambda: Lines(max_line=16),
    lambda: Lines(terminator=b"\r\n", max_line=8),
    lambda: Lines(terminator=b"ab", max_line=6, discard_first=True),
    lambda: Lines(max_line=12, unterminated="take", quiet=1.0, reply=ACK),
    lambda: Blocks(Shape(), max_block=16),
    lambda: Blocks(Shape(check=CHECKS["sum8"]), max_block=16, reply=ACK, refusal=NAK),
]


@pytest.mark.parametrize("make", MACHINES)
@given(
    data=st.lists(st.sampled_from(b"ab1 \r\n\x02\x03\x00\xff"), max_size=80).map(bytes),
    cuts=st.sets(st.integers(1, 79)),
)
def test_cuts_change_nothing_and_no_byte_is_lost(make: Callable[[], Exchange], data: bytes, cuts: set[int]) -> None:
    def run(pieces: list[bytes]) -> list[Event]:
        exchange = make()
        return [*fed(exchange, *pieces), *exchange.close()]

    whole = run([data])
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    assert raw(whole) == data
    assert run([data[index : index + 1] for index in range(len(data))]) == whole
    assert run([data[begin:end] for begin, end in pairwise(edges)]) == whole


def test_cr_lf_and_both_end_a_line_in_any_mixture() -> None:
    events = fed(Lines(), b"one\r\ntwo\rthree\nfour\r\n")
    assert [text_of(line) for line in messages(events)] == [b"one", b"two", b"three", b"four"]


def test_empty_lines_say_nothing() -> None:
    events = fed(Lines(), b"\r\n \0\r\n\x11\r\n")
    assert all(isinstance(event, Send) and not event.data for event in events)


def test_a_declared_terminator_leaves_others_in_the_line() -> None:
    assert messages(fed(Lines(terminator=b"\r\n"), b"a\nb\rc\r\nd\r\n")) == [b"a\nb\rc\r\n", b"d\r\n"]


def test_a_line_too_long_is_refused_once_and_the_next_line_is_read() -> None:
    events = fed(Lines(terminator=b"\r\n", max_line=10), b"x" * 95 + b"\r\ngood\r\n")
    refused = [event for event in events if isinstance(event, Rejected)]
    assert [(event.reason, len(event.raw)) for event in refused] == [(Reason.TOO_LONG, 10)]
    assert messages(events) == [b"good\r\n"]


def test_a_line_whose_terminator_stands_at_the_cap_does_not_swallow_the_next() -> None:
    events = fed(Lines(terminator=b"\r\n", max_line=10), b"123456789\r\ngood\r\n")
    assert messages(events) == [b"good\r\n"]


def test_memory_stays_bounded_without_a_terminator() -> None:
    lines = Lines(max_line=1000)
    for _ in range(1000):
        fed(lines, b"y" * 1000)
    assert len(raw(lines.close())) <= 1000


@pytest.mark.parametrize(("unterminated", "kind"), [("refuse", Rejected), ("take", Received)])
def test_silence_ends_an_unfinished_line(unterminated: str, kind: type[Event]) -> None:
    lines = Lines(quiet=2.0, unterminated=unterminated)  # type: ignore[arg-type]
    assert list(lines.receive(b"12.3", 10.0)) == []
    assert lines.deadline == 12.0
    assert list(lines.tick(11.0)) == []
    (event,) = lines.tick(12.0)
    assert isinstance(event, kind)
    assert event.raw == b"12.3"
    assert lines.deadline is None
    assert messages(fed(lines, b"next\r")) == [b"next\r"]


def test_what_the_links_end_cut_off_is_taken_as_not_sound() -> None:
    lines = Lines(unterminated="take", quiet=2.0)
    assert [event.raw for event in fed(lines, b"T=12.4\r", b"T=12")] == [b"T=12.4\r"]
    (event,) = lines.close()
    assert event == Received(b"T=12", sound=False)


def test_the_first_line_can_be_dropped() -> None:
    assert messages(fed(Lines(discard_first=True), b"alf a line\rwhole\r")) == [b"whole\r"]


def framed(text: bytes) -> bytes:
    return STX + text + ETX + b"%02X" % sum8(text + ETX)


def test_frames_are_acknowledged_and_damaged_ones_refused() -> None:
    good, damaged = framed(b"P;12.5"), framed(b"P;12.5").replace(b"5", b"6", 1)
    events = fed(Blocks(Shape(check=CHECKS["sum8"]), reply=ACK, refusal=NAK), good + b"\r\n" + damaged + b"\r\n")
    assert events[0] == Received(good, ACK)
    refused = [event for event in events if isinstance(event, Rejected)]
    assert [(event.raw, event.reason, event.reply) for event in refused] == [(damaged, Reason.CHECKSUM, NAK)]
    assert text_of(good) == b"P;12.5"


def test_a_frame_that_begins_anew_and_bytes_between_frames_are_refused() -> None:
    events = fed(Blocks(Shape()), b"junk\x02half\x02whole\x03")
    assert [event.reason for event in events if isinstance(event, Rejected)] == [Reason.FRAMING, Reason.INCOMPLETE]
    assert messages(events) == [b"\x02whole\x03"]


def test_whole_chunks_are_messages() -> None:
    events = fed(Whole(max_message=5), b"{}", b"", b"123456")
    assert [type(event) for event in events] == [Received, Rejected]


def test_an_acknowledged_printer_sends_again_until_it_is_understood() -> None:
    printer = Printer(acknowledged=True, wait=5.0)
    assert list(printer.offer(b"one", 0.0)) == [Send(b"one")]
    assert list(printer.offer(b"two", 0.0)) == []
    assert list(printer.receive(NAK, 1.0)) == [Send(b"one", NAK)]
    assert list(printer.tick(6.0)) == [Send(b"one")]
    assert list(printer.receive(ACK, 7.0)) == [Send(b"two", ACK)]
    assert (printer.delivered, printer.idle) == (1, False)
    assert list(printer.receive(ACK, 8.0)) == [Send(b"", ACK)]
    assert (printer.delivered, printer.idle) == (2, True)


@pytest.mark.parametrize(("text", "value"), [("250ms", 0.25), ("10s", 10), ("5m", 300), ("2h", 7200), ("7d", 604_800)])
def test_durations(text: str, value: float) -> None:
    assert TypeAdapter(Duration).validate_python(text) == seconds(text) == value
    assert seconds(written(value)) == value


@pytest.mark.parametrize("wrong", ["10", "ten seconds", "-5s", "5 weeks", "", 10, 1.5, None, True, "9" * 400 + "s"])
def test_durations_without_a_unit_are_refused_with_a_remedy(wrong: object) -> None:
    with pytest.raises(ValidationError, match='"10s"'):
        TypeAdapter(Duration).validate_python(wrong)
