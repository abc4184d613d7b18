"""A sign of life for an outside watcher, which raises its own alarm when it hears nothing.

It is given only while readings can be kept and alarms are looked at: a gateway that merely runs is not alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from gateway.notify.options import HeartbeatOptions
from gateway.notify.ways import request

log = structlog.get_logger()

DAY: Final = 86_400.0


class Heartbeat:
    """To one watcher."""

    def __init__(
        self,
        options: HeartbeatOptions,
        unwell: Callable[[], Awaitable[str]],
        record: Callable[[tuple[str, dict[str, Any]]], None],
        clock: Callable[[], float],
    ) -> None:
        """`unwell`: "" or why no sign may be given. `record`: for the audit chain, at changes and once a day."""
        self._options, self._unwell, self._record, self._clock = options, unwell, record, clock
        self.sent = self.failed = 0
        self._trouble: str | None = None  # None: not known yet
        self._recorded_at: float | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(self._options.every)

    async def beat(self) -> None:
        """Give one sign of life, where one may be given."""
        why = await self._unwell()
        if not why and (answer := await request(self._options.method, self._options.url, None, {})):
            why = f"the watcher was not reached: {answer}"
        self.sent += not why
        self.failed += bool(why)
        now = self._clock()
        if self._recorded_at is None or bool(why) != bool(self._trouble) or not 0 <= now - self._recorded_at < DAY:
            self._recorded_at = now
            if why:
                log.warning("no heartbeat", watcher=self._options.id, why=why)
            details = {"watcher": self._options.id, "why": why, "sent": self.sent, "failed": self.failed}
            self._record(("heartbeat.failed" if why else "heartbeat.sent", details))
        self._trouble = why
