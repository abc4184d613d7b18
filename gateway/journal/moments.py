"""Where a time begins in the journal: rows stand in the order they were stored, which is nearly that of their times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def first_since(db: sqlite3.Connection, since: int, most: int = -1) -> int | None:
    """The first position of an observation whose time is `since` (unix microseconds) or later; None: there is none.

    Looks it up series by series in their index: without reading the years before. It reads all entries since then; with
    `most`, no more than so many of a series, and answers 0 where one has as many.
    """
    query = (
        "SELECT min(seq), count(*) FROM"
        " (SELECT seq FROM observation WHERE device = ? AND quantity = ? AND time >= ? ORDER BY time LIMIT ?)"
    )
    first: int | None = None
    for series in _series(db):
        seq, count = db.execute(query, (*series, since, most)).fetchone()
        if count == most:
            return 0
        if seq is not None:
            first = seq if first is None else min(first, seq)
    return first


def _series(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Every device and quantity there is."""
    at = ("", "")
    query = (
        "SELECT device, quantity FROM observation WHERE (device, quantity) > (?, ?) ORDER BY device, quantity LIMIT 1"
    )
    while row := db.execute(query, at).fetchone():
        at = row
        yield at
