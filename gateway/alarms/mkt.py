"""Mean kinetic temperature: the one temperature at which as much would decay as at the many there were. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

ACTIVATION: Final = 83.144 / 8.3144e-3  # kelvin: dH/R with dH = 83.144 kJ/mol (ICH Q1A, USP <1079.2>)
ZERO: Final = 273.15  # kelvin at 0 degrees Celsius
HOTTEST: Final = 1e6  # degrees Celsius; beyond, the logarithm has no digits left


def mean_kinetic_temperature(pairs: Iterable[tuple[float, float]]) -> float:
    """Degrees Celsius, of (degrees Celsius, seconds it lasted). Never below the mean of the same pairs.

    T = (dH/R) / -ln(sum(t exp(-dH/(R T))) / sum(t)), temperatures in kelvin (USP <1079.2>). One pass, no memory.
    Errors: ValueError (nothing lasted, or what is no temperature: absolute zero and below, a million and above).
    """
    top, total, lasted = -math.inf, 0.0, 0.0  # the sum is kept as total * exp(top): far below zero exp alone is 0
    for celsius, seconds in pairs:
        if seconds <= 0:
            continue
        if not -ZERO < celsius < HOTTEST:
            raise ValueError(f"{celsius} degrees Celsius is no temperature")
        exponent = -ACTIVATION / (celsius + ZERO)
        if exponent > top:
            total *= math.exp(top - exponent)
            top = exponent
        total += seconds * math.exp(exponent - top)
        lasted += seconds
    if not lasted:
        raise ValueError("no temperature lasted for any time")
    return ACTIVATION / -(top + math.log(total / lasted)) - ZERO
