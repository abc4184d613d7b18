"""What quality control remembers: rows called `qc:...` beside the readers' cursors, written in the transaction that
stores the observations they were made of. So a crash at any moment leaves both or neither."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

CONTROL: Final = "qc:control:"  # and DEVICE:CONTROL
GROUP: Final = "qc:group:"  # and DEVICE:QUANTITY: what Westgard's rules look back on
HELD: Final = "qc:held:"  # and the uid of a result that waits for its release
CRITICAL: Final = "qc:critical:"  # and the uid of a result somebody must be told of
FORMER: Final = "qc:former:"  # and the keyed hash of patient and quantity
LOCKOUT: Final = "qc:lockout:"  # and DEVICE:CHECK:QUANTITY: its last result was locked out
AVERAGE: Final = "qc:average:"  # and DEVICE:CHECK
RUN: Final = "qc:run:"  # and DEVICE:CHECK:RUN

MOST: Final = 20_000  # entries of one name that are kept; the longest unused go first


class State:
    """The rows, inside one transaction; of a read-only connection they can be read."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def get(self, name: str) -> dict[str, Any]:
        """{} where there is nothing."""
        row = self._db.execute("SELECT state FROM cursor WHERE name=?", (name,)).fetchone()
        return dict(orjson.loads(row[0])) if row else {}

    def put(self, name: str, state: Mapping[str, Any]) -> None:
        # A new row each time: their order is the order of their last use. `seq` is 0: none of them reads on from there.
        self.drop(name)
        text = orjson.dumps(state).decode()
        self._db.execute("INSERT INTO cursor (name, seq, state) VALUES (?, 0, ?)", (name, text))

    def drop(self, name: str) -> None:
        self._db.execute("DELETE FROM cursor WHERE name=?", (name,))

    def all(self, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(what stands after the prefix, state), the longest unused first."""
        rows = self._db.execute("SELECT name, state FROM cursor WHERE name>=? AND name<? ORDER BY rowid", _span(prefix))
        for name, state in rows.fetchall():
            yield name.removeprefix(prefix), orjson.loads(state)

    def names(self, prefix: str) -> list[str]:
        """What stands after the prefix, the longest unused first."""
        rows = self._db.execute("SELECT name FROM cursor WHERE name>=? AND name<? ORDER BY rowid", _span(prefix))
        return [name.removeprefix(prefix) for (name,) in rows.fetchall()]

    def count(self, prefix: str) -> int:
        query = "SELECT count(*) FROM cursor WHERE name>=? AND name<?"
        return int(self._db.execute(query, _span(prefix)).fetchone()[0])

    def bound(self, prefix: str, most: int | None = None) -> None:
        """Let go of the longest unused beyond so many (MOST)."""
        over = self.count(prefix) - (MOST if most is None else most)
        if over > 0:
            self._db.execute(
                "DELETE FROM cursor WHERE rowid IN"
                " (SELECT rowid FROM cursor WHERE name>=? AND name<? ORDER BY rowid LIMIT ?)",
                (*_span(prefix), over),
            )


def _span(prefix: str) -> tuple[str, str]:
    return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)


def hashed(secret: bytes, *parts: str) -> str:
    """A name for something that must not be read back from the state: a keyed hash (BLAKE2b, RFC 7693)."""
    digest = hashlib.blake2b(key=secret, digest_size=16, person=b"quality-control"[:16])
    for part in parts:
        data = part.encode("utf-8", "replace")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()
