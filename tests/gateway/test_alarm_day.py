"""A day in a laboratory, on a virtual clock: simulated instruments through their drivers, quality control, the journal
and the alarms. It ends with the expected alarms: none is missing, none is false, and the log reads like a story."""

from __future__ import annotations

import heapq
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.alarms.annunciator import Annunciator
from gateway.alarms.conditions import Seen
from gateway.alarms.defaults import TOLD, defaults
from gateway.alarms.surroundings import Looked, look
from gateway.config import parse
from gateway.decode import Failure, read
from gateway.journal.schema import FILE, LAST, connect, migrate
from gateway.journal.transaction import RawMessage, Transaction
from gateway.qc.stage import Stage
from gateway.qc.view import held_count, standing
from gateway.readings import readings
from simulators.models.analysers import Chemistry, GeneXpert
from simulators.models.physics import Freezer, Incubator
from simulators.models.world import Model

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = 3600.0
TICK = 10.0


class Laboratory:
    """Instruments say things at their times; the clock ticks in between."""

    def __init__(self, db: sqlite3.Connection, text: str) -> None:
        self.config = parse(text)
        self.panel = Annunciator(defaults(self.config), self.config.suppressions, TOLD)
        self.story: list[tuple[str, str, str, str]] = []  # "HH:MM", alarm, transition, by
        self._db = db
        self._readings = readings(self.config)
        self._stage = Stage(self.config, b"secret")
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = self._raw = self._seq = 0

    def at(self, seconds: float, act: Callable[[float], None]) -> None:
        """At so many seconds after midnight."""
        self._count += 1
        heapq.heappush(self._due, (seconds, self._count, act))

    def every(self, seconds: float, act: Callable[[float], None], start: float = 0.0) -> None:
        def again(now: float) -> None:
            act(now)
            self.at(now + seconds, again)

        self.at(start, again)

    def say(self, device: str, drawn: dict[str, Any], now: float) -> None:
        """An instrument's message arrives at `now`."""
        self._raw += 1
        reading = self._readings[device]
        data = reading.driver.encode(drawn, reading.options)
        received = int((MIDNIGHT.timestamp() + now) * 1e9)
        message = RawMessage(self._raw, device, "lab/x", received, data, LAST, False, True)
        rows = read(message, reading)
        assert not isinstance(rows, Failure), rows
        transaction = Transaction(self._db)
        self._db.execute("BEGIN")
        transaction.observe(self._stage.mark(transaction, rows))
        self._db.execute("COMMIT")
        for seq, body in self._db.execute("SELECT seq, body FROM observation WHERE seq > ? ORDER BY seq", (self._seq,)):
            self._seq = seq
            self.panel.feed(Seen.of(seq, body))
        self._take()

    def run(self, seconds: float) -> None:
        ticked = 0.0
        while self._due and self._due[0][0] <= seconds:
            at, _, act = heapq.heappop(self._due)
            while ticked + TICK <= at:
                ticked += TICK
                self._tick(ticked)
            act(at)
            self._take()

    def _tick(self, at: float) -> None:
        now = MIDNIGHT.timestamp() + at
        self.panel.tick(now)
        if at % 60 == 0 and self.config.controls:
            quality = standing(self._db, self.config, int(now * 1e6))
            looked = Looked(self.config, None, "", 0, {}, (False, ""), quality, held_count(self._db), now)  # type: ignore[arg-type]
            for alarm in self.panel.options:
                if alarm.id in ("quality-control", "held-results") and (finds := look(alarm)):
                    for name, is_true, words, value in finds(alarm, looked):
                        self.panel.tell(alarm, name, is_true, now, words, value)
        self._take()

    def _take(self) -> None:
        for action, device, by, _, when in self.panel.suppressions.changes:
            self.story.append((f"{datetime.fromtimestamp(when, UTC):%H:%M}", device, action, by))
        for one in self.panel.moved:
            at = datetime.fromtimestamp(one.at, UTC)
            self.story.append((f"{at:%H:%M}", one.instance.id, str(one.transition), one.by))
        self.panel.moved.clear()
        self.panel.suppressions.changes.clear()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / FILE)) as opened:
        opened.execute("PRAGMA synchronous=OFF")
        migrate(opened)
        yield opened


