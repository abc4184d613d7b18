"""What a report counts, against numbers worked by hand and against counting minute by minute."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.mkt import mean_kinetic_temperature
from gateway.equipment.excursions import AFTER, BEFORE, UNKNOWN, Excursion, Gap, Longest
from gateway.equipment.tally import BATCH, Limits, Side, Tally
from gateway.equipment.walk import UNKNOWN as HATCHED
from gateway.equipment.walk import Sample, Walk

MINUTE = 60_000_000
FRIDGE = Limits(2.0, 8.0)


def walked(
    values: Iterable[tuple[int, float | None]],
    until: int,
    since: int = 0,
    gap: int = 30,
    edges: Sequence[int] = (),
    limits: Limits = FRIDGE,
) -> tuple[Walk, Tally]:
    """Times in minutes."""
    all_edges = [edge * MINUTE for edge in (since, *edges, until)]
    walk = Walk(all_edges, limits, gap * MINUTE, lambda value: value)
    for minute, value in values:
        walk.feed(Sample(minute * MINUTE, value, "" if value is not None else "quality bad"))
    return walk, walk.finish()


def excursions(walk: Walk) -> list[tuple[Any, ...]]:
    return [
        (one.start // MINUTE, one.end // MINUTE, one.side.name, one.extreme, one.area, one.begun, one.ended)
        for one in walk.excursions.found.listed()
    ]


@pytest.mark.parametrize(
    ("values", "kinetic"),
    [
        ([(2, 1), (5, 1), (8, 1), (15, 1)], 8.960),
        ([(5, 23), (25, 1)], 7.756),
        ([(20, 1), (25, 1), (30, 1)], 25.858),
        ([(-80, 5), (-60, 1)], -67.68),
        ([(-268.0, 1), (-268.0, 3)], -268.0),  # exp of it alone is nothing
    ],
)
def test_mean_kinetic_temperature_of_worked_examples(values: list[tuple[float, float]], kinetic: float) -> None:
    assert mean_kinetic_temperature(values) == pytest.approx(kinetic, abs=0.001 if kinetic != -67.68 else 0.005)


@pytest.mark.parametrize(
    "pairs", [[], [(5.0, 0.0)], [(-273.15, 1.0)], [(-300.0, 1.0)], [(1e308, 1.0)], [(math.nan, 1.0)]]
)
def test_what_is_no_temperature_has_no_mean(pairs: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="temperature"):
        mean_kinetic_temperature(pairs)


TEMPERATURES = st.lists(st.tuples(st.floats(-90, 60), st.floats(1, 10_000)), min_size=1, max_size=60)


@given(TEMPERATURES)
def test_the_kinetic_mean_lies_between_the_mean_and_the_most(pairs: list[tuple[float, float]]) -> None:
    mean = math.fsum(value * weight for value, weight in pairs) / math.fsum(weight for _, weight in pairs)
    assert mean - 1e-6 <= mean_kinetic_temperature(pairs) <= max(value for value, _ in pairs) + 1e-6


@given(TEMPERATURES, st.integers(0, 59))
def test_two_tallies_added_are_one(pairs: list[tuple[float, float]], place: int) -> None:
    cut = place % (len(pairs) + 1)

    def told(some: list[tuple[float, float]]) -> Tally:
        tally = Tally(lambda value: value)
        for value, seconds in some:
            tally.stood(value, int(seconds * 1e6), FRIDGE.side(value))
        return tally

    whole, added = told(pairs), told(pairs[:cut])
    added.add(told(pairs[cut:]))
    for name in ("average", "spread", "kinetic"):
        assert getattr(added, name) == pytest.approx(getattr(whole, name), abs=1e-6), name
    assert (added.extremes, added.known, added.outside) == (whole.extremes, whole.known, whole.outside)


def test_the_kinetic_mean_of_many_values_is_that_of_all_of_them() -> None:
    tally, pairs = Tally(lambda value: value), []
    for n in range(3 * BATCH):
        value = 5 + 3 * math.sin(n / 7)
        tally.stood(value, 1_000_000, Side.WITHIN)
        pairs.append((value, 1.0))
    assert tally.kinetic == pytest.approx(mean_kinetic_temperature(pairs), abs=1e-9)


def test_a_part_without_a_value_does_not_cost_the_whole_its_kinetic_mean() -> None:
    walk, whole = walked([(0, 5.0), (10, 25.0), (20, 5.0), (200, 5.0), (210, 5.0)], 220, edges=(60, 120, 180))
    assert [part.kinetic is None for part in walk.parts] == [False, True, True, False]
    assert whole.kinetic == pytest.approx(mean_kinetic_temperature([(5.0, 30), (25.0, 10)]))


def test_a_value_counts_for_the_time_it_stood() -> None:
    """23 hours at 5 and one at 25: the page's example, as samples an hour apart."""
    values = [(60 * hour, 25.0 if hour == 23 else 5.0) for hour in range(24)]
    walk, whole = walked(values, 24 * 60, gap=180)
    assert whole.average == pytest.approx(5.833, abs=0.001)
    assert whole.kinetic == pytest.approx(7.756, abs=0.001)
    assert whole.spread == pytest.approx(20 * math.sqrt(23) / 24)  # of 23 parts and one, 20 apart
    assert excursions(walk) == [(23 * 60, 24 * 60, "ABOVE", 25.0, 17.0 * 60, "", AFTER)]


