"""Westgard's multirules over control points in standard deviations. Pure; the state is a value.

A point beyond a limit is strictly greater; equality violates nothing, a tie ends a trend, and 0.0 lies on no side of
the mean. Which points a rule looks at (Westgard, multirule QC): `level`, the same control across runs; `run`, all
controls measured together; `all`, every control of the test in order of time. Random error (R-4s) shows only inside
one run.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, Literal, NamedTuple

DEEPEST: Final = 12  # points of one control any rule looks back on
LONGEST_RUN: Final = 48  # points of all controls that are remembered: as many are compared inside one run

Form = Literal["strict", "range"]
"""Of R-4s. strict: one above +2 and another below -2; range: two more than 4 apart."""


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    WARNING = "warning"
    REJECTED = "rejected"


class Point(NamedTuple):
    """One measurement of a control."""

    time: int  # any unit; points are in its order
    id: str
    level: str  # which control
    run: str
    z: float  # (value - target) / SD, finite


@dataclass(frozen=True, slots=True)
class Rule:
    """At least `need` of the last `count` points beyond `beyond` SD on one side, or a `shape` of its own."""

    count: int
    beyond: float = 0.0
    chains: tuple[str, ...] = ("level",)
    need: int = 0  # 0: all of them
    shape: Literal["side", "range", "trend"] = "side"
    warns: bool = False  # by itself rejects nothing


RULES: Final[Mapping[str, Rule]] = {
    "1-2s": Rule(1, 2.0, warns=True),
    "1-3s": Rule(1, 3.0),
    "2-2s": Rule(2, 2.0, ("level", "run")),
    "R-4s": Rule(LONGEST_RUN, 2.0, ("run",), shape="range"),
    "2of3-2s": Rule(3, 2.0, ("run",), need=2),
    "3-1s": Rule(3, 1.0, ("level", "all")),
    "4-1s": Rule(4, 1.0, ("level", "all")),
    **{f"{count}-x": Rule(count, 0.0, ("level", "all")) for count in (6, 8, 9, 10, 12)},
    "7-T": Rule(7, shape="trend", warns=True),
}
USUAL: Final = ("1-2s", "1-3s", "2-2s", "R-4s", "4-1s", "10-x")


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule, and the points it rests on. `began` is the point at which this instance was violated first: a stretch
    that goes on is the same violation, not another."""

    rule: str
    points: tuple[str, ...]
    began: str
    new: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What rules look back on since the last corrective action; an empty one begins the counters anew."""

    points: tuple[Point, ...] = ()  # in order of time
    running: tuple[Violation, ...] = ()


def judge(
    history: History,
    point: Point,
    rules: Collection[str] = USUAL,
    *,
    form: Form = "strict",
    warn: Collection[str] = (),
) -> tuple[History, Verdict]:
    """The verdict on one more point, and what to remember. A point older than the last is judged by those before it.

    `warn`: rules that only warn, besides those that always do. Errors: KeyError (no such rule).
    """
    points = list(history.points)
    insort(points, point)
    before = points[: points.index(point) + 1]
    chains = {
        "level": [one for one in before if one.level == point.level],
        "run": [one for one in before if one.run == point.run],
        "all": before,
    }
    found = []
    outcome = Outcome.ACCEPTED
    for name in rules:
        rule = RULES[name]
        rests_on = next(filter(None, (_violated(rule, chains[chain], form) for chain in rule.chains)), ())
        if rests_on:
            found.append(_instance(name, rests_on, point, history.running))
            warns = rule.warns or name in warn
            outcome = Outcome.WARNING if warns and outcome is not Outcome.REJECTED else Outcome.REJECTED
    return _remembered(points, history.running, found), Verdict(outcome, tuple(found))


def _violated(rule: Rule, chain: Sequence[Point], form: Form) -> Sequence[Point]:
    """The points a violation by the chain's last point rests on; () where there is none."""
    window = chain[-rule.count :]
    if rule.shape == "range":
        return _apart(window, rule.beyond, form)
    if len(window) < rule.count:
        return ()
    if rule.shape == "trend":
        steps = [later.z - earlier.z for earlier, later in pairwise(window)]
        return window if all(step > 0 for step in steps) or all(step < 0 for step in steps) else ()
    for side in (1, -1):
        beyond = [one for one in window if side * one.z > rule.beyond]
        if len(beyond) >= (rule.need or rule.count):
            return beyond
    return ()


def _apart(run: Sequence[Point], beyond: float, form: Form) -> Sequence[Point]:
    *others, last = run
    if form == "range":
        far = [one for one in others if abs(one.z - last.z) > 2 * beyond]
    elif abs(last.z) > beyond:
        far = [one for one in others if (one.z < -beyond if last.z > 0 else one.z > beyond)]
    else:
        far = []
    return [*far, last] if far else ()


def _instance(name: str, rests_on: Sequence[Point], point: Point, running: Sequence[Violation]) -> Violation:
    """It goes on where it shares a point with one that was."""
    ids = tuple(one.id for one in rests_on)
    for earlier in running:
        if earlier.rule == name and not set(ids).isdisjoint(earlier.points):
            return Violation(name, ids, earlier.began, new=False)
    return Violation(name, ids, point.id)


def _remembered(points: list[Point], running: Sequence[Violation], found: Sequence[Violation]) -> History:
    counts: Counter[str] = Counter()
    kept = []
    for place, one in enumerate(reversed(points)):
        counts[one.level] += 1
        if place < LONGEST_RUN or counts[one.level] <= DEEPEST:
            kept.append(one)
    kept.reverse()
    ids = {one.id for one in kept}
    followed = {(one.rule, one.began) for one in found}
    still = [one for one in running if (one.rule, one.began) not in followed and not ids.isdisjoint(one.points)]
    # What one point alone violates does not go on.
    return History(tuple(kept), (*still, *(one for one in found if RULES[one.rule].count > 1)))
