"""Who is told, of what and when, on a clock of the test's own: hours, escalation, floods, restarts at any moment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import Transition
from gateway.alarms.view import AlarmView
from gateway.config import ConfigError, parse
from gateway.notify.dispatch import Dispatch
from gateway.notify.message import MOST_TEXT, MOST_TITLE, PATH_TEST, Message, What, compose
from gateway.notify.options import AlarmTest, Hours
from gateway.notify.outbox import GATHER, MOST_WAITING

BERLIN, KARACHI = "Europe/Berlin", "Asia/Karachi"
PEOPLE = """
[[notifiers]]
id = "oncall"
type = "log"
[[notifiers]]
id = "chief"
type = "log"
"""


def moment(written: str, zone: str = "UTC", fold: int = 0) -> float:
    """Unix seconds of a wall clock's time."""
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


START = moment("2026-03-02 12:00")  # a Monday


def rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


class Lab:
    """Alarms that come and go, and what people hear of them; `reachable`: whether messages arrive."""

    def __init__(self, config: str = PEOPLE, now: float = START) -> None:
        self._config = parse(config)
        self.dispatch = Dispatch(self._config, {})
        self.now = now
        self.reachable = True
        self.heard: dict[str, list[Message]] = {one.id: [] for one in self._config.notifiers}
        self.open: dict[str, tuple[AlarmView, AlarmOptions]] = {}
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self.dispatch.tick(now, [])

    def options(self, name: str, **more: Any) -> AlarmOptions:
        given = {"id": name, "when": {"above": 1.0}, "notify": ["oncall"], "priority": "high"} | more
        return AlarmOptions.model_validate(given)

    def rise(self, name: str = "warm", **more: Any) -> None:
        options = self.options(name, **more)
        view = AlarmView(
            id=name, alarm=name, device="freezer-3", quantity="temperature", state="unacknowledged",
            priority=str(options.priority), title=options.title or name,
            text=options.text or "Move the samples.", raised=rfc3339(self.now),
            cleared=None, acknowledged_at=None, acknowledged_by="", comment="", shelved_until=None,
            **{field: "" for field in AlarmView.__dataclass_fields__ if field in ("shelved_by", "aside_by")},
            **_further(), value=-60.0, limit=-70.0, explanation="-60 is above -70",
        )  # fmt: skip
        self.open[name] = (view, options)
        self.dispatch.moved(view, options, Transition.RAISED, self.now)

    def fall(self, name: str = "warm") -> None:
        view, options = self.open[name]
        state = "normal" if view.acknowledged_at else "returned-unacknowledged"
        view = replace(view, state=state, cleared=rfc3339(self.now))
        self.open[name] = (view, options)
        if state == "normal":
            del self.open[name]
        self.dispatch.moved(view, options, Transition.CLEARED, self.now)

    def acknowledge(self, name: str = "warm", by: str = "op7") -> None:
        view, options = self.open[name]
        state = "normal" if view.cleared else "acknowledged"
        view = replace(view, state=state, acknowledged_at=rfc3339(self.now), acknowledged_by=by)
        self.open[name] = (view, options)
        if state == "normal":
            del self.open[name]
        self.dispatch.moved(view, options, Transition.ACKNOWLEDGED, self.now)

    def shelve(self, name: str = "warm") -> None:
        view, options = self.open[name]
        self.open[name] = (replace(view, state="shelved"), options)
        self.dispatch.moved(self.open[name][0], options, Transition.SHELVED, self.now)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            self.look()

    def until(self, at: float, step: float = 30.0) -> None:
        self.wait(at - self.now, step)

    def look(self) -> None:
        """One tick, and deliveries."""
        self.dispatch.tick(self.now, list(self.open.values()))
        for name, box in self.dispatch.outboxes.items():
            while self.reachable and (batch := box.due(self.now)):
                note = box.note
                self.heard[name].append(compose(batch, note))
                self.dispatch.delivered(name, batch, note, 1)
        self.kept += self.dispatch.records
        self.dispatch.records.clear()

    def restart(self) -> None:
        self.dispatch = Dispatch(self._config, orjson.loads(orjson.dumps(self.dispatch.dump())))

    def titles(self, name: str) -> list[str]:
        return [message.title for message in self.heard[name]]

    def actions(self) -> Counter[str]:
        return Counter(action for action, _ in self.kept)


