"""A wall clock that goes as it is told, in this process alone; the monotonic one goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path


class Clock:
    """Reads how far ahead to be (`{"ahead": seconds}`) from a file, again whenever that changes."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._stamp = self._ahead = 0
        self._real = time.time_ns

    def nanoseconds(self) -> int:
        try:
            stamp = self._control.stat().st_mtime_ns
            if stamp != self._stamp:
                self._ahead = int(json.loads(self._control.read_bytes())["ahead"] * 1e9)
                self._stamp = stamp
        except (OSError, ValueError):
            pass
        return self._real() + self._ahead

    def seconds(self) -> float:
        return self.nanoseconds() / 1e9


def install(control: Path) -> None:
    """Before the gateway is imported. Retention looks every half second, so that a row need not wait a minute."""
    clock = Clock(control)
    setattr(time, "time", clock.seconds)  # noqa: B010 - another shape on purpose
    setattr(time, "time_ns", clock.nanoseconds)  # noqa: B010 - another shape on purpose
    from gateway import app

    app.TIDY_EVERY = 0.5
