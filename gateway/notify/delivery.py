"""Telling people, each notifier at its own pace: tried again until it is delivered, never in the engine's way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import Transition
from gateway.alarms.view import AlarmView
from gateway.backoff import Backoff
from gateway.notify.dispatch import MUTE, Dispatch
from gateway.notify.heartbeat import Heartbeat
from gateway.notify.message import Message, compose
from gateway.notify.path_test import Record
from gateway.notify.sounder import Sounder
from gateway.notify.ways import send

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger()

FAILING: Final = 3  # tries in a row
TICKS: Final = 15.0  # seconds without one: the engine stands still
COMMIT: Final = 10.0  # seconds for a commit before a heartbeat is left out


async def _nothing() -> None:
    """No journal to commit to."""


class Notifications:
    """Everything on its way to people. `dump()` is what must survive a restart; a delivery may then happen twice."""

    def __init__(
        self, config: Config, state: Mapping[str, Any] | None = None, commit: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        """`state`: a former `dump`. `commit` returns once something has gone through the journal: no heartbeat is given
        while it does not."""
        self._config, self._commit = config, commit
        self._dispatch = Dispatch(config, state if isinstance(state, dict) else {})
        self._notifiers = {one.id: one for one in config.notifiers}
        self._sounders = {
            name: Sounder(one, partial(self._sounded, name))
            for name, one in self._notifiers.items()
            if one.type == "sounder"
        }
        self._wake = {name: asyncio.Event() for name in self._dispatch.outboxes}
        self._tries = dict.fromkeys(self._dispatch.outboxes, 0)
        self._failing: dict[str, str] = {}
        self._ticked = self._at = time.monotonic()

    # ---- what happens

    def moved(self, alarm: AlarmView, options: AlarmOptions, transition: Transition, now: float) -> None:
        """An alarm has made a transition. `now` in unix seconds. Returns at once."""
        self._at = time.monotonic()
        self._dispatch.moved(alarm, options, transition, now)
        self._follow()

    def tick(self, now: float, open_alarms: Sequence[tuple[AlarmView, AlarmOptions]]) -> None:
        """Once a second: what becomes due by time alone."""
        self._ticked = self._at = time.monotonic()
        self._dispatch.tick(now, open_alarms)
        self._follow()

    def _follow(self) -> None:
        for wake in self._wake.values():
            wake.set()
        for name, sounder in self._sounders.items():
            sounder.sound(self._dispatch.sounds(name))

    def _time(self) -> float:
        """Unix seconds: messages go out although the ticks wait for a disk."""
        at = time.monotonic()
        self._dispatch.now += at - self._at
        self._at = at
        return self._dispatch.now

    @property
    def failing(self) -> dict[str, str]:
        """Notifier -> why, while something cannot be delivered."""
        return {name.partition("#")[0]: why for name, why in self._failing.items()}

    @property
    def path_test(self) -> tuple[bool, str]:
        """Whether the alarm of the weekly test is on, and its words."""
        return self._dispatch.path_test

    def answered(self, by: str, now: float) -> None:
        """Somebody acknowledged the weekly test."""
        self._dispatch.answered(by, now)

    def mute(self, notifier_id: str, by: str, seconds: float = MUTE) -> None:
        """Silence a sounder for a time, or until the next new alarm. Errors: KeyError (no such sounder)."""
        sounder = self._sounders[notifier_id]
        self._dispatch.mute(notifier_id, by, seconds)
        sounder.sound("")

    async def test(self, notifier_id: str, by: str) -> str:
        """Send one marked test message now; "" or why it did not go. Errors: KeyError."""
        why = await send(self._notifiers[notifier_id], self._config, test_message(by), time.time())
        self._dispatch.records.append(("test.sent", {"notifier": notifier_id, "by": by, "why": why}))
        return why

    # ---- durable state

    @property
    def undelivered(self) -> int:
        """Given up."""
        return self._dispatch.undelivered

    @property
    def unsaved(self) -> bool:
        """Whether there are records to be kept."""
        return bool(self._dispatch.records)

    def records(self) -> list[Record]:
        """For the audit chain, each once: (action, what is to be kept of it)."""
        found = list(self._dispatch.records)
        self._dispatch.records.clear()
        return found

    def dump(self) -> dict[str, Any]:
        """Everything not delivered yet, and what is known to whom, as JSON."""
        return self._dispatch.dump()

    # ---- delivery

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name in self._dispatch.outboxes:
                way = self._sounders[name].run() if name in self._sounders else self._deliver(name)
                group.create_task(way, name=f"notifier:{name}")
            for one in self._config.heartbeats:
                beat = Heartbeat(one, self._unwell, self._dispatch.records.append, self._time)
                group.create_task(beat.run(), name=f"heartbeat:{one.id}")

    async def _deliver(self, name: str) -> None:
        dispatch, wake, backoff = self._dispatch, self._wake[name], Backoff(first=1.0, longest=60.0)
        box = dispatch.outboxes[name]
        while True:
            now = self._time()
            batch, note = box.due(now), box.note
            if not batch:
                wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(box.ripens(now)):
                        await wake.wait()
                continue
            why = await send(box.options, self._config, compose(batch, note), now)
            self._time()
            if why and self._tries[name] == 0:
                dispatch.failed(name, batch, why)
            tries = self._tried(name, why)
            if why:
                await asyncio.sleep(backoff.next())
                continue
            backoff.succeeded()
            dispatch.delivered(name, batch, note, tries)

    def _sounded(self, name: str, why: str) -> None:
        if why and self._tries[name] == 0:
            self._dispatch.failed(name, (), why)
        elif not why:
            self._dispatch.sounded(name)
        self._tried(name, why)

    def _tried(self, name: str, why: str) -> int:
        """Note how one try went; how many it have been in a row."""
        tries = self._tries[name] + 1
        self._tries[name] = tries if why else 0
        if not why:
            self._failing.pop(name, None)
            return tries
        log.warning("notification not delivered yet", notifier=name, why=why, tries=tries)
        if tries >= FAILING:
            self._failing[name] = why
        return tries

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


def test_message(by: str) -> Message:
    """What is sent to try a notifier."""
    return Message(
        "TEST: a test message of assaygate", f"Sent by {by}. No alarm is on: nothing needs to be done.", (), True
    )
