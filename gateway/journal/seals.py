"""Seals: a keyed hash chain over everything the journal holds, so that what is altered or missing is found and named.

SQLite notices a page that is no page; it does not notice a changed letter in a row, or a row that is not there. So
every row gets a keyed hash of eight bytes, a seal covers a run of rows' hashes, and each seal covers the one before
it (BLAKE2b with a key, RFC 7693 2.9). The key stands beside the journal in `seal.key`: whoever may write both can
forge, so a seal's head noted elsewhere (the log has one at every start and stop) is what shows a journal that was
rebuilt or whose end was cut off. Rows of the last second or so are not sealed yet.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from gateway.journal.transaction import COLUMNS

KEY: Final = "seal.key"
ROWS: Final = 2000  # raw rows, and observations, one seal covers at most
LEAF: Final = 8  # bytes of a row's own hash
NAMED: Final = 20  # problems named one by one
START: Final = bytes(32)
MAX: Final = (1 << 63) - 1

_OBSERVED: Final = "seq, uid, raw, device, kind, quantity, specimen, time, number, body"
_READ: Final = {
    "raw": f"SELECT {COLUMNS} FROM raw WHERE id BETWEEN ? AND ? ORDER BY id",  # noqa: S608 - constants
    "observation": f"SELECT {_OBSERVED} FROM observation WHERE seq BETWEEN ? AND ? ORDER BY seq",  # noqa: S608
}


class SealKeyError(Exception):
    """The key cannot be read; the message names the file."""


def key(data_dir: Path, *, make: bool = False) -> bytes:
    """The key of a journal's folder; `make`: a new one where there is none. Errors: SealKeyError."""
    path = data_dir / KEY
    if make and not path.exists():
        try:
            put_key(data_dir, os.urandom(32))
        except OSError as error:
            raise SealKeyError(f"{path}: {error}. Check the folder's owner and the disk.") from error
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key that seals are made with, 32 bytes, from a file of 64 hexadecimal digits. Errors: SealKeyError."""
    try:
        found = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise SealKeyError(f"{path}: {error}. Without the key that sealed a journal it cannot be checked.") from None
    if len(found) != 32:
        raise SealKeyError(
            f"{path} holds no key of 32 bytes. Without the key that sealed a journal it cannot be checked."
        )
    return found


def put_key(data_dir: Path, secret: bytes) -> None:
    """Write a journal's key, for its owner only; on the disk when this returns. Errors: OSError."""
    path = data_dir / KEY
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secret.hex().encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Seal(NamedTuple):
    """One seal, in the order of the table's columns. An empty run's first is its last + 1."""

    n: int
    at: int  # unix nanoseconds
    raw_first: int
    raw_last: int
    seq_first: int
    seq_last: int
    audit: int  # last entry of the audit chain that is covered
    root: bytes  # hash of the leaves
    mac: bytes  # over the former mac, all of the above and the audit chain's head
    leaves: bytes | None  # a hash a row; dropped when retention has removed the rows

    @property
    def head(self) -> str:
        """What to note elsewhere: number and hash."""
        return f"{self.n}:{self.mac.hex()[:32]}"


def raw_leaf(secret: bytes, row: Sequence[Any]) -> bytes:
    """The keyed hash of one raw row (columns as in `transaction.COLUMNS`)."""
    row_id, message, state, device, channel, received, packet, codec, data = row
    head = f"{row_id}|{message}|{state}|{received}|{packet}|{codec}|{len(device)}|{device}|{len(channel)}|{channel}|"
    return hashlib.blake2b(head.encode("utf-8", "surrogatepass") + data, digest_size=LEAF, key=secret).digest()


def observation_leaf(secret: bytes, row: Sequence[Any]) -> bytes:
    """The keyed hash of one observation (all columns)."""
    seq, uid, raw, device, kind, quantity, specimen, at, number, body = row
    head = f"{seq}|{raw}|{at}|{number!r}|{device!r}|{kind!r}|{quantity!r}|{specimen!r}|{len(uid)}|"
    return hashlib.blake2b(head.encode() + uid + body, digest_size=LEAF, key=secret).digest()


_LEAF: Final[dict[str, Callable[[bytes, Sequence[Any]], bytes]]] = {"raw": raw_leaf, "observation": observation_leaf}


