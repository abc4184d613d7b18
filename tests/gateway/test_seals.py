"""Seals: what is altered or missing in a journal is found and named; what retention removed is not."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import audit, retention, seals
from gateway.journal.schema import DECODE, LAST, connect, migrate
from gateway.journal.seals import Findings
from gateway.journal.transaction import Keep, Row, Transaction

SECRET = bytes(range(32))
DAY = 86_400


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "journal.sqlite")) as opened:
        migrate(opened)
        yield opened


def fill(db: sqlite3.Connection, count: int, at: int | None = None) -> None:
    """Messages with an observation each, and an audit entry."""
    transaction = Transaction(db)
    for _ in range(count):
        received = at or time.time_ns()
        raw = transaction.keep(Keep("reader-1", "peer", received, b"\x02CRP 12.4\x03", LAST, lambda _id: None))
        uid = raw.to_bytes(16, "big")
        transaction.observe([Row(uid, raw, "reader-1", "result", "crp", f"S{raw}", raw, 12.4, b'{"value":12.4}')])
    transaction.audit("filled", count=count)


def seal_all(db: sqlite3.Connection) -> str:
    """Seal what there is; the head."""
    while (seal := seals.following(db, SECRET)) is not None:
        seals.store(db, seal)
    last = seals.last(db)
    assert last
    return last.head


def check(db: sqlite3.Connection, head: str = "") -> Findings:
    return seals.check(db, SECRET, head)


def test_an_untouched_journal_has_no_problems(db: sqlite3.Connection) -> None:
    for _ in range(3):
        fill(db, 10)
        seal_all(db)
    fill(db, 1)
    found = check(db)
    assert found.problems == []
    assert (found.rows, found.unsealed) == (60, 2)


def test_more_rows_than_a_seal_takes_are_in_several(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "ROWS", 7)
    fill(db, 40)
    seal_all(db)
    found = check(db)
    assert found.problems == []
    assert (found.seals, found.rows) == (6, 80)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE raw SET data=x'0203' WHERE id=17", "raw 17 has been altered"),
        ("UPDATE raw SET device='reader-2' WHERE id=17", "raw 17 has been altered"),
        ("UPDATE raw SET received=received+1 WHERE id=17", "raw 17 has been altered"),
        ("UPDATE raw SET message=3 WHERE id=17", "raw 17 has been altered"),
        ("DELETE FROM raw WHERE id=17", "raw 17 is missing"),
        ("UPDATE observation SET body=x'7b7d' WHERE seq=9", "seq 9 has been altered"),
        ("UPDATE observation SET number=12.5 WHERE seq=9", "seq 9 has been altered"),
        ("UPDATE observation SET specimen=NULL WHERE seq=9", "seq 9 has been altered"),
        ("DELETE FROM observation WHERE seq=9", "seq 9 is missing"),
        ("DELETE FROM audit WHERE n=2", "entry 2 of the audit chain is missing"),
        ("DELETE FROM seal WHERE n=2", "seals 2 to 2 are missing"),
        ("UPDATE seal SET leaves=x'00' WHERE n=2", "seal 2 is not as it was made"),
        ("UPDATE seal SET at=at+1 WHERE n=2", "seal 2 is not as it was made"),
    ],
)
def test_each_change_is_found_and_named(db: sqlite3.Connection, change: str, named: str) -> None:
    for _ in range(3):
        fill(db, 10)
        seal_all(db)
    db.execute(change)
    assert any(named in problem for problem in check(db).problems), check(db).problems


def test_rows_removed_before_they_had_a_seal_leave_a_gap_that_is_named(db: sqlite3.Connection) -> None:
    fill(db, 10)
    seal_all(db)
    fill(db, 10)
    db.execute("DELETE FROM raw WHERE id BETWEEN 11 AND 13")
    seal_all(db)
    assert "raw 11 to 13 never got a seal and are missing" in check(db).problems


def test_a_chain_made_anew_with_another_key_is_not_ours(db: sqlite3.Connection) -> None:
    fill(db, 10)
    seal_all(db)
    assert seals.check(db, bytes(32)).problems


def test_a_journal_whose_end_was_cut_off_lacks_the_head_noted_elsewhere(db: sqlite3.Connection) -> None:
    fill(db, 10)
    first = seal_all(db)
    fill(db, 10)
    second = seal_all(db)
    assert check(db, first).problems == check(db, second).problems == []
    db.execute("DELETE FROM seal WHERE n=2")
    db.execute("DELETE FROM raw WHERE id > 10")
    db.execute("DELETE FROM observation WHERE seq > 10")
    assert check(db).problems == [], "nothing inside shows it"
    assert "the journal's end was cut off" in check(db, second).problems[0]


def test_what_retention_removed_is_no_problem_and_what_somebody_else_removed_is(db: sqlite3.Connection) -> None:
    fill(db, 10, time.time_ns() - 3 * DAY * 10**9)
    fill(db, 10)
    transaction = Transaction(db)
    transaction.advance(DECODE, 20, {"begun": [], "broken": []})
    seal_all(db)
    while retention.step(transaction, DAY, None):
        pass
    assert db.execute("SELECT min(id) FROM raw").fetchone() == (11,)
    found = check(db)
    assert found.problems == []
    assert (found.rows, found.removed) == (20, 20)
    db.execute("DELETE FROM raw WHERE id=11")
    db.execute("DELETE FROM observation WHERE seq=12")
    assert check(db).problems == ["raw 11 is missing", "seq 12 is missing"]


def test_seals_of_rows_long_gone_forget_their_leaves_and_hold(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "ROWS", 4)
    fill(db, 10, time.time_ns() - 3 * DAY * 10**9)
    fill(db, 10)
    transaction = Transaction(db)
    transaction.advance(DECODE, 20, {"begun": [], "broken": []})
    seal_all(db)
    while retention.step(transaction, DAY, None):
        pass
    assert db.execute("SELECT count(*) FROM seal WHERE leaves IS NULL").fetchone() == (2,)
    assert check(db).problems == []
    assert audit.broken(db)[1] is None


def test_retention_leaves_what_has_no_seal_yet(db: sqlite3.Connection) -> None:
    fill(db, 5, time.time_ns() - 3 * DAY * 10**9)
    seal_all(db)
    fill(db, 5, time.time_ns() - 3 * DAY * 10**9)
    transaction = Transaction(db)
    transaction.advance(DECODE, 10, {"begun": [], "broken": []})
    while retention.step(transaction, DAY, None):
        pass
    assert db.execute("SELECT min(id) FROM raw").fetchone() == (6,)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_of_a_sealed_row_is_found(data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=1, max_size=40))
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    flipped = bytearray(content)
    flipped[bit // 8] ^= 1 << bit % 8
    head = (7, None, LAST, "reader-1", "peer", 1_700_000_000, 0, 0)
    assert seals.raw_leaf(SECRET, [*head, content]) != seals.raw_leaf(SECRET, [*head, bytes(flipped)])


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    made = seals.key(tmp_path, make=True)
    assert seals.key(tmp_path, make=True) == made
    assert (tmp_path / seals.KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [None, "", "abc", "zz" * 32, "ab" * 31])
def test_a_key_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / seals.KEY).write_text(content)
    with pytest.raises(seals.SealKeyError, match=r"seal\.key"):
        seals.key(tmp_path)
