"""What an operator does with sinks: look how far they have come, and have a store that lost something told again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser
from tests.system.stores import Victoria, own_victoria

__all__ = ["own_victoria"]

CONFIG = """
[[sinks]]
id = "store"
type = "influxdb"
url = "{store}"

[[sinks]]
id = "files"
type = "ndjson"
path = "{folder}/out"

[[devices]]
id = "analyser"
driver = "astm"
link = {{ type = "tcp-listen", port = {port} }}
"""
RESULTS = 30


@pytest.fixture
def daemon(tmp_path: Path, own_victoria: Victoria) -> Iterator[Daemon]:
    """A daemon whose store has everything of one analyser."""
    port = free_port()
    made = Daemon(tmp_path, CONFIG.format(store=own_victoria.url, folder=tmp_path, port=port))
    own_victoria.start()
    try:
        made.start()
        analyser = Analyser(port, "S", RESULTS)
        analyser.start()
        analyser.join()
        assert eventually(lambda: len(stored(own_victoria)) == RESULTS)
        yield made
    finally:
        made.stop()


def stored(store: Victoria) -> dict[int, float]:
    return store.by_seq("value")


def told(daemon: Daemon) -> dict[str, dict[str, object]]:
    done = daemon.command("sinks", "--json")
    assert done.returncode == 0, done.stderr
    return {one["id"]: one for one in json.loads(done.stdout)}


def resend(daemon: Daemon, *words: str) -> tuple[int, str]:
    done = daemon.command_plain("sinks", "-c", str(daemon.config), "resend", *words)
    return done.returncode, done.stdout + done.stderr


def test_a_store_that_lost_everything_is_told_again_while_the_daemon_runs(
    daemon: Daemon, own_victoria: Victoria
) -> None:
    before = stored(own_victoria)
    assert (told(daemon)["store"]["behind"], told(daemon)["store"]["refused"]) == (0, 0)
    own_victoria.clear('{__name__=~".+"}')
    assert eventually(lambda: not stored(own_victoria))
    assert resend(daemon, "store", "--since", "3650d") == (0, f"{RESULTS} observations will be sent again\n")
    assert eventually(lambda: stored(own_victoria) == before)
    assert eventually(lambda: told(daemon)["store"]["to_be_sent_again_after"] is None)
    assert daemon.verify()["exit"] == 0


def test_what_is_asked_while_no_daemon_runs_is_done_by_the_next(daemon: Daemon, own_victoria: Victoria) -> None:
    before = stored(own_victoria)
    daemon.stop()
    own_victoria.clear('{__name__=~".+"}')
    assert eventually(lambda: not stored(own_victoria))
    last = sorted(before)[-5:]
    since = {row["seq"]: row["time"] for row in daemon.export()}[last[0]]
    assert resend(daemon, "store", "--since", since)[1].startswith("5 observations")
    assert told(daemon)["store"]["to_be_sent_again_after"] == last[0] - 1
    daemon.start()
    assert eventually(lambda: set(last) <= stored(own_victoria).keys())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("files", "--since", "1d"), "would stand there twice"),
        (("nowhere", "--since", "1d"), "Known are: store, files"),
        (("store", "--since", "yesterday"), "is no time"),
    ],
)
def test_what_cannot_be_sent_again_is_said(daemon: Daemon, words: tuple[str, ...], why: str) -> None:
    status, said = resend(daemon, *words)
    assert status == 2
    assert why in said
