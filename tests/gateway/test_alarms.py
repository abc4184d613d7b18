"""Alarms as a technician meets them: when they come, when they go, and that a restart forgets nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms import states
from gateway.alarms.conditions import Condition, Seen, build
from gateway.alarms.engine import AlarmEngine
from gateway.alarms.states import Life, State
from gateway.alarms.surroundings import LINK_LOST_FOR
from gateway.alarms.when import When
from gateway.config import parse
from gateway.journal.store import Journal
from gateway.journal.transaction import Row
from gateway.links.link import LinkState

CONFIG = """
[[devices]]
id = "freezer-1"
driver = "mqtt-json"
link = { type = "file", path = "/tmp" }
[[alarms]]
id = "warm"
when = { device = "freezer-*", quantity = "temperature", above = -70.0, clear_below = -72.0 }
priority = "critical"
"""


def when(**condition: Any) -> When:
    return When.model_validate(condition)


def seen(at: float, value: Any, **more: Any) -> Seen:
    fields = {"kind": "reading", "comparator": None, "interpretation": None, "bad": False, "received": at} | more
    return Seen(1, "freezer-1", "temperature", value=value, time=at, **fields)


def course(condition: Condition, *values: tuple[float, Any]) -> list[bool]:
    held = []
    for at, value in values:
        condition.feed(seen(at, value))
        held.append(condition.holds)
    return held


def test_a_threshold_has_a_deadband() -> None:
    rule = build(when(above=-70.0, clear_below=-72.0))
    assert course(rule, (1, -75), (2, -69), (3, -71), (4, -72), (5, -72.5), (6, -71)) == [
        False, True, True, False, False, False,
    ]  # fmt: skip


def test_a_delay_needs_the_condition_all_the_time_and_goes_on_when_the_sensor_dies() -> None:
    rule = build(when(above=-70.0, **{"for": "10s"}))
    assert course(rule, (0, -60), (5, -75), (6, -60), (15, -60)) == [False, False, False, False]
    rule.tick(16)
    assert rule.holds


def test_what_is_late_neither_raises_nor_clears() -> None:
    rule = build(when(above=-70.0))
    assert course(rule, (100, -60), (50, -80)) == [True, True]


def test_a_bad_value_and_an_open_comparator_prove_nothing() -> None:
    rule = build(when(above=4.0))
    rule.feed(seen(1, 9.0, bad=True))
    rule.feed(seen(2, 5.0, comparator="<"))
    assert not rule.holds
    rule.feed(seen(3, 5.0, comparator=">"))
    assert rule.holds


def test_a_frozen_value_is_seen_by_its_receptions() -> None:
    rule = build(when(unchanged="60s"))
    assert course(rule, (0, -79.0), (30, -79.0), (61, -79.0), (62, -79.1)) == [False, False, True, False]


def test_a_silent_device_is_found_by_the_clock() -> None:
    rule = build(when(silent="30s"))
    rule.feed(seen(0, 1))
    rule.tick(29)
    assert not rule.holds
    rule.tick(31)
    assert rule.holds
    rule.feed(seen(32, 1))
    assert not rule.holds


def test_a_clock_put_back_blinds_no_alarm() -> None:
    """Five hours: what comes next is earlier than what was seen, and no older."""
    warm = build(when(above=-70.0))
    lasting = build(when(above=-70.0, **{"for": "10s"}))
    rising = build(when(rises=5.0, within="10m"))
    silent = build(when(silent="30s"))
    for rule in (warm, lasting, rising, silent):
        rule.feed(seen(20_000, -80 if rule is not lasting else -60))
        rule.set_back(2000)
    assert course(warm, (2001, -60)) == [True]
    lasting.tick(2009)
    assert not lasting.holds
    lasting.tick(2010)
    assert lasting.holds
    assert course(rising, (2001, -70), (2100, -64)) == [False, True]
    silent.tick(2031)
    assert silent.holds


def test_a_rate_and_a_share_of_invalid_results() -> None:
    assert course(build(when(rises=5.0, within="10m")), (0, -80), (300, -78), (500, -74.5)) == [False, False, True]
    rule = build(when(invalid=0.3, of_last=10))
    for at in range(10):
        rule.feed(seen(at, None, kind="result", interpretation="invalid" if at % 3 == 0 else "negative"))
    assert rule.holds


@given(st.lists(st.sampled_from(["raise", "clear", "acknowledge", "shelve", "unshelve"]), max_size=30))
def test_an_alarm_never_is_where_it_cannot_be(steps: list[str]) -> None:
    life = Life()
    for number, step in enumerate(steps):
        try:
            match step:
                case "raise" | "clear":
                    life, _ = states.condition(life, step == "raise", number)
                case "acknowledge":
                    life, _ = states.acknowledge(life, number, "op7")
                case "shelve":
                    life, _ = states.shelve(life, number + 10, "op7", "defrosting")
                case "unshelve":
                    life, _ = states.unshelve(life)
        except states.NotNowError:
            continue
        assert not (life.state is State.NORMAL and life.active)
        assert not (life.state is State.RETURNED and life.active)
        assert not (life.state in (State.UNACKNOWLEDGED, State.ACKNOWLEDGED) and not life.active)
        assert (life.state is State.SHELVED) == (life.shelved_until is not None)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path)
    yield opened
    await opened.close()


def reading(number: int, value: float) -> Row:
    time = datetime.fromtimestamp(1_780_000_000 + number, UTC).isoformat()
    body = {"device": "freezer-1", "quantity": "temperature", "kind": "reading", "value": value, "comparator": None,
            "interpretation": None, "quality": "good", "time": time, "received": time, "unit": "Cel"}  # fmt: skip
    uid = number.to_bytes(16, "big")
    return Row(uid, 1, "freezer-1", "reading", "temperature", None, number, value, orjson.dumps(body))


async def until(engine: AlarmEngine, count: int) -> None:
    """Let the engine read the journal and go on when it shows so many open alarms."""
    import asyncio

    running = asyncio.create_task(engine.run())
    async with asyncio.timeout(10):
        while len(engine.open_alarms()) != count:
            await engine.changed.beyond(engine.changed.at)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_alarm_survives_a_restart_as_it_stood(journal: Journal) -> None:
    around = SimpleNamespace(sessions={}, sinks={}, signs={})
    config = parse(CONFIG)
    await journal.write(lambda t: t.observe([reading(1, -80.0), reading(2, -60.0)]))
    engine = AlarmEngine(config, journal, around)
    await until(engine, 1)
    (alarm,) = engine.open_alarms()
    assert (alarm.id, alarm.state, alarm.value) == ("warm.freezer-1.temperature", "unacknowledged", -60.0)
    await engine.acknowledge(alarm.id, "op7", "moving the samples")

    again = AlarmEngine(config, journal, around)
    await again._load()
    (restored,) = again.open_alarms()
    assert restored == engine.open_alarms()[0]
    assert (restored.state, restored.acknowledged_by) == ("acknowledged", "op7")

    await journal.write(lambda t: t.observe([reading(3, -80.0)]))
    await until(again, 0)
    bodies = await journal.read(lambda db: [row[0] for row in db.execute("SELECT body FROM audit ORDER BY n")])
    assert [orjson.loads(body)["transition"] for body in bodies] == ["raised", "acknowledged", "cleared"]


async def test_a_sign_of_the_gateway_itself_has_its_deadband_whatever_the_clock_does(journal: Journal) -> None:
    signs: dict[str, float] = {}
    engine = AlarmEngine(parse(""), journal, SimpleNamespace(sessions={}, sinks={}, signs=signs))

    def told(free: float, now: float) -> list[str]:
        signs["disk-low"] = free
        engine.tick(now)
        return [alarm.id for alarm in engine.open_alarms() if alarm.state == "unacknowledged"]

    assert told(5e9, 1000.0) == []
    assert told(0.9e9, 1001.0) == ["disk-low"]
    assert told(1.1e9, 1002.0) == ["disk-low"]
    assert told(1.3e9, 500.0) == []
    assert told(0.9e9, 501.0) == ["disk-low"]


async def test_a_lost_link_is_told_in_its_time_though_the_clock_was_put_back(journal: Journal) -> None:
    session = SimpleNamespace(link_state=LinkState.WAITING, link_detail="no answer")
    engine = AlarmEngine(parse(""), journal, SimpleNamespace(sessions={"reader": session}, sinks={}, signs={}))
    engine.tick(20_000.0)
    engine.tick(2000.0)
    assert not engine.open_alarms()
    engine.tick(2000.0 + LINK_LOST_FOR)
    assert [alarm.alarm for alarm in engine.open_alarms()] == ["link-lost"]
