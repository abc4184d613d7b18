"""Raw messages into observations: the journal's first reader.

Decoding is a pure function of the bytes and the device's configuration, so a message may be decoded again at
any time: after a crash, from quarantine, by a better driver next year. Observations are told apart by uid.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import structlog

from drivers.kit.declare import Driver, Message
from drivers.kit.exchange import DecodeError, Reason
from drivers.kit.observation import Draft, Quality
from gateway.journal.bell import Bell
from gateway.journal.schema import BROKEN, DECODE, PART, REFUSED
from gateway.journal.store import Journal
from gateway.journal.transaction import COLUMNS, Cursor, RawMessage, Row, Transaction, follow, joined, read_message
from gateway.normalise import Normaliser

log = structlog.get_logger()

BATCH = 300
MOST_DRAFTS = 100_000  # of one message: a bound, not an expectation
PATIENCE = 60.0
"""Seconds a broken-off message waits for its sender to send it whole. What was acknowledged of it is decoded
after that, or right after the device's next whole message (so that the whole one's observations come first
and the broken one adds only what was in no other)."""
LINGER = 0.1
"""Seconds decoding rests once it has caught up. A lone result is read at once; while one instrument sends message after
message, its frames' commits do not queue behind a commit of observations each time."""
GIVE_WAY = 2.0
"""While instruments keep us busy, decoding rests this many times as long as it worked: acknowledging comes first,
and what is acknowledged waits safely."""
LONGEST_REST = 0.5
Mark = Callable[[Transaction, Iterable[Row]], Iterable[Row]]
"""A stage between normalising and storing: the rows as they are to be stored, inside the transaction that does."""
RETAINED = "retained by the broker: when it was measured is not known"


@dataclass(frozen=True, slots=True)
class Reading:
    """How one device's messages are read."""

    driver: Driver
    options: Any
    normaliser: Normaliser


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message gave no observations."""

    reason: Reason
    detail: str


def read(message: RawMessage, reading: Reading | None) -> list[Row] | Failure:
    """One message's observations as journal rows, or why there are none."""
    if reading is None:
        return Failure(Reason.UNCLAIMED, f"no device called {message.device!r} is configured")
    sound = message.state != BROKEN
    try:
        drafts = reading.driver.decode(Message(message.data, message.channel, sound), reading.options)
        drafts = list(islice(drafts, MOST_DRAFTS))
    except DecodeError as error:
        return Failure(error.reason, str(error))
    except Exception as error:
        log.exception("driver failed", device=message.device, raw=message.id)
        return Failure(Reason.FAULT, f"{type(error).__name__}: {error}")
    if message.retained:
        drafts = [_retained(draft) for draft in drafts]
    return reading.normaliser.rows(message, drafts)


def _retained(draft: Draft) -> Draft:
    """A retained message is the broker's memory of a state, not a measurement made now."""
    if draft.quality is not Quality.GOOD:
        return draft
    return replace(draft, quality=Quality.UNCERTAIN, quality_reason=RETAINED)


@dataclass(slots=True)
class Outcome:
    """What one batch of raw rows came to; written in one transaction with the cursor."""

    upto: int
    broken: dict[int, tuple[str, float]]  # message -> device, when it is read whatever happens
    begun: set[int]  # messages whose end has not come
    more: bool = False  # there was more to read than a batch
    rows: list[Row] = field(default_factory=list)
    failures: list[tuple[RawMessage, Failure]] = field(default_factory=list)
    late: list[tuple[RawMessage, list[Row], bool]] = field(default_factory=list)  # broken, its rows, was superseded

    def store(self, transaction: Transaction, mark: Mark) -> None:
        transaction.observe(mark(transaction, self.rows))
        for message, failure in self.failures:
            transaction.quarantine(message.id, message.device, failure.reason, failure.detail)
        for message, rows, superseded in self.late:
            new = transaction.observe(mark(transaction, rows))
            if new or not superseded:
                detail = f"the sender stopped before the end; {new} of {len(rows)} results were in no other message"
                transaction.quarantine(message.id, message.device, Reason.INCOMPLETE, detail)
        state = {"broken": [[message, *rest] for message, rest in self.broken.items()], "begun": sorted(self.begun)}
        transaction.advance(DECODE, self.upto, state)


