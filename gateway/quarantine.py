"""What could not be read: listed, shown, and read again once the configuration or a driver knows better."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from gateway.config import Config
from gateway.decode import Failure, Mark, Reading, as_read, read
from gateway.journal import seals
from gateway.journal.schema import FILE, REFUSED, connect
from gateway.journal.transaction import RawMessage, Transaction, read_message
from gateway.qc.stage import Stage
from gateway.readings import readings
from gateway.reports import open_journal

LISTED = "SELECT id, raw, device, reason, detail, at FROM quarantine WHERE resolved IS NULL"


def entries(db: sqlite3.Connection, limit: int = 1000) -> list[dict[str, Any]]:
    """Open entries, newest first."""
    rows = db.execute(f"{LISTED} ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [
        {"id": row[0], "raw": row[1], "device": row[2], "reason": row[3], "detail": row[4], "at": _time(row[5])}
        for row in rows
    ]


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def retry(
    transaction: Transaction, known: Mapping[str, Reading], ids: Sequence[int], mark: Mark = as_read
) -> tuple[int, int]:
    """Decode entries (all where `ids` is empty) again; how many are understood now, and how many still not.

    Bytes refused on the wire stay refused: their sender was told so and has sent them again.
    """
    resolved = left = 0
    for entry, raw, device, reason, _, _ in transaction.db.execute(f"{LISTED} ORDER BY id").fetchall():
        if ids and entry not in ids:
            continue
        message = read_message(transaction.db, raw)
        outcome = read(message, known.get(device)) if message and message.state != REFUSED else None
        if outcome is None or isinstance(outcome, Failure):
            left += 1
            continue
        transaction.observe(mark(transaction, outcome))
        transaction.resolve(raw)
        transaction.audit("quarantine.resolved", entry=entry, device=device, reason=reason)
        resolved += 1
    return resolved, left


class Quarantine:
    """The commands' view: works on the journal's file, beside a running daemon or without one."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def entries(self) -> list[dict[str, Any]]:
        with open_journal(self._config) as db:
            return entries(db)

    def show(self, entry: int) -> tuple[RawMessage, str]:
        """One entry's message, and in a line why it is here. Errors: LookupError."""
        with open_journal(self._config) as db:
            row = db.execute("SELECT raw, device, reason, detail, at FROM quarantine WHERE id=?", (entry,)).fetchone()
            message = read_message(db, row[0]) if row else None
        if message is None:
            raise LookupError(f"there is no entry {entry}. `assaygate quarantine -c FILE` lists them.")
        return message, f"{row[1]} at {_time(row[4])}: {row[2]}: {row[3]}"

    def retry(self, ids: Sequence[int]) -> tuple[int, int]:
        with open_journal(self._config):
            pass
        with closing(connect(self._config.gateway.data_dir / FILE)) as db:
            db.execute("BEGIN IMMEDIATE")
            stage = Stage(self._config, seals.key(self._config.gateway.data_dir))
            answer = retry(Transaction(db), readings(self._config), ids, stage.mark)
            db.execute("COMMIT")
        return answer
