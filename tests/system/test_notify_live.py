"""The whole path to people on the real daemon: a reading comes over MQTT, somebody is told, somebody answers."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import urllib.error
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.gateway.receivers import Web, web
from tests.gateway.test_notify_ways import eventually as soon
from tests.gateway.test_notify_ways import told as lab_told
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Broker, broker

__all__ = ["broker"]

WAIT = 60.0


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOOK_KEY", "k3y-of-the-hook")
    return "k3y-of-the-hook"


def freezers(broker: Broker) -> str:
    return f"""
[[brokers]]
id = "bench"
host = "127.0.0.1"
port = {broker.port}

[[devices]]
id = "freezer-3"
driver = "mqtt-json"
link = {{ type = "mqtt", broker = "bench", topic = "lab/freezer-3" }}
readings = [
    {{ quantity = "temperature", path = "$.temp", unit = "Cel" }},
    {{ quantity = "door", path = "$.door", unit = "1" }},
]

[[alarms]]
id = "warm"
when = {{ device = "freezer-*", quantity = "temperature", above = -70.0, clear_below = -72.0 }}
priority = "critical"
title = "Freezer warm"
text = "Move the samples to freezer 4."
notify = ["oncall", "bell", "wall"]
escalate = [{{ after = "3s", notify = ["chief"] }}]

[[alarms]]
id = "door"
when = {{ device = "freezer-*", quantity = "door", above = 0.5 }}
notify = ["oncall"]
escalate = [{{ after = "3s", notify = ["chief"] }}]

[[notifiers]]
id = "oncall"
type = "webhook"
url = {{ env = "ONCALL_URL" }}
secret = {{ env = "HOOK_KEY" }}

[[notifiers]]
id = "chief"
type = "webhook"
url = {{ env = "CHIEF_URL" }}

[[notifiers]]
id = "wall"
type = "mqtt"
broker = "bench"
topic = "lab/alarms"
retain = true
"""


def bell(folder: Path) -> str:
    return f"""
