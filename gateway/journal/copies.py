"""Copies of a journal: made while it is in use, proven by opening them, and put back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from drivers.kit.observation import Kind
from gateway.journal import audit, seals
from gateway.journal.folder import Folder, InUseError
from gateway.journal.opening import JournalError
from gateway.journal.schema import DECODE, FILE, REFUSED, connect, migrate
from gateway.journal.transaction import COLUMNS, Row, Transaction, read_cursor
from gateway.observation import Observation

AHEAD: Final = 1_000_000
"""Positions left out after a restore or a salvage: what the lost end of the journal used is never used again."""


def backup(data_dir: Path, target: Path) -> dict[str, Any]:
    """Copy the journal as it is at one moment to the file `target`, also while the daemon writes, and check the copy.

    Errors: JournalError (no journal there, the target exists, or the copy is not good: it is then removed).
    """
    source = data_dir / FILE
    if not source.exists():
        raise JournalError(f"there is no journal at {source}. Start the daemon once: assaygate run -c FILE")
    if target.exists():
        raise JournalError(f"{target} is already there. Name a new file.")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with closing(connect(source, read_only=True)) as db, closing(sqlite3.connect(part)) as copy:
            db.backup(copy)  # one snapshot; what is committed meanwhile is not in it
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
        part.chmod(0o600)
        found = examine(part, data_dir)
        if found["problems"]:
            raise JournalError(f"the copy is not good: {found['problems'][0]}. Run assaygate verify on the journal.")
        _flush(part)
        part.replace(target)
        _flush(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"{target}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return {"backup": str(target), "bytes": target.stat().st_size, **found}


def examine(path: Path, key_dir: Path) -> dict[str, Any]:
    """What a journal's file holds, and what is wrong with it. Errors: sqlite3.Error, SealKeyError."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        problems = [row[0] for row in db.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
        entries, broken = audit.broken(db)
        if broken is not None:
            problems.append(f"the audit chain is broken at {broken}")
        chain = seals.check(db, seals.key(key_dir))
        counts = db.execute("SELECT (SELECT count(*) FROM raw), (SELECT count(*) FROM observation)").fetchone()
    return {
        "raw": counts[0],
        "observations": counts[1],
        "audit": entries,
        "seals": f"{chain.seals}, head {chain.head}" if chain.seals else "none yet",
        "problems": [*problems, *chain.problems],
    }


def restore(data_dir: Path, source: Path, key: Path | None = None) -> dict[str, Any]:
    """Make `source`, a backup, the journal of `data_dir`, which must have none.

    `key`: the seals' key; by default the one in the folder. Readers go on from where they stood at the backup, so
    sinks send again what came before it and was not acknowledged; positions used since are left out.
    Errors: JournalError, SealKeyError.
    """
    if not source.exists():
        raise JournalError(f"there is no backup at {source}.")
    with taken(data_dir):
        if (data_dir / FILE).exists():
            raise JournalError(f"{data_dir / FILE} is already there. Move the folder away first; nothing was changed.")
        if key is not None:
            seals.put_key(data_dir, seals.read_key(key))
        elif not (data_dir / seals.KEY).exists():
            raise JournalError(
                f"{data_dir / seals.KEY} is missing: without the key that sealed it a journal cannot be checked. "
                "Put it back from where you keep it, or name it with --key."
            )
        part = data_dir / f"{FILE}.part"
        try:
            shutil.copyfile(source, part)
            part.chmod(0o600)
            found = examine(part, data_dir)
            if found["problems"]:
                raise JournalError(f"{source} is not good: {found['problems'][0]}. assaygate salvage may help.")
            with closing(connect(part)) as db:
                migrate(db)
                db.execute("BEGIN IMMEDIATE")
                go_on_after(Transaction(db), "restored", source=source.name)
                db.execute("COMMIT")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            _flush(part)
            part.replace(data_dir / FILE)
            _flush(data_dir)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"{source}: {error}") from error
        finally:
            for left in data_dir.glob(f"{FILE}.part*"):
                left.unlink()
    return {"restored": str(data_dir / FILE), **found}


@contextmanager
def taken(data_dir: Path) -> Iterator[None]:
    """The folder is ours alone. Errors: JournalError where a daemon has it."""
    folder = Folder(data_dir)
    try:
        folder.take()
    except InUseError as error:
        raise JournalError(str(error)) from None
    try:
        yield
    finally:
        folder.release(well=False)


def go_on_after(transaction: Transaction, action: str, raw: int = 0, seq: int = 0, **more: Any) -> None:
    """Count on well beyond every position that was ever used (at least `raw` and `seq`), and say so: in the audit
    chain, and in an observation for everybody who reads."""
    db = transaction.db
    (last_raw, last_seq) = db.execute(
        "SELECT coalesce((SELECT max(id) FROM raw), 0), coalesce((SELECT max(seq) FROM observation), 0)"
    ).fetchone()
    raw, seq = max(raw, last_raw) + AHEAD, max(seq, last_seq) + AHEAD
    now = time.time_ns()
    at = datetime.fromtimestamp(now / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = f"the journal was {action}; entries after {last_seq} may be missing"
    db.execute(
        f"INSERT INTO raw ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constants
        (raw, None, REFUSED, "", "", now, 0, 0, told.encode()),
    )
    uid = os.urandom(16)
    observation = Observation(
        uid=uid.hex(),
        device="",
        kind=Kind.EVENT,
        quantity=f"journal-{action}",
        value=told,
        time=at,
        received=at,
        raw=raw,
    )
    row = Row(uid, raw, "", Kind.EVENT, observation.quantity, None, now // 1000, None, observation.to_json())
    db.execute(
        "INSERT INTO observation (seq, uid, raw, device, kind, quantity, specimen, time, number, body)"
        " VALUES (?,?,?,?,?,?,?,?,?,?)",
        (seq, *row),
    )
    decoded = read_cursor(db, DECODE)
    if decoded is not None and decoded.seq >= last_raw:
        transaction.advance(DECODE, raw)
    transaction.audit(action, raw=raw, seq=seq, last_raw=last_raw, last_seq=last_seq, **more)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not every file system flushes a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
