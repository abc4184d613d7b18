"""Comparing a store with the journal, observation by observation: what it lacks, has otherwise, twice, or by itself."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.config import Config
from gateway.journal.moments import first_since
from gateway.journal.schema import SINK
from gateway.journal.transaction import Cursor, read_cursor
from gateway.reports import open_journal
from gateway.sinks.commands import known
from gateway.sinks.options import InfluxOptions
from gateway.sinks.place import selector
from gateway.sinks.read_back import Point, ReadBack

CHUNK: Final = 5000  # observations compared at once
APART: Final = 3_600_000  # milliseconds between two points of a device that are not asked for together
LISTED: Final = 100
SAME: Final = 1e-12  # by how much of itself a number may differ: VictoriaMetrics keeps about 15 digits

_DELIVERED: Final = """
    SELECT seq, time, device, kind, quantity, body FROM observation WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?
"""

Expected = tuple[int, int, float | None]  # position, unix milliseconds, number


@dataclass(slots=True)
class Comparison:
    """Positions; the first `LISTED` of each kind."""

    compared: int = 0
    refused: int = 0  # what the store would not have: see `sinks refused`
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("missing", "different", "doubled", "foreign"), 0)
    )
    listed: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, kind: str, seq: int) -> None:
        self.counts[kind] += 1
        if len(self.listed[kind]) < LISTED:
            self.listed[kind].append(seq)

    @property
    def equal(self) -> bool:
        return not any(self.counts.values())


def reconcile(config: Config, sink_id: str, since: int | None, until: int | None) -> dict[str, Any]:
    """Compare what a sink has delivered of the observations from `since` to before `until` (unix microseconds).

    Errors: LookupError (no such sink, or not one that can be read back), gateway.sinks.read_back.CannotReadError.
    """
    options = known(config, sink_id)
    if not isinstance(options, InfluxOptions):
        raise LookupError(f"{sink_id} is of type {options.type}: only stores of type influxdb can be read back.")
    store, found = ReadBack(options, config.gateway.site), Comparison()
    with open_journal(config) as db:
        reached = (read_cursor(db, f"{SINK}{sink_id}") or Cursor(0)).seq
        (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM observation").fetchone()
        for rows in _chunks(db, options, reached, since, until, found):
            _compare(db, store, rows, found)
    return {
        "sink": sink_id,
        "compared": found.compared,
        "refused": found.refused,
        "not_delivered_yet": last - reached,
        **{f"{kind}_count": count for kind, count in found.counts.items()},
        **{kind: found.listed[kind] for kind in found.counts},
        "equal": found.equal,
    }


def _chunks(
    db: sqlite3.Connection,
    options: InfluxOptions,
    reached: int,
    since: int | None,
    until: int | None,
    found: Comparison,
) -> Iterator[dict[str, list[Expected]]]:
    """What was delivered, by device."""
    wanted = selector(options.select)
    after = 0 if since is None else (first_since(db, since) or reached + 1) - 1
    while rows := db.execute(_DELIVERED, (after, reached, CHUNK)).fetchall():
        refused = {
            seq for (seq,) in db.execute(
                "SELECT seq FROM refused WHERE sink = ? AND seq > ? AND seq <= ?", (options.id, after, rows[-1][0])
            )
        }  # fmt: skip
        after = rows[-1][0]
        devices = defaultdict[str, list[Expected]](list)
        for seq, time, device, kind, quantity, body in rows:
            outside = (since is not None and time < since) or (until is not None and time >= until)
            if outside or not wanted(device, kind, quantity):
                continue
            if seq in refused:
                found.refused += 1
                continue
            value = orjson.loads(body).get("value")
            number = None if value is None or isinstance(value, str) else float(value)
            devices[device].append((seq, time // 1000, number))
        yield devices


def _compare(db: sqlite3.Connection, store: ReadBack, devices: dict[str, list[Expected]], found: Comparison) -> None:
    for device, rows in devices.items():
        for part in _together(rows):
            there = defaultdict[int, list[Point]](list)
            for point in store.points(device, part[0][1], part[-1][1]):
                there[point.seq].append(point)
            for seq, time, number in part:
                found.compared += 1
                points = there.pop(seq, [])
                if not points:
                    found.note("missing", seq)
                elif not any(point.time == time and _same(point.value, number) for point in points):
                    found.note("different", seq)
                elif len(points) > 1:
                    found.note("doubled", seq)
            for seq, points in there.items():
                if not _ours(db, device, seq, points):
                    found.note("foreign", seq)


def _together(rows: list[Expected]) -> Iterator[list[Expected]]:
    """In the order of their times, cut where nothing was for long: what came late does not make a period of years."""
    part: list[Expected] = []
    for row in sorted(rows, key=lambda one: one[1]):
        if part and row[1] - part[-1][1] > APART:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def _same(stored: float | None, number: float | None) -> bool:
    if stored is None or number is None:
        return stored is number
    return math.isclose(stored, number, rel_tol=SAME)


def _ours(db: sqlite3.Connection, device: str, seq: int, points: list[Point]) -> bool:
    """Whether a point is an observation that is compared elsewhere, or was removed here when it was old."""
    row = db.execute("SELECT device, time FROM observation WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        (first,) = db.execute("SELECT coalesce(min(seq), 0) FROM observation").fetchone()
        return 0 < seq < int(first)
    return row[0] == device and all(point.time == row[1] // 1000 for point in points)
