"""Units: what instruments print into UCUM, and from one UCUM unit into another.

A small, exact part of UCUM (https://ucum.org, version 2): the units laboratories and their surroundings use.
Arbitrary units ([IU], [CFU]) never convert into others; temperatures convert by function; mass converts to
amount of substance only with the analyte's molar mass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

Dimension = tuple[tuple[str, int], ...]  # base quantity -> exponent, sorted
MASS, AMOUNT = "g", "mol"

PREFIXES: Final[Mapping[str, Decimal]] = MappingProxyType(
    {name: Decimal(10) ** power for name, power in {
        "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
        "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
    }.items()}
)  # fmt: skip

# atom -> (factor in base units, base dimension, takes prefixes)
ATOMS: Final[Mapping[str, tuple[Decimal, Dimension, bool]]] = MappingProxyType(
    {
        "m": (Decimal(1), (("m", 1),), True),
        "s": (Decimal(1), (("s", 1),), True),
        "g": (Decimal(1), (("g", 1),), True),
        "mol": (Decimal(1), (("mol", 1),), True),
        "K": (Decimal(1), (("K", 1),), True),
        "A": (Decimal(1), (("A", 1),), True),
        "cd": (Decimal(1), (("cd", 1),), True),
        "min": (Decimal(60), (("s", 1),), False),
        "h": (Decimal(3600), (("s", 1),), False),
        "d": (Decimal(86400), (("s", 1),), False),
        "wk": (Decimal(604800), (("s", 1),), False),
        "a": (Decimal(31557600), (("s", 1),), True),
        "l": (Decimal("0.001"), (("m", 3),), True),
        "L": (Decimal("0.001"), (("m", 3),), True),
        "Hz": (Decimal(1), (("s", -1),), True),
        "N": (Decimal(1000), (("g", 1), ("m", 1), ("s", -2)), True),
        "Pa": (Decimal(1000), (("g", 1), ("m", -1), ("s", -2)), True),
        "bar": (Decimal(100_000_000), (("g", 1), ("m", -1), ("s", -2)), True),
        "m[Hg]": (Decimal(133_322_000), (("g", 1), ("m", -1), ("s", -2)), True),
        "[in_i'Hg]": (Decimal(3_386_380), (("g", 1), ("m", -1), ("s", -2)), False),
        "[psi]": (Decimal("6894757.293168"), (("g", 1), ("m", -1), ("s", -2)), False),
        "J": (Decimal(1000), (("g", 1), ("m", 2), ("s", -2)), True),
        "W": (Decimal(1000), (("g", 1), ("m", 2), ("s", -3)), True),
        "V": (Decimal(1000), (("A", -1), ("g", 1), ("m", 2), ("s", -3)), True),
        "Ohm": (Decimal(1000), (("A", -2), ("g", 1), ("m", 2), ("s", -3)), True),
        "S": (Decimal("0.001"), (("A", 2), ("g", -1), ("m", -2), ("s", 3)), True),
        "C": (Decimal(1), (("A", 1), ("s", 1)), True),
        "[lb_av]": (Decimal("453.59237"), (("g", 1),), False),
        "[oz_av]": (Decimal("28.349523125"), (("g", 1),), False),
        "[oz_tr]": (Decimal("31.1034768"), (("g", 1),), False),
        "[pwt_tr]": (Decimal("1.55517384"), (("g", 1),), False),
        "[gr]": (Decimal("0.06479891"), (("g", 1),), False),
        "[car_m]": (Decimal("0.2"), (("g", 1),), False),
        "[in_i]": (Decimal("0.0254"), (("m", 1),), False),
        "[ft_i]": (Decimal("0.3048"), (("m", 1),), False),
        "m[H2O]": (Decimal(9_806_650), (("g", 1), ("m", -1), ("s", -2)), True),
        "Bq": (Decimal(1), (("s", -1),), True),
        "Gy": (Decimal(1), (("m", 2), ("s", -2)), True),
        "Sv": (Decimal(1), (("m", 2), ("s", -2)), True),
        "rad": (Decimal(1), (), True),
        "lm": (Decimal(1), (("cd", 1),), True),
        "lx": (Decimal(1), (("cd", 1), ("m", -2)), True),
        "kat": (Decimal(1), (("mol", 1), ("s", -1)), True),
        "U": (Decimal("1e-6") / 60, (("mol", 1), ("s", -1)), True),
        "eq": (Decimal(1), (("eq", 1),), True),
        "osm": (Decimal(1), (("osm", 1),), True),
        "[iU]": (Decimal(1), (("[iU]", 1),), True),
        "[IU]": (Decimal(1), (("[iU]", 1),), True),
        "[CFU]": (Decimal(1), (("[CFU]", 1),), True),
        "[PFU]": (Decimal(1), (("[PFU]", 1),), True),
        "[arb'U]": (Decimal(1), (("[arb'U]", 1),), False),
        "[pH]": (Decimal(1), (("[pH]", 1),), False),
        "%": (Decimal("0.01"), (), False),
        "[ppth]": (Decimal("1e-3"), (), False),
        "[ppm]": (Decimal("1e-6"), (), False),
        "[ppb]": (Decimal("1e-9"), (), False),
        "Cel": (Decimal(1), (("K", 1),), False),
        "[degF]": (Decimal(5) / 9, (("K", 1),), False),
        "deg": (Decimal("0.017453292519943295"), (), False),
        "[HPF]": (Decimal(1), (("[HPF]", 1),), False),  # counted in one look through the microscope
        "[LPF]": (Decimal(1), (("[LPF]", 1),), False),
        "B": (Decimal(1), (("B", 1),), True),
        "By": (Decimal(8), (), True),
    }
)  # fmt: skip
SPECIAL: Final = {"Cel": Decimal("273.15"), "[degF]": Decimal("459.67")}  # zero points, in their own degrees

# What instruments print, and what it is. Where a spelling could be two things it is not here.
SPELLINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "°C": "Cel", "℃": "Cel", "C": "Cel", "degC": "Cel", "deg C": "Cel", "°F": "[degF]", "degF": "[degF]", "F": "[degF]",
        "%RH": "%", "% RH": "%", "%rh": "%", "%H": "%",
        "ºC": "Cel", "Celsius": "Cel", "CEL": "Cel", "Deg C": "Cel", "deg F": "[degF]", "Fahrenheit": "[degF]", "Kelvin": "K",
        "MG/DL": "mg/dL", "G/DL": "g/dL", "UG/DL": "ug/dL", "MG/L": "mg/L", "UG/L": "ug/L", "NG/ML": "ng/mL", "PG/ML": "pg/mL",
        "UG/ML": "ug/mL", "MMOL/L": "mmol/L", "UMOL/L": "umol/L", "NMOL/L": "nmol/L", "PMOL/L": "pmol/L", "IU/ML": "[IU]/mL",
        "U/ML": "U/mL", "MEQ/L": "meq/L", "mg%": "mg/dL", "g%": "g/dL", "‰": "[ppth]", "/l": "/L", "/ul": "/uL", "/nl": "/nL",
        "ng/mL FEU": "ng{FEU}/mL", "ng/ml FEU": "ng{FEU}/mL", "mg/L FEU": "mg{FEU}/L", "ug/mL FEU": "ug{FEU}/mL",
        "µg/mL FEU": "ug{FEU}/mL", "ng/mL DDU": "ng{DDU}/mL", "grams": "g", "gram": "g", "thou/uL": "10*3/uL",
        "inHg": "[in_i'Hg]", "psi": "[psi]", "kWh": "kW.h",
        "mg/dl": "mg/dL", "g/dl": "g/dL", "µg/dl": "ug/dL", "mmol/l": "mmol/L", "µmol/l": "umol/L", "nmol/l": "nmol/L",
        "mg/l": "mg/L", "g/l": "g/L", "µg/l": "ug/L", "ng/ml": "ng/mL", "pg/ml": "pg/mL", "µg/ml": "ug/mL", "mcg/mL": "ug/mL",
        "mcg/L": "ug/L", "mcg/dL": "ug/dL", "fl": "fL", "um": "um", "mcg": "ug",
        "IU/mL": "[IU]/mL", "IU/ml": "[IU]/mL", "IU/L": "[IU]/L", "IU/l": "[IU]/L", "mIU/mL": "m[IU]/mL", "mIU/ml": "m[IU]/mL",
        "mIU/L": "m[IU]/L", "mIU/l": "m[IU]/L", "µIU/mL": "u[IU]/mL", "uIU/mL": "u[IU]/mL", "µIU/ml": "u[IU]/mL", "kIU/L": "k[IU]/L",
        "U/ml": "U/mL", "U/l": "U/L", "mEq/L": "meq/L", "mEq/l": "meq/L", "mosm/kg": "mosm/kg", "mOsm/kg": "mosm/kg",
        "cp/mL": "{copies}/mL", "cp/ml": "{copies}/mL", "copies/mL": "{copies}/mL", "copies/ml": "{copies}/mL",
        "{Copies}/mL": "{copies}/mL", "Log (Copies/mL)": "{Log_copies}/mL", "log(copies/mL)": "{Log_copies}/mL",
        "Log(Copies/mL)": "{Log_copies}/mL", "Log10 copies/mL": "{Log_copies}/mL", "lg copies/mL": "{Log_copies}/mL",
        "log IU/mL": "{Log_IU}/mL", "log10 IU/mL": "{Log_IU}/mL", "Log10 IU/mL": "{Log_IU}/mL", "log (IU/mL)": "{Log_IU}/mL",
        "Copies/mL": "{copies}/mL", "cps/mL": "{copies}/mL", "copies/uL": "{copies}/uL", "copies/µL": "{copies}/uL",
        "log copies/mL": "{Log_copies}/mL", "log10 copies/mL": "{Log_copies}/mL", "log cp/mL": "{Log_copies}/mL",
        "log10 cp/mL": "{Log_copies}/mL", "Log copies/mL": "{Log_copies}/mL", "CFU/mL": "[CFU]/mL", "CFU/ml": "[CFU]/mL",
        "cells/mL": "{cells}/mL", "cells/ml": "{cells}/mL", "cells/uL": "{cells}/uL", "cells/µL": "{cells}/uL", "/µL": "/uL",
        "10^9/L": "10*9/L", "10^9/l": "10*9/L", "x10^9/L": "10*9/L", "10e9/L": "10*9/L", "10E9/L": "10*9/L", "10^12/L": "10*12/L",
        "x10^12/L": "10*12/L", "10e12/L": "10*12/L", "10^3/uL": "10*3/uL", "10^3/µL": "10*3/uL", "x10^3/uL": "10*3/uL",
        "x10^3/µL": "10*3/uL", "x10³/µL": "10*3/uL", "10³/µL": "10*3/uL", "10e3/uL": "10*3/uL", "10^6/uL": "10*6/uL",
        "10^6/µL": "10*6/uL", "x10^6/uL": "10*6/uL", "x10^6/µL": "10*6/uL", "K/uL": "10*3/uL", "K/µL": "10*3/uL", "M/uL": "10*6/uL",
        "M/µL": "10*6/uL", "10*3/mm3": "10*3/uL", "10*6/mm3": "10*6/uL", "10^3/mm3": "10*3/uL", "10^6/mm3": "10*6/uL",
        "ozt": "[oz_tr]", "dwt": "[pwt_tr]",
        "mmHg": "mm[Hg]", "mmH2O": "mm[H2O]", "cmH2O": "cm[H2O]", "mbar": "mbar", "ppm": "[ppm]", "ppb": "[ppb]", "rpm": "{rpm}", "RPM": "{rpm}",
        "sec": "s", "secs": "s", "mins": "min", "hr": "h", "hrs": "h", "day": "d", "days": "d",
        "Ratio": "{ratio}", "ratio": "{ratio}", "RATIO": "{ratio}", "Index": "{index}", "index": "{index}", "INDEX": "{index}",
        "COI": "{cutoff_index}", "S/CO": "{s_co_ratio}", "s/co": "{s_co_ratio}", "S/C": "{s_co_ratio}", "Ct": "{Ct}", "CT": "{Ct}",
        "Cq": "{Cq}", "pH": "[pH]", "CN": "{CN}", "S/N": "{s_n_ratio}", "PC": "{pieces}", "pcs": "{pieces}", "AU": "{AU}", "AU/mL": "{AU}/mL", "RU/mL": "{RU}/mL",
        "BAU/mL": "{BAU}/mL", "TCID50/mL": "{TCID50}/mL", "kg": "kg", "cd/m2": "cd/m2", "lux": "lx", "dB": "dB", "dBm": "dB{m}",
        "1E03/mm3": "10*3/uL", "1E06/mm3": "10*6/uL", "1E09/L": "10*9/L", "1E12/L": "10*12/L", "G/L": "10*9/L", "T/L": "10*12/L",
        "Gpt/L": "10*9/L", "Tpt/L": "10*12/L", "10^3/cmm": "10*3/uL", "10^6/cmm": "10*6/uL", "/mm3": "/uL", "/cmm": "/uL", "/cumm": "/uL",
        "cells/mm3": "{cells}/uL", "cells/cmm": "{cells}/uL", "cells/cumm": "{cells}/uL", "cell/uL": "{cells}/uL", "um^3": "um3",
        "FL": "fL", "PG": "pg", "Mg/dL": "mg/dL", "Mg/L": "mg/L", "gm/dL": "g/dL", "Gm/dL": "g/dL", "gms/dL": "g/dL", "gm%": "g/dL",
        "Ery/uL": "{Ery}/uL", "Leu/uL": "{Leu}/uL", "RBC/uL": "{RBC}/uL", "WBC/uL": "{WBC}/uL", "p/uL": "{particles}/uL",
        "p/HPF": "{particles}/[HPF]", "/HPF": "/[HPF]", "/hpf": "/[HPF]", "/LPF": "/[LPF]", "/lpf": "/[LPF]",
        "p/LPF": "{particles}/[LPF]", "cycle number": "{Ct}", "cycles": "{Ct}", "CT value": "{Ct}", "RLU": "{RLU}", "INR": "{INR}",
        "C.O.I": "{cutoff_index}", "C.O.I.": "{cutoff_index}", "Cutoff Index": "{cutoff_index}", "cut-off index": "{cutoff_index}",
        "S/Co": "{s_co_ratio}", "LOG copies/mL": "{Log_copies}/mL", "LOG IU/mL": "{Log_IU}/mL", "Log IU/mL": "{Log_IU}/mL",
        "lg IU/mL": "{Log_IU}/mL", "log cps/mL": "{Log_copies}/mL", "log(IU/mL)": "{Log_IU}/mL", "kUA/L": "{kUA}/L",
        "mm/hr": "mm/h", "mm/Hr": "mm/h", "mm/1h": "mm/h", "Sec": "s", "sec.": "s", "SEC": "s", "mmol/mol Hb": "mmol/mol",
        "%NGSP": "%", "% NGSP": "%", "% (NGSP)": "%", "mOsm/kg H2O": "mosm/kg", "mOsm/kgH2O": "mosm/kg", "mOsmol/kg": "mosm/kg",
        "mosmol/kg": "mosm/kg", "mOsm": "mosm", "mL/min/1.73m^2": "mL/min/{1.73_m2}", "EU/dL": "{EU}/dL",
        "c/uL": "{cells}/uL", "index/mL": "{index}/mL", "% IH": "%{inhibition}",
        "K/mm3": "10*3/uL", "M/mm3": "10*6/uL", "10x3/uL": "10*3/uL", "10x6/uL": "10*6/uL", "thousand/uL": "10*3/uL",
        "million/uL": "10*6/uL", "mg/24h": "mg/d", "g/24h": "g/d", "mmol/24h": "mmol/d", "ug FEU/mL": "ug{FEU}/mL", "mg FEU/L": "mg{FEU}/L",
        "µS/cm": "uS/cm", "uS/cm": "uS/cm", "mS/cm": "mS/cm", "mmol/mol": "mmol/mol", "mL/min/1.73m2": "mL/min/{1.73_m2}",
        "mL/min/1.73 m2": "mL/min/{1.73_m2}", "mL/min/1.73 m^2": "mL/min/{1.73_m2}", "Cell/uL": "{cells}/uL", "Cells/uL": "{cells}/uL",
        "Cells/mm3": "{cells}/uL", "cell/mm3": "{cells}/uL", "cells/mm^3": "{cells}/uL", "Cells/mL": "{cells}/mL",
        "cp/uL": "{copies}/uL", "Copies/uL": "{copies}/uL", "cps/uL": "{copies}/uL", "mg/g creat": "mg/g{creat}", "NTU": "{NTU}",
        "E3/uL": "10*3/uL", "E6/uL": "10*6/uL", "yr": "a", "yrs": "a", "years": "a", "GPL": "{GPL}", "MPL": "{MPL}",
    }
)  # fmt: skip

_LETTERS: Final = str.maketrans("µμ⁰¹²³⁴⁵⁶⁷⁸⁹×", "uu0123456789x")
_SUPERSCRIPT = re.compile("10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
# Cell counts: "10E3/uL", "x10^9/L", "10**6 /mm3", "10(9)/l" all name a power of ten per volume.
_POWER = re.compile(
    r"[xX*]?\s*(?:10(?:\s*(?:\*\*|\*|\^|[eE])\s*|\s*\(\s*|\s+)|1[eE]\+?)0?(\d{1,2})\)?\s*/\s*([a-z]?[lL]|[uU]L|mm\^?3)"
)
# No laboratory counts in megagrams: "Mg/ml" is a milligram in a capital letter, or not; nor in megamoles or teralitres.
_HUGE = re.compile(r"(?<![A-Za-z{\[])[MGTPEZY](?:g|mol|m|s|l|L|eq|osm|U|kat|\[)(?![A-Za-z])")
_LITRE = re.compile(r"\{[^{}]*\}|(?<![A-Za-z\[])([a-z]?)l(?![A-Za-z\]])")
_AROUND = re.compile(r"\s*/\s*")
# "103/uL" has lost its superscript, or means 103. Written in capitals "ML" is hardly a megalitre, nor "GN" (grains) a giganewton.
_SHOUTED = re.compile(r"(?<![A-Za-z{\[])[MGTPEZY][A-Z](?![a-z])|^10\d")

_FOLDED = re.compile(r"10(?:\*|\^)([+-]?\d{1,2})\.(\{[^{}]+\}.*)")
_FACTOR = re.compile(r"[x×*]?\s*10(?:\*|\^)([+-]?\d{1,2})\s*[.\s]\s*((?:copies|cp|IU|\{|\[).*)")
_COMPONENT = re.compile(
    r"(?:(10\*[+-]?\d+|10\^[+-]?\d+|\d+)|((?:[A-Za-z%]|\[[^\[\]]+\]|')+?)([+-]?\d+)?)?(\{[^{}]*\})?"
)


class UnitError(ValueError):
    """Not a UCUM unit we know, or not one that can become the other."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as factor and dimension; `zero` is the zero point of a temperature scale, in its own degrees."""

    factor: Decimal
    dimension: Dimension
    zero: Decimal = Decimal(0)