DAY = """
[[devices]]
id = "freezer-1"
driver = "mqtt-json"
link = { type = "file", path = "/tmp" }
time = "$.time"
readings = [{ quantity = "temperature", path = "$.temperature", unit = "Cel" }, { quantity = "door", path = "$.door" }]
[[devices]]
id = "freezer-2"
driver = "mqtt-json"
link = { type = "file", path = "/tmp" }
time = "$.time"
readings = [{ quantity = "temperature", path = "$.temperature", unit = "Cel" }, { quantity = "door", path = "$.door" }]
[[devices]]
id = "probe-2"
driver = "mqtt-json"
link = { type = "file", path = "/tmp" }
time = "$.time"
readings = [{ quantity = "temperature", path = "$.temperature", unit = "Cel" }]
[[devices]]
id = "incubator-1"
driver = "mqtt-json"
link = { type = "file", path = "/tmp" }
time = "$.time"
readings = [{ quantity = "temperature", path = "$.temperature", unit = "Cel" }]
[[devices]]
id = "chemistry-1"
driver = "astm"
link = { type = "file", path = "/tmp" }
timezone = "UTC"
tests."^^^CRP" = { quantity = "crp" }

[[alarms]]
id = "warm"
priority = "critical"
when = { device = "freezer-*", quantity = "temperature", above = -70.0, for = "10m", clear_below = -72.0 }
[[alarms]]
id = "stuck"
when = { device = "freezer-*", quantity = "temperature", unchanged = "1h" }
[[alarms]]
id = "twin"
priority = "high"
when = { device = "freezer-2", quantity = "temperature", deviates = 5.0, from = "probe-2/temperature", for = "5m" }
[[alarms]]
id = "cold"
priority = "high"
when = { device = "incubator-*", quantity = "temperature", below = 36.0, for = "5m", clear_above = 36.3 }
[[alarms]]
id = "mute"
when = { device = "*-1", quantity = "temperature", silent = "15m" }
[[suppressions]]
id = "door-open"
when = { device = "freezer-*", quantity = "door", equals = true }
suppresses = ["warm"]
at_most = "15m"
after = "45m"
[[controls]]
id = "crp-normal"
device = "chemistry-1"
quantity = "crp"
unit = "mg/L"
specimen = "QC*"
target = 4.0
sd = 0.13
rules = ["1-2s", "1-3s", "2-2s"]
hold = true
"""


def drawn(model: Model, now: float) -> dict[str, Any]:
    return dict(model.draw(MIDNIGHT + timedelta(seconds=now)))


def test_a_day_ends_with_the_expected_alarms_and_no_other(db: sqlite3.Connection) -> None:
    lab = Laboratory(db, DAY)
    panel = lab.panel

    # Its compressor stops at two in the night, the door is opened for a short and later for a long time.
    one = Freezer(random.Random(1))
    lab.every(60, lambda now: lab.say("freezer-1", drawn(one, now), now))
    for hour, event in ((2, "power-off"), (6, "power-on"), (10, "door-open"), (10.05, "door-close"),
                        (14, "door-open"), (15, "door-close")):  # fmt: skip
        lab.at(hour * HOUR, lambda _now, event=event: one.happen(event))  # type: ignore[misc]
    warm = "warm.freezer-1.temperature"
    for hour in (2.5, 14.5):
        lab.at(
            hour * HOUR, lambda now: panel.acknowledge(warm, "op7", "moving the samples", MIDNIGHT.timestamp() + now)
        )

    # The second one's own display sticks at -79 while it warms: only its twin knows.
    two = Freezer(random.Random(2))
    lab.at(20 * HOUR, lambda _now: two.happen("power-off"))

    def twins(now: float) -> None:
        real = drawn(two, now)
        lab.say("probe-2", real, now)
        shown = {**real, "readings": {"temperature": -79.0, "door": False}} if now >= 20 * HOUR else real
        lab.say("freezer-2", shown, now)

    lab.every(60, twins)

    # Its network is cut from eleven to one; what it kept comes after what it says then.
    incubator = Incubator(random.Random(3))
    for hour, event in ((11.5, "door-open"), (11.9, "door-close")):
        lab.at(hour * HOUR, lambda _now, event=event: incubator.happen(event))  # type: ignore[misc]
    kept: list[dict[str, Any]] = []

    def grow(now: float) -> None:
        reading = drawn(incubator, now)
        if 11 * HOUR <= now < 13 * HOUR:
            kept.append(reading)
            return
        lab.say("incubator-1", reading, now)
        while kept:
            lab.say("incubator-1", kept.pop(0), now)

    lab.every(60, grow)

    # Its reagent drifts from eight on; a new lot is opened at four in the afternoon.
    analyser = Chemistry(random.Random(5))
    lab.every(300, lambda now: lab.say("chemistry-1", drawn(analyser, now), now), start=600)
    lab.at(8 * HOUR, lambda _now: analyser.happen("lot-drift"))
    lab.at(16 * HOUR, lambda _now: analyser.happen("new-lot"))

    lab.run(24 * HOUR)
    assert [" ".join(line).strip() for line in lab.story] == list(STORY)
    assert {one.id: str(one.life.state) for one in panel.open()} == {
        "cold.incubator-1.temperature": "returned-unacknowledged",  # over long ago; somebody has to know
        "held-results": "unacknowledged",  # nobody has released them yet
        "mute.incubator-1.temperature": "returned-unacknowledged",
        "quality-control.control-crp-normal": "returned-unacknowledged",
        "stuck.freezer-2.temperature": "unacknowledged",
        "twin.freezer-2.temperature": "unacknowledged",
    }


