"""Where a sink stands in the journal, and how far back it goes when what it delivered may have been lost."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import translate
from typing import Final

import orjson
import structlog

from gateway.journal.bell import first_of
from gateway.journal.schema import RESEND, SINK
from gateway.journal.store import Journal
from gateway.journal.transaction import Transaction
from gateway.sinks.options import Select
from gateway.sinks.state import SinkState

log = structlog.get_logger()

MANY: Final = 1000  # observations of one quantity in one millisecond above which their number is not looked up

_ROWS: Final = "SELECT seq, time, device, kind, quantity, body, 0 FROM observation WHERE seq > ? ORDER BY seq LIMIT ?"
# The last column: how many earlier observations of the same quantity fall into the same millisecond. It depends on
# nothing but what stands before the row, so it is the same whenever and by whomever the row is sent.
_NUMBERED: Final = f"""
    SELECT seq, time, device, kind, quantity, body, (
        SELECT count(*) FROM (
            SELECT 1 FROM observation e WHERE e.device = o.device AND e.quantity = o.quantity
            AND e.time BETWEEN o.time - o.time % 1000 AND o.time - o.time % 1000 + 999 AND e.seq < o.seq LIMIT {MANY}))
    FROM observation o WHERE seq > ? ORDER BY seq LIMIT ?
