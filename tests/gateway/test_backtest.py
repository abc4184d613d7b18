"""A rule over what was stored: what it would have done, delays and late readings included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson

from gateway.alarms.backtest import STEP, backtest
from gateway.config import parse

CONFIG = """
[[alarms]]
id = "warm"
when = { device = "freezer-*", quantity = "temperature", above = -70.0, for = "10m", clear_below = -72.0 }
"""
START = 1_780_000_000.0


def stored(*readings: tuple[float, float, float]) -> Iterator[tuple[int, bytes]]:
    """Seconds of the reading, seconds of its arrival, value."""
    for seq, (time, received, value) in enumerate(readings, 1):
        told = {"device": "freezer-1", "quantity": "temperature", "kind": "reading", "value": value, "unit": "Cel",
                "comparator": None, "interpretation": None, "quality": "good", "attributes": {}}  # fmt: skip
        for name, at in (("time", time), ("received", received)):
            told[name] = datetime.fromtimestamp(START + at, UTC).isoformat()
        yield seq, orjson.dumps(told)


def test_a_delay_runs_on_where_nothing_is_received() -> None:
    course = backtest(parse(CONFIG), stored((0, 0, -80), (60, 60, -60), (3000, 3000, -80)))[
        "warm.freezer-1.temperature"
    ]
    (raised,) = course.raised
    assert 660 <= raised - START < 660 + STEP
    assert abs(course.active - (3000 - 660)) <= STEP
    assert course.longest == course.active


def test_what_is_still_on_counts_to_the_end_and_a_late_peak_is_told_apart() -> None:
    readings = stored((0, 0, -80), *((at, 5000 + at / 100, -60) for at in range(-3000, -2000, 60)), (6000, 6000, -60))
    course = backtest(parse(CONFIG), readings, START + 7000)["warm.freezer-1.temperature"]
    assert (len(course.raised), course.late) == (2, 1)
    assert abs(course.active - 400) <= 2 * STEP


def test_a_short_peak_never_rings() -> None:
    assert backtest(parse(CONFIG), stored((0, 0, -60), (590, 590, -80), (5000, 5000, -80))) == {}