@lru_cache(maxsize=2048)
def parse(code: str) -> Unit:
    """The meaning of a UCUM code. Errors: UnitError."""
    if code in SPECIAL:
        factor, dimension, _ = ATOMS[code]
        return Unit(factor, dimension, SPECIAL[code])
    if not code or len(code) > 80 or not code.isascii() or " " in code:
        raise UnitError(f"{code!r} is not a UCUM unit")
    factor, total = Decimal(1), dict[str, int]()
    sign = 1
    for part in re.split(r"([./])(?![^{\[]*[}\]])", code if code[0] != "/" else "1" + code):
        if part in "./" and part:
            sign = -1 if part == "/" else 1
            continue
        piece_factor, piece = _component(part, code)
        factor = factor * piece_factor if sign > 0 else factor / piece_factor
        for name, exponent in piece:
            total[name] = total.get(name, 0) + sign * exponent
    return Unit(factor, tuple(sorted((name, power) for name, power in total.items() if power)))


def _component(text: str, code: str) -> tuple[Decimal, Dimension]:
    match = _COMPONENT.fullmatch(text)
    if not text or match is None:
        raise UnitError(f"{code!r} is not a UCUM unit")
    factor, dimension = _bare(match, code)
    # What is counted is part of what a number means: ng{FEU}/mL is not ng/mL, {copies} are not {cells}.
    return factor, (*dimension, (match[4].casefold(), 1)) if match[4] else dimension