def _further() -> dict[str, Any]:
    """Whatever else a view may have, empty."""
    known = {
        "id", "alarm", "device", "quantity", "state", "priority", "title", "text", "raised", "cleared",
        "acknowledged_at", "acknowledged_by", "comment", "shelved_until", "value", "limit", "explanation",
        "shelved_by", "aside_by",
    }  # fmt: skip
    return {name: "" for name in AlarmView.__dataclass_fields__ if name not in known}


def test_an_alarm_is_told_once_when_it_comes_and_once_when_it_goes() -> None:
    lab = Lab()
    lab.rise()
    lab.wait(60)
    lab.fall()
    lab.wait(60)
    assert lab.titles("oncall") == [
        "HIGH raised: warm freezer-3 temperature", "HIGH cleared: warm freezer-3 temperature",
    ]  # fmt: skip
    assert lab.heard["oncall"][0].text == "-60 is above -70 Move the samples."
    assert lab.titles("chief") == []
    assert lab.actions()["notify.delivered"] == 2


def test_what_comes_within_a_moment_is_one_message() -> None:
    lab = Lab()
    lab.rise("warm-1")
    lab.rise("warm-2", priority="critical")
    lab.wait(1)
    lab.rise("warm-3", priority="low")
    lab.wait(10)
    assert [title.split(":")[0] for title in lab.titles("oncall")] == ["2 alarms, CRITICAL raised", "LOW raised"]


