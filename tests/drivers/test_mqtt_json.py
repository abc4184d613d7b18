"""JSON payloads: values by path, the dialects' own shapes, and what is no measurement."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.kit.declare import Identity, Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Kind, Quality
from drivers.kit.payload import MISSING, load, path
from drivers.mqtt_json.driver import DRIVER
from drivers.mqtt_json.options import MqttJsonOptions
from gateway.journal.transaction import RawMessage
from gateway.normalise import DeviceSettings, Normaliser


def decoded(payload: object, topic: str = "lab/freezer-3/data", **options: Any) -> list[Draft]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return list(DRIVER.decode(Message(data, topic), MqttJsonOptions.model_validate(options)))


def by_quantity(*args: Any, **options: Any) -> dict[str | None, Draft]:
    return {draft.quantity: draft for draft in decoded(*args, **options)}


TEMPERATURE = {"quantity": "temperature", "path": "$.temp", "unit": "Cel"}

# -- paths and payloads


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$", {"a": {"b": [{"x y": 1}, 2]}, "DS18B20-1": 3}),
        ("$.a.b[1]", 2),
        ('$.a.b[0]["x y"]', 1),
        ("$['a']['b'][0]['x y']", 1),
        ("$.DS18B20-1", 3),
        ("$.a.b[2]", MISSING),
        ("$.a.c", MISSING),
        ("$.a[0]", MISSING),
        ("$.a.b.c", MISSING),
    ],
)
def test_paths_lead_where_they_say(text: str, found: object) -> None:
    assert path(text).find({"a": {"b": [{"x y": 1}, 2]}, "DS18B20-1": 3}) == found


@pytest.mark.parametrize(
    "text", ["", "temp", "$.", "$..a", "$.a[", "$.a[*]", "$.*", "$[?(@.x)]", "$.a[-1]", "$.a b", '$["a]']
)
def test_wrong_paths_are_configuration_errors(text: str) -> None:
    with pytest.raises(ValidationError, match="not a path"):
        MqttJsonOptions.model_validate({"readings": [{"quantity": "t", "path": text}]})


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":1,"a":2}', b"\xff", b"{", b"", b"[]", b"{}"]
)
def test_what_cannot_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded(data)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.sampled_from(["Time", "DS18B20", "Id", "object", "rxInfo"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([None, "zigbee2mqtt", "tasmota", "chirpstack", "ttn"]),
)
def test_any_payload_is_drafts_or_a_decode_error(data: bytes, dialect: str | None) -> None:
    for topic in ("", "a/b/SENSOR", "a/b/STATE", "zigbee2mqtt/bridge/x", "application/1/device/2/event/status"):
        try:
            drafts = decoded(data, topic, dialect=dialect)
        except DecodeError:
            continue
        assert drafts
        json.dumps([dict(draft.attributes) for draft in drafts], allow_nan=False)


def test_huge_numbers_are_numbers() -> None:
    assert load(b"1" * 30) == float("1" * 30)
    assert decoded({"temp": 10**400}, readings=[TEMPERATURE])[0].quality is Quality.BAD


# -- declared readings


def test_a_declared_reading_as_sent_with_the_rest_beside_it() -> None:
    (draft,) = decoded({"temp": -80.1, "door": False, "fw": {"v": "1.2"}}, readings=[TEMPERATURE])
    assert (draft.kind, draft.quantity, draft.value, draft.unit) == (Kind.READING, "temperature", -80.1, "Cel")
    assert draft.attributes == {"door": False, "fw.v": "1.2"}


def test_a_missing_reading_is_left_out_and_none_at_all_is_refused() -> None:
    humidity = {"quantity": "humidity", "path": "$.rh"}
    assert [draft.quantity for draft in decoded({"temp": 1}, readings=[TEMPERATURE, humidity])] == ["temperature"]
    with pytest.raises(DecodeError, match="none of the declared"):
        decoded({"other": 1}, readings=[TEMPERATURE])


@pytest.mark.parametrize(
    "data", [b'{"temp":null}', b'{"temp":NaN}', b'{"temp":-Infinity}', b'{"temp":"nan"}', b'{"temp":1e999}']
)
def test_no_number_is_a_bad_reading_without_a_value(data: bytes) -> None:
    (draft,) = decoded(data, readings=[TEMPERATURE])
    assert (draft.value, draft.quality) == (None, Quality.BAD)


def test_a_payload_may_be_the_value_and_the_topic_its_name() -> None:
    (draft,) = decoded(b"-80.1", "lab/freezer-3/temp", readings=[{"quantity": "{2}-{-1}", "unit": "Cel"}])
    assert (draft.quantity, draft.value) == ("freezer-3-temp", -80.1)


def test_readings_can_belong_to_one_topic() -> None:
    readings = [
        {"quantity": "temperature", "topic": "lab/+/temp"},
        {"quantity": "humidity", "topic": "lab/+/rh"},
        {"quantity": "other", "topic": "lab/x/#"},
    ]
    assert [draft.quantity for draft in decoded(b"41", "lab/f/rh", readings=readings)] == ["humidity"]
    assert [draft.quantity for draft in decoded(b"41", "lab/x/y/z", readings=readings)] == ["other"]


def test_a_scale_multiplies_in_decimal_and_keeps_what_was_sent() -> None:
    (draft,) = decoded({"temp": 215}, readings=[{**TEMPERATURE, "scale": 0.1}])
    assert (draft.value, draft.attributes["as_sent"]) == (21.5, 215)


@pytest.mark.parametrize("value", [85, 85.0, -127, "85.0"])
def test_a_probe_that_measured_nothing_is_bad(value: object) -> None:
    reading = {"quantity": "temperature", "path": "$.DS18B20.Temperature"}
    (draft,) = decoded({"DS18B20": {"Temperature": value}}, readings=[reading])
    assert draft.quality is Quality.BAD
    (other,) = decoded({"temp": value}, readings=[TEMPERATURE])
    assert other.quality is Quality.GOOD
    (own,) = decoded({"temp": 1372}, readings=[{**TEMPERATURE, "faults": [1372]}])
    assert own.quality is Quality.BAD


def test_results_carry_their_specimen() -> None:
    (draft,) = decoded(
        {"res": {"call": "POS", "ct": "21.5"}, "sid": "S1", "lot": 77},
        readings=[{"quantity": "ct", "path": "$.res.ct", "kind": "result", "interpretation": "$.res.call"}],
        fields={"specimen": "$.sid", "lot": "$.lot"},
    )
    assert (draft.kind, draft.value, draft.interpretation) == (Kind.RESULT, "21.5", "POS")
    assert (draft.specimen, draft.lot) == ("S1", "77")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("2026-01-15T09:00:00Z", "2026-01-15T09:00:00Z"),
        (1_700_000_000, "unix:1700000000"),
        (1_700_000_000.25, "unix:1700000000.25"),
        (1_700_000_000_123, "unix:1700000000.123"),
        (None, None),
    ],
)
def test_times_are_told_as_sent(sent: object, told: str | None) -> None:
    (draft,) = decoded({"temp": 1, "t": sent}, readings=[TEMPERATURE], time="$.t")
    assert draft.device_time == told


def test_a_message_is_known_again_by_its_number_or_time() -> None:
    assert DRIVER.identity(MqttJsonOptions()) is Identity.ARRIVAL
    options: dict[str, Any] = {"readings": [TEMPERATURE], "message_id": "$.n"}
    assert DRIVER.identity(MqttJsonOptions.model_validate(options)) is Identity.CONTENT
    first, again, second = (decoded({"temp": 1, "n": n}, **options)[0].identity for n in (7, 7, 8))
    assert first == again != second
    assert decoded({"temp": 1}, **options)[0].identity == ()


def uids(payloads: list[bytes], topics: list[str], **options: Any) -> list[bytes]:
    """What the gateway takes for one and the same."""
    known = MqttJsonOptions.model_validate(options)
    normaliser = Normaliser("sensor", DeviceSettings(), (), DRIVER.identity(known))
    messages = [
        RawMessage(number, "sensor", topic, 1_768_000_000_000_000_000, payload, 0, False, True)
        for number, (payload, topic) in enumerate(zip(payloads, topics, strict=True), start=1)
    ]
    drafts = [DRIVER.decode(Message(message.data, message.channel), known) for message in messages]
    return [row.uid for message, some in zip(messages, drafts, strict=True) for row in normaliser.rows(message, some)]


def test_every_coming_and_going_counts_though_readings_are_known_by_their_time() -> None:
    came_and_went = uids([b"Online", b"Offline", b"Online"], ["tele/x/LWT"] * 3, dialect="tasmota")
    assert len(set(came_and_went)) == 3


def test_the_same_reading_of_two_topics_is_two_and_sent_twice_is_one() -> None:
    payload = b'{"temp":4.5,"t":"2026-01-15T09:00:00Z"}'
    a, b, again = uids([payload] * 3, ["lab/a", "lab/b", "lab/a"], readings=[TEMPERATURE], time="$.t")
    assert a == again != b


def test_a_clock_that_was_never_set_identifies_nothing() -> None:
    (draft,) = decoded({"temp": 1, "t": "1970-01-01T00:00:07"}, readings=[TEMPERATURE], time="$.t")
    assert draft.identity == ()


# -- what nobody declared


def test_without_declarations_every_scalar_is_a_reading_and_assumed_units_are_said() -> None:
    found = by_quantity({"temp_c": 21.5, "temperature": 5, "door": True, "state": {"mode": "run"}, "ts": 1})
    assert set(found) == {"temp-c", "temperature", "door", "state-mode"}
    assert (found["temp-c"].unit, found["temp-c"].quality) == ("Cel", Quality.GOOD)
    assert (found["temperature"].unit, found["temperature"].quality) == ("Cel", Quality.UNCERTAIN)


@pytest.mark.parametrize("payload", [b"online", b"Offline", b'"offline"', b'{"state":"online"}'])
def test_presence_is_status_never_a_reading(payload: bytes) -> None:
    for options in ({}, {"readings": [TEMPERATURE]}, {"dialect": "zigbee2mqtt"}):
        (draft,) = decoded(payload, "zigbee2mqtt/f/availability", **options)
        assert (draft.kind, draft.quantity, str(draft.value).casefold() in ("online", "offline")) == (
            Kind.STATUS,
            "availability",
            True,
        )


def test_a_word_is_a_value_where_it_is_declared_as_one() -> None:
    readings = [{"quantity": "door", "topic": "lab/+/door"}, {"quantity": "temperature", "unit": "Cel"}]
    assert decoded(b"online", "lab/f/door", readings=readings)[0].quantity == "door"
    assert decoded(b"offline", "lab/f/temp", readings=readings)[0].kind is Kind.STATUS


# -- dialects


def test_zigbee2mqtt() -> None:
    payload = {
        "temperature": 27.34,
        "humidity": 44.72,
        "battery": 97,
        "voltage": 3000,
        "linkquality": 120,
        "pressure": None,
        "action": "single",
        "update": {"state": "idle"},
        "last_seen": "2026-01-15T09:00:00Z",
    }
    found = by_quantity(payload, "zigbee2mqtt/room 4/fridge", dialect="zigbee2mqtt")
    assert {name: (draft.value, draft.unit) for name, draft in found.items()} == {
        "temperature": (27.34, "Cel"),
        "humidity": (44.72, "%"),
        "battery": (97, "%"),
        "voltage": (3000, "mV"),
        "linkquality": (120, None),
        "pressure": (None, "hPa"),
        "action": ("single", None),
    }
    assert found["pressure"].quality is Quality.BAD
    assert found["action"].kind is Kind.EVENT
    assert found["temperature"].device_time == "2026-01-15T09:00:00Z"


@pytest.mark.parametrize("topic", ["zigbee2mqtt/bridge/logging", "zigbee2mqtt/fridge/set"])
def test_zigbee2mqtt_commands_and_bridge_talk_are_no_readings(topic: str) -> None:
    (draft,) = decoded({"temperature": 5, "level": "info"}, topic, dialect="zigbee2mqtt")
    assert draft.kind is Kind.EVENT


PROBES = {
    "Time": "2021-01-02T09:09:44",
    "DS18B20-1": {"Id": "00000566CC39", "Temperature": 13.3},
    "DS18B20-2": {"Id": "000005684A66", "Temperature": 85.0},
    "TempUnit": "C",
}


def test_tasmota_probes_are_told_apart_by_their_id_not_their_number() -> None:
    first, second = decoded(PROBES, "tele/cold/SENSOR", dialect="tasmota")
    assert (first.test, first.quantity) == ("DS18B20:00000566CC39/Temperature", "temperature-00000566cc39")
    assert (first.value, first.unit, first.device_time) == (13.3, "Cel", "2021-01-02T09:09:44")
    assert second.quality is Quality.BAD
    moved = {**PROBES, "DS18B20-1": PROBES["DS18B20-2"], "DS18B20-2": PROBES["DS18B20-1"]}
    assert decoded(moved, "tele/cold/SENSOR", dialect="tasmota")[1] == first


def test_tasmota_one_probe_units_null_and_polled_status() -> None:
    one = {"Time": "2021-01-02T09:09:44", "DS18B20": {"Id": "A1", "Temperature": 55.9}, "TempUnit": "F"}
    found = by_quantity({"StatusSNS": one}, "stat/cold/STATUS10", dialect="tasmota")
    assert (found["temperature"].value, found["temperature"].unit) == (55.9, "[degF]")
    one["DS18B20"] = {"Id": "A1", "Temperature": 185.0}
    assert by_quantity(one, "tele/cold/SENSOR", dialect="tasmota")["temperature"].quality is Quality.BAD
    one["DS18B20"] = {"Id": "A1", "Temperature": None}
    assert by_quantity(one, "tele/cold/SENSOR", dialect="tasmota")["temperature"].value is None


def test_tasmota_state_and_will() -> None:
    state = {"Time": "2021-01-02T09:09:44", "UptimeSec": 77, "POWER": "ON", "Wifi": {"Signal": -61}}
    found = by_quantity(state, "tele/cold/STATE", dialect="tasmota")
    assert {draft.kind for draft in found.values()} == {Kind.STATUS}
    assert (found["uptime"].value, found["power"].value, found["wifi-signal"].value) == (77, "ON", -61)
    (will,) = decoded(b"Offline", "tele/cold/LWT", dialect="tasmota")
    assert (will.kind, will.value, will.identity) == (Kind.STATUS, "Offline", ())


UPLINK = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2022-07-18T09:34:15.775023242+00:00",
    "deviceInfo": {"deviceName": "Fridge", "devEui": "0101010101010101"},
    "fCnt": "5",
    "data": "qg==",
    "object": {"temp_c": 4.5, "door": {"open": False}},
    "rxInfo": [{"rssi": -99, "snr": 2}, {"rssi": -48, "snr": 9.5}],
}


def test_chirpstack() -> None:
    topic = "application/1/device/0101010101010101/event/up"
    found = by_quantity(UPLINK, topic, dialect="chirpstack")
    draft = found["temp-c"]
    assert (draft.value, draft.device_time, found["door-open"].value) == (4.5, UPLINK["time"], False)
    assert draft.identity == (topic, "temp_c", UPLINK["deduplicationId"], "4.5")
    assert (draft.attributes["rssi"], draft.attributes["gateways"]) == (-48, 2)
    with pytest.raises(DecodeError, match="no decoder for this device: port 0, base64 qg=="):
        decoded({**UPLINK, "object": None}, topic, dialect="chirpstack")
    (status, _) = decoded({"batteryLevel": 75.2, "margin": 10}, topic.replace("up", "status"), dialect="chirpstack")
    assert (status.kind, status.quantity, status.value) == (Kind.STATUS, "battery", 75.2)
    (join,) = decoded({"deduplicationId": "1", "devAddr": "00"}, topic[:-2] + "join", dialect="chirpstack")
    assert join.kind is Kind.EVENT


def test_the_things_stack_leaves_out_zeros() -> None:
    uplink = {"received_at": "2026-01-15T09:00:00.1Z", "session_key_id": "AX", "decoded_payload": {"temp_c": 0}}
    topic = "v3/app@tenant/devices/fridge/up"
    (draft,) = decoded({"end_device_ids": {"device_id": "fridge"}, "uplink_message": uplink}, topic, dialect="ttn")
    assert (draft.value, draft.identity, draft.device_time) == (
        0,
        (topic, "temp_c", "AX:0", "0"),
        "2026-01-15T09:00:00.1Z",
    )


@pytest.mark.parametrize(
    "options",
    [
        {"readings": [TEMPERATURE, {"quantity": "humidity", "path": "$.env[1].rh", "scale": 0.1}], "time": "$.at"},
        {"readings": [{"quantity": "temperature"}]},
        {"dialect": "zigbee2mqtt"},
        {"dialect": "tasmota"},
        {"dialect": "chirpstack"},
        {"dialect": "ttn", "message_id": "$.n"},
        {},
    ],
)
@given(temperature=st.floats(-90, 60).map(lambda t: round(t, 2)).filter(lambda t: t != 85.0))
def test_what_a_simulated_sensor_publishes_is_what_is_read(options: dict[str, Any], temperature: float) -> None:
    known = MqttJsonOptions.model_validate(options)
    readings = {"temperature": temperature, "humidity": 41.5}
    payload = DRIVER.encode({"time": datetime(2026, 1, 15, 9, tzinfo=UTC), "readings": readings}, known)
    found = {draft.quantity: draft.value for draft in DRIVER.decode(Message(payload, "tele/x/SENSOR"), known)}
    if known.dialect == "chirpstack":
        found = {draft.quantity: draft.value for draft in DRIVER.decode(Message(payload, "a/1/d/2/event/up"), known)}
    assert found["temperature"] == temperature
    assert found.get("humidity", 41.5) == pytest.approx(41.5)


# -- sensors behind a network server: the outputs printed beside their decoders


def uplink(dialect: str, fields: dict[str, Any]) -> dict[str, Any]:
    time = "2026-01-15T09:30:00Z"
    if dialect == "chirpstack":
        return {"deduplicationId": "d-1", "time": time, "fPort": 2, "fCnt": 7, "object": fields}
    return {"received_at": time, "uplink_message": {"f_port": 2, "received_at": time, "decoded_payload": fields}}


@pytest.mark.parametrize("dialect", ["ttn", "chirpstack"])
@pytest.mark.parametrize(
    ("sensor", "fields", "meant"),
    [
        (
            "dragino-lht65",
            {"BatV": 3.062, "Bat_status": 3, "Ext_sensor": "Temperature Sensor", "Hum_SHT": 88.6, "TempC_DS": 27.81,
             "TempC_SHT": 28.29},
            {"battery-voltage": (3.062, "V"), "humidity": (88.6, "%"), "probe-temperature": (27.81, "Cel"),
             "temperature": (28.29, "Cel")},
        ),
        (
            "milesight-em300",
            {"battery": 50, "temperature": 20.0, "humidity": 30.0},
            {"battery": (50, "%"), "temperature": (20.0, "Cel"), "humidity": (30.0, "%")},
        ),
        (
            "milesight-am300",
            {"battery": 92, "temperature": 30.8, "humidity": 50.5, "activity": "trigger", "light_level": 2, "co2": 936,
             "tvoc": 37, "pressure": 1008.6, "hcho": 0.04, "pm2.5": 32, "pm10": 48},
            {"battery": (92, "%"), "temperature": (30.8, "Cel"), "humidity": (50.5, "%"), "light-level": (2, None),
             "co2": (936, "[ppm]"), "tvoc": (37, None), "pressure": (1008.6, "hPa"), "hcho": (0.04, None),
             "pm25": (32, "ug/m3"), "pm10": (48, "ug/m3")},
        ),
        (
            "elsys",
            {"temperature": 22.6, "humidity": 41, "light": 39, "co2": 776, "externalTemperature2": [-79.5, 4.1]},
            {"temperature": (22.6, "Cel"), "humidity": (41, "%"), "illuminance": (39, "lx"), "co2": (776, "[ppm]"),
             "external-temperature-2-1": (-79.5, "Cel"), "external-temperature-2-2": (4.1, "Cel")},
        ),
        (
            "dragino-sn50v3",
            {"battery": 3.3, "temperature": 4.1},
            {"battery-voltage": (3.3, "V"), "temperature": (4.1, "Cel")},
        ),
    ],
)  # fmt: skip
def test_a_sensors_decoder_says_what_and_in_which_unit(
    dialect: str, sensor: str, fields: dict[str, Any], meant: dict[str, Any]
) -> None:
    drafts = decoded(uplink(dialect, fields), dialect=dialect, sensor=sensor)
    assert all(draft.quality is Quality.GOOD for draft in drafts)
    readings = {draft.quantity: (draft.value, draft.unit) for draft in drafts if draft.kind is Kind.READING}
    assert readings == meant


@pytest.mark.parametrize(
    ("sensor", "fields"),
    [("dragino-lht65", {"TempC_DS": 327.67}), ("dragino-lsn50", {"TempC1": "NULL"}), ("elsys", {"temperature": None})],
)
def test_a_probe_that_is_not_there_has_measured_nothing(sensor: str, fields: dict[str, Any]) -> None:
    (draft,) = decoded(uplink("ttn", fields), dialect="ttn", sensor=sensor)
    assert draft.quality is Quality.BAD


def test_a_field_the_table_does_not_know_is_taken_by_its_name() -> None:
    (draft,) = decoded(uplink("ttn", {"soil_temperature": 4.0}), dialect="ttn", sensor="elsys")
    assert (draft.quantity, draft.unit, draft.quality) == ("soil-temperature", "Cel", Quality.UNCERTAIN)


def test_an_unknown_sensor_is_a_configuration_error() -> None:
    with pytest.raises(ValidationError, match="Known are: dragino-lht65"):
        MqttJsonOptions.model_validate({"dialect": "ttn", "sensor": "elitech"})


@pytest.mark.parametrize("variant", [variant.name for variant in DRIVER.variants])
def test_every_variant_reads_what_it_simulates_as_it_would_be_configured(variant: str) -> None:
    options = MqttJsonOptions.model_validate({**DRIVER.preset(variant).options})
    drawn = {"time": datetime(2026, 1, 15, 9, 30, tzinfo=UTC), "readings": {"temperature": -80.25, "humidity": 41.0}}
    topic = "tele/freezer/SENSOR" if variant == "tasmota" else "zigbee2mqtt/freezer"
    drafts = {draft.quantity: draft for draft in DRIVER.decode(Message(DRIVER.encode(drawn, options), topic), options)}
    assert drafts["temperature"].value == -80.25
