"""A journal that already holds years: rows as the daemon writes them, with seals and places, made fast."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from gateway.journal import seals
from gateway.journal.schema import ALARMS, DECODE, FILE, LAST, SINK, connect, migrate
from gateway.journal.transaction import Transaction

STEP: Final = 100_000  # rows a transaction


def fill(data_dir: Path, count: int, devices: list[str], until: float, rate: float, sinks: tuple[str, ...]) -> None:
    """`count` readings of `devices` in turn, `rate` a second, the last at `until` (unix seconds); all decoded, sealed,
    and delivered to `sinks`."""
    data_dir.mkdir(parents=True, mode=0o700)
    secret = seals.key(data_dir, make=True)
    with closing(connect(data_dir / FILE)) as db:
        migrate(db)
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA cache_size=-1000000")
        # One sort at the end instead of a page here and there for every row.
        indexes = db.execute("SELECT name, sql FROM sqlite_master WHERE type='index' AND sql IS NOT NULL").fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        for first in range(1, count + 1, STEP):
            numbers = range(first, min(first + STEP, count + 1))
            db.execute("BEGIN")
            db.executemany("INSERT INTO raw VALUES (?,NULL,?,?,?,?,?,0,?)", _raws(numbers, devices, count, until, rate))
            db.executemany(
                "INSERT INTO observation VALUES (?,?,?,?,'reading','temperature',NULL,?,-80.1,?)",
                _observations(numbers, devices, count, until, rate),
            )
            db.execute("COMMIT")
        for _, sql in indexes:
            db.execute(sql)
        db.execute("BEGIN")
        places = Transaction(db)
        places.advance(DECODE, count, {"broken": [], "begun": []})
        for reader in (ALARMS, *(f"{SINK}{sink}" for sink in sinks)):
            places.advance(reader, count)
        while seal := seals.following(db, secret):
            seals.store(db, seal)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _raws(numbers: range, devices: list[str], count: int, until: float, rate: float) -> Iterator[tuple[Any, ...]]:
    for n in numbers:
        device = devices[n % len(devices)]
        at = int((until - (count - n) / rate) * 1e9)
        yield n, LAST, device, f"lab/{device}", at, n % 65_535 + 1, b'{"temp": -80.1, "n": %d}' % n


def _observations(
    numbers: range, devices: list[str], count: int, until: float, rate: float
) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(numbers.start)
    for n in numbers:
        device = devices[n % len(devices)]
        at = int((until - (count - n) / rate) * 1e6)
        yield n, chance.randbytes(16), n, device, at, _BODY % (device.encode(), n, n)


_BODY: Final = (
    b'{"uid":"00000000-0000-0000-0000-000000000000","site":"test","device":"%s","kind":"reading",'
    b'"quantity":"temperature","value":-80.1,"value_text":"-80.1","unit":"Cel","time":"2026-01-15T09:28:30.000000Z",'
    b'"received":"2026-01-15T09:28:30.000000Z","quality":"good","attributes":{"n":%d},"raw":%d}'
)