def test_what_was_told_before_a_restart_is_not_told_again() -> None:
    lab = Lab()
    lab.rise()
    lab.wait(5)
    lab.restart()
    view, options = lab.open["warm"]
    lab.dispatch.moved(view, options, Transition.RAISED, lab.now)  # the engine has read the backlog
    lab.wait(60)
    assert len(lab.heard["oncall"]) == 1


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=5000))
@example("a\r\nBcc: x", "\x1b[2J\x00\u2028\ud800")
def test_whatever_an_instrument_sends_no_control_character_reaches_anybody(title: str, text: str) -> None:
    lab = Lab()
    lab.rise(title=title, text=text)
    lab.wait(5)
    (message,) = lab.heard["oncall"]
    controls = {*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u2029"}
    assert not controls & set(message.title)
    assert not (controls - {"\n"}) & set(message.text)
    assert message.text.encode()
    assert len(message.title) <= MOST_TITLE
    assert len(message.text) <= MOST_TEXT


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
    lab.rise("warm")
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


# ---- escalation and reminders


STEPS = [{"after": "10m", "notify": ["chief"]}]


def test_nobody_acknowledges_and_the_next_group_is_told_once() -> None:
    lab = Lab()
    lab.rise(escalate=STEPS)
    lab.wait(599)
    assert lab.titles("chief") == []
    lab.wait(3600, 10)
    assert lab.titles("chief") == ["HIGH not acknowledged: warm freezer-3 temperature"]
    assert [(one["notifier"], one["what"]) for action, one in lab.kept if action == "notify.delivered"] == [
        ("oncall", ["raised"]), ("chief", ["not acknowledged"]),
    ]  # fmt: skip


def test_an_acknowledgement_stops_the_escalation() -> None:
    lab = Lab()
    lab.rise(escalate=STEPS)
    lab.wait(599)
    lab.acknowledge()
    lab.wait(3600, 10)
    assert lab.titles("chief") == []


def test_who_was_to_be_told_next_but_could_not_be_is_not_told_after_an_acknowledgement() -> None:
    lab = Lab()
    lab.rise(escalate=STEPS, remind="30m")
    lab.wait(60)
    lab.reachable = False
    lab.wait(2400, 10)
    lab.acknowledge()
    lab.reachable = True
    lab.wait(60)
    assert (len(lab.heard["oncall"]), lab.titles("chief")) == (1, [])


def test_that_the_alarm_went_by_itself_does_not_stop_the_escalation() -> None:
    lab = Lab()
    lab.rise(escalate=STEPS)
    lab.wait(60)
    lab.fall()
    lab.wait(600)
    assert len(lab.heard["chief"]) == 1


def test_an_alarm_that_chatters_does_not_put_the_escalation_off() -> None:
    lab = Lab()
    for _ in range(21):
        lab.rise(escalate=STEPS)
        lab.wait(15)
        lab.fall()
        lab.wait(15)
    assert len([title for title in lab.titles("chief") if "not acknowledged" in title]) == 1


def test_a_reminder_goes_to_the_same_people_until_somebody_acknowledges() -> None:
    lab = Lab()
    lab.rise(escalate=STEPS, remind="30m")
    lab.wait(35 * 60, 5)
    assert len(lab.heard["oncall"]) == 1, "half an hour after somebody was last told"
    lab.wait(6 * 60, 5)
    assert [title.split(":")[0] for title in lab.titles("oncall")] == ["HIGH raised", "HIGH still on"]
    assert [title.split(":")[0] for title in lab.titles("chief")] == ["HIGH not acknowledged", "HIGH still on"]
    lab.acknowledge()
    lab.wait(7200, 30)
    assert len(lab.heard["oncall"]) == 2


def test_steps_are_taken_in_the_order_of_their_times_however_they_are_written() -> None:
    lab = Lab()
    lab.rise(escalate=[{"after": "20m", "notify": ["chief"]}, {"after": "5m", "notify": ["oncall"]}])
    lab.wait(301)
    lab.wait(3)
    assert (len(lab.heard["oncall"]), len(lab.heard["chief"])) == (2, 0)


# ---- a sounder


def test_a_sounder_sounds_for_its_own_alarms_the_gravest_of_them_and_not_in_its_quiet_hours() -> None:
    bell = '[[notifiers]]\nid = "bell"\ntype = "sounder"\ncommand = ["true"]\n'
    lab = Lab(PEOPLE + bell + 'quiet = { from = "13:00", until = "14:00", timezone = "UTC" }\n')
    lab.rise("another")
    lab.wait(60)
    assert lab.dispatch.sounds("bell") == ""
    lab.rise("warm", notify=["bell"])
    lab.rise("dying", notify=["bell"], priority="critical")
    assert lab.dispatch.sounds("bell") == "CRITICAL raised: dying freezer-3 temperature"
    lab.acknowledge("dying")
    assert lab.dispatch.sounds("bell") == "HIGH raised: warm freezer-3 temperature"
    lab.until(moment("2026-03-02 13:30"))
    assert lab.dispatch.sounds("bell") == ""
    lab.until(moment("2026-03-02 14:30"))
    assert lab.dispatch.sounds("bell") != ""
    lab.dispatch.mute("bell", "op7", 600)
    assert lab.dispatch.sounds("bell") == ""
    lab.now -= 86_400  # a clock that is put back makes no long silence
    lab.look()
    lab.restart()
    lab.look()
    assert lab.dispatch.sounds("bell") != ""


# ---- floods


def flood(lab: Lab, count: int, pause: float = 5.0) -> None:
    for number in range(count):
        lab.rise(f"a{number}")
        lab.wait(pause)


def test_a_flood_becomes_a_summary_every_ten_minutes_and_names_what_is_critical() -> None:
    lab = Lab()
    flood(lab, 30)
    assert len(lab.heard["oncall"]) == 11, "ten by themselves, then that it is a flood"
    assert "A flood" in lab.heard["oncall"][-1].text
    lab.rise("dying", priority="critical")
    lab.wait(10)
    assert lab.titles("oncall")[-1] == "CRITICAL raised: dying freezer-3 temperature"
    lab.wait(605)
    assert lab.titles("oncall")[-1].startswith("19 alarms")
    lab.wait(1200)
    lab.rise("after")
    lab.wait(10)
    assert "The flood is over" in lab.heard["oncall"][-1].text
    assert lab.titles("oncall")[-1] == "HIGH raised: after freezer-3 temperature"
    told = Counter(one.alarm for message in lab.heard["oncall"] for one in message.items)
    assert set(told.values()) == {1}
    assert len(told) == 32


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 60))
def test_every_critical_alarm_is_named_however_many_come(critical: int, others: int) -> None:
    lab = Lab()
    for number in range(others):
        lab.rise(f"other-{number}", text="x" * 1000)
    for number in range(critical):
        lab.rise(f"critical-{number}", priority="critical", text="x" * 1000)
    lab.wait(20)
    texts = "\n".join(f"{message.title}\n{message.text}" for message in lab.heard["oncall"])
    assert all(f"critical-{number} freezer-3" in texts for number in range(critical))
    assert all(len(message.text) <= MOST_TEXT for message in lab.heard["oncall"])


@pytest.mark.parametrize(("more", "over"), [(4, True), (5, False)])
def test_a_flood_is_over_when_there_are_fewer_than_five_in_ten_minutes(more: int, over: bool) -> None:
    lab = Lab()
    flood(lab, 20, 1.0)
    lab.wait(500)
    for number in range(more):
        lab.rise(f"more-{number}")
    lab.wait(110, 10)
    count = len(lab.heard["oncall"])
    lab.rise("last")
    lab.wait(5)
    assert (len(lab.heard["oncall"]) > count) is over


