"""Shelly: what a component of the second generation says of itself, and a topic a value of the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from drivers.kit.observation import Draft, Json, Kind, Value
from drivers.kit.payload import leaves, slug, tidy
from drivers.mqtt_json.options import MqttJsonOptions
from drivers.mqtt_json.readings import MOST_ATTRIBUTES, Stamp, moment, observe
from drivers.mqtt_json.telling import Dialect, event, mapping, presence

# By component and place: quantity, unit, kind (shelly-api-docs.shelly.cloud, Gen2, Components).
_SAYS: Final = {
    ("temperature", "tC"): ("temperature", "Cel", Kind.READING),
    ("humidity", "rh"): ("humidity", "%", Kind.READING),
    ("illuminance", "lux"): ("illuminance", "lx", Kind.READING),
    ("devicepower", "battery.V"): ("battery-voltage", "V", Kind.READING),
    ("devicepower", "battery.percent"): ("battery", "%", Kind.READING),
    ("switch", "output"): ("output", None, Kind.STATUS),
    ("switch", "apower"): ("power", "W", Kind.READING),
    ("switch", "voltage"): ("voltage", "V", Kind.READING),
    ("switch", "current"): ("current", "A", Kind.READING),
    ("switch", "aenergy.total"): ("energy", "W.h", Kind.READING),
    ("switch", "temperature.tC"): ("device-temperature", "Cel", Kind.READING),
    ("voltmeter", "voltage"): ("voltage", "V", Kind.READING),
    ("input", "state"): ("input", None, Kind.STATUS),
    ("flood", "alarm"): ("flood", None, Kind.READING),
    ("smoke", "alarm"): ("smoke", None, Kind.READING),
}
# The first generation, by the last levels of the topic; degrees are those the device is set to, Celsius by default.
_FIRST: Final = {
    "sensor/temperature": ("temperature", "Cel"),
    "sensor/humidity": ("humidity", "%"),
    "sensor/battery": ("battery", "%"),
    "sensor/lux": ("illuminance", "lx"),
    "temperature": ("device-temperature", "Cel"),
    "power": ("power", "W"),
}
_COMPONENT: Final = re.compile(r"([a-z_]+):(\d{1,3})")


def _told(payload: Json, levels: Sequence[str]) -> list[Draft] | None:
    last = levels[-1] if levels else ""
    if last == "online" and isinstance(payload, bool):
        return [event("availability", payload, Kind.STATUS, "online" if payload else "offline")]
    method = mapping(payload).get("method")
    if last in ("announce", "info", "rpc", "command") and method not in ("NotifyStatus", "NotifyFullStatus"):
        return [event(str(method or last), payload)]
    return presence(payload, levels)


def _params(payload: Json) -> dict[str, Json]:
    return mapping(mapping(payload).get("params"))


def _stamp(payload: Json) -> Stamp:
    return Stamp(time=moment(_params(payload).get("ts")))


def _found(payload: Json, levels: Sequence[str], _options: MqttJsonOptions) -> Iterator[Draft]:
    if not isinstance(payload, dict | list):
        yield _first(payload, levels)
        return
    parts = _params(payload) or {levels[-1] if levels else "": payload}
    for name, said in parts.items():
        named = _COMPONENT.fullmatch(name)
        if named and isinstance(said, dict):
            yield from _component(named[1], int(named[2]), said)
    if not any(_COMPONENT.fullmatch(name) for name in parts):
        yield event("state", payload, Kind.STATUS)


def _component(component: str, number: int, said: dict[str, Json]) -> Iterator[Draft]:
    told = dict(leaves(said))
    known = {place: meant for place in told if (meant := _SAYS.get((component, place)))}
    other = {place: tidy(value) for place, value in told.items() if place not in known and place != "id"}
    attributes = dict(list(other.items())[:MOST_ATTRIBUTES])
    for place, (quantity, unit, kind) in known.items():
        spelled = quantity if not number else f"{quantity}-{number}"
        yield observe(f"{component}:{number}/{place}", spelled, told[place], unit, kind=kind, attributes=attributes)
    if not known:
        name = f"{component}:{number}"
        yield event(name, said, Kind.STATUS)


def _first(payload: Json, levels: Sequence[str]) -> Draft:
    places = ("/".join(levels[-2:]), levels[-1] if levels else "value")
    quantity, unit = next((_FIRST[place] for place in places if place in _FIRST), (None, None))
    test = "/".join(levels[2:]) or places[1]
    return observe(test, quantity or slug(test), payload, unit)


def written(readings: Mapping[str, Value], time: float) -> dict[str, Json]:
    """The notification of a device of the second generation that has measured this; what it cannot say is left out."""
    params: dict[str, Json] = {"ts": round(time, 2)}
    for (component, place), (quantity, _unit, _kind) in _SAYS.items():
        if quantity in readings and "." not in place:
            params[f"{component}:0"] = {"id": 0, place: readings[quantity]}
    return {"src": "shelly-sim", "method": "NotifyFullStatus", "params": params}


SHELLY: Final = Dialect(_told, _stamp, _found)
