"""SiLA 2: features read against the sila2 library, values as readings, and whatever a server may say."""

from __future__ import annotations

import base64
import json
import math
import os
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError, Received, Send
from drivers.kit.observation import Draft, Quality
from drivers.sila2.driver import DRIVER
from drivers.sila2.options import SilaOptions
from gateway.links.sila_feature import described, error_text, feature, text, texts, value
from tests.system.test_sila_live import FEATURE, basic, element, property_of, unit

if os.environ.get("CI") != "true":
    pytest.importorskip("sila2", reason="pip install sila2")

from sila2.framework import Feature
from sila2.framework.errors.framework_error import FrameworkError, FrameworkErrorType
from sila2.framework.errors.undefined_execution_error import UndefinedExecutionError

TYPES = """
<DataTypeDefinition><Identifier>Point</Identifier><DisplayName>P</DisplayName><Description>P.</Description>
<DataType><Structure>%s%s</Structure></DataType></DataTypeDefinition>
""" % (element("X", basic("Real")), element("N", basic("Integer")))  # noqa: UP031 - the text has braces in it
DEFINED = "<DataType><DataTypeIdentifier>Point</DataTypeIdentifier></DataType>"
HEAD, _, _ = FEATURE.partition("<Property>")
EVERY = (
    HEAD.replace("Incubator", "Every").replace('Category="incubation"', "")
    + "".join(property_of(name, basic(name), True) for name in ("Real", "Integer", "String", "Boolean"))
    + "".join(property_of(name, basic(name), False) for name in ("Date", "Time", "Timestamp", "Binary"))
    + property_of("Numbers", f"<DataType><List>{basic('Integer')}</List></DataType>", True)
    + property_of("Place", DEFINED, True)
    + property_of("Places", f"<DataType><List>{DEFINED}</List></DataType>", True)
    + property_of("Kelvin", unit("K", "Kelvin", 0, "<MinimalInclusive>0.0</MinimalInclusive>"), True)
    + TYPES
    + "</Feature>"
)


FOREIGN = Feature(EVERY)  # the library's own reading of the definition
OURS = feature(EVERY.encode())


def test_a_definition_is_read_as_the_library_reads_it() -> None:
    assert OURS.id == str(FOREIGN.fully_qualified_identifier) == "com.maker/none/Every/v1"
    for name, ours in OURS.properties.items():
        theirs = FOREIGN[name]
        assert ours.id == str(theirs.fully_qualified_identifier)
        assert ours.observable == (name in FOREIGN._observable_properties)
        verb = "Subscribe" if ours.observable else "Get"
        assert ours.call == f"/sila2.com.maker.none.every.v1.Every/{verb}_{name}"
    assert len(OURS.properties) == 12
    assert described(OURS.properties["Kelvin"].type) == {
        "type": "Real", "unit": "K", "constraints": {"factor": "1", "offset": "0", "MinimalInclusive": "0.0"}
    }  # fmt: skip
    assert described(OURS.properties["Place"].type) == {
        "type": "Structure", "elements": {"X": {"type": "Real"}, "N": {"type": "Integer"}}
    }  # fmt: skip


ZONE = (st.integers(0, 14 * 4) | st.integers(-12, 0).map(lambda hours: 4 * hours)).map(
    lambda quarters: timezone(timedelta(minutes=15 * quarters))
)
MOMENT = st.datetimes(datetime(1, 1, 2), datetime(9998, 12, 31), timezones=ZONE).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
INTEGER = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=False)
SAYS = st.one_of(
    st.tuples(st.just("Real"), REAL),
    st.tuples(st.just("Integer"), INTEGER),
    st.tuples(st.just("String"), st.text(st.characters(codec="utf-8"), max_size=50)),
    st.tuples(st.just("Boolean"), st.booleans()),
    st.tuples(st.just("Timestamp"), MOMENT),
    st.tuples(st.just("Numbers"), st.lists(INTEGER, max_size=5)),
    st.tuples(st.just("Place"), st.tuples(REAL, INTEGER)),
    st.tuples(st.just("Places"), st.lists(st.tuples(REAL, INTEGER), max_size=3)),
    st.tuples(st.just("Kelvin"), st.floats(0, allow_nan=False)),
)


def plain(name: str, said: Any) -> Any:
    if name == "Place":
        return {"X": said[0], "N": said[1]}
    if name == "Places":
        return [plain("Place", one) for one in said]
    return said


@given(SAYS)
@settings(deadline=None)
def test_what_the_library_writes_is_read(says: tuple[str, Any]) -> None:
    name, said = says
    message = FOREIGN[name].to_message(said).SerializeToString()
    read = value(message, OURS.properties[name].type)
    if name == "Timestamp":
        assert isinstance(read, str) and datetime.fromisoformat(read) == said
        return
    assert read == plain(name, said)
    assert type(read) is type(plain(name, said))


def test_a_zone_that_can_be_read_in_two_ways_is_not_read() -> None:
    at = datetime(2026, 1, 15, 9, 30, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    message = FOREIGN["Timestamp"].to_message(at).SerializeToString()
    assert value(message, OURS.properties["Timestamp"].type) == "2026-01-15T09:30:00 (zone -4 h 30 min)"


def test_zero_is_a_value_and_nothing_is_none() -> None:
    assert value(b"\x0a\x00", OURS.properties["Real"].type) == 0.0
    assert value(b"", OURS.properties["Real"].type) is None
    assert value(b"", OURS.properties["Numbers"].type) == []
    assert value(b"\x0a\x00", OURS.properties["Place"].type) is None


@given(st.sampled_from(sorted(OURS.properties)), st.binary(max_size=80))
def test_garbage_is_a_value_or_an_error(name: str, data: bytes) -> None:
    try:
        json.dumps(value(data, OURS.properties[name].type))
    except DecodeError:
        return


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UndefinedExecutionError("stuck"), "stuck"),
        (FrameworkError(FrameworkErrorType.NO_METADATA_ALLOWED, "none allowed"), "none allowed"),
    ],
)
def test_an_error_is_said_in_its_own_words(error: Any, words: str) -> None:
    assert words in error_text(base64.b64encode(error.to_message().SerializeToString()).decode())


