"""The POCT1-A conversation: what the host answers and asks, and both roles through every fault of a connection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import load
from drivers.kit.declare import Message
from drivers.kit.exchange import Event, Exchange, Reason, Received, Rejected, Send, Speaker
from drivers.kit.mllp import block
from drivers.kit.observation import Kind
from drivers.kit.poct1 import Host, Manner
from drivers.kit.poct1_device import Device, Profile
from drivers.kit.xmltree import parse
from gateway.config import device_model
from simulators.bench import Bench
from simulators.faults import Faults
from tests.drivers.wire import End, Wire

POCT = load("poct1a")


def said(name: str, number: str, inside: str = "") -> bytes:
    head = f'<HDR><HDR.control_id V="{number}"/><HDR.version_id V="POCT1"/></HDR>'
    return f"<{name}>{head}{inside}</{name}>".encode()


def hello(*directives: str, timeout: str = "60", vendor: str = "ACME", number: str = "10014") -> bytes:
    listed = "".join(f'<DSC.directives_supported_cd V="{one}"/>' for one in directives)
    inside = f'<DEV><DEV.vendor_id V="{vendor}"/><DEV.serial_id V="SN7"/>'
    inside += f'<DCP><DCP.application_timeout V="{timeout}"/></DCP>'
    return said("HEL.R01", number, f"{inside}<DSC>{listed}</DSC></DEV>")


def status(new: str, events: str = "0", number: str = "10015") -> bytes:
    inside = f'<DST.new_observations_qty V="{new}"/><DST.new_events_qty V="{events}"/><DST.condition_cd V="R"/>'
    return said("DST.R01", number, f"<DST>{inside}</DST>")


def result(number: str) -> bytes:
    inside = '<SVC><PT><OBS><OBS.observation_id V="GLU"/><OBS.value V="5.4"/></OBS></PT></SVC>'
    return said("OBS.R01", number, inside)


def topic_over(number: str = "10090", topic: str = "OBS") -> bytes:
    return said("EOT.R01", number, f'<EOT><EOT.topic_cd V="{topic}"/></EOT>')


def acknowledge(to: str, kind: str = "AA", more: str = "") -> bytes:
    return said("ACK.R01", "10091", f'<ACK><ACK.type_cd V="{kind}"/><ACK.ack_control_id V="{to}"/>{more}</ACK>')


def escape(to: str, detail: str = "CNC") -> bytes:
    return said("ESC.R01", "10092", f'<ESC><ESC.esc_control_id V="{to}"/><ESC.detail_cd V="{detail}"/></ESC>')


CODES = ("ACK.type_cd", "ACK.ack_control_id", "REQ.request_cd", "DTV.command_cd", "TRM.reason_cd")


def short(message: bytes) -> str:
    """ "ACK AA 10014" for one of our messages."""
    root = parse(message)
    told = [one.get("V", "") for one in root.iter() if one.tag in CODES]
    return " ".join((root.tag.partition(".")[0], *told))


def number_of(message: bytes) -> str:
    found = re.search(rb'HDR\.control_id V="(\d+)"', message)
    assert found
    return found[1].decode()


class Talk:
    """A host, and what it has said."""

    def __init__(self, manner: Manner | None = None, **more: Any) -> None:
        self.host = Host(manner or Manner(), **more)
        self.now = 0.0
        self.events: list[Event] = []
        self.last = ""  # the control id of what it said last

    def hear(self, *documents: bytes) -> list[str]:
        return [told for document in documents for told in self._take(self.host.receive(document, self.now))]

    def wait(self) -> list[str]:
        assert self.host.deadline is not None
        self.now = self.host.deadline
        return list(self._take(self.host.tick(self.now)))

    def _take(self, events: Iterable[Event]) -> Iterable[str]:
        for event in events:
            self.events.append(event)
            data = event.data if isinstance(event, Send) else event.reply
            if data:
                self.last = number_of(data)
                yield short(data)


def test_the_standards_conversation() -> None:
    talk = Talk()
    assert talk.hear(hello("START_CONTINUOUS")) == ["ACK AA 10014"]
    assert talk.hear(status("2")) == ["ACK AA 10015", "REQ ROBS"]
    assert talk.hear(result("10016")) == ["ACK AA 10016"]
    assert talk.hear(result("10017")) == ["ACK AA 10017"]
    assert talk.hear(topic_over()) == ["DTV START_CONTINUOUS"]
    assert talk.hear(acknowledge(talk.last, "AA", '<ACK.error_detail_cd V="300"/>')) == []
    assert talk.host.deadline is None
    assert talk.hear(result("10018"), said("KPA.R01", "10019"), said("EVS.R01", "10020")) == [
        "ACK AA 10018",
        "ACK AA 10019",
        "ACK AA 10020",
    ]
    assert [number_of(event.reply) for event in talk.events if isinstance(event, Received)][:2] == ["4001", "4002"]


def test_results_are_kept_before_they_are_acknowledged_and_say_who_sent_them() -> None:
    talk = Talk()
    talk.hear(hello(), status("1"), result("10016"))
    kept = [event for event in talk.events if isinstance(event, Received)]
    assert [short(event.reply) for event in kept] == ["ACK AA 10014", "ACK AA 10015", "ACK AA 10016"]
    assert {event.channel for event in kept} == {"poct1:ACME||SN7|||"}


def test_keep_alives_acknowledgements_and_ends_are_not_kept() -> None:
    talk = Talk()
    talk.hear(said("KPA.R01", "1"), acknowledge("4001"), topic_over(), said("END.R01", "2"))
    assert not [event for event in talk.events if not isinstance(event, Send)]


def test_events_are_asked_for_and_the_end_is_said() -> None:
    talk = Talk()
    assert talk.hear(hello(), status("0", "1")) == ["ACK AA 10014", "ACK AA 10015", "REQ RDEV"]
    assert talk.hear(said("EVS.R01", "10016"), topic_over(topic="D_EV")) == ["ACK AA 10016", "END NRM"]
    assert talk.hear(acknowledge(talk.last)) == []
    assert Talk(Manner(events=False)).hear(hello(), status("0", "1"))[-1] == "END NRM"


def test_the_clock_is_set_only_where_told_and_listed() -> None:
    zone = ZoneInfo("Asia/Karachi")
    assert "DTV SET_TIME" not in Talk().hear(hello("SET_TIME"), status("0"))
    assert "DTV SET_TIME" not in Talk(Manner(set_time=True)).hear(hello(), status("0"))
    talk = Talk(Manner(set_time=True), zone=zone)
    assert talk.hear(hello("SET_TIME"), status("0"))[-1] == "DTV SET_TIME"
    sent = talk.events[-1]
    assert isinstance(sent, Send)
    assert b'<TM.dttm V="1970-01-01T05:00:00+05:00"/>' in sent.data
    assert talk.hear(acknowledge(talk.last)) == ["END NRM"]


def test_one_request_for_each_result() -> None:
    talk = Talk(Manner(ask="each", continuous="never"))
    assert talk.hear(hello("START_CONTINUOUS"), status("2"))[-1] == "REQ ROBS"
    assert talk.hear(result("1")) == ["ACK AA 1", "REQ ROBS"]
    assert talk.hear(result("2")) == ["ACK AA 2", "END NRM"]


def test_a_device_that_turns_out_to_want_a_request_for_each_result() -> None:
    talk = Talk()
    talk.hear(hello(), status("4"))
    assert talk.hear(result("1")) == ["ACK AA 1"]
    assert (talk.host.deadline, talk.wait()) == (15.0, ["REQ ROBS"])
    assert talk.hear(result("2")) == ["ACK AA 2", "REQ ROBS"]
    assert talk.hear(result("3"), result("4")) == ["ACK AA 3", "REQ ROBS", "ACK AA 4", "END NRM"]


def test_a_device_may_begin_continuous_mode_without_a_word() -> None:
    talk = Talk()
    assert talk.hear(hello("START_CONTINUOUS"), status("0"), result("1"))[-1] == "ACK AA 1"
    assert talk.host.deadline is None


def test_a_device_that_understands_no_requests_gets_none() -> None:
    talk = Talk(Manner(ask="never", continuous="always"))
    assert talk.hear(hello(), status("3", "2"))[2:] == ["DTV START_CONTINUOUS"]
    assert talk.hear(acknowledge(talk.last), status("2", number="7"), result("8")) == ["ACK AA 7", "ACK AA 8"]
    assert talk.host.deadline is None


def test_results_announced_in_continuous_mode_and_not_sent_are_asked_for() -> None:
    talk = Talk()
    talk.hear(hello("START_CONTINUOUS"), status("0"))
    talk.hear(acknowledge(talk.last))
    assert talk.hear(status("2", number="9")) == ["ACK AA 9"]
    assert talk.hear(result("10")) == ["ACK AA 10"]
    assert talk.wait() == ["REQ ROBS"]
    assert talk.hear(result("11"), topic_over()) == ["ACK AA 11"]
    assert talk.host.deadline is None
    assert talk.hear(status("1", number="12"), result("13")) == ["ACK AA 12", "ACK AA 13"]
    assert talk.host.deadline is None


def test_ends_of_topics_are_acknowledged_where_a_maker_wants_it() -> None:
    talk = Talk(Manner(acknowledge_topic_end=True, acknowledged_in=("ACK.ack_control_id", "ACK.control_id")))
    talk.hear(hello(), status("1"), result("1"))
    assert talk.hear(topic_over("2")) == ["ACK AA 2", "END NRM"]
    assert isinstance(talk.events[-2], Send)
    assert b'<ACK.ack_control_id V="2"/><ACK.control_id V="2"/>' in talk.events[-2].data


def test_an_acknowledged_request_is_not_answered_yet() -> None:
    talk = Talk()
    talk.hear(hello(), status("1"))
    assert talk.hear(acknowledge(talk.last)) == []
    assert talk.hear(result("1"), topic_over()) == ["ACK AA 1", "END NRM"]


def test_a_silent_device_is_asked_again_and_then_let_go() -> None:
    talk = Talk()
    talk.hear(hello(timeout="100"), status("1"))
    assert talk.host.deadline == 100.0
    assert [talk.wait(), talk.wait(), talk.wait()] == [["REQ ROBS"], ["REQ ROBS"], ["END NRM"]]
    assert talk.host.deadline is None


def test_a_device_that_says_no_end_is_not_waited_for_again() -> None:
    talk = Talk()
    talk.hear(hello("START_CONTINUOUS"), status("1"), result("1"))
    assert talk.wait() == ["DTV START_CONTINUOUS"]


@pytest.mark.parametrize(
    ("timeout", "waited"), [("60", 60.0), ("0.001", 5.0), ("99999", 600.0), ("x", 60.0), ("", 60.0)]
)
def test_the_announced_timeout_within_bounds(timeout: str, waited: float) -> None:
    talk = Talk()
    talk.hear(hello(timeout=timeout), status("1"))
    assert talk.host.deadline == waited


def test_a_busy_device_is_asked_later() -> None:
    talk = Talk()
    talk.hear(hello("START_CONTINUOUS"), status("0"))
    assert talk.hear(escape(talk.last)) == []
    assert isinstance(talk.events[-1], Received)
    assert (talk.host.deadline, talk.wait()) == (30.0, ["DTV START_CONTINUOUS"])
    talk.hear(escape(talk.last))
    assert talk.wait() == ["DTV START_CONTINUOUS"]
    talk.hear(escape(talk.last))
    assert talk.wait() == ["END NRM"]


def test_continuous_mode_refused() -> None:
    talk = Talk()
    talk.hear(hello("START_CONTINUOUS"), status("0"))
    assert talk.hear(acknowledge("999", "AE")) == []
    assert talk.hear(acknowledge(talk.last, "AE")) == ["END NRM"]


def test_the_words_of_another_document_of_the_same_vendor_are_accepted() -> None:
    talk = Talk()
    talk.hear(hello("START_CONTINUOUS"), status("0"))
    body = f'<ACK><ACK.type_id V="AA"/><ACK.control_id V="{talk.last}"/></ACK>'
    talk.hear(said("ACK.R01", "5", body))
    assert talk.host.deadline is None


def test_a_device_asks_for_a_patient_we_do_not_know() -> None:
    talk = Talk()
    talk.hear(said("REQ.R01", "5", '<REQ><REQ.request_cd V="RPAT"/></REQ>'))
    assert isinstance(talk.events[-1], Send)
    assert parse(talk.events[-1].data).tag == "PTL.R01"


def test_a_makers_own_message_is_kept_and_acknowledged() -> None:
    talk = Talk()
    assert talk.hear(said("ALERE.AXIS.LOCKSTATUS", "5")) == ["ACK AA 5"]
    assert isinstance(talk.events[-1], Received)


def test_a_new_hello_begins_anew() -> None:
    talk = Talk()
    talk.hear(hello(), status("5"), result("1"))
    assert talk.hear(hello(number="20001")) == ["ACK AA 20001"]
    assert talk.host.deadline is None
    assert talk.hear(status("1"))[-1] == "REQ ROBS"


def test_we_write_as_the_device_does() -> None:
    talk = Talk()
    talk.hear(hello())
    typed = hello().replace(b"<HDR>", b'<HDR><HDR.message_type V="HEL.R01"/>')
    talk.hear(b'<?xml version="1.0"?>' + typed)
    plain, declared = (event.reply for event in talk.events if isinstance(event, Received))
    assert plain.startswith(b"<ACK.R01><HDR><HDR.control_id")
    assert declared.startswith(b'<?xml version="1.0" encoding="utf-8"?><ACK.R01><HDR><HDR.message_type V="ACK.R01"/>')


def test_unreadable_xml_is_refused_by_its_number() -> None:
    talk = Talk()
    (refused,) = talk.host.receive(b'<OBS.R01><HDR><HDR.control_id V="17"/></HDR><SVC></OBS.R01>', 0.0)
    assert isinstance(refused, Rejected)
    assert (refused.reason, short(refused.reply)) == (Reason.UNREADABLE, "ACK AE 17")
    (refused,) = talk.host.receive(b"<OBS.R01><SVC></OBS.R01>", 0.0)
    assert (isinstance(refused, Rejected), getattr(refused, "reply", None)) == (True, b"")
    (refused,) = talk.host.receive(b"<html/>", 0.0)
    assert isinstance(refused, Rejected)


def test_control_ids_stay_in_their_range() -> None:
    talk = Talk()
    numbers = []
    for _ in range(6010):
        talk.hear(said("KPA.R01", "1"))
        numbers.append(int(talk.last))
    assert (min(numbers), max(numbers), len(set(numbers))) == (4001, 9999, 5999)


DOCUMENTS = st.sampled_from(
    [hello("START_CONTINUOUS", "SET_TIME"), hello(), status("2", "1"), status("x"), status("-1"), result("3"),
     topic_over(), acknowledge("4003"), acknowledge("4004", "AE"), escape(""), escape("4003"),
     said("END.R01", "9"), said("KPA.R01", ""), said("REQ.R01", "1"), b"<EVS.R01/>", b"<x/>",
     b"<ACK.R01><HDR/><ACK/></ACK.R01>", b"<HEL.R01><HDR/></HEL.R01>"]
)  # fmt: skip
MANNERS = st.builds(
    Manner,
    ask=st.sampled_from(["topic", "each", "never"]),
    continuous=st.sampled_from(["listed", "always", "never"]),
    set_time=st.booleans(),
    acknowledge_topic_end=st.booleans(),
)


@given(MANNERS, st.lists(st.one_of(DOCUMENTS, st.just(b"")), max_size=25))
def test_any_order_of_messages_ends_in_events(manner: Manner, documents: list[bytes]) -> None:
    talk = Talk(manner)
    for document in documents:
        if document:
            before = len(talk.events)
            talk.hear(document)
            assert b"".join(event.raw for event in talk.events[before:]) == document
        elif talk.host.deadline is not None:
            talk.wait()
    for _ in range(20):  # whatever was said, it comes to rest
        if talk.host.deadline is None:
            break
        talk.wait()
    assert talk.host.deadline is None


# ---- both roles


def messages(count: int, **options: Any) -> list[bytes]:
    made = []
    for number in range(count):
        drawn = {
            "time": datetime(2026, 1, 15, 9, 30, tzinfo=UTC) + timedelta(seconds=number),
            "kind": "qc" if number % 3 == 2 else "result",
            "specimen": f"S{number}",
            "operator": "op1",
            "results": [{"test": "GLU", "value": f"5.{number}", "unit": "mmol/L"}],
        }
        made.append(POCT.encode(drawn, POCT.options(**options)))
    return made


def heard(bench: Bench) -> list[tuple[Kind, Any, Any]]:
    drafts = [draft for message in bench.heard for draft in POCT.decode(message, POCT.options())]
    return [(draft.kind, draft.specimen, draft.value) for draft in drafts if draft.kind in (Kind.RESULT, Kind.QC)]


WAYS: list[dict[str, Any]] = [
    {},
    {"continuous": "never"},
    {"ask": "each", "continuous": "never"},
    {"ask": "never", "continuous": "always"},
    {"framing": "mllp", "acknowledge_topic_end": True},
    {"framing": "root", "continuous": "never"},
]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_both_roles_understand_each_other(options: dict[str, Any]) -> None:
    bench = Bench(POCT.host(POCT.options(**options)), POCT.instrument(POCT.options(**options)))
    for message in messages(7):
        bench.say(message)
    bench.run(200.0)
    wanted = [(Kind.QC if n % 3 == 2 else Kind.RESULT, f"S{n}", f"5.{n}") for n in range(7)]
    assert heard(bench) == wanted
    assert (bench.instrument.delivered, bench.instrument.idle, bench.refused) == (7, True, [])
    for message in messages(9)[7:]:
        bench.say(message)
        bench.run(bench.now + 60.0)
    assert bench.instrument.delivered == 9


STREAM = ("split", "merge", "silence", "slow", "disconnect", "duplicate")


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("fault", STREAM)
def test_nothing_acknowledged_is_lost(options: dict[str, Any], fault: str) -> None:
    for seed in range(3):
        bench = Bench(
            POCT.host(POCT.options(**options)), POCT.instrument(POCT.options(**options)), Faults({fault: 0.3}, seed)
        )
        for message in messages(6):
            bench.say(message)
            bench.run(bench.now + 5.0)
        bench.faults.rates.clear()
        bench.run(bench.now + 900.0)
        told = heard(bench)
        assert {one[1] for one in told} == {f"S{n}" for n in range(6)}, (fault, seed)
        assert bench.instrument.delivered == 6


class Lossy:
    """Loses some of what the host answers."""

    def __init__(self, keep: list[bool]) -> None:
        self._keep = keep

    def __call__(self, data: bytes) -> list[bytes]:
        return [data] if not self._keep or self._keep.pop(0) else []


@given(st.sampled_from(WAYS), st.lists(st.booleans(), max_size=14))
def test_a_lost_answer_brings_the_same_result_again(options: dict[str, Any], keep: list[bool]) -> None:
    host, device = POCT.host(POCT.options(**options)), POCT.instrument(POCT.options(**options))
    left = End(_Mute(host), fault=Lossy(list(keep)))
    wire = Wire(left, End(device))
    for message in messages(3):
        wire.offer(wire.ends[1], message)
    wire.run(5000.0)
    assert device.delivered == 3
    drafts = [draft for raw, _ in left.messages for draft in POCT.decode(Message(raw), POCT.options())]
    told = [draft for draft in drafts if draft.kind in (Kind.RESULT, Kind.QC)]
    assert len({draft.identity for draft in told}) == 3
    if len(told) > 3:
        assert "RES" in {draft.attributes["reason"] for draft in told}


class _Mute:
    """A host among ends that may have something to say."""

    delivered, confirms, idle = 0, False, True

    def __init__(self, host: Exchange) -> None:
        self._host = host

    @property
    def deadline(self) -> float | None:
        return self._host.deadline

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        return iter(())

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        return self._host.receive(data, now)

    def tick(self, now: float) -> Iterator[Event]:
        return self._host.tick(now)

    def close(self) -> Iterator[Event]:
        return self._host.close()


def written(events: Iterable[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Send))


def test_a_refused_result_is_sent_again() -> None:
    device: Speaker = Device(Profile())
    (message,) = messages(1)
    greeting = written(device.offer(message, 0.0))
    condition = written(device.receive(acknowledge(number_of(greeting)), 0.0))
    list(device.receive(acknowledge(number_of(condition)), 0.0))
    first = written(device.receive(said("REQ.R01", "4003", '<REQ><REQ.request_cd V="ROBS"/></REQ>'), 0.0))
    list(device.receive(acknowledge(number_of(first), "AE"), 1.0))
    again = written(device.tick(6.0))
    assert (b'"NEW"' in first, b'"RES"' in again) == (True, True)
    list(device.receive(acknowledge(number_of(first)), 7.0))  # a late answer to the first one
    assert device.delivered == 1


def test_framing_is_told_by_the_first_byte() -> None:
    for frame in (bytes, block):
        host = POCT.host(POCT.options())
        events = [event for byte in frame(hello()) for event in host.receive(bytes([byte]), 1.0)]
        (kept,) = [event for event in events if isinstance(event, Received)]
        assert kept.reply.startswith(b"\x0b" if frame is block else b"<ACK")
        assert [*host.close()] == []


def test_the_devices_zone_is_the_hosts() -> None:
    table = {"id": "m", "driver": "poct1a", "link": {"type": "tcp-listen", "port": 5050}, "timezone": "Asia/Karachi"}
    options = device_model("poct1a").model_validate(table)
    (kept,) = POCT.host(options).receive(hello(), 1_768_469_400.0)
    assert isinstance(kept, Received)
    assert b'<HDR.creation_dttm V="2026-01-15T14:30:00+05:00"/>' in kept.reply
