"""What can be written to the journal, inside the writer's transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from gateway.journal import audit
from gateway.journal.schema import LAST, PART, REFUSED
from gateway.journal.squeeze import restore, squeeze

ROWS = 128  # rows a statement


@dataclass(slots=True, eq=False)
class Thread:
    """Ties the frames of one message together before its first frame has an id."""

    id: int | None = None


class Keep(NamedTuple):  # a frozen dataclass takes seven times as long to make, and there is one for every frame
    """Raw bytes to make durable. `durable` is called on the event loop after the commit, with the row's id."""

    device: str
    channel: str
    received: int  # unix nanoseconds
    data: bytes
    state: int
    durable: Callable[[int], None]
    thread: Thread | None = None  # the message this is a frame of; None: a message by itself
    reason: str = ""  # for REFUSED rows
    detail: str = ""
    packet: int = 0
    again: bool = False  # the broker says it has sent this packet before
    key: str = ""  # a file's identity: taken once

    @property
    def simple(self) -> bool:
        """True where keeping it is a single statement."""
        return self.state != REFUSED and not self.again and not self.key

    @property
    def plain(self) -> bool:
        """True for a whole message that can be nothing but new."""
        return self.state == LAST and self.thread is None and self.simple


class Row(NamedTuple):
    """An observation as it is stored, in the order of the table's columns; `body` is its JSON without `seq`."""

    uid: bytes
    raw: int
    device: str
    kind: str
    quantity: str
    specimen: str | None
    time: int  # unix microseconds
    number: float | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come, and what it must remember with that."""

    seq: int
    state: Mapping[str, Any] = field(default_factory=dict)


class Transaction:
    """One open transaction of the journal. Lives only inside the function given to `Journal.write`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def keep(self, item: Keep, resent: Callable[[Keep], int | None] | None = None) -> int:
        """Store raw bytes; the row's id, or the earlier row's where this is a file seen before, or a redelivery,
        which `resent` looks up."""
        if item.again and resent and (earlier := resent(item)) is not None:
            return earlier
        if item.key:
            row = self.db.execute("SELECT raw FROM taken WHERE device=? AND key=?", (item.device, item.key)).fetchone()
            if row:
                return int(row[0])
        codec, data = squeeze(item.data)
        first = item.thread.id if item.thread else None
        cursor = self.db.execute(
            "INSERT INTO raw (message, state, device, channel, received, packet, codec, data) VALUES (?,?,?,?,?,?,?,?)",
            (first, item.state, item.device, item.channel, item.received, item.packet, codec, data),
        )
        row_id = cursor.lastrowid or 0
        if item.thread is not None and item.thread.id is None:
            item.thread.id = row_id
        if item.key:
            self.db.execute("INSERT INTO taken (device, key, raw) VALUES (?,?,?)", (item.device, item.key, row_id))
        if item.state == REFUSED:
            self.quarantine(row_id, item.device, item.reason, item.detail)
        return row_id

    def keep_plain(self, items: Sequence[Keep]) -> range:
        """Store messages that need no look-up (`Keep.plain`); their ids. Many rows a statement: the interpreter's
        lock is given up once a statement, and under load getting it back is what costs."""
        columns = "message, state, device, channel, received, packet, codec, data"
        for start in range(0, len(items), ROWS):
            part = items[start : start + ROWS]
            values: list[object] = []
            for item in part:
                values += (LAST, item.device, item.channel, item.received, item.packet, *squeeze(item.data))
            marks = ",".join(["(NULL,?,?,?,?,?,?,?)"] * len(part))
            self.db.execute(f"INSERT INTO raw ({columns}) VALUES {marks}", values)  # noqa: S608 - marks only
        (last,) = self.db.execute("SELECT last_insert_rowid()").fetchone()
        return range(last - len(items) + 1, last + 1)

    def observe(self, rows: Iterable[Row]) -> int:
        """Store observations; those whose uid is known are left out. How many were new."""
        before = self.db.total_changes
        self.db.executemany(
            "INSERT OR IGNORE INTO observation (uid, raw, device, kind, quantity, specimen, time, number, body)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            rows,
        )
        return self.db.total_changes - before

    def quarantine(self, raw: int, device: str, reason: str, detail: str) -> None:
        """List a message as not understood. A message is listed once until it is resolved."""
        self.db.execute(
            "INSERT INTO quarantine (raw, device, reason, detail, at) SELECT ?1,?2,?3,?4,?5"
            " WHERE NOT EXISTS (SELECT 1 FROM quarantine WHERE raw=?1 AND resolved IS NULL)",
            (raw, device, reason, detail[:2000], time.time_ns()),
        )

    def resolve(self, raw: int) -> None:
        """The message has been understood after all."""
        self.db.execute("UPDATE quarantine SET resolved=? WHERE raw=? AND resolved IS NULL", (time.time_ns(), raw))

    def advance(self, name: str, seq: int, state: Mapping[str, Any] | None = None) -> None:
        """Move a reader's cursor; `state` None leaves what it remembers."""
        if state is None:
            self.db.execute(
                "INSERT INTO cursor (name, seq, state) VALUES (?,?,'{}')"
                " ON CONFLICT (name) DO UPDATE SET seq=excluded.seq",
                (name, seq),
            )
        else:
            self.db.execute(
                "INSERT INTO cursor (name, seq, state) VALUES (?,?,?)"
                " ON CONFLICT (name) DO UPDATE SET seq=excluded.seq, state=excluded.state",
                (name, seq, orjson.dumps(dict(state)).decode()),
            )

    def forget(self, name: str) -> None:
        """Remove a cursor."""
        self.db.execute("DELETE FROM cursor WHERE name=?", (name,))

    def cursor(self, name: str) -> Cursor | None:
        """Where a reader stands; None if it never read."""
        return read_cursor(self.db, name)

    def refuse(self, sink: str, seq: int, reason: str) -> None:
        """Note an observation that a sink's store would not have."""
        self.db.execute(
            "INSERT OR REPLACE INTO refused (sink, seq, reason, at) VALUES (?,?,?,?)",
            (sink, seq, reason[:2000], time.time_ns()),
        )

    def audit(self, action: str, **body: Any) -> None:
        """Add to the audit chain. No patient data: rows of the chain cannot be erased one by one."""
        audit.append(self.db, time.time_ns(), {"action": action, **body})


