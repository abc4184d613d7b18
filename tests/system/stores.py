"""Real stores, started for tests: Debian's VictoriaMetrics and InfluxDB 1.6.7, each on a free loopback port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import free_port

START = 15.0  # seconds a store may take to answer


def needed(program: str, package: str) -> str:
    """The path of a program; without it the test is skipped, naming the package, or fails where CI=true."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/sbin:/usr/local/bin")
    if path is None:
        why = f"{program} is not installed: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return path


def http(url: str, form: dict[str, str] | None = None) -> bytes:
    """GET, or POST of a form."""
    body = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, body, timeout=10) as answer:
        return bytes(answer.read())


class _Server:
    """A store's process and its data; both may end and come back while the address stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Start on whatever data is there; returns when it answers."""
        log = (self.folder / "log.txt").open("ab")
        self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        ends = time.monotonic() + START
        while True:
            try:
                http(f"{self.url}/ping" if isinstance(self, Influx) else f"{self.url}/health")
            except (urllib.error.URLError, OSError):
                if self._process.poll() is not None or time.monotonic() > ends:
                    self.stop()
                    raise RuntimeError((self.folder / "log.txt").read_text()[-2000:]) from None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """As a power cut would: nothing is flushed."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


class Victoria(_Server):
    def command(self) -> list[str]:
        return [
            needed("victoria-metrics", "victoria-metrics"),
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-dedup.minScrapeInterval=1ms",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=128MB",
            "-loggerLevel=WARN",
        ]

    def export(self, match: str) -> list[dict[str, Any]]:
        """Raw series: {"metric": {labels}, "values": [...], "timestamps": [ms]}, duplicates removed by the store."""
        http(f"{self.url}/internal/force_flush")
        body = http(f"{self.url}/api/v1/export", {"match[]": match, "start": "0", "reduce_mem_usage": "0"})
        return [json.loads(line) for line in body.splitlines()]

    def by_seq(self, field: str, measurement: str = ".+") -> dict[int, float]:
        """One field of every point that has it, by the point's journal position. Errors: AssertionError where a
        position is there twice, or a field without its position."""
        found = self._points(f"{measurement}_{field}")
        numbers = self._points(f"{measurement}_seq")  # asked for last: what came in between has its position too
        assert len(numbers) == len(set(numbers.values())), "in the store twice"
        return {int(numbers[point]): value for point, value in found.items()}

    def _points(self, name: str) -> dict[tuple[frozenset[tuple[str, str]], int], float]:
        """By labels and unix milliseconds."""
        return {
            (frozenset({**series["metric"], "__name__": ""}.items()), at): value
            for series in self.export(f'{{__name__=~"{name}"}}')
            for at, value in zip(series["timestamps"], series["values"], strict=True)
        }

    def count(self, name: str, within: str = "1000d") -> int:
        """How many points of the metrics called so (a regular expression) of late, without reading them."""
        http(f"{self.url}/internal/force_flush")
        query = f'sum(count_over_time({{__name__=~"{name}"}}[{within}]))'
        (found,) = json.loads(http(f"{self.url}/api/v1/query", {"query": query}))["data"]["result"] or [None]
        return int(found["value"][1]) if found else 0

    def values(self, match: str) -> list[float]:
        """All values of all matching series, sorted."""
        return sorted(value for series in self.export(match) for value in series["values"])

    def clear(self, match: str) -> None:
        http(f"{self.url}/api/v1/admin/tsdb/delete_series", {"match[]": match})


class Influx(_Server):
    """InfluxDB 1.x."""

    def command(self) -> list[str]:
        config = self.folder / "influxdb.conf"
        config.write_text(
            f"""
reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
  dir = "{self.folder}/meta"
  logging-enabled = false
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
[logging]
  level = "error"
  suppress-logo = true
"""
        )
        return [needed("influxd", "influxdb"), "run", "-config", str(config)]

    def query(self, text: str, database: str = "") -> list[dict[str, Any]]:
        """Rows of all series of the first statement, each a dict of column, tags included."""
        said = json.loads(http(f"{self.url}/query", {"q": text, "db": database, "epoch": "ns"}))
        result = said["results"][0]
        if "error" in result:
            raise RuntimeError(result["error"])
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], row, strict=True))}
            for series in result.get("series", [])
            for row in series["values"]
        ]


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victoria]:
    """One VictoriaMetrics for all tests: each uses measurements or sites of its own. Do not stop it."""
    server = Victoria(tmp_path_factory.mktemp("victoria"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_victoria(tmp_path: Path) -> Iterator[Victoria]:
    """A VictoriaMetrics not yet started, to stop and kill at will."""
    (tmp_path / "victoria").mkdir()
    server = Victoria(tmp_path / "victoria")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """One InfluxDB 1.x for all tests: each makes a database of its own. Do not stop it."""
    server = Influx(tmp_path_factory.mktemp("influx"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_influx(tmp_path: Path) -> Iterator[Influx]:
    """An InfluxDB 1.x not yet started, to stop and kill at will."""
    (tmp_path / "influx").mkdir()
    server = Influx(tmp_path / "influx")
    yield server
    server.stop()
