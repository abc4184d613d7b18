"""LIS01-A2 transfer: what is acknowledged was received, in order, whatever the wire does."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.astm import BUSY, REPLY, Transfer
from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.frames import ACK, ENQ, EOT, ETB, NAK, Joined, cut, frame
from tests.drivers.wire import End, Fault, Wire

SAMPLES = Path(__file__).parents[2] / "../shared/samples"
MESSAGE = b"H|\\^&|||Reader^1\rP|1\rO|1|S1||^^^CRP\rR|1|^^^CRP|12.4|mg/L\rL|1|N\r"


def session(message: bytes = MESSAGE, start: int = 1) -> bytes:
    frames = [frame(start + place, text, end) for place, (text, end) in enumerate(cut(message))]
    return ENQ + b"".join(frames) + EOT


def feed(exchange: Transfer, data: bytes, cuts: Iterable[int] = (), now: float = 0.0) -> list[Event]:
    edges = [0, *sorted(cuts), len(data)]
    events: list[Event] = []
    for start, stop in pairwise(edges):
        events += exchange.receive(data[start:stop], now)
    return events


def replies(events: Iterable[Event]) -> bytes:
    return b"".join(event.data if isinstance(event, Send) else event.reply for event in events)


def texts(events: Iterable[Event]) -> list[bytes]:
    """The texts of the whole messages received."""
    found, parts = [], []
    for event in events:
        if isinstance(event, Received):
            parts.append(event.raw)
            if event.complete:
                found.append(Joined(b"".join(parts)).text)
                parts = []
    return found


# -- the printed frames of the standard's layout


def test_the_checksums_of_the_worked_example() -> None:
    assert frame(5, b"L|1|N\r") == b"\x025L|1|N\r\x0308\r\n"
    assert frame(2, b"P|1||PID-0001\r") == b"\x022P|1||PID-0001\r\x0302\r\n"
    assert frame(4, b"R|1|^^^CRP|12.4|mg/L", ETB) == b"\x024R|1|^^^CRP|12.4|mg/L\x17D1\r\n"
    assert len(next(iter(frame(1, text, end) for text, end in cut(b"x" * 240, by_record=False)))) == 247


def test_every_frame_is_acknowledged_and_the_message_ends_with_its_terminator() -> None:
    events = feed(Transfer(), session())
    assert replies(events) == ACK * 6
    assert [event.complete for event in events if isinstance(event, Received)] == [False] * 4 + [True]
    assert texts(events) == [MESSAGE]


def test_a_keep_alive_is_no_message() -> None:
    assert feed(Transfer(), ENQ + EOT) == [Send(ACK, ENQ), Send(b"", EOT)]


def test_a_text_cut_anywhere_is_joined_by_bytes() -> None:
    pieces = list(cut(MESSAGE, 7, by_record=False))
    wire = ENQ + b"".join(frame(number, text, end) for number, (text, end) in enumerate(pieces, 1)) + EOT
    assert texts(feed(Transfer(), wire)) == [MESSAGE]


def test_frame_numbers_run_on_across_the_messages_of_a_session() -> None:
    first, second = [list(cut(MESSAGE))] * 2
    wire = ENQ + b"".join(frame(number, text, end) for number, (text, end) in enumerate([*first, *second], 1)) + EOT
    events = feed(Transfer(), wire)
    assert texts(events) == [MESSAGE, MESSAGE]
    assert replies(events) == ACK * 11


def test_a_wrong_checksum_is_refused_with_what_was_wanted() -> None:
    good = frame(1, b"H|\\^&\r")
    events = feed(Transfer(), ENQ + good.replace(b"\x03E5", b"\x0300").replace(good[-4:-2], b"00"))
    assert isinstance(events[1], Rejected)
    assert (events[1].reason, events[1].reply) == (Reason.CHECKSUM, NAK)
    assert events[1].detail == f"want {good[-4:-2].decode()}, got 00"


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 200), max_size=8), each=st.booleans())
def test_frames_without_checksums_are_taken_where_that_is_declared(cuts: list[int], each: bool) -> None:
    frames = [frame(place, text, end, checked=False) for place, (text, end) in enumerate(cut(MESSAGE), 1)]
    wire = ENQ + b"".join(frames) + EOT
    assert b"\x03\r\n" in wire
    edges = range(len(wire)) if each else [cut for cut in cuts if cut < len(wire)]
    events = feed(Transfer(checked=False), wire, edges)
    assert replies(events) == ACK * 6
    raw = b"".join(event.raw for event in events if isinstance(event, Received))
    assert Joined(raw, checked=False).text == MESSAGE
    assert Joined(raw).text == b""
    assert not [event for event in feed(Transfer(), wire) if isinstance(event, Received)]


def test_a_checksum_that_is_sent_is_judged_whether_it_must_be_or_not() -> None:
    good = frame(1, b"H|\\^&\r")
    wrong = good[:-4] + b"00\r\n"
    refused, taken = feed(Transfer(checked=False), ENQ + wrong + good)[1:]
    assert isinstance(refused, Rejected)
    assert (refused.reason, isinstance(taken, Received)) == (Reason.CHECKSUM, True)


def test_a_frame_that_skips_a_number_is_refused() -> None:
    events = feed(Transfer(), ENQ + frame(1, b"H|\\^&\r") + frame(3, b"P|1\r"))
    assert isinstance(events[-1], Rejected)
    assert (events[-1].reason, events[-1].detail) == (Reason.FRAME_NUMBER, "want 2, got 3")


def test_a_repeated_frame_is_acknowledged_and_not_taken_twice() -> None:
    exchange = Transfer()
    feed(exchange, ENQ + frame(1, b"H|\\^&\r"))
    again = frame(1, b"H|\\^&\r")
    assert feed(exchange, again, now=16.0) == [Send(ACK, again)]


def test_the_last_number_with_another_text_is_no_repeat() -> None:
    exchange = Transfer()
    feed(exchange, ENQ + frame(1, b"H|\\^&\r"))
    (event,) = feed(exchange, frame(1, b"H|\\^&|x\r"), now=16.0)
    assert isinstance(event, Rejected)
    assert (event.reason, event.reply) == (Reason.FRAME_NUMBER, NAK)


def test_a_frame_doubled_on_its_way_earns_one_acknowledgement() -> None:
    """A second ACK would acknowledge the next frame before it is seen."""
    exchange = Transfer()
    feed(exchange, ENQ)
    assert replies(feed(exchange, frame(1, b"H|\\^&\r") * 2)) == ACK
    assert replies(feed(exchange, frame(2, b"P|1\r"), now=0.2)) == ACK
    assert replies(exchange.tick(1.5)) == b""


def test_a_doubtful_repeat_is_asked_for_again() -> None:
    """NAK is the one answer that is right whichever frame the sender waits for."""
    exchange = Transfer()
    feed(exchange, ENQ)
    first = frame(1, b"H|\\^&\r")
    assert replies(feed(exchange, first)) == ACK
    assert replies(feed(exchange, first, now=0.5)) == b""
    assert replies(exchange.tick(1.5)) == NAK
    assert replies(feed(exchange, first, now=1.6)) == ACK


@pytest.mark.parametrize(("gap", "at_once", "later"), [(0.0, b"", b""), (0.5, b"", ACK), (2.0, ACK, b"")])
def test_a_doubled_enquiry(gap: float, at_once: bytes, later: bytes) -> None:
    exchange = Transfer()
    assert replies(feed(exchange, ENQ)) == ACK
    assert replies(feed(exchange, ENQ, now=gap)) == at_once
    assert replies(exchange.tick(gap + 1.0)) == later


def test_a_frame_after_a_doubled_enquiry_leaves_nothing_owed() -> None:
    exchange = Transfer()
    feed(exchange, ENQ)
    feed(exchange, ENQ, now=0.5)
    assert replies(feed(exchange, frame(1, b"H|\\^&\r"), now=0.6)) == ACK
    assert replies(exchange.tick(1.5)) == b""


def test_an_enquiry_in_mid_message_ends_it_unsound_and_begins_anew() -> None:
    exchange = Transfer()
    feed(exchange, ENQ + frame(1, b"H|\\^&\r"))
    assert replies(feed(exchange, ENQ, now=20.0)) == b""
    assert list(exchange.tick(21.0)) == [Received(b"", sound=False), Send(ACK)]
    assert texts(feed(exchange, session()[1:], now=21.0)) == [MESSAGE]


def test_an_enquiry_at_a_frames_heels_acknowledges_nothing() -> None:
    """A line end ruined into ENQ, and the next frame lost: an ACK would be taken for that frame's."""
    exchange = Transfer()
    feed(exchange, ENQ + frame(1, b"H|\\^&\r"))
    assert replies(feed(exchange, frame(2, b"P|1\r")[:-1] + ENQ, now=1.0)) == ACK
    assert list(exchange.tick(2.0)) == [Send(NAK)]
    assert replies(feed(exchange, frame(3, b"L|1|N\r"), now=2.1)) == ACK
    feed(exchange, ENQ, now=20.0)
    assert list(exchange.tick(21.0)) == [Send(ACK)], "who really begins anew asks again"


