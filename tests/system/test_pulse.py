"""The daemon watches itself: what it shows, what it raises alarms about, and what it does when it stands still."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser
from tests.torture.daemon import MutatedDaemon

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
    daemon.mutation = ""
    daemon.start()
    assert eventually(lambda: alarms(daemon).get("stalls") == "unacknowledged")


def test_a_daemon_that_was_stopped_for_longer_has_not_stood_still(daemon: MutatedDaemon) -> None:
    daemon.start()
    assert daemon.process
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(8)  # longer than it would stand still for
    daemon.process.send_signal(signal.SIGCONT)
    port = int(daemon.config.read_text().split("port = ")[1].split()[0])
    analyser = Analyser(port, "AFTER", 5)
    analyser.start()
    try:
        assert eventually(lambda: len(analyser.acknowledged) == 5, 30)
    finally:
        analyser.stop()
    assert daemon.alive and not list(daemon.data_dir.glob("stalled-*.txt"))


def test_little_disk_space_is_an_alarm_and_every_sign_a_metric(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, '[[alarms]]\nid = "disk-low"\nwhen = { gateway = "disk-low", below = 1e18 }\n')
    try:
        daemon.start()
        assert eventually(lambda: alarms(daemon).get("disk-low") == "unacknowledged")
        metrics = daemon.get("/metrics")[1].decode()
        for name in ("loop_lag_seconds", "journal_slowest_commit_seconds", "disk_free_bytes", "descriptors_used"):
            assert f"\nassaygate_{name} " in metrics
    finally:
        daemon.kill()
