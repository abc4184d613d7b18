"""Has this MQTT packet been kept already? (The broker marks a redelivery as a duplicate.)"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field
from typing import Final

from gateway.journal.squeeze import restore
from gateway.journal.transaction import Keep

# Packets of a device to look back. An identifier comes round again after 65,535, perhaps with the same bytes. What is
# not acknowledged should be among the last `receive_maximum`, but a broker may forget that at a reconnect: mosquitto
# 2.0 sends all it has queued, and a commit may hold thousands of them when a kill comes before their acknowledgement.
# How much other devices sent meanwhile says nothing.
WINDOW: Final = 60_000
REMEMBERED: Final = 10.0  # seconds after the last redelivery

_LATEST: Final = "SELECT id, packet FROM raw WHERE device = ? AND packet > 0 AND id > ? ORDER BY id DESC LIMIT ?"


@dataclass(slots=True)
class _Known:
    """One device's latest packets."""

    upto: int = 0  # row
    count: int = 0
    rows: dict[int, tuple[int, int]] = field(default_factory=dict)  # packet identifier -> row, its place in the count


class Redelivered:
    """Finds the row of a packet that is delivered again after a reconnect: the device's latest with the same packet
    identifier, where topic and bytes are the same too. Used by the writer thread alone."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._used = 0.0

    def forget(self) -> None:
        self._known.clear()

    def rest(self) -> None:
        """Nothing is delivered again just now: what is remembered is given back once a burst is over."""
        if self._known and time.monotonic() - self._used > REMEMBERED:
            self.forget()

    def find(self, db: sqlite3.Connection, item: Keep) -> int | None:
        """The id of the row that already holds `item`, or None."""
        self._used = time.monotonic()
        known = self._known.setdefault(item.device, _Known())
        latest = db.execute(_LATEST, (item.device, known.upto, WINDOW)).fetchall()
        if len(latest) == WINDOW:
            known.rows.clear()  # how far back they are is not known any more
        if latest:
            known.upto = latest[0][0]
        for row, packet in reversed(latest):
            known.count += 1
            known.rows[packet] = (row, known.count)
        found, place = known.rows.get(item.packet, (0, -WINDOW))
        if place <= known.count - WINDOW:
            return None
        kept = db.execute("SELECT channel, codec, data FROM raw WHERE id = ?", (found,)).fetchone()
        if kept is None:  # removed since, being too old
            return None
        channel, codec, data = kept
        return found if channel == item.channel and restore(codec, data) == item.data else None