"""  # noqa: S608 - our own constant

_Fetched = tuple[int, int, str, str, str, bytes, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One observation to deliver."""

    seq: int
    time: int  # unix microseconds
    body: bytes  # JSON without seq
    twin: int  # how many earlier ones of the same quantity share its millisecond; MANY: too many to tell apart


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in order, and the position that is reached when they are delivered (rows not selected included)."""

    rows: list[Row]
    last: int


class Place:
    """A sink's durable cursor, `sink:<id>`: it belongs to the id, whatever address is behind it.

    `resend` is for how many seconds after its acknowledgement a delivered row may still be lost. The position that
    was acknowledged so long before the last acknowledgement is the floor; `rewind` goes back to it, and so does a
    new process. It is kept with the cursor as {"floor": seq}: rows after it must stay in the journal.
    """

    def __init__(
        self, journal: Journal, sink_id: str, select: Select, *, resend: float = 0.0, numbered: bool = False
    ) -> None:
        self.id = sink_id
        self.connected = False
        self.error = ""
        self._journal = journal
        self._name = f"{SINK}{sink_id}"
        self._resend = resend
        self._sql = _NUMBERED if numbered else _ROWS
        self._wanted = selector(select)
        self._position = self._cursor = self._floor = 0
        self._heard = 0  # requests looked at
        self._marks: deque[tuple[float, int]] = deque()  # (when, position) acknowledged since the last rewind
        self._refused = self._delivered = 0
        self._oldest: float | None = None  # when the first undelivered row was received, unix seconds

    async def open(self) -> None:
        """Read the cursor. What was acknowledged in the last seconds before is sent again."""
        found = await self._journal.cursor(self._name)
        if found is not None:
            self._cursor = found.seq
            self._floor = min(found.seq, int(found.state.get("floor", found.seq)))
        self._position = self._floor
        self._heard = self._journal.requests.at
        await self._asked()
        (self._refused,) = await self._journal.read(
            lambda db: db.execute("SELECT count(*) FROM refused WHERE sink=?", (self.id,)).fetchone()
        )

    async def next(self, limit: int, linger: float) -> Batch:
        """The rows to deliver now. Waits until there are some, and up to `linger` seconds for more to join them."""
        while True:
            await first_of((self._journal.observations, self._position), (self._journal.requests, self._heard))
            if self._journal.requests.at > self._heard:
                self._heard = self._journal.requests.at
                await self._asked()
                continue
            if self._position >= self._cursor:
                self._await_delivery()
            try:
                async with asyncio.timeout(linger):
                    await self._journal.observations.beyond(self._position + limit - 1)
            except TimeoutError:
                pass
            batch = await self._fetch(limit)
            if batch.rows:
                return batch
            await self.delivered(batch, {})

    async def delivered(self, batch: Batch, refused: Mapping[int, str]) -> None:
        """The batch is acknowledged, but for the `refused` (seq: reason), which are listed. Durable on return."""
        now = time.monotonic()
        cursor = max(self._cursor, batch.last)
        if not self._marks or now - self._marks[-1][0] >= self._resend / 60:
            self._marks.append((now, batch.last))
        floor = self._floor
        while self._marks and self._marks[0][0] <= now - self._resend:
            floor = self._marks.popleft()[1]

        def store(t: Transaction) -> None:
            for seq, reason in refused.items():
                t.refuse(self.id, seq, reason)
            t.advance(self._name, cursor, {"floor": floor})

        await self._journal.write(store)
        self._position, self._cursor, self._floor = batch.last, cursor, floor
        self._delivered += len(batch.rows) - len(refused)
        self._refused += len(refused)
        self._oldest = None

    async def _asked(self) -> None:
        """Go back to where a person wants it sent again from, if one does. Durable on return."""
        name = f"{RESEND}{self.id}"
        found = await self._journal.cursor(name)
        if found is None:
            return
        floor = min(self._floor, found.seq)

        def store(t: Transaction) -> None:
            t.advance(self._name, self._cursor, {"floor": floor})
            t.forget(name)

        await self._journal.write(store)
        log.info("sends again, as asked", sink=self.id, after=floor)
        self._position, self._floor = min(self._position, floor), floor
        self._marks.clear()

    def rewind(self) -> int:
        """Go back to the floor; how many rows will be sent again."""
        again = self._position - self._floor
        self._position = self._floor
        self._marks.clear()
        return again

    @property
    def cursor(self) -> int:
        return self._cursor

    @property
    def state(self) -> SinkState:
        behind = max(0, self._journal.observations.at - self._cursor)
        return SinkState(
            id=self.id,
            connected=self.connected,
            cursor=self._cursor,
            behind=behind,
            behind_seconds=max(0.0, time.time() - self._oldest) if behind and self._oldest else 0.0,
            delivered=self._delivered,
            refused=self._refused,
            resending=max(0, self._cursor - self._position),
            last_error=self.error,
        )

    def works(self) -> None:
        """The store takes what it is given."""
        self.connected, self.error = True, ""

    def waits(self, why: object) -> None:
        """The store does not, for now; said once."""
        if self.error != str(why):
            log.warning("sink waits", sink=self.id, reason=str(why))
        self.connected, self.error = False, str(why)

    def _await_delivery(self) -> None:
        if self._oldest is None:
            self._oldest = time.time()

    async def _fetch(self, limit: int) -> Batch:
        after, cursor, end = self._position, self._cursor, self._journal.observations.at

        def read(db: sqlite3.Connection) -> tuple[list[_Fetched], set[int]]:
            rows: list[_Fetched] = db.execute(self._sql, (after, limit)).fetchall()
            known: set[int] = set()
            if after < cursor:  # sent again: what was refused then is not tried again
                known = {
                    seq for (seq,) in db.execute("SELECT seq FROM refused WHERE sink=? AND seq>?", (self.id, after))
                }
            return rows, known

        fetched, known = await self._journal.read(read)
        if fetched and after >= cursor:
            self._oldest = _received(fetched[0][5])
        rows = [
            Row(seq, when, body, twin)
            for seq, when, device, kind, quantity, body, twin in fetched
            if seq not in known and self._wanted(device, kind, quantity)
        ]
        return Batch(rows, fetched[-1][0] if fetched else end)


def _received(body: bytes) -> float:
    received = orjson.loads(body).get("received")
    try:
        return datetime.fromisoformat(received).timestamp()
    except (TypeError, ValueError):
        return time.time()


def selector(select: Select) -> Callable[[str, str, str], bool]:
    """Whether an observation of a device, kind and quantity goes to a sink."""
    device, kind, quantity = (_globs(names) for names in (select.devices, select.kinds, select.quantities))
    return lambda d, k, q: bool(device(d) and kind(k) and quantity(q))


def _globs(names: Iterable[str]) -> Callable[[str], object]:
    patterns = [translate(name) for name in names]
    return re.compile("|".join(patterns)).match if patterns else lambda _name: True
