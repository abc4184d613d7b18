"""What the view knows: a snapshot, then changes by seq. Nothing here draws; nothing grows with time."""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from statistics import median
from typing import Final

from gateway.terminal.said import Alarm, Alarms, Beat, Delta, Device, Failing, Message, Seen, Snapshot, Store

RESULTS: Final = 100
QUANTITIES: Final = 50  # an instrument that invents quantities must not fill the screen
OLD_AFTER: Final = 5.0  # seconds of silence; the gateway gives a sign of life every two
GAP: Final = 4  # usual intervals without a reading: it is stale
SHORTEST: Final = 10.0  # seconds; below it nothing is stale


class Picture:
    """As of the last message."""

    def __init__(self) -> None:
        self.site = ""
        self.seq = 0
        self.devices: tuple[Device, ...] = ()
        self.alarms: tuple[Alarm, ...] = ()
        self.sinks: tuple[Store, ...] = ()
        self.failing: tuple[Failing, ...] = ()
        self.values: dict[str, dict[str, Seen]] = {}
        self.results: deque[Seen] = deque(maxlen=RESULTS)  # newest first
        self.heard: float | None = None  # unix seconds by our clock
        self.trouble = ""  # why the connection is lost
        self._silent_since = time.monotonic()
        self._usual: dict[tuple[str, str], float] = {}  # seconds between readings
        self._ahead = 0.0  # seconds the gateway's clock is ahead of ours

    @property
    def now(self) -> float:
        """Unix seconds by the gateway's clock."""
        return time.time() + self._ahead

    @property
    def silence(self) -> float:
        """Seconds since something was heard."""
        return time.monotonic() - self._silent_since

    @property
    def live(self) -> bool:
        return self.heard is not None and not self.trouble and self.silence < OLD_AFTER

    def lost(self, why: str) -> None:
        self.trouble = why

    def take(self, message: Message | None) -> None:
        """Take in what was said."""
        self.heard, self._silent_since, self.trouble = time.time(), time.monotonic(), ""
        if isinstance(message, Beat):
            self.site, self.failing = message.site, message.failing
            self.devices, self.sinks = message.devices, message.sinks
            self._ahead = message.now - time.time()
        match message:
            case Snapshot():
                self._snapshot(message)
            case Delta():
                self._delta(message.items)
            case Alarms():
                self.alarms = message.items

    def _snapshot(self, message: Snapshot) -> None:
        self.seq, self.alarms = message.seq, message.alarms
        self.values = {device.id: {} for device in self.devices}
        self.results = deque(reversed(message.results), maxlen=RESULTS)
        for seen in message.values:
            self._last(seen)
        self._usual = {
            (device, quantity): median(after[0] - before[0] for before, after in pairwise(points))
            for device, quantities in message.sparks.items()
            for quantity, points in quantities.items()
            if len(points) > 1
        }

    def _delta(self, items: tuple[Seen, ...]) -> None:
        for seen in items:
            if seen.seq <= self.seq:
                continue
            self.seq = seen.seq
            self._last(seen)
            if seen.kind in ("result", "qc"):
                self.results.appendleft(seen)

    def _last(self, seen: Seen) -> None:
        last = self.values.get(seen.device)
        if last is None:
            return  # a device that a snapshot will name first
        before = last.get(seen.quantity)
        if (seen.time >= before.time) if before else len(last) < QUANTITIES:
            last[seen.quantity] = seen

    def shown(self, device: str) -> list[Seen]:
        """A device's last values: its newest result first; readings before what it says about itself."""
        rank = {"result": 0, "qc": 0, "reading": 1}
        newest_first = sorted(self.values.get(device, {}).values(), key=lambda seen: (-seen.time.timestamp(), seen.seq))
        return sorted(
            newest_first,
            key=lambda seen: (
                rank.get(seen.kind, 2),
                seen.quantity != "temperature" and seen.kind == "reading",
                seen.quantity if seen.kind == "reading" else "",
            ),
        )

    def stale(self, seen: Seen) -> bool:
        """Whether a reading should have been followed by another long since."""
        usual = self._usual.get((seen.device, seen.quantity))
        age = self.now - seen.received.timestamp()
        return seen.kind == "reading" and usual is not None and age > max(SHORTEST, GAP * usual)

    def worst(self, device: str) -> Alarm | None:
        """The gravest alarm of a device that is in sight; the gateway lists the gravest first."""
        return next((one for one in self.alarms if one.device == device and not one.aside), None)
