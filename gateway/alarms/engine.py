"""The alarms: a reader of observations with its own cursor, and a clock's tick each second.

What the rules remember and where each alarm stands are kept in the cursor's state, in one transaction with the
transitions' rows in the audit chain. So a restart goes on exactly where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from gateway.alarms import states
from gateway.alarms.conditions import Condition, Seen, Silent, Told, build, by_device
from gateway.alarms.defaults import defaults
from gateway.alarms.instance import Instance
from gateway.alarms.options import AlarmOptions, Priority
from gateway.alarms.states import Life, State, Transition
from gateway.alarms.view import AlarmView
from gateway.journal.bell import Bell
from gateway.journal.schema import ALARMS
from gateway.journal.store import Journal
from gateway.journal.transaction import Transaction
from gateway.links.link import LinkState
from gateway.pulse import SIGNS

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.notify.delivery import Notifications
    from gateway.session import Session
    from gateway.sinks.state import Sink

log = structlog.get_logger()

BATCH = 1000
TICK = 1.0
SAVE_WITHIN = 1.0  # seconds, at a stop
SAVE_EVERY = 5.0  # seconds the saved place may be behind; transitions are saved at once
LOOK_EVERY = 10.0  # seconds between looks at quarantine
LINK_LOST_FOR = 60.0
SET_BACK = 5.0  # seconds by which a clock is put back rather than corrected
MOST_INSTANCES = 20_000  # an instrument that invents quantities must not grow us without bound


class Surroundings(Protocol):
    """What of the gateway the alarms watch besides observations."""

    @property
    def sessions(self) -> Mapping[str, Session]: ...

    @property
    def sinks(self) -> Mapping[str, Sink]: ...

    @property
    def signs(self) -> Mapping[str, float]: ...


class AlarmEngine:
    """Runs the alarms of one configuration."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        surroundings: Surroundings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.changed = Bell(0)  # rings when anything people see has changed
        self._options = defaults(config)
        self._config = config
        self._journal = journal
        self._around = surroundings
        self._clock = clock
        self._instances: dict[str, Instance] = {}
        self._routes: dict[tuple[str, str], list[Instance]] = {}
        self._at = 0
        self._saved_at = 0.0
        self._looked_at = 0.0
        self._ticked = math.inf
        self._transitions: deque[dict[str, Any]] = deque()
        self._quarantined = 0
        self._notify: Notifications | None = None
        self._catching_up = True
        self._loaded = asyncio.Event()

    # ---- running

    async def run(self) -> None:
        """Follow the journal until cancelled; what is unsaved is saved at the end."""
        await self._load()
        async with asyncio.TaskGroup() as group:
            if self._notify:
                group.create_task(self._notify.run(), name="notifiers")
            group.create_task(self._tick(), name="alarms-tick")
            try:
                await self._follow()
            finally:
                with contextlib.suppress(TimeoutError):  # where the disk refuses: the journal tells it all again
                    async with asyncio.timeout(SAVE_WITHIN):
                        await asyncio.shield(asyncio.ensure_future(self._save()))

    async def _follow(self) -> None:
        head = self._journal.observations.at
        while True:
            rows = await self._journal.rows(self._at, BATCH)
            for seq, body in rows:
                self._feed(Seen.of(seq, body))
                self._at = seq
            if self._catching_up and self._at >= head:
                self._caught_up()
            if self._transitions or abs(self._clock() - self._saved_at) > SAVE_EVERY:
                await self._save()
            if not rows:
                await self._journal.observations.beyond(self._at)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = self._clock()
            if abs(now - self._looked_at) >= LOOK_EVERY:  # a clock that was put back does not hold it up
                self._looked_at = now
                await self._count_quarantine(now)
            if not self._catching_up:
                self.tick(now)
            if self._transitions or (self._notify and self._notify.unsaved):
                await self._save()

    def tick(self, now: float) -> None:
        """Delays, silences, ends of shelving, and what the gateway itself shows. `now` in unix seconds."""
        set_back = now < self._ticked - SET_BACK  # or, at the first tick, while we did not run
        self._ticked = now
        for instance in self._instances.values() if set_back else ():
            instance.condition.set_back(now)
        self._look_around(now)
        for instance in list(self._instances.values()):
            instance.condition.tick(now)
            self._settle(instance, now)
            life = instance.life
            if life.state is State.SHELVED and life.shelved_until is not None and now >= life.shelved_until:
                self._move(instance, states.unshelve(life), now, "the time is over")
        if self._notify:
            still = [(one.view(), one.options) for one in self._instances.values() if one.life.open]
            self._notify.tick(now, still)

    def _caught_up(self) -> None:
        """The backlog is read: tell once about what is still on."""
        self._catching_up = False
        now = self._clock()
        for alarm in self._options:
            if alarm.when.silent is not None:
                for device in self._config.devices:
                    self._expect(alarm, device.id, now)
        for instance in self._instances.values():
            if instance.life.active and instance.life.state is State.UNACKNOWLEDGED and self._notify:
                self._notify.moved(instance.view(), instance.options, Transition.RAISED, now)

    def _expect(self, alarm: AlarmOptions, device: str, now: float) -> None:
        """A device that has not spoken yet is watched all the same."""
        if by_device(alarm.when) and fnmatchcase(device, alarm.when.device):
            instance = self._instance(alarm, device, "")
            if instance and isinstance(instance.condition, Silent):
                instance.condition.start(now)

    # ---- observations

    def _feed(self, seen: Seen) -> None:
        for instance in self._route(seen):
            instance.condition.feed(seen)
            self._settle(instance, seen.time)

    def _route(self, seen: Seen) -> list[Instance]:
        key = (seen.device, seen.quantity)
        found = self._routes.get(key)
        if found is None:
            found = []
            for alarm in self._options:
                when = alarm.when
                if alarm.id in ("journal", "link-lost"):
                    continue
                if when.quarantine is not None or when.behind is not None or when.gateway is not None:
                    continue
                if fnmatchcase(seen.device, when.device) and fnmatchcase(seen.quantity, when.quantity):
                    quantity = "" if by_device(when) else seen.quantity
                    instance = self._instance(alarm, seen.device, quantity)
                    if instance:
                        found.append(instance)
            if len(self._routes) < MOST_INSTANCES:
                self._routes[key] = found
        return found

    def _instance(
        self, alarm: AlarmOptions, device: str, quantity: str, condition: Condition | None = None
    ) -> Instance | None:
        made = Instance(alarm, device, quantity, condition or build(alarm.when, device, quantity))
        known = self._instances.get(made.id)
        if known is None and len(self._instances) < MOST_INSTANCES:
            known = self._instances[made.id] = made
        return known

    def _settle(self, instance: Instance, at: float) -> None:
        """Let the alarm follow its condition."""
        if instance.condition.holds != instance.life.active:
            life, transition = states.condition(instance.life, instance.condition.holds, at)
            self._moved(instance, life, transition, at, "")

    # ---- the gateway itself

    def _look_around(self, now: float) -> None:
        for alarm in self._options:
            when = alarm.when
            if alarm.id == "journal":
                trouble = self._journal.trouble
                self._told(alarm, "", bool(trouble), now, trouble)
            elif alarm.id == "link-lost":
                for name, session in self._around.sessions.items():
                    waiting = session.link_state is LinkState.WAITING
                    self._told(alarm, name, waiting, now, session.link_detail, delay=LINK_LOST_FOR)
            elif when.gateway is not None:
                self._sign(alarm, when.gateway, now)
            elif when.behind is not None:
                for name, sink in self._around.sinks.items():
                    if fnmatchcase(name, when.sink):
                        late = sink.state.behind_seconds
                        words = (
                            f"{sink.state.behind} observations behind, the oldest {late:.0f} s: {sink.state.last_error}"
                        )
                        self._told(alarm, name, late >= when.behind, now, words, late)
            elif when.quarantine is not None:
                words = f"{self._quarantined} messages not understood"
                self._told(alarm, "", self._quarantined >= when.quarantine, now, words, self._quarantined)

    def _sign(self, alarm: AlarmOptions, sign: str, now: float) -> None:
        value, instance = self._around.signs.get(sign), self._instance(alarm, "", "")
        if value is not None and instance:
            unit = SIGNS[sign].unit
            instance.condition.feed(Seen(0, "", sign, "status", value, None, None, False, now, now, unit))

    def _told(
        self, alarm: AlarmOptions, name: str, is_true: bool, now: float, words: str,
        value: float | None = None, delay: float = 0.0,
    ) -> None:  # fmt: skip
        instance = self._instance(alarm, name, "", Told(delay))
        if instance and isinstance(instance.condition, Told):
            instance.condition.tell(is_true, now, words, value)

    async def _count_quarantine(self, now: float) -> None:
        windows = [alarm.when.within or 3600.0 for alarm in self._options if alarm.when.quarantine is not None]
        if windows:
            since = int((now - max(windows)) * 1e9)
            query = "SELECT count(*) FROM quarantine WHERE resolved IS NULL AND at > ?"
            self._quarantined = await self._journal.read(lambda db: int(db.execute(query, (since,)).fetchone()[0]))

    # ---- people

    async def acknowledge(self, alarm_id: str, by: str, comment: str = "") -> None:
        """Errors: KeyError (no such alarm), states.NotNowError (a ValueError)."""
        now = self._clock()
        instance = self._instances[alarm_id]
        self._move(instance, states.acknowledge(instance.life, now, by, comment), now, comment, by)
        await self._save()

    async def shelve(self, alarm_id: str, by: str, seconds: float, reason: str) -> None:
        """Errors: KeyError, states.NotNowError."""
        now = self._clock()
        instance = self._instances[alarm_id]
        self._move(instance, states.shelve(instance.life, now + seconds, by, reason), now, reason, by)
        await self._save()

    async def unshelve(self, alarm_id: str, by: str) -> None:
        """Errors: KeyError, states.NotNowError."""
        now = self._clock()
        instance = self._instances[alarm_id]
        self._move(instance, states.unshelve(instance.life), now, "", by)
        await self._save()

    def open_alarms(self) -> list[AlarmView]:
        """What is not normal: gravest first, then oldest first."""
        grave = {priority: place for place, priority in enumerate(Priority)}
        found = [instance for instance in self._instances.values() if instance.life.open]
        found.sort(key=lambda one: (grave[one.options.priority], one.life.raised or 0.0, one.id))
        return [instance.view() for instance in found]

    @property
    def notifications(self) -> Notifications | None:
        """Who is told; None before the alarms have been read."""
        return self._notify

    @property
    def undelivered(self) -> int:
        """Notifications given up."""
        return self._notify.undelivered if self._notify else 0

    # ---- transitions

    def _move(self, instance: Instance, change: tuple[Life, Transition], at: float, why: str, by: str = "") -> None:
        self._moved(instance, change[0], change[1], at, why, by)

    def _moved(
        self, instance: Instance, life: Life, transition: Transition | None, at: float, why: str, by: str = ""
    ) -> None:
        instance.life = life
        self.changed.ring(self.changed.at + 1)
        if transition is None:
            return
        record = {"alarm": instance.id, "transition": str(transition), "at_device": at, "by": by, "why": why}
        self._transitions.append(record)
        log.info("alarm", **record)
        # What is raised while the backlog is read is told when that has been read, if it is still on.
        if self._notify and not (self._catching_up and transition is Transition.RAISED):
            self._notify.moved(instance.view(), instance.options, transition, self._clock())

    # ---- durable state

    async def _load(self) -> None:
        from gateway.notify.delivery import Notifications

        cursor = await self._journal.cursor(ALARMS)
        state: Mapping[str, Any] = cursor.state if cursor else {}
        self._at = cursor.seq if cursor else 0
        self._notify = Notifications(self._config, state.get("notifications"), self._commit)
        by_id = {alarm.id: alarm for alarm in self._options}
        for alarm_id, device, quantity, life, condition in state.get("alarms", []):
            alarm = by_id.get(alarm_id)
            if alarm is None:
                continue
            told = Told(LINK_LOST_FOR) if alarm_id == "link-lost" else Told() if alarm_id == "journal" else None
            instance = self._instance(alarm, device, quantity, told)
            if instance is None:
                continue
            instance.life = Life(**{**life, "state": State(life["state"])})
            try:
                instance.condition.load(condition)
            except (ValueError, TypeError, IndexError):
                log.warning("an alarm's rule has changed: its memory starts anew", alarm=instance.id)
                instance.condition = build(alarm.when, device, quantity)
        self._catching_up = self._at < self._journal.observations.at
        if not self._catching_up:
            self._caught_up_quietly()
        self._saved_at = self._clock()

    def _caught_up_quietly(self) -> None:
        notify, self._notify = self._notify, None
        self._caught_up()
        self._notify = notify

    async def _save(self) -> None:
        transitions = list(self._transitions)
        self._transitions.clear()
        self._saved_at = self._clock()
        state = {
            "alarms": [
                [one.options.id, one.device, one.quantity, asdict(one.life), one.condition.dump()]
                for one in self._instances.values()
            ],
            "notifications": self._notify.dump() if self._notify else {},
        }
        at = self._at
        told = self._notify.records() if self._notify else []

        def store(transaction: Transaction) -> None:
            transaction.advance(ALARMS, at, state)
            for record in transitions:
                transaction.audit("alarm." + record["transition"], **record)
            for action, details in told:
                transaction.audit(action, **details)

        await self._journal.write(store)

    async def _commit(self) -> None:
        await self._journal.write(lambda _transaction: None)
