"""How the daemon itself is: signs anybody can read on /metrics, and alarms watch by default."""

from __future__ import annotations

import asyncio
import resource
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway import stall

if TYPE_CHECKING:
    from gateway.journal.store import Journal

EVERY: Final = 1.0  # seconds between two beats
LATELY: Final = 60  # beats for which the worst of a sign is shown
STEP_SHOWN: Final = 600.0  # seconds for which a step of the clock is
STEP: Final = 0.5  # seconds by which the clock may be set without being said to have stepped


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign: what its number means, and when it is bad unless the configuration says otherwise."""

    metric: str
    unit: str
    meaning: str
    title: str
    text: str
    above: float | None = None
    below: float | None = None
    back: float = 0.0  # the deadband's other end
    lasting: str = "0s"


SIGNS: Final[Mapping[str, Sign]] = {
    "loop-stalled": Sign(
        "assaygate_loop_lag_seconds", "s", "Longest the daemon kept everyone waiting in the last minute",
        "The daemon stands still", "Instruments wait for it. Look at the machine's load.", above=2.0, back=1.0,
    ),
    "commits-slow": Sign(
        "assaygate_journal_slowest_commit_seconds", "s", "Slowest commit of the last minute",
        "The disk is slow", "Instruments wait for their acknowledgement. Look at the disk.", above=2.0, back=1.0,
    ),
    "journal-waiting": Sign(
        "assaygate_journal_waiting_bytes", "B", "Bytes received and not on the disk yet",
        "The disk does not keep up", "Instruments are held back.", above=8e6, back=1e6, lasting="1m",
    ),
    "descriptors-low": Sign(
        "assaygate_descriptors_used_ratio", "", "Share of the process's file descriptors in use",
        "File descriptors run out", "New connections will be refused. Raise the limit, find who connects.",
        above=0.8, back=0.7, lasting="10s",
    ),
    "disk-low": Sign(
        "assaygate_disk_free_bytes", "B", "Space left where the journal is",
        "Disk space runs out", "When it is full nothing is acknowledged. Make space.", below=1e9, back=1.2e9,
    ),
    "clock-stepped": Sign(
        "assaygate_clock_step_seconds", "s", "Largest step of the clock in the last ten minutes",
        "The clock was set", "Times before and after do not fit together. Look at NTP.", above=2.0, back=1.0,
    ),
    "stalls": Sign(
        "assaygate_stalls", "", "Times in the last day the daemon stood still and was started anew",
        "The daemon stood still and was started anew", "What it was doing is in data_dir: stalled-*.txt.", above=0.0,
    ),
}  # fmt: skip


class Pulse:
    """Beats once a second on the event loop; `signs` are the numbers of `SIGNS`."""

    def __init__(self, journal: Journal, data_dir: Path) -> None:
        self.signs: Mapping[str, float] = {}
        self.beaten = time.monotonic()  # read by the thread that watches for a stall
        self._journal, self._data_dir = journal, data_dir
        self._lags, self._commits = [0.0] * LATELY, [0.0] * LATELY
        self._ahead = time.time() - _since_boot()
        self._step, self._stepped = 0.0, float("-inf")
        self._outside: Mapping[str, float] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look(), name="pulse-look")
            await self._beats()

    async def _look(self) -> None:
        """What asks the system and the disk, which may let one wait: the heart beats on."""
        while True:
            self._outside = await asyncio.to_thread(_outside, self._data_dir)
            await asyncio.sleep(EVERY)

    async def _beats(self) -> None:
        turn = 0
        while True:
            self._beat(turn)
            due = time.monotonic() + EVERY
            await asyncio.sleep(EVERY)
            turn = (turn + 1) % LATELY
            self._lags[turn] = max(0.0, time.monotonic() - due)

    def _beat(self, turn: int) -> None:
        self.beaten = now = time.monotonic()
        self._commits[turn] = self._journal.slowest()
        self.signs = {
            "loop-stalled": max(self._lags),
            "commits-slow": max(self._commits),
            "journal-waiting": float(self._journal.waiting),
            "clock-stepped": self._clock(now),
            **self._outside,
        }

    def _clock(self, now: float) -> float:
        ahead = time.time() - _since_boot()
        step, self._ahead = abs(ahead - self._ahead), ahead
        if now - self._stepped > STEP_SHOWN:
            self._step = 0.0
        if step > max(STEP, self._step):
            self._step, self._stepped = step, now
        return self._step


def _since_boot() -> float:
    """Seconds nobody can set. A machine's sleep counts, where the system tells it: waking is no step of the clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _outside(data_dir: Path) -> Mapping[str, float]:
    return {
        "descriptors-low": _descriptors(),
        "disk-low": _free(data_dir),
        "stalls": float(stall.lately(data_dir)),
    }


def _free(data_dir: Path) -> float:
    """Bytes; 0 where there is no such folder any more."""
    try:
        return float(shutil.disk_usage(data_dir).free)
    except OSError:
        return 0.0


def _descriptors() -> float:
    """Share of the limit; 0 where the system does not tell."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()) / resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except OSError:
        return 0.0
