"""The audit chain: what was done, by whom, in an order that cannot be edited without notice.

Each row's hash is SHA-256(former hash, body), the first one's former hash being 32 zero bytes. This shows
edits, insertions and deletions inside the chain. It does not show a cut tail: compare the head kept elsewhere.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Any

import orjson

START = bytes(32)


def canonical(body: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: UTF-8 JSON, keys sorted, no spaces."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def append(db: sqlite3.Connection, at: int, body: Mapping[str, Any]) -> None:
    """Add one entry, inside the transaction of the change it speaks of."""
    row = db.execute("SELECT hash FROM audit ORDER BY n DESC LIMIT 1").fetchone()
    text = canonical({**body, "at": at})
    digest = hashlib.sha256((row[0] if row else START) + text).digest()
    db.execute("INSERT INTO audit (at, body, hash) VALUES (?, ?, ?)", (at, text.decode(), digest))


def broken(db: sqlite3.Connection) -> tuple[int, int | None]:
    """How many entries the chain has, and the number of the first that does not fit (None: it is whole)."""
    former, count = START, 0
    for n, body, digest in db.execute("SELECT n, body, hash FROM audit ORDER BY n"):
        count += 1
        if hashlib.sha256(former + body.encode()).digest() != digest:
            return count, n
        former = digest
    return count, None
