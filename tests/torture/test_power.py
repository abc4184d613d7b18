"""A power cut at any moment: what was promised by then is in the journal, and the journal is whole."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal import schema, seals
from gateway.journal.schema import FILE, LAST, PART
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep, Thread
from tests.torture.disk import Operation, Recorder, install
from tests.torture.power import files_after_power_cut

MESSAGES = 150
CUTS = 300


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    try:
        install(made)
    except RuntimeError as error:
        pytest.skip(str(error))
    yield made
    install(None)


async def record(recorder: Recorder, data_dir: Path) -> None:
    """Keep messages, alone and in groups, with observations, seals and checkpoints in between."""
    chance = random.Random(20260115)
    journal = await Journal.open(data_dir)
    kept = asyncio.Semaphore(0)

    def durable(number: int, row: int) -> None:
        recorder.mark(f"{row} {number}")
        kept.release()

    number = 0
    while number < MESSAGES:
        group = chance.choice((1, 1, 1, 5, 20))
        for _ in range(group):
            number += 1
            thread = Thread() if chance.random() < 0.3 else None
            data = f"message {number} ".encode() * chance.randint(1, 60)
            done = lambda row, number=number: durable(number, row)  # noqa: E731
            journal.keep(Keep("d", "peer", number, data, PART if thread else LAST, done, thread))
        for _ in range(group):
            await kept.acquire()
        if chance.random() < 0.3:
            await journal.write(lambda t: t.audit("something", at_message=number))  # noqa: B023 - awaited
        if chance.random() < 0.2 and (seal := await journal.read(lambda db: seals.following(db, journal.secret))):
            await journal.write(lambda t: seals.store(t.db, seal))
        if chance.random() < 0.1:
            await journal.write(lambda t: None)
            with closing(sqlite3.connect(data_dir / FILE)) as other:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)")
    await journal.close()
    install(None)  # what comes now is looking, not writing


def lost_after_cuts(log: list[Operation], folder: Path) -> list[str]:
    """Cut the power at many moments; everything promised before each that is not there after it."""
    chance = random.Random(20260116)
    missing = []
    first = next(place for place, one in enumerate(log) if one.what == "mark")
    for cut in range(CUTS):
        place = chance.randint(first, len(log))
        at = folder / str(cut)
        at.mkdir()
        files_after_power_cut(log[:place], chance, at)
        promised = dict(one.name.split() for one in log[:place] if one.what == "mark")
        with closing(sqlite3.connect(at / FILE)) as db:
            try:
                (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
                there = dict(db.execute("SELECT id, received FROM raw"))
            except sqlite3.DatabaseError as error:
                verdict, there = str(error), {}
        if verdict != "ok":
            missing.append(f"cut {cut} after operation {place}: {verdict}")
        missing += [
            f"cut {cut} after operation {place}: row {row} of message {number}"
            for row, number in promised.items()
            if there.get(int(row)) != int(number)
        ]
    return missing


async def test_a_power_cut_at_any_moment_loses_nothing_promised(recorder: Recorder, tmp_path: Path) -> None:
    await record(recorder, tmp_path / "data")
    assert sum(one.what == "mark" for one in recorder.log) >= MESSAGES
    assert lost_after_cuts(recorder.log, tmp_path) == []


async def test_a_journal_that_does_not_flush_each_commit_would_lose_some(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promise broken on purpose: this is how the test above would notice."""
    real = schema.connect

    def lazy(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
        db = real(path, read_only=read_only)
        db.execute("PRAGMA synchronous=NORMAL")
        return db

    monkeypatch.setattr("gateway.journal.store.connect", lazy)
    await record(recorder, tmp_path / "data")
    assert lost_after_cuts(recorder.log, tmp_path)
