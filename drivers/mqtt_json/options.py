"""What a `[[devices]]` table may say about JSON payloads."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from drivers.kit.declare import Options
from drivers.kit.observation import Kind
from drivers.kit.payload import PathOption, path
from drivers.mqtt_json.sensors import SENSORS

SpecimenField = Literal["specimen", "patient", "operator", "lot", "lot_expiry", "run"]

WHOLE = path("$")

_QUANTITY = re.compile(r"([a-z0-9]|\{-?[1-9]\d?\})([a-z0-9-]|\{-?[1-9]\d?\})*")


def _quantity(name: str) -> str:
    if not _QUANTITY.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a quantity. Write lower-case letters, digits and hyphens; "
            f'"{{3}}" stands for the topic\'s third level, "{{-1}}" for its last.'
        )
    return name


def _topic(pattern: str) -> str:
    levels = pattern.split("/")
    if any(level not in ("+", "#") and ("+" in level or "#" in level) for level in levels) or "#" in levels[:-1]:
        raise ValueError(f'{pattern!r} is not an MQTT filter. "+" and "#" stand for whole levels, "#" only at the end.')
    return pattern


def _sensor(name: str) -> str:
    if name not in SENSORS:
        raise ValueError(f"{name!r} is not a sensor whose decoder we know. Known are: {', '.join(SENSORS)}.")
    return name


class ReadingOption(Options):
    """One thing in the payload that is observed."""

    quantity: Annotated[str, AfterValidator(_quantity)]
    path: PathOption = Field(WHOLE, json_schema_extra={"default": "$"})
    """Where its value stands: `$.a.b[0]["x y"]`; `$` where the payload is the value."""
    topic: Annotated[str, AfterValidator(_topic)] | None = None
    """Only in messages on topics that match this MQTT filter."""
    unit: str | None = None
    unit_path: PathOption | None = None
    """Where the payload says the unit; it goes before `unit`."""
    kind: Kind = Kind.READING
    code: str | None = None
    """A code like "loinc:94558-4"."""
    scale: float | None = Field(None, gt=-1e12, lt=1e12, allow_inf_nan=False)
    """What the number is multiplied by (0.001 for mV as V); the number as sent stays in the attributes."""
    interpretation: PathOption | None = None
    """Where the payload says the call ("positive")."""
    faults: tuple[float, ...] | None = None
    """Numbers that are no measurements but say that the sensor failed."""


class MqttJsonOptions(Options):
    """Without `readings` every number, text and truth value of a payload becomes a reading named after its key."""

    dialect: Literal["zigbee2mqtt", "tasmota", "chirpstack", "ttn", "shelly"] | None = None
    sensor: Annotated[str, AfterValidator(_sensor)] | None = None
    """With chirpstack or ttn: whose decoder's field names the payload has. Without it units are assumed from names."""
    readings: Annotated[tuple[ReadingOption, ...], Field(max_length=500)] = ()
    time: PathOption | None = None
    """Where the payload says when it was measured."""
    message_id: PathOption | None = None
    """Where it carries its own number: the same number is the same message."""
    fields: dict[SpecimenField, PathOption] = Field(default_factory=dict)
    """Of results: where specimen, patient, operator, lot, lot_expiry and run stand."""
    probe_faults: tuple[float, ...] = (85.0, -127.0)
    """Degrees Celsius that DS18B20 probes report when they have measured nothing: bad readings, where name or path
    says DS18."""
