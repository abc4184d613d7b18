"""OPC UA changes as readings: status codes, times, units, LADS names, and whatever else a server may say."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Received, Rejected, Send
from drivers.kit.observation import Draft, Kind, Quality
from drivers.opcua import lads
from drivers.opcua.driver import DRIVER, MAX_MESSAGE
from drivers.opcua.options import OpcUaOptions
from drivers.opcua.units import CODES, code
from gateway.links.link import Chunk, Link, LinkState, Port
from gateway.links.opcua import OpcUaLink
from gateway.links.options import OpcUaOptions as LinkOptions
from gateway.links.options import SilaOptions
from gateway.links.sila import SilaLink
from gateway.units import is_ucum

NODE = "nsu=http://maker/;s=T"
OPTIONS = OpcUaOptions.model_validate(
    {
        "nodes": [
            {"node": NODE, "quantity": "temperature"},
            {"node": "ns=2;i=5", "quantity": "co2", "unit": "%", "code": "loinc:2019-8"},
            {"node": "/A/Door", "quantity": "door", "map": {"0": "closed", "1": "open", "true": "open"}},
        ]
    }
)
LADS = OpcUaOptions(lads=True, lads_device="Incubator 1")


def change(**told: Any) -> bytes:
    return json.dumps({"node": NODE, "value": 1.5, "status": "Good", "code": 0, **told}).encode()


def read(data: bytes, options: OpcUaOptions = OPTIONS, channel: str = "") -> Draft:
    (draft,) = DRIVER.decode(Message(data, channel), options)
    return draft


def test_it_asks_for_its_nodes_once_and_every_change_is_a_message() -> None:
    options = OPTIONS.model_copy(update={"lads": True, "lads_device": "Incubator 1"})
    host = DRIVER.host(options)
    assert host.deadline == 0.0
    asked = list(host.tick(0.0))
    assert all(isinstance(event, Send) for event in asked)
    assert [(event.data, event.channel) for event in asked[:3] if isinstance(event, Send)] == [
        (b"subscribe", node.node) for node in OPTIONS.nodes
    ]
    last = asked[3]
    assert isinstance(last, Send) and last.channel == "nsu=http://opcfoundation.org/UA/DI/;i=5001"
    verb, _, wish = last.data.partition(b" ")
    assert verb == b"browse" and ["http://opcfoundation.org/UA/LADS/", "SensorValue"] in json.loads(wish)["take"]
    assert json.loads(wish)["only"] == "Incubator 1"
    assert host.deadline is None and list(host.tick(1.0)) == []
    assert list(host.receive(b"{}", 1.0)) == [Received(b"{}")]
    (refused,) = host.receive(b"x" * (MAX_MESSAGE + 1), 1.0)
    assert isinstance(refused, Rejected)


@pytest.mark.parametrize(
    ("told", "value", "quality", "why"),
    [
        ({}, 1.5, Quality.GOOD, None),
        ({"code": 0x480, "overflow": True}, 1.5, Quality.GOOD, None),
        ({"status": "UncertainSensorNotAccurate", "code": 0x40930000}, 1.5, Quality.UNCERTAIN, "UncertainSensor"),
        ({"status": "BadSensorFailure", "code": 0x808C0000}, 1.5, Quality.BAD, "BadSensorFailure"),
        ({"status": "BadSensorFailure", "code": 0x808C0000, "value": None}, None, Quality.BAD, "BadSensorFailure"),
        ({"status": "Odd", "code": 0xC0000000}, 1.5, Quality.BAD, "Odd"),
        ({"status": "Good", "code": 0x80000000}, 1.5, Quality.BAD, "Good 0x80000000"),
        ({"status": "UncertainLastUsableValue", "code": None}, 1.5, Quality.UNCERTAIN, "LastUsable"),
        ({"status": "Whatever", "code": None}, 1.5, Quality.BAD, "Whatever"),
        ({"status": None, "code": None}, 1.5, Quality.UNCERTAIN, "no status"),
        ({"code": 0x4000}, 1.5, Quality.UNCERTAIN, "unit or range"),
        ({"value": None}, None, Quality.BAD, "no value"),
        ({"value": float("nan")}, None, Quality.BAD, "nan"),
        ({"value": float("-inf")}, None, Quality.BAD, "inf"),
        ({"value": [1, 2]}, "[1, 2]", Quality.UNCERTAIN, "not a single value"),
        ({"value": {"structure": "Range"}}, '{"structure": "Range"}', Quality.UNCERTAIN, "not a single value"),
        ({"value": True}, True, Quality.GOOD, None),
        ({"value": "Running"}, "Running", Quality.GOOD, None),
        ({"value": -7}, -7, Quality.GOOD, None),
    ],
)
def test_a_status_code_and_a_value_make_a_quality(
    told: dict[str, Any], value: Any, quality: Quality, why: str | None
) -> None:
    draft = read(change(**told))
    assert (draft.value, type(draft.value), draft.quality) == (value, type(value), quality)
    assert (why is None and draft.quality_reason is None) or (why or "") in (draft.quality_reason or "")


def test_a_value_a_map_has_is_its_word_and_another_is_doubted() -> None:
    door: dict[str, Any] = {"node": "/A/Door"}
    assert [read(change(**door, value=value)).value for value in (0, 1, True)] == ["closed", "open", "open"]
    assert read(change(**door, value=1)).attributes["value_as_sent"] == "1"
    odd = read(change(**door, value=7))
    assert (odd.value, odd.quality) == (7, Quality.UNCERTAIN)
    assert read(change(**door, value=False)).quality is Quality.UNCERTAIN


@pytest.mark.parametrize(
    ("told", "unit"),
    [
        ({"unit": "°C", "unit_id": 4408652}, "°C"),
        ({"unit": "", "unit_id": 4408652}, "Cel"),
        ({"unit_id": 20529}, "%"),
        ({"unit_id": 4408652, "unit_namespace": "http://maker/units"}, None),
        ({"unit_id": -1}, None),
        ({"unit_id": 2**40}, None),
        ({"unit_id": "4408652"}, None),
        ({}, None),
    ],
)
def test_a_unit_is_as_the_server_says_it(told: dict[str, Any], unit: str | None) -> None:
    assert read(change(**told)).unit == unit


def test_a_declared_unit_goes_before_the_servers() -> None:
    draft = read(change(node="ns=2;i=5", unit="°C"))
    assert (draft.unit, draft.code, draft.quantity) == ("%", "loinc:2019-8", "co2")


def test_common_codes_are_known_units() -> None:
    assert all(is_ucum(unit) for unit in CODES.values())
    assert [code(number) for number in (4408652, 20529, 0, 2**24, -5)] == ["CEL", "P1", None, None, None]


def test_the_same_change_heard_again_is_the_same_and_another_is_not() -> None:
    at: dict[str, Any] = {"source_time": "2026-01-15T09:30:00Z", "server_time": "2026-01-15T09:30:07Z"}
    again = {**at, "server_time": "2026-01-15T10:00:00Z"}
    assert read(change(**at)).identity == read(change(**again)).identity
    others = [{**at, "value": 1.6}, {**at, "source_time": "2026-01-15T09:30:01Z"}, {**at, "node": "ns=2;i=5"},
              {**at, "code": 0x808C0000}]  # fmt: skip
    assert len({read(change(**one)).identity for one in (at, *others)}) == 5
    assert read(change(**at)).device_time == "2026-01-15T09:30:00Z"
    unsourced = read(change(server_time="2026-01-15T09:30:07Z"))
    assert unsourced.device_time == "2026-01-15T09:30:07Z" and unsourced.identity
    assert read(change()).identity == ()


@pytest.mark.parametrize(
    ("path", "quantity", "kind"),
    [
        ("/DeviceHealth", "health", Kind.STATUS),
        ("/DeviceState/CurrentState", "state", Kind.STATUS),
        ("/FunctionalUnitSet/Main Unit/FunctionSet/Flow_Rate/SensorValue", "main-unit-flow-rate", Kind.READING),
        ("/FunctionalUnitSet/U/FunctionSet/Rotor/Operational/CurrentValue", "u-rotor", Kind.READING),
        ("/FunctionalUnitSet/U/FunctionSet/Rotor/TargetValue", "u-rotor-target", Kind.READING),
        ("/FunctionalUnitSet/U/FunctionSet/Feed/TotalizedValue", "u-feed-total", Kind.READING),
        ("/FunctionalUnitSet/U/FunctionalUnitState/CurrentState", "u-state", Kind.STATUS),
        ("/FunctionalUnitSet/U/FunctionalUnitState/RunningStateMachine/CurrentState", "u-state-running", Kind.STATUS),
        ("/FunctionalUnitSet/U/FunctionSet/Lid/CoverState/CurrentState", "u-lid-state", Kind.STATUS),
        ("/Components/Pump/DeviceHealth", "pump-health", Kind.STATUS),
        ("/FunctionalUnitSet/A&/B/FunctionSet/T/SensorValue", "a-b-t", Kind.READING),
    ],
)
def test_a_lads_variable_is_called_after_its_unit_and_function(path: str, quantity: str, kind: Kind) -> None:
    assert lads.named(f"/DeviceSet/Incubator 1{path}", "Incubator 1") == (quantity, kind)
    assert lads.named(f"/DeviceSet/Incubator 1{path}", None) == (f"incubator-1-{quantity}", kind)


def test_device_health_is_said_in_the_standards_words() -> None:
    node = "/DeviceSet/Incubator 1/DeviceHealth"
    told = [read(change(node=node, value=value), LADS) for value in (0, 1, 4, 5, -1)]
    assert [(one.value, one.quality) for one in told] == [
        ("NORMAL", "good"), ("FAILURE", "good"), ("MAINTENANCE_REQUIRED", "good"), (5, "uncertain"), (-1, "uncertain")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"[]", b"5", b"{}", b'{"node":7}', change(node="other"), change(node="/DeviceSet/Incubator 1/X"),
     b'{"node":"a","node":"b"}', b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_change_of_a_declared_node_is_quarantined(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)
    with pytest.raises(DecodeError):
        read(data, LADS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

KEYS = (
    "value",
    "type",
    "status",
    "code",
    "source_time",
    "server_time",
    "unit",
    "unit_id",
    "unit_namespace",
    "overflow",
)


@given(
    st.sampled_from([*(node.node for node in OPTIONS.nodes), "/DeviceSet/Incubator 1/DeviceHealth"]),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(KEYS, JSON),
    ),
)
def test_whatever_a_server_says_of_a_declared_node_is_one_draft(node: str, told: dict[str, Any]) -> None:
    options = OPTIONS.model_copy(update={"lads": True, "lads_device": "Incubator 1"})
    draft = read(json.dumps({"node": node, **told}).encode(), options)
    assert draft.value is None or isinstance(draft.value, bool | int | float | str)
    assert draft.quality in Quality and (draft.quality is Quality.GOOD or draft.quality_reason)
    if "status" not in told and not isinstance(told.get("code"), int):
        assert draft.quality is not Quality.GOOD


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nodes": [{"node": "Temperature", "quantity": "t"}]},
        {"nodes": [{"node": "ns=2;i=x", "quantity": "t"}]},
        {"nodes": [{"node": "nsu=;s=x", "quantity": "t"}]},
        {"nodes": [{"node": "/", "quantity": "t"}]},
        {"nodes": [{"node": "/A//B", "quantity": "t"}]},
        {"nodes": [{"node": "ns=2;s=x", "quantity": "t"}] * 2},
        {"lads_device": "X", "nodes": [{"node": "ns=2;s=x", "quantity": "t"}]},
        {"nodes": [{"node": "ns=2;s=x", "quantity": "T"}]},
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpcUaOptions.model_validate(options)


@pytest.mark.parametrize(
    ("link", "module", "package"),
    [
        (OpcUaLink(LinkOptions(type="opcua", url="opc.tcp://127.0.0.1:1")), "asyncua", "assaygate[opcua]"),
        (SilaLink(SilaOptions(type="sila", host="127.0.0.1", port=1)), "grpc", "assaygate[sila]"),
    ],
)
async def test_without_its_library_a_link_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, link: Link, module: str, package: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(("gateway.links.opcua_", "gateway.links.sila_"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    ear = States()
    running = asyncio.create_task(link.run(ear))
    while (said := await ear.said.get())[0] is not LinkState.WAITING:
        pass
    assert package in said[1]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class States:
    """An ear for how the link is: no port ever opens."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[tuple[LinkState, str]] = asyncio.Queue()

    def opened(self, port: Port) -> None:
        raise AssertionError("there is nothing to open")

    def received(self, port: Port, chunk: Chunk, done: Callable[[], None]) -> None:
        raise AssertionError("there is nobody to hear")

    def closed(self, port: Port, why: str) -> None:
        raise AssertionError("nothing was open")

    def state(self, state: LinkState, detail: str) -> None:
        self.said.put_nowait((state, detail))
