"""The main job with real peers: ten thousand results over serial, TCP and MQTT, into the journal and a real store."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from gateway.sinks.lines import CALLS, OTHER
from simulators.instrument import Instrument, Plan
from tests.system.daemon import Daemon, free_port
from tests.system.peers import Broker, broker
from tests.system.stores import Victoria, own_victoria

__all__ = ["broker", "own_victoria"]

ASTM, GENEXPERT, CASSETTES, FREEZER = 1000, 1000, 1500, 3000


def configuration(broker: Broker, store: str, ports: list[int], tty: Path) -> str:
    return f"""
[[brokers]]
id = "bench"
host = "127.0.0.1"
port = {broker.port}

[[sinks]]
id = "store"
type = "influxdb"
url = "{store}"

[[devices]]
id = "chemistry"
driver = "astm"
link = {{ type = "tcp-listen", port = {ports[0]} }}

[[devices]]
id = "genexpert"
driver = "genexpert"
link = {{ type = "tcp-listen", port = {ports[1]} }}

[[devices]]
id = "rapid"
driver = "lateral-flow"
link = {{ type = "serial", port = "{tty}" }}
control_valid = 200.0

[[devices]]
id = "freezer"
driver = "mqtt-json"
link = {{ type = "mqtt", broker = "bench", topic = "lab/freezer" }}
time = "$.time"
"""


def connected(daemon: Daemon, device: str) -> bool:
    """Whether the daemon has the device's port open: what a printer says before that, nobody hears."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http}/api/v1/devices", timeout=5) as answer:
        states = {one["id"]: one["state"] for one in json.load(answer)["items"]}
    return bool(states[device] == "connected")


def simulate(plans: list[Plan], daemon: Daemon) -> list[Instrument]:
    """Run instruments to their counts in a loop of their own."""
    made: list[Instrument] = []

    async def main() -> None:
        made.extend(Instrument(plan) for plan in plans)
        while not await asyncio.to_thread(connected, daemon, "rapid"):
            await asyncio.sleep(0.1)
        async with asyncio.TaskGroup() as group:
            for instrument in made:
                group.create_task(instrument.run())

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join(180)
    assert not thread.is_alive(), [(i.plan.device, i.sent, i.acknowledged) for i in made]
    return made


def stored(store: Victoria) -> Counter[tuple[str, str]]:
    """How many points of each device and quantity the store has, by its raw samples."""
    counts: Counter[tuple[str, str]] = Counter()
    for series in store.export('{__name__=~".+_seq"}'):
        counts[series["metric"]["device"], series["metric"]["quantity"]] += len(series["values"])
    return counts


@pytest.mark.slow
def test_ten_thousand_results_arrive_exactly_once_in_journal_and_store(
    tmp_path: Path, broker: Broker, own_victoria: Victoria
) -> None:
    ports, tty, ledgers = [free_port(), free_port()], tmp_path / "rapid.tty", tmp_path / "ledgers"
    ledgers.mkdir()
    daemon = Daemon(tmp_path, configuration(broker, own_victoria.url, ports, tty))
    cassette = {"control_valid": 200.0}
    timed = {"time": "$.time"}
    tcp, mqtt = "tcp:127.0.0.1", f"mqtt:127.0.0.1:{broker.port}"
    plans = [
        Plan("astm", f"{tcp}:{ports[0]}", device="chemistry", rate=0, count=ASTM, ledger=ledgers / "a"),
        Plan("genexpert", f"{tcp}:{ports[1]}", device="genexpert", rate=0, count=GENEXPERT, ledger=ledgers / "g"),
        Plan("lateral-flow", f"pty:{tty}", "", cassette, 400, device="rapid", count=CASSETTES, ledger=ledgers / "r"),
        Plan("mqtt-json", f"{mqtt}/lab/freezer", "", timed, 0, device="freezer", count=FREEZER, ledger=ledgers / "f"),
    ]
    own_victoria.start()
    daemon.start()
    try:
        simulate(plans, daemon)
        expected = ASTM * 4 + GENEXPERT + CASSETTES + FREEZER * 2
        assert expected > 10_000
        rows = daemon.until(expected)
        report = daemon.verify(*ledgers.iterdir())
        end = time.monotonic() + 60
        while sum((points := stored(own_victoria)).values()) < len(rows) and time.monotonic() < end:
            time.sleep(0.5)
        values, calls = own_victoria.by_seq("value"), own_victoria.by_seq("call")
    finally:
        daemon.stop()
    assert {name: report[name] for name in ("lost", "doubled", "altered", "invented", "unaccounted")} == {
        "lost": 0, "doubled": 0, "altered": 0, "invented": 0, "unaccounted": 0,
    }, report  # fmt: skip
    assert points == Counter((row["device"], row["quantity"]) for row in rows)
    assert values == {row["seq"]: float(row["value"]) for row in rows if isinstance(row["value"], int | float)}
    assert calls == {row["seq"]: CALLS.get(row["interpretation"], OTHER) for row in rows if row["interpretation"]}
    assert len(calls) > 1000, "hardly any calls"
