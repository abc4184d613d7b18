"""ENQ, STX, records, ETX, EOT, each acknowledged: Snibe's transfer, both roles."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import load
from drivers.kit.bare import LATE, PAUSE, SILENCE, Bare, BareSpeaker
from drivers.kit.declare import Message
from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.frames import ACK, ENQ, EOT, ETX, NAK, STX

MESSAGE = b"H|\\^&||PSWD|Maglumi 1000|||||Lis||P|E1394-97|20260326\rP|1\rO|1|S-1||^^^TSH\r"
MESSAGE += b"R|1|^^^TSH|4.3|uIU/mL|0.3 to 4.5|N||||||20260326172956\rL|1|N\r"


def heard(exchange: Bare, *pieces: bytes) -> tuple[list[Event], list[bytes]]:
    """What happens, and the answer to each piece, where the peer pauses after it."""
    events: list[Event] = []
    answers = []
    now = 0.0
    for piece in pieces:
        fresh = [*exchange.receive(piece, now)]
        while (due := exchange.deadline) is not None and due <= now + LATE:
            now = due
            fresh += exchange.tick(now)
        answers.append(b"".join(event.data if isinstance(event, Send) else event.reply for event in fresh))
        events += fresh
        now += 1.0
    return events, answers


def texts(events: list[Event]) -> list[tuple[bytes, bool]]:
    found, parts = [], b""
    for event in events:
        if isinstance(event, Received):
            parts += event.raw
            if event.complete:
                found.append((parts, event.sound))
                parts = b""
    return found


def test_each_piece_is_acknowledged_and_the_records_are_one_message() -> None:
    events, answers = heard(Bare(), ENQ, STX, MESSAGE, ETX, EOT)
    assert answers == [ACK] * 5
    assert texts(events) == [(MESSAGE, True)]


def test_records_that_wait_for_their_acknowledgement_are_still_one_message() -> None:
    records = [line + b"\r" for line in MESSAGE.split(b"\r")[:-1]]
    events, answers = heard(Bare(), ENQ, STX, *records, ETX, EOT)
    assert answers == [ACK] * 9
    assert texts(events) == [(MESSAGE, True)]


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=8), each=st.booleans())
def test_what_comes_without_a_pause_is_answered_once_however_cut(cuts: list[int], each: bool) -> None:
    wire = ENQ + STX + MESSAGE * 2 + ETX + EOT
    edges = sorted({0, len(wire), *(range(len(wire)) if each else (cut for cut in cuts if cut < len(wire)))})
    exchange, events = Bare(), list[Event]()
    for start, stop in pairwise(edges):
        events += exchange.receive(wire[start:stop], 0.0)
    assert events == []
    events += exchange.tick(PAUSE)
    assert b"".join(event.raw for event in events) == wire
    assert b"".join(event.data if isinstance(event, Send) else event.reply for event in events) == ACK
    assert texts(events) == [(MESSAGE, True)] * 2


def test_an_unfinished_record_is_waited_for() -> None:
    exchange = Bare()
    list(exchange.receive(MESSAGE[:60], 0.0))
    assert list(exchange.tick(PAUSE)) == []
    list(exchange.receive(MESSAGE[60:], 1.0))
    assert texts([*exchange.tick(1.0 + PAUSE)]) == [(MESSAGE, True)]


def test_an_l_within_a_record_ends_nothing() -> None:
    events, _ = heard(Bare(), b"H|\\^&\rR|1|^^^A|", b"L|1|2\r", b"L|1|N\r")
    assert texts(events) == [(b"H|\\^&\rR|1|^^^A|L|1|2\rL|1|N\r", True)]


def test_what_breaks_off_is_not_whole() -> None:
    begun = MESSAGE[: MESSAGE.index(b"L|1")]
    exchange = Bare()
    events, _ = heard(exchange, ENQ, STX, begun)
    assert exchange.deadline is not None
    assert texts([*events, *exchange.tick(exchange.deadline)]) == [(begun, False)]
    assert texts(heard(Bare(), ENQ, begun, EOT)[0]) == [(begun + EOT, True)]
    assert texts(heard(Bare(), ENQ, begun, ENQ)[0]) == [(begun + ENQ, False)]
    exchange = Bare()
    list(exchange.receive(begun, 0.0))
    closing = list(exchange.close())
    assert texts(closing) == [(begun, False)]
    assert exchange.deadline is None
    assert SILENCE > LATE > PAUSE


def test_a_message_without_end_is_refused_in_time() -> None:
    (event,) = Bare(max_message=1000).receive(b"x" * 1001, 0.0)
    assert isinstance(event, Rejected)
    assert event.reason is Reason.TOO_LONG


@given(st.lists(st.sampled_from([ENQ, STX, ETX, EOT, ACK, NAK, b"\0", b"\r", b"\n", b"L", b"L|1", b"R|", b"H|\\^&"])))
def test_whatever_comes_no_byte_is_lost(pieces: list[bytes]) -> None:
    exchange = Bare()
    events, _ = heard(exchange, *pieces)
    assert b"".join(event.raw for event in [*events, *exchange.close()]) == b"".join(pieces)


def test_both_sides_understand_each_other() -> None:
    host, speaker, now = Bare(), BareSpeaker(), 0.0
    said = [*speaker.offer(MESSAGE, now), *speaker.offer(MESSAGE.replace(b"S-1", b"S-2"), now)]
    kept: list[Event] = []
    while not speaker.idle:
        answers = [event for part in said for event in host.receive(part.data, now)] if said else []  # type: ignore[union-attr]
        now = host.deadline or now
        answers += host.tick(now)
        kept += answers
        reply = b"".join(event.data if isinstance(event, Send) else event.reply for event in answers)
        said = [*speaker.receive(reply, now)]
    assert speaker.delivered == 2
    assert [text.count(b"S-2") for text, sound in texts(kept) if sound] == [0, 1]


def test_a_piece_that_is_refused_or_not_answered_is_said_again() -> None:
    speaker = BareSpeaker()
    assert list(speaker.offer(MESSAGE, 0.0)) == [Send(ENQ)]
    assert list(speaker.receive(NAK, 1.0)) == [Send(ENQ, NAK)]
    assert list(speaker.receive(ACK, 2.0)) == [Send(STX, ACK)]
    assert speaker.deadline is not None
    assert list(speaker.tick(speaker.deadline)) == [Send(STX)]
    list(speaker.close())
    assert list(speaker.tick(99.0)) == [Send(ENQ)]
    assert speaker.delivered == 0


def test_the_driver_is_told_by_its_options() -> None:
    driver = load("astm")
    options = driver.options.model_validate({"framing": "bare"})
    events, _ = heard(driver.host(options), ENQ, STX, MESSAGE, ETX, EOT)  # type: ignore[arg-type]
    ((text, _),) = texts(events)
    (draft,) = driver.decode(Message(text), options)
    assert (draft.value, draft.unit, draft.specimen, draft.device_time) == ("4.3", "uIU/mL", "S-1", "20260326172956")
    assert isinstance(driver.instrument(options), BareSpeaker)
