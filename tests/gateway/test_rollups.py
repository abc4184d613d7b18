"""Rollups: the same course as from the rows, nothing twice and nothing missing, and gone with what they are made of."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import retention, rollups
from gateway.journal.rollups import MINUTE, WIDTHS, Rollups
from gateway.journal.salvage import salvage
from gateway.journal.schema import DECODE, LAST, connect, migrate
from gateway.journal.store import Journal
from gateway.journal.transaction import Row, Transaction
from gateway.web.series import pieces, series

DAY = 1440 * MINUTE
BASE = 1_780_000_000_000_000
Reading = tuple[str, int, float | None]  # device, time, number


def rows(readings: Sequence[Reading], uid: Iterator[int]) -> Iterator[Row]:
    for device, at, number in readings:
        yield Row(next(uid).to_bytes(16, "big"), 1, device, "reading", "temperature", None, at, number,
                  b'{"unit":"Cel"}')  # fmt: skip


@contextlib.contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        yield db


def roll(db: sqlite3.Connection, limit: int = rollups.BATCH) -> None:
    """One step of the reader."""
    transaction = Transaction(db)
    upto, buckets = rollups.gather(db, rollups.begin(transaction), limit)
    rollups.add(transaction, upto, buckets)


def expected(readings: Sequence[Reading], since: int, until: int, width: int) -> list[tuple[float, ...]]:
    """Time of the last, min, mean, max, count of each bucket of device "a", told one by one."""
    found: dict[int, list[tuple[int, float]]] = {}
    for device, at, number in readings:
        if device == "a" and since <= at < until and number is not None:
            found.setdefault(at // width, []).append((at, number))
    told: list[tuple[float, ...]] = []
    for _, seen in sorted(found.items()):
        numbers = [number for _, number in seen]
        mean = math.fsum(numbers) / len(numbers)
        told.append((max(at for at, _ in seen) / 1e6, min(numbers), mean, max(numbers), len(numbers)))
    return told


def same(points: Sequence[Sequence[float]], told: Sequence[tuple[float, ...]]) -> None:
    assert [(at, low, high, count) for at, low, _, high, count in points] == [
        (at, low, high, count) for at, low, _, high, count in told
    ]
    for point, one in zip(points, told, strict=True):
        assert point[2] == pytest.approx(one[2], rel=1e-9, abs=1e-6)


# Minutes next to each other, days apart, before 1970, and right at the edges of a bucket.
moments = st.one_of(
    st.integers(-3 * DAY, 3 * DAY),
    st.integers(BASE, BASE + 10 * MINUTE),
    st.integers(BASE, BASE + 40 * DAY),
    st.builds(lambda n, width, by: (BASE // width + n) * width + by, st.integers(0, 50), st.sampled_from(WIDTHS),
              st.integers(-1, 1)),
)  # fmt: skip
numbers = st.one_of(st.none(), st.integers(-90, 90).map(float), st.floats(-1e6, 1e6))
readings = st.lists(st.tuples(st.sampled_from("ab"), moments, numbers), max_size=40)


@settings(max_examples=300, deadline=None)
@given(st.lists(readings, max_size=4), st.integers(0, 30), moments, moments, st.integers(1, 600))
def test_a_course_is_the_same_from_rollups_and_from_rows(
    arrivals: list[list[Reading]], limit: int, one: int, other: int, points: int
) -> None:
    since, until = min(one, other), max(one, other) + 1
    uid = itertools.count(1)
    with opened() as db:
        for arrived in arrivals:  # readings come in any order of their times, and not all are rolled up at the end
            Transaction(db).observe(rows(arrived, uid))
            if limit:
                roll(db, limit)
        answer = series(db, "a", "temperature", since, until, points)
    width = round(answer["bucket"] * 1e6)
    same(answer["points"], expected([*itertools.chain(*arrivals)], since, until, width))
    target = (until - since) / points
    assert target <= width < 2 * target + 1, "not coarser than half of what was asked for"
    assert len(answer["points"]) <= points + 1


@given(moments, moments, st.integers(0, 3))
def test_the_time_is_covered_once(one: int, other: int, count: int) -> None:
    since, until = min(one, other), max(one, other)
    at = since
    for piece in pieces(since, until, WIDTHS[:count]):
        assert piece.since == at < piece.until
        assert piece.since % piece.step == piece.until % piece.step == 0
        at = piece.until
    assert at == until


def test_numbers_too_large_to_be_added_up_have_no_mean_but_a_range() -> None:
    start = BASE // (100 * DAY) * 100 * DAY
    large = [("a", start + n, sign * 1.7e308) for n, sign in enumerate([1, 1, 1, -1, -1, -1])]
    uid = itertools.count(1)
    with opened() as db:
        for arrived in (large[:3], large[3:], [("a", start + DAY, 1.0)]):
            Transaction(db).observe(rows(arrived, uid))
            roll(db)
        ((_, *point),) = series(db, "a", "temperature", start, start + 100 * DAY, 1)["points"]
    assert point == [-1.7e308, None, 1.7e308, 7]


def test_what_waits_to_be_rolled_up_is_told_however_much_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [("a", BASE + n * MINUTE // 2, float(n)) for n in range(500)]
    with opened() as db:
        Transaction(db).observe(rows(told, itertools.count(1)))
        roll(db, 100)
        monkeypatch.setattr("gateway.web.series.TAIL", 10)
        answer = series(db, "a", "temperature", BASE, BASE + DAY, 20)
    same(answer["points"], expected(told, BASE, BASE + DAY, round(answer["bucket"] * 1e6)))


def test_a_course_is_whole_while_the_rollups_go_on(tmp_path: Path) -> None:
    told = [("a", BASE + n * MINUTE, float(n)) for n in range(100)]
    with closing(connect(tmp_path / "journal")) as db:
        migrate(db)
        Transaction(db).observe(rows(told, itertools.count(1)))
        roll(db, 10)
        with closing(connect(tmp_path / "journal", read_only=True)) as reader:
            reader.set_trace_callback(lambda _statement: roll(db, 10))  # between any two things that are read
            for _ in range(2):
                answer = series(reader, "a", "temperature", BASE - DAY, BASE + DAY, 24)
                same(answer["points"], expected(told, BASE - DAY, BASE + DAY, round(answer["bucket"] * 1e6)))
        assert rollups.rolled(db) == 100


# ---- the reader at work


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    one = await Journal.open(tmp_path / "data")
    yield one
    await one.close()


@contextlib.asynccontextmanager
async def running(journal: Journal) -> AsyncIterator[None]:
    task = asyncio.create_task(Rollups(journal).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def rolled_to(journal: Journal, seq: int) -> None:
    async with asyncio.timeout(60):
        while await journal.read(rollups.rolled) != seq:
            await asyncio.sleep(0.01)


def held(db: sqlite3.Connection) -> list[Any]:
    return db.execute("SELECT * FROM rollup ORDER BY device, quantity, width, start").fetchall()


async def test_readers_killed_again_and_again_count_nothing_twice_and_leave_nothing_out(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "BATCH", 7)
    monkeypatch.setattr(rollups.gather, "__defaults__", (7,))
    monkeypatch.setattr(rollups, "LINGER", 0.0)
    told = [("a", BASE + n * 17_000_000, float(n % 13)) for n in range(400)]
    uid = itertools.count(1)
    for start in range(0, 400, 100):
        await journal.write(lambda t: t.observe(rows(told[start : start + 100], uid)))  # noqa: B023 - awaited
        for turns in range(12):  # each ends wherever it stands
            async with running(journal):
                for _ in range(turns):
                    await asyncio.sleep(0.001)
    async with running(journal):
        await rolled_to(journal, 400)
    with opened() as whole:
        Transaction(whole).observe(rows(told, itertools.count(1)))
        roll(whole)
        assert await journal.read(held) == held(whole)


async def test_retention_waits_for_the_rollups_and_removes_those_of_which_nothing_is_left(journal: Journal) -> None:
    now = time.time_ns() // 1000

    def fill(transaction: Transaction) -> None:
        for n in range(40):  # twenty days, two a day
            at = now - (40 - n) * DAY // 2
            cursor = transaction.db.execute(
                "INSERT INTO raw (message, state, device, channel, received, packet, codec, data)"
                " VALUES (NULL,?,'a','',?,0,0,x'00')",
                (LAST, at * 1000),
            )
            (row,) = rows([("a", at, float(n))], itertools.count(n + 1))
            transaction.observe([row._replace(raw=cursor.lastrowid or 0)])
        transaction.advance(DECODE, 40, {"begun": [], "broken": []})
        rollups.begin(transaction)

    async def sweep() -> int:
        gone = 0
        while step := await journal.write(lambda t: retention.step(t, 10 * 86400.0 + 60, None)):
            gone += step
        return await journal.read(lambda db: int(db.execute("SELECT count(*) FROM observation").fetchone()[0]))

    await journal.write(fill)
    assert await sweep() == 40, "what is not rolled up yet stays"
    async with running(journal):
        await rolled_to(journal, 40)
    assert await sweep() == 20
    left = [("a", now - n * DAY // 2, float(40 - n)) for n in range(20, 0, -1)]
    with opened() as db:
        Transaction(db).observe(rows(left, itertools.count(1)))
        roll(db)
        days, minutes = ([one for one in held(db) if one[2] == width] for width in (DAY, MINUTE))
    kept = await journal.read(held)
    assert [one for one in kept if one[2] == MINUTE] == minutes
    assert [one[3] for one in kept if one[2] == DAY] == [one[3] for one in days]


async def test_a_salvaged_journal_makes_its_rollups_anew(journal: Journal, tmp_path: Path) -> None:
    told = [("a", BASE + n * MINUTE, float(n)) for n in range(100)]
    await journal.write(lambda t: t.observe(rows(told, itertools.count(1))))
    async with running(journal):
        await rolled_to(journal, 100)
    await journal.close()
    salvage(journal.path.parent, tmp_path / "salvaged")
    with closing(connect(tmp_path / "salvaged" / journal.path.name)) as db:
        assert rollups.rolled(db) is None
        roll(db)
        answer = series(db, "a", "temperature", BASE - DAY, BASE + DAY, 24)
    assert sum(point[4] for point in answer["points"]) == 100
    assert answer["unit"] == "Cel"