def last(db: sqlite3.Connection) -> Seal | None:
    row = db.execute("SELECT * FROM seal ORDER BY n DESC LIMIT 1").fetchone()
    return Seal(*row) if row else None


def sealed(db: sqlite3.Connection) -> tuple[int, int]:
    """(raw id, seq) up to which everything is sealed; (0, 0) before the first seal."""
    seal = last(db)
    return (seal.raw_last, seal.seq_last) if seal else (0, 0)


def following(db: sqlite3.Connection, secret: bytes) -> Seal | None:
    """The seal over what comes after the last one, at most ROWS of either; None where nothing does."""
    former = last(db)
    raws, raw_first, raw_last = _run(db, "raw", former.raw_last if former else 0)
    observed, seq_first, seq_last = _run(db, "observation", former.seq_last if former else 0)
    entry = db.execute("SELECT n, hash FROM audit ORDER BY n DESC LIMIT 1").fetchone() or (0, START)
    if not raws and not observed and (former.audit if former else 0) == entry[0]:
        return None
    leaves = b"".join([raw_leaf(secret, row) for row in raws] + [observation_leaf(secret, row) for row in observed])
    places = (former.n + 1 if former else 1, time.time_ns(), raw_first, raw_last, seq_first, seq_last, entry[0])
    root = _root(secret, leaves)
    return Seal(*places, root, _mac(secret, former.mac if former else START, places, root, entry[1]), leaves)


def _run(db: sqlite3.Connection, table: str, done: int) -> tuple[list[tuple[Any, ...]], int, int]:
    """Rows after `done` up to the first gap, and the first's and last's place. A gap stands between two seals."""
    rows: list[tuple[Any, ...]] = []
    for row in db.execute(f"{_READ[table]} LIMIT ?", (done + 1, MAX, ROWS)):
        if rows and row[0] != rows[-1][0] + 1:
            break
        rows.append(row)
    return rows, rows[0][0] if rows else done + 1, rows[-1][0] if rows else done


def _root(secret: bytes, leaves: bytes) -> bytes:
    return hashlib.blake2b(leaves, digest_size=32, key=secret).digest()


def _mac(secret: bytes, former: bytes, places: Sequence[int], root: bytes, audit: bytes) -> bytes:
    text = former + ",".join(map(str, places)).encode() + root + audit
    return hashlib.blake2b(text, digest_size=32, key=secret).digest()


def store(db: sqlite3.Connection, seal: Seal) -> None:
    """Add a seal; nothing happens where another came first."""
    db.execute("INSERT OR IGNORE INTO seal VALUES (?,?,?,?,?,?,?,?,?,?)", seal)


def drop(db: sqlite3.Connection, raw: int, limit: int) -> None:
    """Forget the leaves of at most `limit` seals whose every row has been removed (all below raw row `raw`)."""
    db.execute(
        "UPDATE seal SET leaves=NULL WHERE n IN (SELECT n FROM seal s WHERE leaves IS NOT NULL AND raw_last < ?"
        " AND NOT EXISTS (SELECT 1 FROM raw WHERE id BETWEEN s.raw_first AND s.raw_last)"
        " AND NOT EXISTS (SELECT 1 FROM observation WHERE seq BETWEEN s.seq_first AND s.seq_last)"
        " ORDER BY n LIMIT ?)",
        (raw, limit),
    )


@dataclass(slots=True)
class Findings:
    """What `check` found."""

    seals: int = 0
    head: str = ""
    good: dict[str, int] = field(default_factory=lambda: {"raw": 0, "observation": 0})  # as they were sealed
    removed: int = 0  # sealed and since removed by retention, which said so
    unsealed: int = 0  # rows after the last seal
    problems: list[str] = field(default_factory=list)
    more: int = 0  # problems not named
    altered: dict[str, list[int]] = field(default_factory=lambda: {"raw": [], "observation": []})

    @property
    def rows(self) -> int:
        """How many rows are as they were sealed."""
        return sum(self.good.values())

    def problem(self, text: str) -> None:
        if len(self.problems) < NAMED:
            self.problems.append(text)
        else:
            self.more += 1


