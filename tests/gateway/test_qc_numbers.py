"""The arithmetic of quality control against the plain formulas, and kit lots beside each other."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.schema import connect, migrate
from gateway.journal.transaction import Transaction
from gateway.qc import actions
from gateway.qc.lots import Trend, lots
from gateway.qc.numbers import Average, Tally, sigma
from tests.gateway.test_qc_stage import Bench

VALUES = st.lists(st.floats(-1000, 1000), min_size=2, max_size=50)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "journal.sqlite")) as made:
        migrate(made)
        yield made


def tally(values: list[float]) -> Tally:
    made = Tally()
    for day, value in enumerate(values):
        made = made.plus(value, day)
    return made


@given(VALUES)
def test_running_mean_and_sd_are_those_of_all_values(values: list[float]) -> None:
    made = tally(values)
    assert made.n == made.days == len(values)
    assert made.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert made.sd == pytest.approx(statistics.stdev(values), abs=1e-6)


@given(VALUES, st.data())
def test_a_value_taken_away_was_never_there(values: list[float], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(range(len(values))))
    left = [value for place, value in enumerate(values) if place != gone]
    made = tally(values).minus(values[gone])
    assert made.n == len(left)
    assert made.mean == pytest.approx(statistics.fmean(left), abs=1e-8)
    if len(left) > 1:
        assert made.sd == pytest.approx(statistics.stdev(left), abs=1e-4)


def test_the_first_value_taken_away_leaves_nothing() -> None:
    assert tally([4.0]).minus(4.0) == Tally(days=1, day=0)


def test_days_are_counted_and_not_points() -> None:
    made = Tally()
    for point in range(30):
        made = made.plus(float(point), point // 3)
    assert (made.n, made.days, made.enough) == (30, 10, True)
    assert not tally([5.0] * 30).enough, "no spread is no SD to judge by"


def test_sigma_metric() -> None:
    made = tally([98.0, 100.0, 102.0])  # mean 100, CV 2 %
    assert sigma(10.0, 100.0, made) == pytest.approx(5.0)
    assert sigma(10.0, 96.0, made) == pytest.approx((10 - 100 * 4 / 96) / 2)
    assert sigma(None, 100.0, made) is None
    assert sigma(10.0, None, made) is None
    assert sigma(10.0, 100.0, tally([100.0])) is None


def test_the_moving_average_weighs_the_newest_and_cuts_outliers() -> None:
    average = Average(5.0).plus(6.0, 0.1, None, None)
    assert average.mean == pytest.approx(5.1)
    assert average.n == 1
    assert average.plus(1000.0, 0.1, 2.0, 10.0).mean == pytest.approx(0.9 * 5.1 + 1.0)
    assert average.plus(0.0, 0.1, 2.0, 10.0).mean == pytest.approx(0.9 * 5.1 + 0.2)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-500, 500)), min_size=2, max_size=40))
def test_a_trend_is_the_straight_line_through_all_points(points: list[tuple[int, int]]) -> None:
    trend = Trend()
    for day, value in points:
        trend.add(float(day), float(value))
    days, values = zip(*points, strict=True)
    if len(set(days)) == 1:
        assert trend.slope is None
    else:
        slope, _ = statistics.linear_regression(days, values)
        assert trend.slope == pytest.approx(slope, abs=1e-6)


def test_lots_beside_each_other(db: sqlite3.Connection) -> None:
    bench = Bench(db, "")

    def test(lot: str | None, day: int, call: str, line: Any, **fields: Any) -> None:
        attributes = {"control_line": line} if line is not None else {}
        told = {"lot": lot, "interpretation": call, "attributes": attributes, "unit": None, **fields}
        bench.one(fields.pop("value", None), minutes=day * 1440, **{k: v for k, v in told.items() if k != "value"})

    for day, line in enumerate([500.0, 490.0, 480.0, 470.0]):
        test("K1", day, "positive" if day == 0 else "negative", line)
    test("K1", 4, "invalid", 20.0)
    test("K2", 5, "positive", 510.0, value=2.0)
    test("K2", 6, "positive", "faint", value=4.0)
    test("K2", 6, "negative", None, value=9.0, comparator="<")
    test("K2", 6, "positive", 1.0, kind="qc")
    test(None, 7, "negative", None)
    first, second, none = lots(db, "glucose", ["chem-1", "absent"], 0)
    assert (first["lot"], first["n"], first["invalid"], first["invalid_rate"]) == ("K1", 5, 1, 0.2)
    assert (first["positive_share"], first["mean"]) == (0.25, None)
    assert first["control_line"] == pytest.approx(392.0)
    assert first["control_line_per_day"] < -10
    assert (second["n"], second["mean"], second["sd"]) == (3, 3.0, pytest.approx(2**0.5))
    assert (second["positive_share"], second["control_line"]) == (pytest.approx(2 / 3), 510.0)
    assert (none["lot"], none["n"]) == (None, 1)
    assert lots(db, "glucose", ["chem-1"], 2**60) == []


def test_a_released_result_counts_once(db: sqlite3.Connection) -> None:
    bench = Bench(db, '[[lockouts]]\nid = "l"\nlockout = "hold"\n')
    bench.one(4.0, lot="K1", lot_expiry="2020-01-01")
    actions.release(Transaction(db), [1], "A", "b")
    (one,) = lots(db, "glucose", ["chem-1"], 0)
    assert one["n"] == 1
