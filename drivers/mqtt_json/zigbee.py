"""Zigbee2MQTT: a flat object a device, without a time unless `last_seen` is switched on, or a topic an attribute."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from drivers.kit.observation import Draft, Json, Kind
from drivers.kit.payload import leaves, slug, tidy
from drivers.mqtt_json.options import MqttJsonOptions
from drivers.mqtt_json.readings import MOST_ATTRIBUTES, TIMES, UNITS, Stamp, as_number, moment, observe
from drivers.mqtt_json.telling import Dialect, event, mapping, presence

# Units of what devices expose, as their pages at zigbee2mqtt.io say them.
_EXPOSED: Final = {
    **UNITS,
    "cpu-temperature": "Cel",
    "external-temperature": "Cel",
    "current-heating-setpoint": "Cel",
    "occupied-heating-setpoint": "Cel",
    "pm1": "ug/m3",
    "ac-frequency": "Hz",
    "produced-energy": "kW.h",
    "power-apparent": "V.A",
}
# A device with several endpoints says which behind the attribute's name: temperature_probe, power_l2.
_ENDPOINT: Final = re.compile(r"-(?:l\d|\d{1,2}|left|right|center|top|bottom|probe|external|phase-[a-c])$")
_MAINS: Final = {"power", "current"}


def _told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    if len(levels) > 1 and levels[1] == "bridge":
        test = "/".join(levels[1:])
        state = mapping(payload).get("state")
        return [event(test, payload, Kind.STATUS if levels[-1] in ("state", "info") else Kind.EVENT, state)]
    if levels and levels[-1] in ("set", "get"):
        return [event("command", payload)]
    return presence(payload, levels)


def _stamp(payload: Json) -> Stamp:
    return Stamp(time=moment(mapping(payload).get("last_seen")))


def _found(payload: Json, levels: Sequence[str], _options: MqttJsonOptions) -> Iterator[Draft]:
    if not isinstance(payload, dict | list):  # `output: attribute`
        payload = {levels[-1] if levels else "value": payload}
    said = mapping(payload)
    nested: dict[str, Json] = {key: value for key, value in said.items() if isinstance(value, dict | list)}
    told = dict([(place, tidy(value)) for place, value in leaves(nested)][:MOST_ATTRIBUTES])
    for key, value in said.items():
        if key in nested or key in TIMES:
            continue
        quantity, unit = slug(key), _unit(key, said)
        if value is None and unit is None:
            continue
        kind = Kind.EVENT if key in ("action", "click") else Kind.READING
        if value is not None and as_number(value) is None:
            unit = None
        yield observe(key, quantity, value, unit, kind=kind, attributes=told)
    if said and nested.keys() == said.keys():
        yield event("state", payload, Kind.STATUS)


def _unit(key: str, said: dict[str, Json]) -> str | None:
    quantity = slug(key)
    plain = _ENDPOINT.sub("", quantity)
    if plain == "voltage":  # battery devices say mV, mains devices V
        mains = _MAINS & {slug(name).partition("-")[0] for name in said}
        return "mV" if "battery" in said else "V" if mains else None
    if quantity == "illuminance" and "illuminance_lux" in said:
        return None  # then it is the sensor's own scale, a logarithm
    return _EXPOSED.get(quantity) or _EXPOSED.get(plain)


ZIGBEE2MQTT: Final = Dialect(_told, _stamp, _found)