def test_silence_in_mid_message_ends_it_unsound() -> None:
    exchange = Transfer()
    feed(exchange, ENQ + frame(1, b"H|\\^&\r"))
    assert exchange.deadline == 30.0
    assert list(exchange.tick(30.0)) == [Received(b"", sound=False)]
    assert exchange.deadline is None


def test_a_lost_link_in_mid_frame_keeps_what_came() -> None:
    exchange = Transfer()
    feed(exchange, ENQ + frame(1, b"H|\\^&\r") + b"\x022P|1")
    assert list(exchange.close()) == [Received(b"\x022P|1", sound=False)]


@pytest.mark.parametrize(("pause", "sound"), [(0.1, True), (15.0, False)])
def test_a_message_without_terminator_is_whole_unless_its_sender_gave_up(pause: float, sound: bool) -> None:
    exchange = Transfer()
    feed(exchange, ENQ + frame(1, b"H|\\^&\r") + frame(2, b"P|1\r"))
    events = [*feed(exchange, EOT, now=pause), *exchange.tick(pause + 1.0)]
    assert events == [Received(EOT, b"", True, sound)]


def test_a_message_that_ends_inside_a_record_is_unsound() -> None:
    events = feed(Transfer(), ENQ + frame(1, b"H|\\^&\rP|", ETB) + EOT + ENQ)
    assert events[2] == Received(EOT, b"", True, False)


