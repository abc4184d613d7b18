"""A freezer's evening on a real broker and daemon, and the report about it."""

from __future__ import annotations

import csv
import io
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.publish as publish
import pytest

from tests.system.daemon import Daemon, eventually
from tests.system.peers import Broker, broker, freezer_on

__all__ = ["broker"]

DEVICE = """
label = "-80 freezer"
timezone = "Asia/Karachi"
time = "$.time"
readings = [ { quantity = "temperature", path = "$.t", unit = "Cel" } ]
calibration = { done = 2020-01-01, due = 2021-01-01, certificate = "PK-1" }
"""
ALARM = """
[[alarms]]
id = "warm"
when = { device = "freezer-*", quantity = "temperature", above = -70.0, for = "10m" }
"""
NAME = "warm.freezer-1.temperature"


@pytest.fixture
def daemon(tmp_path: Path, broker: Broker) -> Iterator[Daemon]:
    one = Daemon(tmp_path, freezer_on(broker.port, DEVICE) + ALARM)
    one.start()
    yield one
    one.stop()


def test_an_evening_is_told_by_the_command_and_over_http_and_can_be_verified(daemon: Daemon, broker: Broker) -> None:
    assert eventually(lambda: daemon.connected("freezer-1"))
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    warm, silent = range(20, 35), range(40, 55)
    messages = [
        json.dumps({"time": (start + timedelta(minutes=n)).isoformat(), "t": -60.0 if n in warm else -80.0})
        for n in range(90)
        if n not in silent
    ]
    sent = [{"topic": "lab/freezer-1", "payload": one, "qos": 1} for one in messages]
    publish.multiple(sent, hostname="127.0.0.1", port=broker.port)  # type: ignore[arg-type]

    def alarm() -> str:
        listed = json.loads(daemon.get("/api/v1/alarms")[1])["items"]
        return next((one["state"] for one in listed if one["id"] == NAME), "")

    assert eventually(lambda: len(daemon.export()) == len(messages))
    assert eventually(lambda: alarm() == "returned-unacknowledged"), alarm()
    acknowledge = urllib.request.Request(
        f"http://127.0.0.1:{daemon.http}/api/v1/alarms/{NAME}/acknowledge", method="POST",
        data=json.dumps({"by": "Ayesha Khan", "comment": "door was open"}).encode(),
    )  # fmt: skip
    with urllib.request.urlopen(acknowledge, timeout=10) as answer:
        assert answer.status == 200
    assert eventually(lambda: alarm() == "")

    since, until = start.isoformat(), (start + timedelta(minutes=90)).isoformat()
    asked = ("freezer-1", "--since", since, "--until", until, "--unstamped")

    def sealed() -> bool:
        return bool(json.loads(daemon.command("report", *asked, "--format", "json").stdout)["report"]["proof"]["head"])

    assert eventually(sealed)
    told = daemon.command("report", *asked, "--format", "json").stdout
    report = json.loads(told)["report"]
    assert (report["whole"]["above"], report["whole"]["unknown"]) == (15 * 60, 16 * 60)
    assert [(one["seconds"], one["extreme"], one["area"]) for one in report["excursions"]] == [(900, -60, 150)]
    assert [one["what"] for one in report["transitions"]] == ["raised", "cleared"]
    assert report["calibration"]["verdict"].startswith("Overdue: calibration was due on 2021-01-01")
    address = f"/api/v1/reports/freezer-1?since={since.replace('+', '%2B')}&until={until.replace('+', '%2B')}&unstamped"
    assert daemon.get(address) == (200, told.encode())

    whole_evening = daemon.command("report", "freezer-1", "--since", since, "--format", "csv").stdout
    rows = [row for row in csv.reader(io.StringIO(whole_evening)) if row[0] == "alarms"]
    assert ["acknowledged", "Ayesha Khan", "door was open"] in [row[3:6] for row in rows]
    for form in ("html", "pdf", "csv"):
        path = daemon.folder / f"report.{form}"
        assert daemon.command("report", *asked, "--format", form, "-o", str(path)).returncode == 0
        assert path.stat().st_size > 1000
    verified = daemon.command("verify", "--head", report["proof"]["head"])
    assert verified.returncode == 0, verified.stdout

    wrong = daemon.command("report", "freezer-2")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Known are: freezer-1" in wrong.stderr
