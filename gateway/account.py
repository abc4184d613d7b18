"""Every message accounted for: it became observations, repeats others, says nothing to observe, or is in quarantine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from drivers.kit.exchange import Reason
from gateway.decode import Failure, Reading, read
from gateway.journal.schema import BROKEN, DECODE, PART, REFUSED
from gateway.journal.transaction import read_cursor, read_message


@dataclass(slots=True)
class Account:
    """Counts of what the journal holds."""

    rows: int = 0  # raw rows: messages and frames
    messages: int = 0  # whole or broken off, frames joined
    refused: int = 0  # rejected on the wire
    observations: int = 0
    waiting: int = 0  # messages not decoded yet
    repeats: int = 0  # messages whose every observation was known already
    silent: int = 0  # understood, with nothing to observe (a query, a keep-alive)
    quarantined: int = 0  # open entries
    unaccounted: int = 0  # none of these: must be 0


def account(db: sqlite3.Connection, reading: Callable[[str], Reading | None]) -> Account:
    """Count, decoding again those messages that no observation points to."""
    books = Account()
    (books.rows,) = db.execute("SELECT count(*) FROM raw").fetchone()
    (books.refused,) = db.execute("SELECT count(*) FROM raw WHERE state=?", (REFUSED,)).fetchone()
    (books.observations,) = db.execute("SELECT count(*) FROM observation").fetchone()
    (books.quarantined,) = db.execute("SELECT count(*) FROM quarantine WHERE resolved IS NULL").fetchone()
    ends = "state NOT IN (?, ?)"
    (books.messages,) = db.execute(f"SELECT count(*) FROM raw WHERE {ends}", (PART, REFUSED)).fetchone()  # noqa: S608
    cursor = read_cursor(db, DECODE)
    upto = cursor.seq if cursor else 0
    broken = {int(entry[0]) for entry in cursor.state.get("broken", [])} if cursor else set()
    (later,) = db.execute(f"SELECT count(*) FROM raw WHERE {ends} AND id > ?", (PART, REFUSED, upto)).fetchone()  # noqa: S608
    books.waiting = later + len(broken)
    unseen = db.execute(
        f"SELECT coalesce(message, id) FROM raw WHERE {ends} AND id <= ?"  # noqa: S608 - constants
        " AND coalesce(message, id) NOT IN (SELECT raw FROM observation UNION SELECT raw FROM quarantine)",
        (PART, REFUSED, upto),
    )
    for (first,) in unseen.fetchall():
        if first not in broken:
            _judge(db, first, reading, books)
    return books


def _judge(db: sqlite3.Connection, first: int, reading: Callable[[str], Reading | None], books: Account) -> None:
    message = read_message(db, first)
    if message is None or not message.data:
        books.silent += 1
        return
    rows = read(message, reading(message.device))
    if isinstance(rows, Failure):
        # Broken off before its first whole result, and sent again whole: it had nothing to say.
        if message.state == BROKEN and rows.reason is Reason.INCOMPLETE:
            books.silent += 1
        else:
            books.unaccounted += 1
    elif not rows:
        books.silent += 1
    elif all(db.execute("SELECT 1 FROM observation WHERE uid=?", (row.uid,)).fetchone() for row in rows):
        books.repeats += 1
    else:
        books.unaccounted += 1
