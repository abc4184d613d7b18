"""How often would it have rung? Alarms over what the journal holds, by the same panel that runs in the daemon."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.alarms.annunciator import Annunciator, Moved
from gateway.alarms.conditions import Seen
from gateway.alarms.defaults import TOLD, defaults
from gateway.alarms.instance import rfc3339
from gateway.alarms.states import Transition
from gateway.config import Config
from gateway.journal.moments import first_since

STEP: Final = 10.0  # seconds between ticks where nothing is received
MOST_STEPS: Final = 8640  # in one silence
BATCH: Final = 1000


@dataclass(slots=True)
class Course:
    """What one alarm would have done. Times in unix seconds."""

    alarm: str
    priority: str
    raised: list[float] = field(default_factory=list)
    active: float = 0.0  # seconds
    longest: float = 0.0
    suppressed: int = 0
    late: int = 0
    why: str = ""  # of the last
    began: float | None = None

    def take(self, moved: Moved) -> None:
        match moved.transition:
            case Transition.RAISED:
                self.raised.append(moved.at)
                self.why = moved.why
                if moved.instance.life.active:
                    self.began = moved.at
                else:  # it is over: only known late
                    self.late += 1
            case Transition.CLEARED:
                self.end(moved.at)
            case Transition.SUPPRESSED:
                self.suppressed += 1

    def end(self, at: float) -> None:
        if self.began is not None:
            self.active += at - self.began
            self.longest = max(self.longest, at - self.began)
            self.began = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "alarm": self.alarm,
            "priority": self.priority,
            "raised": len(self.raised),
            "active_seconds": round(self.active, 3),
            "longest_seconds": round(self.longest, 3),
            "suppressed": self.suppressed,
            "late": self.late,
            "times": [rfc3339(at) for at in self.raised],
            "last": self.why,
        }


def backtest(config: Config, rows: Iterable[tuple[int, bytes]], until: float | None = None) -> dict[str, Course]:
    """What each alarm that looks at observations would have done, nobody acknowledging anything. Delays are exact to
    ten seconds where nothing is received. `rows`: (seq, observation) in the journal's order."""
    panel = Annunciator([one for one in defaults(config) if one.id not in TOLD], config.suppressions)
    courses: dict[str, Course] = {}
    now: float | None = None
    for seq, body in rows:
        seen = Seen.of(seq, body)
        if now is None:
            now = seen.received
        now = _pass(panel, now, seen.received, courses)
        panel.feed(seen)
        _take(panel, courses)
    if now is not None:
        end = _pass(panel, now, max(now, until or now), courses)
        for course in courses.values():
            course.end(end)
    return courses


def _pass(panel: Annunciator, now: float, until: float, courses: dict[str, Course]) -> float:
    """Let the time go by."""
    step = max(STEP, (until - now) / MOST_STEPS)
    while now + step <= until:
        now += step
        panel.tick(now)
        _take(panel, courses)
    return now


def _take(panel: Annunciator, courses: dict[str, Course]) -> None:
    for moved in panel.moved:
        name = moved.instance.id
        course = courses.get(name)
        if course is None:
            course = courses[name] = Course(name, str(moved.instance.options.priority))
        course.take(moved)
    panel.moved.clear()
    panel.suppressions.changes.clear()


def stored(db: sqlite3.Connection, since: int, until: int | None) -> Iterator[tuple[int, bytes]]:
    """Observations whose time lies between `since` and `until` (unix microseconds), in the journal's order."""
    at = first_since(db, since)
    if at is None:
        return
    at -= 1
    query = "SELECT seq, time, body FROM observation WHERE seq > ? ORDER BY seq LIMIT ?"
    while rows := db.execute(query, (at, BATCH)).fetchall():
        at = rows[-1][0]
        for seq, time, body in rows:
            if time >= since and (until is None or time < until):
                yield seq, body


def compare(
    db: sqlite3.Connection,
    config: Config,
    other: Config | None,
    bounds: tuple[int, int | None],
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """The courses over `bounds` (unix microseconds), beside those of another configuration. Errors: LookupError."""
    if unknown := set(only) - {alarm.id for alarm in defaults(config)}:
        known = ", ".join(alarm.id for alarm in defaults(config))
        raise LookupError(f"no alarm is called {min(unknown)!r}. Known are: {known}.")
    until = bounds[1] / 1e6 if bounds[1] is not None else None
    after = backtest(config, stored(db, *bounds), until)
    before = backtest(other, stored(db, *bounds), until) if other else {}
    names = [name for name in sorted(after.keys() | before.keys()) if not only or name.partition(".")[0] in only]
    told = []
    for name in names:
        course = after.get(name) or Course(name, before[name].priority)
        was = before.get(name) or Course(name, course.priority)
        told.append({**course.as_dict(), "before": was.as_dict() if other else None})
    differs = any(one["before"] and one["before"]["times"] != one["times"] for one in told)
    return {"alarms": told, "differs": differs}
