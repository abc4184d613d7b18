"""Retention: what is old and delivered goes, everything somebody still needs stays, and it costs little."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.journal import retention
from gateway.journal.schema import ALARMS, BROKEN, DECODE, LAST, PART, REFUSED
from gateway.journal.store import Journal
from gateway.journal.transaction import Row, Transaction, read_message

DAY = 86_400
READERS = [ALARMS, "sink:store"]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path)
    yield opened
    await opened.close()


def fill(transaction: Transaction, days: int, a_day: int = 10) -> None:
    """Messages of the last `days` days, oldest first, each with its observation; every reader is at the end."""
    now = time.time_ns()
    for n in range(days * a_day):
        at = now - (days * a_day - n) * DAY * 10**9 // a_day
        raw = add(transaction, at, f"message {n}".encode() * 20)
        uid = raw.to_bytes(16, "big")
        transaction.observe([Row(uid, raw, "d", "reading", "temperature", None, at // 1000, 1.0, b"{}")])
    move(transaction)


def add(transaction: Transaction, at: int, data: bytes, state: int = LAST, message: int | None = None) -> int:
    cursor = transaction.db.execute(
        "INSERT INTO raw (message, state, device, channel, received, packet, codec, data) VALUES (?,?,'d','',?,0,0,?)",
        (message, state, at, data),
    )
    return cursor.lastrowid or 0


def move(transaction: Transaction, state: dict[str, object] | None = None) -> None:
    """Every reader has read everything."""
    newest = "SELECT max(id), (SELECT max(seq) FROM observation) FROM raw"
    raw, seq = transaction.db.execute(newest).fetchone()
    transaction.advance(DECODE, raw, state or {"begun": [], "broken": []})
    for name in READERS:
        transaction.advance(name, seq)


async def sweep(journal: Journal, keep: float | None = 5 * DAY + 60, size: int | None = None) -> int:
    """Steps until nothing is due; how many."""
    steps = 0
    while await journal.write(lambda t: retention.step(t, keep, size, READERS)):
        steps += 1
    return steps


async def left(journal: Journal) -> tuple[int, int]:
    counts = "SELECT (SELECT count(*) FROM raw), (SELECT count(*) FROM observation)"
    return await journal.read(lambda db: tuple(db.execute(counts).fetchone()))


async def test_what_is_older_than_kept_goes_with_its_observations(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 10))
    await sweep(journal)
    assert await left(journal) == (50, 50)
    assert await sweep(journal) == 0


async def test_without_a_limit_nothing_goes(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 10))
    assert await sweep(journal, None) == 0


async def test_by_size_the_oldest_go_until_the_journal_fits_and_the_file_shrinks(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 100, 100))
    before = await journal.read(retention.used_bytes)
    pages = await journal.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await sweep(journal, None, before // 2)
    assert await journal.read(retention.used_bytes) <= before // 2
    assert await journal.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0]) < 0.7 * pages
    rows, _ = await left(journal)
    assert rows > 3000, "it stops once it fits"


async def test_what_a_store_has_not_taken_stays(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 10))
    await journal.write(lambda t: t.advance("sink:store", 30, {"floor": 20}))
    await sweep(journal)
    assert await left(journal) == (50, 80)


async def test_a_sink_that_has_never_delivered_holds_everything(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 10))
    await journal.write(lambda t: t.db.execute("DELETE FROM cursor WHERE name='sink:store'"))
    await sweep(journal)
    assert (await left(journal))[1] == 100


async def test_a_sink_no_longer_configured_holds_nothing(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 10))
    await journal.write(lambda t: t.advance("sink:gone", 1))
    await sweep(journal)
    assert await left(journal) == (50, 50)


@pytest.mark.parametrize("state", [{"begun": [31], "broken": []}, {"begun": [], "broken": [[31, "d", 0.0]]}])
async def test_what_is_not_decoded_or_not_whole_yet_stays(journal: Journal, state: dict[str, object]) -> None:
    await journal.write(lambda t: fill(t, 10))
    await journal.write(lambda t: move(t, state))
    await sweep(journal)
    assert (await left(journal))[0] == 70


async def test_quarantine_stays_and_holds_nobody_else(journal: Journal) -> None:
    """More open entries than one step takes stand in front of what is due."""

    def spoil(transaction: Transaction) -> None:
        for _ in range(retention.STEP + 100):
            transaction.quarantine(add(transaction, 1, b"\x02?", REFUSED), "d", "checksum", "")
        first = add(transaction, 1, b"half", PART)
        add(transaction, 1, b"a message", BROKEN, first)
        transaction.quarantine(first, "d", "incomplete", "")
        fill(transaction, 10)

    await journal.write(spoil)
    await sweep(journal)
    assert await left(journal) == (retention.STEP + 102 + 50, 50)

    await journal.write(lambda t: t.db.execute("UPDATE quarantine SET resolved=1"))
    await sweep(journal)
    assert await left(journal) == (50, 50)


async def test_the_newest_row_stays_so_that_no_position_comes_twice(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 10))
    await sweep(journal, 0.0)
    assert await left(journal) == (1, 1)
    with sqlite3.connect(journal.path) as db:
        assert read_message(db, 100) is not None
    assert await journal.write(lambda t: add(t, 1, b"new")) == 101
