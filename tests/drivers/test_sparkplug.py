"""Following edge nodes: births, data by alias, gaps, deaths; and what one message becomes, read alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Event, Received, Rejected, Send, receiver
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.protobuf import put_bytes, put_double, put_number
from drivers.kit.sparkplug import REBIRTH, Known, Topic, Verb, read, topic, write
from drivers.kit.sparkplug_values import Type, put_metric, put_update, value_of
from drivers.sparkplug import notes
from drivers.sparkplug.births import Node
from drivers.sparkplug.driver import DRIVER
from drivers.sparkplug.host import MAX_MESSAGE, Host
from drivers.sparkplug.node import EdgeNode
from drivers.sparkplug.options import SparkplugOptions

T0 = 1_768_469_400_000
CONTROL = put_metric(REBIRTH, Type.BOOLEAN, False, T0)
TEMPERATURE = put_metric("Temperature", Type.DOUBLE, -80.0, T0, 7, "°C")
DOOR = put_metric("Door", Type.BOOLEAN, False, T0, 8)
TOPICS = {verb: str(Topic("lab", verb, "edge", "freezer" if verb.of_device else "")) for verb in Verb}


def options(**given_: Any) -> SparkplugOptions:
    return SparkplugOptions.model_validate(given_)


def nbirth(bdseq: int = 1, *more: bytes, seq: int = 0) -> bytes:
    return write(T0, [put_metric("bdSeq", Type.INT64, bdseq, T0), CONTROL, *more], seq)


def ndeath(bdseq: int = 1) -> bytes:
    return write(None, [put_metric("bdSeq", Type.INT64, bdseq, None)])


def data(seq: int, value: float = -79.5, alias: int = 7, at: int = T0 + 1000) -> bytes:
    return write(at, [put_update(alias, Type.DOUBLE, value, at)], seq)


@dataclass
class Following:
    """A host and what it was told; `asked` are the nodes whose birth it wanted, with the time."""

    given: SparkplugOptions = field(default_factory=SparkplugOptions)
    now: float = 1000.0
    kept: list[Received] = field(default_factory=list)
    asked: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host = Host(self.given)

    def hear(self, verb: Verb, payload: bytes, channel: str = "") -> None:
        events = list(self.host.receive_from(channel or TOPICS[verb], payload, self.now))
        assert b"".join(event.raw for event in events) == payload
        self._carry_out(events)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.host.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self._carry_out(self.host.tick(self.now))
        self.now = end

    def _carry_out(self, events: Iterable[Event]) -> None:
        for event in events:
            assert not isinstance(event, Rejected)
            if isinstance(event, Received):
                self.kept.append(event)
            elif event.data:
                at = topic(event.channel)
                assert at is not None
                assert at.verb is Verb.NCMD
                metric = read(event.data).named(REBIRTH)
                assert metric is not None
                assert value_of(metric.holder, metric.held, metric.datatype, "").value is True
                self.asked.append((at.node, self.now))

    def read(self) -> list[Draft]:
        """What the last message becomes, by itself."""
        return list(DRIVER.decode(Message(self.kept[-1].raw, self.kept[-1].channel), self.given))

    def born(self) -> Following:
        self.hear(Verb.NBIRTH, nbirth())
        self.hear(Verb.DBIRTH, write(T0, [TEMPERATURE, DOOR], 1))
        return self


def graded(code: int) -> bytes:
    """A value with a quality code."""
    said = put_number(1, Type.INT32) + put_number(3, code)
    return put_bytes(9, put_bytes(1, "Quality") + put_bytes(2, said)) + put_double(13, 1.5)


def by_quantity(drafts: Iterable[Draft]) -> dict[str | None, Draft]:
    return {draft.quantity: draft for draft in drafts}


# -- a message read alone


def test_data_by_alias_is_read_by_what_the_birth_said() -> None:
    following = Following(options(group="lab", node="edge", device="freezer")).born()
    following.hear(Verb.DDATA, data(2))
    assert following.kept[-1].channel == "spBv1.0/lab/DDATA/edge/freezer#7=Temperature:10:%C2%B0C"
    (draft,) = following.read()
    assert (draft.kind, draft.test, draft.quantity) == (Kind.READING, "Temperature", "temperature")
    assert (draft.value, draft.unit, draft.device_time) == (-79.5, "°C", "unix:1768469401.000")
    assert following.asked == []


def test_births_are_readings_and_a_status() -> None:
    following = Following(options(group="lab", node="edge", device="freezer"))
    following.hear(Verb.NBIRTH, nbirth(3, put_metric("Properties/OS", Type.STRING, "Linux", T0)))
    (status,) = following.read()
    assert (status.kind, status.quantity, status.value) == (Kind.STATUS, "node-availability", "online")
    assert (status.attributes["Properties/OS"], status.attributes["bdSeq"]) == ("Linux", 3)
    following.hear(Verb.DBIRTH, write(T0, [TEMPERATURE, DOOR], 1))
    drafts = by_quantity(following.read())
    assert drafts["availability"].value == "online"
    assert (drafts["temperature"].value, drafts["door"].value) == (-80.0, False)
    assert drafts["temperature"].attributes["message"] == "DBIRTH"


@pytest.mark.parametrize(
    ("given_", "quantity"),
    [
        ({}, "lab-edge-freezer-temperature"),
        ({"group": "lab"}, "edge-freezer-temperature"),
        ({"node": "edge"}, "freezer-temperature"),
        ({"node": "edge", "device": "freezer"}, "temperature"),
        ({"metrics": [{"name": "Temperature", "quantity": "chamber"}]}, "chamber"),
        ({"node": "edge", "metrics": [{"name": "Temperature", "quantity": "x", "device": "y"}]}, "freezer-temperature"),
    ],
)  # fmt: skip
def test_what_the_options_leave_open_stands_in_the_quantity(given_: dict[str, Any], quantity: str) -> None:
    following = Following(options(**given_)).born()
    following.hear(Verb.DDATA, data(2))
    assert [draft.quantity for draft in following.read()] == [quantity]


def test_declared_metrics_alone_where_the_others_are_ignored() -> None:
    metrics = [{"name": "Door", "quantity": "door", "kind": "event", "unit": "1", "code": "loinc:1-8"}]
    following = Following(options(node="edge", device="freezer", metrics=metrics, unknown="ignore")).born()
    drafts = by_quantity(following.read())
    assert drafts.keys() == {"availability", "door"}
    assert (drafts["door"].kind, drafts["door"].unit, drafts["door"].code) == (Kind.EVENT, "1", "loinc:1-8")


@pytest.mark.parametrize(
    ("metric", "quality", "value"),
    [
        (put_number(7, 1), Quality.BAD, None),
        (b"", Quality.BAD, None),
        (put_double(13, 1.5), Quality.GOOD, 1.5),
        (graded(0), Quality.BAD, 1.5),
        (graded(192), Quality.GOOD, 1.5),
        (graded(500), Quality.UNCERTAIN, 1.5),
        (graded(64), Quality.UNCERTAIN, 1.5),
    ],
)
def test_nulls_and_quality_codes(metric: bytes, quality: Quality, value: float | None) -> None:
    following = Following(options(node="edge", device="freezer")).born()
    following.hear(Verb.DDATA, write(T0, [put_number(2, 7) + put_number(3, T0) + metric], 2))
    (draft,) = following.read()
    assert (draft.quality, draft.value) == (quality, value)


def test_history_is_marked() -> None:
    following = Following().born()
    following.hear(Verb.DDATA, write(T0, [put_update(7, Type.DOUBLE, 1.0, T0 - 60_000) + put_number(5, 1)], 2))
    (draft,) = following.read()
    assert (draft.attributes["historical"], draft.device_time) == (True, "unix:1768469340.000")


def test_the_same_reading_again_is_one_and_another_at_another_time_is_two() -> None:
    following = Following().born()
    identities = []
    for payload in (data(2), data(3), data(4, at=T0 + 2000), data(5, value=-79.4)):
        following.hear(Verb.DDATA, payload)
        identities += [draft.identity for draft in following.read()]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


def test_without_a_believable_time_every_arrival_counts() -> None:
    following = Following().born()
    following.hear(Verb.DDATA, data(2, at=5000))
    assert [draft.identity for draft in following.read()] == [()]


def test_a_value_by_an_unknown_alias_is_refused_whole() -> None:
    following = Following().born()
    both = [put_update(7, Type.DOUBLE, 1.0, T0), put_update(99, Type.DOUBLE, 2.0, T0)]
    following.hear(Verb.DDATA, write(T0, both, 2))
    with pytest.raises(DecodeError, match="alias 99"):
        following.read()


def test_commands_and_host_states_are_no_readings() -> None:
    following = Following(options(node="edge"))
    following.hear(Verb.NCMD, write(T0, [put_metric(REBIRTH, Type.BOOLEAN, True, T0)]))
    (draft,) = following.read()
    assert (draft.kind, draft.quantity, draft.value) == (Kind.EVENT, "command", REBIRTH)
    for channel, payload in (
        ("spBv1.0/STATE/scada", b'{"online":true,"timestamp":1768469400000}'),
        ("STATE/scada", b"ONLINE"),
    ):
        following.hear(Verb.STATE, payload, channel)
        (draft,) = following.read()
        assert (draft.kind, draft.quantity, draft.value) == (Kind.STATUS, "host-state", "online")


def test_a_template_by_alias_has_its_members_names() -> None:
    def freezer(value: float, member: bytes) -> bytes:
        return put_bytes(18, put_bytes(2, member + put_double(13, value)) + put_number(5, 0))

    member = put_bytes(1, "Temperature") + put_number(4, Type.DOUBLE)
    birth = put_bytes(1, "Freezer") + put_number(2, 3) + put_number(3, T0) + put_number(4, Type.TEMPLATE)
    following = Following(options(node="edge", device="freezer"))
    following.hear(Verb.NBIRTH, nbirth())
    following.hear(Verb.DBIRTH, write(T0, [birth + freezer(-80.0, member)], 1))
    assert [draft.quantity for draft in following.read()] == ["availability", "freezer-temperature"]
    following.hear(Verb.DDATA, write(T0, [put_number(2, 3) + put_number(3, T0) + freezer(-79.0, member)], 2))
    assert [(draft.quantity, draft.value) for draft in following.read()] == [("freezer-temperature", -79.0)]
    assert following.asked == []


# -- what stands behind a topic


@given(
    st.dictionaries(
        st.integers(0, 2**64 - 1), st.builds(Known, st.text(min_size=1), st.integers(0, 99), st.text()), max_size=5
    ),
    st.booleans(),
    st.none() | st.integers(0, 255),
    st.lists(st.text()),
)
def test_notes_there_and_back(aliases: dict[int, Known], gap: bool, late: int | None, devices: list[str]) -> None:
    items = [notes.metric(alias, known) for alias, known in aliases.items()]
    items += [notes.metric(None, known) for known in aliases.values()]
    items += [*map(notes.device, devices), *(["gap=1"] if gap else []), *([f"late={late}"] if late is not None else [])]
    names = {known.name: known for known in aliases.values()}
    found = notes.parse(notes.written("spBv1.0/a&b=c/DDATA/d/e:f", items))
    assert found == notes.Notes("spBv1.0/a&b=c/DDATA/d/e:f", aliases, names, gap, late, tuple(devices))


@given(st.text(), st.binary(max_size=60))
def test_any_channel_and_bytes_are_drafts_or_a_decode_error(channel: str, payload: bytes) -> None:
    for one in (channel, f"spBv1.0/lab/DDATA/edge/freezer#{channel}", f"spBv1.0/STATE/{channel}"):
        try:
            list(DRIVER.decode(Message(payload, one), options()))
        except DecodeError:
            continue


# -- gaps


def test_a_gap_that_stays_asks_for_a_birth_and_until_then_names_are_doubted() -> None:
    following = Following().born()
    following.hear(Verb.DDATA, data(4))
    (draft,) = following.read()
    assert (draft.quality, draft.value) == (Quality.UNCERTAIN, -79.5)
    assert following.asked == []
    following.wait(5.0)
    assert following.asked == [("edge", 1002.0)]
    following.born()
    following.hear(Verb.DDATA, data(2))
    assert [draft.quality for draft in following.read()] == [Quality.GOOD]


def test_a_late_message_fills_its_gap() -> None:
    following = Following().born()
    for seq in (4, 3, 2):
        following.hear(Verb.DDATA, data(seq))
    following.hear(Verb.DDATA, data(5))
    following.wait(100.0)
    assert following.asked == []
    assert [draft.quality for draft in following.read()] == [Quality.GOOD]


def test_the_count_goes_round_and_a_message_twice_is_no_gap() -> None:
    following = Following().born()
    for number in range(2, 600):
        following.hear(Verb.DDATA, data(number % 256, at=T0 + number))
        if number % 50 == 0:
            following.hear(Verb.DDATA, data(number % 256, at=T0 + number))
    following.wait(100.0)
    assert following.asked == []


def test_a_missed_birth_is_noticed_by_the_count() -> None:
    following = Following().born()
    for number in range(2, 150):
        following.hear(Verb.DDATA, data(number, at=T0 + number))
    following.hear(Verb.DDATA, data(2, at=T0 + 500))  # it was born again, and 7 may be something else now
    assert [draft.quality for draft in following.read()] == [Quality.UNCERTAIN]
    following.wait(3.0)
    assert len(following.asked) == 1


def test_an_unknown_alias_asks_at_once_and_not_again_too_soon() -> None:
    following = Following()
    for seq in range(40):
        following.hear(Verb.DDATA, data(seq, at=T0 + seq))
        following.wait(1.0)
    assert [at for _, at in following.asked] == [1000.0, 1030.0]
    for seq in range(400):
        following.hear(Verb.DDATA, data(seq % 256, at=T0 + 1000 + seq))
        following.wait(1.0)
    assert [at for _, at in following.asked] == [1000.0, 1030.0, 1090.0, 1210.0]


def test_who_only_listens_asks_nobody() -> None:
    following = Following(options(group="lab", node="edge", rebirth=False))
    following.hear(Verb.DDATA, data(5))
    following.wait(100.0)
    assert (following.asked, following.host.deadline) == ([], None)


def test_a_named_node_is_asked_when_we_begin_unless_it_is_born_meanwhile() -> None:
    following = Following(options(group="lab", node="edge"))
    following.wait(10.0)
    assert following.asked == [("edge", 1002.0)]
    quick = Following(options(group="lab", node="edge"))
    quick.wait(1.0)
    quick.born()
    quick.wait(100.0)
    assert quick.asked == []


def test_somebody_elses_request_is_enough() -> None:
    following = Following().born()
    following.hear(Verb.DDATA, data(4))
    following.hear(Verb.NCMD, write(T0, [put_metric(REBIRTH, Type.BOOLEAN, True, T0)]))
    following.wait(10.0)
    assert following.asked == []


# -- deaths


def test_the_death_of_a_node_is_that_of_its_devices() -> None:
    following = Following(options(group="lab", node="edge")).born()
    following.hear(Verb.NDEATH, ndeath())
    assert {draft.quantity: draft.value for draft in following.read()} == {
        "availability": "offline", "freezer-availability": "offline",
    }  # fmt: skip
    assert all(draft.device_time is None and draft.identity == () for draft in following.read())
    following.hear(Verb.DDATA, data(2))
    assert len(following.asked) == 1
    with pytest.raises(DecodeError):
        following.read()


def test_the_will_of_an_earlier_session_is_no_death() -> None:
    following = Following(options(node="edge", device="freezer")).born()
    following.hear(Verb.NDEATH, ndeath(0))
    assert [draft.kind for draft in following.read()] == [Kind.EVENT]
    following.hear(Verb.DDATA, data(2))
    assert [draft.value for draft in following.read()] == [-79.5]


def test_the_death_of_a_device_leaves_the_node_and_its_other_devices() -> None:
    following = Following(options(node="edge")).born()
    other = "spBv1.0/lab/DBIRTH/edge/fridge"
    following.hear(Verb.DBIRTH, write(T0, [put_metric("Temperature", Type.DOUBLE, 4.0, T0, 20)], 2), other)
    following.hear(Verb.DDEATH, write(T0 + 5, [], 3))
    (draft,) = following.read()
    assert (draft.quantity, draft.value, draft.device_time) == (
        "freezer-availability",
        "offline",
        "unix:1768469400.005",
    )
    following.hear(Verb.DDATA, data(4, alias=20), "spBv1.0/lab/DDATA/edge/fridge")
    assert [draft.quantity for draft in following.read()] == ["fridge-temperature"]
    assert following.asked == []
    following.hear(Verb.DDATA, data(5))
    assert len(following.asked) == 1


def test_a_device_whose_nodes_birth_was_missed_is_read_and_the_node_asked() -> None:
    following = Following(options(node="edge", device="freezer"))
    following.hear(Verb.DBIRTH, write(T0, [TEMPERATURE], 1))
    assert [draft.quantity for draft in following.read()] == ["availability", "temperature"]
    assert len(following.asked) == 1
    following.hear(Verb.DDATA, data(2))
    assert [draft.value for draft in following.read()] == [-79.5]


def test_what_is_too_long_to_be_followed_is_kept_as_refused() -> None:
    (event,) = Host(options()).receive_from(TOPICS[Verb.NDATA], bytes(MAX_MESSAGE + 1), 1.0)
    assert isinstance(event, Rejected)
    assert len(event.raw) == MAX_MESSAGE + 1


# -- what is not ours


def test_other_nodes_are_passed_over_and_other_devices_counted() -> None:
    following = Following(options(group="lab", node="edge", device="freezer")).born()
    kept = len(following.kept)
    following.hear(Verb.NBIRTH, nbirth(), "spBv1.0/lab/NBIRTH/other")
    following.hear(Verb.NBIRTH, nbirth(), "spBv1.0/plant/NBIRTH/edge")
    following.hear(Verb.DBIRTH, write(T0, [put_metric("T", Type.DOUBLE, 4.0, T0, 20)], 2), "spBv1.0/lab/DBIRTH/edge/x")
    assert len(following.kept) == kept
    following.hear(Verb.DDATA, data(3))
    assert [draft.quality for draft in following.read()] == [Quality.GOOD]


def test_what_is_no_sparkplug_is_kept_and_refused_by_decode() -> None:
    following = Following()
    for channel, payload in (("lab/x", b"{}"), (TOPICS[Verb.NDATA], b"\xff"), (TOPICS[Verb.DDATA] + "/x", data(1))):
        following.hear(Verb.NDATA, payload, channel)
        with pytest.raises(DecodeError):
            following.read()


def test_memory_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.sparkplug.host.MOST_KNOWN", 1000)
    following = Following()
    metrics = [put_metric(f"m{n}", Type.INT32, n, T0, n) for n in range(100)]
    for number in range(20):
        following.hear(Verb.NBIRTH, nbirth(1, *metrics), f"spBv1.0/lab/NBIRTH/edge-{number}")
    for number in range(2000):
        following.hear(Verb.DBIRTH, write(T0, [DOOR], 1), f"spBv1.0/lab/DBIRTH/edge-0/device-{number}")
    nodes = following.host._nodes.values()
    assert sum(node.size for node in nodes) == following.host._known <= 1000 + 202
    assert len(nodes) < 20


def test_a_node_forgets_the_aliases_of_its_last_birth() -> None:
    node = Node()
    node.birth("", read(nbirth(1, put_metric("A", Type.DOUBLE, 1.0, T0, 1))))
    node.birth("", read(nbirth(2, put_metric("B", Type.DOUBLE, 1.0, T0, 2))))
    assert node.look("")(1, None) is None
    assert node.look("")(2, None) == Known("B", Type.DOUBLE)
    assert node.look("freezer")(2, None) is None


# -- any order, any bytes


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Verb)), st.integers(0, 255), st.sampled_from([1, 7, 8, 99]), st.floats(0, 50))
        | st.tuples(st.sampled_from(list(Verb)), st.binary(max_size=20), st.just(0), st.floats(0, 50)),
        max_size=40,
    )
)
def test_messages_in_any_order_are_each_kept_once_and_asked_about_seldom(said: list[Any]) -> None:
    following = Following()
    for verb, content, alias, pause in said:
        payload = content
        if isinstance(content, int):
            births = [put_metric("Temperature", Type.DOUBLE, 1.0, T0, alias)]
            payload = (
                nbirth(content % 3, *births) if verb is Verb.NBIRTH else
                ndeath(content % 3) if verb is Verb.NDEATH else
                write(T0, births, content) if verb.birth else data(content, alias=alias)
            )  # fmt: skip
        following.hear(verb, payload)
        following.wait(pause)
    times = [at for _, at in following.asked]
    assert all(later - earlier > 29.999 for earlier, later in pairwise(times))
    for kept in following.kept:
        try:
            drafts = list(DRIVER.decode(Message(kept.raw, kept.channel), following.given))
        except DecodeError:
            continue
        assert drafts == list(DRIVER.decode(Message(kept.raw, kept.channel), following.given))


# -- both sides


@dataclass
class Air:
    """A broker between a node and a host: messages on topics, some of which are lost."""

    node: EdgeNode
    following: Following
    lost: int = 0

    def offer(self, number: int) -> None:
        reading = put_metric("Temperature", Type.DOUBLE, float(number), T0 + number * 1000)
        self.carry(self.node.offer(write(T0 + number * 1000, [reading]), 0.0))

    def carry(self, events: Iterable[Event]) -> None:
        queue = deque(events)
        while queue:
            event = queue.popleft()
            assert isinstance(event, Send)
            if not event.data:
                continue
            if self.lost:
                self.lost -= 1
                continue
            at = topic(event.channel)
            assert at is not None
            before = len(self.following.asked)
            self.following.hear(at.verb, event.data, event.channel)
            self.answer(before)

    def answer(self, before: int) -> None:
        for name, _ in self.following.asked[before:]:
            asked = write(1, [put_metric(REBIRTH, Type.BOOLEAN, True, 1)])
            hear = receiver(self.node)
            self.carry(hear(str(Topic("lab", Verb.NCMD, name)), asked, 0.0))

    def wait(self) -> None:
        before = len(self.following.asked)
        self.following.wait(60.0)
        self.answer(before)

    def values(self) -> list[Any]:
        drafts = [
            draft
            for kept in self.following.kept
            for draft in DRIVER.decode(Message(kept.raw, kept.channel), self.following.given)
        ]
        return list(dict.fromkeys((d.identity, d.value) for d in drafts if d.quantity == "temperature"))


def test_a_host_that_missed_the_births_gets_them_by_asking() -> None:
    given_ = options(group="lab", node="edge", device="freezer")
    air = Air(EdgeNode(given_), Following(given_), lost=2)
    for number in range(5):
        air.offer(number)
    kept = [one for one in air.following.kept if "#" not in one.channel and "DDATA" in one.channel]
    for refused in kept:
        air.following.kept.remove(refused)
    assert len(kept) == 1  # then the births came
    assert [value for _, value in air.values()] == [1.0, 2.0, 3.0, 4.0]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_what_is_lost_on_the_way_ends_in_a_birth_with_the_present_values(losses: list[int]) -> None:
    given_ = options(group="lab", node="edge", device="freezer")
    air = Air(EdgeNode(given_), Following(given_))
    for number, lost in enumerate(losses):
        air.lost = lost
        air.offer(number)
        air.wait()
    air.lost = 0
    air.offer(len(losses))
    air.wait()
    last = air.following.kept[-1]
    assert read(last.raw).seq is not None
    assert any(value == float(len(losses)) for _, value in air.values()) or "#" not in last.channel


def test_a_new_session_of_the_node_has_the_next_number_and_its_will_fits() -> None:
    given_ = options(group="lab", node="edge", device="freezer")
    node = EdgeNode(given_, session=255)
    air = Air(node, Following(given_))
    air.offer(0)
    will = node.will
    list(node.close())
    air.offer(1)
    air.following.hear(Verb.NDEATH, will.data, will.channel)  # late
    assert [draft.kind for draft in air.following.read()] == [Kind.EVENT]
    air.following.hear(Verb.NDEATH, node.will.data, node.will.channel)
    assert {draft.value for draft in air.following.read()} == {"offline"}


def test_a_node_listens_to_its_own_commands_only() -> None:
    given_ = options(group="lab", node="edge", device="freezer")
    node = EdgeNode(given_)
    list(node.offer(write(T0, [put_metric("Temperature", Type.DOUBLE, 1.0, T0)]), 0.0))
    asked = write(1, [put_metric(REBIRTH, Type.BOOLEAN, True, 1)])
    assert sum(bool(e.data) for e in node.receive_from(node.listens, asked, 0.0) if isinstance(e, Send)) == 2
    assert (
        sum(bool(e.data) for e in node.receive_from("spBv1.0/lab/NCMD/other", asked, 0.0) if isinstance(e, Send)) == 0
    )
    assert sum(bool(e.data) for e in node.receive(b"\xff\xff", 0.0) if isinstance(e, Send)) == 0
