"""What makes a wrong clock harmless, taken away."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from drivers.kit.values import device_time
from gateway import moment, normalise
from gateway.journal import age
from gateway.moment import best as believed
from gateway.moment import instant as exact
from gateway.sinks import influxdb, place


def timers_by_the_wall() -> None:
    """Timers go by the wall clock."""
    setattr(asyncio.BaseEventLoop, "time", lambda _self: time.time())  # noqa: B010 - another shape on purpose


def order_by_time() -> None:
    """A sink takes for delivered what came earlier, by the clock, than what it delivered last."""
    real = place.Place._fetch
    newest = [0.0]

    async def fetch(self: Any, limit: int) -> place.Batch:
        batch = await real(self, limit)
        came = [place._received(row.body) for row in batch.rows]
        rows = [row for row, at in zip(batch.rows, came, strict=True) if at > newest[0] - 60]
        newest[0] = max([newest[0], *came])
        return place.Batch(rows, batch.last)

    setattr(place.Place, "_fetch", fetch)  # noqa: B010 - another shape on purpose


def believed_at_once() -> None:
    """However far the clock leaps, what it says is old is removed."""

    def look(self: Any, wall: float, _passed: float) -> None:
        self.believed = wall

    setattr(age.Age, "look", look)  # noqa: B010 - another shape on purpose


def never_unset() -> None:
    """1970 is a time like any other."""
    setattr(moment, "EARLIEST", moment.EPOCH)  # noqa: B010 - a constant


def too_far_ahead() -> None:
    """What is later than our clock says is kept from the store, though our clock was never set."""
    setattr(influxdb, "UNSET", 0.0)  # noqa: B010 - a constant


def thirty_two_bits() -> None:
    """Seconds are counted in 32 bits with a sign."""

    def instant(nanoseconds: int) -> datetime:
        at = exact(nanoseconds)
        return at - timedelta(seconds=1 << 32) if at.timestamp() >= 1 << 31 else at

    setattr(normalise, "instant", instant)  # noqa: B010 - another shape on purpose


def instruments_are_right() -> None:
    """An instrument's time is believed whatever it says."""

    def best(draft: Any, received: datetime, clock: Any) -> moment.Moment:
        said = device_time(draft.device_time, clock.order) if draft.device_time else None
        return moment.Moment(said.local.replace(tzinfo=UTC)) if said else believed(draft, received, clock)

    setattr(normalise, "best", best)  # noqa: B010 - another shape on purpose


def no_summer_time() -> None:
    """A local time that comes twice is taken for the first, without a word."""
    setattr(moment, "CHANGED", "")  # noqa: B010 - a constant
