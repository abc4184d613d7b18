"""Parts that run for years: started, restarted when they fail, stopped in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

LONGEST_WAIT = 30.0
SETTLED = 60.0  # a part that ran this long before it failed starts over with short waits


@dataclass(slots=True)
class Part:
    """One supervised part and how it is doing."""

    name: str
    task: asyncio.Task[None] | None = None
    running: bool = False
    restarts: int = 0
    trouble: str = ""


class Supervisor:
    """Runs named parts in one TaskGroup. A part that raises is restarted after a full-jitter wait; it disturbs
    no other part."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self.parts: dict[str, Part] = {}
        self._closed = False

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run()` until `stop(name)`; not at all after `close`. ValueError if the name is taken."""
        if self._closed:
            return
        if name in self.parts:
            raise ValueError(f"{name} is already running")
        part = self.parts[name] = Part(name)
        part.task = self._group.create_task(self._keep_running(part, run), name=name)

    async def stop(self, *names: str) -> None:
        """Cancel the named parts together and wait until they have ended."""
        parts = [self.parts.pop(name) for name in names if name in self.parts]
        tasks = [part.task for part in parts if part.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop every part; what a reload under way would start now is not started any more."""
        self._closed = True
        await self.stop(*self.parts)

    async def _keep_running(self, part: Part, run: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            part.running = True
            try:
                await run()
            except Exception as error:
                part.trouble = f"{type(error).__name__}: {error}"
                log.exception("part failed", part=part.name)
                if part.task and part.task.cancelling():
                    return  # it failed while it was being stopped
            else:
                return
            finally:
                part.running = False
            failures = 1 if loop.time() - started > SETTLED else failures + 1
            part.restarts += 1
            await asyncio.sleep(random.uniform(0, min(LONGEST_WAIT, 0.5 * 2**failures)))  # noqa: S311 - jitter
            part.trouble = ""
