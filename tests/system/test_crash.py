"""The promise, under kill -9: everything acknowledged is in the journal and in the store, once, as it was sent."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import Daemon, free_port
from tests.system.peers import Analyser, Broker, Publisher, SerialAnalyser
from tests.system.stores import Victoria, own_victoria

__all__ = ["own_victoria"]

KILLS = 50
CATCH_UP = 120.0  # seconds the sink has, at most, to bring a store up to date

CONFIG = """
[[brokers]]
id = "bench"
host = "127.0.0.1"
port = {broker}

[[sinks]]
id = "store"
type = "influxdb"
url = "{store}"

[[devices]]
id = "analyser"
driver = "astm"
link = {{ type = "tcp-listen", port = {port} }}

[[devices]]
id = "analyser-serial"
driver = "astm"
link = {{ type = "serial", port = "{tty}" }}

[[devices]]
id = "freezer"
driver = "mqtt-json"
link = {{ type = "mqtt", broker = "bench", topic = "lab/freezer" }}
readings = [ {{ quantity = "temperature", path = "$.temp", unit = "Cel" }} ]
"""


@dataclass
class Bench:
    """A daemon between instruments that do not give up and a store."""

    daemon: Daemon
    store: Victoria
    analysers: list[Analyser]
    publisher: Publisher

    def start(self) -> None:
        for peer in (*self.analysers, self.publisher):
            peer.start()

    def stop(self) -> None:
        for analyser in self.analysers:
            analyser.stop()
        self.publisher.stop()

    def settle(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Stop the load and wait until everything has gone through; the journal's rows and `verify`'s report."""
        self.stop()
        acknowledged = sum(len(analyser.acknowledged) for analyser in self.analysers)
        self.daemon.until(acknowledged + len(self.publisher.acknowledged))
        end = time.monotonic() + CATCH_UP
        while (sink := self.sink())["behind"] or sink["resending"]:
            assert time.monotonic() < end, sink
            time.sleep(0.2)
        return self.daemon.export(), self.daemon.verify()

    def sink(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.http}/api/v1/sinks", timeout=5) as answer:
            (sink,) = json.load(answer)["items"]
        return dict(sink)


@pytest.fixture
def bench(tmp_path: Path, own_victoria: Victoria) -> Iterator[Bench]:
    broker = Broker(tmp_path / "broker")
    broker.start()
    port = free_port()
    serial = SerialAnalyser("SERIAL", 1_000_000)
    daemon = Daemon(tmp_path, CONFIG.format(broker=broker.port, store=own_victoria.url, port=port, tty=serial.tty))
    analysers = [*(Analyser(port, f"S{n}", 1_000_000) for n in range(3)), serial]
    publisher = Publisher(broker.port, "lab/freezer", 1_000_000, pause=0.002)
    made = Bench(daemon, own_victoria, analysers, publisher)
    yield made
    made.stop()
    daemon.stop()
    broker.stop()


def judge(bench: Bench, rows: list[dict[str, Any]], report: dict[str, Any]) -> None:
    """Nothing acknowledged is missing, nothing is there twice, nothing has changed, in the journal and the store."""
    acknowledged = {k: v for analyser in bench.analysers for k, v in analyser.acknowledged.items()}
    assert any(specimen.startswith("SERIAL") for specimen in acknowledged), "nothing over the serial line"
    results = Counter(row["specimen"] for row in rows if row["device"] != "freezer")
    assert not acknowledged.keys() - results.keys(), "acknowledged and lost"
    assert {specimen for specimen, times in results.items() if times > 1} == set(), "stored twice"
    values = {row["specimen"]: row["value"] for row in rows if row["device"] != "freezer"}
    assert {k: values[k] for k in acknowledged} == {k: float(v) for k, v in acknowledged.items()}
    readings = bench.publisher.acknowledged
    assert len(acknowledged) > 100, "hardly any load"
    assert len(readings) > 1000, "hardly any load"
    seen = Counter(row["attributes"]["n"] for row in rows if row["device"] == "freezer")
    assert not readings - seen.keys(), "acknowledged by the broker and lost"
    assert {n for n, times in seen.items() if times > 1} == set(), "stored twice"
    assert report["exit"] == 0
    assert (report["journal"], report["unaccounted"]) == ("sound", 0)
    assert bench.store.by_seq("value") == {row["seq"]: row["value"] for row in rows}


@pytest.mark.slow
def test_fifty_kills_lose_nothing_double_nothing_and_change_nothing(bench: Bench) -> None:
    chance = random.Random(20260115)
    bench.store.start()
    bench.daemon.start()
    bench.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        bench.daemon.kill()
        bench.daemon.start()
    rows, report = bench.settle()
    assert sum(analyser.resent for analyser in bench.analysers) > 0, "no kill ever hit a delivery"
    judge(bench, rows, report)


@pytest.mark.slow
def test_a_store_killed_again_and_again_has_everything_once_it_is_left_alone(bench: Bench) -> None:
    chance = random.Random(20260116)
    bench.store.start()
    bench.daemon.start()
    bench.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        bench.store.kill()
        time.sleep(chance.uniform(0, 0.2))
        bench.store.start()
    rows, report = bench.settle()
    assert not any(analyser.resent for analyser in bench.analysers), "instruments noticed"
    judge(bench, rows, report)


@pytest.mark.slow
def test_a_store_that_was_down_for_the_whole_load_misses_nothing(bench: Bench) -> None:
    bench.daemon.start()
    bench.start()
    time.sleep(10)
    bench.stop()
    assert bench.sink()["delivered"] == 0
    bench.store.start()
    rows, report = bench.settle()
    assert not any(analyser.resent for analyser in bench.analysers), "instruments noticed"
    judge(bench, rows, report)
