"""JSON payloads by path: home-made sensors, Zigbee2MQTT, Tasmota, ChirpStack, The Things Stack, Shelly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from drivers.kit.declare import Driver, Evidence, Identity, Message, Variant
from drivers.kit.exchange import DecodeError, Exchange, Speaker
from drivers.kit.observation import Draft, Json
from drivers.kit.payload import MISSING, Path, load
from drivers.kit.printer import Printer
from drivers.kit.whole import Whole
from drivers.mqtt_json import shelly
from drivers.mqtt_json.dialects import DIALECTS, HOME_MADE
from drivers.mqtt_json.options import MqttJsonOptions
from drivers.mqtt_json.readings import Stamp, declared, matches, moment, text
from drivers.mqtt_json.sensors import SENSORS
from drivers.mqtt_json.telling import stamped


def host(options: MqttJsonOptions) -> Exchange:
    """The gateway's side: every payload is a message."""
    return Whole()


def decode(message: Message, options: MqttJsonOptions) -> Iterator[Draft]:
    """One draft a reading. DecodeError where the payload is no JSON, or holds nothing that is declared."""
    payload = load(message.data)
    levels = message.channel.split("/") if message.channel else []
    dialect = DIALECTS[options.dialect]
    topic = message.channel if _identity(options) is Identity.CONTENT else None
    told = None if dialect is HOME_MADE and _asked_for(payload, levels, options) else dialect.told(payload, levels)
    if told is not None:
        yield from told
        return
    stamp = _stamp(payload, options, dialect.stamp(payload))
    found = declared(payload, levels, options) if options.readings else dialect.found(payload, levels, options)
    empty = True
    for draft in found:
        empty = False
        yield stamped(draft, stamp, topic)
    if empty:
        raise DecodeError("the payload holds none of the declared readings" if options.readings else "nothing to read")


def _asked_for(payload: Json, levels: list[str], options: MqttJsonOptions) -> bool:
    """True where a bare word is itself declared as a reading: "online" is then a value like another."""
    return not isinstance(payload, dict | list) and any(
        not reading.path.parts and reading.unit is None and (reading.topic is None or matches(reading.topic, levels))
        for reading in options.readings
    )


def _stamp(payload: Json, options: MqttJsonOptions, found: Stamp) -> Stamp:
    time = moment(options.time.find(payload)) if options.time else found.time
    key = text(options.message_id.find(payload)) if options.message_id else found.key
    return Stamp(time, key, found.attributes)


def _identity(options: MqttJsonOptions) -> Identity:
    if options.time or options.message_id or options.dialect in ("tasmota", "chirpstack", "ttn", "shelly"):
        return Identity.CONTENT
    return Identity.ARRIVAL


def instrument(options: MqttJsonOptions) -> Speaker:
    """A simulated sensor: publishes what it is offered."""
    return Printer()


def encode(drawn: Mapping[str, Any], options: MqttJsonOptions) -> bytes:
    """One payload in the declared shape, or in the dialect's."""
    readings: Mapping[str, Any] = drawn.get("readings", {})
    time = drawn["time"]
    if options.dialect == "tasmota":
        section = {_camel(name): value for name, value in readings.items()}
        payload: Json = {
            "Time": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "DS18B20": {"Id": "00000566CC39", **section},
            "TempUnit": "C",
        }
    elif options.dialect == "chirpstack":
        payload = {"deduplicationId": f"{time.timestamp():.6f}", "time": time.isoformat(), "fPort": 1,
                   "fCnt": int(time.timestamp()), "object": _fields(readings, options)}  # fmt: skip
    elif options.dialect == "ttn":
        uplink: Json = {
            "f_cnt": int(time.timestamp()),
            "received_at": time.isoformat(),
            "decoded_payload": _fields(readings, options),
        }
        payload = {"end_device_ids": {"device_id": "sim-1"}, "received_at": time.isoformat(), "uplink_message": uplink}
    elif options.dialect == "shelly":
        payload = shelly.written(readings, time.timestamp())
    else:
        payload = {name.replace("-", "_"): value for name, value in readings.items()} if not options.readings else {}
    for reading in options.readings:
        if reading.quantity in readings:
            value = readings[reading.quantity]
            if reading.scale:
                value = round(value / reading.scale, 9)
            payload = _put(payload, reading.path, value)
    if options.time:
        payload = _put(payload, options.time, time.isoformat())
    if options.message_id:
        payload = _put(payload, options.message_id, f"{time.timestamp():.6f}")
    for name, at in options.fields.items():
        if drawn.get(name) is not None:
            payload = _put(payload, at, drawn[name])
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _fields(readings: Mapping[str, Any], options: MqttJsonOptions) -> dict[str, Json]:
    """What the sensor's decoder would make of these readings."""
    sensor = SENSORS[options.sensor] if options.sensor else None
    return {(sensor.name(quantity) if sensor else None) or quantity: value for quantity, value in readings.items()}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _put(payload: Any, at: Path, value: Any) -> Any:
    """`payload` with `value` where the path leads; objects and lists on the way are made."""
    if not at.parts:
        return value
    first, rest = at.parts[0], Path(at.text, at.parts[1:])
    if isinstance(first, int):
        items = list(payload) if isinstance(payload, list) else []
        items += [None] * (first + 1 - len(items))
        items[first] = _put(items[first], rest, value)
        return items
    held = dict(payload) if isinstance(payload, dict) else {}
    held[first] = _put(held.get(first, MISSING), rest, value)
    return held


