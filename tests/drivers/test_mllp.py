"""MLLP: whole blocks out of any cut, nothing lost, nothing joined wrongly; one message on its way at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.exchange import Event, Exchange, Reason, Received, Rejected, Send
from drivers.kit.mllp import Answer, Delivery, Mllp, MllpSpeaker, block
from tests.drivers.wire import End, Wire

START, END = b"\x0b", b"\x1c\r"


class Echo:
    """Keeps each payload and answers with it in capitals; says something of its own when it is time."""

    def __init__(self) -> None:
        self.deadline: float | None = None

    def receive(self, payload: bytes, now: float) -> Iterator[Event]:
        if payload.startswith(b"quiet"):
            yield Send(b"", payload)
        elif payload.startswith(b"bad"):
            yield Rejected(payload, Reason.UNREADABLE, b"NO")
        elif payload.startswith(b"two"):
            yield Received(payload[:3], b"ONE")
            yield Received(payload[3:], b"TWO")
            yield Send(b"MORE")
        elif not payload.startswith(b"nothing"):
            yield Received(payload, payload.upper())

    def tick(self, now: float) -> Iterator[Event]:
        self.deadline = None
        yield Send(b"asked")

    def close(self) -> Iterator[Event]:
        yield Send(b"bye")


def fed(exchange: Exchange, *chunks: bytes, now: float = 0.0) -> list[Event]:
    return [event for chunk in chunks for event in exchange.receive(chunk, now)]


def raw(events: Iterable[Event]) -> bytes:
    return b"".join(event.raw for event in events)


def kept(events: Iterable[Event]) -> list[Event]:
    """Without the bytes that mean nothing, of which any number may arrive at a time."""
    return [event for event in events if not isinstance(event, Send) or event.data]


@pytest.mark.parametrize("commit", [False, True])
@given(
    data=st.lists(
        st.sampled_from([START, b"\x1c", b"\r", b"\n", b"a", b"\x06", b"\x15", END, block(b"hello"), b"two"]),
        max_size=40,
    ).map(b"".join),
    cuts=st.sets(st.integers(1, 120)),
)
def test_cuts_change_nothing_and_no_byte_is_lost(commit: bool, data: bytes, cuts: set[int]) -> None:
    def run(pieces: list[bytes]) -> list[Event]:
        exchange = Mllp(Echo(), max_block=16, commit=commit)
        return [*fed(exchange, *pieces), *exchange.close()]

    whole = run([data])
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    assert raw(whole) == data
    for pieces in (
        [data[index : index + 1] for index in range(len(data))],
        [data[begin:end] for begin, end in pairwise(edges)],
    ):
        cut = run(pieces)
        assert raw(cut) == data
        assert kept(cut) == kept(whole)


@given(st.lists(st.binary(min_size=1).filter(lambda text: not set(text) & set(b"\x0b\x1c") and text.strip())))
def test_what_is_put_into_blocks_comes_out_of_them(payloads: list[bytes]) -> None:
    seen: list[bytes] = []

    class Inner(Echo):
        def receive(self, payload: bytes, now: float) -> Iterator[Event]:
            seen.append(payload)
            yield Received(payload)

    events = fed(Mllp(Inner()), b"".join(map(block, payloads)))
    wanted = [payload for payload in payloads if payload not in (b"\x06", b"\x15") and payload.strip(b" \t\r\n\0")]
    assert seen == wanted
    assert [event.raw for event in kept(events)] == [block(payload) for payload in wanted]


def test_starts_of_blocks_with_nothing_in_them_are_no_messages() -> None:
    events = fed(Mllp(Echo()), START * 1000 + block(b"whole"))
    assert kept(events) == [Received(block(b"whole"), block(b"WHOLE"))]
    assert len(events) == 2


def test_several_blocks_in_one_read_are_answered_one_by_one() -> None:
    events = fed(Mllp(Echo()), block(b"one") + b"\r\n" + block(b"three"))
    assert [event.reply for event in kept(events) if isinstance(event, Received)] == [block(b"ONE"), block(b"THREE")]


def test_extra_and_missing_end_bytes() -> None:
    events = fed(Mllp(Echo()), START + b"a\r\r\x1c\r\r\r" + START + b"b\r\x1c" + START + b"c\r\x1c\r")
    assert [event.raw for event in kept(events)] == [START + b"a\r\r\x1c\r", START + b"b\r\x1c", START + b"c\r\x1c\r"]


@pytest.mark.parametrize("payload", [b"a\r", b"a"])  # the last segment's own end may be missing too
def test_a_block_whose_last_byte_never_comes_is_taken_after_a_moment(payload: bytes) -> None:
    mllp = Mllp(Echo(), late=1.0)
    assert fed(mllp, START + payload + b"\x1c", now=5.0) == []
    assert mllp.deadline == 6.0
    assert list(mllp.tick(6.0)) == [Received(START + payload + b"\x1c", block(payload.upper()))]
    assert kept(fed(mllp, b"\r")) == []


def test_an_unfinished_block_is_refused_when_silence_or_the_end_of_the_link_says_so() -> None:
    mllp = Mllp(Echo(), quiet=30.0)
    assert fed(mllp, START + b"abc", now=5.0) == []
    assert mllp.deadline == 35.0
    (refused,) = mllp.tick(35.0)
    assert refused == Rejected(START + b"abc", Reason.INCOMPLETE, detail="the block was not ended")
    fed(mllp, START + b"abc")
    first = next(mllp.close())
    assert isinstance(first, Rejected)
    assert first.reason is Reason.INCOMPLETE


def test_a_block_in_a_block_ends_the_first_without_an_answer() -> None:
    events = fed(Mllp(Echo()), START + b"abc" + block(b"whole"))
    assert events[0] == Rejected(START + b"abc", Reason.INCOMPLETE, detail="a block began within a block")
    assert events[1] == Received(block(b"whole"), block(b"WHOLE"))


def test_text_outside_blocks_is_refused_and_blanks_are_not() -> None:
    events = fed(Mllp(Echo()), b" \r\nMSH|^~\\&|\r" + block(b"whole"))
    assert [(type(event), event.raw) for event in events] == [
        (Send, b" \r\n"),
        (Rejected, b"MSH|^~\\&|\r"),
        (Received, block(b"whole")),
    ]


@pytest.mark.parametrize("sign", [b"\x02", b"\x02\x02", b"\x06", b"\x15\r\n", b"\x7f"])
def test_signs_of_life_between_blocks_mean_nothing(sign: bytes) -> None:
    events = fed(Mllp(Echo()), sign + block(b"whole") + sign)
    assert [(type(event), event.raw) for event in events] == [
        (Send, sign),
        (Received, block(b"whole")),
        (Send, sign),
    ]


def test_a_block_that_is_too_long_is_refused_and_the_next_one_read() -> None:
    mllp = Mllp(Echo(), max_block=20, refuse=lambda beginning, _now: beginning[:4])
    events = fed(mllp, block(b"x" * 100) + block(b"whole"))
    refused = [event for event in events if isinstance(event, Rejected)]
    assert [(event.reason, event.reply) for event in refused] == [(Reason.TOO_LONG, block(b"xxxx"))]
    assert events[-1] == Received(block(b"whole"), block(b"WHOLE"))


def test_every_byte_of_a_block_is_in_the_events_of_what_is_inside() -> None:
    first, second, third = fed(Mllp(Echo()), block(b"two-and-more"))
    assert first == Received(START + b"two", block(b"ONE"))
    assert second == Received(b"-and-more" + END, block(b"TWO"))
    assert third == Send(block(b"MORE"))
    assert fed(Mllp(Echo()), block(b"nothing")) == [Send(b"", block(b"nothing"))]


def test_what_is_inside_speaks_when_it_is_time_and_at_the_end() -> None:
    inner = Echo()
    mllp = Mllp(inner)
    inner.deadline = 7.0
    assert mllp.deadline == 7.0
    assert list(mllp.tick(7.0)) == [Send(block(b"asked"))]
    assert list(mllp.close()) == [Send(block(b"bye"))]


def test_commit_blocks_go_before_the_answer_and_a_refusal_has_its_own() -> None:
    mllp = Mllp(Echo(), commit=True)
    assert fed(mllp, block(b"hello")) == [Received(block(b"hello"), block(b"\x06") + block(b"HELLO"))]
    assert fed(mllp, block(b"bad")) == [Rejected(block(b"bad"), Reason.UNREADABLE, block(b"\x15") + block(b"NO"))]
    assert fed(mllp, block(b"\x06")) == [Send(b"", block(b"\x06"))]


def answers(message: bytes, payload: bytes) -> Answer:
    if payload == b"NO":
        return Answer.REFUSED
    return Answer.ACCEPTED if payload == message.upper() else Answer.OTHER


def test_one_message_at_a_time_until_its_own_answer() -> None:
    speaker = MllpSpeaker(Delivery(answers))
    assert list(speaker.offer(b"one", 0.0)) == [Send(block(b"one"))]
    assert list(speaker.offer(b"two", 0.0)) == []
    assert kept(fed(speaker, block(b"TWO"))) == []
    assert speaker.delivered == 0
    assert fed(speaker, block(b"ONE")) == [Send(block(b"two"), block(b"ONE"))]
    assert (speaker.delivered, speaker.idle, speaker.confirms) == (1, False, True)
    assert kept(fed(speaker, block(b"TWO"))) == []
    assert (speaker.delivered, speaker.idle, speaker.deadline) == (2, True, None)


def test_the_same_bytes_again_after_silence_and_after_a_refusal() -> None:
    speaker = MllpSpeaker(Delivery(answers, wait=30.0, pause=5.0))
    list(speaker.offer(b"one", 0.0))
    assert speaker.deadline == 30.0
    assert list(speaker.tick(30.0)) == [Send(block(b"one"))]
    assert kept(fed(speaker, block(b"NO"), now=31.0)) == []
    assert speaker.deadline == 36.0
    assert list(speaker.tick(36.0)) == [Send(block(b"one"))]
    list(speaker.close())
    assert list(speaker.tick(40.0)) == [Send(block(b"one"))]


@pytest.mark.parametrize("commit", [False, True])
def test_both_ends_through_a_wire_that_loses_bytes(commit: bool) -> None:
    count = 0

    def lossy(data: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        return [data[: count % 7], data[count % 7 + count % 3 % 2 :]]

    host = End(MllpEchoSpeaker(commit))
    instrument = End(MllpSpeaker(Delivery(answers, wait=5.0), commit=commit), lossy)
    wire = Wire(host, instrument)
    sent = [b"message %d" % number for number in range(20)]
    for message in sent:
        wire.offer(instrument, message)
    wire.run(3600.0)
    assert instrument.exchange.delivered == len(sent)
    heard = [data for data, _ in host.messages]
    assert [message for message in sent if block(message) not in heard] == []


class MllpEchoSpeaker(MllpSpeaker):
    """A host with nothing of its own to say."""

    def __init__(self, commit: bool) -> None:
        class Inner(Delivery):
            def receive(self, data: bytes, now: float) -> Iterator[Event]:
                yield Received(data, data.upper()) if data not in (b"\x06", b"\x15") else Send(b"", data)

        super().__init__(Inner(answers), commit=commit)
