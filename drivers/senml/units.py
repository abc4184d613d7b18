"""SenML units (IANA registry; RFC 8428 section 12.1 and RFC 8798) as UCUM."""

from __future__ import annotations

# fmt: off
SAME = (
    "m", "kg", "g", "s", "A", "K", "cd", "mol", "Hz", "rad", "sr", "N", "Pa", "J", "W", "V", "Ohm", "S",
    "Wb", "T", "H", "Cel", "lm", "lx", "Bq", "Gy", "Sv", "kat", "m2", "m3", "m/s", "m/s2", "m3/s", "W/m2", "cd/m2",
    "bit", "bit/s", "deg", "S/m", "J/m", "kg/m3", "ms", "min", "h", "MHz", "kW", "hPa", "mm", "cm", "km", "km/h",
    "ug/m3", "mV", "mA", "mm/h", "m/h", "Mbit/s",
)
# fmt: on

UCUM = {
    **{unit: unit for unit in SAME},
    "C": "A.s",  # coulomb and farad in other words: what instruments print as "C" and "F" are degrees
    "F": "A.s/V",
    "l": "L",
    "l/s": "L/s",
    "lat": "deg",
    "lon": "deg",
    "pH": "[pH]",
    "dB": "dB",
    "dBW": "dB[W]",
    "dBm": "dB{mW}",
    "Bspl": "B[SPL]",
    "count": "{count}",
    "/": "1",
    "%": "1",  # a ratio from 0 to 1, in spite of its name (RFC 8428 12.1 note 1)
    "%RH": "%",
    "%EL": "%",
    "EL": "s",
    "1/s": "/s",
    "1/min": "/min",
    "beat/min": "{beat}/min",
    "beats": "{beat}",
    "B": "By",
    "VA": "V.A",
    "kVA": "kV.A",
    "VAs": "V.A.s",
    "Ah": "A.h",
    "Wh": "W.h",
    "kWh": "kW.h",
    "Wh/km": "W.h/km",
    "KiB": "KiBy",
    "MB": "MBy",
    "GB": "GBy",
    "B/s": "By/s",
    "MB/s": "MBy/s",
    "NTU": "{NTU}",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "/100": "%",
    "/1000": "10*-3",
}

QUANTITIES = {
    "Cel": "temperature",
    "K": "temperature",
    "%RH": "humidity",
    "Pa": "pressure",
    "hPa": "pressure",
    "lx": "illuminance",
    "V": "voltage",
    "A": "current",
    "W": "power",
    "%EL": "battery",
    "pH": "ph",
    "kg": "mass",
}
"""What is meant where a record is named after its device only."""
