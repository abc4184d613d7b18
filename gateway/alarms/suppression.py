"""Suppression by design: while a cause holds, certain alarms are not raised. Limited in time, and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from gateway.alarms.conditions import Condition, Seen, build, others
from gateway.alarms.options import SuppressionOptions

LONGEST_MAINTENANCE: Final = 86_400.0  # seconds; what lasts longer is taken out of service
MOST: Final = 20_000


@dataclass(slots=True)
class Cause:
    """One suppression on one device: since when, and until when, its cause held. Times are unix seconds."""

    options: SuppressionOptions
    device: str
    quantity: str
    condition: Condition | None  # None: an alarm is the cause
    since: float | None = None
    ended: float | None = None
    told: bool = False  # people can read that it is in force

    @property
    def holds(self) -> bool:
        return self.since is not None and self.ended is None

    def judge(self, holds: bool, at: float) -> None:
        if holds and not self.holds:
            self.since, self.ended = at, None
        elif not holds and self.holds:
            self.ended = at

    def until(self) -> float | None:
        """When it stops to suppress, as far as that is known; None: it has not begun."""
        if self.since is None:
            return None
        limit = self.since + self.options.at_most
        if self.ended is None or self.ended >= limit:  # what lasted too long is no reason to wait even longer
            return limit
        return self.ended + self.options.after

    def suppresses(self, at: float) -> bool:
        until = self.until()
        return until is not None and self.since is not None and self.since <= at < until


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A person works on a device. `until` in unix seconds."""

    until: float
    by: str
    reason: str


