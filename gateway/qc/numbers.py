"""The arithmetic of quality control: running mean and SD, sigma metric, moving average. Pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

ENOUGH: Final = 20  # points before statistics of a laboratory's own are used (CLSI C24: at least 20 ...
ENOUGH_DAYS: Final = 10  # ... over at least 10 days)


class Tally(NamedTuple):
    """Count, mean and squared deviations of values that come one by one (Welford 1962), and on how many days."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0
    days: int = 0
    day: int = -1  # of the last value, days since 1970

    def plus(self, value: float, day: int) -> Tally:
        n = self.n + 1
        delta = value - self.mean
        mean = self.mean + delta / n
        return Tally(n, mean, self.m2 + delta * (value - mean), self.days + (day > self.day), max(day, self.day))

    def minus(self, value: float) -> Tally:
        """Without a value that was added; its day stays."""
        n = self.n - 1
        if n <= 0:
            return Tally(days=self.days, day=self.day)
        mean = self.mean - (value - self.mean) / n
        return Tally(n, mean, max(0.0, self.m2 - (value - self.mean) * (value - mean)), self.days, self.day)

    @property
    def sd(self) -> float | None:
        """Of a sample (n - 1); None for fewer than two."""
        return math.sqrt(self.m2 / (self.n - 1)) if self.n > 1 else None

    @property
    def cv(self) -> float | None:
        """Percent of the mean; None where that is 0."""
        return 100 * self.sd / abs(self.mean) if self.sd is not None and self.mean else None

    @property
    def enough(self) -> bool:
        """True where mean and SD may take the place of given ones."""
        return self.n >= ENOUGH and self.days >= ENOUGH_DAYS and bool(self.sd)


def sigma(tea: float | None, true_value: float | None, tally: Tally) -> float | None:
    """(TEa - |bias|) / CV, all in percent; None where one of them is not known."""
    if tea is None or not true_value or not tally.cv:
        return None
    bias = 100 * abs(tally.mean - true_value) / abs(true_value)
    return (tea - bias) / tally.cv


class Average(NamedTuple):
    """m = r x + (1 - r) m, begun at the target."""

    mean: float
    n: int = 0

    def plus(self, value: float, weight: float, low: float | None, high: float | None) -> Average:
        if low is not None:
            value = max(value, low)
        if high is not None:
            value = min(value, high)
        return Average(weight * value + (1 - weight) * self.mean, self.n + 1)
