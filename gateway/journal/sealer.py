"""The reader of the journal that seals it, a little behind the writer."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final

import structlog

from gateway.journal import seals
from gateway.journal.bell import first_of
from gateway.journal.seals import ROWS, Seal
from gateway.journal.store import Journal

log = structlog.get_logger()

LINGER: Final = 1.0  # seconds for more rows to join a seal
EVERY: Final = 3600.0  # seconds between the heads that go into the log


class Sealer:
    """Seals what is new. The log has the chain's head at the start, every hour and at the stop: a copy of the log
    kept on another machine shows a journal whose end was cut off."""

    def __init__(self, journal: Journal, secret: bytes) -> None:
        self._journal = journal
        self._secret = secret
        self._head = ""
        self.caught_up = asyncio.Event()  # what the last process left has its seals

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            said = loop.time()
            first = True
            while True:
                raw, seq = await self._seal()
                self.caught_up.set()
                if first or loop.time() - said >= EVERY:
                    self._say()
                    said, first = loop.time(), False
                await first_of((self._journal.raws, raw), (self._journal.observations, seq))
                await asyncio.sleep(LINGER)
        finally:
            self._say()

    def _say(self) -> None:
        if self._head:
            log.info("journal sealed", head=self._head)

    async def _seal(self) -> tuple[int, int]:
        """Seal all there is; up to where."""
        while True:
            seal = await self._journal.read(self._following)
            if seal is None:
                return await self._journal.read(seals.sealed)
            made: Seal = seal
            await self._journal.write(lambda t: seals.store(t.db, made))  # noqa: B023 - awaited
            self._head = made.head
            if made.raw_last - made.raw_first + 1 < ROWS and made.seq_last - made.seq_first + 1 < ROWS:
                return made.raw_last, made.seq_last

    def _following(self, db: sqlite3.Connection) -> Seal | None:
        return seals.following(db, self._secret)