[[notifiers]]
id = "bell"
type = "sounder"
command = ["/bin/sh", "-c", "echo $ASSAYGATE_TITLE >> {folder / "heard"}"]
repeat = "1s"
"""


def publish(broker: Broker, topic: str = "lab/freezer-3", **values: float) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "sensor")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.publish(topic, json.dumps(values), 1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def retained(broker: Broker, topic: str) -> dict[str, Any]:
    """What a screen on the wall finds when it is switched on."""
    came = threading.Event()
    found: list[bytes] = []

    def take(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        found.append(bytes(message.payload))
        came.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, "wall")
    client.on_message = take
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.subscribe(topic, 1)
    assert came.wait(WAIT)
    client.disconnect()
    client.loop_stop()
    said: dict[str, Any] = json.loads(found[0])
    return said


def post(daemon: Daemon, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.http}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def told(there: Web) -> list[tuple[str, str]]:
    return [(one["alarm"], one["what"]) for asked in there.asked for one in asked.said["alarms"]]


def audited(daemon: Daemon, action: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{daemon.data_dir}/journal.sqlite?mode=ro", uri=True)) as db:
        rows = [json.loads(body) for (body,) in db.execute("SELECT body FROM audit ORDER BY n")]
    return [row for row in rows if row.get("action") == action]


def test_a_reading_becomes_an_alarm_that_goes_every_way_until_somebody_answers(
    tmp_path: Path, broker: Broker, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web() as oncall, web() as chief:
        monkeypatch.setenv("ONCALL_URL", oncall.url)
        monkeypatch.setenv("CHIEF_URL", chief.url)
        daemon = Daemon(tmp_path, freezers(broker) + bell(tmp_path))
        try:
            daemon.start()
            assert eventually(lambda: daemon.connected("freezer-3"))
            publish(broker, temp=-60.5)
            warm = "warm.freezer-3.temperature"
            assert eventually(lambda: (warm, "raised") in told(oncall), WAIT)
            assert eventually(lambda: (tmp_path / "heard").exists(), WAIT)
            assert eventually(lambda: (warm, "not acknowledged") in told(chief), WAIT)
            status, _ = post(daemon, f"/api/v1/alarms/{warm}/acknowledge", by="op7")
            assert status == 200
            assert retained(broker, "lab/alarms")["title"] == "CRITICAL raised: Freezer warm freezer-3 temperature"

            publish(broker, door=1.0)
            door = "door.freezer-3.door"
            assert eventually(lambda: (door, "raised") in told(oncall), WAIT)
            assert post(daemon, f"/api/v1/alarms/{door}/acknowledge", by="op7")[0] == 200
            publish(broker, temp=-80.0)
            assert eventually(lambda: (warm, "cleared") in told(oncall) and (warm, "cleared") in told(chief), WAIT)
            publish(broker, temp=-60.0)  # its escalation is due after the door's would have been
            assert eventually(lambda: told(chief).count((warm, "not acknowledged")) == 2, WAIT)
            assert not any(alarm == door for alarm, _ in told(chief)), "an acknowledgement stops the escalation"
            daemon.stop()
            assert [one["notifier"] for one in audited(daemon, "notify.delivered")].count("chief") == 3
            assert len(set(told(oncall))) == len(told(oncall)) - 1, "only what was raised twice is told twice"
        finally:
            daemon.kill()
    said = "".join(daemon.log) + (daemon.data_dir / "journal.sqlite").read_bytes().decode(errors="replace")
    assert key not in said
    assert "key=hush" not in said
    assert (tmp_path / "heard").read_text().startswith("CRITICAL raised: Freezer warm freezer-3 temperature\n")


def test_what_could_not_be_told_survives_a_kill_and_is_told_once(
    tmp_path: Path, broker: Broker, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("ONCALL_URL", f"http://127.0.0.1:{port}/{key}")
    monkeypatch.setenv("CHIEF_URL", "http://127.0.0.1:1/")
    daemon = Daemon(tmp_path, freezers(broker) + bell(tmp_path))
    try:
        daemon.start()
        assert eventually(lambda: daemon.connected("freezer-3"))
        publish(broker, temp=-60.5)
        publish(broker, door=1.0)
        assert eventually(lambda: len(audited(daemon, "notify.failed")) >= 1, WAIT)
        daemon.kill()
        daemon.start()
        assert eventually(lambda: daemon.connected("freezer-3"))
        publish(broker, door=0.0)
        assert eventually(lambda: len(audited(daemon, "alarm.cleared")) == 1, WAIT)
        with web(port) as oncall:
            assert eventually(lambda: len(told(oncall)) == 2, WAIT)
            daemon.stop()
            assert sorted(told(oncall)) == [
                ("door.freezer-3.door", "over meanwhile"), ("warm.freezer-3.temperature", "raised"),
            ]  # fmt: skip
    finally:
        daemon.kill()
    assert not any(key in line for line in daemon.log)


def test_the_weekly_test_goes_the_whole_way_and_who_answered_is_kept_as_evidence(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first start begins to count; the second finds that one was missed, and makes up for it."""
    now = datetime.now(UTC)
    days, missed = now - timedelta(days=3), now - timedelta(minutes=2)
    with web() as oncall:
        monkeypatch.setenv("ONCALL_URL", oncall.url)
        daemon = Daemon(
            tmp_path,
            '[[notifiers]]\nid = "oncall"\ntype = "webhook"\nurl = { env = "ONCALL_URL" }\n'
            f'[alarm_test]\nat = "{days:%a %H:%M}"\ntimezone = "UTC"\nnotify = ["oncall"]\n',
        )
        try:
            daemon.start()
            assert eventually(lambda: post(daemon, "/api/v1/notifiers/oncall/test", by="op7")[0] == 200, WAIT)
            assert eventually(lambda: bool(audited(daemon, "test.sent")), WAIT)
            daemon.stop()
            oncall.asked.clear()
            text = daemon.config.read_text()
            daemon.config.write_text(text.replace(f"{days:%a %H:%M}", f"{missed:%a %H:%M}"))
            daemon.start()
            assert eventually(lambda: ("path-test", "raised") in told(oncall), WAIT)
            assert eventually(lambda: len(audited(daemon, "test.sent")) == 2, WAIT)
            assert post(daemon, "/api/v1/alarms/path-test/acknowledge", by="dr-khan")[0] == 200
            assert eventually(lambda: bool(audited(daemon, "test.answered")), WAIT)
            assert eventually(lambda: b"path-test" not in daemon.get("/api/v1/alarms")[1], WAIT)
            daemon.stop()
        finally:
            daemon.kill()
    (answered,) = audited(daemon, "test.answered")
    assert (answered["by"], answered["in_time"]) == ("dr-khan", True)
    assert [(one["notifier"], one["by"]) for one in audited(daemon, "test.sent")] == [
        ("oncall", "op7"), ("oncall", "path-test"),
    ]  # fmt: skip
    assert told(oncall) == [("path-test", "raised")]


