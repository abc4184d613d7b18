"""From values in a payload to drafts: what is null, not finite or a probe's error number is no measurement."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from drivers.kit.observation import NOTHING, Draft, Json, Kind, Quality, Value
from drivers.kit.payload import MISSING, finite, leaves, slug, tidy
from drivers.mqtt_json.options import MqttJsonOptions, ReadingOption
from drivers.mqtt_json.sensors import SENSORS, UNMISTAKABLE

MOST_ATTRIBUTES = 32
PROBE = "ds18"  # a name that says DS18B20 or its like
YEAR_2000 = 946_684_800  # in Unix time
TIMES = {"time", "timestamp", "ts", "datetime", "date", "last_seen"}

NO_VALUE = {"nan", "inf", "-inf", "infinity", "n/a", "null", "", "unavailable", "unknown"}

UNITS = {
    "temperature": "Cel",
    "device-temperature": "Cel",
    "local-temperature": "Cel",
    "soil-temperature": "Cel",
    "dew-point": "Cel",
    "humidity": "%",
    "soil-moisture": "%",
    "pressure": "hPa",
    "battery": "%",
    "illuminance": "lx",
    "illuminance-lux": "lx",
    "co2": "[ppm]",
    "pm25": "ug/m3",
    "pm10": "ug/m3",
    "power": "W",
    "current": "A",
    "energy": "kW.h",
}
"""What sensors mean by these names when nothing says otherwise."""

# A decoder's names that can mean nothing else, whoever's it is (CayenneLPP as The Things Stack and ChirpStack spell it,
# with the channel behind).
LPP = {
    "temperature": "Cel",
    "temperature-sensor": "Cel",
    "relative-humidity": "%",
    "humidity-sensor": "%",
    "barometric-pressure": "hPa",
    "barometer": "hPa",
    "luminosity": "lx",
    "illuminance-sensor": "lx",
}
ENDING = {"temperature": "Cel", "humidity": "%"}  # freezer_temperature
_CHANNEL = re.compile(r"[._](\d{1,3})$")

SPELT = {
    "tempc": "Cel",
    "_c": "Cel",
    "_celsius": "Cel",
    "_f": "[degF]",
    "_fahrenheit": "[degF]",
    "_k": "K",
    "_pct": "%",
    "_percent": "%",
    "_hpa": "hPa",
    "_kpa": "kPa",
    "_mbar": "mbar",
    "_mv": "mV",
    "_v": "V",
    "_ma": "mA",
    "_ppm": "[ppm]",
    "_ppb": "[ppb]",
    "_lux": "lx",
}
"""Units at the end of a key that leave no doubt."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a whole payload says about all its readings."""

    time: str | None = None  # as sent
    key: str | None = None  # the message's own number
    attributes: Mapping[str, Json] = field(default_factory=lambda: NOTHING)


def observe(
    test: str, quantity: str, value: Json, unit: str | None = None, *, kind: Kind = Kind.READING, **more: Any
) -> Draft:
    """A draft of one scalar as sent."""
    quality, why = Quality.GOOD, None
    if value is None:
        quality, why = Quality.BAD, "sent as null"
    elif not finite(value):
        quality, why, value = Quality.BAD, f"sent as {value}", None
    elif isinstance(value, str) and value.strip().casefold() in NO_VALUE:
        quality, why, value = Quality.BAD, f"sent as {value.strip()!r}", None
    scalar: Value = value if not isinstance(value, dict | list) else None
    return Draft(
        kind=kind, test=test, quantity=quantity, value=scalar, unit=unit, quality=quality, quality_reason=why, **more
    )


def faulty(value: Json, faults: Sequence[float]) -> str | None:
    """Why a number is no measurement."""
    number = as_number(value)
    if number is not None and any(math.isclose(number, fault, abs_tol=0.05) for fault in faults):
        return f"{value} is what the sensor sends when it has measured nothing"
    return None


def as_number(value: Json) -> float | None:
    """The number in a scalar; None where there is none. True and False are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def scaled(value: Json, scale: float) -> float | None:
    """The product in decimal arithmetic: 215 by 0.1 is 21.5, not 21.500000000000004."""
    if as_number(value) is None:
        return None
    try:
        product = float(Decimal(str(value).strip()) * Decimal(str(scale)))
    except (InvalidOperation, OverflowError):
        return None
    return product if math.isfinite(product) else None


def declared(payload: Json, levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    """The readings the configuration names; those the payload does not hold are left out."""
    used = {reading.path.name for reading in options.readings}
    told = {
        place: tidy(value)
        for place, value in leaves(payload)
        if place and place not in used and not _within(place, used)
    }
    attributes = dict(list(told.items())[:MOST_ATTRIBUTES])
    for reading in options.readings:
        if reading.topic is not None and not matches(reading.topic, levels):
            continue
        value = reading.path.find(payload)
        if value is not MISSING and not isinstance(value, dict | list):
            yield _declared(reading, value, payload, levels, options, attributes)


def _within(place: str, used: set[str]) -> bool:
    return any(place.startswith((f"{name}.", f"{name}[")) for name in used if name)


def _declared(
    reading: ReadingOption,
    value: Json,
    payload: Json,
    levels: Sequence[str],
    options: MqttJsonOptions,
    attributes: Mapping[str, Json],
) -> Draft:
    test = reading.path.name or (levels[-1] if levels else "$")
    quantity = spelled(reading.quantity, levels)
    told = dict(attributes)
    faults = reading.faults
    if faults is None:
        faults = options.probe_faults if PROBE in f"{test} {quantity}".casefold() else ()
    why = faulty(value, faults)
    if reading.scale is not None:
        told["as_sent"] = tidy(value)
        product = scaled(value, reading.scale)
        value = product if product is not None else value
    unit = reading.unit
    if reading.unit_path is not None and isinstance(said := reading.unit_path.find(payload), str):
        unit = said
    call = reading.interpretation.find(payload) if reading.interpretation else None
    more = {name: text(at.find(payload)) for name, at in options.fields.items()}
    draft = observe(
        test,
        quantity,
        value,
        unit,
        kind=reading.kind,
        code=reading.code,
        interpretation=text(call),
        attributes=told,
        **more,
    )
    return bad(draft, why) if why else draft


def bad(draft: Draft, why: str) -> Draft:
    """The same draft, not to be believed."""
    return replace(draft, quality=Quality.BAD, quality_reason=why)


def text(value: Any) -> str | None:
    """A scalar as text; None where there is nothing."""
    if value is MISSING or value is None or isinstance(value, dict | list) or value == "":
        return None
    return str(value)[:500]


def moment(value: Any) -> str | None:
    """A time as sent; a JSON number is Unix time, in seconds, milli- or microseconds as its size leaves no doubt."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not finite(value):
        return text(value)
    power = 6 if value >= 1e14 else 3 if value >= 1e11 else 0
    return f"unix:{format((Decimal(str(value)).scaleb(-power)).normalize(), 'f')}"


