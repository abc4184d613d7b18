"""Telling people: whom, of what, when, which way; tried again until it is delivered, never in the engine's way."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import Transition
from gateway.alarms.view import AlarmView
from gateway.backoff import Backoff
from gateway.notify.heartbeat import Heartbeat
from gateway.notify.message import PATH_TEST, RANKS, Entry, Message, What, compose, entry
from gateway.notify.outbox import ASIDE, Lost, Outbox
from gateway.notify.path_test import PathTest, Record
from gateway.notify.sounder import Sounder
from gateway.notify.ways import send

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger()

MOST_RECORDS: Final = 2000  # while the journal takes none
FAILING: Final = 3  # tries in a row
TICKS: Final = 15.0  # seconds without one: the engine stands still
COMMIT: Final = 10.0  # seconds for a commit before a heartbeat is left out
MUTE: Final = 900.0  # seconds


@dataclass(slots=True)
class Waiting:
    """An alarm that nobody has acknowledged. Times are unix seconds."""

    since: float
    said: float  # when somebody was last told
    steps: int = 0  # of its escalation, done
    names: list[str] = field(default_factory=list)  # notifiers it has gone to


async def _well() -> None:
    """Nothing to commit to."""


class Notifications:
    """Everything on its way to people. `dump()` is what must survive a restart; a delivery may then happen twice."""

    def __init__(
        self, config: Config, state: Mapping[str, Any] | None = None, commit: Callable[[], Awaitable[None]] = _well
    ) -> None:
        """`commit` returns once something has gone through the journal; no heartbeat is given while it does not."""
        state = state if isinstance(state, dict) else {}
        boxes = state.get("outboxes", {})
        self.failing: dict[str, str] = {}  # notifier -> why, while something cannot be delivered
        self.undelivered: int = state.get("undelivered", 0)  # given up
        self._config, self._commit = config, commit
        self._notifiers = {one.id: one for one in config.notifiers}
        self._outboxes = {name: Outbox(one, boxes.get(name, {})) for name, one in self._notifiers.items()}
        self._sounders = {
            name: Sounder(one, partial(self._sounded, name))
            for name, one in self._notifiers.items()
            if one.type == "sounder"
        }
        self._waiting = {alarm: Waiting(*one) for alarm, one in state.get("unacknowledged", {}).items()}
        self._test = PathTest(config.alarm_test, state.get("test", {}))
        self._records: deque[Record] = deque(maxlen=MOST_RECORDS)
        self._wake = {name: asyncio.Event() for name in self._notifiers}
        self._tries = dict.fromkeys(self._notifiers, 0)
        self._now = 0.0
        self._ticked = time.monotonic()

    # ---- what happens

    def moved(self, alarm: AlarmView, options: AlarmOptions, transition: Transition, now: float) -> None:
        """An alarm has made a transition. Returns at once."""
        self._now = now
        match transition:
            case Transition.RAISED:
                waiting = self._waiting.setdefault(alarm.id, Waiting(now, now))
                waiting.said = now
                for box in self._outboxes.values():
                    box.muted_until = 0.0  # a new alarm is heard
                self._tell(options.notify, entry(alarm, What.RAISED, now), waiting, now)
            case Transition.CLEARED:
                self._over(alarm, now)
            case Transition.ACKNOWLEDGED:
                self._waiting.pop(alarm.id, None)
                for box in self._outboxes.values():
                    box.answered(alarm.id)
                if alarm.alarm == PATH_TEST:
                    self.answered(alarm.acknowledged_by, now)
            case _ if alarm.state in ASIDE:
                self._waiting.pop(alarm.id, None)
                for box in self._outboxes.values():
                    box.forget(alarm.id)

    def tick(self, now: float, open_alarms: Sequence[tuple[AlarmView, AlarmOptions]]) -> None:
        """Once a second: what becomes due by time alone. `now` in unix seconds."""
        self._now, self._ticked = now, time.monotonic()
        self._note(self._test.tick(now))
        still = {view.id: view for view, _ in open_alarms}
        ringing = {view.id for view in still.values() if view.state.endswith("unacknowledged")}
        for gone in self._waiting.keys() - ringing:
            del self._waiting[gone]
        for view, options in open_alarms:
            if view.id in ringing and (options.notify or options.escalate):
                self._remind(view, options, now)
        for name, box in self._outboxes.items():
            self._lost(name, box.tick(now, still))
            if box.due(now):
                self._wake[name].set()
        for name, sounder in self._sounders.items():
            sounder.sound(self._sounds(name, still, now))

    @property
    def path_test(self) -> tuple[bool, str]:
        """Whether the alarm of the weekly test is on, and its words."""
        return self._test.standing

    def answered(self, by: str, now: float) -> None:
        """Somebody acknowledged the weekly test."""
        self._note(self._test.answered(by, now))

    def mute(self, notifier_id: str, by: str, seconds: float = MUTE) -> None:
        """Silence a sounder for a time, or until the next new alarm. Errors: KeyError."""
        self._outboxes[notifier_id].muted_until = self._now + seconds
        if notifier_id in self._sounders:
            self._sounders[notifier_id].sound("")
        self._note([("notify.muted", {"notifier": notifier_id, "by": by, "seconds": seconds})])

    async def test(self, notifier_id: str, by: str) -> str:
        """Send one marked test message now; "" or why it did not go. Errors: KeyError."""
        why = await send(self._notifiers[notifier_id], self._config, test_message(by), time.time())
        self._note([("test.sent", {"notifier": notifier_id, "by": by, "why": why})])
        return why

    # ---- whom, and when

    def _tell(self, names: Iterable[str], one: Entry, waiting: Waiting | None, now: float) -> None:
        names = [name for name in names if name in self._outboxes]
        off = {name for name in names if not self._outboxes[name].on_duty(now)}
        if all(name in off for name in names if self._notifiers[name].hours):
            off = set()  # nobody of them is on duty: better all than none
        for name in names:
            if waiting and name not in waiting.names:
                waiting.names.append(name)
            if name in self._sounders:
                continue
            box = self._outboxes[name]
            hold = box.hush(one.priority, now) or ("off duty" if name in off else "")
            if hold:
                self._note([("notify.suppressed", {"notifier": name, "alarm": one.alarm, "why": hold})])
            self._lost(name, box.say(one, now, hold))

    def _over(self, alarm: AlarmView, now: float) -> None:
        one = entry(alarm, What.CLEARED, now)
        for box in self._outboxes.values():
            if alarm.alarm == PATH_TEST and not self._test.unanswered:
                box.forget(alarm.id)
                box.told.pop(alarm.id, None)
            else:
                box.over(one, now)

    def _remind(self, view: AlarmView, options: AlarmOptions, now: float) -> None:
        """Tell the next group, or the same again."""
        waiting = self._waiting.setdefault(view.id, Waiting(now, now, names=list(options.notify)))
        waiting.since, waiting.said = min(waiting.since, now), min(waiting.said, now)  # the clock was put back
        for step in options.escalate[waiting.steps :]:
            if now - waiting.since < step.after:
                break
            waiting.steps, waiting.said = waiting.steps + 1, now
            self._tell(step.notify, entry(view, What.ESCALATED, now), waiting, now)
        if options.remind and now - waiting.said >= options.remind:
            waiting.said = now
            self._tell(list(waiting.names), entry(view, What.STILL, now), waiting, now)

    def _sounds(self, name: str, still: Mapping[str, AlarmView], now: float) -> str:
        """The title a sounder is to sound for; "": none."""
        box = self._outboxes[name]
        if now < box.muted_until or not box.on_duty(now):
            return ""
        views = [still[alarm] for alarm, one in self._waiting.items() if name in one.names]
        loud = [view for view in views if not box.hush(view.priority, now)]
        loud.sort(key=lambda view: RANKS.get(view.priority, 9))
        return entry(loud[0], What.RAISED, now).head if loud else ""

    # ---- delivery

    async def run(self) -> None:
        """Deliver until cancelled, each notifier at its own pace."""
        async with asyncio.TaskGroup() as group:
            for name in self._notifiers:
                way = self._sounders[name].run() if name in self._sounders else self._deliver(name)
                group.create_task(way, name=f"notifier:{name}")
            for one in self._config.heartbeats:
                beat = Heartbeat(one, self._unwell, lambda *record: self._note([record]), lambda: self._now)
                group.create_task(beat.run(), name=f"heartbeat:{one.id}")

    async def _deliver(self, name: str) -> None:
        box, wake, backoff = self._outboxes[name], self._wake[name], Backoff(first=1.0, longest=60.0)
        while True:
            batch, note = box.due(self._now), box.note
            if not batch:
                wake.clear()
                await wake.wait()
                continue
            why = await send(self._notifiers[name], self._config, compose(batch, note), self._now)
            tries = self._tried(name, why, batch)
            if why:
                await asyncio.sleep(backoff.next())
                continue
            backoff.succeeded()
            box.delivered(batch, note, self._now)
            alarms = [one.alarm for one in batch]
            waited = round(self._now - min(one.at for one in batch), 3)
            self._note([("notify.delivered", {"notifier": name, "alarms": alarms, "waited": waited, "tries": tries})])
            if PATH_TEST in alarms:
                self._note([("test.sent", {"notifier": name, "by": PATH_TEST, "why": ""})])

    def _tried(self, name: str, why: str, batch: Sequence[Entry] = ()) -> int:
        """Note how one try went; how many it have been in a row."""
        tries = self._tries[name] + 1
        self._tries[name] = tries if why else 0
        if not why:
            self.failing.pop(name, None)
            return tries
        alarms = [one.alarm for one in batch]
        log.warning("notification not delivered yet", notifier=name, alarms=alarms, why=why)
        if tries >= FAILING:
            self.failing[name] = why
        if tries == 1:
            self._note([("notify.failed", {"notifier": name, "alarms": alarms, "why": why})])
        return tries

    def _sounded(self, name: str, why: str) -> None:
        self._tried(name, why)

    def _lost(self, name: str, lost: Iterable[Lost]) -> None:
        for one, why in lost:
            self.undelivered += 1
            log.error("notification given up", notifier=name, alarm=one.alarm, why=why)
            self._note([("notify.given-up", {"notifier": name, "alarm": one.alarm, "why": why})])

    async def _unwell(self) -> str:
        """Why no heartbeat may be given; "" when all is well."""
        if time.monotonic() - self._ticked > TICKS:
            return "the alarms are not looked at"
        try:
            async with asyncio.timeout(COMMIT):
                await self._commit()
        except TimeoutError:
            return "the journal does not commit"
        return ""

    # ---- durable state

    def _note(self, records: Iterable[Record]) -> None:
        self._records.extend(records)

    @property
    def unsaved(self) -> bool:
        """Whether there are records to be kept."""
        return bool(self._records)

    def records(self) -> list[Record]:
        """For the audit chain, each once: (action, what is to be kept of it)."""
        found = list(self._records)
        self._records.clear()
        return found

    def dump(self) -> dict[str, Any]:
        """Everything not delivered yet, and what is known to whom, as JSON."""
        return {
            "outboxes": {name: box.dump() for name, box in self._outboxes.items()},
            "unacknowledged": {
                alarm: [one.since, one.said, one.steps, list(one.names)] for alarm, one in self._waiting.items()
            },
            "test": self._test.dump(),
            "undelivered": self.undelivered,
        }


def test_message(by: str) -> Message:
    """What is sent to try a notifier."""
    return Message(
        "TEST: a test message of assaygate", f"Sent by {by}. No alarm is on: nothing needs to be done.", (), True
    )
