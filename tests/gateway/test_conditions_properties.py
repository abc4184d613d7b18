"""What must be true of every condition on any course of things."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms.conditions import Condition, Seen
from gateway.alarms.conditions.rolling import STATISTICS, added, extremes
from gateway.alarms.conditions.window import STEPS, Piece, Window
from tests.gateway.conditions_bench import course, result, rule, seen

# Times are in quarters of a second and values in halves, so that sums are exact and equality happens.
quarters = st.integers(0, 240).map(lambda n: n / 4)
halves = st.integers(-10, 10).map(lambda n: n / 2)
courses = st.lists(st.tuples(quarters, halves), min_size=1, max_size=60)


def timed(steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Times from steps between them."""
    at, points = 0.0, []
    for step, value in steps:
        at += step
        points.append((at, value))
    return points


# ---- limits and delays


@given(courses)
def test_a_deadband_never_chatters(steps: list[tuple[float, float]]) -> None:
    """Between two raises the value has been where the alarm is over."""
    points = timed(steps)
    held = course(rule(above=1.0, clear_below=-1.0), *points)
    gone_back = True
    for number, (_, value) in enumerate(points):
        before = held[number - 1] if number else False
        if held[number] and not before:
            assert value > 1.0
            assert gone_back
            gone_back = False
        gone_back = gone_back or value <= -1.0


@given(courses, st.integers(0, 200).map(lambda n: n / 4))
def test_a_delay_is_never_short_and_never_forgotten(steps: list[tuple[float, float]], delay: float) -> None:
    """Raised once all values of so long a time were above; over once none of so long a time was."""
    points = timed(steps)
    condition = rule(above=1.0, for_=f"{delay * 1000:.0f}ms", clear_for=f"{delay * 1000:.0f}ms")
    since = over = None
    expected = False
    for at, value in points:
        condition.feed(seen(at, value))
        if value > 1.0:
            over = None
            since = at if since is None else since
            expected = expected or at - since >= delay
        else:
            since = None
            over = at if over is None else over
            expected = expected and at - over < delay
        assert condition.holds is expected


@given(courses, st.lists(quarters, min_size=1, max_size=5))
def test_ticks_do_what_a_repeated_reading_would(steps: list[tuple[float, float]], later: list[float]) -> None:
    told, ticked = (rule(above=1.0, clear_below=0.0, for_="20s", clear_for="30s") for _ in range(2))
    at, value = 0.0, 0.0
    for at, value in timed(steps):
        told.feed(seen(at, value))
        ticked.feed(seen(at, value))
    for more in later:
        at += more
        told.feed(seen(at, value))
        ticked.tick(at)
        assert told.holds is ticked.holds


# ---- windows


SUMS: dict[str, tuple[Callable[[Piece, Piece], Piece], Callable[[float, float], Piece]]] = {
    "added": (added, lambda value, seconds: (seconds, value)),
    "extremes": (extremes, lambda value, seconds: (seconds, value, value)),
    **{name: (one.of, one.piece) for name, one in STATISTICS.items()},
}


