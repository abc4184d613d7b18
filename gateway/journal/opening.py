"""Opening a journal: making its tables, looking whether it is whole, and closing what a sudden end left open."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from gateway.journal import seals
from gateway.journal.folder import Folder
from gateway.journal.schema import BROKEN, DECODE, connect, migrate
from gateway.journal.transaction import Cursor, follow, read_cursor

AT_ONCE: Final = 64 << 20  # bytes of a journal that are checked before anybody is served; more takes too long


class JournalError(Exception):
    """The journal cannot be opened; the message says what to do."""


def prepare(path: Path, folder: Folder) -> tuple[bytes, bool]:
    """Take the folder and make the journal fit for its writer; the seals' secret, and whether `check` is still due.

    Errors: JournalError (damaged, gone), gateway.journal.folder.InUseError, SchemaError, seals.SealKeyError, OSError,
    sqlite3.Error.
    """
    folder.take()
    fresh = not path.exists()
    if fresh and folder.used:
        # A new one would begin its numbers again, and what the old one has not delivered would wait unseen.
        raise JournalError(
            f"{path} is gone, though there was one. Put it back, or restore a copy into a new folder (assaygate "
            f"restore); to begin a new journal name a new gateway.data_dir, or empty {path.parent}."
        )
    secret = seals.key(path.parent, make=True)
    db = connect(path)
    try:
        path.chmod(0o600)
        migrate(db)
        due = not fresh
        if folder.left_running and path.stat().st_size <= AT_ONCE:
            if verdict := check(db):
                raise JournalError(damaged(path, verdict))
            due = False
        _close_unfinished(db)
    finally:
        db.close()
    folder.running()
    folder.reserved()
    return secret, due


def check(db: sqlite3.Connection) -> str:
    """What is wrong with the file's pages; "" where nothing is. Reads all of them: minutes, for one of years.

    Errors: sqlite3.Error (interrupted, or the disk does not answer: that says nothing of the pages).
    """
    try:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        verdict = str(error)
    return "" if verdict == "ok" else str(verdict)


def damaged(path: Path, verdict: str) -> str:
    """What people are told."""
    remedy = f"Keep a copy of the folder, then: assaygate salvage {path.parent} NEW_FOLDER"
    return f"{path} is damaged ({verdict}). {remedy}"


def _close_unfinished(db: sqlite3.Connection) -> None:
    """Messages that were under way when the last process ended: what was acknowledged of them gets decoded.

    The decoder's cursor remembers those that had begun before it; the rows after it tell the rest.
    """
    cursor = read_cursor(db, DECODE) or Cursor(0)
    begun = set(cursor.state.get("begun", ()))
    for row in db.execute("SELECT id, message, state FROM raw WHERE id > ?", (cursor.seq,)):
        follow(begun, *row)
    db.execute("BEGIN IMMEDIATE")
    for message in begun:
        db.execute(
            "INSERT INTO raw (message, state, device, channel, received, packet, codec, data)"
            " SELECT ?1, ?2, device, channel, max(received), 0, 0, x'' FROM raw WHERE id>=?1 AND (id=?1 OR message=?1)",
            (message, BROKEN),
        )
    db.execute("COMMIT")