def never_set(time: str) -> bool:
    """True for a clock that counts from its start: the same time comes again after the next start."""
    if time.startswith("unix:"):
        return float(time.removeprefix("unix:")) < YEAR_2000
    return time[:4].isdigit() and int(time[:4]) < 2000


def spelled(quantity: str, levels: Sequence[str]) -> str:
    """The quantity with the topic's levels in place of "{3}" and "{-1}"."""
    if "{" not in quantity:
        return quantity
    for place in range(1, len(levels) + 1):
        quantity = quantity.replace(f"{{{place}}}", levels[place - 1])
        quantity = quantity.replace(f"{{-{place}}}", levels[-place])
    return slug(quantity)


def matches(pattern: str, levels: Sequence[str]) -> bool:
    """True where the MQTT filter `pattern` takes the topic."""
    wanted = pattern.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)


BESIDE = ("unit", "units", "uom")
ABOUT_VALUE = (*BESIDE, "displayName")


def discovered(payload: Json, levels: Sequence[str], options: MqttJsonOptions) -> Iterator[Draft]:
    """Every scalar of a payload nobody declared; times of unknown meaning stay beside them."""
    found = list(leaves(payload))
    times = {place: tidy(value) for place, value in found if _is_time(place)}
    for place, value, unit in measures(payload):
        if place not in times:
            test = place or _level(levels)
            draft = observe(test, slug(test), value, unit) if unit else named(test, value, options)
            yield replace(draft, attributes=times)


def _level(levels: Sequence[str]) -> str:
    """What a bare value is called: by its topic's last level that says something of it."""
    said = [level for level in levels if level.casefold() not in ("state", "value")]
    return said[-1] if said else "value"


def measures(payload: Json) -> Iterator[tuple[str, Json, str | None]]:
    """Every scalar with its place and the unit that stands beside it: `{"value": 4.2, "unit": "C"}` is one."""
    found = dict(leaves(payload))
    for place, value in found.items():
        parent, _, key = place.rpartition(".")
        beside = next((at for at in (f"{parent}.{name}" for name in BESIDE) if isinstance(found.get(at), str)), None)
        if parent and key == "value" and beside and as_number(value) is not None:
            yield parent, value, str(found[beside])
        elif not (parent and key in ABOUT_VALUE and as_number(found.get(f"{parent}.value")) is not None):
            yield place, value, None


def _is_time(place: str) -> bool:
    return place.rpartition(".")[2].casefold() in TIMES


def named(test: str, value: Json, options: MqttJsonOptions) -> Draft:
    """A reading whose name is all that is known of it."""
    quantity = slug(test)
    key = test.rpartition(".")[2].casefold()
    unit = next((unit for ending, unit in SPELT.items() if key.endswith(ending)), None)
    draft = observe(test, quantity, value, unit)
    if draft.quality is not Quality.GOOD or as_number(value) is None:
        return draft
    if PROBE in test.casefold() and (why := faulty(value, options.probe_faults)):
        return bad(draft, why)
    if unit is not None:
        return draft
    if (channel := _CHANNEL.search(test)) and (known := LPP.get(slug(test[: channel.start()]))):
        return replace(draft, unit=known)
    assumed = UNITS.get(slug(key)) or (ENDING.get(slug(key).rpartition("-")[2]) if "-" in slug(key) else None)
    number = as_number(value) or 0.0
    if assumed == "hPa" and not 300 <= number <= 1200:
        return draft  # pascals, or another kind of pressure
    if slug(key) == "battery" and 0 < number < 5 and number % 1:
        return draft  # volts, most likely
    return _assumed(draft, assumed) if assumed else draft


def sensed(place: str, value: Json, options: MqttJsonOptions) -> Draft:
    """A field of the configured sensor's decoder; one it does not list is known by its name alone."""
    field_ = SENSORS[options.sensor].field(place) if options.sensor else UNMISTAKABLE.get(place)
    if field_ is None:
        return named(place, value, options)
    unit = field_.unit if value is None or as_number(value) is not None else None
    draft = observe(place, field_.quantity, value, unit, kind=field_.kind)
    why = faulty(value, field_.faults)
    return bad(draft, why) if why else draft


def _assumed(draft: Draft, unit: str) -> Draft:
    reason = f"{unit} is assumed from the name: declare it in `readings`"
    return replace(draft, unit=unit, quality=Quality.UNCERTAIN, quality_reason=reason)
