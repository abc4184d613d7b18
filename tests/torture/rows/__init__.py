"""Every row of the table, family by family."""

from __future__ import annotations

from typing import Final

from tests.torture.row import Row
from tests.torture.rows import broker, clock, configuration, disk, hostile, process, store, wire

ROWS: Final[tuple[Row, ...]] = (
    *process.ROWS,
    *disk.ROWS,
    *wire.ROWS,
    *broker.ROWS,
    *store.ROWS,
    *clock.ROWS,
    *configuration.ROWS,
    *hostile.ROWS,
)
