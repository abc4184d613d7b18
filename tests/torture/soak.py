"""Hours of a full laboratory on a journal that already holds years: `make torture HOURS=8`.

A hundred devices say five readings a second each over a real broker, a real store takes them, an analyser asks how long
an acknowledgement takes, and a browser and an export go on asking. At the end: is anything lost, does memory grow, and
is anything slower than it was in the beginning?
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from gateway.journal.schema import FILE
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser, Broker, Wire
from tests.system.stores import Victoria
from tests.torture.fill import fill
from tests.torture.load import ENDLESS

DEVICES: Final = [f"freezer-{n}" for n in range(100)]
RATE: Final = 500.0  # readings a second, all devices together
EVERY: Final = 5.0  # seconds between two samples
GROWTH: Final = 5e6  # bytes of memory that are not yet growth
SLOWER: Final = 1.2  # the end's median to the beginning's

_READINGS = 'readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]'


@dataclass(frozen=True, slots=True)
class Sample:
    at: float  # seconds since the beginning
    memory: int  # bytes
    acknowledged: float  # seconds from an analyser's frame to its ACK, median since the last sample
    page: float  # seconds for the newest observations


class Readings(threading.Thread):
    """All devices' readings, paced, at QoS 1."""

    def __init__(self, port: int) -> None:
        super().__init__(name="readings")
        self.ended = threading.Event()
        self.sent = 0
        self.acknowledged = 0
        self._port = port

    def run(self) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "soak")
        client.max_queued_messages_set(0)
        client.max_inflight_messages_set(2000)
        client.on_publish = self._published
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        began = time.monotonic()
        while not self.ended.wait(0.01):
            while self.sent < (time.monotonic() - began) * RATE:
                device = DEVICES[self.sent % len(DEVICES)]
                client.publish(f"soak/{device}", b'{"temp": -80.1, "n": %d}' % self.sent, 1)
                self.sent += 1
        eventually(lambda: self.acknowledged == self.sent, 60)
        client.disconnect()
        client.loop_stop()

    def _published(self, *_: object) -> None:
        self.acknowledged += 1


class Patient(Analyser):
    """A result every tenth of a second, and how long each frame's ACK took."""

    def __init__(self, port: int) -> None:
        super().__init__(port, "SOAK", ENDLESS)
        self.waits: list[float] = []

    def _deliver(self, wire: Wire, message: list[bytes]) -> None:
        asked = time.perf_counter()
        super()._deliver(wire, message)
        self.waits.append((time.perf_counter() - asked) / (len(message) + 1))
        self._stop_now.wait(0.1)


def soak(folder: Path, hours: float, holding: int) -> int:
    """Run and print; 1 where something is lost, grows, or becomes slow, 0 where nothing does."""
    with ExitStack() as also:
        broker = Broker(folder / "broker")
        also.callback(broker.stop)
        (folder / "store").mkdir()
        store = Victoria(folder / "store")
        also.callback(store.stop)
        port = free_port()
        daemon = Daemon(folder, _config(broker.port, store.url, port))
        also.callback(daemon.kill)
        began = time.monotonic()
        fill(daemon.data_dir, holding, DEVICES, time.time(), RATE, ("store",))
        print(f"a journal of {holding:,} observations made in {time.monotonic() - began:.0f} s", flush=True)
        for place in (broker, store):
            place.start()
        began = time.monotonic()
        daemon.start()
        print(f"ready {time.monotonic() - began:.1f} s after the start", flush=True)
        # What is published while nobody has subscribed is nobody's.
        assert eventually(lambda: sum(one["state"] == "connected" for one in daemon.devices()) == len(DEVICES), 60)
        readings, analyser = Readings(broker.port), Patient(port)
        also.callback(readings.join)
        also.callback(readings.ended.set)
        also.callback(analyser.stop)
        readings.start()
        analyser.start()
        samples = _samples(daemon, analyser, hours * 3600)
        began = time.monotonic()
        exported = daemon.command("export", "--since", "1m").stdout.count("\n")
        print(f"the last minute's {exported} observations exported in {time.monotonic() - began:.1f} s", flush=True)
        readings.ended.set()
        readings.join()
        analyser.stop()
        return _verdict(samples, _missing(daemon, holding, readings, analyser, store))


