"""A daemon that stands still says what it was doing and ends, so that whoever supervises it starts it anew.

A thread of its own watches the event loop's pulse. It counts only the time it saw pass itself: a process that was
stopped (SIGSTOP), or a machine that slept, has not stood still. What never lets another thread run (a C function that
holds the interpreter's lock) is for systemd's WatchdogSec to end.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

LOOK: Final = 1.0  # seconds between two looks
KEPT: Final = 10  # files
LAST_WORDS: Final = 10.0  # seconds: whatever made the loop stand still may stop the file or the log as well
LATELY: Final = 86_400.0
PATTERN: Final = "stalled-*.txt"


class Watcher(threading.Thread):
    """Ends the process once `beaten()` (monotonic seconds) has stood still for `limit` seconds of looking."""

    def __init__(self, beaten: Callable[[], float], limit: float, data_dir: Path) -> None:
        super().__init__(name="stall-watcher", daemon=True)
        self._beaten, self._limit, self._data_dir = beaten, limit, data_dir
        self._ended = threading.Event()

    def end(self) -> None:
        """No more watching; waits for the thread."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        known, still, looked = self._beaten(), 0.0, time.monotonic()
        while not self._ended.wait(LOOK):
            now = time.monotonic()
            still += min(now - looked, 2 * LOOK)
            looked = now
            if (beat := self._beaten()) != known:
                known, still = beat, 0.0
            elif still >= self._limit:
                self._give_up(still)

    def _give_up(self, still: float) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        faulthandler.dump_traceback_later(LAST_WORDS, exit=True, file=nowhere)
        try:
            path = _write(self._data_dir, still)
            faulthandler.dump_traceback()
            log.critical("the daemon stands still and ends, to be started anew", seconds=round(still), doing=str(path))
        finally:
            os._exit(1)


@contextlib.contextmanager
def watched(beaten: Callable[[], float], limit: float, data_dir: Path) -> Iterator[None]:
    """Have a `Watcher` while it lasts."""
    watcher = Watcher(beaten, limit, data_dir)
    watcher.start()
    try:
        yield
    finally:
        watcher.end()


def _write(data_dir: Path, still: float) -> Path:
    """What every thread is doing, in a file of its own."""
    for old in sorted(data_dir.glob(PATTERN))[: -KEPT + 1]:
        old.unlink(missing_ok=True)
    path = data_dir / f"stalled-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt"
    with path.open("w", encoding="utf-8") as file:
        print(f"The event loop stood still for {still:.0f} s.", file=file, flush=True)
        faulthandler.dump_traceback(file)
    return path


def last(data_dir: Path) -> str:
    """The newest file's name; "" where there is none."""
    return max((path.name for path in data_dir.glob(PATTERN)), default="")


def lately(data_dir: Path) -> int:
    """How many times in the last day."""
    since = time.time() - LATELY
    try:
        return sum(path.stat().st_mtime > since for path in data_dir.glob(PATTERN))
    except OSError:
        return 0
