"""Who is told of what: escalation, floods, ways that are gone, and restarts at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.alarms.states import Transition
from gateway.notify.message import MOST_TEXT, MOST_TITLE, What
from gateway.notify.outbox import GATHER, MOST_WAITING
from tests.gateway.notify_lab import PEOPLE, START, Lab, moment


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


def test_gathering_waits_no_longer_than_it_says() -> None:
    lab = Lab()
    lab.rise()
    lab.wait(GATHER)
    assert len(lab.heard["oncall"]) == 1


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


def test_what_becomes_known_when_it_is_over_is_told_as_that() -> None:
    lab = Lab()
    lab.rise("known-late", already_over=True)
    lab.wait(60)
    lab.rise("warm")
    lab.wait(5)
    assert lab.titles("oncall")[0] == "HIGH over meanwhile: known-late freezer-3 temperature"
    assert lab.heard["oncall"][0].text.startswith(
        "Over meanwhile: known-late freezer-3 temperature (2026-03-02T12:00:00"
    )


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
