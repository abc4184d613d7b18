"""Is what a store has what the journal sent? Read back from real stores."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser
from tests.system.stores import Influx, Victoria, http, own_influx, own_victoria

__all__ = ["own_influx", "own_victoria"]

DEVICE = """
[[devices]]
id = "analyser"
driver = "astm"
link = {{ type = "tcp-listen", port = {port} }}

[[sinks]]
id = "store"
type = "influxdb"
{store}

[[sinks]]
id = "files"
type = "ndjson"
path = "{folder}/out"
"""
RESULTS = 30


def run(folder: Path, store: str) -> Iterator[Daemon]:
    """A daemon whose store has everything of one analyser."""
    port = free_port()
    made = Daemon(folder, DEVICE.format(port=port, store=store, folder=folder))
    analyser = Analyser(port, "S", RESULTS)
    try:
        made.start()
        analyser.start()
        assert eventually(lambda: len(made.export()) == RESULTS)
        assert eventually(lambda: reconcile(made)["not_delivered_yet"] == 0)
        yield made
    finally:
        analyser.stop()
        made.stop()


@pytest.fixture
def on_victoria(tmp_path: Path, own_victoria: Victoria) -> Iterator[Daemon]:
    own_victoria.start()
    yield from run(tmp_path, f'url = "{own_victoria.url}"')


@pytest.fixture
def on_influx(tmp_path: Path, own_influx: Influx) -> Iterator[Daemon]:
    own_influx.start()
    own_influx.query("CREATE DATABASE lab")
    yield from run(tmp_path, f'url = "{own_influx.url}"\nversion = "1"\ndatabase = "lab"')


def reconcile(daemon: Daemon, *words: str) -> dict[str, Any]:
    done = daemon.command_plain("sinks", "-c", str(daemon.config), "reconcile", "store", "--json", *words)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["equal"] else 1)
    return found


def write(url: str, line: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, line.encode()), timeout=10) as answer:
        assert answer.status == 204


def test_what_victoriametrics_lost_or_has_of_its_own_is_named(on_victoria: Daemon, own_victoria: Victoria) -> None:
    assert reconcile(on_victoria)["compared"] == RESULTS
    assert reconcile(on_victoria)["equal"] is True
    seen = on_victoria.export()
    at = int(own_victoria.export('{__name__="result_seq"}')[0]["timestamps"][0])
    write(
        f"{own_victoria.url}/api/v2/write?precision=ms",
        f"result,site=test,device=analyser,quantity=other value=1,seq=999999i {at}\n",
    )
    found = reconcile(on_victoria)
    assert (found["foreign"], found["missing"], found["different"]) == ([999999], [], [])
    own_victoria.clear('{__name__=~".+"}')
    found = reconcile(on_victoria, "--resend")
    assert found["missing"] == [row["seq"] for row in seen]
    assert found["sent_again"] == RESULTS
    assert eventually(lambda: reconcile(on_victoria)["equal"])


def test_what_influxdb_has_otherwise_is_named_and_put_right(on_influx: Daemon, own_influx: Influx) -> None:
    assert reconcile(on_influx)["equal"] is True
    first, *_, last = on_influx.export()
    (kept,) = own_influx.query(f'SELECT * FROM result WHERE "seq" = {first["seq"]}', "lab")
    tags = ",".join(f"{name}={kept[name]}" for name in sorted(kept) if name not in ("time", "value", "seq", "text"))
    write(f"{own_influx.url}/write?db=lab", f"result,{tags} value=17.25 {kept['time']}\n")
    own_influx.query(f"DELETE FROM result WHERE time = {_nanoseconds(own_influx, last['seq'])}", "lab")
    found = reconcile(on_influx, "--resend")
    assert (found["different"], found["missing"], found["doubled"]) == ([first["seq"]], [last["seq"]], [])
    assert eventually(lambda: reconcile(on_influx)["equal"])


def _nanoseconds(store: Influx, seq: int) -> int:
    (row,) = store.query(f'SELECT * FROM result WHERE "seq" = {seq}', "lab")
    return int(row["time"])


def test_a_period_is_compared_alone_and_what_cannot_be_read_back_is_said(
    on_victoria: Daemon, own_victoria: Victoria
) -> None:
    rows = on_victoria.export()
    assert reconcile(on_victoria, "--since", rows[-5]["time"])["compared"] == 5
    done = on_victoria.command_plain("sinks", "-c", str(on_victoria.config), "reconcile", "files")
    assert (done.returncode, "can be read back" in done.stderr) == (2, True)
    own_victoria.stop()
    done = on_victoria.command_plain("sinks", "-c", str(on_victoria.config), "reconcile", "store")
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)
    own_victoria.start()
    assert http(f"{own_victoria.url}/health")
