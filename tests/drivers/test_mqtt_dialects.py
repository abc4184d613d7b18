"""What gateways and firmwares publish beyond the plain case: phases, endpoints, older versions, bare attributes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.kit.declare import Message
from drivers.kit.exchange import DecodeError
from drivers.kit.observation import Draft, Kind, Quality
from drivers.mqtt_json.driver import DRIVER
from drivers.mqtt_json.options import MqttJsonOptions


def drafts(payload: object, topic: str, **options: Any) -> dict[str | None, Draft]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    found = DRIVER.decode(Message(data, topic), MqttJsonOptions.model_validate(options))
    return {draft.quantity: draft for draft in found}


def said(found: dict[str | None, Draft]) -> dict[str | None, tuple[object, str | None]]:
    return {quantity: (draft.value, draft.unit) for quantity, draft in found.items()}


# -- Zigbee2MQTT


def test_an_attribute_of_its_own_topic_has_the_unit_its_device_page_says() -> None:
    found = drafts(b"4.18", "zigbee2mqtt/fridge/temperature", dialect="zigbee2mqtt")
    assert said(found) == {"temperature": (4.18, "Cel")}
    assert found["temperature"].quality is Quality.GOOD


def test_an_endpoint_behind_the_name_leaves_the_unit() -> None:
    payload = {"temperature_probe": -79.1, "humidity_2": 40, "power_l1": 12, "voltage_l1": 231, "temperature_alarm": 1}
    assert said(drafts(payload, "zigbee2mqtt/x", dialect="zigbee2mqtt")) == {
        "temperature-probe": (-79.1, "Cel"),
        "humidity-2": (40, "%"),
        "power-l1": (12, "W"),
        "voltage-l1": (231, "V"),
        "temperature-alarm": (1, None),
    }


def test_beside_lux_illuminance_is_the_sensors_own_scale() -> None:
    both = drafts({"illuminance": 20_001, "illuminance_lux": 100}, "zigbee2mqtt/x", dialect="zigbee2mqtt")
    assert said(both) == {"illuminance": (20_001, None), "illuminance-lux": (100, "lx")}
    alone = drafts({"illuminance": 100}, "zigbee2mqtt/x", dialect="zigbee2mqtt")
    assert said(alone) == {"illuminance": (100, "lx")}


# -- Tasmota


def test_every_phase_of_a_meter_is_read() -> None:
    payload = {"Time": "2026-01-15T09:00:00", "ENERGY": {"Total": [1.5, 2.5], "Power": [20, 3], "Voltage": 231}}
    assert said(drafts(payload, "tele/x/SENSOR", dialect="tasmota")) == {
        "total-1": (1.5, "kW.h"),
        "total-2": (2.5, "kW.h"),
        "power-1": (20, "W"),
        "power-2": (3, "W"),
        "voltage": (231, "V"),
    }


def test_what_a_zigbee_bridge_heard_belongs_to_its_device() -> None:
    heard = {"Device": "0x9EFE", "Name": "fridge", "Temperature": 4.2, "Humidity": 51.0, "LinkQuality": 87}
    payload = {"ZbReceived": {"0x9EFE": {**heard, "Endpoint": 1}}}
    assert said(drafts(payload, "tele/bridge/SENSOR", dialect="tasmota")) == {
        "temperature-fridge": (4.2, "Cel"),
        "humidity-fridge": (51.0, "%"),
        "link-quality-fridge": (87, None),
    }


def test_an_analogue_thermometer_is_in_the_unit_the_message_says() -> None:
    payload = {"Time": "2026-01-15T09:00:00", "ANALOG": {"Temperature1": 71.6}, "TempUnit": "F"}
    assert said(drafts(payload, "tele/x/SENSOR", dialect="tasmota")) == {"temperature1": (71.6, "[degF]")}


# -- LoRaWAN

V2 = {
    "app_id": "lab",
    "dev_id": "fridge-2",
    "hardware_serial": "00A0B0C0D0E0F001",
    "port": 2,
    "counter": 41,
    "payload_raw": "AQIDBA==",
    "payload_fields": {"temperature_3": 4.5},
    "metadata": {"time": "2026-01-15T09:00:00.5Z", "gateways": [{"gtw_id": "g", "rssi": -80, "snr": 5}]},
}


def test_version_2_of_the_things_network_is_read_too() -> None:
    found = drafts(V2, "lab/devices/fridge-2/up", dialect="ttn")
    draft = found["temperature-3"]
    assert (draft.value, draft.unit, draft.device_time) == (4.5, "Cel", "2026-01-15T09:00:00.5Z")
    assert draft.attributes["rssi"] == -80
    again = drafts({**V2, "counter": 42}, "lab/devices/fridge-2/up", dialect="ttn")
    assert again["temperature-3"].identity != draft.identity


@pytest.mark.parametrize("decoded", [{"object": {"temperatureSensor": {"1": 4.5}}},
                                     {"objectJSON": '{"temperatureSensor":{"1":4.5}}'}])  # fmt: skip
def test_version_3_of_chirpstack_has_its_time_with_the_gateway(decoded: dict[str, object]) -> None:
    payload = {
        "deviceName": "fridge-2",
        "devEUI": "AQIDBAUGBwg=",
        "rxInfo": [{"time": "2026-01-15T09:00:00.5Z", "rssi": -48, "loRaSNR": 9}],
        "fCnt": 10,
        "fPort": 5,
        "data": "AQI=",
        **decoded,
    }
    (draft,) = drafts(payload, "application/1/device/0102030405060708/event/up", dialect="chirpstack").values()
    assert (draft.value, draft.unit, draft.device_time) == (4.5, "Cel", "2026-01-15T09:00:00.5Z")
    assert draft.attributes["deviceName"] == "fridge-2"


@pytest.mark.parametrize(
    ("dialect", "topic", "payload"),
    [
        ("ttn", "lab/devices/x/up", {**V2, "payload_fields": {}}),
        ("ttn", "v3/lab/devices/x/up", {"uplink_message": {"frm_payload": "AQI=", "f_port": 2}}),
        ("chirpstack", "application/1/device/1/event/up", {"fPort": 2, "data": "AQI="}),
    ],
)
def test_bytes_nobody_decoded_are_refused_with_the_reason(dialect: str, topic: str, payload: object) -> None:
    with pytest.raises(DecodeError, match="no decoder for this device"):
        drafts(payload, topic, dialect=dialect)


def test_an_uplink_without_payload_is_a_sign_of_life() -> None:
    (draft,) = drafts({"uplink_message": {"f_cnt": 4}}, "v3/lab/devices/x/up", dialect="ttn").values()
    assert (draft.kind, draft.quantity, draft.value) == (Kind.EVENT, "uplink", None)


def test_what_was_stored_on_the_way_has_its_own_time() -> None:
    history = [{"timestamp": 1768467600, "temperature": 4.1}, {"timestamp": 1768468200, "temperature": 4.3}]
    uplink = {"received_at": "2026-01-15T10:00:00Z", "decoded_payload": {"temperature": 4.5, "history": history}}
    found = drafts({"uplink_message": uplink}, "v3/lab/devices/x/up", dialect="ttn")
    assert {draft.value: draft.device_time for draft in found.values()} == {
        4.5: "2026-01-15T10:00:00Z",
        4.1: "unix:1768467600",
        4.3: "unix:1768468200",
    }


def test_the_things_stacks_own_names_have_units() -> None:
    uplink = {
        "received_at": "2026-01-15T10:00:00Z",
        "normalized_payload": {"air": {"temperature": 4.5}, "battery": 3.6},
    }
    found = drafts({"uplink_normalized": uplink}, "v3/lab/devices/x/up/normalized", dialect="ttn")
    assert said(found) == {"air-temperature": (4.5, "Cel"), "battery": (3.6, "V")}
    assert all(draft.quality is Quality.GOOD for draft in found.values())


def test_a_codec_error_is_a_code_and_no_call() -> None:
    payload = {"level": "ERROR", "code": "UPLINK_CODEC", "description": "Codec error"}
    (draft,) = drafts(payload, "application/1/device/1/event/log", dialect="chirpstack").values()
    assert (draft.kind, draft.value, draft.attributes["description"]) == (Kind.EVENT, "UPLINK_CODEC", "Codec error")


def test_a_makers_own_names_need_no_declaration() -> None:
    fields = {"TempC_SHT": 24.6, "TempC_DS": 327.67, "BatV": 3.03, "battery": 3.6}
    found = drafts({"uplink_message": {"decoded_payload": fields}}, "v3/lab/devices/x/up", dialect="ttn")
    assert said(found)["temperature"] == (24.6, "Cel")
    assert said(found)["battery-voltage"] == (3.03, "V")
    assert found["probe-temperature"].quality is Quality.BAD
    assert said(found)["battery"] == (3.6, None)  # volts or percent: nobody says


# -- any JSON


def test_a_unit_beside_the_value_is_the_values() -> None:
    payload = {"air": {"displayName": "Air temperature", "value": 21.5, "unit": "°C"}, "co2": {"value": 612}}
    assert said(drafts(payload, "lab/x")) == {"air": (21.5, "°C"), "co2-value": (612, None)}


@pytest.mark.parametrize(
    "topic", ["node/sensor/freezer_temperature/state", "homeassistant/sensor/freezer_temperature/state"]
)
def test_a_bare_state_is_called_by_the_level_before(topic: str) -> None:
    found = drafts(b"-79.30", topic)
    assert said(found) == {"freezer-temperature": (-79.3, "Cel")}
    assert found["freezer-temperature"].quality is Quality.UNCERTAIN
    gone = drafts(b"unavailable", topic)["freezer-temperature"]
    assert (gone.value, gone.quality) == (None, Quality.BAD)


def test_what_home_assistant_is_told_of_a_sensor_is_no_reading() -> None:
    config = {"name": "Freezer", "state_topic": "lab/freezer", "unit_of_measurement": "°C", "expire_after": 600}
    found = drafts(config, "homeassistant/sensor/freezer/config")
    assert {draft.kind for draft in found.values()} == {Kind.EVENT}


def test_pascals_are_no_hectopascals() -> None:
    assert said(drafts({"pressure": 101325}, "ruuvi/x")) == {"pressure": (101325, None)}
    assert said(drafts({"pressure": 1013.2}, "lab/x")) == {"pressure": (1013.2, "hPa")}


# -- Shelly


def test_components_of_the_second_generation() -> None:
    params = {
        "ts": 1768467600.5,
        "temperature:0": {"id": 0, "tC": 21.3, "tF": 70.3},
        "temperature:101": {"id": 101, "tC": None, "errors": ["read"]},
        "humidity:0": {"id": 0, "rh": 45.1},
        "devicepower:0": {"id": 0, "battery": {"V": 5.3, "percent": 78}, "external": {"present": False}},
        "wifi": {"rssi": -60},
    }
    found = drafts({"src": "s", "method": "NotifyFullStatus", "params": params}, "s/events/rpc", dialect="shelly")
    assert said(found) == {
        "temperature": (21.3, "Cel"),
        "temperature-101": (None, "Cel"),
        "humidity": (45.1, "%"),
        "battery-voltage": (5.3, "V"),
        "battery": (78, "%"),
    }
    assert found["temperature-101"].quality is Quality.BAD
    assert found["temperature"].device_time == "unix:1768467600.5"
    status = drafts({"id": 0, "tC": 21.3, "tF": 70.3}, "s/status/temperature:0", dialect="shelly")
    assert said(status) == {"temperature": (21.3, "Cel")}


def test_the_first_generation_and_being_online() -> None:
    assert said(drafts(b"4.5", "shellies/ht-1/sensor/temperature", dialect="shelly")) == {"temperature": (4.5, "Cel")}
    online = drafts(b"false", "s/online", dialect="shelly")["availability"]
    assert (online.kind, online.value) == (Kind.STATUS, "offline")
