"""Conditions on what was seen over a time: changes, statistics, time out of limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.alarms.conditions.delayed import Delayed
from gateway.alarms.conditions.levels import Limits, Threshold
from gateway.alarms.conditions.seen import Seen
from gateway.alarms.conditions.window import Pace, Piece, Sum, Window
from gateway.alarms.conditions.words import spoken, tidy
from gateway.alarms.mkt import ACTIVATION, ZERO
from gateway.alarms.when import When

MOST: Final = 1e100  # a value beyond is no measurement, and its square no number


# ---- what can be summed up. Every piece but a change's begins with the seconds it stands for.


def added(one: Piece, other: Piece) -> Piece:
    return (one[0] + other[0], one[1] + other[1])


def extremes(one: Piece, other: Piece) -> Piece:
    """Seconds, least, greatest."""
    return (one[0] + other[0], min(one[1], other[1]), max(one[2], other[2]))


def moments(one: Piece, other: Piece) -> Piece:
    """Seconds, count, mean, sum of squares about the mean: nothing large is subtracted (Chan, Golub, LeVeque 1979)."""
    count = one[1] + other[1]
    apart = other[2] - one[2]
    mean = one[2] + apart * other[1] / count
    return (one[0] + other[0], count, mean, one[3] + other[3] + apart * apart * one[1] * other[1] / count)


def decays(one: Piece, other: Piece) -> Piece:
    """Seconds, the greatest exponent, and the sum of seconds * exp(-dH/RT - that exponent)."""
    top = max(one[1], other[1])
    return (one[0] + other[0], top, one[2] * math.exp(one[1] - top) + other[2] * math.exp(other[1] - top))


def _decay(value: float, seconds: float) -> Piece:
    return (seconds, -ACTIVATION / (value + ZERO), seconds)


def _kinetic(total: Piece) -> float | None:
    return ACTIVATION / -(total[1] + math.log(total[2] / total[0])) - ZERO if total[0] and total[2] else None


def _deviation(total: Piece) -> float | None:
    return math.sqrt(total[3] / (total[1] - 1)) if total[1] > 1 else None


@dataclass(frozen=True, slots=True)
class Statistic:
    """How a statistic is kept. `held`: a value is counted when it ends, by the time for which it was the newest."""

    of: Sum
    piece: Callable[[float, float], Piece]  # of a value and its seconds
    read: Callable[[Piece], float | None]
    held: bool = False


STATISTICS: Final[Mapping[str, Statistic]] = {
    "mean": Statistic(moments, lambda value, seconds: (seconds, 1.0, value, 0.0), lambda total: total[2]),
    "sd": Statistic(moments, lambda value, seconds: (seconds, 1.0, value, 0.0), _deviation),
    "min": Statistic(extremes, lambda value, seconds: (seconds, value, value), lambda total: total[1]),
    "max": Statistic(extremes, lambda value, seconds: (seconds, value, value), lambda total: total[2]),
    "mkt": Statistic(decays, _decay, _kinetic, held=True),
}


class Change(Delayed):
    """Rises or falls by so much within a window."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._rises, self._falls, self._within = when.rises, when.falls, when.within or 1.0
        self._window = Window(self._within, extremes)

    def feed(self, seen: Seen) -> None:
        value = seen.number
        if value is None or seen.comparator or not abs(value) < MOST or self._stale(seen):
            return
        _, least, greatest = self._window.add(seen.time, (0.0, value, value))
        self.value = value
        risen, fallen = value - least, greatest - value
        rose = self._rises is not None and risen >= self._rises
        fell = self._falls is not None and fallen >= self._falls
        how, by = ("fell", fallen) if fell or self._rises is None else ("rose", risen)
        self.explanation = tidy(f"{how} by {by:g} {seen.unit} within {spoken(self._within)}")
        self._judge(rose or fell, seen.time)

    def set_back(self, now: float) -> None:
        super().set_back(now)
        self._window.set_back(now)

    def dump(self) -> list[Any]:
        return [*super().dump(), self._window.dump()]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._window.load(state[6])


class _Paced(Threshold):
    """Over a window of samples, each of which stands for some time."""

    def __init__(self, when: When, of: Sum) -> None:
        super().__init__(when)
        self._within = when.within or 1.0
        self._window = Window(self._within, of)
        self._pace = Pace(when.gap)

    def set_back(self, now: float) -> None:
        super().set_back(now)
        self._window.set_back(now)
        self._pace.set_back(now)

    def dump(self) -> list[Any]:
        return [*super().dump(), self._window.dump(), self._pace.dump()]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._window.load(state[7])
        self._pace.load(state[8])


class Rolling(_Paced):
    """A statistic of the values in a window is above or below a limit. Judged once enough of the window was seen."""

    def __init__(self, when: When) -> None:
        self._name = when.statistic or "mean"
        self._statistic = STATISTICS[self._name]
        super().__init__(when, self._statistic.of)
        self._least = -ZERO if self._name == "mkt" else -MOST
        self._enough = when.covered * self._within
        self._held: float | None = None

    def feed(self, seen: Seen) -> None:
        value = seen.number
        if value is None or seen.comparator or not self._least < value < MOST or self._stale(seen):
            return
        seconds = self._pace.step(seen.time)
        counted = self._held if self._statistic.held else value
        self._held = value
        if counted is None:
            return
        total = self._window.add(seen.time, self._statistic.piece(counted, seconds))
        result = self._statistic.read(total)
        if result is None or total[0] < self._enough:
            self.value = result
            self.explanation = f"only {spoken(total[0])} of {spoken(self._within)} seen"
            self._undecided()
            return
        self._consider(result, seen.time, seen.unit, about=f"{self._name} of {spoken(self._within)}: ")

    def dump(self) -> list[Any]:
        return [*super().dump(), self._held]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._held = state[9]


class OutFor(_Paced):
    """Out of limits for so long in all, within a window: the pieces add up. A piece is the time from a value that was
    out to the next value."""

    def __init__(self, when: When) -> None:
        super().__init__(when, added)
        self._most = when.out_for or 0.0
        self._only = Limits(when.above, when.below, None, None)
        self._was_out = False

    def feed(self, seen: Seen) -> None:
        value = seen.number
        if value is None or self._stale(seen):
            return
        seconds = self._pace.step(seen.time)
        _, out = self._window.add(seen.time, (seconds, seconds if self._was_out else 0.0))
        self._was_out = bool(self._only.side(value, comparator=seen.comparator))
        self.value = value
        self.explanation = f"out of limits for {spoken(out)} in all within {spoken(self._within)}"
        self._judge(out >= self._most, seen.time)

    def dump(self) -> list[Any]:
        return [*super().dump(), self._was_out]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._was_out = state[9]
