"""Has this MQTT packet been kept already? (The broker marks a redelivery as a duplicate.)"""

from __future__ import annotations

import sqlite3

from gateway.journal.squeeze import restore
from gateway.journal.transaction import Keep

WINDOW = 20_000  # rows to look back: far more than a broker keeps in flight


class Redelivered:
    """Finds the row of a packet that is delivered again after a reconnect: the latest with the same device,
    topic, packet identifier and bytes. Used by the writer thread alone."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int], tuple[int, bytes]] = {}
        self._upto = 0

    def find(self, db: sqlite3.Connection, item: Keep) -> int | None:
        """The id of the row that already holds `item`, or None."""
        self._read(db)
        row = self._rows.get((item.device, item.channel, item.packet))
        return row[0] if row and row[1] == item.data else None

    def _read(self, db: sqlite3.Connection) -> None:
        if len(self._rows) > 2 * WINDOW:
            self._rows, self._upto = {}, 0
        (last,) = db.execute("SELECT coalesce(max(id), 0) FROM raw").fetchone()
        for row in db.execute(
            "SELECT device, channel, packet, id, codec, data FROM raw WHERE id > ? AND packet > 0",
            (max(self._upto, last - WINDOW),),
        ):
            self._rows[row[0], row[1], row[2]] = (row[3], restore(row[4], row[5]))
        self._upto = last
