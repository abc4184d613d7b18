"""Telling people: once a transition, tried again until it is delivered or given up, never in the engine's way."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from gateway.backoff import Backoff
from gateway.notify.options import NotifierOptions

log = structlog.get_logger()

MOST_PENDING = 1000
TRIES = 12  # with the waits between them about half an hour
WITHIN = 30.0  # seconds for one delivery
Message = dict[str, str]


class Notifications:
    """Messages on their way. `pending()` is what must survive a restart; a delivery may then happen twice."""

    def __init__(self, notifiers: Iterable[NotifierOptions], pending: Iterable[Mapping[str, Any]]) -> None:
        self.undelivered = 0  # given up
        self._notifiers = {notifier.id: notifier for notifier in notifiers}
        self._queues: dict[str, deque[dict[str, Any]]] = {name: deque() for name in self._notifiers}
        self._numbers = itertools.count()
        self._wake = {name: asyncio.Event() for name in self._notifiers}
        for message in pending:
            self._put(str(message.get("notifier")), dict(message))

    def add(self, alarm: str, message: Message, notifiers: Iterable[str]) -> None:
        """Queue one message for each notifier. Returns at once."""
        for name in notifiers:
            self._put(name, {"notifier": name, "alarm": alarm, **message})

    def _put(self, name: str, message: dict[str, Any]) -> None:
        queue = self._queues.get(name)
        if queue is None:
            return
        if len(queue) >= MOST_PENDING:
            queue.popleft()
            self.undelivered += 1
            log.error("too many notifications wait: the oldest is given up", notifier=name)
        queue.append(message)
        self._wake[name].set()

    def pending(self) -> list[dict[str, Any]]:
        """Everything not delivered yet, as JSON."""
        return [message for queue in self._queues.values() for message in queue]

    async def run(self) -> None:
        """Deliver until cancelled, each notifier at its own pace."""
        async with asyncio.TaskGroup() as group:
            for name in self._notifiers:
                group.create_task(self._deliver(name), name=f"notifier:{name}")

    async def _deliver(self, name: str) -> None:
        notifier, queue = self._notifiers[name], self._queues[name]
        backoff, tries = Backoff(first=1.0, longest=300.0), 0
        while True:
            if not queue:
                self._wake[name].clear()
                await self._wake[name].wait()
            message = queue[0]
            why = await _send(notifier, message)
            tries += 1
            if why and tries < TRIES:
                log.warning("notification not delivered yet", notifier=name, alarm=message["alarm"], why=why)
                await asyncio.sleep(backoff.next())
                continue
            if why:
                self.undelivered += 1
                log.error("notification given up", notifier=name, alarm=message["alarm"], why=why)
            tries = 0
            backoff.succeeded()
            if queue and queue[0] is message:
                queue.popleft()


async def _send(notifier: NotifierOptions, message: Mapping[str, Any]) -> str:
    """Deliver one message; "" or why it did not go. The addresses are secrets and appear in no answer."""
    if notifier.type == "log":
        log.warning("notification", notifier=notifier.id, title=message["title"], text=message["text"])
        return ""
    try:
        import apprise
    except ImportError:
        return "apprise is not installed: pip install 'assaygate[notify]'"
    there = apprise.Apprise()
    for url in notifier.urls:
        try:
            if not there.add(url.resolve()):
                return "an address of this notifier is not one apprise understands"
        except ValueError as error:
            return str(error)
    try:
        async with asyncio.timeout(WITHIN):
            sent = await there.async_notify(title=str(message["title"]), body=str(message["text"]) or " ")
    except TimeoutError:
        return f"no answer within {WITHIN:g} s"
    return "" if sent else "refused or unreachable"