def test_on_the_limit_is_within_and_just_beyond_is_not() -> None:
    walk, whole = walked([(0, 8.0), (10, 8.01), (20, 8.0), (30, 2.0), (40, 1.99), (50, 2.0)], 60)
    assert [(one[0], one[1], one[2]) for one in excursions(walk)] == [(10, 20, "ABOVE"), (40, 50, "BELOW")]
    assert whole.outside == {Side.ABOVE: 10 * MINUTE, Side.BELOW: 10 * MINUTE}
    assert whole.known == 60 * MINUTE


def test_an_excursion_has_its_extreme_and_its_area() -> None:
    """Ten minutes one degree above, ten two degrees: 30 degree-minutes."""
    walk, _ = walked([(0, 5.0), (10, 9.0), (20, 10.0), (30, 5.0)], 40)
    assert excursions(walk) == [(10, 30, "ABOVE", 10.0, pytest.approx(30.0), "", "")]


def test_from_one_side_to_the_other_are_two() -> None:
    walk, _ = walked([(0, 9.0), (10, 1.0), (20, 5.0)], 30)
    assert excursions(walk) == [(0, 10, "ABOVE", 9.0, 10.0, UNKNOWN, ""), (10, 20, "BELOW", 1.0, 10.0, "", "")]


def test_a_gap_is_unknown_and_never_bridged() -> None:
    values = [(0, 5.0), (10, 9.0), (20, 9.0), (60, 9.5), (70, 5.0)]
    walk, whole = walked(values, 80)
    assert walk.gaps.listed() == [Gap(20 * MINUTE, 60 * MINUTE)]
    assert (whole.known, whole.unknown, walk.silent) == (40 * MINUTE, 40 * MINUTE, 40 * MINUTE)
    assert excursions(walk) == [
        (10, 20, "ABOVE", 9.0, 10.0, "", UNKNOWN),
        (60, 70, "ABOVE", 9.5, 15.0, UNKNOWN, ""),
    ]
    assert walk.trace.low[300] is None
    assert walk.trace.marks[300] == HATCHED


def test_as_long_as_the_gap_is_no_gap() -> None:
    assert walked([(0, 5.0), (30, 5.0)], 40)[1].unknown == 0
    assert walked([(0, 5.0), (31, 5.0)], 40)[1].unknown == 31 * MINUTE


def test_a_lone_reading_between_gaps_is_seen_though_it_lasted_nobody_knows_how_long() -> None:
    walk, whole = walked([(0, 5.0), (60, 20.0), (120, 5.0)], 125)
    assert whole.extremes == (5.0, 20.0)
    assert excursions(walk) == [(60, 60, "ABOVE", 20.0, 0.0, UNKNOWN, UNKNOWN)]
    assert 20.0 in walk.trace.high


def test_a_period_begins_and_ends_inside_an_excursion() -> None:
    values = [(-5, 9.0), (5, 9.5), (15, 5.0), (25, 1.0), (35, 1.0)]
    walk, whole = walked(values, 30)
    assert excursions(walk) == [
        (0, 15, "ABOVE", 9.5, pytest.approx(5 * 1.0 + 10 * 1.5), BEFORE, ""),
        (25, 30, "BELOW", 1.0, 5.0, "", AFTER),
    ]
    assert (whole.samples, whole.unknown) == (3, 0)


def test_a_sample_at_the_very_beginning_goes_on_with_what_was_before() -> None:
    walk, _ = walked([(-5, 9.0), (0, 9.5), (10, 5.0)], 20)
    assert excursions(walk)[0][5] == BEFORE
    walk, _ = walked([(-5, 5.0), (0, 9.5), (10, 5.0)], 20)
    assert excursions(walk)[0][5] == ""


def test_the_end_is_known_only_where_the_last_sample_is_near() -> None:
    assert walked([(0, 5.0)], 30)[1].unknown == 0
    assert walked([(0, 5.0)], 31)[1].unknown == 31 * MINUTE
    assert walked([(0, 5.0), (40, 5.0)], 30)[1].unknown == 30 * MINUTE


def test_without_a_sample_all_is_unknown() -> None:
    walk, whole = walked([], 60)
    assert (whole.unknown, whole.known, whole.extremes, whole.average, whole.kinetic) == (60 * MINUTE, 0, *[None] * 3)
    assert walk.gaps.listed() == [Gap(0, 60 * MINUTE)]


def test_a_sample_that_is_left_out_says_nothing_and_ends_what_was_before() -> None:
    values: list[tuple[int, float | None]] = [(0, 9.0), (10, None), (20, 9.0), (30, 5.0)]
    walk, whole = walked(values, 40)
    assert (whole.unknown, walk.silent, walk.gaps.count) == (10 * MINUTE, 0, 0)
    assert [one[:2] for one in excursions(walk)] == [(0, 10), (20, 30)]
    assert walk.left_out["quality bad"].count == 1


