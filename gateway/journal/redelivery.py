"""Has this MQTT packet been kept already? (The broker marks a redelivery as a duplicate.)"""

from __future__ import annotations

import sqlite3
from typing import Final

from gateway.journal.squeeze import restore
from gateway.journal.transaction import Keep

# Packets of a device to look back. We acknowledge in order of arrival, so what is not acknowledged is among the last
# `receive_maximum`; and an identifier comes round again after 65,535, perhaps with the same bytes. How much other
# devices sent meanwhile says nothing.
WINDOW: Final = 2_000

_LATEST: Final = "SELECT id, packet FROM raw WHERE device = ? AND packet > 0 AND id > ? ORDER BY id DESC LIMIT ?"


class Redelivered:
    """Finds the row of a packet that is delivered again after a reconnect: the device's latest with the same packet
    identifier, where topic and bytes are the same too. Used by the writer thread alone; `forget` after a burst."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, int]] = {}  # by device: packet identifier, row
        self._upto: dict[str, int] = {}

    def forget(self) -> None:
        self._rows.clear()
        self._upto.clear()

    def find(self, db: sqlite3.Connection, item: Keep) -> int | None:
        """The id of the row that already holds `item`, or None."""
        rows = self._rows.setdefault(item.device, {})
        latest = db.execute(_LATEST, (item.device, self._upto.get(item.device, 0), WINDOW)).fetchall()
        if latest:
            self._upto[item.device] = latest[0][0]
            rows.update((packet, row) for row, packet in reversed(latest))
        found = rows.get(item.packet)
        if found is None:
            return None
        channel, codec, data = db.execute("SELECT channel, codec, data FROM raw WHERE id = ?", (found,)).fetchone()
        return found if channel == item.channel and restore(codec, data) == item.data else None