STORY = (
    # the compressor of the first freezer
    "02:15 warm.freezer-1.temperature raised",
    "02:30 warm.freezer-1.temperature acknowledged op7",
    "06:21 warm.freezer-1.temperature cleared",
    # somebody loads it: three minutes, and it is cold again before the time is over
    "10:00 freezer-1 suppression.began door-open",
    "10:10 warm.freezer-1.temperature suppressed door-open",
    "10:15 warm.freezer-1.temperature cleared",
    "10:48 freezer-1 suppression.ended door-open",
    # the incubator's network is cut, while the reagent has drifted far enough
    "11:14 mute.incubator-1.temperature raised",
    "11:46 quality-control.control-crp-normal raised",
    "11:51 held-results raised",
    # it is back, and tells what happened meanwhile
    "13:00 mute.incubator-1.temperature cleared",
    "11:35 cold.incubator-1.temperature raised",
    # the door is left open
    "14:00 freezer-1 suppression.began door-open",
    "14:10 warm.freezer-1.temperature suppressed door-open",
    "14:15 freezer-1 suppression.expired door-open",
    "14:15 warm.freezer-1.temperature unsuppressed",
    "14:15 warm.freezer-1.temperature raised",
    "14:30 warm.freezer-1.temperature acknowledged op7",
    "15:18 warm.freezer-1.temperature cleared",
    # the first control of the new lot
    "16:46 quality-control.control-crp-normal cleared",
    # the second freezer shows -79 and warms
    "20:07 twin.freezer-2.temperature raised",
    "21:00 stuck.freezer-2.temperature raised",
)

WEEK = """
[[devices]]
id = "genexpert-1"
driver = "genexpert"
link = { type = "file", path = "/tmp" }
[[alarms]]
id = "outbreak"
priority = "high"
[alarms.when]
device = "genexpert-*"
quantity = "*cov*"
positive = 0.3
of_last = 40
over_baseline = 1.8
baseline = 200
clear_for = "1d"
"""


@pytest.mark.parametrize("outbreak", [False, True])
def test_an_outbreak_is_told_by_positives_above_their_baseline(db: sqlite3.Connection, outbreak: bool) -> None:
    """Sixteen days: quiet for ten, then more positives every day. A quiet time has no alarm."""
    lab = Laboratory(db, WEEK)
    reader = GeneXpert(random.Random(7))
    lab.every(1200, lambda now: lab.say("genexpert-1", drawn(reader, now), now))
    if outbreak:
        lab.at(240 * HOUR, lambda _now: reader.happen("outbreak"))
    lab.run(384 * HOUR)
    assert [transition for _, _, transition, _ in lab.story] == ["raised"] * outbreak
    if outbreak:
        (instance,) = lab.panel.open()
        assert instance.life.raised
        days = (instance.life.raised - MIDNIGHT.timestamp()) / 86_400
        assert 10 < days < 13