def test_of_many_the_longest_are_listed_and_all_are_counted() -> None:
    many: Longest[Excursion] = Longest(most=3)
    for n, length in enumerate([5, 1, 9, 1, 7, 3]):
        many.add(Excursion(n * 10, n * 10 + length, Side.ABOVE, 9.0, 1.0))
    assert [one.end - one.start for one in many.listed()] == [5, 9, 7]
    assert many.count == 6


def test_a_peak_of_one_sample_among_many_is_in_the_trace() -> None:
    samples = [(n, 50.0 if n == 77_777 else 5.0) for n in range(100_000)]
    walk, _ = walked(samples, 100_000)
    assert max(value for value in walk.trace.high if value is not None) == 50.0


def test_the_trace_has_each_value_for_all_the_time_it_stood() -> None:
    walk, _ = walked([(0, 5.0), (100, 9.0), (200, 5.0), (400, 5.0)], 600, gap=150)  # a column a minute
    assert walk.trace.low == [5.0] * 100 + [9.0] * 100 + [5.0] + [None] * 199 + [5.0] + [None] * 199
    assert walk.trace.high == walk.trace.low
    assert walk.trace.marks == [0] * 100 + [1] * 100 + [4] * 400


SAMPLES = st.lists(
    st.tuples(st.integers(1, 12), st.none() | st.sampled_from([0.0, 2.0, 5.0, 8.0, 9.0])), min_size=0, max_size=40
)


@given(SAMPLES, st.integers(-20, 30), st.integers(31, 120), st.integers(1, 8), st.integers(32, 119))
def test_as_counted_minute_by_minute(
    steps: list[tuple[int, float | None]], since: int, until: int, gap: int, edge: int
) -> None:
    values: list[tuple[int, float | None]] = []
    at = -10
    for step, value in steps:
        at += step
        values.append((at, value))
    inner = [edge] if edge < until else []
    before = [one for one in values if one[0] < since][-1:]
    after = [one for one in values if one[0] >= until][:1]
    inside = [one for one in values if since <= one[0] < until]
    walk, whole = walked([*before, *inside, *after], until, since, gap, inner)

    def minute(now: int) -> float | None:
        past = [one for one in values if one[0] <= now]
        later = [one[0] for one in values if one[0] > now]
        ends = later[0] if later else max(until, now)
        return past[-1][1] if past and ends - past[-1][0] <= gap else None

    stood = [minute(now) for now in range(since, until)]
    known = [value for value in stood if value is not None]
    assert whole.known == len(known) * MINUTE
    assert whole.unknown == (len(stood) - len(known)) * MINUTE
    assert whole.outside[Side.ABOVE] == sum(value > 8 for value in known) * MINUTE
    assert whole.outside[Side.BELOW] == sum(value < 2 for value in known) * MINUTE
    assert whole.average == (pytest.approx(sum(known) / len(known)) if known else None)
    seen = [*known, *(value for _, value in inside if value is not None)]
    assert whole.extremes == ((min(seen), max(seen)) if seen else None)
    listed = walk.excursions.found.listed()
    assert sum(one.end - one.start for one in listed) == sum(whole.outside.values())
    assert all(one.end <= other.start for one, other in pairwise(listed))
    assert sum(part.known + part.unknown for part in walk.parts) == (until - since) * MINUTE
    assert whole.samples == len(inside)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30), st.integers(1, 59))
def test_no_number_an_instrument_may_say_stops_a_report(values: list[float], edge: int) -> None:
    whole = walked(list(enumerate(values)), 60, gap=2, edges=(edge,))[1]
    assert whole.known + whole.unknown == 60 * MINUTE
    assert whole.extremes == ((min(values), max(values)) if values else None)
    told = [one for one in (whole.average, whole.spread, whole.kinetic) if one is not None]
    assert all(math.isfinite(one) for one in told)


@given(SAMPLES, st.integers(31, 120), st.integers(1, 8), st.integers(1, 30))
def test_two_periods_end_to_end_say_what_one_does(
    steps: list[tuple[int, float | None]], until: int, gap: int, cut: int
) -> None:
    values: list[tuple[int, float | None]] = []
    at = -3
    for step, value in steps:
        at += step
        values.append((at, value))
    # Where nothing came after it, an end is known otherwise than a middle.
    values.append((max(at, until) + 1, 5.0))

    def told(since: int, end: int) -> Tally:
        before = [one for one in values if one[0] < since][-1:]
        after = [one for one in values if one[0] >= end][:1]
        return walked([*before, *(one for one in values if since <= one[0] < end), *after], end, since, gap)[1]

    whole, first, second = told(0, until), told(0, cut), told(cut, until)
    first.add(second)
    assert (first.known, first.unknown, first.outside) == (whole.known, whole.unknown, whole.outside)