def read_cursor(db: sqlite3.Connection, name: str) -> Cursor | None:
    row = db.execute("SELECT seq, state FROM cursor WHERE name=?", (name,)).fetchone()
    return Cursor(row[0], orjson.loads(row[1])) if row else None


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as it came off the wire, its frames joined."""

    id: int
    device: str
    channel: str
    received: int  # unix nanoseconds of its last byte
    data: bytes
    state: int
    retained: bool
    topic: bool = False  # the channel is an MQTT topic
    frames: tuple[int, ...] = ()  # length of each frame's bytes, where there are several

    @property
    def channel_key(self) -> str:
        """What of the channel belongs to the message: a topic does, a peer's port or a file's name does not."""
        return self.channel if self.topic else ""


COLUMNS = "id, message, state, device, channel, received, packet, codec, data"  # of raw, as `joined` takes them


def read_message(db: sqlite3.Connection, first: int) -> RawMessage | None:
    """The whole message that begins at row `first`, as far as it has come; None if there is no such row."""
    rows = db.execute(f"SELECT {COLUMNS} FROM raw WHERE id=?", (first,)).fetchall()  # noqa: S608 - constants
    if not rows:
        return None
    if rows[0][2] == PART:
        # Its other frames are not far: an exchange gives a silent sender up after some seconds.
        for row in db.execute(f"SELECT {COLUMNS} FROM raw WHERE id>?1 AND message=?1 ORDER BY id", (first,)):  # noqa: S608
            rows.append(row)
            if row[2] != PART:
                break
    return joined(rows)


def joined(rows: Sequence[tuple[Any, ...]]) -> RawMessage:
    """One message of its rows, the first to the last."""
    parts = [restore(row[7], row[8]) for row in rows]
    (first, _, _, device, channel, _, packet, *_), last = rows[0], rows[-1]
    frames = tuple(len(part) for part in parts) if len(parts) > 1 else ()
    return RawMessage(first, device, channel, last[5], b"".join(parts), last[2], packet < 0, packet != 0, frames)


def follow(begun: set[int], row: int, message: int | None, state: int) -> None:
    """Keep `begun`, the messages whose end has not come, true over one more raw row."""
    if message is None and state == PART:
        begun.add(row)
    elif message is not None and state != PART:
        begun.discard(message)
