"""The panel: what is raised, what people do to it, what suppresses it, and that a restart changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms import states
from gateway.alarms.annunciator import Annunciator
from gateway.alarms.conditions import Seen
from gateway.alarms.states import State
from gateway.config import Config, parse

CONFIG = """
[[alarms]]
id = "warm"
when = { device = "freezer-*", quantity = "temperature", above = -70.0, for = "20s", clear_below = -72.0 }
priority = "critical"
consequence = "samples thaw"
action = "move samples to freezer 4"
response = "10m"
[[alarms]]
id = "hot"
when = { device = "freezer-*", quantity = "temperature", above = -60.0 }
latch = true
[[alarms]]
id = "mute"
when = { device = "freezer-*", silent = "5m" }
[[alarms]]
id = "rising"
when = { device = "freezer-*", quantity = "temperature", rises = 8.0, within = "10m" }
[[suppressions]]
id = "door"
when = { device = "freezer-*", quantity = "door", equals = true }
suppresses = ["warm", "rising"]
at_most = "5m"
after = "1m"
reason = "the door is open"
[[suppressions]]
id = "parent"
alarm = "hot"
suppresses = ["rising"]
at_most = "1h"
"""


def made(text: str = CONFIG) -> Annunciator:
    config: Config = parse(text)
    return Annunciator(config.alarms, config.suppressions)


def seen(at: float, value: Any, quantity: str = "temperature", device: str = "freezer-1", late: float = 0.0) -> Seen:
    fields = {"comparator": None, "interpretation": None, "bad": False, "received": at + late, "unit": "Cel"}
    return Seen(1, device, quantity, "reading", value=value, time=at, **fields)  # type: ignore[arg-type]


def course(panel: Annunciator) -> list[tuple[str, str]]:
    """Transitions since the last call, as (alarm, transition)."""
    told = [(moved.instance.options.id, str(moved.transition)) for moved in panel.moved]
    panel.moved.clear()
    return told


def state(panel: Annunciator, alarm: str = "warm", device: str = "freezer-1", quantity: str = "temperature") -> State:
    return panel.instances[f"{alarm}.{device}.{quantity}"].life.state


def test_an_alarm_says_what_it_means_and_until_when_somebody_must_act() -> None:
    panel = made()
    for at in range(0, 40, 10):
        panel.feed(seen(at, -65))
    (instance,) = panel.open()
    view = instance.view()
    assert (view.action, view.consequence) == ("move samples to freezer 4", "samples thaw")
    assert (view.raised, view.respond_by) == ("1970-01-01T00:00:20.000Z", "1970-01-01T00:10:20.000Z")
    panel.acknowledge(instance.id, "op7", "on my way", 30.0)
    assert instance.view().respond_by is None


def test_what_latches_stays_until_somebody_resets_it() -> None:
    panel = made()
    name = "hot.freezer-1.temperature"
    panel.feed(seen(0, -50))
    panel.feed(seen(10, -80))
    assert state(panel, "hot") is State.LATCHED_UNACKNOWLEDGED
    with pytest.raises(states.NotNowError, match="acknowledge it"):
        panel.reset(name, "op7", "", 11.0)
    panel.acknowledge(name, "op7", "", 12.0)
    assert state(panel, "hot") is State.LATCHED
    panel.reset(name, "op7", "looked at it", 13.0)
    assert [one for one in course(panel) if one[0] == "hot"] == [
        ("hot", "raised"), ("hot", "cleared"), ("hot", "acknowledged"), ("hot", "reset"),
    ]  # fmt: skip
    assert state(panel, "hot") is State.NORMAL


def test_what_latches_is_not_forgotten_on_the_shelf() -> None:
    panel = made()
    name = "hot.freezer-1.temperature"
    panel.feed(seen(0, -50))
    panel.shelve(name, 100.0, "op7", "busy", 1.0)
    panel.feed(seen(10, -80))
    panel.tick(101.0)
    assert state(panel, "hot") is State.LATCHED_UNACKNOWLEDGED


def test_an_open_door_keeps_an_alarm_from_being_raised_for_so_long_and_no_longer() -> None:
    panel = made()
    panel.feed(seen(0, True, "door"))
    for at in range(0, 290, 10):
        panel.feed(seen(at, -65))
        panel.tick(at)
    assert state(panel) is State.SUPPRESSED
    assert [(one["suppression"], one["until"]) for one in panel.suppressions.standing(290)] == [("door", 300.0)]
    assert ("warm", "suppressed") in course(panel)
    panel.tick(299.0)
    assert state(panel) is State.SUPPRESSED
    panel.tick(300.0)
    assert state(panel) is State.UNACKNOWLEDGED
    assert [one for one in course(panel) if one[0] == "warm"] == [("warm", "unsuppressed"), ("warm", "raised")]
    assert [change[0] for change in panel.suppressions.changes] == ["suppression.began", "suppression.expired"]


def test_after_the_door_is_closed_the_freezer_has_time_to_cool() -> None:
    panel = made()
    panel.feed(seen(0, True, "door"))
    panel.feed(seen(60, False, "door"))
    for at in range(60, 120, 10):
        panel.feed(seen(at, -65))
        panel.tick(at)
    assert state(panel) is State.SUPPRESSED
    panel.feed(seen(119, -75))
    panel.tick(121)
    assert state(panel) is State.NORMAL
    assert ("warm", "raised") not in course(panel)


def test_suppression_takes_nothing_away_that_people_have_before_them() -> None:
    panel = made()
    for at in range(0, 40, 10):
        panel.feed(seen(at, -65))
    panel.feed(seen(40, True, "door"))
    panel.tick(41)
    assert state(panel) is State.UNACKNOWLEDGED


def test_another_devices_door_suppresses_nothing() -> None:
    panel = made()
    panel.feed(seen(0, True, "door", device="freezer-2"))
    for at in range(0, 40, 10):
        panel.feed(seen(at, -65))
    assert state(panel) is State.UNACKNOWLEDGED


def test_a_cause_may_reach_other_devices() -> None:
    """The room's cooling has failed: what follows in its freezers is known."""
    text = CONFIG.replace(
        'quantity = "door", equals = true }', 'quantity = "cooling", equals = "off" }\ndevices = "freezer-?"'
    )
    panel = made(text)
    panel.feed(seen(0, "off", "cooling", device="freezer-room"))
    for name in ("freezer-1", "freezer-10"):
        for at in range(0, 40, 10):
            panel.feed(seen(at, -65, device=name))
    assert state(panel) is State.SUPPRESSED
    assert state(panel, device="freezer-10") is State.UNACKNOWLEDGED


