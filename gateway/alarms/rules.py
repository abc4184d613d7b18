"""Conditions: what has been seen in, whether the alarm's condition holds out. Pure; bounded memory.

Values are judged by their own time: what is older than the latest seen neither raises nor clears. A value of bad
quality proves nothing. Clock ticks carry on delays and silences, so that a dead sensor cannot hold a delay still.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from gateway.alarms.when import When

MOST_POINTS = 240  # of a rate's window; more are thinned to its extremes


@dataclass(frozen=True, slots=True)
class Seen:
    """What of an observation the rules look at. Times are unix seconds."""

    seq: int
    device: str
    quantity: str
    kind: str
    value: float | str | bool | None
    comparator: str | None
    interpretation: str | None
    bad: bool
    time: float
    received: float
    unit: str = ""

    @classmethod
    def of(cls, seq: int, body: bytes) -> Seen:
        """From an observation as the journal has it."""
        row = orjson.loads(body)
        return cls(
            seq,
            row["device"],
            row["quantity"],
            row["kind"],
            row["value"],
            row["comparator"],
            row["interpretation"],
            row["quality"] == "bad",
            datetime.fromisoformat(row["time"]).timestamp(),
            datetime.fromisoformat(row["received"]).timestamp(),
            row["unit"] or "",
        )


class Condition(Protocol):
    """`holds` after every call; `explanation` says why in words."""

    holds: bool
    explanation: str
    value: float | str | bool | None

    def feed(self, seen: Seen) -> None: ...
    def tick(self, now: float) -> None: ...
    def set_back(self, now: float) -> None:
        """The clock was put back to `now`: nothing has been seen later than that."""
        ...

    def dump(self) -> list[Any]:
        """What must survive a restart, as JSON."""
        ...

    def load(self, state: list[Any]) -> None: ...


class _Delayed:
    """A condition that must last: true since a time, and long enough."""

    def __init__(self, delay: float) -> None:
        self.holds = False
        self.explanation = ""
        self.value: float | str | bool | None = None
        self._delay = delay
        self._since: float | None = None
        self._latest = -math.inf

    def _judge(self, is_true: bool, at: float) -> None:
        if not is_true:
            self._since, self.holds = None, False
            return
        if self._since is None:
            self._since = at
        if at - self._since >= self._delay:
            self.holds = True

    def _stale(self, seen: Seen) -> bool:
        """True for what is older than the latest seen."""
        if seen.time < self._latest:
            return True
        self._latest = seen.time
        return False

    def tick(self, now: float) -> None:
        if self._since is not None and now - self._since >= self._delay:
            self.holds = True

    def set_back(self, now: float) -> None:
        self._since = None if self._since is None else min(self._since, now)
        self._latest = min(self._latest, now)

    def dump(self) -> list[Any]:
        latest = None if self._latest == -math.inf else self._latest
        return [self.holds, self.explanation, self.value, self._since, latest]

    def load(self, state: list[Any]) -> None:
        self.holds, self.explanation, self.value, self._since, latest = state[:5]
        self._latest = -math.inf if latest is None else latest


class Threshold(_Delayed):
    """Above or below a limit, with a deadband on the way back."""

    def __init__(self, when: When) -> None:
        super().__init__(when.delay)
        self._when = when
        self._out = False

    def feed(self, seen: Seen) -> None:
        if seen.bad or isinstance(seen.value, bool | str) or seen.value is None or self._stale(seen):
            return
        out = self._outside(seen.value, seen.comparator)
        if out is None:
            return
        self._out = out
        self.value = seen.value
        self._judge(out, seen.time)
        if out:
            side, limit = ("above", self._when.above) if self._too_high(seen.value) else ("below", self._when.below)
            self.explanation = f"{seen.value:g} {seen.unit} is {side} {limit:g}".replace("  ", " ")

    def _too_high(self, value: float) -> bool:
        limit = self._when.above
        return limit is not None and value > (
            self._when.clear_below if self._out and self._when.clear_below is not None else limit
        )

    def _outside(self, value: float, comparator: str | None) -> bool | None:
        """Whether the value proves to be out of limits; None where a comparator leaves it open."""
        when = self._when
        high_back = when.clear_below if self._out and when.clear_below is not None else when.above
        low_back = when.clear_above if self._out and when.clear_above is not None else when.below
        high = high_back is not None and value > high_back
        low = low_back is not None and value < low_back
        if comparator in ("<", "<="):  # the true value is smaller still
            return low or (None if high else (None if when.below is not None else False))
        if comparator in (">", ">="):
            return high or (None if low else (None if when.above is not None else False))
        return high or low

    def dump(self) -> list[Any]:
        return [*super().dump(), self._out]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._out = state[5]


class Equals(_Delayed):
    """The value is one thing, for long enough."""

    def __init__(self, when: When) -> None:
        super().__init__(when.delay)
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


class Rate(_Delayed):
    """Rises or falls by so much within a window."""

    def __init__(self, when: When) -> None:
        super().__init__(0.0)
        self._when = when
        self._points: deque[tuple[float, float]] = deque()

    def feed(self, seen: Seen) -> None:
        if seen.bad or isinstance(seen.value, bool | str) or seen.value is None or seen.comparator or self._stale(seen):
            return
        window = self._when.within or 0.0
        points = self._points
        points.append((seen.time, float(seen.value)))
        while points and points[0][0] < seen.time - window:
            points.popleft()
        if len(points) > MOST_POINTS:
            self._thin()
        values = [value for _, value in points]
        self.value = seen.value
        risen, fallen = seen.value - min(values), max(values) - seen.value
        when = self._when
        out = (when.rises is not None and risen >= when.rises) or (when.falls is not None and fallen >= when.falls)
        if out:
            how, by = ("rose", risen) if when.rises is not None else ("fell", fallen)
            self.explanation = f"{how} by {by:g} {seen.unit} within {window:g} s".replace("  ", " ")
        self._judge(out, seen.time)

    def _thin(self) -> None:
        """Keep of each pair of neighbours the smaller and the larger alternately: extremes stay within a sample."""
        points = list(self._points)
        kept = [min(pair, key=lambda p: p[1]) if n % 2 else max(pair, key=lambda p: p[1])
                for n, pair in enumerate(zip(points[::2], points[1::2], strict=False))]  # fmt: skip
        self._points = deque([*kept, points[-1]])

    def set_back(self, now: float) -> None:
        super().set_back(now)
        self._points = deque(point for point in self._points if point[0] <= now)

    def dump(self) -> list[Any]:
        return [*super().dump(), list(self._points)]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._points = deque((time, value) for time, value in state[5])


class Silent(_Delayed):
    """Nothing received for so long."""

    def __init__(self, when: When) -> None:
        super().__init__(when.silent or 0.0)

    def start(self, now: float) -> None:
        """A device that never spoke is silent from here on."""
        if self._since is None:
            self._since = now

    def feed(self, seen: Seen) -> None:
        self._since = max(self._since or 0.0, seen.received)
        self.value = seen.value
        self.holds = False

    def tick(self, now: float) -> None:
        if self._since is not None and now - self._since >= self._delay:
            self.holds = True
            self.explanation = f"nothing received for {now - self._since:.0f} s"


class Unchanged(_Delayed):
    """Received, and always the same: the last change is not the last reception."""

    def __init__(self, when: When) -> None:
        super().__init__(when.unchanged or 0.0)

    def feed(self, seen: Seen) -> None:
        if seen.bad or self._stale(seen):
            return
        if self._since is None or seen.value != self.value:
            self.value, self._since, self.holds = seen.value, seen.time, False
        elif seen.time - self._since >= self._delay:
            self.holds = True
            self.explanation = f"{seen.value} without a change for {seen.time - self._since:.0f} s"

    def tick(self, now: float) -> None:
        """Only receptions count: a silent sensor is another alarm."""


class InvalidRate(_Delayed):
    """Too many of the last results are invalid."""

    FEWEST = 5

    def __init__(self, when: When) -> None:
        super().__init__(0.0)
        self._share = when.invalid or 1.0
        self._fewest = min(self.FEWEST, when.of_last)
        self._last: deque[bool] = deque(maxlen=when.of_last)

    def feed(self, seen: Seen) -> None:
        if seen.kind != "result":
            return
        self._last.append(seen.interpretation == "invalid")
        invalid, count = sum(self._last), len(self._last)
        self.value = invalid / count
        self.explanation = f"{invalid} of the last {count} results are invalid"
        self._judge(count >= self._fewest and invalid / count >= self._share, seen.received)

    def dump(self) -> list[Any]:
        return [*super().dump(), list(self._last)]

    def load(self, state: list[Any]) -> None:
        super().load(state)
        self._last.extend(state[5])


class Fault(_Delayed):
    """The device says something is wrong with it; over when it says that all is well."""

    def __init__(self, when: When) -> None:
        super().__init__(when.delay)

    def feed(self, seen: Seen) -> None:
        if seen.kind not in ("event", "status") or self._stale(seen):
            return
        self.value = seen.value
        self.explanation = f"it reports {seen.quantity}: {seen.value}"
        self._judge(seen.bad, seen.time)


class Told(_Delayed):
    """A condition the engine looks at itself (a sink, quarantine, the journal, a link)."""

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)

    def tell(self, is_true: bool, now: float, explanation: str, value: float | str | None = None) -> None:
        self.explanation, self.value = explanation, value
        self._judge(is_true, now)

    def feed(self, seen: Seen) -> None:
        """Observations say nothing about it."""


KINDS: tuple[tuple[str, Callable[[When], Condition]], ...] = (
    ("above", Threshold),
    ("below", Threshold),
    ("rises", Rate),
    ("falls", Rate),
    ("silent", Silent),
    ("unchanged", Unchanged),
    ("invalid", InvalidRate),
    ("fault", Fault),
    ("equals", Equals),
)


def build(when: When) -> Condition:
    """The condition of one alarm on one device and quantity; a `Told` where observations do not decide it."""
    for name, make in KINDS:
        if getattr(when, name) is not None:
            return make(when)
    return Told()


def by_device(when: When) -> bool:
    """True where one condition stands for a whole device rather than for each of its quantities."""
    return when.fault is not None or (when.quantity == "*" and (when.silent is not None or when.invalid is not None))