def _bare(match: re.Match[str], code: str) -> tuple[Decimal, Dimension]:
    """A component without its annotation."""
    number, atom, exponent = match[1], match[2], int(match[3] or 1)
    if number:
        if number[:3] in ("10*", "10^"):
            return _ten(int(number[3:]), code), ()
        if not int(number):
            raise UnitError(f"{code!r} is not a UCUM unit")
        return Decimal(int(number)), ()
    if not atom:
        return Decimal(1), ()
    if atom in SPECIAL:
        raise UnitError(f"{atom} in {code!r}: a temperature scale does not multiply")
    factor, dimension = _atom(atom, code)
    if not -9 <= exponent <= 9:
        raise UnitError(f"{code!r} is not a UCUM unit")
    return factor**exponent, tuple((name, power * exponent) for name, power in dimension)


def _ten(power: int, code: str) -> Decimal:
    if abs(power) > 99:
        raise UnitError(f"{code!r} is not a UCUM unit")
    return Decimal(10) ** power


def _atom(atom: str, code: str) -> tuple[Decimal, Dimension]:
    if atom in ATOMS:
        factor, dimension, _ = ATOMS[atom]
        return factor, dimension
    for length in (1, 2):
        known = ATOMS.get(atom[length:])
        if known and known[2] and atom[:length] in PREFIXES:
            return PREFIXES[atom[:length]] * known[0], known[1]
    raise UnitError(f"{code!r} is not a UCUM unit: {atom!r} is not known")


