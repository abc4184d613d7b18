"""Retention: what is old and delivered goes, everything somebody still needs stays, and it costs little."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.journal import retention
from gateway.journal.age import LEAP, REST, Age, age
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


# ---- a clock that leaps

NOW = 1_800_000_000.0  # unix seconds
YEARS = 3 * 365 * DAY


def test_a_clock_that_leaps_ahead_is_not_believed_for_a_day_of_running_time() -> None:
    watch = Age(NOW)
    watch.look(NOW + 60, 60)
    assert watch.trouble == ""
    for minute in range(2, 24 * 60 + 2):
        watch.look(NOW + YEARS + 60 * minute, 60)
        assert "ahead by 1095.0 days" in watch.trouble
    watch.look(NOW + YEARS + DAY + 120, 60)
    assert watch.trouble == ""
    watch.look(NOW + YEARS + DAY + 180, 60)
    assert watch.trouble == ""


def test_a_clock_put_right_is_believed_at_once() -> None:
    watch = Age(NOW)
    watch.look(NOW, 0)
    watch.look(NOW + 2 * LEAP, 60)
    assert watch.trouble
    watch.look(NOW + 120, 60)
    assert watch.trouble == ""


def test_a_clock_set_a_little_or_back_is_believed() -> None:
    watch = Age(NOW)
    for wall in (NOW, NOW + LEAP / 2, NOW - 5 * LEAP, NOW - 4.5 * LEAP):
        watch.look(wall, 60)
        assert watch.trouble == ""


def test_a_daemon_that_was_off_for_days_is_no_leap_and_for_years_is_one() -> None:
    for off, leapt in ((2 * DAY, False), (YEARS, True)):
        watch = Age(NOW)
        watch.look(0.0, 0)  # before the network tells the time
        watch.look(30.0, 30)
        watch.look(NOW + off, 30)
        assert bool(watch.trouble) is leapt


async def test_a_leap_outlives_a_restart(journal: Journal) -> None:
    """Rows that came during the leap have its time: the newest of them proves nothing."""
    await journal.write(lambda t: fill(t, 10))
    wall = time.time()
    watch = await journal.read(lambda db: age(db, wall))
    watch.look(wall, 0)
    watch.look(wall + YEARS, 60)
    assert watch.due
    await journal.write(watch.save)
    assert not watch.due
    await journal.write(lambda t: add(t, int((wall + YEARS) * 1e9), b"during the leap"))
    again = await journal.read(lambda db: age(db, wall + YEARS))
    again.look(wall + YEARS, 0)
    assert again.trouble
    assert again.rest <= REST
    await sweep(journal)
    assert (await journal.read(lambda db: age(db, wall + YEARS))).rest == again.rest, "retention keeps what is noted"


async def test_a_clock_years_ahead_of_the_journal_at_the_start_is_a_leap(journal: Journal) -> None:
    await journal.write(lambda t: fill(t, 10))
    watch = await journal.read(lambda db: age(db, time.time() + YEARS))
    watch.look(time.time() + YEARS, 0)
    assert watch.trouble


async def test_what_came_before_the_clock_was_set_is_as_old_as_what_came_next(journal: Journal) -> None:
    def early(transaction: Transaction) -> None:
        for n in range(retention.STEP + 10):
            add(transaction, n * 10**9, b"1970")
        fill(transaction, 4)

    await journal.write(early)
    await sweep(journal)
    assert (await left(journal))[0] == retention.STEP + 10 + 40, "nothing of it is known to be five days old"
    await sweep(journal, 2 * DAY + 60)
    assert (await left(journal))[0] == 20, "what came next is old"
