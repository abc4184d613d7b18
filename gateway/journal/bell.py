"""Waiting for a position to move on."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings when a position moves on; whoever waits below it wakes."""

    def __init__(self, at: int) -> None:
        self.at = at
        self._event = asyncio.Event()

    def ring(self, at: int) -> None:
        if at > self.at:
            self.at = at
            self._event.set()
            self._event = asyncio.Event()

    async def beyond(self, seq: int) -> None:
        """Return when there is something after `seq`."""
        while self.at <= seq:
            await self._event.wait()


async def first_of(*waited: tuple[Bell, int]) -> None:
    """Return when there is something beyond one of the positions."""
    waiting = [asyncio.ensure_future(bell.beyond(at)) for bell, at in waited]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
