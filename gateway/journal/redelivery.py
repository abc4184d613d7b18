"""Has this MQTT packet been kept already? (The broker marks a redelivery as a duplicate.)"""

from __future__ import annotations

import sqlite3
from typing import Final

from gateway.journal.squeeze import restore
from gateway.journal.transaction import Keep

# Packets of a device to look back. We acknowledge in order of arrival, so what is not acknowledged is among the last
# `receive_maximum`; and an identifier comes round again after 65,535, perhaps with the same bytes. How much other
# devices sent meanwhile says nothing.
WINDOW: Final = 10_000

_FOUND: Final = """
    SELECT id, codec, data FROM raw WHERE channel = ?4 AND id = (
        SELECT id FROM (SELECT id, packet FROM raw WHERE device = ?1 AND packet > 0 ORDER BY id DESC LIMIT ?2)
        WHERE packet = ?3 ORDER BY id DESC LIMIT 1)
"""


def find(db: sqlite3.Connection, item: Keep) -> int | None:
    """The row of a packet that is delivered again after a reconnect: the latest of the device with the same packet
    identifier, where topic and bytes are the same too; else None."""
    row = db.execute(_FOUND, (item.device, WINDOW, item.packet, item.channel)).fetchone()
    return int(row[0]) if row and restore(row[1], row[2]) == item.data else None
