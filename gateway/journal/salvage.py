"""What a damaged journal still holds, in a new one, with a report of what is missing.

Nothing of the damaged file is changed. Rows are read past whatever is broken (`gateway.journal.pages`) and compared
with their seals where there are any; a raw row that is not as it was sealed goes into quarantine, an observation that
is not is left out, since it can be made again of its raw bytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson

from drivers.kit.exchange import Reason
from gateway.journal import audit, retention, seals
from gateway.journal.copies import go_on_after, taken
from gateway.journal.opening import JournalError
from gateway.journal.pages import Pages, Value
from gateway.journal.schema import ALARMS, DECODE, FILE, REFUSED, SINK, connect, migrate
from gateway.journal.seals import Seal
from gateway.journal.transaction import Transaction, read_cursor

REPORT: Final = "salvage.json"
NAMED: Final = 1000  # ranges of missing rows the report lists of each table

Row = tuple[Value, ...]
_T = type[object] | None
# What a row of each table looks like on a page: the types of its values, None for NULL. The key is the row's id.
_KEY: Final[tuple[_T, ...]] = (None,)
_TEXT: Final[tuple[_T, ...]] = (str,)
_WHOLE: Final[tuple[_T, ...]] = (int,)
_BYTES: Final[tuple[_T, ...]] = (bytes,)
_SHAPES: Final[Mapping[str, tuple[tuple[_T, ...], ...]]] = {
    "raw": (_KEY, (int, None), _WHOLE, _TEXT, _TEXT, _WHOLE, _WHOLE, _WHOLE, _BYTES),
    "observation": (
        *(_KEY, _BYTES, _WHOLE, _TEXT, _TEXT, _TEXT, (str, None), _WHOLE),
        *((float, int, None), _BYTES),
    ),
    "seal": (_KEY, _WHOLE, _WHOLE, _WHOLE, _WHOLE, _WHOLE, _WHOLE, _BYTES, _BYTES, (bytes, None)),
    "audit": (_KEY, _WHOLE, _TEXT, _BYTES),
    "quarantine": (_KEY, _WHOLE, _TEXT, _TEXT, _TEXT, _WHOLE, (int, None)),
    "cursor": (_TEXT, _WHOLE, _TEXT),
}
GREAT: Final = frozenset({"raw", "observation"})  # read from pages always; the others where SQLite cannot
SMALL: Final = ("seal", "audit", "quarantine", "cursor", "taken", "refused")
BATCH: Final = 1000


def salvage(damaged: Path, target: Path, key: Path | None = None) -> dict[str, Any]:
    """Read what is left of the journal in the folder `damaged` into a new one in the folder `target`.

    Returns the report, which is also written to `target/salvage.json`. Errors: JournalError, OSError, SealKeyError
    (a key that is named but cannot be read; without any key nothing is compared, and the report says so).
    """
    source = damaged / FILE if damaged.is_dir() else damaged
    if not source.exists():
        raise JournalError(f"there is no journal at {source}.")
    if (target / FILE).exists():
        raise JournalError(f"{target / FILE} is already there. Name a new folder; nothing was changed.")
    at = key or source.parent / seals.KEY
    secret = seals.read_key(at) if key or at.exists() else None
    with taken(target):
        with closing(connect(target / FILE)) as db:
            (target / FILE).chmod(0o600)
            migrate(db)
            db.execute("BEGIN IMMEDIATE")
            unread = _read(source, db)
            report = {"from": str(source), "tables_read_from_pages": unread, **_judge(db, secret)}
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        seals.key(target, make=True)
        (target / REPORT).write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return report


# ---- reading


def _read(source: Path, db: sqlite3.Connection) -> list[str]:
    """Everything that can be read, into `db`; the small tables that SQLite could not read to their end."""
    unread = []
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old:
        for small in SMALL:
            try:
                for row in old.execute(f"SELECT * FROM {small}"):  # noqa: S608 - constants
                    _insert(db, small, [row])
            except sqlite3.Error:
                unread.append(small)
    pages = Pages(source)
    waiting: dict[str, list[Row]] = {table: [] for table in _SHAPES}
    try:
        for rowid, values in pages.rows():
            table = _table_of(values)
            if table is None or not (table in GREAT or table in unread):
                continue
            waiting[table].append(tuple(values) if table == "cursor" else (rowid, *values[1:]))
            if len(waiting[table]) == BATCH:
                _insert(db, table, waiting[table])
                waiting[table].clear()
        for name, rows in waiting.items():
            _insert(db, name, rows)
    finally:
        pages.close()
    return unread


def _insert(db: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    """The first of a row that comes twice stays."""
    if rows:
        marks = ",".join("?" * len(rows[0]))
        db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)  # noqa: S608 - constants


def _table_of(values: Sequence[Value]) -> str | None:
    for table, shape in _SHAPES.items():
        if len(values) == len(shape) and all(
            any(value is None if kind is None else type(value) is kind for kind in kinds)
            for value, kinds in zip(values, shape, strict=True)
        ):
            return table
    return None


# ---- judging


def _judge(db: sqlite3.Connection, secret: bytes | None) -> dict[str, Any]:
    """Take out what is not certain, and say what was found."""
    transaction = Transaction(db)
    _drop_removed(db)
    report: dict[str, Any] = {"compared_with_seals": secret is not None}
    found = seals.check(db, secret) if secret else seals.Findings()
    last = seals.last(db)
    passed: dict[str, Any] = {}  # where rows go on after those that are missing
    for table, name in (("raw", "raw"), ("observation", "seq")):
        (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - constants
        altered, gaps = found.altered[table], list(_gaps(db, table, last))
        report[table] = {"found": count, "altered": _ranges(altered), "missing": [_range(*gap) for gap in gaps[:NAMED]]}
        passed[f"{name}_gaps"] = [end + 1 for _, end in gaps]
        report[table]["not_compared"] = count - len(altered) - found.good[table]
        report[table] |= {"altered_count": len(altered), "missing_count": sum(b - a + 1 for a, b in gaps)}
    for place in found.altered["raw"]:
        (device,) = db.execute("SELECT device FROM raw WHERE id=?", (place,)).fetchone()
        db.execute("UPDATE raw SET state=? WHERE id=?", (REFUSED, place))
        transaction.quarantine(place, device, Reason.DAMAGED, "not as it was sealed: what it says is not certain")
    db.executemany("DELETE FROM observation WHERE seq=?", [(place,) for place in found.altered["observation"]])
    if found.altered["observation"] or report["observation"]["missing_count"] or secret is None:
        # Every message is read again: what is there stays, what was lost is made anew of its raw bytes.
        transaction.advance(DECODE, 0, {"broken": [], "begun": []})
        report["decoding"] = "starts over: lost observations are made again of their raw bytes"
    entries, broken = audit.broken(db)
    report["audit"] = {"found": entries, "whole": broken is None}
    if broken is not None:  # it begins anew; what is left of the old one stands in the report
        report["audit"]["entries"] = [body for (body,) in db.execute("SELECT body FROM audit ORDER BY n")]
        db.execute("DELETE FROM audit")
    db.execute("DELETE FROM seal")  # a new chain, with a key of its own
    report["former_head"] = last.head if last else ""
    places = (last.raw_last, last.seq_last) if last else (0, 0)
    go_on_after(transaction, "salvaged", *places, head=report["former_head"], **passed)
    return report


def _drop_removed(db: sqlite3.Connection) -> None:
    """What retention had removed may still stand in pages given back to the file."""
    at = read_cursor(db, retention.CURSOR)
    if at is None:
        return
    waiting = "SELECT raw FROM quarantine WHERE resolved IS NULL"
    db.execute(f"DELETE FROM raw WHERE id <= ? AND coalesce(message, id) NOT IN ({waiting})", (at.seq,))  # noqa: S608
    passed = []
    for (name,) in db.execute("SELECT name FROM cursor").fetchall():
        reader = read_cursor(db, name)
        if reader and (name == ALARMS or name.startswith(SINK)):
            passed.append(min(reader.seq, int(reader.state.get("floor", reader.seq))))
    db.execute("DELETE FROM observation WHERE raw <= ? AND seq <= ?", (at.seq, min(passed, default=seals.MAX)))


def _gaps(db: sqlite3.Connection, table: str, seal: Seal | None) -> Iterator[tuple[int, int]]:
    """Positions that were used and are not there, first and last of each run. Positions are counted without a gap
    but where a restore or salvage said so, so a missing one is a lost row whether or not a seal still tells of it."""
    place, name = ("id", "raw") if table == "raw" else ("seq", "seq")
    told = [orjson.loads(body) for (body,) in db.execute('SELECT body FROM audit WHERE body LIKE \'%"action":"re%\'')]
    told += [orjson.loads(body) for (body,) in db.execute('SELECT body FROM audit WHERE body LIKE \'%"action":"sal%\'')]
    jumps = {
        place for one in told for place in (one.get(name), *one.get(f"{name}_gaps", ())) if one["action"] != "retention"
    }
    at = read_cursor(db, retention.CURSOR)
    expected = 1 + max((one[name] for one in told if one["action"] == "retention"), default=0) if at else 1
    if table == "raw" and at:
        expected = at.seq + 1
    for (found,) in db.execute(f"SELECT {place} FROM {table} ORDER BY {place}"):  # noqa: S608 - constants
        if found > expected and found not in jumps:
            yield expected, found - 1
        expected = max(expected, found + 1)
    last = (seal.raw_last if table == "raw" else seal.seq_last) if seal else 0
    readers = "name=?" if table == "raw" else "name<>? AND name<>'retention'"
    (read,) = db.execute(f"SELECT coalesce(max(seq), 0) FROM cursor WHERE {readers}", (DECODE,)).fetchone()  # noqa: S608
    last = max(last, read)
    if last >= expected:
        yield expected, last


def _ranges(places: Sequence[int]) -> list[str]:
    """ "7", "9-12": the first thousand."""
    told: list[tuple[int, int]] = []
    for place in sorted(places):
        if told and place == told[-1][1] + 1:
            told[-1] = (told[-1][0], place)
        else:
            told.append((place, place))
    return [_range(*one) for one in told[:NAMED]]


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