def test_a_parent_alarm_suppresses_its_children() -> None:
    panel = made()
    panel.feed(seen(0, -80))
    panel.feed(seen(10, -59))
    assert state(panel, "hot") is State.UNACKNOWLEDGED
    assert state(panel, "rising") is State.SUPPRESSED
    assert panel.instances["rising.freezer-1.temperature"].life.aside_by == "parent"


def test_a_cause_may_be_about_several_quantities_and_survives_a_restart() -> None:
    text = CONFIG.replace('quantity = "door", equals = true', 'expression = "{door} and {fan} == 0"')
    panel = made(text)
    panel.feed(seen(0, True, "door"))
    panel.feed(seen(1, 0, "fan"))
    kept = orjson.loads(orjson.dumps(panel.dump()))
    panel = made(text)
    panel.load(kept)
    for at in range(10, 50, 10):
        panel.feed(seen(at, -65))
    assert state(panel) is State.SUPPRESSED
    panel.feed(seen(50, 1, "fan"))
    panel.tick(111)
    assert state(panel) is State.UNACKNOWLEDGED


def test_maintenance_is_by_somebody_for_a_time_with_a_reason() -> None:
    panel = made()
    with pytest.raises(ValueError, match="24 hours"):
        panel.suppressions.maintain("freezer-1", 90_000.0, "op7", "defrosting", 0.0)
    panel.suppressions.maintain("freezer-1", 600.0, "op7", "defrosting", 0.0)
    for at in range(0, 610, 10):
        panel.feed(seen(at, -40))
        panel.tick(at)
    told = course(panel)
    assert told.index(("warm", "suppressed")) < told.index(("warm", "raised"))
    assert state(panel) is State.UNACKNOWLEDGED  # the time is over, and it still is
    assert [change[:4] for change in panel.suppressions.changes] == [
        ("maintenance.began", "freezer-1", "op7", "defrosting"),
        ("maintenance.ended", "freezer-1", "the time is over", "defrosting"),
    ]


def test_out_of_service_lasts_until_somebody_takes_it_back() -> None:
    panel = made()
    name = "hot.freezer-1.temperature"
    panel.feed(seen(0, -80))
    panel.remove(name, "op7", "the probe is broken", 1.0)
    panel.feed(seen(10, -20))
    panel.tick(1e6)
    assert state(panel, "hot") is State.OUT_OF_SERVICE
    panel.take_back(name, "op8", 1e6 + 1)
    assert state(panel, "hot") is State.UNACKNOWLEDGED


def test_late_readings_raise_no_ghost_and_hide_no_truth() -> None:
    """The network was cut: what the freezer kept comes after what it says now."""
    panel = made()
    panel.feed(seen(10_000, -80))
    for at in range(100, 200, 10):
        panel.feed(seen(at, -65, late=9900.0))
    panel.feed(seen(210, -80, late=9800.0))
    life = panel.instances["warm.freezer-1.temperature"].life
    assert (life.state, life.active, life.raised, life.cleared) == (State.RETURNED, False, 120.0, 190.0)
    assert [one for one in course(panel) if one[0] == "warm"] == [("warm", "raised")]
    panel.feed(seen(10_010, -80))
    assert state(panel) is State.RETURNED  # until somebody has seen it


