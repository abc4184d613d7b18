"""`make bench`: one table, each figure beside its limit, both measured in this run on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from gateway.journal.schema import LAST, connect, migrate
from gateway.journal.store import Journal
from gateway.journal.transaction import Keep, Row
from tests.bench import alarms as alarm_bench
from tests.system.daemon import Daemon, free_port
from tests.system.peers import Broker, frames
from tests.system.stores import Victoria

MESSAGES = 20_000
ROWS = 100_000
SECONDS = 3.0
TURNS = 7
SETTLED = 1.0  # seconds after which what is imported late has been
DATA = b'{"temp":-80.1,"rh":44.7,"n":12345,"id":"SN0042","battery":97,"door":false}'


@dataclass(frozen=True)
class Line:
    what: str
    ours: float
    limit: float | None
    unit: str
    aim: str
    good: bool | None
    share: float | None = None  # of the limit; where it is not simply ours / limit

    def __str__(self) -> str:
        limit = f"{self.limit:12,.1f}" if self.limit is not None else " " * 12
        share = self.share or (self.ours / self.limit if self.limit else None)
        ratio = f"{share:6.2f}" if share else " " * 6
        mark = {True: "met", False: "MISSED", None: ""}[self.good]
        return f"{self.what:<44}{self.ours:12,.1f}{limit}{ratio}  {self.unit:<8}{self.aim:<34}{mark}"


def python(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True)


def load(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.load", *arguments], capture_output=True, text=True, check=True
    ).stdout


# ---- MQTT


def mqtt(folder: Path) -> list[Line]:
    """Each receiver empties the same backlog: what the broker kept for its session."""
    bare = statistics.median(
        _mqtt_bare(folder / f"bare{n}", "mqtt-durable", str(folder / f"bare{n}.db")) for n in range(3)
    )
    aio = _mqtt_bare(folder / "aio", "mqtt-aiomqtt")
    ours = statistics.median(_mqtt_ours(folder / f"ours{n}") for n in range(3))
    return [
        Line("MQTT QoS 1, acknowledged; limit: bare durable", ours, bare, "msg/s", ">= 0.5 of it", ours >= 0.5 * bare),
        Line("  the same; limit: bare aiomqtt, keeps nothing", ours, aio, "msg/s", "", None),
    ]


def _mqtt_bare(folder: Path, what: str, *arguments: str) -> float:
    broker = Broker(folder)
    broker.start()
    try:
        _join(broker, what, *arguments)
        load("mqtt", str(broker.port), str(MESSAGES))
        receiver = python("tests.bench.bare", what, str(broker.port), *arguments, str(MESSAGES))
        assert receiver.stdout
        receiver.stdout.readline()
        rate = float(receiver.stdout.readline())
        receiver.wait()
        return rate
    finally:
        broker.stop()


def _join(broker: Broker, what: str, *arguments: str) -> None:
    """Subscribe once, so that the broker keeps messages for this session."""
    receiver = python("tests.bench.bare", what, str(broker.port), *arguments, "1000000000")
    assert receiver.stdout
    receiver.stdout.readline()
    time.sleep(0.5)
    receiver.kill()
    receiver.wait()


def _mqtt_ours(folder: Path) -> float:
    broker = Broker(folder)
    broker.start()
    daemon = Daemon(
        folder,
        f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {broker.port}\n'
        '[[devices]]\nid = "freezers"\ndriver = "mqtt-json"\n'
        'link = { type = "mqtt", broker = "bench", topic = "bench/+" }\n'
        'readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]\n',
    )
    try:
        daemon.start()
        time.sleep(1.0)
        daemon.stop()
        load("mqtt", str(broker.port), str(MESSAGES))
        daemon.start()
        daemon.until(MESSAGES)
    finally:
        daemon.stop()
        broker.stop()
    with sqlite3.connect(daemon.data_dir / "journal.sqlite") as db:
        first, last, count = db.execute("SELECT min(received), max(received), count(*) FROM raw").fetchone()
    assert count == MESSAGES
    return float(count / ((last - first) / 1e9))


# ---- ASTM

ASTM = '[[devices]]\nid = "analyser"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'


def astm(folder: Path) -> list[Line]:
    lines = []
    for instruments in (1, 50):
        bare, ours, memory = [], [], 0.0
        for turn in range(TURNS):  # by turns: a shared machine's disk changes its mind from one second to the next
            bare.append(_astm_bare(folder / f"bare{instruments}-{turn}.db", instruments))
            measured, memory = _astm_ours(_folder(folder / f"astm{instruments}-{turn}"), instruments)
            ours.append(measured)
        rate, best = (statistics.median(one["messages"] / one["seconds"] for one in each) for each in (ours, bare))
        share = statistics.median(
            o["messages"] / o["seconds"] / (b["messages"] / b["seconds"]) for o, b in zip(ours, bare, strict=True)
        )
        name = f"ASTM, {instruments} instrument{'s' if instruments > 1 else ''}"
        lines.append(Line(f"{name}; limit: bare per-frame", rate, best, "msg/s", ">= 0.7 of it", share >= 0.7, share))
        for place, what in enumerate(("median", "99th percentile")):
            wait, limit = (statistics.median(one["latency"][place] for one in each) for each in (ours, bare))
            judged = instruments == 50 and place == 1
            aim = "< 20 ms with 50 instruments" if judged else ""
            lines.append(
                Line(f"  frame to acknowledgement, {what}", wait, limit, "ms", aim, wait < 20 if judged else None)
            )
        if instruments == 50:
            lines.append(Line("memory under that load", memory, None, "MB", "< 100 MB", memory < 100))
    return lines


def store(folder: Path) -> list[Line]:
    """Whether a store that is away slows what comes in: fifty analysers with none, with one, with one that is down."""
    rates: dict[str, list[float]] = {"none": [], "up": [], "down": []}
    for turn in range(TURNS):
        for case in rates:
            here = _folder(folder / f"{case}{turn}")
            victoria = Victoria(_folder(here / "victoria"))
            sink = f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "{victoria.url}"\n' if case != "none" else ""
            if case == "up":
                victoria.start()
            measured, _ = _astm_ours(here, 50, sink)
            victoria.stop()
            rates[case].append(measured["messages"] / measured["seconds"])
    none, up, down = (statistics.median(found) for found in rates.values())
    lost, busy = (
        statistics.median(ours / limit for ours, limit in zip(rates[case], rates["none"], strict=True))
        for case in ("down", "up")
    )
    return [
        Line("ASTM, store down; limit: no store", down, none, "msg/s", ">= 0.9 of it", lost >= 0.9, lost),
        Line("  store up; limit: no store", up, none, "msg/s", "", None, busy),
    ]


def _astm_bare(database: Path, instruments: int) -> dict[str, Any]:
    port = free_port()
    bare = python("tests.bench.bare", "astm-durable", str(port), str(database))
    assert bare.stdout
    bare.stdout.readline()
    measured: dict[str, Any] = json.loads(load("astm", str(port), str(instruments), str(SECONDS)))
    bare.kill()
    bare.wait()
    return measured


def _astm_ours(folder: Path, instruments: int, more: str = "") -> tuple[dict[str, Any], float]:
    port = free_port()
    daemon = Daemon(folder, ASTM.format(port=port) + more)
    daemon.start()
    time.sleep(SETTLED)
    measured = json.loads(load("astm", str(port), str(instruments), str(SECONDS)))
    assert daemon.process
    memory = psutil.Process(daemon.process.pid).memory_info().rss / 1e6
    daemon.stop()
    return measured, memory


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


# ---- wire to page, cold start


async def page(folder: Path) -> list[Line]:
    """A result's last byte until the page's socket has it; and a start until a first frame is acknowledged."""
    port = free_port()
    daemon = Daemon(_folder(folder / "page"), ASTM.format(port=port))
    started = time.perf_counter()
    starting = asyncio.get_running_loop().run_in_executor(None, daemon.start)
    reader, writer = await _connect(port)
    await _say(reader, writer, b"\x05")
    await _say(reader, writer, frames("COLD", "1")[0])
    cold = time.perf_counter() - started
    writer.close()
    await starting
    waits = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{daemon.http}/api/v1/live") as ws,
    ):
        await ws.receive(timeout=10)
        reader, writer = await _connect(port)
        for number in range(30):
            await _say(reader, writer, b"\x05")
            for frame in frames(f"PAGE-{number}", str(number)):
                sent = time.perf_counter()
                await _say(reader, writer, frame)
            writer.write(b"\x04")
            while f"PAGE-{number}" not in (await ws.receive(timeout=10)).data:
                pass
            waits.append((time.perf_counter() - sent) * 1000)
            await asyncio.sleep(0.05)
        writer.close()
    daemon.stop()
    waits.sort()
    return [
        Line("wire to page, median", statistics.median(waits), None, "ms", "", None),
        Line("wire to page, worst of 30", waits[-1], None, "ms", "", None),
        Line("start to first acknowledged frame", cold * 1000, None, "ms", "< 1000 ms", cold < 1.0),
    ]


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.005)


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    if await reader.readexactly(1) != b"\x06":
        raise RuntimeError("not acknowledged")


# ---- journal


async def journal(folder: Path) -> list[Line]:
    turns = []
    for turn in range(TURNS):
        bare, indexed = _bare_rows(folder / f"rows{turn}.db"), _bare_observations(_folder(folder / f"bare{turn}"))
        turns.append((await _keep(folder / f"keep{turn}"), bare, await _observe(folder / f"observe{turn}"), indexed))
    kept, bare, observed, indexed = (statistics.median(figures) for figures in zip(*turns, strict=True))
    raws, observations = statistics.median(t[0] / t[1] for t in turns), statistics.median(t[2] / t[3] for t in turns)
    return [
        Line("journal, raw rows; limit: bare executemany", kept, bare, "rows/s", ">= 0.5 of it", raws >= 0.5, raws),
        Line(
            "journal, observations; limit: bare, same table",
            observed,
            indexed,
            "rows/s",
            ">= 0.5 of it",
            observations >= 0.5,
            observations,
        ),
    ]


def _bare_rows(database: Path) -> float:
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE raw (id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT, at INTEGER, data BLOB)")
    started = time.perf_counter()
    for _ in range(ROWS // 1000):
        db.execute("BEGIN IMMEDIATE")
        rows = [("bench/freezer-1", time.time_ns(), DATA) for _ in range(1000)]
        db.executemany("INSERT INTO raw (channel, at, data) VALUES (?,?,?)", rows)
        db.execute("COMMIT")
    return ROWS / (time.perf_counter() - started)


def _bare_observations(folder: Path) -> float:
    """The same thousand rows a commit into our own table, with its indexes, and nothing else."""
    db = connect(folder / "bare.sqlite")
    migrate(db)
    started = time.perf_counter()
    for begin in range(0, ROWS, 1000):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT OR IGNORE INTO observation (uid, raw, device, kind, quantity, specimen, time, number, body)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            _rows(begin),
        )
        db.execute("COMMIT")
    db.close()
    return ROWS / (time.perf_counter() - started)


def _rows(begin: int) -> list[Row]:
    return [
        Row(hashlib.sha256(b"%d" % n).digest()[:16], n, "freezer-1", "reading", "temperature", None, n, -80.1, DATA)
        for n in range(begin, begin + 1000)
    ]


async def _keep(folder: Path) -> float:
    store = await Journal.open(folder)
    finished = asyncio.Event()
    left = ROWS

    def durable(_id: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            finished.set()

    started = time.perf_counter()
    for number in range(ROWS):
        store.keep(Keep("freezer-1", "bench/freezer-1", time.time_ns(), DATA, LAST, durable))
        if number % 500 == 0:
            await asyncio.sleep(0)
    await finished.wait()
    rate = ROWS / (time.perf_counter() - started)
    await store.close()
    return rate


async def _observe(folder: Path) -> float:
    store = await Journal.open(folder)
    started = time.perf_counter()
    for begin in range(0, ROWS, 1000):
        rows = _rows(begin)
        await store.write(lambda t: t.observe(rows))  # noqa: B023 - awaited here
    rate = ROWS / (time.perf_counter() - started)
    await store.close()
    return rate


# ---- alarms


def alarms(_folder: Path) -> list[Line]:
    share = min(alarm_bench.core_share() for _ in range(3))
    ratio = statistics.median(alarm_bench.window_ratio() for _ in range(5))
    return [
        Line(
            "1,000 alarms, 500 devices, 1,000 readings/s", share * 100, 25.0, "% core", "under a quarter", share < 0.25
        ),
        Line("  a sample in a week's window; limit: a minute's", ratio, 1.0, "times", "does not grow", ratio < 1.5),
    ]


def main() -> int:
    parts: dict[str, Callable[[Path], list[Line]]] = {
        "journal": lambda folder: asyncio.run(journal(folder)),
        "mqtt": mqtt,
        "astm": astm,
        "store": store,
        "page": lambda folder: asyncio.run(page(folder)),
        "alarms": alarms,
    }
    asked = sys.argv[1:] or list(parts)
    print(f"{'':<44}{'ours':>12}{'limit':>12}{'ratio':>6}", flush=True)
    good = True
    for name in asked:
        with tempfile.TemporaryDirectory() as folder:
            for line in parts[name](Path(folder)):
                print(line, flush=True)
                good = good and line.good is not False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