def test_ten_alarms_in_ten_minutes_are_no_flood() -> None:
    lab = Lab()
    flood(lab, 10)
    lab.wait(600)
    flood(lab, 10)
    assert len(lab.heard["oncall"]) == 20


# ---- a way that is gone


def test_after_an_outage_what_is_still_on_is_told_and_what_went_in_one_line() -> None:
    lab = Lab()
    lab.reachable = False
    for name in ("warm", "passing", "open"):
        lab.rise(name)
        lab.wait(30)
    lab.fall("passing")
    lab.wait(8 * 3600, 60)
    lab.fall("open")
    lab.wait(60)
    lab.reachable = True
    lab.wait(60)
    (message,) = lab.heard["oncall"]
    lines = message.text.splitlines()
    assert lines[0].startswith("HIGH raised: warm freezer-3 temperature")
    assert lines[1].startswith("Over meanwhile: passing freezer-3 temperature (2026-03-02T12:00:30")
    assert "open freezer-3" in lines[1]
    assert len(lines) == 2


def test_what_went_while_its_message_was_on_its_way_is_told_as_cleared() -> None:
    lab = Lab()
    lab.rise()
    lab.now += 5
    lab.dispatch.tick(lab.now, list(lab.open.values()))
    box = lab.dispatch.outboxes["oncall"]
    batch = box.due(lab.now)
    lab.fall()
    lab.dispatch.delivered("oncall", batch, "", 1)
    lab.wait(10)
    assert lab.titles("oncall") == ["HIGH cleared: warm freezer-3 temperature"]


def test_what_is_over_and_nobody_could_deliver_for_a_week_is_given_up_and_said_so() -> None:
    lab = Lab()
    lab.reachable = False
    lab.rise()
    lab.wait(8 * 86_400, 3600)
    assert lab.dispatch.undelivered == 0, "it is still on"
    lab.fall()
    lab.wait(3600, 600)
    assert lab.dispatch.undelivered == 1
    assert lab.actions()["notify.given-up"] == 1


def test_never_more_wait_than_a_notifier_may_hold_and_the_gravest_are_kept() -> None:
    lab = Lab()
    lab.reachable = False
    lab.rise("dying", priority="critical")
    for number in range(MOST_WAITING + 5):
        lab.rise(f"a{number}")
    lab.reachable = True
    lab.wait(1300)
    told = {one.alarm for message in lab.heard["oncall"] for one in message.items}
    assert len(told) == MOST_WAITING
    assert "dying" in told
    assert lab.dispatch.undelivered == 6


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


# ---- whatever happens, and restarts at any moment


PARTY = """
[[notifiers]]
id = "oncall"
type = "log"
[[notifiers]]
id = "sleeper"
type = "log"
quiet = { from = "12:10", until = "12:40", timezone = "UTC" }
[[notifiers]]
id = "shift"
type = "log"
hours = { from = "12:20", until = "12:50", timezone = "UTC" }
"""
NAMES = ("a", "b", "c")
STEP = st.one_of(
    st.tuples(st.sampled_from(["rise", "fall", "acknowledge", "shelve"]), st.sampled_from(NAMES)),
    st.tuples(st.just("wait"), st.sampled_from([1, 3, 60, 400, 1000])),
    st.tuples(st.just("reach"), st.booleans()),
)
STEPS_OF = st.lists(STEP, max_size=40)


def play(lab: Lab, steps: Sequence[tuple[str, Any]], restarts: bool = False) -> Lab:
    for act, what in steps:
        view = lab.open.get(what, (None, None))[0] if act not in ("wait", "reach") else None
        match act:
            case "wait":
                lab.wait(what, 5)
            case "reach":
                lab.reachable = what
            case "rise" if view is None or (view.cleared and view.state != "shelved"):
                priority = "critical" if what == "c" else "high"
                lab.rise(what, notify=["oncall", "sleeper", "shift"], priority=priority, remind="10m",
                         escalate=[{"after": "3m", "notify": ["shift"]}])  # fmt: skip
            case "fall" if view and not view.cleared and view.state != "shelved":
                lab.fall(what)
            case "acknowledge" if view and view.state.endswith("unacknowledged"):
                lab.acknowledge(what)
            case "shelve" if view and view.state.endswith("acknowledged"):
                lab.shelve(what)
        if restarts:
            lab.restart()
    return lab


