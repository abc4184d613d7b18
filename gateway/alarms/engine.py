"""The alarms in the daemon: a reader of observations with its own cursor, and a clock's tick each second.

What the panel remembers is kept in the cursor's state, in one transaction with the transitions' entries in the audit
chain. So a restart goes on exactly where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.alarms.annunciator import Annunciator
from gateway.alarms.conditions import Seen
from gateway.alarms.defaults import TOLD, defaults
from gateway.alarms.instance import rfc3339
from gateway.alarms.states import State, Transition
from gateway.alarms.surroundings import Looked, Surroundings, look
from gateway.alarms.view import AlarmView
from gateway.journal.bell import Bell
from gateway.journal.schema import ALARMS
from gateway.journal.store import Journal
from gateway.journal.transaction import Transaction
from gateway.notify.delivery import Notifications
from gateway.pulse import SIGNS
from gateway.qc import view as qc

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger()

BATCH: Final = 1000
TICK: Final = 1.0
SAVE_WITHIN: Final = 1.0  # seconds, at a stop
SAVE_EVERY: Final = 5.0  # seconds the saved place may be behind; transitions are saved at once
SAVE_EACH: Final = 0.02  # seconds more for each alarm: a thousand with windows are a megabyte
MOST_RECORDS: Final = 10_000  # while the journal takes none; the log has them all
LOOK_EVERY: Final = 10.0  # seconds between looks at quarantine


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
        self.panel = Annunciator(defaults(config), config.suppressions, TOLD)
        self.notifications = Notifications(config, None, self._commit)
        self._config = config
        self._journal = journal
        self._around = surroundings
        self._clock = clock
        self._at = 0
        self._saved_at = 0.0
        self._looked_at = 0.0
        self._records: deque[tuple[str, dict[str, Any]]] = deque(maxlen=MOST_RECORDS)
        self._quarantined = 0
        self._quality: tuple[dict[str, tuple[bool, str]], int] = ({}, 0)
        self._catching_up = True
        self._unsaved = asyncio.Event()

    # ---- running

    async def run(self) -> None:
        """Follow the journal until cancelled; what is unsaved is saved at the end."""
        await self._load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.notifications.run(), name="notifiers")
            group.create_task(self._tick(), name="alarms-tick")
            group.create_task(self._keep(), name="alarms-keep")
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
                self.panel.feed(Seen.of(seq, body))
                self._at = seq
            self._told()
            if self._catching_up and self._at >= head:
                self._caught_up(tell=True)
            every = SAVE_EVERY + SAVE_EACH * len(self.panel.instances)
            if self._records or abs(self._clock() - self._saved_at) > every:
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
                await self._ask_quality(now)
            if not self._catching_up:
                self.tick(now)
            if self._records or self.notifications.unsaved:
                self._unsaved.set()

    async def _keep(self) -> None:
        """Beside the ticks, which go on where the disk refuses: that is itself an alarm."""
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            await self._save()

    def tick(self, now: float) -> None:
        """Delays, silences, ends of shelving, and what the gateway itself shows. `now` in unix seconds."""
        failing, path_test = self.notifications.failing, self.notifications.path_test
        at = Looked(
            self._config,
            self._around,
            self._journal.trouble,
            self._quarantined,
            failing,
            path_test,
            *self._quality,
            now,
        )
        self.panel.tick(now)
        for alarm in self.panel.options:
            if looked := look(alarm):
                for name, is_true, words, value in looked(alarm, at):
                    self.panel.tell(alarm, name, is_true, now, words, value)
            elif (sign := alarm.when.gateway) is not None and (value := self._around.signs.get(sign)) is not None:
                unit = SIGNS[sign].unit
                self.panel.show(alarm, Seen(0, "", sign, "status", value, None, None, False, now, now, unit))
        self._told()
        self.notifications.tick(now, [(one.view(), one.options) for one in self.panel.open()])

    def _caught_up(self, *, tell: bool) -> None:
        """The backlog is read: tell once about what is still on."""
        self._catching_up = False
        now = self._clock()
        for device in self._config.devices:
            self.panel.expect(device.id, now)
        for instance in self.panel.open() if tell else ():
            if instance.life.state is State.UNACKNOWLEDGED:
                self.notifications.moved(instance.view(), instance.options, Transition.RAISED, now)

    async def _count_quarantine(self, now: float) -> None:
        windows = [one.when.within or 3600.0 for one in self.panel.options if one.when.quarantine is not None]
        if windows:
            since = int((now - max(windows)) * 1e9)
            query = "SELECT count(*) FROM quarantine WHERE resolved IS NULL AND at > ?"
            self._quarantined = await self._journal.read(lambda db: int(db.execute(query, (since,)).fetchone()[0]))

    async def _ask_quality(self, now: float) -> None:
        config = self._config
        if config.controls or config.lockouts or config.moving_averages or config.critical_values or config.run_checks:
            self._quality = await self._journal.read(
                lambda db: (qc.standing(db, config, int(now * 1e6)), qc.held_count(db))
            )

    # ---- people. Errors: KeyError (no such alarm), states.NotNowError (a ValueError)

    async def acknowledge(self, alarm_id: str, by: str, comment: str = "") -> None:
        self.panel.acknowledge(alarm_id, by, comment, self._clock())
        await self._done()

    async def reset(self, alarm_id: str, by: str, comment: str = "") -> None:
        self.panel.reset(alarm_id, by, comment, self._clock())
        await self._done()

    async def shelve(self, alarm_id: str, by: str, seconds: float, reason: str) -> None:
        now = self._clock()
        self.panel.shelve(alarm_id, now + seconds, by, reason, now)
        await self._done()

    async def unshelve(self, alarm_id: str, by: str) -> None:
        self.panel.unshelve(alarm_id, by, self._clock())
        await self._done()

    async def remove(self, alarm_id: str, by: str, reason: str) -> None:
        """Out of service."""
        self.panel.remove(alarm_id, by, reason, self._clock())
        await self._done()

    async def take_back(self, alarm_id: str, by: str) -> None:
        """Into service again."""
        self.panel.take_back(alarm_id, by, self._clock())
        await self._done()

    async def maintain(self, device: str, by: str, seconds: float, reason: str) -> None:
        """A person works on a device: its alarms are not raised meanwhile. Errors: ValueError (too long)."""
        now = self._clock()
        self.panel.suppressions.maintain(device, now + seconds, by, reason, now)
        await self._done()

    async def end_maintenance(self, device: str, by: str) -> None:
        """Errors: KeyError."""
        self.panel.suppressions.end_maintenance(device, self._clock(), by)
        await self._done()

    def open_alarms(self) -> list[AlarmView]:
        """What is not normal: gravest first, then oldest first."""
        return [instance.view() for instance in self.panel.open()]

    def suppressed(self) -> list[dict[str, Any]]:
        """What is suppressed, why and until when (RFC 3339)."""
        found = self.panel.suppressions.standing(self._clock())
        return [{**one, "since": rfc3339(one["since"]), "until": rfc3339(one["until"])} for one in found]

    @property
    def undelivered(self) -> int:
        """Notifiers that somebody could not be told by."""
        return len(self.notifications.failing)

    async def _done(self) -> None:
        self._told()
        await self._save()

    # ---- transitions

    def _told(self) -> None:
        """Into the audit chain, to the log and to people with what has happened."""
        panel = self.panel
        if not (panel.moved or panel.suppressions.changes):
            return
        moved, changes = list(panel.moved), list(panel.suppressions.changes)
        panel.moved.clear()
        panel.suppressions.changes.clear()
        self.changed.ring(self.changed.at + 1)
        for action, device, by, why, at in changes:
            self._record(action, {"device": device, "by": by, "why": why, "at_device": at})
        for one in moved:
            options, instance = one.instance.options, one.instance
            record = {
                "alarm": instance.id, "transition": str(one.transition), "at_device": one.at, "by": one.by,
                "why": one.why, "priority": str(options.priority),
            }  # fmt: skip
            self._record(f"alarm.{one.transition}", record)
            # What is raised while the backlog is read is told when that has been read, if it is still on.
            if not (self._catching_up and one.transition is Transition.RAISED):
                self.notifications.moved(instance.view(), options, one.transition, self._clock())

    def _record(self, action: str, body: dict[str, Any]) -> None:
        self._records.append((action, body))
        log.info("alarm", action=action, **body)

    # ---- durable state

    async def _load(self) -> None:
        cursor = await self._journal.cursor(ALARMS)
        state: Mapping[str, Any] = cursor.state if cursor else {}
        self._at = cursor.seq if cursor else 0
        self.notifications = Notifications(self._config, state.get("notifications"), self._commit)
        self.panel.load(state)
        self._catching_up = self._at < self._journal.observations.at
        if not self._catching_up:
            self._caught_up(tell=False)  # they were told before the stop
        self._saved_at = self._clock()

    async def _save(self) -> None:
        records = [*self._records, *self.notifications.records()]
        self._records.clear()
        self._saved_at = self._clock()
        state = {**self.panel.dump(), "notifications": self.notifications.dump()}
        at = self._at

        def store(transaction: Transaction) -> None:
            transaction.advance(ALARMS, at, state)
            for action, body in records:
                transaction.audit(action, **body)

        await self._journal.write(store)

    async def _commit(self) -> None:
        """Returns once the journal commits: what the heartbeat stands for."""
        await self._journal.write(lambda _transaction: None)