_ZIGBEE = (
    "SONOFF SNZB-02", "SONOFF SNZB-02D", "SONOFF SNZB-02P", "Aqara WSDCGQ11LM", "Xiaomi WSDCGQ01LM",
    "Aqara MCCGQ11LM", "Aqara SJCGQ11LM",
)  # fmt: skip
_DIALECTS = (
    ("zigbee2mqtt", _ZIGBEE, 'topic "zigbee2mqtt/NAME/#": readings and availability; units as its device pages say'),
    ("tasmota", ("Tasmota with DS18B20",), 'topic "tele/NAME/#": SENSOR, STATE and LWT; probes told apart by their Id'),
    (
        "chirpstack",
        ("ChirpStack v4", "ChirpStack v3"),
        'topic "application/ID/device/EUI/event/+"; `sensor` says whose decoder it is',
    ),
    (
        "ttn",
        ("The Things Stack v3", "The Things Network v2"),
        'topic "v3/APP@TENANT/devices/NAME/#"; `sensor` says whose decoder it is',
    ),
    (
        "shelly",
        ("Shelly H&T", "Shelly Plus H&T", "Shelly H&T Gen3", "Shelly Flood"),
        'topic "NAME/#" of the second generation, "shellies/NAME/#" of the first, which says degrees as it is set',
    ),
)
VARIANTS = (
    *(Variant(name=name, models=models, options={"dialect": name}, note=note) for name, models, note in _DIALECTS),
    *(
        Variant(
            name=name,
            models=sensor.models,
            options={"dialect": "ttn", "sensor": name, "readings": ()},
            note=f'by the decoder {sensor.source}; with dialect = "chirpstack" behind ChirpStack',
        )
        for name, sensor in SENSORS.items()
    ),
)

DRIVER = Driver(
    name="mqtt-json",
    maker="any",
    summary="Sensors that publish JSON: values by path; Zigbee2MQTT, Tasmota, LoRaWAN servers and Shelly as is.",
    links=("mqtt", "file"),
    options=MqttJsonOptions,
    quantities=(),
    host=host,
    decode=decode,
    instrument=instrument,
    encode=encode,
    model="freezer",
    variants=VARIANTS,
    identity=_identity,
    evidence=Evidence.MANUAL,
    sources=(
        "zigbee2mqtt.io, MQTT Topics and Messages",
        "tasmota.github.io/docs, MQTT and DS18x20",
        "chirpstack.io/docs, Event types",
        "thethingsindustries.com/docs, Data Formats and CayenneLPP",
        "shelly-api-docs.shelly.cloud, Gen2 Components and Notifications, Gen1 MQTT",
        "TheThingsNetwork/lorawan-devices, vendor/dragino, vendor/milesight-iot, vendor/elsys: payload decoders",
        "zigbee2mqtt.io, device pages SNZB-02, SNZB-02D, SNZB-02P, WSDCGQ11LM, MCCGQ11LM, SJCGQ11LM",
    ),
    example="""\
[[devices]]
id = "freezer-3"
driver = "mqtt-json"
link = { type = "mqtt", broker = "bench", topic = "lab/freezer-3/+" }
readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]
""",
)
