"""What every model is: seeded, stepped by model time, pure; no wall clock.

`draw(now)` gives what a driver's `encode` takes. A reading model is stepped by the time since its last draw; a
result model makes one run a draw, each specimen once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

Drawn = Mapping[str, Any]
LONGEST_STEP: Final = 5.0  # seconds of physics at once


class Model(Protocol):
    """One instrument's world."""

    def draw(self, now: datetime) -> Drawn: ...

    def happen(self, event: str) -> None:
        """Something happens to it: an event of a scenario. ValueError where the model knows no such event."""
        ...


class Stepped:
    """Advances `step(dt)` in small steps to the time asked for."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._at: datetime | None = None

    def advance(self, now: datetime) -> None:
        left = (now - self._at).total_seconds() if self._at else 0.0
        self._at = now
        while left > 0:
            step = min(left, LONGEST_STEP)
            self.step(step)
            left -= step

    def step(self, dt: float) -> None:
        raise NotImplementedError

    def happen(self, event: str) -> None:
        raise ValueError(f"{type(self).__name__} knows no event {event!r}")


class Specimens:
    """Specimens one after the other."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0
        self._name = f"{rng.randrange(16**4):04X}"

    def specimen(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self._name}-{self.count:05d}"

    def happen(self, event: str) -> None:
        raise ValueError(f"{type(self).__name__} knows no event {event!r}")


@dataclass(slots=True)
class Clock:
    """Model time: starts with the real one and runs `speed` times as fast."""

    started: datetime
    speed: float = 1.0

    def at(self, elapsed: float) -> datetime:
        return self.started + timedelta(seconds=elapsed * self.speed)