def test_a_notifier_is_tried_from_the_page_and_from_the_command_line(
    tmp_path: Path, broker: Broker, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web() as oncall:
        monkeypatch.setenv("ONCALL_URL", oncall.url)
        monkeypatch.setenv("CHIEF_URL", f"http://127.0.0.1:1/{key}")
        daemon = Daemon(tmp_path, freezers(broker) + bell(tmp_path))
        try:
            daemon.start()
            assert post(daemon, "/api/v1/notifiers/oncall/test", by="op7") == (200, {"sent": True})
            assert post(daemon, "/api/v1/notifiers/wall/test", by="op7") == (200, {"sent": True})
            assert retained(broker, "lab/alarms")["test"] is True
            status, answer = post(daemon, "/api/v1/notifiers/chief/test", by="op7")
            assert (status, answer["error"]) == (502, "unreachable (ClientConnectorError)")
            assert post(daemon, "/api/v1/notifiers/nobody/test", by="op7")[0] == 404
            assert post(daemon, "/api/v1/notifiers/oncall/test")[0] == 422
            assert post(daemon, "/api/v1/notifiers/bell/mute", by="op7") == (200, {"muted": True})
            assert post(daemon, "/api/v1/notifiers/oncall/mute", by="op7")[0] == 404
            assert eventually(lambda: len(audited(daemon, "test.sent")) == 3, WAIT)
            done = daemon.command_plain("notify", "test", "oncall", "-c", str(daemon.config))
            assert done.returncode == 0, done.stderr
        finally:
            daemon.kill()
        assert [asked.said["test"] for asked in oncall.asked] == [True, True]
        failed = daemon.command_plain("notify", "test", "chief", "-c", str(daemon.config))
        assert (failed.returncode, failed.stderr) == (1, "chief: not sent: unreachable (ClientConnectorError)\n")
        unknown = daemon.command_plain("notify", "test", "chef", "-c", str(daemon.config))
        assert unknown.returncode == 2
    assert not any(key in line for line in daemon.log)


def test_an_outside_watcher_hears_a_heartbeat(tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with web() as watcher:
        monkeypatch.setenv("WATCHER_URL", watcher.url)
        daemon = Daemon(tmp_path, '[[heartbeats]]\nurl = { env = "WATCHER_URL" }\nevery = "5s"\nmethod = "POST"\n')
        try:
            daemon.start()
            assert eventually(lambda: len(watcher.asked) >= 2, WAIT)
            assert eventually(lambda: bool(audited(daemon, "heartbeat.sent")), WAIT)
        finally:
            daemon.kill()
    assert {asked.method for asked in watcher.asked} == {"POST"}
    assert not any("key=hush" in line for line in daemon.log)


def wall(broker: Broker) -> str:
    return (
        f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {broker.port}\nprotocol = "5"\n'
        '[[notifiers]]\nid = "oncall"\ntype = "mqtt"\nbroker = "bench"\ntopic = "lab/alarms"\nretain = true\n'
    )


async def test_a_broker_that_is_gone_is_a_failing_notifier_until_it_is_back(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    async with lab_told(wall(broker)) as lab:
        lab.rise()
        lab.wait(5)
        assert await soon(lambda: "oncall" in lab.notifications.failing)
        assert "bench does not take it" in lab.notifications.failing["oncall"]
        broker.start()
        try:
            assert await soon(lambda: not lab.notifications.failing)
            said = await asyncio.to_thread(retained, broker, "lab/alarms")
            assert [one["alarm"] for one in said["alarms"]] == ["warm"]
        finally:
            broker.stop()


async def test_a_message_that_a_broker_refuses_is_not_delivered(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic read #\n")
    broker = Broker(tmp_path / "broker", f"allow_anonymous true\nacl_file {tmp_path / 'acl'}\n")
    broker.start()
    try:
        async with lab_told(wall(broker)) as lab:
            assert "refuses it: Not authorized" in await lab.notifications.test("oncall", "op7")
    finally:
        broker.stop()
