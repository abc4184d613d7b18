"""What a value was over a time: least, most, mean, spread, mean kinetic temperature, time on either side. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from gateway.alarms.mkt import mean_kinetic_temperature

BATCH: Final = 2048  # pairs kept before they become one
SECOND: Final = 1_000_000  # microseconds


class Side(IntEnum):
    """Where a value stands. Equal to a limit is within it."""

    BELOW = -1
    WITHIN = 0
    ABOVE = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """In the unit of the quantity; None: there is none."""

    low: float | None = None
    high: float | None = None

    def side(self, value: float) -> Side:
        if self.high is not None and value > self.high:
            return Side.ABOVE
        if self.low is not None and value < self.low:
            return Side.BELOW
        return Side.WITHIN


@dataclass(slots=True)
class Tally:
    """Grows with each stretch of time a value stood. Times are microseconds.

    Mean, spread and mean kinetic temperature weigh each value with the time it stood.
    """

    celsius: Callable[[float], float] | None = None  # how the unit becomes degrees Celsius; None: no temperature
    samples: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    known: int = 0
    unknown: int = 0
    outside: dict[Side, int] = field(default_factory=lambda: {Side.BELOW: 0, Side.ABOVE: 0})
    _squares: float = 0.0  # sum of squared distances from the mean, times microseconds
    _pairs: list[tuple[float, float]] = field(default_factory=list)
    _unkinetic: bool = False  # a value no temperature can have: no mean of them is one

    def seen(self, value: float) -> None:
        """The value was there, for however short."""
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def stood(self, value: float, lasted: int, side: Side) -> None:
        """West's weighted mean and variance, one pass."""
        self.seen(value)
        self.known += lasted
        step = value - self.mean
        self.mean += step * lasted / self.known
        self._squares += lasted * step * (value - self.mean)
        if side is not Side.WITHIN:
            self.outside[side] += lasted
        if self.celsius is not None:
            self._pairs.append((self.celsius(value), lasted / SECOND))
            if len(self._pairs) > BATCH:
                self.fold()

    def fold(self) -> None:
        """Many pairs are as good as one that stands for them."""
        if len(self._pairs) < 2:
            return
        seconds = sum(pair[1] for pair in self._pairs)
        try:
            self._pairs = [(mean_kinetic_temperature(self._pairs), seconds)]
        except ValueError:
            self._unkinetic, self._pairs = True, []

    def add(self, other: Tally) -> None:
        """Take in what another saw (Chan, Golub and LeVeque: pairwise combination)."""
        self.samples += other.samples
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.unknown += other.unknown
        for side in self.outside:
            self.outside[side] += other.outside[side]
        both = self.known + other.known
        if other.known:
            step = other.mean - self.mean
            self._squares += other._squares + step * step * self.known / both * other.known
            self.mean += step * other.known / both
            self.known = both
        self._unkinetic = self._unkinetic or other._unkinetic
        self._pairs += other._pairs
        if len(self._pairs) > BATCH:
            self.fold()

    @property
    def extremes(self) -> tuple[float, float] | None:
        """Least and most; None where there was no value."""
        return (self.low, self.high) if self.low <= self.high else None

    @property
    def average(self) -> float | None:
        """None also where numbers are too large to be added up."""
        return self.mean if self.known and math.isfinite(self.mean) else None

    @property
    def spread(self) -> float | None:
        """Standard deviation, of all there was (not estimated from a sample)."""
        if not self.known or not math.isfinite(self._squares):
            return None
        return math.sqrt(max(0.0, self._squares / self.known))

    @property
    def kinetic(self) -> float | None:
        """Mean kinetic temperature in degrees Celsius; None where there is none."""
        if self._unkinetic or not self._pairs:
            return None
        try:
            return mean_kinetic_temperature(self._pairs)
        except ValueError:
            return None
