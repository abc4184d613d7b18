"""What all conditions share: an on-delay, an off-delay, and the clock that carries both on."""

from __future__ import annotations

import math
from typing import Any

from gateway.alarms.conditions.seen import Seen
from gateway.alarms.conditions.words import rule
from gateway.alarms.when import When


class Delayed:
    """True for long enough before it holds (`for`), false for long enough before it ends to (`clear_for`).

    Both run on the observations' own times. Between observations the clock carries them on, so that a dead sensor
    cannot hold a delay still; and only from the arrival of the newest, so that data which waited elsewhere does not
    look as if it had lasted all the while.
    """

    def __init__(self, when: When | None = None) -> None:
        self.holds = False
        self.explanation = ""
        self.value: float | str | bool | None = None
        self._when = when
        self._delay = when.delay if when else 0.0
        self._clear_for = when.clear_for if when else 0.0
        self._since: float | None = None  # true without a break since
        self._over: float | None = None  # holds, and false without a break since
        self._latest = -math.inf  # the newest observation's own time
        self._received = -math.inf  # and its arrival

    @property
    def latest(self) -> float:
        return self._latest

    def rule(self) -> str:
        return rule(self._when) if self._when else ""

    def _judge(self, is_true: bool, at: float) -> None:
        if is_true:
            self._over = None
            if self._since is None:
                self._since = at
        else:
            self._since = None
            if self.holds and self._over is None:
                self._over = at
        self._last(at)

    def _undecided(self) -> None:
        """It cannot be known: what holds goes on to, and no delay runs."""
        self._since = self._over = None

    def _last(self, at: float) -> None:
        """Let delays that are over at `at` have their effect."""
        if self._since is not None and at - self._since >= self._delay:
            self.holds = True
        if self._over is not None and at - self._over >= self._clear_for:
            self.holds, self._over = False, None

    def _stale(self, seen: Seen) -> bool:
        """True for what is older than the newest seen."""
        if seen.time < self._latest:
            return True
        self._latest, self._received = seen.time, seen.received
        return False

    def _clock(self, now: float) -> float:
        """`now` as the observations' own time would be."""
        return self._latest + max(0.0, now - self._received)

    def tick(self, now: float) -> None:
        if self._latest > -math.inf:
            self._last(self._clock(now))

    def set_back(self, now: float) -> None:
        self._since = None if self._since is None else min(self._since, now)
        self._over = None if self._over is None else min(self._over, now)
        self._latest = min(self._latest, now)
        self._received = min(self._received, now)

    def dump(self) -> list[Any]:
        newest = None if self._latest == -math.inf else [self._latest, self._received]
        return [self.holds, self.explanation, self.value, self._since, self._over, newest]

    def load(self, state: list[Any]) -> None:
        self.holds, self.explanation, self.value, self._since, self._over, newest = state[:6]
        self._latest, self._received = newest or (-math.inf, -math.inf)


class Told(Delayed):
    """A condition the engine looks at itself (a sink, quarantine, the journal, a link)."""

    def __init__(self, delay: float = 0.0, when: When | None = None) -> None:
        super().__init__(when)
        self._delay = delay

    def tell(self, is_true: bool, now: float, explanation: str, value: float | str | None = None) -> None:
        self.explanation, self.value = explanation, value
        self._latest = self._received = now
        self._judge(is_true, now)

    def feed(self, seen: Seen) -> None:
        """Observations say nothing about it."""