def is_ucum(code: str) -> bool:
    """True for a code `parse` understands."""
    try:
        parse(code)
    except UnitError:
        return False
    return True


@lru_cache(maxsize=2048)
def from_text(text: str) -> str | None:
    """The UCUM code of a unit as an instrument prints it; None where it is not known for certain."""
    text = text.strip()
    if not text or len(text) > 80:
        return None
    plain = _SUPERSCRIPT.sub(r"10*\1", text).translate(_LETTERS)
    known = SPELLINGS.get(text) or SPELLINGS.get(text.translate(_LETTERS)) or SPELLINGS.get(plain)
    known = known or _tidied().get(_tidy(plain))
    if known:
        return known
    if power := _POWER.fullmatch(plain):
        volume = power[2].lower()
        return f"10*{power[1]}/{'uL' if volume[:2] == 'mm' else volume[:-1] + 'L'}"
    plain = _tidy(plain)
    if _SHOUTED.search(plain) or _HUGE.search(plain):
        return None
    return plain if is_ucum(plain) else None


def _tidy(text: str) -> str:
    """One spelling of the litre, and none of the blanks around a fraction's line."""
    text = _AROUND.sub("/", text) if " " in text else text
    return _LITRE.sub(lambda match: match[0] if match[1] is None else f"{match[1]}L", text)