def test_the_first_frame_may_be_number_nought() -> None:
    assert texts(feed(Transfer(), session(start=0))) == [MESSAGE]


@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b"\n", b""])
def test_line_ends_after_the_checksum_may_differ(ending: bytes) -> None:
    wire = session().replace(b"\r\n", ending) if ending else b""
    parts = session().split(b"\r\n")
    wire = ending.join(parts)
    exchange = Transfer()
    events = [*feed(exchange, wire), *exchange.tick(1.0)]
    assert texts(events) == [MESSAGE]
    assert replies(events) == ACK * 6


def test_a_frame_without_line_end_is_complete_after_half_a_second() -> None:
    exchange = Transfer()
    feed(exchange, ENQ)
    held = frame(1, b"H|\\^&\r")[:-2]
    assert feed(exchange, held) == []
    assert list(exchange.tick(0.5)) == [Received(held, ACK, complete=False)]
    assert feed(exchange, b"\r\n", now=0.6) == [Send(b"", b"\r\n")]


def test_lower_case_checksums_are_read() -> None:
    wire = frame(1, b"H|\\^&|||x\r")
    assert replies(feed(Transfer(), ENQ + wire[:-4] + wire[-4:].lower())) == ACK + ACK


def test_a_frame_outside_a_session_is_not_acknowledged() -> None:
    exchange = Transfer()
    stray = frame(3, b"R|1|^^^CRP|12.4|mg/L\r")
    events = [*feed(exchange, stray), *exchange.tick(1.0)]
    assert events == [Rejected(stray, Reason.FRAMING, detail="a frame outside a session")]
    assert replies(feed(exchange, ENQ, now=2.0)) == ACK


def test_a_frame_begun_anew_is_judged_by_itself() -> None:
    events = feed(Transfer(), ENQ + b"\x021H|\\^" + frame(1, b"H|\\^&\r"))
    assert isinstance(events[1], Rejected)
    assert (events[1].raw, events[1].reply) == (b"\x021H|\\^", b"")
    assert isinstance(events[2], Received)


def test_records_without_their_cr_are_told_apart_by_their_frames() -> None:
    records = MESSAGE.split(b"\r")[:-1]
    wire = ENQ + b"".join(frame(number, text) for number, text in enumerate(records, 1)) + EOT
    assert texts(feed(Transfer(), wire)) == [MESSAGE[:-1]]


