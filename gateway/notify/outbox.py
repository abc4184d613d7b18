"""What one notifier is still to tell: pure, its time is given to it.

One entry an alarm, the latest: so it never holds more than there are alarms, and when a way that was gone is back,
what is still on is told as it is and what went meanwhile in one line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from gateway.alarms.view import AlarmView
from gateway.notify.message import MOST_CRITICAL, Entry, What, entry
from gateway.notify.options import NotifierOptions

GATHER: Final = 2.0  # seconds; alarms that come together are told together
WINDOW: Final = 600.0
FLOOD: Final = 10  # more new alarms than this in WINDOW are a flood (EEMUA 191) ...
CALM: Final = 5  # ... until there are fewer than this
DIGEST: Final = 600.0  # seconds between summaries in a flood
MOST_WAITING: Final = 1000
GIVE_UP: Final = 7 * 86_400.0  # seconds
ASIDE: Final = frozenset({"shelved", "suppressed", "out-of-service"})
BEGAN = "A flood: more than 10 new alarms in 10 minutes. From now on a summary every 10 minutes; critical ones at once."
ENDED = "The flood is over: every alarm is told again as it comes."
Lost = tuple[Entry, str]  # what was given up, and why


class Outbox:
    """Of one notifier."""

    def __init__(self, options: NotifierOptions, state: Mapping[str, Any]) -> None:
        """`state`: a former `dump`."""
        self.options = options
        self.told: dict[str, str] = dict(state.get("told", {}))  # alarm -> the occurrence this person knows to be on
        self.muted_until: float = state.get("muted_until", 0.0)
        self.flood: bool = state.get("flood", False)
        self._waiting = _entries(state.get("waiting", ()))
        self._held = _entries(state.get("held", ()))
        self._news: deque[float] = deque(state.get("news", ()), maxlen=FLOOD + 1)
        self._digest_at: float = state.get("digest_at", 0.0)
        self._note: str = state.get("note", "")

    def dump(self) -> dict[str, Any]:
        return {
            "told": dict(self.told),
            "muted_until": self.muted_until,
            "flood": self.flood,
            "waiting": [asdict(one) for one in self._waiting.values()],
            "held": [asdict(one) for one in self._held.values()],
            "news": list(self._news),
            "digest_at": self._digest_at,
            "note": self._note,
        }

    # ---- what comes in

    def hush(self, priority: str, now: float) -> str:
        """Why this person is not told now; "": is told."""
        quiet = self.options.quiet
        return "quiet hours" if quiet and priority not in quiet.exempt and quiet.covers(now) else ""

    def on_duty(self, now: float) -> bool:
        return self.options.hours is None or self.options.hours.covers(now)

    def say(self, one: Entry, now: float, hold: str) -> list[Lost]:
        """An alarm is on (again). `hold`: why it is held back for now, if it is. What had to be given up for it."""
        if self.knows(one):
            return []
        self.forget(one.alarm)
        if hold:
            return self._put(self._held, one) if one.on else []
        if one.what is What.RAISED:
            self._news.append(now)
            if not self.flood and self._new(now) > FLOOD:
                self.flood, self._note, self._digest_at = True, BEGAN, now + GATHER
        return self._put(self._waiting, one)

    def knows(self, one: Entry) -> bool:
        """Whether it waits to be told already, or has been told before a restart."""
        known = self._waiting.get(one.alarm) or self._held.get(one.alarm)
        if known and known.on and known.raised == one.raised:
            return True
        return one.what is What.RAISED and self.told.get(one.alarm) == one.raised

    def over(self, one: Entry, now: float) -> list[Lost]:
        """An alarm is cleared: told to whoever was told that it is on, or is about to be. What was given up for it."""
        known = self._waiting.get(one.alarm)
        if one.alarm in self.told:
            self.forget(one.alarm)
            return self._put(self._waiting, one)  # the next tick holds it back in quiet hours
        if known and known.on:
            self._waiting[one.alarm] = replace(one, what=What.OVER, at=known.at, raised=known.raised, over=now)
        else:
            self._held.pop(one.alarm, None)
        return []

    def forget(self, alarm: str) -> None:
        """It need not be told any more."""
        self._waiting.pop(alarm, None)
        self._held.pop(alarm, None)

    def answered(self, alarm: str) -> None:
        """Acknowledged: nobody is reminded of it."""
        for box in (self._waiting, self._held):
            what = box[alarm].what if alarm in box else None
            if what is What.ESCALATED or (what is What.STILL and alarm in self.told):
                del box[alarm]

    def _put(self, box: dict[str, Entry], one: Entry) -> list[Lost]:
        lost = []
        if len(box) >= MOST_WAITING:
            oldest = next((known for known in box.values() if not known.critical), next(iter(box.values())))
            del box[oldest.alarm]
            lost = [(oldest, "too many wait")]
        box[one.alarm] = one
        return lost

    # ---- time

    def tick(self, now: float, still: Mapping[str, AlarmView]) -> list[Lost]:
        """`still`: the open alarms. What was given up."""
        lost = list[Lost]()
        if self.flood and self._new(now) < CALM:
            self.flood, self._note = False, ENDED if self._note != BEGAN else ""
        for alarm in [alarm for alarm in self.told if alarm not in still and alarm not in self._waiting]:
            if alarm not in self._held:
                del self.told[alarm]
        for alarm, one in list(self._waiting.items()):
            if self.hush(one.priority, now):
                del self._waiting[alarm]
                if one.what is not What.OVER:  # what is over when quiet hours end is not told
                    lost += self._put(self._held, one)
        for alarm, one in list(self._held.items()):
            if not self.hush(one.priority, now) and (self.on_duty(now) or not one.on):
                del self._held[alarm]
                if not one.on:
                    lost += self._put(self._waiting, replace(one, at=now))
                elif view := still.get(alarm):
                    what = What.STILL if one.what is What.RAISED else one.what
                    lost += self._put(self._waiting, entry(view, what, now))
        old = [
            one
            for one in self._waiting.values()
            if now - one.at > GIVE_UP and not (one.on and one.alarm in still)  # what is on is never given up
        ]
        for one in old:
            del self._waiting[one.alarm]
        return [*lost, *((one, "not delivered within a week") for one in old)]

    def _new(self, now: float) -> int:
        return sum(0 <= now - at < WINDOW for at in self._news)

    # ---- delivery

    def due(self, now: float) -> list[Entry]:
        """What is to be told now, as one message."""
        ripe = [one for one in self._waiting.values() if not 0 <= now - one.at < GATHER]  # or the clock was put back
        critical = [one for one in ripe if one.critical]
        summary = not self.flood or now >= self._digest_at  # a clock that was put back ends the flood
        rest = [one for one in ripe if not one.critical] if summary and len(critical) < MOST_CRITICAL else []
        return critical[:MOST_CRITICAL] + rest

    def ripens(self, now: float) -> float | None:
        """Seconds until more is due; None: not by time alone."""
        waits = [one.at + GATHER - now for one in self._waiting.values()]
        if self.flood and self._waiting:
            waits.append(self._digest_at - now)
        return min((wait for wait in waits if wait > 0), default=None)

    @property
    def note(self) -> str:
        """To be told with the next message."""
        return self._note

    def delivered(self, batch: Sequence[Entry], note: str, now: float) -> None:
        """It has arrived; what has come meanwhile stays."""
        for one in batch:
            for box in (self._waiting, self._held):
                if box.get(one.alarm) is one:
                    del box[one.alarm]
            changed = self._waiting.get(one.alarm)
            if changed and changed.what is What.OVER and one.on:  # it went while this was on its way
                self._waiting[one.alarm] = replace(changed, what=What.CLEARED)
            if one.on:
                self.told[one.alarm] = one.raised
            else:
                self.told.pop(one.alarm, None)
        if self.flood and any(not one.critical for one in batch):
            self._digest_at = now + DIGEST
        if self._note == note:
            self._note = ""


def _entries(given: Any) -> dict[str, Entry]:
    found = {}
    for one in given:
        read = Entry(**{**one, "what": What(one["what"])})
        found[read.alarm] = read
    return found