@pytest.mark.parametrize("details", ["", "plain words", "AAAA", "////", "CgA="])
def test_details_that_are_no_sila_error_are_left(details: str) -> None:
    assert error_text(details) == details


@pytest.mark.parametrize(
    "definition",
    [
        b"",
        b"<x/>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><Feature/>",
        FEATURE.replace("<Basic>Integer</Basic>", "<Basic>Void</Basic>").encode(),
        FEATURE.replace("<Identifier>Cycles", "<Identifier>cycles/..").encode(),
        FEATURE.replace('Originator="com.maker"', 'Originator="com/maker"').encode(),
        FEATURE.replace('FeatureVersion="1.3"', 'FeatureVersion="x"').encode(),
        FEATURE.replace(
            unit("mm", "Meter"), "<DataType><DataTypeIdentifier>Level</DataTypeIdentifier></DataType>"
        ).encode(),
    ],
)
def test_a_definition_that_is_none_is_an_error(definition: bytes) -> None:
    with pytest.raises(DecodeError):
        feature(definition)


@given(st.binary(max_size=200))
def test_any_definition_and_any_list_is_read_or_an_error(data: bytes) -> None:
    for read in (feature, texts, text):
        try:
            read(data)
        except DecodeError:
            continue


# ---- the driver

OPTIONS = SilaOptions.model_validate(
    {
        "properties": [
            {"feature": "Incubator", "property": "Temperature", "quantity": "temperature", "period": "5s"},
            {"feature": "com.maker/x/Incubator/v2", "property": "Chamber", "quantity": "chamber", "unit": "%"},
        ]
    }
)


def drafts(**told: Any) -> list[Draft]:
    data = json.dumps({"property": "Incubator/Temperature", "value": 37.0, "type": "Real", **told}).encode()
    return list(DRIVER.decode(Message(data), OPTIONS))


def test_it_asks_for_its_properties_once() -> None:
    host = DRIVER.host(OPTIONS)
    assert host.deadline == 0.0
    assert list(host.tick(0.0)) == [
        Send(b"subscribe 5", channel="Incubator/Temperature"),
        Send(b"subscribe 10", channel="com.maker/x/Incubator/v2/Chamber"),
    ]
    assert host.deadline is None and list(host.tick(0.0)) == []
    assert list(host.receive(b"{}", 0.0)) == [Received(b"{}")]


@pytest.mark.parametrize(
    ("told", "said", "quality"),
    [
        ({}, 37.0, Quality.GOOD),
        ({"value": None}, None, Quality.BAD),
        ({"value": math.nan}, None, Quality.BAD),
        ({"value": None, "error": "aborted: no signal"}, None, Quality.BAD),
        ({"value": [1, 2]}, "[1, 2]", Quality.UNCERTAIN),
        ({"value": {"any": "x"}}, '{"any": "x"}', Quality.UNCERTAIN),
        ({"value": "NaN"}, "NaN", Quality.GOOD),
        ({"constraints": {"MaximalInclusive": "37"}}, 37.0, Quality.GOOD),
        ({"constraints": {"MaximalExclusive": "37"}}, 37.0, Quality.UNCERTAIN),
        ({"constraints": {"MinimalInclusive": "37.5"}}, 37.0, Quality.UNCERTAIN),
        ({"constraints": {"MinimalInclusive": "x", "Set": []}}, 37.0, Quality.GOOD),
    ],
)
def test_a_value_and_what_its_feature_promised_make_a_quality(
    told: dict[str, Any], said: Any, quality: Quality
) -> None:
    (draft,) = drafts(**told)
    assert (draft.value, draft.quality) == (said, quality)
    assert quality is Quality.GOOD or draft.quality_reason
    assert draft.identity == ()


def test_a_structure_is_a_reading_for_each_element() -> None:
    elements = {"Co2": {"type": "Real", "unit": "ppm"}, "Open": {"type": "Boolean"}}
    found = drafts(value={"Co2": 400.0, "Open": True}, elements=elements)
    assert [(one.quantity, one.value, one.unit) for one in found] == [
        ("temperature-co2", 400.0, "ppm"),
        ("temperature-open", True, None),
    ]


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("value", "unit", "elements", "constraints", "error", "id"),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                max_leaves=8,
            ),
        ),
    )
)
def test_whatever_is_said_of_a_declared_property_is_drafts(told: dict[str, Any]) -> None:
    for draft in drafts(**told):
        assert draft.value is None or isinstance(draft.value, bool | int | float | str)


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b'{"property":"Other/Temperature","value":1}', b"{}", b"\xff"])
def test_what_nobody_declared_is_quarantined(data: bytes) -> None:
    with pytest.raises(DecodeError):
        list(DRIVER.decode(Message(data), OPTIONS))


@pytest.mark.parametrize(
    "properties",
    [
        [],
        [{"feature": "incubator", "property": "T", "quantity": "t"}],
        [{"feature": "com.maker/x/Incubator", "property": "T", "quantity": "t"}],
        [{"feature": "Incubator", "property": "t", "quantity": "t"}],
        [{"feature": "Incubator", "property": "T", "quantity": "t"}] * 2,
        [{"feature": "Incubator", "property": "T", "quantity": "t", "period": "1ms"}],
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(properties: Any) -> None:
    with pytest.raises(ValidationError):
        SilaOptions.model_validate({"properties": properties})
