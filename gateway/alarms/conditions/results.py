"""Conditions on results: shares and counts of them, and the lots they were made with."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right, insort
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from drivers.kit.values import device_time
from gateway.alarms.conditions.delayed import Delayed
from gateway.alarms.conditions.seen import Seen
from gateway.alarms.conditions.words import spoken
from gateway.alarms.when import When

POSITIVE: Final = frozenset({"positive", "detected", "reactive"})
DECIDED: Final = POSITIVE | {"negative", "not-detected", "non-reactive"}
FEWEST: Final = 5  # results before a share is one
MOST_LOTS: Final = 8  # in use at a time
MOST_NAMES: Final = 64  # quantities whose lots are watched


class _Series:
    """The newest results in order of their own time, and how many of them count: of the last, and of those before."""

    def __init__(self, last: int, before: int) -> None:
        self._last, self._most = last, last + before
        self.entries: list[tuple[float, bool]] = []
        self.recent = self.earlier = 0

    def put(self, time: float, counts: bool) -> None:
        place = bisect_right(self.entries, time, key=lambda entry: entry[0])
        self.entries.insert(place, (time, counts))
        border = len(self.entries) - self._last  # of the entries before it, that at border - 1 has just passed it
        if place < border:
            self.earlier += counts
        else:
            self.recent += counts
            if border > 0:
                self.recent -= self.entries[border - 1][1]
                self.earlier += self.entries[border - 1][1]
        if len(self.entries) > self._most:
            self.earlier -= self.entries.pop(0)[1]

    def set_back(self, now: float) -> None:
        self.entries = [(min(time, now), counts) for time, counts in self.entries]

    @property
    def full(self) -> bool:
        return len(self.entries) == self._most

    def load(self, entries: list[list[Any]]) -> None:
        self.entries = [(time, counts) for time, counts in entries]
        border = max(0, len(entries) - self._last)
        self.earlier = sum(counts for _, counts in self.entries[:border])
        self.recent = sum(counts for _, counts in self.entries[border:])


class Share(Delayed):
    """Too many of the last results are invalid, or positive. Last is by their own times: one that comes late takes its
    place among them, as analysers send results in any order."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._invalid = when.invalid is not None
        self._limit = (when.invalid if self._invalid else when.positive) or 1.0
        self._times = when.over_baseline
        self._of_last = when.of_last
        self._before = when.baseline if self._times is not None else 0
        self._by_lot = when.per == "lot"
        self._lots: dict[str, _Series] = {}

    @property
    def latest(self) -> float:
        (series,) = self._lots.values() if len(self._lots) == 1 and not self._by_lot else (None,)
        return series.entries[0][0] if series and series.full else -math.inf

    def feed(self, seen: Seen) -> None:
        verdict = seen.interpretation
        if seen.kind != "result" or seen.corrects or not (self._invalid or verdict in DECIDED):
            return  # a correction has been counted
        lot = (seen.lot or "") if self._by_lot else ""
        series = self._lots.get(lot) or self._opened(lot)
        series.put(seen.time, verdict == "invalid" if self._invalid else verdict in POSITIVE)
        if self._stale(seen) and self._by_lot:
            return  # the newest result's lot is the one that is judged
        self._weigh(series, lot)

    def _opened(self, lot: str) -> _Series:
        if len(self._lots) == MOST_LOTS:
            del self._lots[min(self._lots, key=lambda one: self._lots[one].entries[-1][0])]
        series = self._lots[lot] = _Series(self._of_last, self._before)
        return series

    def _weigh(self, series: _Series, lot: str) -> None:
        count = min(len(series.entries), self._of_last)
        share = series.recent / count
        is_true = count >= min(FEWEST, self._of_last) and share >= self._limit
        name = "invalid" if self._invalid else "positive"
        self.value = share
        self.explanation = f"{series.recent} of the last {count} results{' of lot ' + lot if lot else ''} are {name}"
        if self._times is not None:
            earlier = len(series.entries) - count
            if count < self._of_last or earlier < self._before / 2:
                self.explanation += f", {earlier} results before them are too few to compare"
                self._undecided()
                return
            is_true = is_true and share >= self._times * series.earlier / earlier
            self.explanation += f", {series.earlier} of the {earlier} before"
        self._judge(is_true, self._latest)

    def set_back(self, now: float) -> None:
        super().set_back(now)
        for series in self._lots.values():
            series.set_back(now)

    def dump(self) -> list[Any]:
        return [*super().dump(), [[lot, series.entries] for lot, series in self._lots.items()]]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._lots = {}
        for lot, entries in state[6]:
            self._lots[lot] = _Series(self._of_last, self._before)
            self._lots[lot].load(entries)


