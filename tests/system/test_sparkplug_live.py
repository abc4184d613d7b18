"""Sparkplug B on a real broker: the daemon as host, and an edge node that speaks through an independent library."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from simulators.instrument import Instrument
from simulators.plan import Plan
from tests.system.daemon import Daemon
from tests.system.peers import Broker, broker

__all__ = ["broker"]

PATIENCE = 20.0
REBIRTH = "Node Control/Rebirth"


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


class Node:
    """An edge node: paho's client, pysparkplug's payloads. It is born again when it is told to."""

    GROUP, NAME, DEVICE = "lab", "edge-1", "freezer-3"

    def __init__(self, port: int) -> None:
        self._foreign: Any = pytest.importorskip("pysparkplug", reason="pip install --no-deps pysparkplug protobuf")
        self._port = port
        self._session = 0
        self._seq = 0
        self._lock = threading.Lock()
        self.temperature = -80.0
        self.rebirths: queue.Queue[float] = queue.Queue()  # the temperature each was born with
        self.states: queue.Queue[dict[str, Any]] = queue.Queue()  # of the host
        self._client: mqtt.Client | None = None

    def _topic(self, verb: str) -> str:
        return f"spBv1.0/{self.GROUP}/{verb}/{self.NAME}" + (f"/{self.DEVICE}" if verb[0] == "D" else "")

    def _metric(self, name: str | None, datatype: str, value: Any, alias: int | None = None) -> Any:
        kind = self._foreign.DataType[datatype]
        return self._foreign.Metric(timestamp=milliseconds(), name=name, datatype=kind, value=value, alias=alias)

    def connect(self) -> None:
        """With the next death certificate as the will; no birth yet."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "edge-1")
        client.on_message = self._heard
        death = self._foreign.NDeath(timestamp=None, bd_seq_metric=self._metric("bdSeq", "INT64", self._session))
        client.will_set(self._topic("NDEATH"), death.encode(), qos=1)
        ready = threading.Event()
        client.on_connect = self._subscribe
        client.on_subscribe = lambda *_: ready.set()
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        assert ready.wait(PATIENCE)
        self._client = client

    def _subscribe(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe([(self._topic("NCMD"), 1), ("spBv1.0/STATE/+", 1)])

    def _heard(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        if "/STATE/" in message.topic:
            self.states.put(json.loads(message.payload))
            return
        command = self._foreign.NCmd.decode(message.payload)
        if any(metric.name == REBIRTH and metric.value is True for metric in command.metrics):
            self.birth()
            self.rebirths.put(self.temperature)

    def host_says(self, *, online: bool) -> None:
        """Wait until the host's STATE is so."""
        while self.states.get(timeout=PATIENCE)["online"] is not online:
            pass

    def _say(self, verb: str, payload: Any) -> None:
        assert self._client is not None
        self._client.publish(self._topic(verb), payload.encode(), qos=0)

    def _next(self) -> int:
        seq, self._seq = self._seq, (self._seq + 1) % 256
        return seq

    def birth(self) -> None:
        with self._lock:
            self._seq = 0
            own = (self._metric("bdSeq", "INT64", self._session), self._metric(REBIRTH, "BOOLEAN", False))
            self._say("NBIRTH", self._foreign.NBirth(timestamp=milliseconds(), seq=self._next(), metrics=own))
            metrics = (
                self._metric("Temperature", "FLOAT", self.temperature, 7),
                self._metric("Cycles", "INT16", -5, 8),
            )
            self._say("DBIRTH", self._foreign.DBirth(timestamp=milliseconds(), seq=self._next(), metrics=metrics))

    def measure(self, value: float) -> None:
        """A reading by its alias: neither name nor datatype."""
        with self._lock:
            self.temperature = value
            metrics = (self._metric(None, "FLOAT", value, 7),)
            self._say("DDATA", self._foreign.DData(timestamp=milliseconds(), seq=self._next(), metrics=metrics))

    def lose(self) -> None:
        """A message goes missing."""
        with self._lock:
            self._next()

    def vanish(self) -> None:
        """As when the power goes: the broker finds out by itself."""
        client, self._client = self._client, None
        if client is not None:
            sock = client.socket()
            client.on_disconnect = None
            client.loop_stop()
            if sock is not None:
                sock.close()
        self._session = (self._session + 1) % 256


@pytest.fixture
def node(broker: Broker) -> Iterator[Node]:
    made = Node(broker.port)
    yield made
    made.vanish()


def daemon_for(folder: Path, broker: Broker, device: str) -> Daemon:
    return Daemon(
        folder,
        f"""
[[brokers]]
id = "bench"
host = "127.0.0.1"
port = {broker.port}
sparkplug_host = "assaygate"

[[devices]]
id = "cold"
driver = "sparkplug"
link = {{ type = "mqtt", broker = "bench", topic = "spBv1.0/lab/#" }}
reorder = "200ms"
ask_again = "500ms"
{device}
""",
    )


def wait_for_host(port: int) -> None:
    """Wait until the host says that it is there: then its subscriptions stand."""
    states: queue.Queue[Any] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _userdata, message: states.put(json.loads(message.payload)["online"])
    client.connect("127.0.0.1", port)
    client.subscribe("spBv1.0/STATE/assaygate", 1)
    client.loop_start()
    while not states.get(timeout=PATIENCE):
        pass
    client.disconnect()
    client.loop_stop()


def readings(rows: list[dict[str, Any]], quantity: str) -> list[tuple[float, str]]:
    return [(row["value"], row["quality"]) for row in rows if row["quantity"] == quantity]


def wait_for(daemon: Daemon, quantity: str, value: object) -> list[dict[str, Any]]:
    """The journal once it holds that value, as its last of that quantity."""
    end = time.monotonic() + PATIENCE
    while True:
        rows = daemon.export()
        if [row["value"] for row in rows if row["quantity"] == quantity][-1:] == [value]:
            return rows
        assert time.monotonic() < end, [(row["quantity"], row["value"]) for row in rows]


def test_what_a_simulated_node_measured_is_in_the_journal_once_whatever_happens_to_its_connection(
    tmp_path: Path, broker: Broker
) -> None:
    named = 'group = "lab"\nnode = "edge-1"\ndevice = "freezer-3"\nclock_limit = "1h"'
    daemon = daemon_for(tmp_path, broker, named)
    ledger = tmp_path / "ledger"
    plan = Plan(
        "sparkplug",
        f"mqtt:127.0.0.1:{broker.port}/lab",
        device="cold",
        options={"group": "lab", "node": "edge-1", "device": "freezer-3"},
        rate=100,
        speed=20,  # the same value in the same millisecond is the same reading: even a node in haste says no such thing
        count=300,
        ledger=ledger,
        faults={"mqtt-will": 0.02, "mqtt-duplicate": 0.05},
    )
    daemon.start()
    try:
        wait_for_host(broker.port)
        instrument = Instrument(plan)
        asyncio.run(instrument.run())
        daemon.until(600, "--quantity", "[dt]*")
        report = daemon.verify(ledger)
        rows = daemon.export()
    finally:
        daemon.stop()
    assert instrument.faults.count, "nothing happened to the connection"
    assert {name: report[name] for name in ("lost", "doubled", "altered", "invented")} == {
        "lost": 0, "doubled": 0, "altered": 0, "invented": 0,
    }, report  # fmt: skip
    sessions = {row["attributes"]["bdSeq"] for row in rows if row["quantity"] == "node-availability"}
    assert len(sessions) > 1


def test_births_data_by_alias_a_gap_answered_on_the_wire_and_a_death(
    tmp_path: Path, broker: Broker, node: Node
) -> None:
    daemon = daemon_for(tmp_path, broker, 'node = "edge-1"\ndevice = "freezer-3"')
    daemon.start()
    try:
        node.connect()
        node.host_says(online=True)
        node.birth()
        node.measure(-79.5)
        node.measure(-79.25)
        wait_for(daemon, "temperature", -79.25)
        assert node.rebirths.empty()
        node.lose()
        node.measure(-79.0)
        assert node.rebirths.get(timeout=PATIENCE) == -79.0
        node.measure(-78.75)
        wait_for(daemon, "temperature", -78.75)
        node.vanish()
        rows = wait_for(daemon, "availability", "offline")
    finally:
        daemon.stop()
    assert readings(rows, "temperature") == [
        (-80.0, "good"), (-79.5, "good"), (-79.25, "good"),
        (-79.0, "uncertain"), (-79.0, "good"), (-78.75, "good"),
    ]  # fmt: skip
    assert readings(rows, "cycles") == [(-5, "good"), (-5, "good")]
    words = [row["value"] for row in rows if row["quantity"] == "availability"]
    assert words == ["online", "online", "offline"]
    assert [row["value"] for row in rows if row["quantity"] == "node-command"] == [REBIRTH]
    assert daemon.verify()["exit"] == 0


def test_a_daemon_that_was_killed_asks_for_what_the_aliases_mean(tmp_path: Path, broker: Broker, node: Node) -> None:
    daemon = daemon_for(tmp_path, broker, 'group = "lab"')  # no node is named: nobody is asked before it has spoken
    daemon.start()
    try:
        node.connect()
        node.host_says(online=True)
        node.birth()
        node.measure(-79.5)
        wait_for(daemon, "edge-1-freezer-3-temperature", -79.5)
        daemon.kill()
        node.host_says(online=False)
        node.measure(-79.25)  # nobody hears it
        daemon.start()
        node.host_says(online=True)
        assert node.rebirths.empty()
        node.measure(-79.0)
        assert node.rebirths.get(timeout=PATIENCE) == -79.0
        node.measure(-78.75)
        rows = wait_for(daemon, "edge-1-freezer-3-temperature", -78.75)
        refused = daemon.command("quarantine", "--json")
        assert daemon.stop() == 0
        node.host_says(online=False)
    finally:
        daemon.kill()
    values = [value for value, _ in readings(rows, "edge-1-freezer-3-temperature")]
    assert values == [-80.0, -79.5, -79.0, -78.75]
    assert "alias 7 is not known" in refused.stdout
    assert daemon.verify()["exit"] == 0
