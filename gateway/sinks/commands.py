"""What the `sinks` commands do, on the journal's file: beside a running daemon or without one."""

from __future__ import annotations

import getpass
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

from gateway.config import Config
from gateway.journal.moments import first_since
from gateway.journal.schema import FILE, RESEND, SINK, connect
from gateway.journal.transaction import Cursor, Transaction, read_cursor
from gateway.reports import open_journal
from gateway.sinks.options import SinkOptions

LISTED: Final = 1000
ONCE: Final = frozenset({"ndjson"})  # files that are only added to


def standing(config: Config) -> list[dict[str, Any]]:
    """Each sink: how far it has come, what it owes, and what its store would not have."""
    with open_journal(config) as db:
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM observation").fetchone()
        told = []
        for sink in config.sinks:
            at = read_cursor(db, f"{SINK}{sink.id}") or Cursor(0)
            asked = read_cursor(db, f"{RESEND}{sink.id}")
            (behind,) = db.execute("SELECT count(*) FROM observation WHERE seq > ?", (at.seq,)).fetchone()
            oldest = db.execute("SELECT time FROM observation WHERE seq > ? ORDER BY seq LIMIT 1", (at.seq,)).fetchone()
            (refused,) = db.execute("SELECT count(*) FROM refused WHERE sink=?", (sink.id,)).fetchone()
            told.append(
                {
                    "id": sink.id,
                    "type": sink.type,
                    "cursor": at.seq,
                    "last": last,
                    "behind": behind,
                    "oldest": _time(oldest[0]) if oldest else None,
                    "refused": refused,
                    "to_be_sent_again_after": asked.seq if asked else None,
                }
            )
    return told


def refused(config: Config, sink_id: str) -> list[dict[str, Any]]:
    """What a sink's store would not have, newest first. Errors: LookupError."""
    known(config, sink_id)
    with open_journal(config) as db:
        rows = db.execute(
            "SELECT r.seq, o.device, o.quantity, r.reason FROM refused r LEFT JOIN observation o ON o.seq = r.seq"
            " WHERE r.sink=? ORDER BY r.seq DESC LIMIT ?",
            (sink_id, LISTED),
        ).fetchall()
    return [{"seq": seq, "device": device, "quantity": quantity, "reason": why} for seq, device, quantity, why in rows]


def resend(config: Config, sink_id: str, since: int) -> int:
    """Have a sink send again what was stored since `since` (unix microseconds), what was refused included; how many
    observations that is. A running daemon notices within a second or so. Errors: LookupError."""
    _check_resend(config, sink_id)
    with open_journal(config) as db:
        first = first_since(db, since)
    return 0 if first is None else resend_after(config, sink_id, first - 1)


def resend_after(config: Config, sink_id: str, after: int) -> int:
    """The same for what stands after a position."""
    _check_resend(config, sink_id)
    with closing(connect(config.gateway.data_dir / FILE)) as db:
        db.execute("BEGIN IMMEDIATE")
        transaction = Transaction(db)
        at = read_cursor(db, f"{SINK}{sink_id}") or Cursor(0)
        (count,) = db.execute("SELECT count(*) FROM observation WHERE seq > ? AND seq <= ?", (after, at.seq)).fetchone()
        db.execute("DELETE FROM refused WHERE sink=? AND seq > ?", (sink_id, after))
        transaction.advance(f"{RESEND}{sink_id}", after)
        transaction.audit("sink.resend", sink=sink_id, after=after, by=getpass.getuser())
        db.execute("COMMIT")
    return int(count)


def _check_resend(config: Config, sink_id: str) -> None:
    if known(config, sink_id).type in ONCE:
        raise LookupError(f"{sink_id} only adds to its files: sent again, everything would stand there twice.")


def known(config: Config, sink_id: str) -> SinkOptions:
    """A sink by its id. Errors: LookupError."""
    for sink in config.sinks:
        if sink.id == sink_id:
            return sink
    raise LookupError(f"no sink is called {sink_id!r}. Known are: {', '.join(sink.id for sink in config.sinks)}.")


def _time(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
