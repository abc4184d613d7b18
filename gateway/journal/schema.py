"""The journal's tables and how an older journal is brought up to date.

One SQLite file. `raw` is what came off the wire, `observation` what was made of it; every reader of either
keeps its place in `cursor`. A position is never used twice: the newest row of either is never removed.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

FILE: Final = "journal.sqlite"

# Names of cursors.
DECODE: Final = "decode"
ALARMS: Final = "alarms"
SINK: Final = "sink:"  # and the sink's id
RESEND: Final = "resend:"  # and the sink's id: from where a person wants it sent again

# States of a raw row.
PART: Final = 0  # a frame of a message that goes on
LAST: Final = 1  # a whole message, or the last frame of one
BROKEN: Final = 2  # the last frame of a message whose sender stopped short
REFUSED: Final = 3  # rejected on the wire (a bad checksum, say): in quarantine, never decoded by itself

# Every index and every counter is one more page to flush before a frame is acknowledged: `raw` has none for frames.
MIGRATIONS: Final = (
    """
    CREATE TABLE raw (
        id       INTEGER PRIMARY KEY,
        message  INTEGER,           -- id of the message's first row; NULL where this row is that
        state    INTEGER NOT NULL,
        device   TEXT NOT NULL,
        channel  TEXT NOT NULL,     -- peer address, MQTT topic or file name
        received INTEGER NOT NULL,  -- unix nanoseconds of the last byte
        packet   INTEGER NOT NULL,  -- MQTT packet identifier; negative where retained
        codec    INTEGER NOT NULL,  -- 0 as it is, 1 deflate with our dictionary
        data     BLOB NOT NULL
    ) STRICT;

    -- Files already taken, by name, size, time and content.
    CREATE TABLE taken (device TEXT NOT NULL, key TEXT NOT NULL, raw INTEGER NOT NULL,
        PRIMARY KEY (device, key)) STRICT, WITHOUT ROWID;

    CREATE TABLE observation (
        seq      INTEGER PRIMARY KEY,
        uid      BLOB NOT NULL,
        raw      INTEGER NOT NULL,
        device   TEXT NOT NULL,
        kind     TEXT NOT NULL,
        quantity TEXT NOT NULL,
        specimen TEXT,
        time     INTEGER NOT NULL,  -- unix microseconds
        number   REAL,              -- the value where it is a number, for plots and rules
        body     BLOB NOT NULL      -- the observation as JSON, without seq
    ) STRICT;
    CREATE UNIQUE INDEX observation_uid ON observation (uid);
    CREATE INDEX observation_raw ON observation (raw);
    CREATE INDEX observation_results ON observation (seq) WHERE kind IN ('result', 'qc');  -- few among readings
    CREATE INDEX observation_series ON observation (device, quantity, time);
    CREATE INDEX observation_specimen ON observation (specimen) WHERE specimen IS NOT NULL;

    CREATE TABLE quarantine (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        raw      INTEGER NOT NULL,  -- first row of the message
        device   TEXT NOT NULL,
        reason   TEXT NOT NULL,     -- drivers.kit.exchange.Reason
        detail   TEXT NOT NULL,
        at       INTEGER NOT NULL,  -- unix nanoseconds
        resolved INTEGER            -- when a later reading of the same bytes succeeded
    ) STRICT;
    CREATE INDEX quarantine_open ON quarantine (raw) WHERE resolved IS NULL;

    CREATE TABLE cursor (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, state TEXT NOT NULL) STRICT;

    -- Observations a sink's store would not have, and why.
    CREATE TABLE refused (sink TEXT NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (sink, seq)) STRICT, WITHOUT ROWID;

    -- What was done, by whom: each hash covers the one before it.
    CREATE TABLE audit (
        n    INTEGER PRIMARY KEY AUTOINCREMENT,
        at   INTEGER NOT NULL,  -- unix nanoseconds
        body TEXT NOT NULL,     -- canonical JSON: sorted keys, no spaces
        hash BLOB NOT NULL      -- SHA-256(hash of the former row, body)
    ) STRICT;
    """,
    """
    -- A keyed hash chain over the rows of `raw`, `observation` and `audit`: see gateway.journal.seals.
    CREATE TABLE seal (
        n         INTEGER PRIMARY KEY,
        at        INTEGER NOT NULL,  -- unix nanoseconds
        raw_first INTEGER NOT NULL,
        raw_last  INTEGER NOT NULL,
        seq_first INTEGER NOT NULL,
        seq_last  INTEGER NOT NULL,
        audit     INTEGER NOT NULL,
        root      BLOB NOT NULL,
        mac       BLOB NOT NULL,
        leaves    BLOB
    ) STRICT;
    """,
    """
    -- A device's latest MQTT packets, wherever they stand among other devices' rows: see gateway.journal.redelivery.
    CREATE INDEX raw_packets ON raw (device, id, packet) WHERE packet > 0;
    """,
    """
    -- Sums of numbers over minutes, hours and days, and the seq up to which they go: see gateway.journal.rollups.
    CREATE TABLE rollup (
        device   TEXT NOT NULL,
        quantity TEXT NOT NULL,
        width    INTEGER NOT NULL,  -- microseconds
        start    INTEGER NOT NULL,  -- unix microseconds, whole widths
        count    INTEGER NOT NULL,
        sum      REAL,              -- NULL where it is no number
        low      REAL NOT NULL,
        high     REAL NOT NULL,
        last     INTEGER NOT NULL,  -- unix microseconds of the newest
        PRIMARY KEY (device, quantity, width, start)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE rolled (seq INTEGER NOT NULL) STRICT;  -- one row, once somebody makes them
    """,
)


class SchemaError(Exception):
    """The journal was written by a newer assaygate than this one."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the settings every one of ours needs (they are per connection, not in the file).

    synchronous FULL: in WAL mode a commit is flushed to the disk before it returns, so what is committed
    survives a power cut. Errors: sqlite3.Error.
    """
    uri = f"{path.absolute().as_uri()}{'?mode=ro' if read_only else ''}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0, check_same_thread=False)
    if read_only:
        db.execute("PRAGMA query_only=ON")
        return db
    # Set before the first table, so that deleted pages can be given back to the disk.
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA journal_size_limit={64 << 20}")
    db.execute("PRAGMA cache_size=-8192")
    db.execute("PRAGMA temp_store=MEMORY")
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Bring the tables up to date, each step in one transaction. Errors: SchemaError, sqlite3.Error."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise SchemaError(
            f"this journal has schema {version}, this assaygate knows up to {len(MIGRATIONS)}. "
            "Run the newer assaygate that wrote it."
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")
