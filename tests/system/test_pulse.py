"""The daemon watches itself: what it shows, what it raises alarms about, and what it does when it stands still."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.journal.schema import FILE
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser
from tests.torture.daemon import MutatedDaemon, OnFaultyDisk, OnWrongClock

D = TypeVar("D", bound=Daemon)

IMPATIENT = '[gateway]\nstall = "5s"\n'


def impatient(daemon: Daemon) -> None:
    """A daemon that gives itself five seconds."""
    daemon.config.write_text(daemon.config.read_text().replace("[gateway]\n", IMPATIENT, 1))


def alarms(daemon: Daemon) -> dict[str, str]:
    return {one["alarm"]: one["state"] for one in json.loads(daemon.get("/api/v1/alarms")[1])["items"]}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[MutatedDaemon]:
    port = free_port()
    made = MutatedDaemon(
        tmp_path, f'[[devices]]\nid = "astm"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    )
    impatient(made)
    yield made
    made.kill()


def test_a_daemon_that_stands_still_says_what_it_was_doing_and_is_started_anew(daemon: MutatedDaemon) -> None:
    daemon.mutation = "process.stands_still"
    daemon.start()
    assert eventually(lambda: not daemon.alive, 60)
    assert daemon.kill() == 1
    (told,) = daemon.data_dir.glob("stalled-*.txt")
    assert "never_ends" in told.read_text()
    assert any(told.name in line for line in daemon.log)
    assert any("never_ends" in line for line in daemon.log)
    daemon.mutation = ""
    for _ in range(2):
        daemon.log.clear()
        daemon.start()
        assert eventually(lambda: alarms(daemon).get("stalls") == "unacknowledged")
        assert daemon.stop() == 0
    assert not any("the last run stood still" in line for line in daemon.log), "said once"
    with contextlib.closing(sqlite3.connect(daemon.data_dir / FILE)) as db:
        entries = db.execute("SELECT body FROM audit WHERE json_extract(body, '$.action') = 'stalled'").fetchall()
    assert [json.loads(body)["doing"] for (body,) in entries] == [told.name]


def test_a_start_that_fails_says_why(daemon: MutatedDaemon) -> None:
    daemon.mutation = "process.cannot_start"
    assert daemon.begin().wait(60)
    assert daemon.process
    assert daemon.process.wait(60) == 1
    daemon.kill()
    assert [line.strip() for line in daemon.log[-2:]] == ["no place to listen", "no second place"]


def test_systemd_lets_a_daemon_live_whose_disk_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started anew it would have no disk either, and the page would be gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        daemon = Daemon(tmp_path, "")
        try:
            daemon.start()
            file = daemon.data_dir / FILE
            file.rename(file.with_suffix(".away"))
            assert eventually(lambda: daemon.get("/readyz")[0] == 503)
            told.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while told.recv(100):
                    pass
            told.settimeout(30)
            assert {told.recv(100) for _ in range(3)} == {b"WATCHDOG=1"}
            file.with_suffix(".away").rename(file)
            assert eventually(lambda: daemon.get("/readyz")[0] == 200)
        finally:
            daemon.kill()


def test_little_disk_space_is_an_alarm_and_every_sign_a_metric(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "[gateway.watch]\ndisk-low = 1e18\ndescriptors-low = 1e-9\nclock-stepped = false\n")
    try:
        daemon.start()
        assert eventually(lambda: alarms(daemon).get("disk-low") == "unacknowledged")
        metrics = daemon.get("/metrics")[1].decode()
        for name in ("loop_lag_seconds", "journal_slowest_commit_seconds", "disk_free_bytes", "descriptors_used_ratio"):
            assert f"\nassaygate_{name} " in metrics
    finally:
        daemon.kill()


@contextlib.contextmanager
def running(made: type[D], folder: Path, config: str = "") -> Iterator[D]:
    daemon = made(folder, config)
    daemon.start()
    try:
        assert not alarms(daemon)
        yield daemon
    finally:
        daemon.kill()


def rings(daemon: Daemon, alarm: str) -> bool:
    return eventually(lambda: alarms(daemon).get(alarm) == "unacknowledged", 60)


def test_a_slow_disk_raises_an_alarm(tmp_path: Path) -> None:
    port = free_port()
    device = f'[[devices]]\nid = "astm"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    with running(OnFaultyDisk, tmp_path, device) as daemon:
        daemon.disk(slow=2.5)
        sender = Analyser(port, "S", 1000)
        sender.start()
        try:
            assert rings(daemon, "commits-slow"), alarms(daemon)
        finally:
            daemon.disk()
            sender.stop()


def test_a_clock_that_was_set_raises_an_alarm(tmp_path: Path) -> None:
    with running(OnWrongClock, tmp_path) as daemon:
        daemon.clock(ahead=3600.0)
        assert rings(daemon, "clock-stepped"), alarms(daemon)


def test_a_standstill_raises_an_alarm(tmp_path: Path) -> None:
    with running(Daemon, tmp_path) as daemon:
        assert daemon.process
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(4.0)  # the fault itself: a pause of this length
        daemon.process.send_signal(signal.SIGCONT)
        assert rings(daemon, "loop-stalled"), alarms(daemon)
