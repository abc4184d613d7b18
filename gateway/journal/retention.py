"""Removing what is old enough and delivered everywhere, a little at a time.

Each step is one short transaction that goes on where the last one stopped, so its cost does not grow with the
journal. Nothing is removed that a reader has not passed, that has no seal yet or that stands open in quarantine, and
never the newest row: positions are counted on from it. The audit chain says beforehand up to where removing may go:
whatever is missing beyond that was not removed here. Whether the clock may say what is old: `gateway.journal.age`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from itertools import takewhile

from gateway.journal import rollups, seals
from gateway.journal.age import CURSOR as CURSOR
from gateway.journal.age import UNSET
from gateway.journal.schema import DECODE
from gateway.journal.transaction import Transaction, read_cursor

STEP = 500
AHEAD = 100 * STEP  # rows one announcement covers where the journal's size is what counts


def removable(db: sqlite3.Connection, readers: Iterable[str]) -> tuple[int, int]:
    """(raw id, seq) up to which the decoder, the rollups and all `readers` of observations have read."""
    decoded = read_cursor(db, DECODE)
    if decoded is None:
        return 0, 0
    unread = [*decoded.state["begun"], *(message for message, *_ in decoded.state["broken"])]
    seqs = []
    for name in readers:
        cursor = read_cursor(db, name)
        # A sink may send again from its floor on: a store can lose what it has acknowledged.
        seqs.append(min(cursor.seq, cursor.state.get("floor", cursor.seq)) if cursor else 0)
    if (rolled := rollups.rolled(db)) is not None:
        seqs.append(rolled)
    seal = seals.last(db)
    sealed = ([seal.raw_last], [seal.seq_last]) if seal else ([], [])
    return (
        min(_newest(db, "id", "raw") - 1, decoded.seq, *sealed[0], *(message - 1 for message in unread)),
        min(_newest(db, "seq", "observation") - 1, *sealed[1], *seqs),
    )


def used_bytes(db: sqlite3.Connection) -> int:
    """Size of what the journal holds; space of removed entries not counted."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def step(
    transaction: Transaction,
    keep_seconds: float | None,
    keep_bytes: int | None,
    readers: Iterable[str] = (),
    believed: float | None = None,
) -> int:
    """Remove at most STEP raw rows and as much of what was made of them; how many entries went. 0: nothing is due.
    `believed`: the time (unix seconds) ages are told by; None: what the clock says."""
    db = transaction.db
    over = keep_bytes is not None and used_bytes(db) > keep_bytes
    if keep_seconds is None and not over:
        return 0
    at = read_cursor(db, CURSOR)
    upto = at.seq if at else 0  # up to where raw rows are gone, but for those in quarantine
    state = at.state if at else {}
    announced = int(state.get("announced", 0))
    raw_limit, seq_limit = removable(db, readers)
    rows = db.execute(
        "SELECT id, received FROM raw WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", (upto, raw_limit, STEP)
    ).fetchall()
    cutoff = int(((time.time() if believed is None else believed) - (keep_seconds or 0)) * 1e9)
    due = rows if over else _aged(db, rows, cutoff)
    gone = _resolved(db, upto)
    if due:
        last = due[-1][0]
        if last > announced:
            announced = min(raw_limit, last + AHEAD) if over else max(last, _older(db, last, raw_limit, cutoff))
            transaction.audit("retention", raw=announced, seq=_made_of(db, announced))
        gone += _raws(db, upto, last)
        transaction.advance(CURSOR, last, {**state, "announced": announced})
        upto = last
    gone += _observations(db, upto, seq_limit)
    seals.drop(db, upto, STEP)
    if gone:
        for _ in range(STEP):
            db.execute("PRAGMA incremental_vacuum(1)")  # one page a call, however many are asked for
    return gone + len(due)


def _aged(db: sqlite3.Connection, rows: list[tuple[int, int]], cutoff: int) -> list[tuple[int, int]]:
    """The first of these rows, as far as they are old. How old one is that came before our clock was set, the next
    one that came afterwards tells."""
    due = list(takewhile(lambda row: row[1] < cutoff, rows))
    unset = int(UNSET * 1e9)
    if due and due[-1][1] < unset:
        query = "SELECT received FROM raw WHERE id > ? AND received >= ? ORDER BY id LIMIT 1"
        after = db.execute(query, (due[-1][0], unset)).fetchone()
        if after is None or after[0] >= cutoff:
            while due and due[-1][1] < unset:
                due.pop()
    return due


def _newest(db: sqlite3.Connection, position: str, table: str) -> int:
    return int(db.execute(f"SELECT coalesce(max({position}), 0) FROM {table}").fetchone()[0])  # noqa: S608 - constants


def _older(db: sqlite3.Connection, low: int, high: int, cutoff: int) -> int:
    """The last row of (low, high] received before `cutoff`, by bisection: rows come in the order of time, nearly."""
    while low < high:
        middle = (low + high + 1) // 2
        row = db.execute("SELECT id, received FROM raw WHERE id <= ? ORDER BY id DESC LIMIT 1", (middle,)).fetchone()
        if row and row[1] >= cutoff:
            high = middle - 1
        else:
            low = middle
    return low


def _made_of(db: sqlite3.Connection, raw: int) -> int:
    """The last observation that raw rows up to `raw` gave."""
    row = db.execute(
        "SELECT seq FROM observation WHERE raw <= ? ORDER BY raw DESC, seq DESC LIMIT 1", (raw,)
    ).fetchone()
    return int(row[0]) if row else 0


def _raws(db: sqlite3.Connection, after: int, upto: int) -> int:
    waiting = "SELECT raw FROM quarantine WHERE resolved IS NULL"
    return db.execute(
        f"DELETE FROM raw WHERE id > ? AND id <= ? AND coalesce(message, id) NOT IN ({waiting})",  # noqa: S608 - constants
        (after, upto),
    ).rowcount


def _resolved(db: sqlite3.Connection, upto: int) -> int:
    """What was left behind in quarantine and has been understood since."""
    entries = db.execute(
        "SELECT id, raw FROM quarantine WHERE resolved IS NOT NULL AND raw <= ? LIMIT ?", (upto, STEP)
    ).fetchall()
    for entry, raw in entries:
        db.execute("DELETE FROM quarantine WHERE id=?", (entry,))
        db.execute("DELETE FROM raw WHERE id BETWEEN ?2 AND ?1 AND (id=?2 OR message=?2)", (upto, raw))
    return len(entries)


def _observations(db: sqlite3.Connection, upto_raw: int, seq_limit: int) -> int:
    rows = db.execute("SELECT seq, raw FROM observation WHERE seq <= ? ORDER BY seq LIMIT ?", (seq_limit, 2 * STEP))
    due = [seq for seq, _ in takewhile(lambda row: row[1] <= upto_raw, rows.fetchall())]
    if not due:
        return 0
    buckets = rollups.touched(db, due[0], due[-1])
    gone = db.execute("DELETE FROM observation WHERE seq BETWEEN ? AND ?", (due[0], due[-1])).rowcount
    rollups.drop(db, buckets)
    return gone
