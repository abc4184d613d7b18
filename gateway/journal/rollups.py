"""Sums of readings over minutes, hours and days, so that a plot of a year reads some thousand rows instead of millions.

A reader of observations with its own position, `rolled`, moved in the transaction that adds to the sums: killed at any
point it counts nothing twice and leaves nothing out. A late reading goes into its own bucket, a correction counts as
one more reading, as in the rows themselves. Everything here can be made again of the observations.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any, Final

import structlog

from gateway.journal.store import Journal
from gateway.journal.transaction import Transaction

log = structlog.get_logger()

MINUTE: Final = 60_000_000
WIDTHS: Final = (MINUTE, 60 * MINUTE, 1440 * MINUTE)  # microseconds, finest first; each is whole in the next
BATCH: Final = 5000  # rows a step: at most three times as many buckets in one transaction
LINGER: Final = 20.0
"""Seconds for more readings to come: a bucket costs the same however many readings are added to it at once."""
GIVE_WAY: Final = 2.0  # rests this many times as long as a step took: making up for years must not disturb instruments
MANY: Final = 20 * BATCH  # rows to make up for that are worth a line in the log
SAY_EVERY: Final = 60.0

Bucket = tuple[Any, ...]  # device, quantity, width, start, count, sum, low, high, last

# SQLite divides towards zero; a clock may stand before 1970.
_GATHER: Final = (
    "SELECT device, quantity, ?3, time - (time % ?3 + ?3) % ?3 AS start,"
    " count(*), sum(number), min(number), max(number), max(time)"
    " FROM observation WHERE seq > ?1 AND seq <= ?2 AND number IS NOT NULL GROUP BY device, quantity, start"
)
# A sum that is no number any more (of numbers too large) stays none.
_ADD: Final = (
    "INSERT INTO rollup VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (device, quantity, width, start) DO UPDATE SET"
    " count = count + excluded.count, sum = sum + excluded.sum,"
    " low = min(low, excluded.low), high = max(high, excluded.high), last = max(last, excluded.last)"
)
_TOUCHED: Final = (
    "SELECT DISTINCT device, quantity, ?3, time - (time % ?3 + ?3) % ?3 FROM observation"
    " WHERE seq BETWEEN ?1 AND ?2 AND number IS NOT NULL"
)
_DROP: Final = (
    "DELETE FROM rollup WHERE device = ?1 AND quantity = ?2 AND width = ?3 AND start = ?4 AND NOT EXISTS"
    " (SELECT 1 FROM observation WHERE device = ?1 AND quantity = ?2 AND time >= ?4 AND time < ?4 + ?3"
    " AND number IS NOT NULL)"
)


def rolled(db: sqlite3.Connection) -> int | None:
    """The seq up to which observations are in the sums; None where nobody makes any."""
    row = db.execute("SELECT seq FROM rolled").fetchone()
    return int(row[0]) if row else None


def begin(transaction: Transaction) -> int:
    """Where the reader stands; from here on nothing is removed that it has not read."""
    transaction.db.execute("INSERT INTO rolled SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM rolled)")
    return rolled(transaction.db) or 0


def gather(db: sqlite3.Connection, after: int, limit: int = BATCH) -> tuple[int, list[Bucket]]:
    """The next `limit` observations: up to which seq they go, and what they add to which bucket."""
    query = "SELECT max(seq) FROM (SELECT seq FROM observation WHERE seq > ? ORDER BY seq LIMIT ?)"
    (upto,) = db.execute(query, (after, limit)).fetchone()
    if upto is None:
        return after, []
    return upto, [row for width in WIDTHS for row in db.execute(_GATHER, (after, upto, width))]


def add(transaction: Transaction, upto: int, buckets: list[Bucket]) -> None:
    """Add what was gathered, and that it was."""
    transaction.db.executemany(_ADD, buckets)
    transaction.db.execute("UPDATE rolled SET seq = ?", (upto,))


def touched(db: sqlite3.Connection, first: int, last: int) -> list[Bucket]:
    """The buckets that the observations from seq `first` to `last` are in."""
    return [row for width in WIDTHS for row in db.execute(_TOUCHED, (first, last, width))]


def drop(db: sqlite3.Connection, buckets: list[Bucket]) -> None:
    """Remove those of the buckets of which no observation is left. One that is removed in part stays as it was."""
    db.executemany(_DROP, buckets)


class Rollups:
    """Keeps the sums, a little behind the writer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def run(self) -> None:
        at = await self._journal.write(begin)
        while True:
            await self._journal.observations.beyond(at)
            at = await self._catch_up(at)
            await asyncio.sleep(LINGER)

    async def _catch_up(self, at: int) -> int:
        """Add all there is; up to where."""
        loop = asyncio.get_running_loop()
        head = self._journal.observations.at
        many, said = head - at > MANY, 0.0
        while at < self._journal.observations.at:
            started = loop.time()
            if many and started - said >= SAY_EVERY:
                log.info("making rollups of what is in the journal", done=at, of=head)
                said = started
            upto, buckets = await self._journal.read(lambda db: gather(db, at))  # noqa: B023 - awaited here
            await self._journal.write(lambda t: add(t, upto, buckets))  # noqa: B023 - awaited here
            at = upto
            await asyncio.sleep(GIVE_WAY * (loop.time() - started))
        if many:
            log.info("rollups made", upto=at)
        return at