@settings(deadline=None)
@given(STEPS_OF)
@example([("rise", "a"), ("wait", 3), ("rise", "b"), ("fall", "a"), ("reach", False), ("wait", 1000)])
def test_people_hear_the_same_whether_or_not_it_restarts_between_any_two_steps(steps: list[tuple[str, Any]]) -> None:
    assert play(Lab(PARTY), steps, restarts=True).heard == play(Lab(PARTY), steps).heard


@settings(deadline=None)
@given(STEPS_OF)
def test_in_the_end_everybody_knows_what_is_on_and_nothing_is_told_twice(steps: list[tuple[str, Any]]) -> None:
    lab = play(Lab(PARTY), steps)
    lab.reachable = True
    lab.until(max(lab.now + 60, START + 3600), 20)  # quiet hours are over, and so is the shift
    told = [one for message in lab.heard["oncall"] for one in message.items]
    once = Counter((one.alarm, one.raised, one.what) for one in told if one.what in (What.RAISED, What.CLEARED))
    assert set(once.values()) <= {1}
    for name in NAMES:
        last = [one for one in told if one.alarm == name][-1:]
        view = lab.open.get(name, (None, None))[0]
        if view and view.state != "shelved":
            assert [one.on for one in last] == [view.cleared is None]
        elif view is None:
            assert not any(one.on for one in last)


def test_a_clock_that_is_put_back_holds_nothing_back() -> None:
    lab = Lab()
    lab.rise(escalate=STEPS)
    lab.now -= 86_400
    lab.wait(5)
    assert len(lab.heard["oncall"]) == 1
    lab.wait(700)
    assert len(lab.heard["chief"]) == 1


# ---- what a table may say


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[notifiers]]\nid = "a"\n', 'notifiers[0]: has no urls. Write urls = [{ env = "ONCALL_URL" }].'),
        ('[[notifiers]]\nid = "a"\ntype = "mqtt"\n', 'notifiers[0]: has no broker. Write broker = "bench".'),
        (
            '[[notifiers]]\nid = "a"\ntype = "log"\nretain = true\n',
            "notifiers[0]: retain belongs to type 'mqtt', not 'log'.",
        ),
        (
            PEOPLE + 'quiet = { from = "22:00", until = "7", timezone = "UTC" }\n',
            "notifiers[1].quiet.until: '7' is no time of day. Write \"22:00\".",
        ),
        (
            PEOPLE + 'quiet = { from = "22:00", until = "07:00", timezone = "Asia/Karatschi" }\n',
            "notifiers[1].quiet.timezone: no time zone is called 'Asia/Karatschi'. Did you mean 'Asia/Karachi'?",
        ),
        (
            PEOPLE + 'quiet = { from = "22:00", until = "22:00", timezone = "UTC" }\n',
            "notifiers[1].quiet: covers every hour: nobody would ever be told. Make from and until differ.",
        ),
        (
            PEOPLE + '[alarm_test]\nat = "Mo 9h"\ntimezone = "UTC"\nnotify = ["oncall"]\n',
            "alarm_test: 'Mo 9h' is no moment of a week. Write \"Mon 09:00\".",
        ),
        (
            PEOPLE + '[alarm_test]\nat = "Mon 09:00"\ntimezone = "UTC"\nnotify = ["oncal"]\n',
            "alarm_test.notify: no notifier is called 'oncal'. Did you mean 'oncall'?",
        ),
        (
            PEOPLE
            + '[[alarms]]\nid = "w"\nwhen = { above = 1.0 }\nescalate = [{ after = "5m", notify = ["cheif"] }]\n',
            "alarms[0].escalate[0].notify: no notifier is called 'cheif'. Did you mean 'chief'?",
        ),
        (
            '[[brokers]]\nid = "bench"\nhost = "h"\n[[notifiers]]\nid = "a"\ntype = "mqtt"\nbroker = "bensch"\n'
            'topic = "t"\n',
            "notifiers[0].broker: no broker is called 'bensch'. Did you mean 'bench'?",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_its_remedy(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text)
    (found,) = refused.value.problems
    assert found.split(": ", 1)[1] == problem


def test_gathering_waits_no_longer_than_it_says() -> None:
    lab = Lab()
    lab.rise()
    lab.wait(GATHER)
    assert len(lab.heard["oncall"]) == 1


def test_the_manual_s_example_loads() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "notify.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)
    devices = '[[devices]]\nid = "freezer-3"\ndriver = "mqtt-json"\nlink = { type = "file", path = "/tmp" }\n'
    config = parse(devices + text)
    assert {one.type for one in config.notifiers} == {"apprise", "mqtt", "sounder", "webhook"}
    assert config.heartbeats
    assert config.alarm_test