class Suppressions:
    """All of one configuration. `changes` are what has to be told: (action, device, by, why, at)."""

    def __init__(self, options: Iterable[SuppressionOptions], active: Callable[[str, str], float | None]) -> None:
        """`active`: since when an alarm (a pattern) of a device, or of none, is active; None: it is not."""
        self._options = tuple(options)
        self._active = active
        self._causes: dict[tuple[str, str], Cause] = {}
        self._routes: dict[tuple[str, str], list[Cause]] = {}
        self._further: dict[tuple[str, str], list[Cause]] = {}  # for causes about more than one quantity
        self.maintenance: dict[str, Maintenance] = {}
        self.changes: list[tuple[str, str, str, str, float]] = []

    def feed(self, seen: Seen) -> None:
        key = (seen.device, seen.quantity)
        routes = self._routes.get(key)
        if routes is None:
            routes = [
                cause
                for options in self._options
                if options.when and fnmatchcase(seen.device, options.when.device)
                if fnmatchcase(seen.quantity, options.when.quantity)
                if (cause := self._cause(options, seen.device, seen.quantity))
            ]
            routes += [cause for cause in self._further.get(key, ()) if cause not in routes]
            if len(self._routes) < MOST:
                self._routes[key] = routes
        for cause in routes:
            if cause.condition and seen.time >= cause.condition.latest:
                cause.condition.feed(seen)
                cause.judge(cause.condition.holds, seen.time)

    def tick(self, now: float) -> None:
        for cause in self._causes.values():
            if cause.condition:
                cause.condition.tick(now)
                cause.judge(cause.condition.holds, now)
            else:
                self._follow(cause, now)
            if cause.suppresses(now) != cause.told:
                cause.told = not cause.told
                action = "began" if cause.told else "expired" if cause.holds else "ended"
                self._tell(f"suppression.{action}", cause.device, cause.options.id, cause.options.reason, now)
        for device, work in list(self.maintenance.items()):
            if now >= work.until:
                self.end_maintenance(device, now)

    def set_back(self, now: float) -> None:
        for cause in self._causes.values():
            if cause.condition:
                cause.condition.set_back(now)
            cause.since = None if cause.since is None else min(cause.since, now)

    def of(self, alarm: str, device: str, at: float) -> tuple[str, str] | None:
        """By what, and why, an alarm is suppressed at a time; None: by nothing."""
        if work := self.maintenance.get(device):
            return f"maintenance by {work.by}", work.reason
        for options in self._options:
            if not any(fnmatchcase(alarm, pattern) for pattern in options.suppresses) or alarm == options.alarm:
                continue
            for cause in self._reaching(options, device):
                if cause.condition is None:
                    self._follow(cause, at)
                if cause.suppresses(at):
                    return options.id, options.reason or options.id
        return None

    def maintain(self, device: str, until: float, by: str, reason: str, now: float) -> None:
        """A person works on a device. Errors: ValueError (too long)."""
        if not now < until <= now + LONGEST_MAINTENANCE:
            hours = LONGEST_MAINTENANCE / 3600
            raise ValueError(f"maintenance lasts up to {hours:g} hours; take alarms out of service for longer")
        self.maintenance[device] = Maintenance(until, by, reason)
        self._tell("maintenance.began", device, by, reason, now)

    def end_maintenance(self, device: str, now: float, by: str = "") -> None:
        """Errors: KeyError."""
        work = self.maintenance.pop(device)
        self._tell("maintenance.ended", device, by or "the time is over", work.reason, now)

    def standing(self, now: float) -> list[dict[str, Any]]:
        """What is in force, for people."""
        found = [
            {"suppression": cause.options.id, "device": cause.device, "since": cause.since, "until": cause.until(),
             "by": "", "reason": cause.options.reason or cause.options.id}
            for cause in self._causes.values()
            if cause.suppresses(now)
        ]  # fmt: skip
        return found + [
            {"suppression": "maintenance", "device": device, "since": None, "until": work.until, "by": work.by,
             "reason": work.reason}
            for device, work in self.maintenance.items()
        ]  # fmt: skip

    # ---- durable state

    def dump(self) -> dict[str, Any]:
        causes = [
            [
                one.options.id,
                one.device,
                one.quantity,
                one.since,
                one.ended,
                one.told,
                one.condition and one.condition.dump(),
            ]
            for one in self._causes.values()
        ]
        work = {device: [one.until, one.by, one.reason] for device, one in self.maintenance.items()}
        return {"causes": causes, "maintenance": work}

    def load(self, state: dict[str, Any]) -> None:
        """What a suppression that has changed remembers begins anew."""
        self.maintenance = {device: Maintenance(*one) for device, one in state.get("maintenance", {}).items()}
        by_id = {options.id: options for options in self._options}
        for name, device, quantity, since, ended, told, condition in state.get("causes", ()):
            if name in by_id and (cause := self._cause(by_id[name], device, quantity)):
                try:
                    if cause.condition and condition:
                        cause.condition.load(condition)
                except (ValueError, TypeError, IndexError):
                    continue
                cause.since, cause.ended, cause.told = since, ended, told

    # ---- parts

    def _tell(self, action: str, device: str, by: str, why: str, at: float) -> None:
        self.changes.append((action, device, by, why, at))

    def _cause(self, options: SuppressionOptions, device: str, quantity: str = "") -> Cause | None:
        key = (options.id, device)
        cause = self._causes.get(key)
        if cause is None and len(self._causes) < MOST:
            condition = build(options.when, device, quantity) if options.when else None
            cause = self._causes[key] = Cause(options, device, quantity, condition)
            for pair in others(options.when, device) if options.when else ():
                self._further.setdefault(pair, []).append(cause)
                self._routes.pop(pair, None)
        return cause

    def _reaching(self, options: SuppressionOptions, device: str) -> Iterator[Cause]:
        """The causes that bear on a device's alarms."""
        if options.devices is None:
            known = self._causes.get((options.id, device))
            if cause := known or (self._cause(options, device) if options.alarm else None):
                yield cause
        elif fnmatchcase(device, options.devices):
            yield from [cause for (name, _), cause in self._causes.items() if name == options.id]

    def _follow(self, cause: Cause, now: float) -> None:
        since = self._active(cause.options.alarm or "", cause.device)
        cause.judge(since is not None, now if since is None else since)
