"""Hettich centrifuges: telegrams as the maker prints them, and what a line does to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.hettich.driver import DRIVER, block_check, host
from drivers.hettich.options import HettichOptions
from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Event, Reason, Received, Rejected, Send

OPTIONS = HettichOptions(address="T")
SPEED = b"T\x0200604=01F4\x03\x7f"


def answered(*pieces: bytes) -> list[Event]:
    """What comes of an answer to the first question, its pieces one after the other."""
    exchange = host(OPTIONS)
    events = list(exchange.tick(0.0))
    assert [event.data for event in events if isinstance(event, Send)] == [b"\x04T00604\x05"]
    for place, piece in enumerate(pieces):
        events += exchange.receive(piece, 0.01 * place)
    return [event for event in events[1:] if not (isinstance(event, Send) and not event.raw)]


@pytest.mark.parametrize(
    ("body", "check"),
    [
        (b"00685=0000\x03", 0x05),
        (b"00528=1800\x03", 0x08),
        (b"00634=0162\x03", 0x0A),
        (b"00635=0292\x03", 0x07),
        (b"00524=0604\x03", 0x0F),
        (b"00526=0002\x03", 0x0D),
        (b"00528=0500\x03", 0x04),
        (b"00523=0604\x03", 0x08),
    ],
)
def test_the_block_check_is_the_one_printed(body: bytes, check: int) -> None:
    """AH5680-01EN 3.7. (00537=C800, 00524=0602, 00528=2003 and 00634=0662 are printed with another one.)"""
    assert block_check(body) == bytes([check])


def test_an_answer_is_the_same_in_whatever_pieces_it_comes() -> None:
    whole = answered(SPEED)
    assert whole == [Received(SPEED, channel="00604")]
    assert answered(*(SPEED[n : n + 1] for n in range(len(SPEED)))) == whole


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"T\x0200604=01F5\x03\x7f", Reason.CHECKSUM),
        (b"T\x15", Reason.UNREADABLE),
        (b"T\x0200602=003C\x03\x7a", Reason.UNCLAIMED),
        (b"noise", Reason.FRAMING),
    ],
)
def test_what_is_no_answer_is_refused(wire: bytes, reason: Reason) -> None:
    (event,) = answered(wire)
    assert isinstance(event, Rejected)
    assert (event.reason, event.raw) == (reason, wire)


def test_an_error_is_an_event_and_no_program() -> None:
    body = b"00634=8502\x03"
    state, error = DRIVER.decode(Message(b"T\x02" + body + block_check(body), "00634"), OPTIONS)
    assert (state.value, "program" in state.attributes) == ("standstill", False)
    assert (error.quantity, error.value) == ("error", "5")


@given(st.binary(max_size=40))
def test_any_bytes_decode_or_say_why_not(data: bytes) -> None:
    try:
        list(DRIVER.decode(Message(data, "00604"), OPTIONS))
    except DecodeError:
        return
    assert len(data) == len(SPEED)
