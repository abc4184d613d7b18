"""Where a time begins in the journal: rows stand in the order they were stored, which is nearly that of their times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def first_since(db: sqlite3.Connection, since: int) -> int | None:
    """The first position of an observation whose time is `since` (unix microseconds) or later; None: there is none.

    Looks it up series by series in their index: without reading the years before.
    """
    query = "SELECT min(seq) FROM observation WHERE device = ? AND quantity = ? AND time >= ?"
    found = (db.execute(query, (*series, since)).fetchone()[0] for series in _series(db))
    return min((seq for seq in found if seq is not None), default=None)


def _series(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Every device and quantity there is."""
    at = ("", "")
    query = (
        "SELECT device, quantity FROM observation WHERE (device, quantity) > (?, ?) ORDER BY device, quantity LIMIT 1"
    )
    while row := db.execute(query, at).fetchone():
        at = row
        yield at
