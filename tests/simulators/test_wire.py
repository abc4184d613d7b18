"""Every named fault, seen on the wire."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.checks import sum8
from simulators.damage import DAMAGE, baud_mismatch
from simulators.faults import (
    DRIFT,
    FAULTS,
    GONE,
    JUMP,
    LATE,
    MERGE,
    NAKS,
    SILENCE,
    SLOW,
    Faults,
    Medium,
    parse,
    possible,
)
from simulators.wire import Broken, Step, ToHost, ToInstrument, Wire

BODY = b"1H|\\^&|||Reader\r\x03"
FRAME = b"\x02" + BODY + b"%02X\r\n" % sum8(BODY)
BYTES = ("noise", "drop", "corrupt", "truncate", "wrong-checksum", "wrong-frame-number", "baud-mismatch")


def wire(**rates: float) -> Wire:
    return Wire(Faults({name.replace("_", "-"): rate for name, rate in rates.items()}, 3))


def taken(wire: Wire, until: float = 1000.0) -> list[tuple[float, Step]]:
    """All that happens, with when."""
    steps, now = [], 0.0
    while True:
        while (step := wire.take(now)) is not None:
            steps.append((now, step))
        if wire.deadline is None or wire.deadline > until:
            return steps
        now = wire.deadline


def arrived(wire: Wire) -> bytes:
    return b"".join(step.data for _, step in taken(wire) if isinstance(step, ToHost))


def test_a_clean_wire_carries_both_ways_at_once_and_in_order() -> None:
    clean = wire()
    clean.say(b"a", 0.0)
    clean.hear(b"x", 0.0)
    clean.say(b"b", 0.0)
    steps = [step for at, step in taken(clean) if at == 0.0]
    assert [step for step in steps if isinstance(step, ToHost)] == [ToHost(b"a"), ToHost(b"b")]
    assert [step for step in steps if isinstance(step, ToInstrument)] == [ToInstrument(b"x")]


@pytest.mark.parametrize("name", BYTES)
def test_damage_to_a_write(name: str) -> None:
    damaged = wire(**{name: 1.0})
    damaged.say(FRAME, 0.0)
    got = arrived(damaged)
    assert got != FRAME
    assert {
        "noise": lambda: got.endswith(FRAME),
        "drop": lambda: len(got) == len(FRAME) - 1,
        "corrupt": lambda: sum((a ^ b).bit_count() for a, b in zip(got, FRAME, strict=True)) == 1,
        "truncate": lambda: FRAME.startswith(got),
        "wrong-checksum": lambda: got[:-3] == FRAME[:-3] and got[-2:] == b"\r\n",
        "wrong-frame-number": lambda: got[1:2] == b"4" and int(got[-4:-2], 16) == sum8(got[1:-4]),
        "baud-mismatch": lambda: len(got) > len(FRAME) // 2,
    }[name]()
    assert damaged.faults.struck[name] == 1


def test_one_damage_a_write_though_all_are_certain() -> None:
    worst = wire(**dict.fromkeys(BYTES, 1.0))
    worst.say(FRAME, 0.0)
    assert worst.faults.count == 1


def test_what_has_no_frame_number_is_left_alone() -> None:
    plain = wire(wrong_frame_number=1.0)
    plain.say(b"12.5 g\r\n", 0.0)
    assert arrived(plain) == b"12.5 g\r\n"
    assert plain.faults.count == 0


def test_a_wrong_rate_reads_the_same_ruin_every_time() -> None:
    assert baud_mismatch(b"U", random.Random(1)) == baud_mismatch(b"U", random.Random(2)) == b"\x66\xe6"


def test_duplicate_split_and_slow() -> None:
    twice = wire(duplicate=1.0)
    twice.say(FRAME, 0.0)
    assert arrived(twice) == FRAME * 2
    cut = wire(split=1.0)
    cut.say(FRAME, 0.0)
    pieces = [step.data for _, step in taken(cut) if isinstance(step, ToHost)]
    assert len(pieces) == 2
    assert b"".join(pieces) == FRAME
    slow = wire(slow=1.0)
    slow.say(FRAME, 0.0)
    assert [at for at, _ in taken(slow)] == [0.0, SLOW]


def test_silence_holds_up_what_comes_after_it_too() -> None:
    silent = wire(silence=1.0)
    silent.say(b"a", 0.0)
    silent.faults.set("silence", 0.0)
    silent.say(b"b", 0.0)
    assert taken(silent) == [(SILENCE, ToHost(b"a")), (SILENCE, ToHost(b"b"))]


def test_a_merged_write_arrives_with_the_next_or_by_itself_in_a_second() -> None:
    merged = wire(merge=1.0)
    merged.say(b"a", 0.0)
    merged.say(b"b", 0.5)
    assert taken(merged) == [(0.5, ToHost(b"ab"))]
    alone = wire(merge=1.0)
    alone.say(b"a", 0.0)
    assert taken(alone) == [(MERGE, ToHost(b"a"))]


def test_answers_are_lost_late_or_turned() -> None:
    lost = wire(no_ack=1.0)
    lost.hear(b"\x06", 0.0)
    assert taken(lost) == []
    late = wire(late_ack=1.0)
    late.hear(b"\x06", 0.0)
    assert taken(late) == [(LATE, ToInstrument(b"\x06"))]
    refused = wire(nak=0.5)
    for _ in range(40):
        refused.hear(b"\x06", 0.0)
    answers = b"".join(step.data for _, step in taken(refused) if isinstance(step, ToInstrument))
    runs = [len(run) for run in answers.split(b"\x06") if run]
    assert all(run % NAKS == 0 for run in runs)
    assert runs


def test_an_enq_meets_another() -> None:
    crossed = wire(enq_contention=1.0)
    crossed.say(b"\x05", 0.0)
    assert taken(crossed) == [(0.0, ToInstrument(b"\x05"))]


def test_a_connection_closes_within_a_write_or_is_reset_before_it() -> None:
    closed = wire(disconnect=1.0)
    closed.say(FRAME, 0.0)
    *before, (_, last) = taken(closed)
    assert last == Broken("disconnect")
    assert FRAME.startswith(b"".join(step.data for _, step in before if isinstance(step, ToHost)))
    for how in ("reset", "unplug", "mqtt-will"):
        broken = wire()
        broken.say(b"on its way", 0.0)
        broken.faults.set(how, 1.0)
        broken.say(FRAME, 0.0)
        assert taken(broken) == [(0.0, Broken(how))]


def test_half_open_swallows_both_ways_and_then_connects_anew() -> None:
    dead = wire(half_open=1.0)
    dead.say(FRAME, 0.0)
    dead.hear(b"\x06", 1.0)
    dead.say(FRAME, 2.0)
    assert taken(dead) == [(GONE, Broken("half-open"))]


def test_a_message_stays_whole_where_the_link_carries_messages() -> None:
    rates = dict.fromkeys(("split", "merge", "slow"), 1.0)
    letters = Wire(Faults(rates, 1), whole=True)
    letters.say(b"first", 0.0)
    letters.say(b"second", 0.0)
    assert taken(letters) == [(0.0, ToHost(b"first")), (0.0, ToHost(b"second"))]
    letters.faults.set("disconnect", 1.0)
    letters.say(b"third", 1.0)
    assert [step for _, step in taken(letters)] == [Broken("disconnect")]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20), st.integers(0, 99))
def test_pieces_pauses_and_merging_change_no_byte(writes: list[bytes], seed: int) -> None:
    rates = dict.fromkeys(("split", "merge", "slow", "silence"), 0.4)
    rough = Wire(Faults(rates, seed))
    for number, data in enumerate(writes):
        rough.say(data, 0.1 * number)
    assert arrived(rough) == b"".join(writes)


@given(st.binary(min_size=1, max_size=80), st.integers(0, 9))
def test_the_same_seed_does_the_same(data: bytes, seed: int) -> None:
    def run() -> list[tuple[float, Step]]:
        one = Wire(Faults(dict.fromkeys(FAULTS, 0.1), seed))
        for number in range(10):
            one.say(data, float(number))
            one.hear(data, float(number))
        return taken(one)

    assert run() == run()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@given(data=st.binary(min_size=1, max_size=60), seed=st.integers(0, 99))
def test_damage_takes_any_bytes(damage, data: bytes, seed: int) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(damage(data, random.Random(seed)), bytes)


def test_every_fault_is_described_has_a_medium_and_can_be_asked_for() -> None:
    assert all(fault.text and fault.media for fault in FAULTS.values())
    assert parse(f"{name}=0.5" for name in FAULTS) == dict.fromkeys(FAULTS, 0.5)
    assert set(possible(Medium.LINE)) | set(possible(Medium.STREAM)) | set(possible(Medium.BROKER)) == set(FAULTS)
    assert DRIFT < JUMP


def test_a_fault_nobody_knows_is_refused_with_the_names() -> None:
    with pytest.raises(LookupError, match=r"no fault is called 'corupt'.*corrupt"):
        parse(["corupt=0.1"])
    with pytest.raises(LookupError, match="between 0 and 1"):
        parse(["corrupt=2"])
