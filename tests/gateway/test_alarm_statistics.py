"""What the alarm system is measured by, each figure just inside and just outside."""

from __future__ import annotations

import pytest

from gateway.alarms.statistics import Entry, Statistics, statistics

DAY = 86_400.0


def rings(*times: float, alarm: str = "warm", lasting: float = 300.0, priority: str = "low") -> list[Entry]:
    found = [Entry(alarm, "raised", at, priority=priority) for at in times]
    found += [Entry(alarm, "cleared", at + lasting) for at in times]
    return sorted(found, key=lambda one: one.at)


def over(entries: list[Entry], until: float = DAY) -> Statistics:
    return statistics(sorted(entries, key=lambda one: one.at), 0.0, until)


def failed(found: Statistics) -> set[str]:
    return {what for what, ok, _ in found.verdicts() if not ok}


def test_an_alarm_in_ten_minutes_is_acceptable_and_more_is_not() -> None:
    calm = over(rings(*(600.0 * n for n in range(99))), 600.0 * 99)
    assert (calm.raised, calm.per_ten_minutes, calm.per_hour) == (99, 1.0, 6.0)
    assert failed(calm) == set()
    assert failed(over(rings(*(590.0 * n for n in range(99))), 590.0 * 99)) == {"alarms in ten minutes"}


@pytest.mark.parametrize(("count", "flood"), [(10, 0.0), (11, 1.0)])
def test_more_than_ten_in_ten_minutes_is_a_flood(count: int, flood: float) -> None:
    found = over([one for n in range(count) for one in rings(n * 10.0, alarm=f"a{n}")])
    assert found.peak == count
    # It begins with the eleventh and ends when the fifth newest is ten minutes old.
    assert found.flood_share * DAY == pytest.approx(flood * ((count - 5) * 10.0 + 600.0 - (count - 1) * 10.0))


def test_two_floods_are_counted_apart_and_one_that_lasts_is_cut_at_the_end() -> None:
    first = [one for n in range(11) for one in rings(n * 10.0, alarm=f"a{n}")]
    second = [one for n in range(11) for one in rings(3600.0 + n * 10.0, alarm=f"b{n}")]
    assert over(first + second).flood_share * DAY == pytest.approx(2 * 560.0)
    assert over(first, 200.0).flood_share * 200.0 == pytest.approx(100.0)


def test_chattering_fleeting_and_standing_alarms_are_named() -> None:
    chatter = rings(10.0, 40.0, alarm="chatter", lasting=20.0)
    slow = rings(10.0, 90.0, alarm="slow", lasting=45.0)
    standing = [Entry("stands", "raised", 100.0)]
    found = over(chatter + slow + standing, 100.0 + DAY + 1.0)
    assert found.chattering == ["chatter"]
    assert found.fleeting == 4
    assert found.standing == ["stands"]
    assert over(standing, 100.0 + DAY).standing == []


def test_what_was_before_the_period_only_tells_what_stands() -> None:
    found = statistics([Entry("old", "raised", 1.0), Entry("new", "raised", 2 * DAY)], DAY, 3 * DAY)
    assert (found.raised, found.standing, found.unanswered) == (1, ["old"], ["old", "new"])


def test_answers_priorities_and_the_worst() -> None:
    entries = [one for n in range(80) for one in rings(n * 1000.0, alarm="worst")]
    entries += [one for n in range(20) for one in rings(n * 900.0 + 7, alarm=f"a{n}", priority="high")]
    entries.append(Entry("worst", "acknowledged", 79_030.0, by="op7"))
    found = over(entries)
    assert found.answered_within == 30.0
    assert found.priorities == {"low": 0.8, "high": 0.2}
    assert found.worst[0] == ("worst", 80)
    assert "the ten worst together" in failed(found)
    assert "worst" not in found.unanswered