def test_what_comes_late_while_the_alarm_is_on_is_noted_and_changes_nothing() -> None:
    panel = made()
    panel.feed(seen(10_000, -50))
    course(panel)
    panel.feed(seen(100, -55, late=9900.0))
    assert [one for one in course(panel) if one[0] == "hot"] == [("hot", "late")]
    life = panel.instances["hot.freezer-1.temperature"].life
    assert (life.state, life.raised) == (State.UNACKNOWLEDGED, 10_000)


def test_a_short_peak_that_comes_late_is_as_short_as_it_was() -> None:
    panel = made()
    panel.feed(seen(10_000, -80))
    panel.feed(seen(100, -65, late=9900.0))
    panel.feed(seen(110, -80, late=9900.0))
    panel.tick(10_100)
    assert state(panel) is State.NORMAL


def told(time: float, received: float, value: float) -> Seen:
    """As the journal has it: the instrument's time, and when it came."""
    body = {"device": "freezer-1", "quantity": "temperature", "kind": "reading", "value": value, "comparator": None,
            "interpretation": None, "quality": "good", "unit": "Cel",
            "time": datetime.fromtimestamp(time, UTC).isoformat(),
            "received": datetime.fromtimestamp(received, UTC).isoformat()}  # fmt: skip
    return Seen.of(1, orjson.dumps(body))


def test_a_clock_that_was_ahead_and_is_put_right_hides_nothing() -> None:
    panel = made()
    for at in range(1000, 1100, 10):
        panel.feed(told(at + 240.0, at, -80))
    panel.feed(told(1100.0, 1100.0, -50))
    assert state(panel, "hot") is State.UNACKNOWLEDGED


def test_a_clock_that_is_put_back_hides_nothing_for_longer_than_it_takes_to_be_sure() -> None:
    panel = made()
    panel.feed(told(10_000.0, 10_000.0, -80))
    for at in range(10_010, 10_400, 10):
        panel.feed(told(at - 3600.0, at, -50))
        if at == 10_310:
            assert state(panel, "hot") is State.LATCHED_UNACKNOWLEDGED  # so far it is known late
    assert state(panel, "hot") is State.UNACKNOWLEDGED
    assert course(panel)[-1] == ("hot", "raised")


ACTS = ("acknowledge", "reset", "shelve", "unshelve", "remove", "take_back")
STEPS = st.one_of(
    st.tuples(st.just("see"), st.sampled_from([-80, -75, -71, -69, -65, -55])),
    st.tuples(st.just("late"), st.sampled_from([-80, -65, -55])),
    st.tuples(st.just("door"), st.booleans()),
    st.tuples(st.just("tick"), st.sampled_from([1, 10, 70, 400])),
    st.tuples(st.just("people"), st.sampled_from(ACTS)),
    st.tuples(st.just("maintain"), st.just(120)),
)


def play(steps: list[tuple[str, Any]], restarts: set[int]) -> tuple[list[Any], list[Any]]:
    panel, now = made(), 1000.0
    told: list[Any] = []

    def take() -> None:
        told.extend((one.instance.id, str(one.transition), one.at, one.by, one.why) for one in panel.moved)
        told.extend(panel.suppressions.changes)
        panel.moved.clear()
        panel.suppressions.changes.clear()

    for number, (what, with_) in enumerate(steps):
        if number in restarts:
            kept = orjson.loads(orjson.dumps(panel.dump()))
            panel = made()
            panel.load(kept)
        panel.tick(now)
        take()
        now += 5.0
        if what == "see":
            panel.feed(seen(now, with_))
        elif what == "late":
            panel.feed(seen(now - 600.0, with_, late=600.0))
        elif what == "door":
            panel.feed(seen(now, with_, "door"))
        elif what == "tick":
            now += with_
            panel.tick(now)
        elif what == "maintain":
            panel.suppressions.maintain("freezer-1", now + with_, "op7", "cleaning", now)
        else:
            act(panel, with_, now)
        take()
        for instance in panel.instances.values():
            possible(instance.life)
    return told, [one.view() for one in panel.open()]


def act(panel: Annunciator, what: str, now: float) -> None:
    for name in sorted(panel.instances):
        try:
            match what:
                case "shelve":
                    panel.shelve(name, now + 60, "op7", "busy", now)
                case "acknowledge" | "reset":
                    getattr(panel, what)(name, "op7", "", now)
                case "remove":
                    panel.remove(name, "op7", "broken", now)
                case _:
                    getattr(panel, what)(name, "op7", now)
        except states.NotNowError:
            continue


def possible(life: states.Life) -> None:
    """Nothing is where it cannot be."""
    shown = (State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.SUPPRESSED)
    assert life.active or life.state not in shown
    assert not life.active or life.state not in (State.NORMAL, State.RETURNED, State.LATCHED,
                                                 State.LATCHED_UNACKNOWLEDGED)  # fmt: skip
    assert (life.state is State.SHELVED) == (life.shelved_until is not None)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40), st.sets(st.integers(0, 39), max_size=5))
def test_a_restart_at_any_point_gives_the_same_history(steps: list[tuple[str, Any]], restarts: set[int]) -> None:
    assert play(steps, restarts) == play(steps, set())
