"""ASTM with a foreign peer, both ways: its instrument at our daemon, our instrument at its host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest

from tests.system.daemon import Daemon, eventually, free_port, listens
from tests.system.test_simulate import simulated

if os.environ.get("CI") != "true":
    pytest.importorskip("astm", reason="pip install -r requirements-peers.lock")

PEER = [sys.executable, "-W", "ignore", "-m", "tests.system.astm_peer"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def daemon(tmp_path: Path, port: int) -> Iterator[Daemon]:
    made = Daemon(
        tmp_path,
        f'[[devices]]\nid = "analyser"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n',
    )
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("chunk", [0, 64, 240])
def test_a_foreign_instruments_results_are_in_the_journal(daemon: Daemon, port: int, chunk: int) -> None:
    done = subprocess.run(
        [*PEER, "client", str(port), "30", str(chunk)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = {row["specimen"]: row for row in daemon.until(30)}
    assert {name: row["value"] for name, row in rows.items()} == {f"FOREIGN-{n:04d}": n + 0.5 for n in range(30)}
    row = rows["FOREIGN-0007"]
    assert (row["unit"], row["patient"], row["flags"], row["time"]) == ("mg/L", "PAT-7", ["N"], "2026-01-15T09:30:07Z")
    assert daemon.verify()["refused"] == 0


def test_a_foreign_host_takes_what_a_simulated_instrument_sends(tmp_path: Path, port: int) -> None:
    ledger = tmp_path / "ledger"
    server = subprocess.Popen([*PEER, "server", str(port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines: Queue[bytes] = Queue()

    def read() -> None:
        for line in server.stdout or ():
            lines.put(line)

    reader = Thread(target=read)
    reader.start()
    try:
        assert eventually(lambda: listens(port))
        with simulated("astm", "--link", f"tcp:127.0.0.1:{port}", "--rate", "0", "--count", "20",
                       "--ledger", str(ledger)) as running:  # fmt: skip
            running.end()
    finally:
        server.terminate()
        server.wait(10)
        reader.join()
        for pipe in filter(None, (server.stdout, server.stderr)):
            pipe.close()
    heard = _results(lines)
    meant = [
        (one["specimen"], str(one["value"]))
        for line in ledger.read_text().splitlines()
        if "meant" in (entry := json.loads(line))
        for one in entry["observations"]
    ]
    assert len(meant) >= 20
    assert {specimen for specimen, _ in heard} == {specimen for specimen, _ in meant}
    assert len(heard) == len(meant)


def _results(lines: Queue[bytes]) -> list[tuple[Any, Any]]:
    """(specimen, value) of every result record, in order."""
    found: list[tuple[Any, Any]] = []
    specimen = None
    while True:
        try:
            record = json.loads(lines.get_nowait())
        except Empty:
            return found
        if record[0] == "O":
            specimen = record[2]
        elif record[0] == "R":
            found.append((specimen, record[3]))
