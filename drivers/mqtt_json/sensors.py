"""LoRaWAN sensors by the names their makers' decoders use: what a field is and in which unit.

The decoder runs on the network server; what it makes of the device's bytes is the maker's or the community's. Names
and units here are those of the decoders in TheThingsNetwork/lorawan-devices (vendor/<maker>), of the versions read.
A field that is not listed is taken by its name, as without a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drivers.kit.observation import Kind

NO_PROBE: Final = (327.67,)  # 0x7FFF in hundredths: nothing is plugged in
_INDEX = re.compile(r"(.+)\[(\d{1,3})\]")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a decoder."""

    quantity: str
    unit: str | None = None
    kind: Kind = Kind.READING
    faults: tuple[float, ...] = ()  # numbers that say that nothing was measured


@dataclass(frozen=True, slots=True)
class Sensor:
    """A family of devices whose decoders agree."""

    models: tuple[str, ...]
    fields: Mapping[str, Field]
    source: str

    def field(self, place: str) -> Field | None:
        """What stands at a place of the decoded object; of a list each item is one of its own."""
        found = self.fields.get(place)
        if found is None and (match := _INDEX.fullmatch(place)) and (one := self.fields.get(match[1])):
            return Field(f"{one.quantity}-{int(match[2]) + 1}", one.unit, one.kind, one.faults)
        return found

    def name(self, quantity: str) -> str | None:
        """The field that gives a quantity."""
        return next((name for name, field in self.fields.items() if field.quantity == quantity), None)


_TEMPERATURE = Field("temperature", "Cel")
_HUMIDITY = Field("humidity", "%")
_CHARGE = Field("battery", "%")
_VOLTS = Field("battery-voltage", "V")
_STATES = {
    name: Field(name.lower().replace("_", "-"), kind=Kind.STATUS)
    for name in ("Work_mode", "Ext_sensor", "No_connect", "Bat_status", "Ext", "Systimestamp", "Status", "ID")
}
_SHT = {"TempC_SHT": _TEMPERATURE, "Hum_SHT": _HUMIDITY}
_LIGHT = Field("illuminance", "lx")
_CO2 = Field("co2", "[ppm]")

SENSORS: Final[Mapping[str, Sensor]] = {
    "dragino-lht65": Sensor(
        ("Dragino LHT65", "Dragino LHT65N"),
        {
            **_SHT,
            "TempC_DS": Field("probe-temperature", "Cel", faults=NO_PROBE),
            "TempC_TMP117": Field("probe-temperature", "Cel", faults=NO_PROBE),
            "BatV": _VOLTS,
            "ILL_lx": _LIGHT,
            "ADC_V": Field("adc-voltage", "V"),
            **_STATES,
        },
        "vendor/dragino/lht65.js, lht65n.js",
    ),
    "dragino-lht52": Sensor(
        ("Dragino LHT52",),
        {
            **_SHT,
            "TempC_DS": Field("probe-temperature", "Cel", faults=NO_PROBE),
            "Bat_mV": Field("battery-voltage", "mV"),
            **_STATES,
        },
        "vendor/dragino/lht52.js",
    ),
    "dragino-lsn50": Sensor(
        ("Dragino LSN50v2",),
        {
            **_SHT,
            "TempC1": Field("probe-1-temperature", "Cel"),
            "TempC2": Field("probe-2-temperature", "Cel"),
            "TempC3": Field("probe-3-temperature", "Cel"),
            "BatV": _VOLTS,
            "ADC_CH0V": Field("adc-0-voltage", "V"),
            "ADC_CH1V": Field("adc-1-voltage", "V"),
            "ADC_CH4V": Field("adc-4-voltage", "V"),
            "Illum": _LIGHT,
            "Distance_cm": Field("distance", "cm"),
            "Door_status": Field("door-status"),
            **_STATES,
        },
        "vendor/dragino/lsn50-v2.js",
    ),
    "dragino-sn50v3": Sensor(
        ("Dragino SN50v3-LB",),
        {
            "temperature": _TEMPERATURE,
            "temperature1": Field("probe-1-temperature", "Cel"),
            "temperature2": Field("probe-2-temperature", "Cel"),
            "temperature3": Field("probe-3-temperature", "Cel"),
            "humidity": _HUMIDITY,
            "battery": _VOLTS,  # volts, where others say percent by this name
            "adc1_v": Field("adc-1-voltage", "V"),
            "Illum": _LIGHT,
            "door_status": Field("door-status"),
            **_STATES,
        },
        "vendor/dragino/sn50v3-lb.js",
    ),
    "dragino-ltc2": Sensor(
        ("Dragino LTC2-LB",),
        {
            "temp_channel1": Field("channel-1-temperature", "Cel"),
            "temp_channel2": Field("channel-2-temperature", "Cel"),
            "Res_Channel1": Field("channel-1-resistance", "Ohm"),
            "Res_Channel2": Field("channel-2-resistance", "Ohm"),
            "battery": _VOLTS,
            **_STATES,
        },
        "vendor/dragino/ltc2-lb.js",
    ),
    "milesight-em300": Sensor(
        ("Milesight EM300-TH", "Milesight EM300-MCS", "Milesight EM500-PT100"),
        {"temperature": _TEMPERATURE, "humidity": _HUMIDITY, "battery": _CHARGE, "magnet": Field("magnet")},
        "vendor/milesight-iot/em300-th.js, em300-mcs.js, em500-pt100-codec.yaml",
    ),
    "milesight-am300": Sensor(
        ("Milesight AM307", "Milesight AM319"),
        {
            "temperature": _TEMPERATURE,
            "humidity": _HUMIDITY,
            "battery": _CHARGE,
            "pressure": Field("pressure", "hPa"),
            "co2": _CO2,
            "pm2.5": Field("pm25", "ug/m3"),
            "pm10": Field("pm10", "ug/m3"),
            "tvoc": Field("tvoc"),  # the decoder does not say in what
            "hcho": Field("hcho"),
            "o3": Field("o3"),
            "light_level": Field("light-level"),
            "activity": Field("activity", kind=Kind.STATUS),
        },
        "vendor/milesight-iot/am319.js",
    ),
    "elsys": Sensor(
        ("ELSYS ERS", "ELSYS ERS CO2", "ELSYS ELT-2", "ELSYS EMS"),
        {
            "temperature": _TEMPERATURE,
            "externalTemperature": Field("external-temperature", "Cel"),
            "externalTemperature2": Field("external-temperature-2", "Cel"),
            "humidity": _HUMIDITY,
            "light": _LIGHT,
            "co2": _CO2,
            "pressure": Field("pressure", "hPa"),
            "tvoc": Field("tvoc", "[ppb]"),
            "vdd": Field("battery-voltage", "mV"),
        },
        "vendor/elsys/elsys.js",
    ),
}

UNMISTAKABLE: Final[Mapping[str, Field]] = {
    name: field
    for sensor in SENSORS.values()
    for name, field in sensor.fields.items()
    if field.unit and name != name.lower() and "Temperature" not in name
}
"""Fields nobody else's decoder calls so: they mean the same without `sensor`."""
