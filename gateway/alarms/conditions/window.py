"""What was seen in the last so-and-so long, at a cost that does not depend on how long.

A window is sixty steps of equal length and the one that is running; each keeps a sum of its samples (of whatever can
be summed up: durations, extremes, moments). It moves a step at a time, so it covers at least what it is to, and at
most a sixtieth more. The sums of the steps are kept in two stacks, so that a sample costs one summing up, and a step
at most three more over time: nothing is ever subtracted, so nothing is rounded away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

STEPS: Final = 60
NEAR: Final = 300.0  # seconds between samples that still belong together, whatever their usual period
PERIODS: Final = 3.0  # or so many of their usual periods
KNOWN: Final = 5  # periods the usual one is taken from

Piece = tuple[float, ...]
Sum = Callable[[Piece, Piece], Piece]


class Window:
    """`of(one, other)` sums up two pieces of one kind; the order in which it is done must not matter."""

    def __init__(self, within: float, of: Sum) -> None:
        self._width = within / STEPS
        self._of = of
        self._begin()

    def _begin(self) -> None:
        self._at = 0  # the running step, counted from 1970
        self._running: Piece | None = None
        self._older: list[tuple[int, Piece]] = []  # oldest last; each summed up with all younger ones of this stack
        self._newer: list[tuple[int, Piece]] = []
        self._newer_sum: Piece | None = None
        self._closed: Piece | None = None  # all steps but the running one

    def add(self, time: float, piece: Piece) -> Piece:
        """Put a piece in, not older than the newest; the window's sum. `time` in unix seconds."""
        step = int(time // self._width)
        if self._running is None:
            self._at, self._running = step, piece
        elif step <= self._at:
            self._running = self._of(self._running, piece)
        else:
            self._close(step - STEPS)
            self._at, self._running = step, piece
        return self._running if self._closed is None else self._of(self._closed, self._running)

    def _close(self, oldest: int) -> None:
        """The running step is over; steps before `oldest` are out of the window."""
        if self._running is not None:
            self._push(self._at, self._running)
        self._leave(oldest)
        if not self._older and self._newer and self._newer[0][0] < oldest:
            self._turn()
            self._leave(oldest)
        parts = [part for part in (self._older[-1][1] if self._older else None, self._newer_sum) if part is not None]
        self._closed = self._of(*parts) if len(parts) == 2 else parts[0] if parts else None

    def _push(self, step: int, piece: Piece) -> None:
        self._newer.append((step, piece))
        self._newer_sum = piece if self._newer_sum is None else self._of(self._newer_sum, piece)

    def _leave(self, oldest: int) -> None:
        while self._older and self._older[-1][0] < oldest:
            self._older.pop()

    def _turn(self) -> None:
        total: Piece | None = None
        for step, piece in reversed(self._newer):
            total = piece if total is None else self._of(total, piece)
            self._older.append((step, total))
        self._newer, self._newer_sum = [], None

    def set_back(self, now: float) -> None:
        """The clock was put back to `now`: the window goes with it, unless by more than its whole length."""
        by = self._at - int(now // self._width)
        if by > STEPS:
            self._begin()
        elif by > 0:
            self._at -= by
            self._older = [(step - by, piece) for step, piece in self._older]
            self._newer = [(step - by, piece) for step, piece in self._newer]

    def dump(self) -> list[Any]:
        return [self._at, self._running, self._older, self._newer]

    def load(self, state: list[Any]) -> None:
        self._begin()
        self._at, running, older, newer = state
        self._running = None if running is None else tuple(running)
        self._older = [(step, tuple(piece)) for step, piece in older]
        for step, piece in newer:
            self._push(step, tuple(piece))
        oldest = self._older[-1][1] if self._older else None
        parts = [part for part in (oldest, self._newer_sum) if part is not None]
        self._closed = self._of(*parts) if len(parts) == 2 else parts[0] if parts else None


class Pace:
    """How long a sample stands for: until the next, where that comes soon enough to say what was between."""

    def __init__(self, gap: float | None) -> None:
        self._gap = gap
        self._last: float | None = None
        self._passed: deque[float] = deque(maxlen=KNOWN)

    def step(self, time: float) -> float:
        """Seconds since the sample before; 0 for the first and after a gap."""
        passed = 0.0 if self._last is None else time - self._last
        most = self._most()
        self._last = time
        if passed > 0:
            self._passed.append(passed)
        return passed if passed <= most else 0.0

    def _most(self) -> float:
        if self._gap is not None:
            return self._gap
        usual = sorted(self._passed)[len(self._passed) // 2] if len(self._passed) > KNOWN // 2 else 0.0
        return max(NEAR, PERIODS * usual)

    def set_back(self, now: float) -> None:
        self._last = None if self._last is None else min(self._last, now)

    def dump(self) -> list[Any]:
        return [self._last, list(self._passed)]

    def load(self, state: list[Any]) -> None:
        self._last, passed = state
        self._passed = deque(passed, maxlen=KNOWN)
