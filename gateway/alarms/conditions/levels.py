"""Conditions on the newest value: limits, states, faults, silence, and no change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gateway.alarms.conditions.delayed import Delayed
from gateway.alarms.conditions.seen import Seen
from gateway.alarms.conditions.words import spoken, tidy
from gateway.alarms.when import When


@dataclass(frozen=True, slots=True)
class Limits:
    """An upper and a lower limit, each with the place where an alarm on its side is over."""

    above: float | None
    below: float | None
    clear_below: float | None
    clear_above: float | None

    @classmethod
    def of(cls, when: When) -> Limits:
        return cls(when.above, when.below, when.clear_below, when.clear_above)

    def side(self, value: float, held: str = "", comparator: str | None = None) -> str | None:
        """ "above" or "below" where the value proves to be there, "" where it is within; None where a comparator
        leaves it open. `held`: the side on which an alarm holds, which is left only past its deadband."""
        high, low = self.above, self.below
        if held == "above" and self.clear_below is not None:
            high = self.clear_below
        if held == "below" and self.clear_above is not None:
            low = self.clear_above
        is_high = high is not None and value > high
        is_low = low is not None and value < low
        if comparator in ("<", "<="):  # the true value is smaller still
            return "below" if is_low else None if is_high or low is not None else ""
        if comparator in (">", ">="):
            return "above" if is_high else None if is_low or high is not None else ""
        return "above" if is_high else "below" if is_low else ""

    def words(self, value: float, side: str, unit: str = "") -> str:
        """ "-69 Cel is above -70"."""
        if not side:
            return tidy(f"{value:g} {unit} is within limits")
        limit, back, other = self.above, self.clear_below, "below"
        if side == "below":
            limit, back, other = self.below, self.clear_above, "above"
        if not self.side(value) and back is not None:
            return tidy(f"{value:g} {unit} is not {other} {back:g} yet")
        return tidy(f"{value:g} {unit} is {side} {limit:g}")


class Threshold(Delayed):
    """Above or below a limit. The deadband is the way back only: a delay runs while the limit itself is passed."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._limits = Limits.of(when)
        self._side = ""

    def feed(self, seen: Seen) -> None:
        value = seen.number
        if value is None or self._stale(seen):
            return
        self._consider(value, seen.time, seen.unit, seen.comparator)

    def _consider(self, value: float, at: float, unit: str, comparator: str | None = None, about: str = "") -> None:
        side = self._limits.side(value, self._side if self.holds else "", comparator)
        if side is None:
            return
        if side:
            self._side = side
        self.value = value
        self.explanation = about + self._limits.words(value, side, unit)
        self._judge(bool(side), at)

    def dump(self) -> list[Any]:
        return [*super().dump(), self._side]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._side = state[6]


class Equals(Delayed):
    """The value is one thing."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._wanted = when.equals

    def feed(self, seen: Seen) -> None:
        if seen.bad or self._stale(seen):
            return
        value, wanted = seen.value, self._wanted
        if isinstance(wanted, str):
            same = wanted.casefold() in (str(value).casefold(), (seen.interpretation or "").casefold())
        else:
            same = value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
        self.value = value
        self.explanation = f"it is {value}"
        self._judge(same, seen.time)


class Fault(Delayed):
    """The device says something is wrong with it; over when it says that all is well."""

    def feed(self, seen: Seen) -> None:
        if seen.kind not in ("event", "status") or self._stale(seen):
            return
        self.value = seen.value
        self.explanation = f"it reports {seen.quantity}: {seen.value}"
        self._judge(seen.bad, seen.time)


class Silent(Delayed):
    """Nothing received for so long. Only arrivals count, whatever time the observations are of."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._after = when.silent or 0.0

    @property
    def latest(self) -> float:
        return -math.inf

    def start(self, now: float) -> None:
        """A device that never spoke is silent from here on."""
        if self._latest == -math.inf:
            self._latest = self._received = now

    def feed(self, seen: Seen) -> None:
        self._latest = self._received = max(self._received, seen.received)
        self.value = seen.value
        self._judge(False, self._received)

    def tick(self, now: float) -> None:
        quiet = now - self._received
        if self._latest > -math.inf and quiet >= self._after:
            self.explanation = f"nothing received for {spoken(quiet)}"
            self._judge(True, now)
        else:
            super().tick(now)


class Unchanged(Delayed):
    """Received, and always the same: the last change is not the last reception."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._after = when.unchanged or 0.0
        self._changed: float | None = None

    def feed(self, seen: Seen) -> None:
        if seen.bad or self._stale(seen):
            return
        if self._changed is None or seen.value != self.value:
            self.value, self._changed = seen.value, seen.time
        same = seen.time - self._changed
        if same >= self._after:
            self.explanation = f"{seen.value} without a change for {spoken(same)}"
        self._judge(same >= self._after, seen.time)

    def set_back(self, now: float) -> None:
        super().set_back(now)
        self._changed = None if self._changed is None else min(self._changed, now)

    def dump(self) -> list[Any]:
        return [*super().dump(), self._changed]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._changed = state[6]
