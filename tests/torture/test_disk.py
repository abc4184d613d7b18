"""A disk that fails under load: what is acknowledged is kept, what cannot be kept is not acknowledged, and all goes on
by itself once the disk does."""

from __future__ import annotations

import random
import sqlite3
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.journal.schema import FILE
from tests.system.daemon import eventually, free_port
from tests.system.peers import Analyser
from tests.torture.daemon import OnFaultyDisk
from tests.torture.disk import FULL, IOERR_FSYNC, IOERR_WRITE, READONLY, install

DEVICE = '[[devices]]\nid = "analyser"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'


class Bench:
    """A daemon on a disk that obeys, and two analysers that do not give up."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.daemon = OnFaultyDisk(folder, DEVICE.format(port=port))
        self.analysers = [Analyser(port, f"S{n}", 1_000_000) for n in range(2)]

    @property
    def acknowledged(self) -> dict[str, str]:
        return {name: value for one in self.analysers for name, value in one.acknowledged.items()}

    def goes_on(self, more: int = 20) -> bool:
        """Whether results are acknowledged again."""
        before = len(self.acknowledged)
        return eventually(lambda: len(self.acknowledged) >= before + more, 40)

    def stands_still(self) -> bool:
        """Whether nothing is acknowledged over two seconds (what was on its way at first may be)."""
        time.sleep(0.5)
        before = len(self.acknowledged)
        time.sleep(2.0)
        return len(self.acknowledged) == before

    def fetch(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.http}{path}", timeout=5) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def judge(self) -> None:
        """Nothing acknowledged is missing, nothing is there twice, nothing has changed."""
        for one in self.analysers:
            one.stop()
        acknowledged = self.acknowledged
        assert eventually(lambda: acknowledged.keys() <= {row["specimen"] for row in self.daemon.export()})
        rows = [row for row in self.daemon.export() if row["kind"] == "result"]
        assert {name: n for name, n in Counter(row["specimen"] for row in rows).items() if n > 1} == {}
        values = {row["specimen"]: row["value"] for row in rows}
        assert {name: values[name] for name in acknowledged} == {k: float(v) for k, v in acknowledged.items()}
        report = self.daemon.verify()
        assert report["exit"] == 0, report


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    try:
        install(None)
    except RuntimeError as error:
        pytest.skip(str(error))
    made = Bench(tmp_path)
    made.daemon.start()
    for one in made.analysers:
        one.start()
    assert made.goes_on()
    yield made
    for one in made.analysers:
        one.stop()
    made.daemon.disk()
    made.daemon.stop()


@pytest.mark.parametrize(
    "orders",
    [{"write": FULL}, {"write": READONLY}, {"write": IOERR_WRITE}, {"sync": IOERR_FSYNC}],
    ids=["full", "read-only", "write-error", "flush-error"],
)
def test_a_disk_that_refuses_stops_acknowledging_and_nothing_else(bench: Bench, orders: dict[str, int]) -> None:
    bench.daemon.disk(**orders)
    assert bench.stands_still(), "acknowledged what is not on the disk"
    assert bench.fetch("/healthz")[0] == 200
    status, said = bench.fetch("/readyz")
    assert status == 503
    assert b"journal" in said
    assert bench.fetch("/api/v1/observations?limit=5")[0] == 200
    assert bench.fetch("/")[0] == 200
    bench.daemon.disk()
    assert bench.goes_on(), "does not resume by itself"
    assert eventually(lambda: bench.fetch("/readyz")[0] == 200)
    bench.judge()


def test_on_a_slow_disk_everything_is_acknowledged_in_its_time(bench: Bench) -> None:
    bench.daemon.disk(slow=0.5)
    time.sleep(8)
    assert bench.fetch("/healthz")[0] == 200
    bench.daemon.disk()
    assert bench.goes_on()
    bench.judge()


def test_a_backup_tool_that_holds_the_journal_delays_and_loses_nothing(bench: Bench) -> None:
    with closing(sqlite3.connect(bench.daemon.data_dir / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert bench.stands_still()
        assert bench.fetch("/api/v1/observations?limit=5")[0] == 200
        other.execute("ROLLBACK")
    assert bench.goes_on()
    bench.judge()


def test_killed_at_every_boundary_of_a_commit(bench: Bench) -> None:
    """Before and after a page is written, before and after it is flushed: the acknowledgement comes after all four."""
    chance = random.Random(20260115)
    daemon = bench.daemon
    for what in ("write", "sync"):
        for when in ("before", "after"):
            for _ in range(4):
                daemon.disk(kill=[what, chance.randint(1, 40), when])
                assert daemon.process
                assert eventually(lambda: daemon.process is not None and daemon.process.poll() is not None)
                daemon.kill()
                daemon.disk()
                daemon.start()
                assert bench.goes_on(2)
    assert sum(one.resent for one in bench.analysers) > 0, "no kill ever hit a delivery"
    bench.judge()


@pytest.mark.parametrize("mutation", ["acknowledge-first", "forget-what-failed"])
def test_a_daemon_that_breaks_the_promise_is_found_out(bench: Bench, mutation: str) -> None:
    """On purpose: this is how the tests above would notice."""
    bench.daemon.stop()
    bench.daemon.mutation = mutation
    bench.daemon.start()
    assert bench.goes_on()
    bench.daemon.disk(write=FULL)
    assert not bench.stands_still()