def test_too_long_a_frame_is_refused_and_memory_stays_bounded() -> None:
    exchange = Transfer(max_frame=1000)
    events = feed(exchange, ENQ + b"\x021" + b"x" * 5000, cuts=range(0, 5000, 100))
    assert next(event.reason for event in events if isinstance(event, Rejected)) is Reason.TOO_LONG
    assert max(len(event.raw) for event in events if isinstance(event, Rejected)) <= 1101


def test_too_long_a_message_is_refused() -> None:
    exchange = Transfer(max_message=600)
    frames = [frame(number, b"M|1|" + b"x" * 200 + b"\r") for number in range(1, 4)]
    events = feed(exchange, ENQ + frame(0, b"H|\\^&\r") + b"".join(frames))
    assert [event.reason for event in events if isinstance(event, Rejected)] == [Reason.TOO_LONG]


# -- the sending side


def test_contention_lets_the_instrument_speak_first() -> None:
    host, instrument = End(Transfer("host")), End(Transfer("instrument"))
    wire = Wire(host, instrument)
    wire.offer(host, b"H|\\^&\rO|1|order\rL|1|F\r")
    wire.offer(instrument, MESSAGE)
    wire.run()
    assert [Joined(raw).text for raw, _ in host.messages] == [MESSAGE]
    assert [Joined(raw).text for raw, _ in instrument.messages] == [b"H|\\^&\rO|1|order\rL|1|F\r"]


def test_a_busy_receiver_is_asked_again_after_ten_seconds() -> None:
    exchange = Transfer("instrument")
    assert replies(exchange.offer(MESSAGE, 0.0)) == ENQ
    assert replies(exchange.receive(NAK, 1.0)) == b""
    assert exchange.deadline == 1.0 + BUSY
    assert replies(exchange.tick(11.0)) == ENQ


def test_a_frame_refused_six_times_ends_the_session_and_the_message_is_kept() -> None:
    exchange = Transfer("instrument")
    exchange.offer(MESSAGE, 0.0)
    first = replies(exchange.receive(ACK, 0.0))
    assert [replies(exchange.receive(NAK, 0.0)) for _ in range(6)] == [first] * 5 + [EOT]
    assert not exchange.idle
    assert replies(exchange.tick(BUSY)) == ENQ


def test_no_answer_ends_the_session() -> None:
    exchange = Transfer("instrument")
    exchange.offer(MESSAGE, 0.0)
    assert exchange.deadline == REPLY
    assert replies(exchange.tick(REPLY)) == EOT


def test_a_receivers_interrupt_accepts_the_frame() -> None:
    exchange = Transfer("instrument")
    exchange.offer(b"H|\\^&\rL|1|N\r", 0.0)
    exchange.receive(ACK, 0.0)
    exchange.receive(EOT, 0.0)
    assert replies(exchange.receive(ACK, 0.0)) == EOT
    assert exchange.delivered == 1
    assert replies(exchange.offer(MESSAGE, 1.0)) == b""
    assert replies(exchange.tick(15.0)) == ENQ


def test_an_acknowledgement_too_many_acknowledges_nothing() -> None:
    exchange = Transfer("instrument")
    exchange.offer(MESSAGE, 0.0)
    assert replies(exchange.receive(ACK + ACK, 0.0)).count(b"\x02") == 1
    assert exchange.delivered == 0


def test_a_query_is_answered_with_nothing_known() -> None:
    answer = b"H|\\^&\rL|1|I\r"
    host, instrument = End(Transfer("host", answer=answer)), End(Transfer("instrument"))
    wire = Wire(host, instrument)
    wire.offer(instrument, b"H|\\^&\rQ|1|^S1||ALL\rL|1|N\r")
    wire.run()
    assert [Joined(raw).text for raw, _ in instrument.messages] == [answer]
    wire.offer(instrument, MESSAGE)
    wire.run()
    assert len(instrument.messages) == 1


def test_an_answer_nobody_takes_is_given_up() -> None:
    exchange = Transfer("host", answer=b"H|\\^&\rL|1|I\r")
    feed(exchange, session(b"H|\\^&\rQ|1|^S1||ALL\rL|1|N\r"))
    sent = b""
    for _ in range(20):
        if exchange.deadline is None:
            break
        sent += replies(exchange.tick(exchange.deadline))
    assert exchange.idle
    assert sent.count(ENQ) <= 2


# -- any wire, any cuts


