"""Westgard's rules: the practice's worked cases, each rule just inside and just outside, and against a plain count."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.qc.westgard import RULES, USUAL, Form, History, Outcome, Point, Verdict, judge

ALL = tuple(RULES)
Given = tuple[str, str, float]  # level, run, z


def verdicts(points: Iterable[Given], rules: Sequence[str] = ALL, form: Form = "strict") -> list[Verdict]:
    history, found = History(), []
    for place, (level, run, z) in enumerate(points):
        history, verdict = judge(history, Point(place, str(place), level, run, z), rules, form=form)
        found.append(verdict)
    return found


def across(*zs: float) -> list[Given]:
    """One control, a run each."""
    return [("L1", f"run {place}", z) for place, z in enumerate(zs)]


def together(*zs: float) -> list[Given]:
    """A control each, one run."""
    return [(f"L{place + 1}", "run", z) for place, z in enumerate(zs)]


def last(points: Iterable[Given], rules: Sequence[str] = ALL, form: Form = "strict") -> set[str]:
    """The rules violated at the last point."""
    return {one.rule for one in verdicts(points, rules, form)[-1].violations}


TWO_LEVELS = [("L1", "a", 1.2), ("L2", "a", 1.1), ("L1", "b", 1.3), ("L2", "b", 1.4)]


@pytest.mark.parametrize(
    ("points", "violated"),
    [
        (across(0.4, -0.2, 1.1, 2.1, 2.3), {"1-2s", "2-2s", "3-1s"}),
        (together(2.2, -2.1), {"1-2s", "R-4s"}),
        (TWO_LEVELS, {"3-1s", "4-1s"}),
        (across(0.1, 0.5, 0.2, 0.9, 0.3, 0.4, 0.1, 0.2, 0.8, 0.6), {"6-x", "8-x", "9-x", "10-x"}),
        (across(0.1, 0.5, 0.2, 0.9, 0.3, 0.4, 0.1, 0.2, 0.8, 0.0), set()),
        (across(-1.2, -0.9, -0.5, -0.1, 0.3, 0.4, 0.9), {"7-T"}),
        (across(-1.2, -0.9, -0.5, -0.5, 0.3, 0.4, 0.9), set()),
        (together(2.1, 0.5, 2.4), {"1-2s", "2of3-2s"}),
        (together(2.1, 0.5, -2.4), {"1-2s", "R-4s"}),
    ],
)
def test_the_worked_cases(points: list[Given], violated: set[str]) -> None:
    assert last(points) == violated


def test_the_first_point_beyond_two_only_warns_and_the_second_rejects() -> None:
    outcomes = [one.outcome for one in verdicts(across(0.4, -0.2, 1.1, 2.1, 2.3), USUAL)]
    assert outcomes == ["accepted", "accepted", "accepted", "warning", "rejected"]


def side(count: int, at_last: float) -> list[Given]:
    return across(*[0.1] * (count - 1), at_last)


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("1-2s", across(2.0), across(2.0001)),
        ("1-2s", across(-2.0), across(-2.0001)),
        ("1-3s", across(3.0), across(3.0001)),
        ("1-3s", across(-3.0), across(-3.0001)),
        ("2-2s", across(2.1, 2.0), across(2.1, 2.0001)),
        ("2-2s", across(2.1, 0.0, 2.1), across(0.0, -2.1, -2.1)),
        ("2-2s", across(2.1, -2.1), across(-2.1, -2.1)),
        ("2-2s", together(2.0, 2.1), together(2.1, 2.1)),
        ("2-2s", [("L1", "a", 2.1), ("L2", "b", 2.1)], [("L1", "a", 2.1), ("L2", "a", 2.1)]),
        ("R-4s", together(2.0, -2.1), together(2.0001, -2.1)),
        ("R-4s", across(2.2, -2.1), together(-2.1, 0.0, 2.2)),  # not across runs
        ("2of3-2s", together(2.1, 0.5, 2.0), together(2.1, 0.5, 2.0001)),
        ("2of3-2s", together(2.1, 2.4), together(2.1, 2.4, 0.0)),
        ("3-1s", across(1.1, 1.1, 1.0), across(1.1, 1.1, 1.0001)),
        ("4-1s", across(1.1, 1.1, 1.1, 1.0), across(1.1, 1.1, 1.1, 1.0001)),
        ("4-1s", across(1.1, 1.1, -1.1, 1.1), across(-1.1, -1.1, -1.1, -1.1)),
        ("4-1s", [*TWO_LEVELS[:3], ("L2", "b", 0.9)], TWO_LEVELS),
        *((f"{count}-x", side(count, 0.0), side(count, 0.0001)) for count in (6, 8, 9, 10, 12)),
        *((f"{count}-x", side(count, -0.1), side(count, 0.1)) for count in (6, 8, 9, 10, 12)),
        *((f"{count}-x", side(count - 1, 0.1), side(count, 0.1)) for count in (6, 8, 9, 10, 12)),
        ("7-T", across(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), across(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        ("7-T", across(0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.7), across(0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)),
        ("7-T", [(f"L{n % 2}", "a", n / 10) for n in range(7)], [("L1", "a", n / 10) for n in range(7)]),
    ],
)
def test_just_inside_and_just_outside(rule: str, inside: list[Given], outside: list[Given]) -> None:
    assert rule not in last(inside)
    assert rule in last(outside)


def test_the_range_form_of_r_4s_is_another_rule() -> None:
    points = together(1.8, -2.3)
    assert "R-4s" not in last(points)
    assert "R-4s" in last(points, form="range")
    assert "R-4s" not in last(together(2.0, -2.0), form="range")


def test_a_violation_names_the_points_it_rests_on() -> None:
    (violation,) = verdicts(across(0.0, 2.1, 2.2), ["2-2s"])[-1].violations
    assert (violation.points, violation.began) == (("1", "2"), "2")


def test_a_stretch_that_goes_on_is_one_violation_and_still_rejects() -> None:
    found = verdicts(across(*[0.5] * 14), ["10-x"])
    violations = [one for verdict in found for one in verdict.violations]
    assert [one.new for one in violations] == [True, False, False, False, False]
    assert {one.began for one in violations} == {"9"}
    assert found[-1].outcome is Outcome.REJECTED


def test_after_a_corrective_action_the_count_begins_anew() -> None:
    history = History()
    for place in range(10):
        history, verdict = judge(history, Point(place, str(place), "L1", str(place), 0.5), ["10-x"])
    assert verdict.outcome is Outcome.REJECTED
    history = History()
    for place in range(10, 20):
        history, verdict = judge(history, Point(place, str(place), "L1", str(place), 0.5), ["10-x"])
        assert bool(verdict.violations) == (place == 19)


def test_two_stretches_are_two_violations() -> None:
    found = verdicts(across(2.1, 2.2, 0.0, 2.1, 2.2, 2.3), ["2-2s"])
    assert [one.new for verdict in found for one in verdict.violations] == [True, True, False]


def test_a_violation_goes_on_over_points_between_that_do_not_belong_to_it() -> None:
    found = verdicts(together(2.2, -2.1, 0.1, -2.3), ["R-4s"])
    assert [one.new for verdict in found for one in verdict.violations] == [True, False]
    assert {one.began for verdict in found for one in verdict.violations} == {"1"}


def test_a_rule_may_be_told_only_to_warn() -> None:
    history, _ = judge(History(), Point(0, "a", "L1", "a", 2.1), ["2-2s"])
    _, verdict = judge(history, Point(1, "b", "L1", "b", 2.1), ["2-2s"], warn=["2-2s"])
    assert verdict.outcome is Outcome.WARNING


def test_a_point_that_comes_late_is_judged_by_those_before_it() -> None:
    history = History()
    for time, z in ((10, 2.1), (30, 0.0)):
        history, _ = judge(history, Point(time, str(time), "L1", str(time), z))
    _, late = judge(history, Point(20, "20", "L1", "20", 2.2))
    assert [one.rule for one in late.violations] == ["1-2s", "2-2s"]


# ---- a reference written another way: counters that go up and fall back, nothing looked back on


class Counters:
    """Streaks, by name of what is counted."""

    def __init__(self) -> None:
        self.streaks: dict[tuple[str, ...], int] = defaultdict(int)
        self.latest: dict[str, float] = {}
        self.runs: dict[str, list[float]] = defaultdict(list)

    def _streak(self, *key: str, goes_on: bool) -> int:
        self.streaks[key] = self.streaks[key] + 1 if goes_on else 0
        return self.streaks[key]

    def add(self, level: str, run: str, z: float, form: Form) -> set[str]:
        found = set()
        in_run = self.runs[run]
        for sign, name in ((1.0, "high"), (-1.0, "low")):
            far = z * sign
            longest = {
                limit: max(self._streak(name, str(limit), chain, goes_on=far > limit) for chain in (f"of {level}", "*"))
                for limit in (0, 1)
            }
            same = self._streak(name, "2", f"of {level}", goes_on=far > 2)
            with_run = self._streak(name, "2", f"in {run}", goes_on=far > 2)
            found |= {f"{n}-x" for n in (6, 8, 9, 10, 12) if longest[0] >= n}
            found |= {f"{n}-1s" for n in (3, 4) if longest[1] >= n}
            found |= {"2-2s"} if max(same, with_run) >= 2 else set()
            found |= {"1-2s"} if far > 2 else set()
            found |= {"1-3s"} if far > 3 else set()
            rising = level in self.latest and far > self.latest[level] * sign
            found |= {"7-T"} if self._streak(name, "trend", level, goes_on=rising) >= 6 else set()
            three = [*in_run, z][-3:]
            found |= {"2of3-2s"} if len(three) == 3 and sum(one * sign > 2 for one in three) >= 2 else set()
            if form == "strict":
                found |= {"R-4s"} if far > 2 and any(one * sign < -2 for one in in_run) else set()
        if form == "range" and in_run and max(z - min(in_run), max(in_run) - z) > 4:
            found.add("R-4s")
        self.latest[level] = z
        in_run.append(z)
        return found


SOME_Z = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 1.5, -1.5, 2.5, -2.5, 3.5]),
    st.floats(-4, 4, allow_nan=False),
    st.floats(0.5, 1.5),
)


@given(
    st.lists(st.tuples(st.sampled_from(["L1", "L2", "L3"]), st.booleans(), SOME_Z), max_size=90),
    st.sampled_from(["strict", "range"]),
)
def test_the_same_as_counting(given_points: list[tuple[str, bool, float]], form: Form) -> None:
    counters, run = Counters(), 0
    history = History()
    for place, (level, begins, z) in enumerate(given_points):
        run += begins or place % 30 == 0
        wanted = counters.add(level, str(run), z, form)
        history, verdict = judge(history, Point(place, str(place), level, str(run), z), ALL, form=form)
        assert {one.rule for one in verdict.violations} == wanted
        rejects = any(not RULES[rule].warns for rule in wanted)
        assert verdict.outcome == ("rejected" if rejects else "warning" if wanted else "accepted")
    assert len(history.points) <= 48 + 3 * 12


@given(st.lists(SOME_Z, max_size=60))
def test_each_stretch_raises_once(zs: list[float]) -> None:
    """Of one control, a rule that looks back is new exactly where it did not hold at the point before, or where what
    it rests on is all later than what it rested on then."""
    held: dict[str, set[str]] = {}
    for verdict in verdicts(across(*zs)):
        now = {one.rule: one for one in verdict.violations}
        for rule, one in now.items():
            assert one.new == held.get(rule, set()).isdisjoint(one.points)
        held = {rule: set(one.points) for rule, one in now.items()}


@pytest.mark.parametrize(
    ("rule", "controls", "share"),
    [("1-2s", 1, 0.0455), ("1-2s", 2, 0.0889), ("1-3s", 2, 0.0054), ("1-3s", 1, 0.0027)],
)
def test_false_alarms_of_an_instrument_that_is_right_are_those_of_the_normal_distribution(
    rule: str, controls: int, share: float
) -> None:
    """Runs of which one control or more violates the rule: 1 - (1 - p)^controls."""
    drawn = random.Random(7)
    runs, alarms = 20_000, 0
    for run in range(runs):
        history = History()
        found = False
        for level in range(controls):
            point = Point(level, f"{run}.{level}", str(level), str(run), drawn.gauss(0, 1))
            history, verdict = judge(history, point, [rule])
            found |= bool(verdict.violations)
        alarms += found
    assert alarms / runs == pytest.approx(share, abs=4 * (share / runs) ** 0.5)
