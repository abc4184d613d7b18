"""What links to servers share: the driver says what it wants, and the server tells of every change.

What is written to such a port is a request for the link (`subscribe`, its channel says what), not data for the server.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, Final

import structlog

from gateway.links.link import Ear, LinkState

log = structlog.get_logger()

MOST_REQUESTS: Final = 5000  # of one device


class Requests:
    """A port that takes requests: what is to be subscribed. `flowing` is clear while the journal presses back."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.waiting: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(MOST_REQUESTS)
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes, channel: str = "") -> None:
        try:
            self.waiting.put_nowait((data, channel))
        except asyncio.QueueFull:
            log.warning("too many requests, not subscribed", peer=self.peer, node=channel[:200])

    def pause(self) -> None:
        self.flowing.clear()

    def resume(self) -> None:
        self.flowing.set()

    def close(self) -> None:
        self.lose("hung up")

    def lose(self, why: str) -> None:
        """The conversation is over."""
        if not self.lost.done():
            self.lost.set_result(why)

    async def batch(self, most: int, patience: float) -> list[tuple[bytes, str]] | None:
        """The next requests together; [] when `patience` seconds are over, None when the conversation is."""
        getting = asyncio.ensure_future(self.waiting.get())
        try:
            either: set[asyncio.Future[Any]] = {getting, self.lost}
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if self.lost.done():
                return None
            found = [getting.result()] if getting.done() else []
        finally:
            getting.cancel()
        while found and len(found) < most and not self.waiting.empty():
            found.append(self.waiting.get_nowait())
        return found


class Durable:
    """Counts what must be durable before the server is told that it arrived."""

    def __init__(self) -> None:
        self._left = 1
        self._all = asyncio.Event()

    def expect(self) -> None:
        self._left += 1

    def done(self) -> None:
        self._left -= 1
        if not self._left:
            self._all.set()

    async def wait(self) -> None:
        self.done()
        await self._all.wait()


async def library(module: str, package: str, extra: str, ear: Ear) -> Any:
    """Import what only this link needs, without holding up the loop; where it is not installed, say so and wait for
    ever."""
    try:
        return await asyncio.to_thread(import_module, module)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "gateway":
            raise
        ear.state(LinkState.WAITING, f"{package} is not installed: pip install 'assaygate[{extra}]'")
        await asyncio.Event().wait()