def check(db: sqlite3.Connection, secret: bytes, head: str = "") -> Findings:
    """Everything sealed against what is there. `head`: a head noted elsewhere, which must be one of the chain's."""
    found = Findings()
    former: Seal | None = None
    known = not head
    for n in [row[0] for row in db.execute("SELECT n FROM seal ORDER BY n")]:
        seal = Seal(*db.execute("SELECT * FROM seal WHERE n=?", (n,)).fetchone())
        if _check_chain(db, secret, former, seal, found) and seal.leaves is not None:
            raws = seal.raw_last - seal.raw_first + 1
            _check_rows(db, secret, seal, "raw", seal.leaves[: raws * LEAF], found)
            _check_rows(db, secret, seal, "observation", seal.leaves[raws * LEAF :], found)
        known = known or seal.head == head
        former = seal
        found.seals += 1
    if former:
        found.head = former.head
    if not known:
        found.problem(f"the head {head} is not in the chain: the journal's end was cut off, or it was made anew")
    raw, seq = (former.raw_last, former.seq_last) if former else (0, 0)
    (found.unsealed,) = db.execute(
        "SELECT (SELECT count(*) FROM raw WHERE id > ?) + (SELECT count(*) FROM observation WHERE seq > ?)", (raw, seq)
    ).fetchone()
    return found


def _check_chain(db: sqlite3.Connection, secret: bytes, former: Seal | None, seal: Seal, found: Findings) -> bool:
    """Whether the seal's own leaves can be believed."""
    if former and seal.n != former.n + 1:
        found.problem(f"seals {former.n + 1} to {seal.n - 1} are missing")
    entry = db.execute("SELECT hash FROM audit WHERE n=?", (seal.audit,)).fetchone()
    if entry is None and seal.audit:
        found.problem(f"entry {seal.audit} of the audit chain is missing")
    mac = _mac(secret, former.mac if former else START, seal[:7], seal.root, entry[0] if entry else START)
    leaves = seal.leaves is None or _root(secret, seal.leaves) == seal.root
    if mac != seal.mac or not leaves:
        found.problem(f"seal {seal.n} is not as it was made (or the key is another)")
    if former is None:
        return leaves
    for name, before, first in (("raw", former.raw_last, seal.raw_first), ("seq", former.seq_last, seal.seq_first)):
        if first != before + 1 and not _announced(db, ("restored", "salvaged"), name, first):
            found.problem(f"{name} {before + 1} to {first - 1} never got a seal and are missing")
    return leaves


def _check_rows(db: sqlite3.Connection, secret: bytes, seal: Seal, table: str, leaves: bytes, found: Findings) -> None:
    first, end = (seal.raw_first, seal.raw_last) if table == "raw" else (seal.seq_first, seal.seq_last)
    if end < first or len(leaves) != (end - first + 1) * LEAF:
        return  # empty, or its places are not as they were sealed, which has been said
    word = "raw" if table == "raw" else "seq"
    there = {row[0]: row for row in db.execute(_READ[table], (first, end))}
    gone = []
    for place in range(first, end + 1):
        row = there.get(place)
        if row is None:
            gone.append(place)
        elif _LEAF[table](secret, row) != leaves[(place - first) * LEAF :][:LEAF]:
            found.altered[table].append(place)
            found.problem(f"{word} {place} has been altered since it was sealed")
        else:
            found.good[table] += 1
    if gone:
        upto = _removed(db, word)
        for place in gone:
            if place <= upto:
                found.removed += 1
            else:
                found.problem(f"{word} {place} is missing")


def _removed(db: sqlite3.Connection, name: str) -> int:
    """Up to where retention has said it removes rows."""
    row = db.execute(
        """SELECT body FROM audit WHERE body LIKE '%"action":"retention"%' ORDER BY n DESC LIMIT 1"""
    ).fetchone()
    return int(orjson.loads(row[0])[name]) if row else 0


def _announced(db: sqlite3.Connection, actions: Sequence[str], name: str, place: int) -> bool:
    """Whether the audit chain says that counting went on at `place`, or rows do after some that were lost."""
    for action in actions:
        for (body,) in db.execute("SELECT body FROM audit WHERE body LIKE ?", (f'%"action":"{action}"%',)):
            told = orjson.loads(body)
            if told.get(name) == place or place in told.get(f"{name}_gaps", ()):
                return True
    return False
