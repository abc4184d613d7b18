"""What the API reads from the journal: observations, raw messages. Runs in reader threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.journal.export import with_seq
from gateway.journal.moments import first_since
from gateway.journal.transaction import read_message
from gateway.wire_text import readable

MOST = 5000  # observations in one answer
MANY = 1000  # observations of a series: whoever asks for the newest finds them soon
STATES = ("part", "whole", "broken off", "refused")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Times are unix microseconds; device and quantity are globs."""

    device: str | None = None
    quantity: str | None = None
    kind: str | None = None
    specimen: str | None = None
    since: int | None = None
    until: int | None = None
    after: int | None = None
    limit: int = 100


def observations(db: sqlite3.Connection, wanted: Wanted) -> tuple[list[bytes], int]:
    """JSON of the observations, newest last, and the seq to go on after.

    With `after` the oldest that follow it; without, the newest there are.
    """
    first = _first(db, wanted)
    if first is None:
        return [], wanted.after or 0
    clauses, values = [], list[Any]()
    for clause, value in (
        (_like("device", wanted.device), wanted.device),
        (_like("quantity", wanted.quantity), wanted.quantity),
        ("kind = ?", wanted.kind),
        ("specimen = ?", wanted.specimen),
        ("time >= ?", wanted.since),
        ("time < ?", wanted.until),
        ("seq > ?", wanted.after),
        ("seq >= ?", first or None),
    ):
        if value is not None:
            clauses.append(clause)
            values.append(value)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    order = "DESC" if wanted.after is None else "ASC"
    query = f"SELECT seq, body FROM observation {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - constants
    rows = db.execute(query, (*values, min(wanted.limit, MOST))).fetchall()
    if wanted.after is None:
        rows.reverse()
    last = rows[-1][0] if rows else wanted.after or 0
    return [with_seq(seq, body) for seq, body in rows], last


def _first(db: sqlite3.Connection, wanted: Wanted) -> int | None:
    """From where on to look, or a page that finds too little would read all the years before; None: nothing is there,
    0: what is wanted comes soon anyway."""
    if wanted.since is None:
        return 0
    if wanted.after is None:
        return first_since(db, wanted.since, MANY)
    following = db.execute(
        "SELECT time FROM observation WHERE seq > ? ORDER BY seq LIMIT 1", (wanted.after,)
    ).fetchone()
    if following is None or following[0] >= wanted.since:
        return 0
    return first_since(db, wanted.since)


def _like(column: str, pattern: str | None) -> str:
    """A name without wildcards is looked up in the index."""
    return f"{column} {'GLOB' if pattern and set(pattern) & set('*?[') else '='} ?"


def quarantined(db: sqlite3.Connection, entry: int | None = None) -> int:
    """How many entries wait for somebody; of one entry, 1 while it does."""
    query = "SELECT count(*) FROM quarantine WHERE resolved IS NULL AND (?1 IS NULL OR id = ?1)"
    return int(db.execute(query, (entry,)).fetchone()[0])


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the journal's readers are, and what waits for people."""

    cursors: dict[str, int]
    quarantined: int


def standing(db: sqlite3.Connection) -> Standing:
    return Standing(dict(db.execute("SELECT name, seq FROM cursor").fetchall()), quarantined(db))


def raw(db: sqlite3.Connection, raw_id: int) -> dict[str, Any] | None:
    """One message's bytes and what was made of them; a frame's id finds its whole message."""
    row = db.execute("SELECT coalesce(message, id) FROM raw WHERE id = ?", (raw_id,)).fetchone()
    message = read_message(db, row[0]) if row else None
    if message is None:
        return None
    made = db.execute("SELECT seq FROM observation WHERE raw = ? ORDER BY seq LIMIT 1000", (message.id,)).fetchall()
    reason = db.execute(
        "SELECT reason, detail FROM quarantine WHERE raw = ? ORDER BY id DESC", (message.id,)
    ).fetchone()
    return {
        "id": message.id,
        "device": message.device,
        "channel": message.channel,
        "received": message.received / 1e9,
        "state": STATES[message.state],
        "frames": list(message.frames),
        "hex": message.data.hex(),
        "text": readable(message.data),
        "observations": [seq for (seq,) in made],
        "quarantine": {"reason": reason[0], "detail": reason[1]} if reason else None,
    }


def latest(db: sqlite3.Connection, device: str, quantities: int = 12) -> list[bytes]:
    """The last observation of each of a device's quantities, newest measured last."""
    rows = [
        db.execute(
            "SELECT time, seq, body FROM observation WHERE device = ? AND quantity = ? ORDER BY time DESC LIMIT 1",
            (device, name),
        ).fetchone()
        for name in _quantities(db, device)
    ]
    rows.sort()
    return [with_seq(seq, body) for _, seq, body in rows[-quantities:]]


def _quantities(db: sqlite3.Connection, device: str) -> Iterator[str]:
    """A device's quantities, each found by one step in the index: DISTINCT would walk through every row."""
    name = ""
    for _ in range(200):
        row = db.execute(
            "SELECT min(quantity) FROM observation WHERE device = ? AND quantity > ?", (device, name)
        ).fetchone()
        if row[0] is None:
            return
        name = row[0]
        yield name


def recent(db: sqlite3.Connection, device: str, quantity: str, points: int = 60) -> list[tuple[float, float]]:
    """The last numbers of a quantity, oldest first, for a sparkline."""
    rows = db.execute(
        "SELECT time / 1e6, number FROM observation WHERE device = ? AND quantity = ? AND number IS NOT NULL"
        " ORDER BY time DESC LIMIT ?",
        (device, quantity, points),
    ).fetchall()
    return rows[::-1]
