"""The journal's raw bytes read again with today's drivers and configuration: what would be stored otherwise.

What the instrument sent is never altered, and neither is what was made of it: a correction is one more observation,
with status `corrected` and `attributes.corrects` naming the `seq` it stands for.
"""

from __future__ import annotations

import fnmatch
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from drivers.kit.observation import Quality, Status
from gateway.config import Config
from gateway.decode import Failure, Reading, read
from gateway.identity import UID_BYTES
from gateway.journal.schema import DECODE, FILE, REFUSED, connect
from gateway.journal.transaction import Row, Transaction, read_cursor, read_message
from gateway.observation import CORRECTS
from gateway.qc.result import carried, unmarked
from gateway.readings import readings
from gateway.reports import open_journal

GONE: Final = "no longer read from these bytes"
# Not compared: where and when it was kept, and what only a correction has.
ASIDE: Final = frozenset({"uid", "seq", "raw", "received"})
MEASURED: Final = ("clock_offset_s",)  # attributes that depend on the messages before


class Change(StrEnum):
    CHANGED = "changed"  # another value, unit, call, ...
    NEW = "new"  # was not read from these bytes before
    GONE = "gone"  # was read from these bytes and is no longer
    FAILED = "failed"  # the whole message can no longer be read: nothing is corrected for that


@dataclass(frozen=True, slots=True)
class Difference:
    """One observation that would be otherwise."""

    change: Change
    raw: int
    device: str
    seq: int | None = None  # of the stored observation that stands today
    stored: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)
    row: Row | None = None  # what would be stored
    detail: str = ""

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Field -> stored and read, where they differ; attributes by name."""
        before, after = _comparable(self.stored), _comparable(self.read)
        names = sorted(before.keys() | after.keys())
        return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for people and programs."""
        told = {"change": str(self.change), "raw": self.raw, "device": self.device, "seq": self.seq}
        one = self.stored or self.read
        told |= {name: one.get(name) for name in ("quantity", "specimen", "time")}
        if self.change is Change.CHANGED:
            told["fields"] = {name: list(pair) for name, pair in self.fields.items()}
        if self.detail:
            told["detail"] = self.detail
        return told

    @property
    def line(self) -> str:
        """One line for people."""
        one = self.stored or self.read
        what = " ".join(str(one[name]) for name in ("quantity", "specimen", "time") if one.get(name))
        told = f"{self.change:<8} {self.device} raw {self.raw}" + (f" seq {self.seq}" if self.seq else "")
        told += f"  {what}" if what else ""
        if self.change is Change.CHANGED:
            told += ": " + ", ".join(f"{name} {_short(a)} -> {_short(b)}" for name, (a, b) in self.fields.items())
        elif self.change is Change.NEW:
            told += f": {_short(self.read.get('value'))} {self.read.get('unit') or ''}".rstrip()
        return told + (f": {self.detail}" if self.detail else "")


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _comparable(body: Mapping[str, Any]) -> dict[str, Any]:
    if not body:
        return {}
    body = unmarked(body)
    told = {name: value for name, value in body.items() if name not in ASIDE and name != "attributes"}
    attributes = dict(body.get("attributes", {}))
    if CORRECTS in attributes:
        told["status"] = attributes.pop("status_as_read", told["status"])
        attributes.pop(CORRECTS)
    for name in MEASURED:
        attributes.pop(name, None)
    return {**told, **{f"attributes.{name}": value for name, value in attributes.items()}}


def differences(
    db: sqlite3.Connection, known: Mapping[str, Reading], device: str | None = None, since: int = 0
) -> Iterator[Difference]:
    """What would be stored otherwise, message by message. `device` is a glob, `since` unix microseconds of arrival.

    Messages that are not decoded yet, and devices that are not configured any more, are left out.
    """
    cursor = read_cursor(db, DECODE)
    begins = db.execute(
        "SELECT id, device FROM raw WHERE message IS NULL AND state<>? AND received>=? AND id<=? ORDER BY id",
        (REFUSED, since * 1000, cursor.seq if cursor else 0),
    )
    for raw, name in begins.fetchall():
        reading = known.get(name)
        if reading is not None and fnmatch.fnmatch(name, device or "*"):
            yield from _of_message(db, raw, reading)


def _of_message(db: sqlite3.Connection, raw: int, reading: Reading) -> Iterator[Difference]:
    message = read_message(db, raw)
    if message is None:
        return
    stands = _standing(db, raw)
    outcome = read(message, reading)
    if isinstance(outcome, Failure):
        if stands:
            yield Difference(Change.FAILED, raw, message.device, detail=f"{outcome.reason}: {outcome.detail}")
        return
    rows = [row for row in outcome if not _elsewhere(db, row, raw)]
    for seq, uid, body, row in _paired(stands, rows):
        read_now = orjson.loads(row.body) if row else {}
        if row is None:
            if seq is not None and body.get("status") != Status.CANCELLED:
                yield Difference(
                    Change.GONE, raw, message.device, seq, body, detail=GONE, row=_cancelled(uid, body, seq)
                )
        elif seq is None:
            yield Difference(Change.NEW, raw, message.device, read=read_now, row=row)
        else:
            found = Difference(
                Change.CHANGED, raw, message.device, seq, body, read_now, _correction(uid, row, seq, body)
            )
            if found.fields:
                yield found


