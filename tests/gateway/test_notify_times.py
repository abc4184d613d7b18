"""When people are told: quiet hours, shifts, the weekly test, and nights in which the clock is changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.notify.message import PATH_TEST
from gateway.notify.options import AlarmTest, Hours
from tests.gateway.notify_lab import PEOPLE, START, Lab, moment

BERLIN, KARACHI = "Europe/Berlin", "Asia/Karachi"


# ---- quiet hours and duty


QUIET = """
[[notifiers]]
id = "oncall"
type = "log"
quiet = { from = "22:00", until = "07:00", timezone = "Asia/Karachi", except = ["critical"] }
"""


def night(at: str = "2026-03-02 23:00") -> Lab:
    return Lab(QUIET, moment(at, KARACHI))


def test_in_quiet_hours_only_the_gravest_is_told_and_the_rest_in_the_morning_if_it_is_still_true() -> None:
    lab = night()
    lab.rise("warm", remind="10m")
    lab.rise("dying", priority="critical")
    lab.rise("passing")
    lab.wait(60)
    lab.fall("passing")
    lab.until(moment("2026-03-03 06:59", KARACHI))
    assert [title.split()[2] for title in lab.titles("oncall")] == ["dying"]
    lab.until(moment("2026-03-03 07:01", KARACHI))
    assert lab.titles("oncall")[1:] == ["HIGH still on: warm freezer-3 temperature"]
    assert lab.actions()["notify.suppressed"] == 2


def test_what_was_told_before_the_quiet_hours_and_went_in_them_is_told_in_the_morning() -> None:
    lab = night("2026-03-02 21:50")
    lab.rise()
    lab.until(moment("2026-03-03 01:00", KARACHI))
    lab.fall()
    lab.until(moment("2026-03-03 07:01", KARACHI))
    assert [title.split()[1] for title in lab.titles("oncall")] == ["raised:", "cleared:"]


def test_what_came_and_went_again_in_the_quiet_hours_is_told_as_cleared_to_whoever_knew_of_it() -> None:
    lab = night("2026-03-02 21:50")
    lab.rise()
    lab.wait(60)
    lab.acknowledge()
    for hour in (23, 24):
        lab.until(moment(f"2026-03-0{2 + hour // 24} {hour % 24:02}:00", KARACHI))
        lab.fall()
        lab.wait(60)
        if hour == 23:
            lab.rise()
            lab.wait(60)
    lab.until(moment("2026-03-03 07:01", KARACHI))
    assert [title.split()[1] for title in lab.titles("oncall")] == ["raised:", "cleared:"]


def test_what_could_not_be_delivered_before_the_quiet_hours_waits_for_their_end() -> None:
    lab = night("2026-03-02 21:50")
    lab.reachable = False
    lab.rise()
    lab.until(moment("2026-03-02 22:10", KARACHI))
    lab.reachable = True
    lab.until(moment("2026-03-03 06:59", KARACHI))
    assert lab.titles("oncall") == []
    lab.until(moment("2026-03-03 07:01", KARACHI))
    assert [title.split()[1] for title in lab.titles("oncall")] == ["still"]


def test_what_was_over_before_anybody_could_be_told_of_it_wakes_nobody_and_is_no_news_in_the_morning() -> None:
    lab = night("2026-03-02 21:50")
    lab.reachable = False
    lab.rise()
    lab.wait(60)
    lab.fall()
    lab.until(moment("2026-03-02 22:10", KARACHI))
    lab.reachable = True
    lab.until(moment("2026-03-03 07:01", KARACHI))
    assert lab.titles("oncall") == []


def test_a_shelved_alarm_is_not_told_in_the_morning() -> None:
    lab = night()
    lab.rise()
    lab.wait(60)
    lab.shelve()
    lab.until(moment("2026-03-03 07:01", KARACHI))
    assert lab.titles("oncall") == []


SHIFTS = """
[[notifiers]]
id = "day"
type = "log"
hours = { from = "07:00", until = "19:00", timezone = "Europe/Berlin" }
[[notifiers]]
id = "night"
type = "log"
hours = { from = "19:00", until = "07:00", timezone = "Europe/Berlin", days = ["mon", "tue", "wed", "thu"] }
[[notifiers]]
id = "wall"
type = "log"
"""


def test_an_alarm_goes_to_who_is_on_duty_and_the_next_shift_hears_what_is_still_on() -> None:
    lab = Lab(SHIFTS, moment("2026-03-02 18:30", BERLIN))
    lab.rise("warm", notify=["day", "night", "wall"])
    lab.rise("passing", notify=["day", "night", "wall"])
    lab.wait(60)
    lab.fall("passing")
    assert (len(lab.heard["day"]), len(lab.heard["night"]), len(lab.heard["wall"])) == (1, 0, 1)
    lab.until(moment("2026-03-02 19:01", BERLIN))
    assert lab.titles("night") == ["HIGH still on: warm freezer-3 temperature"]


def test_when_nobody_is_on_duty_all_are_told() -> None:
    lab = Lab(SHIFTS, moment("2026-03-07 23:00", BERLIN))  # a Saturday night
    lab.rise(notify=["day", "night", "wall"])
    lab.wait(10)
    assert [len(lab.heard[name]) for name in ("day", "night", "wall")] == [1, 1, 1]


def hours(**given: Any) -> Hours:
    return Hours.model_validate({"timezone": BERLIN, **given})


@pytest.mark.parametrize(
    ("at", "fold", "inside"),
    [
        ("2026-03-29 01:59", 0, True),
        ("2026-03-29 03:00", 0, False),  # the first minute after 01:59: the clock is put on
        ("2026-10-25 02:30", 0, True),
        ("2026-10-25 02:30", 1, True),  # the hour comes twice
        ("2026-10-25 03:00", 0, False),
        ("2026-10-24 21:59", 0, False),
        ("2026-10-24 22:00", 0, True),
    ],
)
def test_hours_follow_the_wall_clock_in_nights_with_a_clock_change(at: str, fold: int, inside: bool) -> None:
    assert hours(**{"from": "22:00", "until": "03:00"}).covers(moment(at, BERLIN, fold)) is inside


def test_a_night_belongs_to_the_day_it_began_on() -> None:
    friday = hours(**{"from": "19:00", "until": "07:00", "days": ["Friday"]})
    assert friday.covers(moment("2026-03-07 06:59", BERLIN)), "Saturday morning"
    assert not friday.covers(moment("2026-03-06 06:59", BERLIN)), "Friday morning"
    assert hours(**{"from": "07:00", "until": "07:00", "days": ["sat"]}).covers(moment("2026-03-08 06:59", BERLIN))


# ---- the weekly test


TESTED = PEOPLE + '[alarm_test]\nat = "Mon 09:00"\ntimezone = "Europe/Berlin"\nnotify = ["oncall"]\n'


class Weekly(Lab):
    """Its alarm follows the test as the engine lets it."""

    def look(self) -> None:
        super().look()
        on, _ = self.dispatch.path_test
        view = self.open.get(PATH_TEST, (None, None))[0]
        if on and (view is None or view.cleared):
            self.rise(PATH_TEST)
        elif not on and view is not None and view.cleared is None:
            self.fall(PATH_TEST)


def test_the_weekly_test_is_sent_and_who_answers_is_kept() -> None:
    lab = Weekly(TESTED, moment("2026-03-01 12:00", BERLIN))
    lab.until(moment("2026-03-02 08:59", BERLIN))
    assert lab.titles("oncall") == [], "nothing is sent at the first start"
    lab.until(moment("2026-03-02 09:05", BERLIN))
    assert len(lab.heard["oncall"]) == 1
    lab.acknowledge(PATH_TEST, "dr-khan")
    lab.until(moment("2026-03-02 12:00", BERLIN))
    assert len(lab.heard["oncall"]) == 1, "nobody is told that it is over"
    kept = {action: details for action, details in lab.kept if action.startswith("test.")}
    assert kept["test.sent"]["notifier"] == "oncall"
    assert kept["test.answered"]["by"] == "dr-khan"
    assert kept["test.answered"]["in_time"]
    assert "test.unanswered" not in kept
    lab.until(moment("2026-03-09 09:05", BERLIN), 600)
    assert len(lab.heard["oncall"]) == 2


def test_a_weekly_test_that_nobody_answers_is_said_so_and_the_next_is_sent_all_the_same() -> None:
    lab = Weekly(TESTED, moment("2026-03-01 12:00", BERLIN))
    lab.until(moment("2026-03-02 10:05", BERLIN))
    assert lab.actions()["test.unanswered"] == 1
    assert lab.titles("oncall")[-1].startswith("HIGH not answered")
    lab.until(moment("2026-03-09 09:05", BERLIN), 600)
    lab.wait(5)
    assert lab.titles("oncall")[-1].startswith("HIGH raised")
    lab.acknowledge(PATH_TEST)
    lab.look()
    assert lab.actions()["test.answered"] == 1


def test_a_clock_that_is_put_back_leaves_no_test_without_an_answer_unnoticed() -> None:
    lab = Weekly(TESTED, moment("2026-03-01 12:00", BERLIN))
    lab.until(moment("2026-03-02 09:05", BERLIN))
    lab.now -= 2 * 86_400
    lab.wait(2 * 3600, 30)
    assert lab.actions()["test.unanswered"] == 1


def test_tests_that_were_missed_are_made_up_for_once() -> None:
    lab = Weekly(TESTED, moment("2026-03-01 12:00", BERLIN))
    lab.wait(10)
    lab.restart()
    lab.now = moment("2026-03-18 11:00", BERLIN)  # two Mondays later
    lab.wait(60)
    lab.acknowledge(PATH_TEST)
    lab.restart()
    lab.until(moment("2026-03-22 11:00", BERLIN), 600)
    assert len(lab.heard["oncall"]) == 1
    assert lab.actions()["test.sent"] == 1


@pytest.mark.parametrize(
    ("at", "now", "due"),
    [
        ("Sun 02:30", "2026-03-29 12:00", "2026-03-29 01:30"),  # 02:30 is skipped: half an hour into the new time
        ("Sun 02:30", "2026-10-25 12:00", "2026-10-25 00:30"),  # it comes twice: the first
        ("Mon 09:00", "2026-03-30 06:59", "2026-03-23 08:00"),
        ("Mon 09:00", "2026-03-30 07:00", "2026-03-30 07:00"),
    ],
)
def test_the_test_is_due_once_a_week_on_a_clock_that_is_changed(at: str, now: str, due: str) -> None:
    options = AlarmTest.model_validate({"at": at, "timezone": BERLIN, "notify": ["x"]})
    assert options.latest(moment(now)) == moment(due)


@settings(deadline=None)
@given(st.integers(0, 366 * 86_400))
def test_a_week_has_one_test_whenever_one_looks(offset: int) -> None:
    options = AlarmTest.model_validate({"at": "sunday 02:30", "timezone": BERLIN, "notify": ["x"]})
    now = START + offset
    due = options.latest(now)
    assert due <= now < due + 7 * 86_400 + 3600
    assert options.latest(due) == due
