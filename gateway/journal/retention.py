"""Removing what is old enough and delivered everywhere, a little at a time.

Each step is one short transaction at the oldest end of the tables, so its cost does not grow with the journal.
Nothing is removed that a reader has not passed or that stands open in quarantine.
"""

from __future__ import annotations

import sqlite3
import time
from itertools import takewhile

import orjson

from gateway.journal.transaction import Transaction

STEP = 500


def removable(db: sqlite3.Connection) -> tuple[int, int]:
    """(raw id, seq) up to which every reader has read."""
    raw, seqs = 0, []
    for name, seq, state in db.execute("SELECT name, seq, state FROM cursor"):
        if name == "decode":
            raw = seq
        else:
            # A sink may send again from its floor on: a store can lose what it has acknowledged.
            seqs.append(min(seq, orjson.loads(state).get("floor", seq)))
    return raw, min(seqs, default=0)


def used_bytes(db: sqlite3.Connection) -> int:
    """Size of what the journal holds; space of removed entries not counted."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def step(transaction: Transaction, keep_seconds: float | None, keep_bytes: int | None) -> int:
    """Remove at most STEP raw rows and their observations; how many rows went. 0: nothing is due."""
    db = transaction.db
    over = keep_bytes is not None and used_bytes(db) > keep_bytes
    if keep_seconds is None and not over:
        return 0
    raw_limit, seq_limit = removable(db)
    cutoff = time.time_ns() - int((keep_seconds or 0) * 1e9)
    rows = db.execute("SELECT id, received FROM raw WHERE id <= ? ORDER BY id LIMIT ?", (raw_limit, STEP)).fetchall()
    due = [row[0] for row in (rows if over else takewhile(lambda row: row[1] < cutoff, rows))]
    if not due:
        return _observations(db, raw_limit if over else _oldest(db) - 1, seq_limit)
    waiting = "SELECT raw FROM quarantine WHERE resolved IS NULL"
    gone = db.execute(
        f"DELETE FROM raw WHERE id BETWEEN ? AND ? AND id NOT IN ({waiting})"  # noqa: S608 - constants
        f" AND coalesce(message, 0) NOT IN ({waiting})",
        (due[0], due[-1]),
    ).rowcount
    gone += _observations(db, due[-1], seq_limit)
    if gone:
        db.execute(f"PRAGMA incremental_vacuum({STEP})")
    return gone


def _oldest(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(min(id), 0) FROM raw").fetchone()[0])


def _observations(db: sqlite3.Connection, upto_raw: int, seq_limit: int) -> int:
    rows = db.execute("SELECT seq, raw FROM observation WHERE seq <= ? ORDER BY seq LIMIT ?", (seq_limit, 2 * STEP))
    due = [seq for seq, _ in takewhile(lambda row: row[1] <= upto_raw, rows.fetchall())]
    if not due:
        return 0
    return db.execute("DELETE FROM observation WHERE seq BETWEEN ? AND ?", (due[0], due[-1])).rowcount
