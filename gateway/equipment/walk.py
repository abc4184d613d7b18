"""One walk through a period's samples in the order of their times: everything a report counts. Pure, bounded memory.

A value stands until the next sample. Where that comes later than `gap`, nothing is known between the two: no value is
carried over. A sample that is left out (its quality, another unit) ends what stood before it, and nothing is known
until the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.equipment.excursions import Excursions, Gap, Longest
from gateway.equipment.tally import Limits, Side, Tally

COLUMNS: Final = 600  # of the trace
ABOVE, BELOW, UNKNOWN = 1, 2, 4  # what happened in a column, bit by bit
_BIT: Final = {Side.ABOVE: ABOVE, Side.BELOW: BELOW, Side.WITHIN: 0}


class Sample(NamedTuple):
    """`value` None: it is left out, for the reason. `late`: microseconds from its time to its arrival."""

    time: int  # microseconds since 1970
    value: float | None
    reason: str = ""
    said: float | None = None  # the number of a sample that is left out
    late: int = 0


@dataclass(slots=True)
class LeftOut:
    """Samples of one reason, and what they would have said."""

    count: int = 0
    low: float | None = None
    high: float | None = None

    def add(self, said: float | None) -> None:
        self.count += 1
        if said is not None:
            self.low = said if self.low is None else min(self.low, said)
            self.high = said if self.high is None else max(self.high, said)


@dataclass(slots=True)
class Trace:
    """Columns of equal width: least and most of each, and what happened in it. An average would hide a peak."""

    start: int
    end: int
    low: list[float | None] = field(default_factory=lambda: [None] * COLUMNS)
    high: list[float | None] = field(default_factory=lambda: [None] * COLUMNS)
    marks: list[int] = field(default_factory=lambda: [0] * COLUMNS)

    def mark(self, start: int, end: int, bit: int, value: float | None = None) -> None:
        """From start up to, not including, end; at least where start is."""
        span = self.end - self.start
        first, last = (start - self.start) * COLUMNS // span, (max(start, end - 1) - self.start) * COLUMNS // span
        for n in range(first, last + 1):
            self.marks[n] |= bit
            if value is not None:
                low, high = self.low[n], self.high[n]
                if low is None or value < low:
                    self.low[n] = value
                if high is None or value > high:
                    self.high[n] = value


class Walk:
    """Fed with samples in the order of time: the last before the period, those in it, the first after it."""

    def __init__(
        self, edges: Sequence[int], limits: Limits, gap: int, celsius: Callable[[float], float] | None
    ) -> None:
        """`edges`: where the parts of the period begin, and its end."""
        self.since, self.until = edges[0], edges[-1]
        self.parts = [Tally(celsius) for _ in edges[1:]]
        self.trace = Trace(self.since, self.until)
        self.excursions = Excursions(limits, self.since)
        self.gaps: Longest[Gap] = Longest()
        self.silent = 0  # microseconds in gaps
        self.left_out: dict[str, LeftOut] = {}
        self.late = 0  # samples that came later than `gap` after their time
        self.latest = 0  # microseconds
        self._edges, self._limits, self._gap, self._celsius = edges, limits, gap, celsius
        self._part = 0
        self._last: Sample | None = None

    def feed(self, sample: Sample) -> None:
        """Errors: none; samples must not go back in time."""
        last = self._last
        self._between(last, sample.time, known=last is not None and sample.time - last.time <= self._gap)
        self._last = sample
        if not self.since <= sample.time < self.until:
            return
        self._reach(sample.time)
        self.parts[self._part].samples += 1
        if 0 < self._gap < sample.late:
            self.late += 1
            self.latest = max(self.latest, sample.late)
        if sample.value is None:
            self.left_out.setdefault(sample.reason, LeftOut()).add(sample.said)

    def finish(self) -> Tally:
        """No sample comes any more; what the whole period was."""
        last = self._last
        if last is None or last.time < self.until:
            self._between(last, self.until, known=last is not None and self.until - last.time <= self._gap)
        self.excursions.finish()
        whole = Tally(self._celsius)
        for part in self.parts:
            whole.add(part)
        return whole

    def _between(self, last: Sample | None, time: int, *, known: bool) -> None:
        """From one sample to the next. `known`: what was said last stands until then."""
        start, end = max(last.time, self.since) if last else self.since, min(time, self.until)
        if last is not None and last.value is not None:
            if known and last.time < self.since <= time:
                self.excursions.before(last.value)
            if known and start < end:
                self._stood(start, end, last.value)
                return
            if start == last.time < self.until:
                self._seen(start, last.value)
        if start >= end:
            return
        if not known:
            self.gaps.add(Gap(start, end))
            self.silent += end - start
        self.excursions.unknown()
        self.trace.mark(start, end, UNKNOWN)
        for part, lasted in self._split(start, end):
            part.unknown += lasted

    def _seen(self, at: int, value: float) -> None:
        """It was there for a moment, nobody knows how long."""
        side = self._limits.side(value)
        self.parts[self._part].seen(value)
        self.trace.mark(at, at, _BIT[side], value)
        self.excursions.seen(at, value, side)

    def _stood(self, start: int, end: int, value: float) -> None:
        side = self._limits.side(value)
        self.excursions.stood(start, end, value, side)
        self.trace.mark(start, end, _BIT[side], value)
        for part, lasted in self._split(start, end):
            part.stood(value, lasted, side)

    def _reach(self, time: int) -> None:
        while time >= self._edges[self._part + 1]:
            self.parts[self._part].fold()  # nothing is added to it any more
            self._part += 1

    def _split(self, start: int, end: int) -> Iterator[tuple[Tally, int]]:
        """The parts a stretch runs through, and for how long through each."""
        while start < end:
            self._reach(start)
            stop = min(end, self._edges[self._part + 1])
            yield self.parts[self._part], stop - start
            start = stop
