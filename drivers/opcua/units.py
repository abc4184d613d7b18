"""Engineering units by their number (OPC 10000-8, 5.6.3): the UNECE common code in a 32-bit integer.

Where a server says a unit's sign as well, that is what it said. The number speaks where there is no sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

UNECE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"

# UNECE Recommendation 20 common codes -> UCUM.
CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CEL": "Cel", "KEL": "K", "FAH": "[degF]",
        "P1": "%", "59": "[ppm]", "61": "[ppb]", "C62": "1",
        "PAL": "Pa", "A97": "hPa", "KPA": "kPa", "MPA": "MPa", "BAR": "bar", "MBR": "mbar",
        "SEC": "s", "C26": "ms", "MIN": "min", "HUR": "h", "DAY": "d",
        "MTR": "m", "CMT": "cm", "MMT": "mm", "4H": "um", "C45": "nm",
        "KGM": "kg", "GRM": "g", "MC": "ug", "MGM": "mg",
        "LTR": "L", "MLT": "mL", "4G": "uL",
        "GL": "g/L", "M1": "mg/L", "C38": "mol/L",
        "VLT": "V", "2Z": "mV", "AMP": "A", "4K": "mA", "B84": "uA", "WTT": "W", "KWT": "kW", "OHM": "Ohm",
        "HTZ": "Hz", "KHZ": "kHz", "RPM": "{rev}/min", "MTS": "m/s",
        "Q30": "[pH]", "D10": "S/m",
        "LUX": "lx", "KWH": "kW.h", "WHR": "W.h", "JOU": "J", "L2": "L/min", "41": "mL/min",
    }
)  # fmt: skip


def code(number: int) -> str | None:
    """The common code in a unit's number: 4408652 -> "CEL"; None where it is none."""
    if not 0 < number < 2**24:
        return None
    text = number.to_bytes(3, "big").lstrip(b"\0")
    found = text.decode("ascii", "replace")
    return found if found.isalnum() and found.isascii() else None