@pytest.mark.parametrize("name", SUMS)
@given(steps=courses, within=st.sampled_from([15.0, 60.0, 600.0]))
def test_a_window_is_the_sum_of_its_steps(name: str, steps: list[tuple[float, float]], within: float) -> None:
    of, piece = SUMS[name]
    window = Window(within, of)
    points = timed(steps)
    for number, (at, value) in enumerate(points):
        got = window.add(at, piece(value, 1.0))
        current = at // (within / STEPS)
        inside = [old for time, old in points[: number + 1] if time // (within / STEPS) >= current - STEPS]
        assert {old for time, old in points[: number + 1] if time > at - within} <= set(inside)
        total = piece(inside[0], 1.0)
        for old in inside[1:]:
            total = of(total, piece(old, 1.0))
        assert got == pytest.approx(total, rel=1e-9, abs=1e-9)
        if name == "sd" and len(inside) > 1:
            assert STATISTICS["sd"].read(got) == pytest.approx(statistics.stdev(inside), abs=1e-9)


def test_a_reading_costs_the_same_in_a_window_of_any_length() -> None:
    """Counted in sums made: a minute's window and a year's, each filled again and again."""
    for within in (60.0, 3600.0, 86_400.0, 365 * 86_400.0):
        for per_step in (0.01, 1, 7):
            made = 0

            def counting(one: Piece, other: Piece) -> Piece:
                nonlocal made
                made += 1
                return added(one, other)

            window, samples = Window(within, counting), 20 * STEPS
            for number in range(samples):
                window.add(number * within / STEPS / per_step, (1.0, 0.0))
            assert made <= 5 * samples


def test_what_is_kept_does_not_grow_with_the_window() -> None:
    for said in ({"statistic": "sd"}, {"statistic": "mkt"}, {"out_for": "5m"}):
        sizes = []
        for within in ("1h", "30d"):
            condition = (
                rule(above=1000.5, within=within, covered=1.0, **said)
                if "statistic" in said
                else rule(above=1000.5, within=within, **said)
            )
            for number in range(5000):
                condition.feed(seen(number * 37.0, number % 17 / 3))
            sizes.append(len(json.dumps(condition.dump())))
        assert max(sizes) < 12_000


# ---- a restart at any point


RULES: dict[str, dict[str, Any]] = {
    "above": {"above": 1.0, "below": -3.0, "clear_below": 0.0, "for": "10s", "clear_for": "15s"},
    "rises": {"rises": 2.0, "falls": 3.0, "within": "1m", "clear_for": "5s"},
    "mean": {"statistic": "mean", "above": 0.5, "clear_below": 0.0, "within": "1m"},
    "sd": {"statistic": "sd", "above": 2.0, "within": "1m", "for": "5s"},
    "min": {"statistic": "min", "below": -1.0, "within": "1m"},
    "max": {"statistic": "max", "above": 4.0, "within": "1m"},
    "mkt": {"statistic": "mkt", "above": 0.5, "within": "1m"},
    "out_for": {"above": 1.0, "out_for": "20s", "within": "1m"},
    "deviates": {"deviates": 2.0, "from": "twin/temperature", "fresh": "30s", "clear_below": 1.0, "for": "3s"},
    "expression": {"expression": "{temperature} > 0 and {twin/temperature} > 0", "device": "freezer-3", "fresh": "30s"},
    "unchanged": {"unchanged": "20s"},
    "silent": {"silent": "20s", "clear_for": "10s"},
    "equals": {"equals": 1.0, "for": "2s"},
    "fault": {"fault": True, "for": "3s"},
    "invalid": {"invalid": 0.3, "of_last": 5, "per": "lot"},
    "positive": {"positive": 0.3, "of_last": 5, "over_baseline": 1.5, "baseline": 10},
    "positives": {"positives": 3, "within": "1m"},
    "lot_expires": {"lot_expires": "1d"},
}


@st.composite
def events(draw: st.DrawFn) -> list[Any]:
    """Readings of both freezers, results, faults, late ones, ticks, clocks put back, and restarts."""
    made: list[Any] = []
    now = 86_000.0
    for _ in range(draw(st.integers(1, 80))):
        now += draw(quarters) / 4
        kind = draw(st.sampled_from(["reading"] * 6 + ["twin"] * 2 + ["result"] * 4 + ["status", "late", "tick", "tick",
                                                                                    "back", "restart"]))  # fmt: skip
        value = draw(halves)
        match kind:
            case "reading" | "late":
                made.append(seen(now - 20 * (kind == "late"), value, received=now, bad=draw(st.integers(0, 9)) == 0))
            case "twin":
                made.append(seen(now, value, device="twin"))
            case "result":
                verdict = draw(st.sampled_from(["positive", "negative", "invalid"]))
                lot = draw(st.sampled_from(["A", "B"]))
                made.append(
                    result(
                        now - draw(quarters), verdict, received=now, lot=lot, lot_expiry=f"1970-01-0{2 + (lot == 'B')}"
                    )
                )
            case "status":
                made.append(seen(now, "lamp", kind="status", bad=value > 0))
            case "back":
                now -= 30
                made.append(("back", now))
            case _:
                made.append((kind, now))
    return made


def history(name: str, course: list[Any], *, restarts: bool) -> list[tuple[Any, ...]]:
    condition: Condition = rule(**RULES[name])
    told: list[tuple[Any, ...]] = []
    for event in course:
        match event:
            case Seen():
                condition.feed(event)
            case ("tick", now):
                condition.tick(now)
            case ("back", now):
                condition.set_back(now)
            case _ if restarts:
                kept = json.loads(json.dumps(condition.dump()))
                condition = rule(**RULES[name])
                condition.load(kept)
        told.append((condition.holds, condition.value, condition.explanation, condition.latest))
    return told


@pytest.mark.parametrize("name", RULES)
@given(course=events())
@settings(max_examples=60)
def test_a_restart_at_any_point_gives_the_same_history(name: str, course: list[Any]) -> None:
    assert history(name, course, restarts=True) == history(name, course, restarts=False)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_of_that_test_can_hold(name: str) -> None:
    """Else it would prove nothing."""
    condition, held = rule(**RULES[name]), False
    for number in range(200):
        at = 86_300.0 + number
        value = 1.0 if number < 50 else -5.0 if number < 100 else 5.0
        if name in ("invalid", "positive", "positives", "lot_expires"):
            verdict = "negative" if number % 20 > 5 else "invalid" if name == "invalid" else "positive"
            condition.feed(result(at, verdict, lot="A", lot_expiry="1970-01-02"))
        elif name == "fault":
            condition.feed(seen(at, "lamp", kind="status", bad=True))
        else:
            condition.feed(seen(at, value))
            if name in ("deviates", "expression"):
                condition.feed(seen(at, 0.5, device="twin"))
        held = held or condition.holds
    condition.tick(86_500.0 + 60)
    assert held or condition.holds


@given(st.lists(st.floats() | st.sampled_from([1e308, -1e308, 1e-308, -273.15, -273.1499999999]), max_size=30))
def test_no_number_makes_a_condition_fail(values: list[float]) -> None:
    for name in RULES:
        condition = rule(**RULES[name])
        for number, value in enumerate(values):
            condition.feed(seen(number, value))
        kept = orjson.loads(orjson.dumps(condition.dump()))
        condition.load(kept)
        condition.feed(seen(100, 1.0))
