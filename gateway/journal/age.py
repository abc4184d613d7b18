"""Whether the wall clock may say how old a row is.

A clock that leaps years ahead would make everything old at once. So what it gains on the monotonic clock is watched:
after a leap ages are told by the time that has passed, until the clock is put right or has said so for a day of running
time. What is believed stands in the state of retention's cursor as {"clock": unix seconds, "rest": seconds left}.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import structlog

from gateway.journal.transaction import Transaction, read_cursor

log = structlog.get_logger()

CURSOR: Final = "retention"
UNSET: Final = 1_420_070_400.0  # 2015, unix seconds: a clock that says less has never been set
LEAP: Final = 3600.0  # seconds a clock may gain between two looks
OFF: Final = 7 * 86_400.0  # what may have passed while we did not run
REST: Final = 86_400.0
SAVE_EVERY: Final = 600.0


class Age:
    """Watches the wall clock for retention. `believed`: the time ages are told by, unix seconds; `rest`: seconds until
    a clock that leapt is believed, 0 where it is."""

    def __init__(self, believed: float, rest: float = 0.0) -> None:
        self.believed, self.rest = believed, rest
        self.ahead = 0.0  # seconds the wall clock is, while it is not believed
        self._returning = not rest  # how long we did not run is not known yet
        self._saved = (0.0, 0.0)

    @property
    def trouble(self) -> str:
        """Why the clock is not believed; "" where it is."""
        if not self.rest:
            return ""
        return (
            f"the clock leapt ahead by {self.ahead / 86_400:.1f} days: nothing is removed for that, until it is put "
            f"right or has said so for {self.rest / 3600:.1f} hours more"
        )

    def look(self, wall: float, passed: float) -> None:
        """`wall` is what the clock says (unix seconds), `passed` what the monotonic one counted since the last look."""
        expected = self.believed + passed
        if wall < UNSET:  # makes nothing old
            self.believed = expected
            return
        self.ahead, rested = wall - expected, self.rest
        limit, self._returning = (OFF if self._returning else LEAP), False
        if self.ahead <= limit:
            self.rest = 0.0
        else:
            self.rest = max(0.0, rested - passed) if rested else REST
        self.believed = expected if self.rest else wall
        if self.rest and not rested:
            log.warning("the clock is not believed", why=self.trouble)
        elif rested and not self.rest:
            log.info("the clock is believed")

    @property
    def due(self) -> bool:
        """Whether there is something worth saving."""
        return self._saved[1] != self.rest or abs(self._saved[0] - self.believed) > SAVE_EVERY

    def save(self, transaction: Transaction) -> None:
        at = read_cursor(transaction.db, CURSOR)
        state = {**(at.state if at else {}), "clock": self.believed, "rest": self.rest}
        transaction.advance(CURSOR, at.seq if at else 0, state)
        self._saved = self.believed, self.rest


def age(db: sqlite3.Connection, wall: float) -> Age:
    """As it was left; in a journal that says nothing of it, by its newest row; in an empty one by the clock."""
    at = read_cursor(db, CURSOR)
    if at and "clock" in at.state:
        return Age(float(at.state["clock"]), float(at.state["rest"]))
    row = db.execute("SELECT received FROM raw ORDER BY id DESC LIMIT 1").fetchone()
    return Age(row[0] / 1e9 if row else wall)
