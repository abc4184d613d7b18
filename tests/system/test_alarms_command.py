"""The alarms commands and their part of the API, on a real daemon fed by a real broker."""

from __future__ import annotations

import csv
import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.publish as publish
import pytest

from tests.system.daemon import Daemon, eventually
from tests.system.peers import Broker, freezer_on

READINGS = """
time = "$.time"
readings = [ { quantity = "temperature", path = "$.t", unit = "Cel" }, { quantity = "door", path = "$.door" } ]
"""
ALARMS = """
[[alarms]]
id = "warm"
when = { device = "freezer-*", quantity = "temperature", above = -70.0, for = "10m", clear_below = -72.0 }
priority = "critical"
action = "move samples to freezer 4"
[[alarms]]
id = "hot"
when = { device = "freezer-*", quantity = "temperature", above = -40.0 }
latch = true
[[suppressions]]
id = "door-open"
when = { device = "freezer-*", quantity = "door", equals = true }
suppresses = ["warm"]
at_most = "20m"
"""


@dataclass
class Lab:
    daemon: Daemon
    broker: Broker
    now: datetime

    def say(self, minute: float, **readings: Any) -> None:
        """So many minutes after a time an hour ago."""
        at = (self.now + timedelta(minutes=minute)).isoformat()
        payload = json.dumps({"time": at, **readings})
        publish.single("lab/freezer-1", payload, qos=1, hostname="127.0.0.1", port=self.broker.port)

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.daemon.http}/api/v1/{path}", json.dumps(body).encode(), method="POST",
            headers={"content-type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, path: str) -> Any:
        return json.loads(self.daemon.get(f"/api/v1/{path}")[1])

    def states(self) -> dict[str, str]:
        return {one["alarm"]: one["state"] for one in self.get("alarms")["items"]}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    broker = Broker(tmp_path / "broker")
    broker.start()
    daemon = Daemon(tmp_path, freezer_on(broker.port, READINGS) + ALARMS)
    daemon.start()
    try:
        assert eventually(lambda: daemon.connected("freezer-1"))
        yield Lab(daemon, broker, datetime.now(UTC) - timedelta(hours=1))
    finally:
        daemon.stop()
        broker.stop()


NAME = "warm.freezer-1.temperature"


def test_an_alarm_is_listed_explained_acted_on_and_told_as_a_story(lab: Lab) -> None:
    for minute, value in enumerate([-80, -79, -69, -68, -67, -66, -65, -64, -63, -62, -61, -60, -59, -58]):
        lab.say(minute, t=value)
    assert eventually(lambda: lab.states().get("warm") == "unacknowledged"), lab.states()

    assert eventually(lambda: NAME in lab.daemon.command_plain("alarms", "-c", str(lab.daemon.config)).stdout)
    told = lab.get(f"alarms/{NAME}/explain")
    assert told["action"] == "move samples to freezer 4"
    assert "-70" in told["rule"]
    assert "10 min" in told["rule"]
    assert [one["value"] for one in told["readings"]][1:4] == [-79, -69, -68]

    assert lab.post(f"alarms/{NAME}/reset", by="op7")[0] == 409
    assert lab.post("alarms/nosuch/reset", by="op7")[0] == 404
    status, _ = lab.post(f"alarms/{NAME}/acknowledge", by="op7", comment="moving the samples")
    assert status == 200
    lab.say(14, t=-75)
    assert eventually(lambda: lab.states() == {})

    rows = [json.loads(line) for line in _run(lab, "history", "--format", "ndjson").splitlines()]
    assert [(one["transition"], one["by"], one["why"]) for one in rows if one["alarm"] == NAME][1:] == [
        ("acknowledged", "op7", "moving the samples"), ("cleared", "", ""),
    ]  # fmt: skip
    table = list(csv.DictReader(_run(lab, "history", "--format", "csv").splitlines()))
    assert [one["transition"] for one in table] == [one["transition"] for one in rows]
    figures = json.loads(_run(lab, "stats", "--json"))
    assert (figures["raised"], figures["worst"]) == (1, [{"alarm": NAME, "raised": 1}])
    assert figures == {**lab.get("alarms/statistics"), "since": figures["since"], "until": figures["until"],
                       "per_hour": figures["per_hour"], "per_ten_minutes": figures["per_ten_minutes"],
                       "flood_share": figures["flood_share"]}  # fmt: skip


def _run(lab: Lab, *words: str) -> str:
    done = lab.daemon.command_plain("alarms", "-c", str(lab.daemon.config), *words)
    assert not done.stderr, done.stderr
    return done.stdout


def test_an_open_door_maintenance_and_out_of_service_are_shown(lab: Lab) -> None:
    lab.say(50, door=True)
    for minute in range(50, 62):
        lab.say(minute, t=-60)
    assert eventually(lambda: lab.states().get("warm") == "suppressed"), lab.states()
    assert [(one["suppression"], one["device"]) for one in lab.get("alarms")["suppressions"]] == [
        ("door-open", "freezer-1")
    ]
    assert "door-open" in _run(lab)

    status, found = lab.post("devices/freezer-1/maintenance", by="op7", minutes=30, reason="defrosting")
    assert status == 200
    assert {one["suppression"] for one in found["suppressions"]} == {"door-open", "maintenance"}
    assert lab.post("devices/nosuch/maintenance", by="op7", minutes=30, reason="x")[0] == 404
    assert lab.post("devices/freezer-1/maintenance", by="op7", minutes=9000, reason="x")[0] == 422
    lab.say(62, t=-20)
    assert eventually(lambda: lab.states().get("hot") == "suppressed"), lab.states()
    lab.daemon.stop()
    lab.daemon.start()
    assert eventually(lambda: lab.states().get("hot") == "suppressed"), lab.states()
    assert lab.post("devices/freezer-1/maintenance/end", by="op7")[0] == 200
    assert eventually(lambda: lab.states().get("hot") == "unacknowledged"), lab.states()

    name = "hot.freezer-1.temperature"
    assert lab.post(f"alarms/{name}/out-of-service", by="op7", reason="the probe is broken")[0] == 200
    assert lab.states()["hot"] == "out-of-service"
    assert lab.post(f"alarms/{name}/in-service", by="op8")[0] == 200
    told = _run(lab, "history")
    for words in ("maintenance.began", "defrosting", "the probe is broken", "in-service", "suppression.began"):
        assert words in told
    assert lab.daemon.command("verify").returncode == 0


def test_a_rule_is_tried_on_what_the_journal_holds_before_it_rings(lab: Lab, tmp_path: Path) -> None:
    values = [-80, -69, -80, -69, -69, -69, -69, -69, -69, -69, -69, -69, -69, -69, -80]
    for minute, value in enumerate(values):
        lab.say(minute, t=value)
    assert eventually(lambda: lab.states().get("warm") == "returned-unacknowledged"), lab.states()
    (real,) = json.loads(_run(lab, "test", "--alarm", "warm", "--json"))["alarms"]
    raised = [one for one in lab.get("alarms/history")["items"] if one["transition"] == "raised"]
    assert real["times"] == [one["time"] for one in raised]
    assert 60 <= real["longest_seconds"] <= 120

    draft = tmp_path / "draft.toml"
    draft.write_text(lab.daemon.config.read_text().replace('for = "10m"', 'for = "0s"'))
    done = lab.daemon.command_plain(
        "alarms", "-c", str(draft), "test", "--alarm", "warm", "--against", str(lab.daemon.config), "--json"
    )
    assert done.returncode == 1, done.stderr
    (one,) = json.loads(done.stdout)["alarms"]
    assert (one["raised"], one["before"]["raised"]) == (2, 1)
    done = lab.daemon.command_plain("alarms", "-c", str(draft), "test", "--alarm", "wram")
    assert done.returncode == 2
    assert "warm" in done.stderr


def test_a_new_suppression_is_in_force_after_a_reload(lab: Lab) -> None:
    """And what stood before the reload still stands after it."""
    lab.say(55, t=-30)
    assert eventually(lambda: lab.states().get("hot") == "unacknowledged"), lab.states()
    text = lab.daemon.config.read_text()
    lab.daemon.config.write_text(text.replace('suppresses = ["warm"]', 'suppresses = ["warm", "hot"]'))
    assert lab.daemon.process
    lab.daemon.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: any("configuration reloaded" in line for line in lab.daemon.log))
    assert eventually(lambda: lab.states().get("hot") == "unacknowledged"), lab.states()
    name = "hot.freezer-1.temperature"
    lab.say(56, t=-80)
    assert eventually(lambda: lab.states().get("hot") == "latched-unacknowledged"), lab.states()
    assert lab.post(f"alarms/{name}/acknowledge", by="op7")[0] == 200
    assert lab.post(f"alarms/{name}/reset", by="op7")[0] == 200
    lab.say(57, door=True)
    lab.say(57, t=-30)
    assert eventually(lambda: lab.states().get("hot") == "suppressed"), lab.states()


def test_a_journal_that_is_away_is_told_though_there_is_something_to_be_kept(lab: Lab) -> None:
    """The end of a maintenance has to be written down just then: the alarms are looked at all the same."""
    assert lab.post("devices/freezer-1/maintenance", by="op7", minutes=0.05, reason="cleaning")[0] == 200
    journal = lab.daemon.data_dir / "journal.sqlite"
    away = journal.with_suffix(".away")
    journal.rename(away)
    try:
        assert eventually(lambda: lab.states().get("journal") == "unacknowledged", 60), lab.states()
    finally:
        away.rename(journal)
    assert eventually(lambda: lab.states().get("journal") == "returned-unacknowledged", 60), lab.states()
    assert eventually(lambda: "maintenance.ended" in _run(lab, "history"))
