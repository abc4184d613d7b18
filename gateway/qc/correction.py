"""One more observation in place of another: with a uid of its own, and the seq it stands for."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.identity import UID_BYTES
from gateway.journal.transaction import Row
from gateway.observation import CORRECTS
from gateway.qc.result import written

COLUMNS: Final = "uid, raw, device, kind, quantity, specimen, time, number, body"  # of observation, as Row takes them


def correction(row: Row, body: Mapping[str, Any], seq: int, status: str, attributes: Mapping[str, Any]) -> Row:
    """What stands for the observation `seq`, with this status and these attributes."""
    uid = hashlib.sha256(b"quality control" + row.uid + orjson.dumps(attributes)).digest()[:UID_BYTES]
    told = {**body, "uid": uid.hex(), "status": status, "attributes": {**attributes, CORRECTS: seq}}
    return row._replace(uid=uid, body=orjson.dumps(told))


def released(row: Row, body: Mapping[str, Any], seq: int, by: str, why: str) -> Row:
    """A held result with the status it had as the instrument sent it. Errors: KeyError (it is not held)."""
    attributes = dict(body["attributes"])
    held = attributes.pop("hold")
    status = attributes.pop("status_as_read", body["status"])
    return correction(row, body, seq, status, {**attributes, "released": said(by, why, hold=held)})


def standing_of(db: sqlite3.Connection, uid: bytes) -> tuple[int, Row] | None:
    """What stands today for the observation with this uid: its seq and row; None where it is not stored."""
    found = db.execute("SELECT seq, raw FROM observation WHERE uid=?", (uid,)).fetchone()
    if found is None:
        return None
    seq, raw = found
    later = db.execute("SELECT seq, body FROM observation WHERE raw=? AND seq>? ORDER BY seq", (raw, seq))
    for correcting, body in later.fetchall():
        if orjson.loads(body)["attributes"].get(CORRECTS) == seq:
            seq = correcting
    return seq, Row(*db.execute(f"SELECT {COLUMNS} FROM observation WHERE seq=?", (seq,)).fetchone())  # noqa: S608


def said(by: str, why: str, **more: Any) -> dict[str, Any]:
    """Who, why and when: now."""
    return {"by": by, "why": why, "at": written(time.time_ns() // 1000), **more}