Standing = tuple[int, bytes, dict[str, Any]]  # seq, uid of what was first stored, body


def _standing(db: sqlite3.Connection, raw: int) -> list[Standing]:
    """What stands of a message today: each observation, or the last correction of it."""
    stored = {
        seq: (uid, orjson.loads(body))
        for seq, uid, body in db.execute("SELECT seq, uid, body FROM observation WHERE raw=? ORDER BY seq", (raw,))
    }
    first = {seq: uid for seq, (uid, _) in stored.items()}
    corrected = set()
    for seq, (_, body) in stored.items():
        before = body["attributes"].get(CORRECTS)
        if before in first:
            first[seq] = first[before]
            corrected.add(before)
    return [(seq, first[seq], body) for seq, (_, body) in stored.items() if seq not in corrected]


def _elsewhere(db: sqlite3.Connection, row: Row, raw: int) -> bool:
    """True where the same result came in another message: it stands there."""
    found = db.execute("SELECT raw FROM observation WHERE uid=?", (row.uid,)).fetchone()
    return found is not None and found[0] != raw


def _paired(stands: list[Standing], rows: list[Row]) -> Iterator[tuple[int | None, bytes, dict[str, Any], Row | None]]:
    """Stored beside read: by uid first, then by what they are of, then alone."""
    left = list(rows)
    open_: list[Standing] = []
    for seq, uid, body in stands:
        same = next((row for row in left if row.uid == uid), None)
        if same is None:
            open_.append((seq, uid, body))
            continue
        left.remove(same)
        yield seq, uid, body, same
    for seq, uid, body in open_:
        named = (body["quantity"], body["specimen"])
        like = next((row for row in left if (row.quantity, row.specimen) == named), None)
        if like is not None:
            left.remove(like)
        yield seq, uid, body, like
    for row in left:
        yield None, row.uid, {}, row


def _correction(uid: bytes, row: Row, corrects: int, stored: Mapping[str, Any]) -> Row:
    body = orjson.loads(row.body)
    attributes = {**body["attributes"], CORRECTS: corrects, "status_as_read": body["status"]}
    told = carried(stored, {**body, "status": Status.CORRECTED, "attributes": attributes})
    return _stored(uid, row._replace(kind=str(told["kind"])), told)


def _cancelled(uid: bytes, body: Mapping[str, Any], corrects: int) -> Row:
    attributes = {**body["attributes"], CORRECTS: corrects, "quality_reason": GONE}
    empty = {"value": None, "interpretation": None, "comparator": None}
    told = {**body, **empty, "status": Status.CANCELLED, "quality": Quality.BAD, "attributes": attributes}
    told.pop("seq", None)
    row = Row(uid, told["raw"], told["device"], told["kind"], told["quantity"], told["specimen"], 0, None, b"")
    return _stored(uid, row, told)


def _stored(uid: bytes, row: Row, body: Mapping[str, Any]) -> Row:
    """Its own uid, made of the corrected one's and of what it says: applied twice it is one entry."""
    said = orjson.dumps({k: v for k, v in body.items() if k not in ASIDE}, option=orjson.OPT_SORT_KEYS)
    own = hashlib.sha256(b"correction" + uid + said).digest()[:UID_BYTES]
    return row._replace(uid=own, body=orjson.dumps({**body, "uid": own.hex()}))


def apply(transaction: Transaction, found: Iterable[Difference]) -> int:
    """Store the corrections; how many were new. Failed messages are left as they are."""
    stored = 0
    for one in found:
        if one.row is None:
            continue
        row = one.row
        if one.change is Change.GONE:
            (at,) = transaction.db.execute("SELECT time FROM observation WHERE seq=?", (one.seq,)).fetchone()
            row = row._replace(time=at)
        new = transaction.observe([row])
        stored += new
        if new:
            transaction.audit("observation.corrected", change=str(one.change), corrects=one.seq, raw=one.raw)
    return stored


def reread(config: Config, device: str | None, since: int, *, store: bool) -> tuple[list[Difference], int]:
    """The `replay --diff` command: what would be otherwise, and how many corrections were stored."""
    with open_journal(config) as db:
        found = list(differences(db, readings(config), device, since))
    if not store:
        return found, 0
    with closing(connect(config.gateway.data_dir / FILE)) as db:
        db.execute("BEGIN IMMEDIATE")
        # Between looking and storing the daemon may have gone on, so it is looked again under the lock.
        found = list(differences(db, readings(config), device, since))
        stored = apply(Transaction(db), found)
        db.execute("COMMIT")
    return found, stored