@lru_cache(maxsize=1)
def _tidied() -> Mapping[str, str]:
    """The spellings, written one way; where two of them fall together they mean one thing."""
    return {_tidy(_SUPERSCRIPT.sub(r"10*\1", text).translate(_LETTERS)): code for text, code in SPELLINGS.items()}


@lru_cache(maxsize=2048)
def folded(unit: str) -> tuple[int, str] | None:
    """A power of ten in front of a counted thing: "10*-1.{copies}/mL" is (-1, "{copies}/mL").

    Cell counts such as 10*9/L are units of their own and stay.
    """
    match = _FOLDED.fullmatch(unit.strip()) or _FACTOR.fullmatch(unit.strip())
    return (int(match[1]), match[2]) if match else None


Convert = Callable[[Decimal], Decimal]


@lru_cache(maxsize=2048)
def converter(source: str, target: str, molar_mass: float | None = None) -> Convert:
    """A function from values in `source` to values in `target`. Errors: UnitError, saying why not."""
    one, other = parse(source), parse(target)
    factor = one.factor / other.factor
    if one.dimension != other.dimension:
        factor *= _by_molar_mass(one.dimension, other.dimension, molar_mass, source, target)
    if one.zero or other.zero:
        return lambda value: (value + one.zero) * factor - other.zero
    return lambda value: value * factor


def _by_molar_mass(one: Dimension, other: Dimension, molar_mass: float | None, source: str, target: str) -> Decimal:
    """g -> mol is division by g/mol, whichever place mass has in the unit."""
    refused = UnitError(f"{source} does not convert to {target}")
    mine, yours = dict(one), dict(other)
    moved = mine.get(MASS, 0) - yours.get(MASS, 0)
    if not moved or moved != yours.get(AMOUNT, 0) - mine.get(AMOUNT, 0):
        raise refused
    if {k: v for k, v in mine.items() if k not in (MASS, AMOUNT)} != {
        k: v for k, v in yours.items() if k not in (MASS, AMOUNT)
    }:
        raise refused
    if not molar_mass:
        raise UnitError(f"{source} to {target} needs the analyte's molar_mass in g/mol")
    return Decimal(str(molar_mass)) ** -moved
