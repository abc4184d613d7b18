"""MT-SICS: what each reply means, and a gateway and a balance talking on a virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Exchange, Received, Rejected, Send, Speaker
from drivers.kit.observation import Draft, Kind, Quality
from drivers.mt_sics.driver import DRIVER
from drivers.mt_sics.options import MtSicsOptions


def read(line: str, **options: object) -> Draft:
    (draft,) = DRIVER.decode(Message(line.encode() + b"\r"), MtSicsOptions(**options))
    return draft


def test_a_stable_weight_is_a_good_reading_as_sent() -> None:
    draft = read("S S     100.00 g")
    assert (draft.kind, draft.quantity, draft.test) == (Kind.READING, "mass", "S")
    assert (draft.value, draft.unit, draft.quality) == ("100.00", "g", Quality.GOOD)


def test_a_balances_ounce_is_the_avoirdupois_one() -> None:
    (draft,) = DRIVER.decode(Message(b"S S      3.527 oz\r\n"), MtSicsOptions())
    assert (draft.value, draft.unit) == ("3.527", "[oz_av]")


@pytest.mark.parametrize("line", ["S S 100.00 g", "S  S   100.00   g", "SI S     100.00 g"])
def test_runs_of_spaces_are_one(line: str) -> None:
    assert (read(line, width=0).value, read(line, width=0).unit) == ("100.00", "g")


def test_a_moving_weight_is_never_good() -> None:
    draft = read("S D     -12.31 g")
    assert (draft.value, draft.quality, draft.quality_reason) == ("-12.31", Quality.UNCERTAIN, "not stable")


@pytest.mark.parametrize("line", ["S I", "S +", "S -", "S L", "S S Error 10b"])
def test_no_weight_is_bad_and_has_no_value(line: str) -> None:
    draft = read(line)
    assert (draft.value, draft.quality) == (None, Quality.BAD)
    assert draft.quality_reason


@pytest.mark.parametrize(
    "line", ["ES", "ET", "EL", "Z A", "Z +", "T S    10.00 g", "TA A 10.00 g", "@ A", 'I0 B 0 "I0"']
)
def test_other_replies_are_events_never_weights(line: str) -> None:
    assert read(line).kind is Kind.EVENT
    assert read(line).quantity != "mass"


def test_identity_is_status() -> None:
    draft = read('I2 A "XS204 Excellence 220.0090 g"')
    assert (draft.kind, draft.quantity, draft.value) == (Kind.STATUS, "model", "XS204 Excellence 220.0090 g")


def test_a_digit_lost_from_a_padded_weight_is_seen() -> None:
    assert read("S S     10.00 g").quality is Quality.UNCERTAIN
    assert read("S S     10.00 g", width=9).quality is Quality.GOOD


def called_good(line: str) -> set[tuple[str, str | None]]:
    try:
        drafts = list(DRIVER.decode(Message(line.encode("latin-1")), MtSicsOptions()))
    except DecodeError:
        return set()
    return {
        (str(draft.value), draft.unit) for draft in drafts if draft.quantity == "mass" and draft.quality is Quality.GOOD
    }


@pytest.mark.parametrize("line", ["S S     100.00 g", "S S -12345.678 kg", "S S 1234567.89 g", "S S   12.34[5] g"])
def test_a_weight_that_lost_a_character_was_cut_or_glued_is_no_other_good_one(line: str) -> None:
    true = called_good(line)
    assert len(true) == 1
    units: set[tuple[str, str | None]] = {
        (value, unit) for value, _ in true for unit in ("g", "k")
    }  # a lost letter of the unit
    for place in range(len(line)):
        assert called_good(line[:place] + line[place + 1 :]) <= true | units, line[:place] + line[place + 1 :]
        assert called_good(line[:place]) <= true | units
    assert not called_good(line + line)
    assert not called_good(line + "ES" + line)


@pytest.mark.parametrize("odd", [0, 1])
def test_a_weight_read_with_the_wrong_parity_is_none(odd: int) -> None:
    line = "S S     133.30 g\r\n"
    sent = "".join(chr(ord(char) | ((ord(char).bit_count() + odd) % 2) << 7) for char in line)
    assert not called_good(sent)


def test_a_weight_without_its_unit_is_not_guessed() -> None:
    assert read("S S     100.00").quality is Quality.UNCERTAIN
    assert read("S S     100.00", unit="g").unit == "g"


@pytest.mark.parametrize(
    "line", ["100.00 g", "S     100.00 g", "S S 1OO.00 g", "S S 1.00 g 2.00 g", "s s 1 g", "S", "S S", "\xff"]
)
def test_what_is_no_reply_is_refused(line: str) -> None:
    with pytest.raises(DecodeError):
        read(line)


@given(st.binary(max_size=60))
def test_any_line_is_drafts_or_a_decode_error(line: bytes) -> None:
    try:
        drafts = list(DRIVER.decode(Message(line), MtSicsOptions()))
    except DecodeError:
        return
    assert drafts


def weight(mass: float, **more: object) -> bytes:
    return DRIVER.encode(
        {"time": datetime(2026, 1, 1, tzinfo=UTC), "readings": {"mass": mass}, **more}, MtSicsOptions()
    )


class Talk:
    """Both ends on one clock; bytes take no time, and are lost while `cut`."""

    def __init__(self, **options: object) -> None:
        self.options = MtSicsOptions(**options)
        self.host: Exchange = DRIVER.host(self.options)
        self.balance: Speaker = DRIVER.instrument(self.options)
        self.now = 100.0
        self.cut = False
        self.kept: list[bytes] = []
        self.asked: list[bytes] = []

    def carry(self, to_host: list[bytes], to_balance: list[bytes]) -> None:
        while to_host or to_balance:
            if to_balance:
                data = to_balance.pop(0)
                self.asked.append(data)
                if not self.cut:
                    to_host += [e.data for e in self.balance.receive(data, self.now) if isinstance(e, Send) and e.data]
                continue
            for event in self.host.receive(to_host.pop(0), self.now):
                assert not isinstance(event, Rejected)
                if isinstance(event, Received):
                    self.kept.append(event.raw)
                elif event.data:
                    to_balance.append(event.data)

    def offer(self, line: bytes) -> None:
        self.carry([e.data for e in self.balance.offer(line, self.now) if isinstance(e, Send)], [])

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            due = [at for at in (self.host.deadline, self.balance.deadline) if at is not None]
            if not due or min(due) > end:
                self.now = end
                return
            self.now = max(self.now, min(due))
            to_balance = [e.data for e in self.host.tick(self.now) if isinstance(e, Send)]
            self.carry([], to_balance)
            self.carry([e.data for e in self.balance.tick(self.now) if isinstance(e, Send)], [])

    @property
    def weights(self) -> list[str]:
        drafts = [draft for line in self.kept for draft in DRIVER.decode(Message(line), self.options)]
        return [str(draft.value) for draft in drafts if draft.quantity == "mass"]


def test_polling_asks_who_it_is_then_for_the_weight_each_second() -> None:
    talk = Talk(poll="1s")
    talk.offer(weight(12.5))
    talk.run(3.5)
    assert talk.asked == [b"I2\r\n", b"I3\r\n", b"I4\r\n", *[b"SI\r\n"] * 4]
    assert talk.weights == ["12.5000"] * 4


def test_every_offered_weight_is_told_once_when_polled_fast_enough() -> None:
    talk = Talk(poll="100ms", identify=False)
    for mass in (1.0, 2.0, 3.0):
        talk.offer(weight(mass))
    assert not talk.balance.idle
    talk.run(0.25)
    assert talk.weights == ["1.0000", "2.0000", "3.0000"]
    assert (talk.balance.delivered, talk.balance.idle) == (3, True)


def test_an_unanswered_question_is_asked_again() -> None:
    talk = Talk(poll="1s", identify=False, timeout="2s")
    talk.offer(weight(5))
    talk.cut = True
    talk.run(5.0)
    assert len(talk.asked) == 3
    talk.cut = False
    talk.run(3.0)
    assert talk.weights


def test_one_question_at_a_time_while_the_balance_is_not_stable() -> None:
    talk = Talk(poll="1s", command="S", identify=False)
    talk.run(30.0)
    assert talk.asked == [b"S\r\n"]
    talk.offer(weight(5))
    assert talk.weights[0] == "5.0000"


def test_streaming_is_started_and_started_again_after_silence() -> None:
    talk = Talk(stream="SIR", identify=False)
    talk.offer(weight(5))
    talk.run(1.0)
    assert talk.asked == [b"SIR\r\n"]
    assert len(talk.weights) > 2
    list(talk.balance.close())  # the balance was switched off and on: it streams no more
    talk.run(10.0)
    assert talk.asked == [b"SIR\r\n"] * 2


def test_listening_only_sends_nothing() -> None:
    talk = Talk()
    talk.run(1000.0)
    assert talk.asked == []


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("Z", b"Z A"),
        ("T", b"T S"),
        ("@", b'I4 A "'),
        ("I10", b'I10 A "'),
        ("si", b"ES"),
        ("XYZ", b"ES"),
        ("I0", b"I0 B"),
    ],
)
def test_the_balance_answers_commands(command: str, reply: bytes) -> None:
    balance = DRIVER.instrument(MtSicsOptions())
    events = list(balance.receive(command.encode() + b"\r\n", 0.0))
    assert isinstance(events[0], Send)
    assert events[0].data.startswith(reply)


@given(st.binary(max_size=80), st.floats(0, 100), st.sampled_from([{"poll": "1s"}, {"stream": "SIR"}, {}]))
@example(b"\x0b\r\n", 0.0, {"stream": "SIR"})
def test_hostile_bytes_do_not_stop_the_conversation(data: bytes, pause: float, options: dict[str, str]) -> None:
    host = DRIVER.host(MtSicsOptions.model_validate(options))
    events = [*host.tick(0.0), *host.receive(data, 1.0), *host.tick(1.0 + pause), *host.close()]
    assert b"".join(event.raw for event in events) == data