@settings(deadline=None)
@given(data=st.data(), wire=st.binary(max_size=200), prefix=st.sampled_from([b"", ENQ, session()[:60]]))
def test_every_byte_comes_out_once_in_order_whatever_it_is(data: st.DataObject, wire: bytes, prefix: bytes) -> None:
    exchange = Transfer()
    whole = prefix + wire
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))
    now, events, edges = 0.0, list[Event](), [0, *sorted(cuts), len(whole)]
    for start, stop in pairwise(edges):
        events += exchange.receive(whole[start:stop], now)
        now += data.draw(st.sampled_from([0.0, 0.05, 0.6, 1.0, 5.0, 31.0]))
        if exchange.deadline is not None and exchange.deadline <= now:
            events += exchange.tick(now)
    events += exchange.close()
    assert b"".join(event.raw for event in events) == whole


@settings(deadline=None)
@given(st.lists(st.integers(0, len(session()) * 2), max_size=12))
def test_cuts_do_not_matter(cuts: list[int]) -> None:
    wire = session() + session()
    assert feed(Transfer(), wire, cuts) == feed(Transfer(), wire)
    assert feed(Transfer(), wire, range(len(wire))) == feed(Transfer(), wire)


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """A wire that loses, doubles, ruins, shortens and cuts its first writes, and is clean afterwards.

    What no receiver could tell is left out: a NAK that becomes an ACK, and a byte that becomes the end of a session.
    """
    one = st.tuples(
        st.sampled_from("....dldlrxc"), st.integers(0, 400), st.integers(0, 255).filter(lambda byte: byte != 4)
    )
    left = iter(draw(st.lists(one, max_size=25)))

    def carry(data: bytes) -> list[bytes]:
        kind, place, byte = next(left, (".", 0, 0))
        place %= len(data)
        match kind:
            case "l":
                return []
            case "d":
                return [data + data]
            case "r":  # one byte ruined
                byte = 0 if len(data) == 1 and bytes([byte]) == ACK else byte
                return [data[:place] + bytes([byte]) + data[place + 1 :]]
            case "x":  # one byte lost
                return [data[:place] + data[place + 1 :]]
            case "c":
                return [data[:place], data[place:]]
            case _:
                return [data]

    return carry


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    to_host=faults(),
    to_instrument=faults(),
    count=st.integers(1, 4),
    split=st.sampled_from(["record", "text"]),
    size=st.sampled_from([5, 40, 240]),
    run_on=st.booleans(),
    order_count=st.integers(0, 2),
)
def test_what_was_acknowledged_was_received_in_order(
    to_host: Fault, to_instrument: Fault, count: int, split: str, size: int, run_on: bool, order_count: int
) -> None:
    host = End(Transfer("host"), to_instrument)
    instrument = End(Transfer("instrument", frame_size=size, split=split, run_on=run_on), to_host)  # type: ignore[arg-type]
    wire = Wire(host, instrument)
    messages = [MESSAGE.replace(b"S1", b"S%d" % number) for number in range(count)]
    orders = [b"H|\\^&\rO|1|%d\rL|1|F\r" % number for number in range(order_count)]
    for message in messages:
        wire.offer(instrument, message)
    for order in orders:
        wire.offer(host, order)
    wire.run()
    for sender, receiver, sent in ((instrument, host, messages), (host, instrument, orders)):
        assert sender.exchange.delivered == len(sent)
        whole = [Joined(raw).text for raw, sound in receiver.messages if sound]
        assert [text for text, _ in groupby(whole)] == sent
        for raw, sound in receiver.messages:
            if not sound:
                assert any(message.startswith(Joined(raw).text) for message in sent)


# -- recordings


@pytest.mark.skipif(not SAMPLES.exists(), reason="recordings are not beside the repository")
@pytest.mark.parametrize("step", [1, 17, 1_000_000])
def test_recorded_sessions_are_received_whole(step: int) -> None:
    recordings = sorted(SAMPLES.glob("deforay+intelis-interfacing/reconstructed/*.bin"))
    assert recordings
    for path in recordings:
        wire = path.read_bytes()
        exchange = Transfer()
        events = feed(exchange, wire, range(0, len(wire), step))
        assert not [event for event in events if isinstance(event, Rejected)], path.name
        assert len(texts(events)) == 1, path.name
        assert NAK not in replies(events)
