"""A quantity's course for plots: rows where the time is short, rollups where it is long, the same numbers either way.

The buckets of an answer are whole buckets of the rollups it was read from, so nothing is cut in two; the ends of the
time asked for, and what is not rolled up yet, are read from the rows.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from gateway.journal.rollups import WIDTHS, rolled

MOST_POINTS: Final = 4000
ROWS: Final = 1  # microsecond: the width that stands for the rows themselves
TAIL: Final = 100_000  # rows not rolled up yet that are read through sooner than looked up one by one

_VALUES: Final = "count(*), sum(number), min(number), max(number), max(time)"
_WHERE: Final = "device = :device AND quantity = :quantity AND time >= :since AND time < :until AND number IS NOT NULL"
_FROM_ROWS: Final = f"SELECT (time - :origin) / :width, {_VALUES} FROM observation WHERE {_WHERE} GROUP BY 1"  # noqa: S608 - constants
_FROM_TAIL: Final = (
    f"SELECT (time - :origin) / :width, {_VALUES} FROM observation %s WHERE seq > :rolled AND {_WHERE} GROUP BY 1"  # noqa: S608
)
_FROM_ROLLUPS: Final = (
    "SELECT (start - :origin) / :width, sum(count), CASE WHEN count(sum) = count(*) THEN sum(sum) END,"
    " min(low), max(high), max(last) FROM rollup"
    " WHERE device = :device AND quantity = :quantity AND width = :step AND start >= :since AND start < :until"
    " GROUP BY 1"
)


class Bucket(NamedTuple):
    """What is known of the numbers of one bucket."""

    readings: int
    total: float | None  # None: too large to be added up
    low: float
    high: float
    last: int  # unix microseconds

    def joined(self, other: Bucket) -> Bucket:
        total = None if self.total is None or other.total is None else self.total + other.total
        low, high, last = min(self.low, other.low), max(self.high, other.high), max(self.last, other.last)
        return Bucket(self.readings + other.readings, total, low, high, last)

    def point(self) -> list[float | None]:
        mean = None
        if self.total is not None and math.isfinite(self.total):
            mean = min(max(self.total / self.readings, self.low), self.high)  # adding up rounds
        return [self.last / 1e6, self.low, mean, self.high, self.readings]


class Piece(NamedTuple):
    """A part of the time asked for and the width of the buckets it is read from; times in unix microseconds."""

    step: int
    since: int
    until: int


def series(db: sqlite3.Connection, device: str, quantity: str, since: int, until: int, points: int) -> dict[str, Any]:
    """Numbers of one quantity in buckets of equal length, at most `points` and one more where the ends cut one: time
    (of the bucket's last value, unix seconds), min, mean (null where numbers are too large to be added up), max, count.
    Buckets without a value are left out: gaps are gaps. `since`, `until`: unix microseconds."""
    target = -(-(until - since) // max(1, min(points, MOST_POINTS)))
    step = max((width for width in WIDTHS if width <= target), default=ROWS)
    width = -(-target // step) * step
    asked = {"device": device, "quantity": quantity, "width": width, "origin": since // width * width}
    buckets: dict[int, Bucket] = {}
    db.execute("BEGIN")  # rollups and how far they go must be of one moment
    try:
        for place, *values in _read(db, list(pieces(since, until, [one for one in WIDTHS if one <= step])), asked):
            bucket = Bucket(*values)
            buckets[place] = buckets[place].joined(bucket) if place in buckets else bucket
        unit = db.execute(
            "SELECT json_extract(body, '$.unit') FROM observation WHERE device = ? AND quantity = ?"
            " ORDER BY time DESC LIMIT 1",
            (device, quantity),
        ).fetchone()
    finally:
        db.execute("COMMIT")
    return {
        "device": device,
        "quantity": quantity,
        "unit": unit[0] if unit else None,
        "bucket": width / 1e6,
        "points": [buckets[place].point() for place in sorted(buckets)],
    }


def pieces(since: int, until: int, widths: Sequence[int]) -> Iterator[Piece]:
    """The time from `since` to `until` in whole buckets, as wide as they fit (`widths`: finest first), the rest of it
    in rows."""
    if not widths:
        if since < until:
            yield Piece(ROWS, since, until)
        return
    *finer, width = widths
    first, last = -(-since // width) * width, until // width * width
    if first >= last:
        yield from pieces(since, until, finer)
        return
    yield from pieces(since, first, finer)
    yield Piece(width, first, last)
    yield from pieces(last, until, finer)


def _read(db: sqlite3.Connection, parts: list[Piece], asked: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for part in parts:
        yield from db.execute(_FROM_ROWS if part.step == ROWS else _FROM_ROLLUPS, {**asked, **part._asdict()})
    summed = [part for part in parts if part.step != ROWS]  # one after the other, without a gap
    if summed:
        (newest,) = db.execute("SELECT coalesce(max(seq), 0) FROM observation").fetchone()
        upto = rolled(db) or 0
        way = "NOT INDEXED" if newest - upto <= TAIL else "INDEXED BY observation_series"
        bounds = {"since": summed[0].since, "until": summed[-1].until, "rolled": upto}
        yield from db.execute(_FROM_TAIL % way, {**asked, **bounds})
