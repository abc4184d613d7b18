"""What Zigbee2MQTT, Tasmota, ChirpStack and The Things Stack put around their measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from drivers.kit.observation import Draft, Json, Kind, Quality
from drivers.kit.payload import finite, leaves, slug, tidy
from drivers.mqtt_json.options import MqttJsonOptions
from drivers.mqtt_json.readings import (
    MOST_ATTRIBUTES,
    TIMES,
    UNITS,
    Stamp,
    as_number,
    bad,
    discovered,
    faulty,
    moment,
    never_set,
    observe,
    sensed,
    text,
)

AVAILABILITY = {"availability", "lwt", "status", "state", "$state", "connected", "online"}
PRESENCE = {"online", "offline", "ready", "lost", "connected", "disconnected", "init", "sleeping", "alert"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`told` gives the drafts of a message that is no measurement, None for a measurement."""

    told: Callable[[Json, Sequence[str]], list[Draft] | None]
    stamp: Callable[[Json], Stamp]
    found: Callable[[Json, Sequence[str], MqttJsonOptions], Iterator[Draft]]


def _dict(value: Any) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def event(test: str, payload: Json, kind: Kind = Kind.EVENT, value: Json = None) -> Draft:
    """A message that is about the device, not about what it measures."""
    told = {place or test: tidy(one) for place, one in leaves(payload)}
    said = value if value is not None else payload if not isinstance(payload, dict | list) else None
    attributes = dict(list(told.items())[:MOST_ATTRIBUTES]) if isinstance(payload, dict | list) else {}
    quantity = slug(test)
    scalar = None if isinstance(said, dict | list) or not finite(said) else said
    return Draft(kind=kind, test=test, quantity=quantity, value=scalar, attributes=attributes, identity=())


