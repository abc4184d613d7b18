"""Tasmota: one object a sensor, keyed by model; several DS18B20 are numbered, and only `Id` says which is which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from drivers.kit.observation import Draft, Json, Kind, Quality
from drivers.kit.payload import slug
from drivers.mqtt_json.options import MqttJsonOptions
from drivers.mqtt_json.readings import Stamp, as_number, bad, faulty, observe, text
from drivers.mqtt_json.telling import Dialect, event, mapping, presence

UNITS: Final = {
    "Humidity": "%",
    "aHumidity": "g/m3",
    "Illuminance": "lx",
    "CarbonDioxide": "[ppm]",
    "eCO2": "[ppm]",
    "TVOC": "[ppb]",
    "PM1": "ug/m3",
    "PM2.5": "ug/m3",
    "PM10": "ug/m3",
    "Battery": "%",
    "BatteryPercentage": "%",
    "Power": "W",
    "ApparentPower": "V.A",
    "Voltage": "V",
    "BatteryVoltage": "V",
    "Current": "A",
    "Frequency": "Hz",
    "Period": "W.h",
    "Total": "kW.h",
    "Today": "kW.h",
    "Yesterday": "kW.h",
}
_TEMPERATURE: Final = re.compile(r"Temperature\d{0,2}|DewPoint")
_ABOUT: Final = ("Time", "TempUnit", "PressureUnit", "SpeedUnit")
_ZIGBEE: Final = "ZbReceived"  # what a Zigbee bridge has heard: an object a device, in degrees Celsius
_HEARD_BY: Final = ("Device", "Name", "IEEEAddr", "Endpoint", "Group", "ModelId", "Manufacturer")


def _told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    last = levels[-1] if levels else "SENSOR"
    if last == "LWT":
        return presence(payload, levels) or [event("availability", payload, Kind.STATUS)]
    if last == "STATE":
        return [replace(draft, device_time=text(mapping(payload).get("Time"))) for draft in _state(payload)]
    if last == "SENSOR" or {"StatusSNS", _ZIGBEE} & mapping(payload).keys():
        return None
    return [event(last, payload)]


def _state(payload: Json) -> Iterator[Draft]:
    said = mapping(payload)
    yield replace(event("state", payload, Kind.STATUS), test="UptimeSec", quantity="uptime", unit="s",
                  value=as_number(said.get("UptimeSec")))  # fmt: skip
    for key, value in said.items():
        if key.startswith("POWER") and isinstance(value, str):
            yield replace(event(key, value, Kind.STATUS), quantity=slug(key))
    signal = mapping(said.get("Wifi")).get("Signal")
    if as_number(signal) is not None:
        yield observe("Wifi.Signal", "wifi-signal", signal, "dB{mW}", kind=Kind.STATUS, identity=())


def _sensors(payload: Json) -> dict[str, Json]:
    said = mapping(payload)
    return mapping(said.get("StatusSNS", said))


def _stamp(payload: Json) -> Stamp:
    return Stamp(time=text(_sensors(payload).get("Time")))


def _sections(sensors: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """The sensors by name. Of three phases each has its own value: `"Power": [20, 3]` is Power-1 and Power-2."""
    found = {name: one for name, one in sensors.items() if isinstance(one, dict) and name != _ZIGBEE}
    for address, one in mapping(sensors.get(_ZIGBEE)).items():
        heard = mapping(one)
        about = {key: value for key, value in heard.items() if key not in _HEARD_BY}
        found[text(heard.get("Name")) or address] = about
    return {name: _spread(one) for name, one in found.items()}


def _spread(section: Mapping[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in section.items():
        if isinstance(value, list):
            found |= {f"{key}-{number}": item for number, item in enumerate(value[:20], 1)}
        else:
            found[key] = value
    return found


def _found(payload: Json, _levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    sensors = _sensors(payload)
    sections = _sections(sensors)
    scale = "C" if _ZIGBEE in sensors else text(sensors.get("TempUnit"))
    keys = [key for one in sections.values() for key in one]
    for name, section in sections.items():
        model, _, number = name.rpartition("-") if name.rpartition("-")[2].isdigit() else (name, "", "")
        probe = text(section.get("Id"))
        test = f"{model}:{probe}" if probe else name
        shared = {key for key in section if keys.count(key) > 1 or number or _ZIGBEE in sensors}
        for key, value in section.items():
            if key != "Id" and not isinstance(value, dict | list) and not key.endswith("Time"):
                quantity = slug(key) + (f"-{slug(probe or name)}" if key in shared else "")
                yield _reading(f"{test}/{key}", quantity, key, value, sensors, scale, options)
    for key, value in sensors.items():
        if not isinstance(value, dict | list) and key not in _ABOUT:
            yield observe(key, slug(key), value, kind=Kind.STATUS if isinstance(value, str) else Kind.READING)


def _reading(
    test: str,
    quantity: str,
    key: str,
    value: Json,
    sensors: Mapping[str, Json],
    scale: str | None,
    options: MqttJsonOptions,
) -> Draft:
    plain = key.rpartition("-")[0] if key.rpartition("-")[2].isdigit() else key
    unit = UNITS.get(plain) if value is None or as_number(value) is not None else None
    why = None
    warm = _TEMPERATURE.fullmatch(plain) is not None
    if warm:
        unit = {"C": "Cel", "F": "[degF]"}.get(scale or "")
        faults = [fault * 1.8 + 32 if scale == "F" else fault for fault in options.probe_faults]
        why = faulty(value, faults) if test.casefold().startswith("ds18") else None
    elif plain in ("Pressure", "SeaPressure"):
        unit = {"hPa": "hPa", "mmHg": "mm[Hg]", "inHg": "[in_i'Hg]"}.get(text(sensors.get("PressureUnit")) or "hPa")
    draft = observe(test, quantity, value, unit)
    if why:
        return bad(draft, why)
    if unit is None and warm and draft.quality is Quality.GOOD:
        return replace(draft, quality=Quality.UNCERTAIN, quality_reason="sent without TempUnit")
    return draft


TASMOTA: Final = Dialect(_told, _stamp, _found)