class Positives(Delayed):
    """So many positive results within a window: the time since the so-manieth last is no longer than it."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._count, self._within = when.positives or 1, when.within or 1.0
        self._times: list[float] = []  # of the newest positive ones, oldest first

    @property
    def latest(self) -> float:
        return self._times[0] if len(self._times) == self._count else -math.inf

    def feed(self, seen: Seen) -> None:
        if seen.kind != "result" or seen.corrects:
            return
        if seen.interpretation in POSITIVE:
            insort(self._times, seen.time)
            del self._times[: -self._count]
        self._stale(seen)
        self._weigh(self._latest)

    def _weigh(self, clock: float) -> None:
        count = len(self._times) - bisect_left(self._times, clock - self._within)
        self.value = count
        self.explanation = f"{count} positive results within {spoken(self._within)}"
        self._judge(count >= self._count, clock)

    def tick(self, now: float) -> None:
        if self._latest > -math.inf:
            self._weigh(self._clock(now))

    def set_back(self, now: float) -> None:
        super().set_back(now)
        self._times = [min(time, now) for time in self._times]

    def dump(self) -> list[Any]:
        return [*super().dump(), self._times]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._times = state[6]


class LotExpires(Delayed):
    """A lot in use is expired or soon will be: the newest lot of each quantity. An expiry lasts through its day or
    month, in UTC."""

    def __init__(self, when: When) -> None:
        super().__init__(when)
        self._ahead = when.lot_expires or 0.0
        self._lots: dict[str, tuple[str, float]] = {}

    def feed(self, seen: Seen) -> None:
        if seen.kind not in ("result", "qc", "status") or (not seen.lot and not seen.lot_expiry) or self._stale(seen):
            return
        ends = expiry(seen.lot_expiry or "")
        self._lots.pop(seen.quantity, None)
        if ends is not None:
            if len(self._lots) == MOST_NAMES:
                del self._lots[next(iter(self._lots))]
            self._lots[seen.quantity] = (seen.lot or "", ends)
        self._weigh(self._latest)

    def _weigh(self, clock: float) -> None:
        if not self._lots:
            return self._judge(False, clock)
        lot, ends = min(self._lots.values(), key=lambda one: one[1])
        left = ends - clock
        self.value = lot
        when = f"expires in {spoken(left)}" if left > 0 else f"expired {spoken(-left)} ago"
        self.explanation = f"lot {lot} {when}".replace("lot  ", "a lot ")
        return self._judge(left <= self._ahead, clock)

    def tick(self, now: float) -> None:
        if self._latest > -math.inf:
            self._weigh(self._clock(now))

    def dump(self) -> list[Any]:
        return [*super().dump(), [[name, lot, ends] for name, (lot, ends) in self._lots.items()]]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._lots = {name: (lot, ends) for name, lot, ends in state[6]}


_MONTH = re.compile(r"(\d{4})-?(0[1-9]|1[0-2])")


@lru_cache(maxsize=512)
def expiry(text: str) -> float | None:
    """Unix seconds at which an expiry as instruments write it is over; None where it is none that is understood."""
    month = _MONTH.fullmatch(text.strip())
    try:
        if month:
            year, number = int(month[1]), int(month[2])
            day = datetime(year, number, monthrange(year, number)[1], tzinfo=UTC)
            return (day + timedelta(days=1)).timestamp()
        read = device_time(text)
        if read is None:
            return None
        local = read.local if read.local.tzinfo else read.local.replace(tzinfo=UTC)
        return (local + timedelta(days=read.precision == "day")).timestamp()
    except (ValueError, OverflowError):
        return None