def _config(broker: int, store: str, port: int) -> str:
    parts = [f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {broker}']
    parts.append(f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "{store}"')
    parts.append(f'[[devices]]\nid = "astm"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}')
    parts += (
        f'[[devices]]\nid = "{device}"\ndriver = "mqtt-json"\n'
        f'link = {{ type = "mqtt", broker = "bench", topic = "soak/{device}" }}\n{_READINGS}'
        for device in DEVICES
    )
    return "\n".join(parts) + "\n"


def _samples(daemon: Daemon, analyser: Patient, seconds: float) -> list[Sample]:
    assert daemon.process
    process, samples, began = psutil.Process(daemon.process.pid), list[Sample](), time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        time.sleep(min(EVERY, seconds - at))
        waits, analyser.waits = analyser.waits, []
        asked = time.perf_counter()
        status, _ = daemon.get("/api/v1/observations?limit=100")
        page = time.perf_counter() - asked
        assert status == 200, f"the page's readings: {status}"
        memory = process.memory_info().rss
        samples.append(Sample(time.monotonic() - began, memory, statistics.median(waits or [float("inf")]), page))
        if len(samples) % 12 == 1:
            said = samples[-1]
            print(
                f"{said.at / 60:8.1f} min {said.memory / 1e6:7.1f} MB   ACK {said.acknowledged * 1e3:5.1f} ms"
                f"   page {said.page * 1e3:5.1f} ms",
                flush=True,
            )
    return samples


def _missing(daemon: Daemon, holding: int, readings: Readings, analyser: Patient, store: Victoria) -> list[str]:
    """What of all that was acknowledged is not in the journal, or not in the store, exactly once."""
    due = readings.acknowledged

    def there() -> tuple[int, int, int]:
        with closing(sqlite3.connect(f"file:{daemon.data_dir / FILE}?mode=ro", uri=True)) as db:
            rows = "FROM observation WHERE seq > ? AND kind = 'reading'"
            (count, different) = db.execute(
                f"SELECT count(*), count(DISTINCT json_extract(body, '$.attributes.n')) {rows}",
                (holding,),
            ).fetchone()
            (specimens,) = db.execute(
                "SELECT count(DISTINCT specimen) FROM observation WHERE seq > ? AND kind = 'result'", (holding,)
            ).fetchone()
        return count, different, specimens

    eventually(lambda: there()[0] >= due, 120)
    count, different, specimens = there()
    results = len(analyser.acknowledged)
    print(f"{due:,} readings and {results:,} results acknowledged; {different:,} and {specimens:,} stored", flush=True)
    missing = []
    if different < due or specimens < results:
        missing.append(f"lost: {due - different} readings, {results - specimens} results")
    if count != different:
        missing.append(f"doubled: {count - different} readings")
    with closing(sqlite3.connect(f"file:{daemon.data_dir / FILE}?mode=ro", uri=True)) as db:
        (last,) = db.execute("SELECT max(seq) FROM observation").fetchone()
    if not eventually(lambda: store.count(".+_seq") == last - holding, 120):
        missing.append(f"the store has {store.count('.+_seq')} of {last - holding}")
    return missing


def _verdict(samples: list[Sample], missing: list[str]) -> int:
    """Print how memory and waiting went; 1 where something is wrong."""
    settled = samples[len(samples) // 5 :]
    slope = statistics.linear_regression([s.at for s in settled], [s.memory for s in settled]).slope
    tenth = max(1, len(samples) // 10)
    first, last = (statistics.median(s.acknowledged for s in part) for part in (samples[:tenth], samples[-tenth:]))
    pages = [statistics.median(s.page for s in part) for part in (samples[:tenth], samples[-tenth:])]
    print(f"memory {slope * 3600 / 1e6:+.2f} MB an hour, {max(s.memory for s in samples) / 1e6:.0f} MB at most")
    print(f"ACK {first * 1e3:.1f} ms in the first tenth, {last * 1e3:.1f} ms in the last")
    print(f"page {pages[0] * 1e3:.1f} ms in the first tenth, {pages[1] * 1e3:.1f} ms in the last")
    wrong = list(missing)
    if slope * (settled[-1].at - settled[0].at) > GROWTH:
        wrong.append("memory grows")
    if last > first * SLOWER:
        wrong.append("acknowledging becomes slower")
    for one in wrong:
        print(f"RED: {one}")
    return int(bool(wrong))