def presence(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    """Online and offline, as a word or as `{"state": "online"}`."""
    last = levels[-1].casefold() if levels else ""
    state = payload.get("state") if isinstance(payload, dict) and len(payload) == 1 else payload
    if not isinstance(state, str) or state.casefold() not in PRESENCE:
        return None
    if isinstance(payload, dict) and last not in AVAILABILITY:
        return None
    return [event("availability", payload, Kind.STATUS, state)]


# -- Zigbee2MQTT: a flat object a device, without a time unless `last_seen` is switched on


def _zigbee_told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    if len(levels) > 1 and levels[1] == "bridge":
        test = "/".join(levels[1:])
        state = _dict(payload).get("state")
        return [event(test, payload, Kind.STATUS if levels[-1] in ("state", "info") else Kind.EVENT, state)]
    if levels and levels[-1] in ("set", "get"):
        return [event("command", payload)]
    return presence(payload, levels)


def _zigbee_stamp(payload: Json) -> Stamp:
    return Stamp(time=moment(_dict(payload).get("last_seen")))


def _zigbee_found(payload: Json, levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    if not isinstance(payload, dict):
        yield from discovered(payload, levels, options)
        return
    nested: dict[str, Json] = {key: value for key, value in payload.items() if isinstance(value, dict | list)}
    told = dict([(place, tidy(value)) for place, value in leaves(nested)][:MOST_ATTRIBUTES])
    for key, value in payload.items():
        if key in nested or key in TIMES:
            continue
        quantity = slug(key)
        unit = UNITS.get(quantity)
        if key == "voltage":  # battery devices say mV, mains devices V
            unit = "mV" if "battery" in payload else "V" if {"power", "current"} & payload.keys() else None
        if value is None and unit is None:
            continue
        kind = Kind.EVENT if key in ("action", "click") else Kind.READING
        if value is not None and as_number(value) is None:
            unit = None
        yield observe(key, quantity, value, unit, kind=kind, attributes=told)
    if payload and nested.keys() == payload.keys():
        yield event("state", payload, Kind.STATUS)


# -- Tasmota: one object a sensor, keyed by model; several DS18B20 are numbered, and only `Id` says which is which

TASMOTA_UNITS = {
    "Humidity": "%",
    "Illuminance": "lx",
    "CarbonDioxide": "[ppm]",
    "PM2.5": "ug/m3",
    "PM10": "ug/m3",
    "Power": "W",
    "ApparentPower": "V.A",
    "Voltage": "V",
    "Current": "A",
    "Total": "kW.h",
    "Today": "kW.h",
    "Yesterday": "kW.h",
}
TASMOTA_TEMPERATURES = ("Temperature", "DewPoint")
TASMOTA_ABOUT = ("Time", "TempUnit", "PressureUnit", "SpeedUnit")


def _tasmota_told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    last = levels[-1] if levels else "SENSOR"
    if last == "LWT":
        return presence(payload, levels) or [event("availability", payload, Kind.STATUS)]
    if last == "STATE":
        return [replace(draft, device_time=text(_dict(payload).get("Time"))) for draft in _tasmota_state(payload)]
    if last == "SENSOR" or "StatusSNS" in _dict(payload):
        return None
    return [event(last, payload)]


def _tasmota_state(payload: Json) -> Iterator[Draft]:
    said = _dict(payload)
    yield replace(event("state", payload, Kind.STATUS), test="UptimeSec", quantity="uptime", unit="s",
                  value=as_number(said.get("UptimeSec")))  # fmt: skip
    for key, value in said.items():
        if key.startswith("POWER") and isinstance(value, str):
            yield replace(event(key, value, Kind.STATUS), quantity=slug(key))
    signal = _dict(said.get("Wifi")).get("Signal")
    if as_number(signal) is not None:
        yield observe("Wifi.Signal", "wifi-signal", signal, "dB{mW}", kind=Kind.STATUS, identity=())


def _sensors(payload: Json) -> dict[str, Json]:
    said = _dict(payload)
    return _dict(said.get("StatusSNS", said))


def _tasmota_stamp(payload: Json) -> Stamp:
    return Stamp(time=text(_sensors(payload).get("Time")))


def _tasmota_found(payload: Json, levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    sensors = _sensors(payload)
    sections = {name: one for name, one in sensors.items() if isinstance(one, dict)}
    keys = [key for one in sections.values() for key in one]
    for name, section in sections.items():
        model, _, number = name.rpartition("-") if name.rpartition("-")[2].isdigit() else (name, "", "")
        probe = text(section.get("Id"))
        test = f"{model}:{probe}" if probe else name
        shared = {key for key in section if keys.count(key) > 1 or number}
        for key, value in section.items():
            if key != "Id" and not isinstance(value, dict | list) and not key.endswith("Time"):
                quantity = slug(key) + (f"-{slug(probe or name)}" if key in shared else "")
                yield _tasmota_reading(f"{test}/{key}", quantity, key, value, sensors, options)
    for key, value in sensors.items():
        if key not in sections and key not in TASMOTA_ABOUT and not isinstance(value, list):
            yield observe(key, slug(key), value, kind=Kind.STATUS if isinstance(value, str) else Kind.READING)


def _tasmota_reading(
    test: str, quantity: str, key: str, value: Json, sensors: dict[str, Json], options: MqttJsonOptions
) -> Draft:
    unit = TASMOTA_UNITS.get(key)
    scale = text(sensors.get("TempUnit"))
    why = None
    if key in TASMOTA_TEMPERATURES:
        unit = {"C": "Cel", "F": "[degF]"}.get(scale or "")
        faults = [fault * 1.8 + 32 if scale == "F" else fault for fault in options.probe_faults]
        why = faulty(value, faults) if test.casefold().startswith("ds18") else None
    elif key in ("Pressure", "SeaPressure"):
        unit = {"hPa": "hPa", "mmHg": "mm[Hg]", "inHg": "[in_i'Hg]"}.get(text(sensors.get("PressureUnit")) or "hPa")
    draft = observe(test, quantity, value, unit)
    if why:
        return bad(draft, why)
    if unit is None and key in TASMOTA_TEMPERATURES and draft.quality is Quality.GOOD:
        return replace(draft, quality=Quality.UNCERTAIN, quality_reason="sent without TempUnit")
    return draft


# -- LoRaWAN network servers: an envelope around what the decoder made of the device's bytes


def _some(said: dict[str, Json], *names: str) -> dict[str, Json]:
    return {name: tidy(said[name]) for name in names if name in said}


def _radio(receptions: Json) -> dict[str, Json]:
    """The best reception: gateways hear the same message at different strengths."""
    heard = [one for one in receptions if isinstance(one, dict)] if isinstance(receptions, list) else []
    if not heard:
        return {}
    best = max(heard, key=lambda one: as_number(one.get("rssi")) or -999.0)
    told = {name: tidy(best[name]) for name in ("rssi", "snr") if as_number(best.get(name)) is not None}
    return {**told, "gateways": len(heard)}


def _lora_found(decoded: Json, raw: Json, port: Json, options: MqttJsonOptions) -> Iterator[Draft]:
    any_ = False
    for place, value in leaves(decoded):
        if place and place.rpartition(".")[2].casefold() not in TIMES:
            any_ = True
            yield sensed(place, value, options)
    if not any_ and isinstance(raw, str):
        yield Draft(
            kind=Kind.EVENT,
            test="uplink",
            quantity="uplink",
            value=raw,
            attributes={"f_port": tidy(port), "encoding": "base64"},
            quality=Quality.UNCERTAIN,
            quality_reason="the network server has no decoder for this device",
        )


def _chirpstack_told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    said = _dict(payload)
    kind = levels[-1] if "event" in levels[-2:-1] else "up" if "fPort" in said or "object" in said else "state"
    if kind == "up":
        return None
    stamp = _chirpstack_stamp(payload)
    if kind == "status":
        drafts = []
        if as_number(said.get("batteryLevel")) is not None and not said.get("batteryLevelUnavailable"):
            drafts.append(observe("batteryLevel", "battery", said["batteryLevel"], "%", kind=Kind.STATUS))
        drafts.append(replace(event("status", payload, Kind.STATUS), value=as_number(said.get("margin"))))
    else:
        drafts = presence(payload, levels) or [event(kind, payload, value=said.get("description"))]
    return [stamped(draft, stamp, "/".join(levels)) for draft in drafts]


def _chirpstack_stamp(payload: Json) -> Stamp:
    said = _dict(payload)
    key = text(said.get("deduplicationId"))
    info = _dict(said.get("deviceInfo"))
    told = _some(said, "devAddr", "dr", "fPort", "fCnt") | _some(info, "deviceName", "devEui")
    return Stamp(text(said.get("time")), key, {**told, **_radio(said.get("rxInfo"))})


def _chirpstack_found(payload: Json, levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    said = _dict(payload)
    return _lora_found(said.get("object"), said.get("data"), said.get("fPort", 0), options)


def _ttn_told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    if "uplink_message" in _dict(payload):
        return None
    stamp = Stamp(text(_dict(payload).get("received_at")))
    drafts = presence(payload, levels) or [event("/".join(levels[-2:]) if len(levels) > 5 else "join", payload)]
    return [stamped(draft, stamp, "/".join(levels)) for draft in drafts]


def _ttn_stamp(payload: Json) -> Stamp:
    said = _dict(payload)
    up, ids = _dict(said.get("uplink_message")), _dict(said.get("end_device_ids"))
    time = text(up.get("received_at")) or text(said.get("received_at"))
    count = text(up.get("f_cnt")) or "0"  # fields that are zero are left out
    session = text(up.get("session_key_id"))
    told = _some(up, "f_port", "f_cnt") | _some(ids, "device_id", "dev_eui")
    return Stamp(
        time, f"{session or time}:{count}" if session or time else None, {**told, **_radio(up.get("rx_metadata"))}
    )


def _ttn_found(payload: Json, levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    up = _dict(_dict(payload).get("uplink_message"))
    return _lora_found(up.get("decoded_payload"), up.get("frm_payload"), up.get("f_port", 0), options)


def stamped(draft: Draft, stamp: Stamp, topic: str | None) -> Draft:
    """The draft with its message's time and, where content identifies it, what makes it itself on its topic."""
    identity = draft.identity
    if topic is not None:
        known = stamp.key or (stamp.time if stamp.time and not never_set(stamp.time) else None)
        identity = (topic, draft.test, known, str(draft.value)) if known else ()
    attributes = {**stamp.attributes, **draft.attributes}
    return replace(draft, device_time=draft.device_time or stamp.time, identity=identity, attributes=attributes)


HOME_MADE = Dialect(presence, lambda _payload: Stamp(), discovered)
DIALECTS: dict[str | None, Dialect] = {
    None: HOME_MADE,
    "zigbee2mqtt": Dialect(_zigbee_told, _zigbee_stamp, _zigbee_found),
    "tasmota": Dialect(_tasmota_told, _tasmota_stamp, _tasmota_found),
    "chirpstack": Dialect(_chirpstack_told, _chirpstack_stamp, _chirpstack_found),
    "ttn": Dialect(_ttn_told, _ttn_stamp, _ttn_found),
}
