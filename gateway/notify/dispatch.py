"""Whom to tell, of what and when: pure, its time is given to it, and nothing is sent here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import Transition
from gateway.alarms.view import AlarmView
from gateway.notify.message import PATH_TEST, RANKS, Entry, What, entry
from gateway.notify.outbox import ASIDE, Lost, Outbox
from gateway.notify.path_test import PathTest, Record

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger()

MOST_RECORDS: Final = 2000  # while the journal takes none
MUTE: Final = 900.0  # seconds
LONGEST_MUTE: Final = 86_400.0
MOST_LISTED: Final = 100  # alarms in one record


@dataclass(slots=True)
class Waiting:
    """An alarm that nobody has acknowledged. Times are unix seconds."""

    since: float
    said: float  # when somebody was last told
    steps: int = 0  # of its escalation, done
    names: list[str] = field(default_factory=list)  # notifiers it has gone to


class Dispatch:
    """Of one configuration. `dump()` is what must survive a restart."""

    def __init__(self, config: Config, state: Mapping[str, Any]) -> None:
        """`state`: a former `dump`."""
        boxes = state.get("outboxes", {})
        self.now = 0.0  # of the last tick or transition, unix seconds
        self.undelivered: int = state.get("undelivered", 0)  # given up
        self._logged = self.undelivered
        self.records: deque[Record] = deque(maxlen=MOST_RECORDS)  # for the audit chain
        self._channels = {one.id: one.channels() for one in config.notifiers}
        self.outboxes = {
            channel: Outbox(options, boxes.get(channel, {}))
            for channels in self._channels.values()
            for channel, options in channels.items()
        }
        self._waiting = {alarm: Waiting(*one) for alarm, one in state.get("unacknowledged", {}).items()}
        self._test = PathTest(config.alarm_test, state.get("test", {}))
        self._tested = config.alarm_test.notify if config.alarm_test else ()
        self._still: dict[str, AlarmView] = {}

    def dump(self) -> dict[str, Any]:
        return {
            "outboxes": {name: box.dump() for name, box in self.outboxes.items()},
            "unacknowledged": {
                alarm: [one.since, one.said, one.steps, list(one.names)] for alarm, one in self._waiting.items()
            },
            "test": self._test.dump(),
            "undelivered": self.undelivered,
        }

    # ---- what happens

    def moved(self, alarm: AlarmView, options: AlarmOptions, transition: Transition, now: float) -> None:
        """An alarm has made a transition. Returns at once."""
        self.now, self._still[alarm.id] = now, alarm
        match transition:
            case Transition.RAISED:
                waiting = self._waiting.setdefault(alarm.id, Waiting(now, now))
                waiting.said = now
                for box in self.outboxes.values():
                    box.muted_until = 0.0  # a new alarm is heard
                what = What.OVER if alarm.cleared else What.RAISED  # it may be known late
                self._tell(self._first(alarm, options), entry(alarm, what, now), waiting, now)
            case Transition.CLEARED:
                self._over(alarm, now)
            case Transition.ACKNOWLEDGED:
                self._waiting.pop(alarm.id, None)
                for box in self.outboxes.values():
                    box.answered(alarm.id)
                if alarm.alarm == PATH_TEST:
                    self.answered(alarm.acknowledged_by, now)
            case _ if alarm.state in ASIDE:
                self._waiting.pop(alarm.id, None)
                for box in self.outboxes.values():
                    box.forget(alarm.id)

    def tick(self, now: float, open_alarms: Sequence[tuple[AlarmView, AlarmOptions]]) -> None:
        """Once a second: what becomes due by time alone. `now` in unix seconds."""
        self.now = now
        if self.undelivered != self._logged:  # of a flood one line
            log.error("notifications given up", count=self.undelivered - self._logged)
            self._logged = self.undelivered
        self.records.extend(self._test.tick(now))
        still = self._still = {view.id: view for view, _ in open_alarms}
        ringing = {view.id for view in still.values() if view.state.endswith("unacknowledged")}
        for gone in self._waiting.keys() - ringing:
            del self._waiting[gone]
        for view, options in open_alarms:
            if view.id in ringing:
                self._remind(view, options, now)
        for name, box in self.outboxes.items():
            self._lost(name, box.tick(now, still))

    @property
    def path_test(self) -> tuple[bool, str]:
        """Whether the alarm of the weekly test is on, and its words."""
        return self._test.standing

    def answered(self, by: str, now: float) -> None:
        """Somebody acknowledged the weekly test."""
        self.records.extend(self._test.answered(by, now))

    def mute(self, name: str, by: str, seconds: float = MUTE) -> None:
        """Silence a sounder for a time, or until the next new alarm. Errors: KeyError."""
        self.outboxes[name].muted_until = self.now + seconds
        self._note("notify.muted", notifier=name, by=by, seconds=seconds)

    # ---- whom, and when

    def _tell(self, names: Iterable[str], one: Entry, waiting: Waiting, now: float) -> None:
        names = [name for name in names if name in self._channels]
        waiting.names += [name for name in names if name not in waiting.names]
        boxes = {channel: self.outboxes[channel] for name in names for channel in self._channels[name]}
        off = {name for name, box in boxes.items() if not box.on_duty(now)}
        if all(name in off for name, box in boxes.items() if box.options.hours):
            off = set()  # nobody of them is on duty: better all than none
        for name, box in boxes.items():
            if box.options.type == "sounder":  # it sounds as long as somebody is waited for
                continue
            hold = box.hush(one.priority, now) or ("off duty" if name in off else "")
            if hold and not box.knows(one):
                self._note("notify.suppressed", notifier=name, alarm=one.alarm, why=hold)
            self._lost(name, box.say(one, now, hold))

    def _first(self, alarm: AlarmView, options: AlarmOptions) -> list[str]:
        """Notifiers that an alarm goes to first."""
        return list(options.notify or (self._tested if alarm.alarm == PATH_TEST else ()))

    def _over(self, alarm: AlarmView, now: float) -> None:
        test = alarm.alarm == PATH_TEST
        one = entry(alarm, What.UNANSWERED if test else What.CLEARED, now)
        one = replace(one, over=one.over or now)
        for name, box in self.outboxes.items():
            if test and not self._test.unanswered:
                box.forget(alarm.id)
            else:
                self._lost(name, box.over(one, now))

    def _remind(self, view: AlarmView, options: AlarmOptions, now: float) -> None:
        """Tell the next group, or the same again."""
        waiting = self._waiting.setdefault(view.id, Waiting(now, now, names=self._first(view, options)))
        waiting.since, waiting.said = min(waiting.since, now), min(waiting.said, now)  # the clock was put back
        for step in sorted(options.escalate, key=lambda one: one.after)[waiting.steps :]:
            if now - waiting.since < step.after:
                break
            waiting.steps, waiting.said = waiting.steps + 1, now
            self._tell(step.notify, entry(view, What.ESCALATED, now), waiting, now)
        if options.remind and now - waiting.said >= options.remind:
            waiting.said = now
            self._tell(list(waiting.names), entry(view, What.STILL, now), waiting, now)

    def sounds(self, name: str) -> str:
        """The title a sounder is to sound for; "": none."""
        box, now, still = self.outboxes[name], self.now, self._still
        if 0 < box.muted_until - now <= LONGEST_MUTE or not box.on_duty(now):  # or the clock was put back
            return ""
        views = [still[alarm] for alarm, one in self._waiting.items() if name in one.names and alarm in still]
        loud = [view for view in views if not box.hush(view.priority, now)]
        loud.sort(key=lambda view: RANKS.get(view.priority, 9))
        return entry(loud[0], What.RAISED, now).head if loud else ""

    # ---- what has become of it

    def delivered(self, name: str, batch: Sequence[Entry], note: str, tries: int) -> None:
        """A message of these entries has arrived."""
        self.outboxes[name].delivered(batch, note, self.now)
        waited = round(self.now - min(one.at for one in batch), 3)
        self._note("notify.delivered", notifier=name, **_listed(batch), waited=waited, tries=tries)
        if any(one.alarm == PATH_TEST and one.on for one in batch):
            self.records.extend(self._test.sent(name))

    def sounded(self, name: str) -> None:
        """A sounder has sounded."""
        if PATH_TEST in self._waiting and name in self._waiting[PATH_TEST].names:
            self.records.extend(self._test.sent(name))

    def failed(self, name: str, batch: Sequence[Entry], why: str) -> None:
        """A notifier begins to fail."""
        self._note("notify.failed", notifier=name, **_listed(batch), why=why)

    def _lost(self, name: str, lost: Iterable[Lost]) -> None:
        for one, why in lost:
            self.undelivered += 1
            self._note("notify.given-up", notifier=name, alarm=one.alarm, why=why)

    def _note(self, action: str, **details: Any) -> None:
        if len(self.records) == MOST_RECORDS:
            log.error("the journal takes nothing: the oldest record is given up", record=self.records[0])
        self.records.append((action, details))


def _listed(batch: Sequence[Entry]) -> dict[str, Any]:
    what = sorted({str(one.what) for one in batch})
    return {"alarms": [one.alarm for one in batch[:MOST_LISTED]], "count": len(batch), "what": what}
