"""Damage drills: a journal torn, cut off or altered gives up all it still holds, and what is missing is named."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import copies, retention, seals
from gateway.journal.opening import JournalError
from gateway.journal.pages import Pages, record, varint
from gateway.journal.salvage import REPORT, salvage
from gateway.journal.schema import DECODE, FILE, LAST, REFUSED, connect, migrate
from gateway.journal.seals import SealKeyError
from gateway.journal.transaction import Keep, Row, Transaction

MESSAGES = 400


def fill(folder: Path, count: int = MESSAGES, *, sizes: random.Random | None = None, sealed: bool = True) -> None:
    """A journal of messages of many sizes, an observation of each; sealed."""
    chance = sizes or random.Random(7)
    folder.mkdir(exist_ok=True)
    secret = seals.key(folder, make=True)
    with closing(connect(folder / FILE)) as db:
        migrate(db)
        transaction = Transaction(db)
        db.execute("BEGIN")
        for n in range(count):
            data = chance.randbytes(chance.choice((20, 60, 300, 3000, 30_000)))
            raw = transaction.keep(Keep("reader-1", "peer", time.time_ns(), data, LAST, lambda _id: None))
            body = orjson.dumps({"value": n, "text": "x" * chance.randint(0, 800)})
            transaction.observe([Row(raw.to_bytes(16, "big"), raw, "d", "result", "crp", f"S{n}", raw, float(n), body)])
        transaction.advance(DECODE, count, {"broken": [], "begun": []})
        transaction.advance("sink:store", count - 3, {"floor": count - 5})
        transaction.audit("filled")
        while sealed and (seal := seals.following(db, secret)):
            seals.store(db, seal)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def contents(folder: Path) -> tuple[dict[int, Any], dict[int, Any]]:
    with closing(sqlite3.connect(folder / FILE)) as db:
        raws = {row[0]: row for row in db.execute("SELECT * FROM raw")}
        return raws, {row[0]: row for row in db.execute("SELECT * FROM observation")}


def sound(folder: Path) -> list[str]:
    return list(copies.examine(folder / FILE, folder)["problems"])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seals, "ROWS", 20)  # a seal a second is of few rows
        fill(folder)
    return folder


@pytest.fixture
def damaged(original: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(original, tmp_path / "damaged")
    yield tmp_path / "damaged"


def test_an_undamaged_journal_comes_out_whole(damaged: Path, original: Path, tmp_path: Path) -> None:
    report = salvage(damaged, tmp_path / "new")
    raws, observed = contents(tmp_path / "new")
    before = contents(original)
    assert {k: raws[k] for k in before[0]} == before[0]
    assert {k: observed[k] for k in before[1]} == before[1]
    assert report["raw"]["missing_count"] == report["observation"]["missing_count"] == 0
    assert sound(tmp_path / "new") == []


def test_positions_go_on_well_beyond_and_cursors_stay(damaged: Path, tmp_path: Path) -> None:
    salvage(damaged, tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "new" / FILE)) as db:
        assert db.execute("SELECT seq, state FROM cursor WHERE name='sink:store'").fetchone() == (
            MESSAGES - 3,
            '{"floor":395}',
        )
        (seq, quantity) = db.execute("SELECT seq, quantity FROM observation ORDER BY seq DESC").fetchone()
    assert (seq, quantity) == (MESSAGES + copies.AHEAD, "journal-salvaged")


@pytest.mark.parametrize("seed", range(25))
def test_torn_pages_cost_what_was_on_them_and_every_loss_is_named(
    damaged: Path, original: Path, tmp_path: Path, seed: int
) -> None:
    """Up to the last position that anything left tells of."""
    chance = random.Random(seed)
    content = bytearray((damaged / FILE).read_bytes())
    pages = len(content) // 4096
    for _ in range(chance.choice((1, 3, 10))):
        at = 4096 * chance.randrange(pages)
        what = chance.choice(("zeros", "garbage", "half", "bits"))
        if what == "zeros":
            content[at : at + 4096] = bytes(4096)
        elif what == "garbage":
            content[at : at + 4096] = chance.randbytes(4096)
        elif what == "half":
            content[at + 2048 : at + 4096] = chance.randbytes(2048)
        else:
            for _ in range(chance.randint(1, 20)):
                content[at + chance.randrange(4096)] ^= 1 << chance.randrange(8)
    if chance.random() < 0.3:
        del content[4096 * chance.randrange(pages // 2, pages) + chance.randrange(4096) :]
    (damaged / FILE).write_bytes(content)
    (damaged / f"{FILE}-wal").unlink(missing_ok=True)

    report = salvage(damaged, tmp_path / "new")

    assert (damaged / FILE).read_bytes() == content, "the damaged journal was touched"
    before = contents(original)
    after = contents(tmp_path / "new")

    def pair(n: int) -> tuple[set[int], set[int]]:
        return {p for p in after[n] if p <= MESSAGES}, set(before[n])

    # Nothing altered is stored as if it were true, but for rows whose seal is lost too, and they are counted.
    altered = [p for p, row in after[0].items() if p in before[0] and row[2] != REFUSED and row != before[0][p]]
    assert len(altered) <= report["raw"]["not_compared"]
    altered = [p for p, row in after[1].items() if p in before[1] and row != before[1][p]]
    assert len(altered) <= report["observation"]["not_compared"]
    for table, there, was in (("raw", *pair(0)), ("observation", *pair(1))):
        told = there | places(report[table]["missing"]) | places(report[table]["altered"])
        assert told == {p for p in was if p <= max(told)}
    assert len(after[0]) > MESSAGES * 0.3, "hardly anything came out"
    assert sound(tmp_path / "new") == []
    assert orjson.loads((tmp_path / "new" / REPORT).read_bytes())["raw"] == report["raw"]


def places(ranges: list[str]) -> set[int]:
    found = set()
    for one in ranges:
        first, _, last = one.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_a_letter_changed_in_a_row_is_what_seals_are_for(damaged: Path, original: Path, tmp_path: Path) -> None:
    data = next(row[8] for row in contents(original)[0].values() if row[7] == 0 and len(row[8]) == 20)
    content = (damaged / FILE).read_bytes()
    assert content.count(data) == 1
    (damaged / FILE).write_bytes(content.replace(data, bytes([data[0] ^ 1]) + data[1:]))
    with closing(sqlite3.connect(damaged / FILE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",), "SQLite sees nothing"
    report = salvage(damaged, tmp_path / "new")
    (place,) = places(report["raw"]["altered"])
    with closing(sqlite3.connect(tmp_path / "new" / FILE)) as db:
        assert db.execute("SELECT state FROM raw WHERE id=?", (place,)).fetchone() == (REFUSED,)
        assert db.execute("SELECT raw, reason FROM quarantine").fetchall() == [(place, "damaged")]


def test_lost_observations_are_made_again_of_their_bytes(damaged: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(damaged / FILE)) as db:
        db.execute("DELETE FROM observation WHERE seq=17")
        db.commit()
        db.execute("PRAGMA secure_delete=ON")
        db.execute("VACUUM")
    report = salvage(damaged, tmp_path / "new")
    assert report["observation"]["missing"] == ["17"]
    with closing(sqlite3.connect(tmp_path / "new" / FILE)) as db:
        assert db.execute("SELECT seq FROM cursor WHERE name=?", (DECODE,)).fetchone() == (0,)


def test_what_was_committed_and_stands_only_in_the_log_comes_out(tmp_path: Path) -> None:
    fill(tmp_path / "damaged", 10)
    with closing(connect(tmp_path / "damaged" / FILE)) as db:
        raw = Transaction(db).keep(Keep("reader-1", "peer", 1, b"in the log alone", LAST, lambda _id: None))
        shutil.copytree(tmp_path / "damaged", tmp_path / "cut")
    (tmp_path / "cut" / f"{FILE}-shm").unlink()
    content = bytearray((tmp_path / "cut" / FILE).read_bytes())
    content[:4096] = bytes(4096)  # SQLite cannot even open it
    (tmp_path / "cut" / FILE).write_bytes(content)
    report = salvage(tmp_path / "cut", tmp_path / "new")
    assert contents(tmp_path / "new")[0][raw][8] == b"in the log alone"
    assert report["raw"]["found"] == 11


def test_what_retention_removed_does_not_come_back(tmp_path: Path) -> None:
    fill(tmp_path / "damaged", 200)
    with closing(connect(tmp_path / "damaged" / FILE)) as db:
        transaction = Transaction(db)
        transaction.advance("sink:store", 200, {"floor": 200})
        db.execute("UPDATE raw SET received=1460000000000000000 WHERE id<=150")
        while retention.step(transaction, 3600, None, ["sink:store"]):
            pass
    salvage(tmp_path / "damaged", tmp_path / "new")
    raws, observed = contents(tmp_path / "new")
    assert min(raws) == min(observed) == 151


def test_without_its_key_rows_are_kept_and_the_report_says_nothing_was_compared(damaged: Path, tmp_path: Path) -> None:
    (damaged / seals.KEY).unlink()
    report = salvage(damaged, tmp_path / "new")
    assert report["compared_with_seals"] is False
    assert report["raw"]["found"] == MESSAGES
    with pytest.raises(SealKeyError):
        salvage(damaged, tmp_path / "other", tmp_path / "nowhere")


def test_a_journal_is_never_written_over(damaged: Path) -> None:
    with pytest.raises(JournalError, match="already there"):
        salvage(damaged, damaged)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_values_or_an_error_we_know(data: bytes) -> None:
    try:
        record(data)
    except (IndexError, KeyError, ValueError, struct.error):
        return


@given(st.integers(0, (1 << 64) - 1))
def test_a_variable_length_integer_is_read_as_it_was_written(value: int) -> None:
    if value >> 56:
        rest = value >> 8
        parts = [rest >> 7 * n & 0x7F | 0x80 for n in range(7, -1, -1)] + [value & 0xFF]
    else:
        parts = [value >> 7 * n & 0x7F | 0x80 for n in range(7, -1, -1)]
        while len(parts) > 1 and parts[0] == 0x80:
            parts.pop(0)
        parts[-1] &= 0x7F
    assert varint(bytes(parts), 0) == (value, len(parts))


def test_pages_of_no_database_hold_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(random.Random(1).randbytes(40_000))
    pages = Pages(tmp_path / "x")
    assert list(pages.rows()) == [] or all(len(values) < 4 for _, values in pages.rows())
    pages.close()


def test_what_is_lost_in_the_middle_is_said_once_and_then_the_new_journal_is_sound(
    damaged: Path, tmp_path: Path
) -> None:
    """Sealed anew, and salvaged a second time: the loss is known, and nobody takes it for another."""
    with closing(sqlite3.connect(damaged / FILE)) as db:
        db.execute("DELETE FROM raw WHERE id BETWEEN 100 AND 140")
        db.execute("DELETE FROM observation WHERE seq BETWEEN 50 AND 60")
        db.commit()
    report = salvage(damaged, tmp_path / "new")
    assert (report["raw"]["missing"], report["observation"]["missing"]) == (["100-140"], ["50-60"])
    secret = seals.key(tmp_path / "new")
    with closing(connect(tmp_path / "new" / FILE)) as db:
        while seal := seals.following(db, secret):
            seals.store(db, seal)
    assert sound(tmp_path / "new") == []
    again = salvage(tmp_path / "new", tmp_path / "newer")
    assert (again["raw"]["missing_count"], again["observation"]["missing_count"]) == (0, 0)
