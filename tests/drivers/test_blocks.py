"""Blocks and pages: every byte in one event, the same at any cut, and nothing damaged is acknowledged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.blocks import CHECKS, Blocks, Greeter, Shape, Sized
from drivers.kit.exchange import Event, Exchange, Reason, Received, Rejected, Send
from drivers.kit.lines import ACK, NAK
from drivers.kit.pages import Paged, Pages, crc16
from simulators.bench import Bench
from simulators.faults import Faults

ENQ, EOT = b"\x05", b"\x04"
AU = Shape(more=b"\x17", check=CHECKS["xor"])
BCI = Shape(check=CHECKS["sum8-inside"])
BRACES = Shape(b"{", b"}")
SHAPES = [Shape(), AU, BCI, BRACES, Shape(b"\x01", b"\x03", check=CHECKS["unverified"], trail=EOT)]


def fed(exchange: Exchange, pieces: Iterable[bytes], now: float = 1.0) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        events += exchange.receive(piece, now)
    return [*events, *exchange.close()]


def kept(events: Iterable[Event]) -> list[bytes]:
    return [event.raw for event in events if isinstance(event, Received)]


def outcome(events: Iterable[Event]) -> list[object]:
    return [
        (type(event).__name__, event.raw, getattr(event, "reply", b""))
        for event in events
        if isinstance(event, Received | Rejected)
    ]


def blocks(shape: Shape) -> Blocks:
    return Blocks(shape, reply=ACK, refusal=NAK, greeted=True)


def pages() -> Pages:
    def check(page: bytes, line: bytes) -> str:
        return "" if line == b"END;%d" % crc16(page) else "wrong"

    return Pages(
        re.compile(rb"END;\d+"), check=check, says=lambda line: b"HI\r" if line == b"HELLO" else None, reply=b"OK\r"
    )


MAKERS: list[Callable[[], Exchange]] = [
    *(lambda shape=shape: blocks(shape) for shape in SHAPES),
    lambda: Sized(b"\xff$", 8, lambda raw: "" if sum(raw[:7]) & 0xFF == raw[7] else "sum"),
    pages,
]


@pytest.mark.parametrize("make", MAKERS)
@given(data=st.binary(max_size=120), cuts=st.lists(st.integers(0, 120), max_size=6))
def test_every_byte_comes_out_once_in_order_at_any_cut(
    make: Callable[[], Exchange], data: bytes, cuts: list[int]
) -> None:
    ends = sorted(min(cut, len(data)) for cut in cuts)
    pieces = [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]
    whole = fed(make(), [data])
    parts = fed(make(), pieces)
    single = fed(make(), [data[n : n + 1] for n in range(len(data))])
    assert b"".join(event.raw for event in whole) == data
    assert outcome(parts) == outcome(whole) == outcome(single)


@pytest.mark.parametrize("shape", SHAPES)
@given(texts=st.lists(st.binary(max_size=30), min_size=1, max_size=4, unique=True))
def test_what_is_written_is_heard(shape: Shape, texts: list[bytes]) -> None:
    marks = shape.start + shape.end + shape.more + ENQ + EOT
    plain = list(dict.fromkeys(bytes(byte for byte in text if byte not in marks) for text in texts))
    written = [shape.write(text) for text in plain]
    heard = kept(fed(blocks(shape), [b"\r\n".join(written)]))
    assert heard == written
    assert [text for block in heard for text in shape.texts(block)] == plain


def test_a_check_byte_may_look_like_a_mark() -> None:
    text = next(bytes([n]) for n in range(32, 256) if AU.write(bytes([n]))[-1:] == b"\x02" or n == 255)
    block = AU.write(text + b"\x01")
    assert kept(fed(blocks(AU), [block, AU.write(b"next")])) == [block, AU.write(b"next")]


@pytest.mark.parametrize("shape", [AU, BCI])
def test_a_damaged_block_is_refused_and_never_acknowledged(shape: Shape) -> None:
    whole = shape.write(b"D 0001 5.4")
    for place in range(1, len(whole) - 4):
        ruined = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        events = fed(blocks(shape), [ruined])
        assert not kept(events)
        assert not any(isinstance(event, Rejected) and event.reply == ACK for event in events)


def test_the_check_of_a_published_block_is_where_it_should_be() -> None:
    """A result of a mini VIDAS as it was published with its check digits (senaite.astm, issue of its driver)."""
    fields = (
        b"mtrsl|",
        b"pi|",
        b"pn|",
        b"si|",
        b"ciTIC21103806|",
        b"rtATPO|",
        b"rnAnti-TPO|",
        b"tt13:55|",
        b"td12/07/21|",
    )
    block = b"\x02" + b"".join(b"\x1e" + one for one in (*fields, b"ql|", b"qn274.0 IU/ml|")) + b"\x1d37\x03"
    assert kept(fed(blocks(BCI), [ENQ + block + EOT])) == [block]


def test_more_says_that_the_message_goes_on() -> None:
    first, last = AU.write(b"one", goes_on=True), AU.write(b"two")
    host = blocks(AU)
    events = [event for event in fed(host, [first, last]) if isinstance(event, Received)]
    assert [(event.complete, event.reply) for event in events] == [(False, ACK), (True, ACK)]
    assert AU.texts(first + last) == [b"one", b"two"]


@pytest.mark.parametrize("ending", ["silence", "close", "EOT"])
def test_a_message_that_does_not_go_on_is_unsound(ending: str) -> None:
    host = blocks(AU)
    events = list(host.receive(AU.write(b"one", goes_on=True), 0.0))
    if ending == "EOT":
        events += host.receive(EOT, 1.0)
    elif ending == "silence":
        assert host.deadline is not None
        events += host.tick(host.deadline)
    else:
        events += host.close()
    last = events[-1]
    assert isinstance(last, Received)
    assert (last.complete, last.sound) == (True, False)


def test_an_echo_is_not_answered_twice_but_a_repeated_block_is() -> None:
    host = blocks(AU)
    block = AU.write(b"D 1")
    answers = [event.reply for event in host.receive(block + block, 0.0) if isinstance(event, Received)]
    assert answers == [ACK]
    again = [event.reply for event in host.receive(block, 5.0) if isinstance(event, Received)]
    assert again == [ACK]
    greeted = [event.data for event in host.receive(ENQ + ENQ, 9.0) if isinstance(event, Send)]
    assert greeted == [ACK, b""]


def test_a_question_for_orders_is_answered_behind_its_acknowledgement() -> None:
    nothing = AU.write(b"SE")
    host = Blocks(AU, reply=ACK, answer=lambda text: nothing if text.startswith(b"R") else b"")
    events = list(host.receive(AU.write(b"R 0001") + AU.write(b"D 0001"), 0.0))
    assert [event.reply for event in events if isinstance(event, Received)] == [ACK + nothing, ACK]


def test_what_is_too_long_ends() -> None:
    host = Blocks(Shape(), max_block=64)
    events = fed(host, [b"\x02" + b"x" * 300, Shape().write(b"ok")])
    assert next(event.reason for event in events if isinstance(event, Rejected)) is Reason.TOO_LONG
    assert kept(events) == [Shape().write(b"ok")]
    data = b"x" * 5000
    assert b"".join(event.raw for event in fed(Pages(re.compile(b"END"), check=lambda *_: "", says=lambda _: None,
                                                     max_page=400), [data])) == data  # fmt: skip


def test_a_block_of_fixed_size_may_hold_anything_and_is_found_again_after_a_lost_byte() -> None:
    def block(body: bytes) -> bytes:
        raw = b"\xff$" + body
        return raw + bytes([sum(raw) & 0xFF])

    def wrong(raw: bytes) -> str:
        return "" if raw[-1] == sum(raw[:-1]) & 0xFF else "sum"

    one, two, three = block(b"\r\nABC"), block(b"12345"), block(b"abcde")
    assert kept(fed(Sized(b"\xff$", 8, wrong), [one + two])) == [one, two]
    assert kept(fed(Sized(b"\xff$", 8, wrong), [one + two[:3] + two[4:] + three])) == [one, three]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [AU, BCI])
def test_a_greeting_instrument_delivers_through_a_bad_wire(shape: Shape, seed: int) -> None:
    rates = {"corrupt": 0.2, "drop": 0.1, "duplicate": 0.2, "noise": 0.1, "truncate": 0.1}
    host, instrument = Blocks(shape, reply=ACK, refusal=NAK, greeted=True), Greeter()
    bench = Bench(host, instrument, Faults(rates, seed))
    said = [shape.write(b"message %d" % n) for n in range(8)]
    for block in said:
        bench.say(block)
        bench.run(bench.now + 10.0)
    bench.faults = Faults({}, 1)
    bench.run(bench.now + 600.0)
    assert instrument.delivered == len(said)
    assert {message.data for message in bench.heard} == set(said)


def test_pages_are_answered_and_the_conversation_around_them_is_not_kept() -> None:
    page = b"NAME;1\rRESULT\rWBC;6.9\r"
    whole = page + b"END;%d\r" % crc16(page)
    events = fed(pages(), [b"HELLO\r" + whole + b"\r\n"])
    assert kept(events) == [whole]
    assert [event.data for event in events if isinstance(event, Send) and event.data] == [b"HI\r"]
    damaged = whole.replace(b"6.9", b"6.8")
    (refused,) = (event for event in fed(pages(), [damaged]) if isinstance(event, Rejected))
    assert refused.reason is Reason.CHECKSUM


def test_the_crc_is_the_one_of_the_check_value() -> None:
    assert crc16(b"123456789") == 0x4B37


def test_a_page_that_is_refused_is_sent_again() -> None:
    instrument = Paged(b"OK", b"AGAIN")
    first = list(instrument.offer(b"page", 0.0))
    again = list(instrument.receive(b"AGAIN\r", 1.0))
    done = list(instrument.receive(b"OK\r", 2.0))
    assert [event.data for event in (*first, *again, *done) if isinstance(event, Send) and event.data] == [b"page"] * 2
    assert (instrument.delivered, instrument.idle) == (1, True)
