"""The promise, under kill -9: everything acknowledged is in the journal, once, as it was sent."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.system.daemon import Daemon, free_port
from tests.system.peers import Analyser, Broker, Publisher

KILLS = 50


@pytest.mark.slow
def test_fifty_kills_lose_nothing_double_nothing_and_change_nothing(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    broker.start()
    port = free_port()
    daemon = Daemon(
        tmp_path,
        f"""
[[brokers]]
id = "bench"
host = "127.0.0.1"
port = {broker.port}

[[devices]]
id = "analyser"
driver = "astm"
link = {{ type = "tcp-listen", port = {port} }}

[[devices]]
id = "freezer"
driver = "mqtt-json"
link = {{ type = "mqtt", broker = "bench", topic = "lab/freezer" }}
readings = [ {{ quantity = "temperature", path = "$.temp", unit = "Cel" }} ]
""",
    )
    chance = random.Random(20260115)
    analysers = [Analyser(port, f"S{n}", 1_000_000) for n in range(3)]
    daemon.start()
    publisher = Publisher(broker.port, "lab/freezer", 1_000_000, pause=0.002)
    try:
        for peer in (*analysers, publisher):
            peer.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.6))
            daemon.kill()
            daemon.start()
        for peer in (*analysers, publisher):
            peer.stop()
        acknowledged = {k: v for analyser in analysers for k, v in analyser.acknowledged.items()}
        readings = publisher.acknowledged
        rows = daemon.until(len(acknowledged) + len(readings))
        report = daemon.verify()
    finally:
        for peer in (*analysers, publisher):
            if peer.is_alive():
                peer.stop()
        daemon.stop()
        broker.stop()

    assert sum(analyser.resent for analyser in analysers) > 0, "no kill ever hit a delivery"
    results = Counter(row["specimen"] for row in rows if row["device"] == "analyser")
    assert not acknowledged.keys() - results.keys(), "acknowledged and lost"
    assert {specimen for specimen, times in results.items() if times > 1} == set(), "stored twice"
    values = {row["specimen"]: row["value"] for row in rows if row["device"] == "analyser"}
    assert {k: values[k] for k in acknowledged} == {k: float(v) for k, v in acknowledged.items()}
    seen = Counter(row["attributes"]["n"] for row in rows if row["device"] == "freezer")
    assert not readings - seen.keys(), "acknowledged by the broker and lost"
    assert {n for n, times in seen.items() if times > 1} == set(), "stored twice"
    assert report["exit"] == 0
    assert (report["journal"], report["unaccounted"]) == ("sound", 0)
