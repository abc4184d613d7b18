"""Excursions: stretches of time on one side of the limits, and how far. Pure; of many the longest are kept."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from gateway.equipment.tally import SECOND, Limits, Side

MOST: Final = 200  # excursions, or gaps, that are listed
MINUTE: Final = 60 * SECOND

BEFORE: Final = "before the period"
AFTER: Final = "after the period"
UNKNOWN: Final = "not known"  # before or behind it nothing is known


class Excursion(NamedTuple):
    """Microseconds since 1970; `area` in unit-minutes outside the limit."""

    start: int
    end: int
    side: Side
    extreme: float
    area: float
    begun: str = ""  # BEFORE or UNKNOWN where its start is not its beginning
    ended: str = ""  # AFTER or UNKNOWN where its end is not its ending


class Gap(NamedTuple):
    """A time in which nothing was received. Microseconds since 1970."""

    start: int
    end: int


Stretch = TypeVar("Stretch", Excursion, Gap)


@dataclass(slots=True)
class Longest(Generic[Stretch]):
    """The longest stretches of many, and how many there were."""

    most: int = MOST
    count: int = 0
    _heap: list[tuple[int, int, Stretch]] = field(default_factory=list)

    def add(self, one: Stretch) -> None:
        self.count += 1
        entry = (one.end - one.start, -self.count, one)  # of equal ones the earlier
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def listed(self) -> list[Stretch]:
        """In the order of time."""
        return [one for _, _, one in sorted(self._heap, key=lambda entry: -entry[1])]


class Excursions:
    """Told in the order of time what stood, and where nothing is known."""

    def __init__(self, limits: Limits, since: int) -> None:
        self._limits, self._since = limits, since
        self._former: Side | None = None  # what stood just before; None: nothing is known
        self._now: Excursion | None = None
        self.found: Longest[Excursion] = Longest()

    def before(self, value: float | None) -> None:
        """What stood just before the period."""
        self._former = None if value is None else self._limits.side(value)

    def seen(self, at: int, value: float, side: Side) -> None:
        """A value was there at that moment."""
        now = self._now
        if now is not None and now.side is not side:
            self._close("")
            now = None
        if side is not Side.WITHIN:
            if now is None:
                begun = UNKNOWN if self._former is None else ""
                if at == self._since and self._former is side:
                    begun = BEFORE
                self._now = Excursion(at, at, side, value, 0.0, begun)
            elif (value > now.extreme) == (side is Side.ABOVE):
                self._now = now._replace(extreme=value)
        self._former = side

    def stood(self, start: int, end: int, value: float, side: Side) -> None:
        self.seen(start, value, side)
        if self._now is not None:
            limit = self._limits.high if side is Side.ABOVE else self._limits.low
            area = abs(value - (limit or 0.0)) * (end - start) / MINUTE
            self._now = self._now._replace(end=end, area=self._now.area + area)

    def unknown(self) -> None:
        """Nothing is known from here on: an excursion is not carried over."""
        self._close(UNKNOWN)
        self._former = None

    def finish(self) -> None:
        """The period is over; what stands at its end goes on, as far as is known."""
        self._close(AFTER)

    def _close(self, ended: str) -> None:
        if self._now is not None:
            self.found.add(self._now._replace(ended=ended))
            self._now = None