def as_read(_transaction: Transaction, rows: Iterable[Row]) -> Iterable[Row]:
    """The stage that marks nothing."""
    return rows


class Decoder:
    """Follows the raw rows with its own durable cursor."""

    def __init__(self, journal: Journal, reading: Callable[[str], Reading | None], mark: Mark = as_read) -> None:
        self._journal = journal
        self._reading = reading
        self._mark = mark
        self.done = Bell(0)

    async def run(self) -> None:
        cursor = await self._journal.cursor(DECODE) or Cursor(0)
        broken = {int(message): (device, due) for message, device, due in cursor.state.get("broken", ())}
        last = Outcome(cursor.seq, broken, set(cursor.state.get("begun", ())))
        self.done.ring(last.upto)
        loop = asyncio.get_running_loop()
        while True:
            await self._wait(last)
            started, head = loop.time(), self._journal.raws.at
            outcome = await self._journal.read(lambda db: self._batch(db, last))  # noqa: B023 - awaited here
            if outcome.upto != last.upto or outcome.late:
                await self._journal.write(lambda t: outcome.store(t, self._mark))  # noqa: B023 - awaited here
            last = outcome
            self.done.ring(last.upto)
            if self._journal.raws.at - head >= BATCH // 2:  # instruments keep us busy
                await asyncio.sleep(min(LONGEST_REST, GIVE_WAY * (loop.time() - started)))
            elif not outcome.more:
                await asyncio.sleep(LINGER)

    async def _wait(self, last: Outcome) -> None:
        due = min((due for _, due in last.broken.values()), default=None)
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - time.time())):
                await self._journal.raws.beyond(last.upto)
        except TimeoutError:
            return

    def _batch(self, db: sqlite3.Connection, last: Outcome) -> Outcome:
        latest = time.time() + PATIENCE  # later than that nothing is due, but by a clock that was put back since
        broken = {message: (device, min(due, latest)) for message, (device, due) in last.broken.items()}
        outcome = Outcome(last.upto, broken, set(last.begun))
        parts: dict[int, list[tuple[Any, ...]]] = {}
        query = f"SELECT {COLUMNS} FROM raw WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constants
        for count, row in enumerate(db.execute(query, (last.upto, BATCH)), 1):
            outcome.more = count == BATCH
            outcome.upto = row[0]
            state, first = row[2], row[1] or row[0]
            follow(outcome.begun, *row[:3])
            if state == REFUSED:
                continue
            if state == PART:
                if row[1] is None or first in parts:
                    parts.setdefault(first, []).append(row)
                continue
            if state == BROKEN:
                outcome.broken[first] = (row[3], time.time() + PATIENCE)
                continue
            rows = [*parts.pop(first, ()), row]
            message = joined(rows) if rows[0][0] == first else read_message(db, first)
            if message:
                self._add(outcome, message)
            if outcome.broken:
                self._late(db, outcome, [m for m, (device, _) in outcome.broken.items() if device == row[3]], True)
        now = time.time()
        self._late(db, outcome, [m for m, (_, due) in outcome.broken.items() if due <= now], False)
        return outcome

    def _add(self, outcome: Outcome, message: RawMessage) -> None:
        read_out = read(message, self._reading(message.device))
        if isinstance(read_out, Failure):
            outcome.failures.append((message, read_out))
        else:
            outcome.rows.extend(read_out)

    def _late(self, db: sqlite3.Connection, outcome: Outcome, messages: Iterable[int], superseded: bool) -> None:
        for first in messages:
            del outcome.broken[first]
            message = read_message(db, first)
            if message is None:
                continue
            read_out = read(message, self._reading(message.device))
            if isinstance(read_out, Failure):
                outcome.late.append((message, [], superseded))
            else:
                outcome.late.append((message, read_out, superseded))
