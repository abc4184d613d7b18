"""What a report reads from the journal, in pieces: no long read, no whole period in memory."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from drivers.kit.observation import Status
from gateway.equipment.asked import Period, at
from gateway.equipment.report import Transition
from gateway.equipment.walk import Sample
from gateway.journal.seals import Seal

CHUNK: Final = 2000  # rows at a time
MANY: Final = 20_000  # times at a time
MOST: Final = 1000  # transitions that are listed
ACTIONS: Final = ("alarm", "maintenance", "suppression")  # of the audit chain: begin so
DIGITS: Final = 3  # to which the time from sample to sample is counted

_HERE: Final = "device = ? AND quantity = ? AND seq <= ?"


@dataclass(slots=True)
class Series:
    """One quantity of one device, up to the last position when the report was begun."""

    db: sqlite3.Connection
    device: str
    quantity: str
    head: int
    unit: str = ""
    rows: int = 0
    first: int | None = None
    last: int | None = None

    @classmethod
    def open(cls, db: sqlite3.Connection, device: str, quantity: str) -> Series:
        (head,) = db.execute("SELECT coalesce(max(seq), 0) FROM observation").fetchone()
        return cls(db, device, quantity, head)

    @property
    def _key(self) -> tuple[str, str, int]:
        return self.device, self.quantity, self.head

    def more_than(self, most: int, period: Period) -> bool:
        query = f"SELECT 1 FROM observation WHERE {_HERE} AND time >= ? AND time < ? LIMIT 1 OFFSET ?"  # noqa: S608
        return self.db.execute(query, (*self._key, period.since, period.until, most)).fetchone() is not None

    def find_unit(self, until: int) -> None:
        """That of the last number before the end: other units before it are left out."""
        row = self.db.execute(
            f"SELECT body FROM observation WHERE {_HERE} AND time < ? AND number IS NOT NULL"  # noqa: S608 - constants
            " ORDER BY time DESC LIMIT 1",
            (*self._key, until),
        ).fetchone()
        self.unit = (orjson.loads(row[0])["unit"] or "") if row else ""

    def usual(self, period: Period) -> int | None:
        """Median of the microseconds from sample to sample; None: fewer than two moments. From the index alone."""
        counts: Counter[int] = Counter()
        query = f"SELECT time FROM observation WHERE {_HERE} AND time > ? AND time < ? ORDER BY time LIMIT {MANY}"  # noqa: S608
        before, place = None, period.since - 1
        while times := self.db.execute(query, (*self._key, place, period.until)).fetchall():
            for (time,) in times:
                if before is not None and time > before:
                    counts[_rounded(time - before)] += 1
                before = time
            place = times[-1][0]
        seen, middle = 0, (counts.total() + 1) // 2
        for apart, count in sorted(counts.items()):
            seen += count
            if seen >= middle:
                return apart
        return None

    def corrected(self) -> set[int]:
        """Positions that a later reading of the same bytes stands for (`replay --diff --apply`)."""
        query = (
            "SELECT o.seq FROM audit a JOIN observation o ON o.seq = json_extract(a.body, '$.corrects')"
            ' WHERE a.body LIKE \'%"action":"observation.corrected"%\''
            " AND o.device = ? AND o.quantity = ? AND o.seq <= ?"
        )
        return {seq for (seq,) in self.db.execute(query, self._key)}

    def samples(self, period: Period, corrected: set[int]) -> Iterator[Sample]:
        """In the order of time: the last before the period, those in it, the first after it."""
        for seq, time, number, body in self._rows(period):
            if seq in corrected:
                continue
            said = orjson.loads(body)
            if said["status"] == Status.CANCELLED:
                continue
            if period.since <= time < period.until:
                self.rows += 1
                self.first = min(self.first or seq, seq)
                self.last = max(self.last or seq, seq)
            reason = self._reason(said, number)
            late = 0
            if said["received"] != said["time"]:
                late = int(datetime.fromisoformat(said["received"]).timestamp() * 1e6) - time
            yield Sample(time, None if reason else number, reason, number, late)

    def _reason(self, said: dict[str, Any], number: float | None) -> str:
        """Why a sample is left out; "": it counts."""
        if number is None:
            return "not a number"
        if said["quality"] != "good":
            return f"quality {said['quality']}"
        if said["comparator"]:
            return f"only a limit is known ({said['comparator']})"
        if (said["unit"] or "") != self.unit:
            return "in another unit"
        return ""

    def _rows(self, period: Period) -> Iterator[tuple[int, int, float | None, bytes]]:
        before = self._one("time < ?", period.since, "DESC")
        yield from before
        place = (period.since, 0)
        query = (
            f"SELECT seq, time, number, body FROM observation WHERE {_HERE}"  # noqa: S608 - constants
            " AND (time, seq) > (?, ?) AND time < ? ORDER BY time, seq LIMIT ?"
        )
        while rows := self.db.execute(query, (*self._key, *place, period.until, CHUNK)).fetchall():
            yield from rows
            place = (rows[-1][1], rows[-1][0])
        yield from self._one("time >= ?", period.until, "ASC")

    def _one(self, where: str, time: int, order: str) -> list[tuple[int, int, float | None, bytes]]:
        query = (
            f"SELECT seq, time, number, body FROM observation WHERE {_HERE} AND {where}"  # noqa: S608 - constants
            f" ORDER BY time {order}, seq {order} LIMIT 1"
        )
        return self.db.execute(query, (*self._key, time)).fetchall()


@lru_cache(maxsize=4096)
def _rounded(apart: int) -> int:
    """To three digits, so that what is counted stays few."""
    over = max(0, len(str(apart)) - DIGITS)
    unit: int = 10**over
    return apart // unit * unit


def kept_from(db: sqlite3.Connection) -> int | None:
    """About when what is still there was measured (microseconds), where retention has removed what was before."""
    query = 'SELECT 1 FROM audit WHERE body LIKE \'%"action":"retention"%\' LIMIT 1'
    if db.execute(query).fetchone() is None:
        return None
    row = db.execute("SELECT time FROM observation ORDER BY seq LIMIT 1").fetchone()
    return int(row[0]) if row else None


def quantities(db: sqlite3.Connection, device: str) -> list[str]:
    """Those of a device, each found by one step in the index."""
    found: list[str] = []
    while len(found) < 50:
        name: str | None
        (name,) = db.execute(
            "SELECT min(quantity) FROM observation WHERE device = ? AND quantity > ?",
            (device, found[-1] if found else ""),
        ).fetchone()
        if name is None:
            break
        found.append(name)
    return found


def transitions(
    db: sqlite3.Connection, device: str, others: Iterable[str], period: Period
) -> tuple[list[Transition], int]:
    """What the audit chain says of a device's alarms and maintenance in the period: at most MOST, and how many.

    An alarm's name is ALARM.DEVICE.QUANTITY. `others`: configured devices, whose names may hold this one's.
    """
    longer = [one for one in others if one != device and f".{device}." in f".{one}."]
    found: list[Transition] = []
    count = 0
    where = " OR ".join(["body LIKE ?"] * len(ACTIONS))
    query = f"SELECT n, at, body FROM audit WHERE {where} ORDER BY n"  # noqa: S608 - marks only
    for n, nanoseconds, body in db.execute(query, [f'%"action":"{action}.%' for action in ACTIONS]):
        said = orjson.loads(body)
        alarm = str(said.get("alarm", ""))
        if not (said["device"] == device if "device" in said else _about(alarm, device, longer)):
            continue
        seconds = said.get("at_device")
        when = int(seconds * 1e6) if isinstance(seconds, int | float) else nanoseconds // 1000
        if period.since <= when < period.until:
            count += 1
            if len(found) < MOST:
                what = str(said.get("transition") or said["action"].replace(".", " "))
                by, why = (str(said.get(name) or "") for name in ("by", "why"))
                found.append(Transition(n, at(when), alarm, what, by, why))
    found.sort(key=lambda one: (one.at, one.entry))
    return found, count


def _about(alarm: str, device: str, longer: Iterable[str]) -> bool:
    after = f".{alarm}."[1:]  # a device's name stands behind the alarm's
    return f".{device}." in after and not any(f".{one}." in after for one in longer)


def covering(db: sqlite3.Connection, seq: int, audit: int, until: int) -> str:
    """The head of the first seal that was made after the period and covers all of it; "" while there is none."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'seal'").fetchone():
        return ""
    row = db.execute(
        "SELECT * FROM seal WHERE seq_last >= ? AND audit >= ? AND at >= ? ORDER BY n LIMIT 1",
        (seq, audit, until * 1000),
    ).fetchone()
    return Seal(*row).head if row else ""
