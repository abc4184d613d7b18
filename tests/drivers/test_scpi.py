"""SCPI: what each answer means, what is asked when, and our gateway and instrument on a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.declare import Identity, Message
from drivers.kit.exchange import DecodeError, Reason, Received, Rejected, Send
from drivers.kit.observation import Draft, Kind, Quality
from drivers.scpi.driver import DRIVER
from drivers.scpi.options import ScpiOptions
from simulators.bench import Bench

TEMPERATURE = {"ask": "MEAS:TEMP?", "quantity": "temperature", "unit": "Cel"}


def options(*queries: dict[str, Any], **more: Any) -> ScpiOptions:
    return ScpiOptions.model_validate({"queries": queries or (TEMPERATURE,), **more})


def read(answer: str, **query: Any) -> Draft:
    declared = options({**TEMPERATURE, **query})
    (draft,) = DRIVER.decode(Message(answer.encode() + b"\r\n", "MEAS:TEMP?"), declared)
    return draft


# ---- answers


@pytest.mark.parametrize("number", ["25", "+25", "-80.0", ".5", "5.", "+2.56110000E+01", "-8.0e1", "1E-3"])
def test_every_form_of_number_is_kept_as_sent(number: str) -> None:
    draft = read(number)
    assert (draft.value, draft.unit, draft.quality, draft.kind) == (number, "Cel", Quality.GOOD, Kind.READING)


@pytest.mark.parametrize(
    ("number", "flags"),
    [("9.9E37", (">",)), ("+9.90000000E+37", (">",)), ("-9.9e37", ("<",)), ("9.91E37", ()), ("+9.910000E+37", ())],
)
def test_infinity_and_not_a_number_are_no_values(number: str, flags: tuple[str, ...]) -> None:
    draft = read(number)
    assert (draft.value, draft.flags, draft.quality) == (None, flags, Quality.BAD)
    assert draft.quality_reason


def test_a_number_the_operator_declares_invalid_is_no_value() -> None:
    assert read("1372.0", invalid=[1372]).value is None


def test_what_is_not_plausible_is_bad() -> None:
    assert (read("400.1", high=400).value, read("400.1", high=400).quality) == ("400.1", Quality.BAD)
    assert read("-300", low=-273.15).quality is Quality.BAD


@pytest.mark.parametrize("text", ["OVLOAD", "-------", "12.3.4", "--5", "1,5 C", "25 or 26"])
def test_a_text_that_is_no_number_is_in_doubt(text: str) -> None:
    draft = read(text)
    assert (draft.value, draft.quality) == (text, Quality.UNCERTAIN)


def test_one_of_several_values() -> None:
    declared = options(*({**TEMPERATURE, "quantity": f"t-{n}", "index": n} for n in (1, 3)))
    drafts = DRIVER.decode(Message(b"+1.0, +2.0,+3.0\n", "MEAS:TEMP?"), declared)
    assert [(draft.quantity, draft.value) for draft in drafts] == [("t-1", "+1.0"), ("t-3", "+3.0")]


@pytest.mark.parametrize(
    ("answer", "query"), [("1.0,2.0", {}), ("1.0,2.0", {"index": 3}), ("x", {"pattern": r"T=(.*)"})]
)
def test_another_number_of_values_or_another_form_is_not_read(answer: str, query: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        read(answer, **query)


def test_the_group_of_a_pattern_is_the_value() -> None:
    assert read("TEMP=+37.00 C", pattern=r"TEMP=([-+0-9.]+) C").value == "+37.00"


def test_words_are_mapped_and_others_are_in_doubt() -> None:
    query = {"kind": "status", "map": {"SF": "sensor-fault", "--": "none"}, "unit": None}
    assert (read("--", **query).value, read("--", **query).kind) == ("none", Kind.STATUS)
    assert (read("HI", **query).value, read("HI", **query).quality) == ("HI", Quality.UNCERTAIN)


def test_identity_is_status() -> None:
    drafts = list(DRIVER.decode(Message(b"LSCI,MODEL218E,21EA4F,042109\r\n", "*IDN?"), options()))
    assert [(draft.kind, draft.quantity, draft.value) for draft in drafts] == [
        (Kind.STATUS, "model", "MODEL218E"),
        (Kind.STATUS, "serial-number", "21EA4F"),
        (Kind.STATUS, "software", "042109"),
    ]
    assert drafts[0].attributes == {"maker": "LSCI"}


@pytest.mark.parametrize(
    ("entry", "code", "text", "kind"),
    [
        ('-113,"Undefined header"', -113, "Undefined header", "command"),
        ('-222,"Data out of range;scan"', -222, "Data out of range;scan", "execution"),
        ('-350,"Queue overflow"', -350, "Queue overflow", "device"),
        ('-410, "Query INTERRUPTED"', -410, "Query INTERRUPTED", "query"),
        ('+531,"Insufficient memory"', 531, "Insufficient memory", None),
    ],
)
def test_an_error_is_an_event_never_a_reading(entry: str, code: int, text: str, kind: str | None) -> None:
    (draft,) = DRIVER.decode(Message(entry.encode(), "SYST:ERR?"), options())
    assert (draft.kind, draft.quantity, draft.value, draft.flags) == (Kind.EVENT, "error", text, (str(code),))
    assert draft.attributes.get("class") == kind


@pytest.mark.parametrize("entry", ['0,"No error"', '+0,"No error"'])
def test_an_empty_queue_says_nothing(entry: str) -> None:
    assert list(DRIVER.decode(Message(entry.encode(), "SYST:ERR?"), options())) == []


@pytest.mark.parametrize(
    ("data", "channel"),
    [(b"1.0", ""), (b"1.0", "MEAS:VOLT?"), (b"", "MEAS:TEMP?"), (b"\xff", "MEAS:TEMP?"), (b"1.0", "SYST:ERR?")],
)
def test_what_answers_nothing_declared_is_not_read(data: bytes, channel: str) -> None:
    with pytest.raises(DecodeError):
        list(DRIVER.decode(Message(data, channel), options()))


@given(st.binary(max_size=80), st.sampled_from(["MEAS:TEMP?", "*IDN?", "SYST:ERR?", "x"]))
def test_any_bytes_are_drafts_or_a_decode_error(data: bytes, channel: str) -> None:
    declared = options({**TEMPERATURE, "index": 1}, {**TEMPERATURE, "index": 2, "quantity": "other"})
    try:
        list(DRIVER.decode(Message(data, channel), declared))
    except DecodeError:
        return


@pytest.mark.parametrize(
    "wrong",
    [
        {"ask": "*RST"},
        {"ask": "*RST;*IDN?"},
        {"ask": "MEAS:TEMP?\nOUTP ON"},
        {"ask": "*IDN?"},
        {"ask": "syst:err?"},
        {"pattern": "("},
        {"pattern": "(a)(b)"},
        {"low": 3, "high": 3},
        {"poll": "0s"},
        {"index": 0},
    ],
)
def test_only_single_queries_can_be_asked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options({**TEMPERATURE, **wrong})


def test_two_things_of_one_answer_need_their_places() -> None:
    with pytest.raises(ValidationError, match="index"):
        options(TEMPERATURE, {**TEMPERATURE, "quantity": "other"})


# ---- conversation


class Desk:
    """Our side on a clock of its own, answered by a table."""

    def __init__(self, declared: ScpiOptions, answers: Mapping[str, bytes | None]) -> None:
        self.host = DRIVER.host(declared)
        self.answers = dict(answers)
        self.now = 100.0
        self.asked: list[str] = []
        self.kept: list[tuple[str, bytes]] = []
        self.refused: list[Rejected] = []

    def take(self, events: Any) -> None:
        for event in list(events):
            if isinstance(event, Received):
                self.kept.append((event.channel, event.raw))
            elif isinstance(event, Rejected):
                self.refused.append(event)
            elif event.data:
                self.asked.append(event.data.decode().strip())
                answer = self.answers.get(self.asked[-1])
                if answer is not None:
                    self.take(self.host.receive(answer, self.now))

    def run(self, until: float) -> None:
        while (due := self.host.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.host.tick(self.now))
        self.now = until


WELL = {
    "*IDN?": b"MAKER,METER,1,2\n",
    "SYST:ERR?": b'0,"No error"\n',
    "MEAS:TEMP?": b"+2.50E+01\n",
    "MEAS:HUM?": b"45\n",
}
HUMIDITY = {"ask": "MEAS:HUM?", "quantity": "humidity", "unit": "%", "poll": "20s"}


def test_it_asks_who_it_is_then_what_is_wrong_then_each_query_at_its_pace() -> None:
    desk = Desk(options(TEMPERATURE, HUMIDITY), WELL)
    desk.run(125.0)
    assert desk.asked == ["*IDN?", "SYST:ERR?", *("MEAS:TEMP?", "MEAS:HUM?"), "MEAS:TEMP?", "MEAS:TEMP?", "MEAS:HUM?"]
    assert desk.kept[2] == ("MEAS:TEMP?", b"+2.50E+01\n")


def test_a_query_for_several_things_is_asked_once() -> None:
    several = [{**TEMPERATURE, "quantity": f"t-{n}", "index": n} for n in range(1, 4)]
    desk = Desk(options(*several, identify=False, errors=False), {"MEAS:TEMP?": b"1,2,3\n"})
    desk.run(105.0)
    assert desk.asked == ["MEAS:TEMP?"]


def test_an_unanswered_query_leads_to_the_error_queue_which_is_read_to_its_end() -> None:
    errors = [b'-113,"Undefined header"\n', b'-420,"Query UNTERMINATED"\n', b'0,"No error"\n']
    desk = Desk(options(), {**WELL, "MEAS:TEMP?": None})
    desk.run(104.0)
    queue = iter(errors)
    del desk.answers["SYST:ERR?"]
    while len(desk.asked) < 6 and (due := desk.host.deadline) is not None:
        desk.now = max(desk.now, due)
        before = len(desk.asked)
        desk.take(desk.host.tick(desk.now))
        if len(desk.asked) > before and desk.asked[-1] == "SYST:ERR?":
            desk.take(desk.host.receive(next(queue), desk.now))
    assert desk.asked == ["*IDN?", "SYST:ERR?", "MEAS:TEMP?", *["SYST:ERR?"] * 3]
    assert [raw for channel, raw in desk.kept if channel == "SYST:ERR?"][1:] == errors


def test_a_queue_without_end_does_not_hold_up_the_readings() -> None:
    desk = Desk(options(), {**WELL, "SYST:ERR?": b'-350,"Queue overflow"\n'})
    desk.run(131.0)
    assert 30 < desk.asked.count("SYST:ERR?") < 40
    assert desk.asked.count("MEAS:TEMP?") == 3


def test_an_answer_without_a_number_leads_to_the_error_queue() -> None:
    desk = Desk(options(errors=True, identify=False), {**WELL, "MEAS:TEMP?": b"OVLOAD\n"})
    desk.run(101.0)
    assert desk.asked == ["SYST:ERR?", "MEAS:TEMP?", "SYST:ERR?"]


def test_an_instrument_that_echoes_is_understood() -> None:
    desk = Desk(options(identify=False, errors=False), {"MEAS:TEMP?": b"MEAS:TEMP?\r\n+25.0\r\n"})
    desk.run(101.0)
    assert desk.kept == [("MEAS:TEMP?", b"+25.0\r")]
    assert desk.refused == []


def test_an_answer_that_does_not_match_its_pattern_is_refused() -> None:
    desk = Desk(options({**TEMPERATURE, "pattern": r"T=(\S+)"}, identify=False), {**WELL, "MEAS:TEMP?": b"25\nT=37\n"})
    desk.run(101.0)
    assert [(event.raw, event.reason) for event in desk.refused] == [(b"25\n", Reason.UNCLAIMED)]
    assert desk.kept[-1] == ("MEAS:TEMP?", b"T=37\n")


@given(
    st.booleans(),
    st.lists(st.one_of(st.none(), st.floats(0, 9)), min_size=1, max_size=8),
)
def test_however_late_an_answer_comes_it_is_not_taken_for_another(errors: bool, delays: list[float | None]) -> None:
    """An instrument that answers in order, each time later or never; both answers are bare numbers."""
    answers = {**WELL, "MEAS:TEMP?": b"1\n", "MEAS:HUM?": b"2\n"}
    host = DRIVER.host(options(TEMPERATURE, {**HUMIDITY, "poll": "10s"}, errors=errors, timeout="2s"))
    now, last, count = 100.0, 0.0, 0
    under_way: list[tuple[float, bytes]] = []
    kept: list[tuple[str, bytes]] = []
    while now < 250:
        times = [due for due in (host.deadline, under_way[0][0] if under_way else None) if due is not None]
        now = max(now, min(times))
        if under_way and under_way[0][0] <= now:
            events = list(host.receive(under_way.pop(0)[1], now))
            kept += [(event.channel, event.raw) for event in events if isinstance(event, Received)]
            continue
        for event in host.tick(now):
            if isinstance(event, Send) and event.data:
                delay = delays[count % len(delays)]
                count += 1
                if delay is not None:
                    last = max(last, now + delay)
                    under_way.append((last, answers[event.data.decode().strip()]))
    assert {(channel, raw) for channel, raw in kept} <= set(answers.items())


def test_every_measurement_is_told_once_and_whole() -> None:
    declared = options(TEMPERATURE, {**HUMIDITY, "poll": None}, {"ask": "ROUT?", "quantity": "r", "map": {"0": "off"}})
    bench = Bench(DRIVER.host(declared), DRIVER.instrument(declared))
    for number in range(4):
        bench.say(DRIVER.encode({"readings": {"temperature": -80.0 + number, "humidity": 40 + number}}, declared))
    bench.run(35.0)
    drafts = [draft for heard in bench.heard for draft in DRIVER.decode(heard, declared)]
    told = [float(str(draft.value)) for draft in drafts if draft.quantity == "temperature"]
    assert told == [-80.0, -79.0, -78.0, -77.0]
    assert (bench.instrument.delivered, bench.instrument.idle, bench.refused) == (4, True, [])


def test_the_instrument_says_what_it_does_not_know_in_its_error_queue() -> None:
    speaker = DRIVER.instrument(options())
    asked = b"MEAS:VOLT?\nSYST:ERR?\nSYST:ERR?\nMEAS:TEMP?\n"
    said = b"".join(event.data for event in speaker.receive(asked, 0.0) if isinstance(event, Send))
    assert said == b'-113,"Undefined header"\n0,"No error"\n9.91E37\n'


@given(st.binary(max_size=200), st.floats(0, 100))
def test_hostile_bytes_do_not_stop_the_conversation(data: bytes, pause: float) -> None:
    host = DRIVER.host(options())
    events = [*host.tick(0.0), *host.receive(data, 1.0), *host.tick(1.0 + pause), *host.close()]
    assert b"".join(event.raw for event in events) == data


@pytest.mark.parametrize("variant", [variant.name for variant in DRIVER.variants])
def test_a_makers_queries_say_what_they_rest_on(variant: str) -> None:
    preset = DRIVER.preset(variant)
    assert preset.models
    assert len(preset.note) > 20
    ScpiOptions.model_validate(preset.options)


def test_polled_readings_are_known_by_their_arrival() -> None:
    assert DRIVER.identity(options()) is Identity.ARRIVAL
