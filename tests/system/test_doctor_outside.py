"""What the doctor says of the chain around us: real brokers, stores, ports and a second client of our name."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.system.daemon import Daemon, eventually, free_port, listens
from tests.system.peers import Broker
from tests.system.stores import Influx, Victoria, influx, victoria
from tests.system.stores import http as ask

__all__ = ["influx", "victoria"]
Found = dict[str, dict[str, str]]


def looked(daemon: Daemon) -> Found:
    """By name; ids are unique."""
    done = daemon.command("doctor", "--json")
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == int(any(one["grade"] == "problem" for one in found))
    assert all(one["remedy"] for one in found if one["grade"] != "ok"), found
    return {one["name"]: one for one in found}


def mqtt(port: int, more: str = "") -> str:
    return (
        f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {port}\n{more}'
        '[[devices]]\nid = "freezer"\ndriver = "mqtt-json"\n'
        'link = { type = "mqtt", broker = "bench", topic = "lab/freezer" }\n'
    )


@contextmanager
def running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def test_a_broker_with_everything_kept_is_good(tmp_path: Path) -> None:
    with running(Broker(tmp_path / "b", "allow_anonymous true\nautosave_interval 30\nmax_queued_bytes 0\n")) as broker:
        found = looked(Daemon(tmp_path, mqtt(broker.port)))
    assert found["broker bench: queue"]["grade"] == "ok", found
    assert "1200" in found["broker bench: queue"]["found"]
    assert found["broker bench: persistence"]["grade"] == "ok", found


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_drops_what_it_acknowledged_is_told(tmp_path: Path, protocol: str) -> None:
    """mosquitto's limit of queued messages: those above it are acknowledged to their sender and gone."""
    broker = Broker(tmp_path / "b")
    written = broker.folder / "mosquitto.conf"
    written.write_text(
        f"listener {broker.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 700\nmax_inflight_messages 20\n"
    )
    with running(broker):
        found = looked(Daemon(tmp_path, mqtt(broker.port, f'protocol = "{protocol}"\n')))
    queue = found["broker bench: queue"]
    assert queue["grade"] == "problem", found
    assert "of 1200" in queue["found"]
    assert "7" in queue["found"].split("acknowledged")[1]
    assert "max_queued_messages" in queue["remedy"]
    assert found["broker bench: persistence"]["grade"] == "problem"
    assert "autosave_interval" in found["broker bench: persistence"]["remedy"]


def test_the_look_at_a_broker_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(Broker(tmp_path / "b", "allow_anonymous true\nsys_interval 1\n")) as broker:
        looked(Daemon(tmp_path, mqtt(broker.port)))
        told: dict[str, bytes] = {}
        client = paho.Client(CallbackAPIVersion.VERSION2, "observer")
        client.on_message = lambda _c, _d, message: told.__setitem__(message.topic, bytes(message.payload))
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        try:
            client.subscribe("$SYS/#")
            # The observer itself is all that is left.
            assert eventually(lambda: told.get("$SYS/broker/clients/total") == b"1"), told
        finally:
            client.disconnect()
            client.loop_stop()


def test_a_user_who_may_not_use_the_doctors_topic_is_told_that_nothing_is_known(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic read lab/#\n")
    rules.chmod(0o600)
    with running(Broker(tmp_path / "b", f"allow_anonymous true\nacl_file {rules}\n")) as broker:
        found = looked(Daemon(tmp_path, mqtt(broker.port)))
    assert found["broker bench: queue"]["grade"] == "unknown", found
    assert "assaygate-doctor/#" in found["broker bench: queue"]["remedy"]


def test_two_of_our_own_names_alike_are_told(tmp_path: Path) -> None:
    with running(Broker(tmp_path / "b")) as broker:
        text = mqtt(broker.port, 'client_id = "lab"\n') + (
            f'[[brokers]]\nid = "other"\nhost = "localhost"\nport = {broker.port}\nclient_id = "lab"\n'
        )
        found = looked(Daemon(tmp_path, text))
    assert found["broker other: client id"]["grade"] == "problem", found


def test_a_stranger_of_our_client_id_is_told(tmp_path: Path) -> None:
    with running(Broker(tmp_path / "b")) as broker:
        daemon = Daemon(tmp_path, mqtt(broker.port, 'client_id = "lab"\n'))
        daemon.start()
        try:
            assert eventually(lambda: daemon.connected("freezer"))
            assert looked(daemon)["broker bench: client id"]["grade"] == "ok"
            keep = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            keep.SessionExpiryInterval = 3600
            thief = paho.Client(CallbackAPIVersion.VERSION2, "lab", protocol=paho.MQTTv5)
            thief.reconnect_delay_set(1, 1)
            thief.connect("127.0.0.1", broker.port, clean_start=False, properties=keep)
            thief.loop_start()
            try:
                found = looked(daemon)["broker bench: client id"]
            finally:
                thief.disconnect()
                thief.loop_stop()
            assert found["grade"] == "problem", found
            assert "lab" in found["found"]
        finally:
            daemon.stop()


def test_a_stranger_on_our_port_is_told_from_ourselves(tmp_path: Path) -> None:
    """Our daemon runs, but a port of its configuration was somebody else's before it came."""
    port = free_port()
    chemistry = f'[[devices]]\nid = "chemistry"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    ours = f'[[devices]]\nid = "reader"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {free_port()} }}\n'
    daemon = Daemon(tmp_path, chemistry + ours)
    with socket.create_server(("127.0.0.1", port)):
        daemon.begin()
        try:
            assert eventually(lambda: listens(daemon.http))
            found = looked(daemon)
        finally:
            daemon.stop()
    assert found["chemistry: port"]["grade"] == "problem", found
    assert "taken by" in found["chemistry: port"]["found"]
    assert found["reader: port"]["grade"] == "ok"
    assert found["page"]["grade"] == "ok"


def store(url: str, more: str) -> str:
    return f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "{url}"\n{more}\n'


def test_a_victoria_that_forgets_after_a_month_is_told(tmp_path: Path, victoria: Victoria) -> None:
    """Its default retention is one month; the journal keeps for ever."""
    found = looked(Daemon(tmp_path, store(victoria.url, 'version = "2"')))
    assert found["sink store: retention"]["grade"] == "ok", found  # the tests' own: 100 years
    assert "VictoriaMetrics" in found["sink store: type"]["found"]
    assert found["sink store: writing"]["grade"] == "ok"
    assert found["sink store: clock"]["grade"] == "ok"

    class Short(Victoria):
        def command(self) -> list[str]:
            return [one for one in super().command() if "retention" not in one]

    (tmp_path / "short").mkdir()
    short = Short(tmp_path / "short")
    short.start()
    try:
        found = looked(Daemon(tmp_path, store(short.url, 'version = "2"')))
    finally:
        short.stop()
    assert found["sink store: retention"]["grade"] == "warning", found
    assert "-retentionPeriod" in found["sink store: retention"]["remedy"]


def test_an_influxdb_of_another_version_a_missing_database_and_a_short_policy_are_told(
    tmp_path: Path, influx: Influx
) -> None:
    found = looked(Daemon(tmp_path, store(influx.url, 'version = "2"\norg = "lab"\nbucket = "b"')))
    assert found["sink store: type"]["grade"] == "problem", found
    assert 'version = "1"' in found["sink store: type"]["remedy"]

    found = looked(Daemon(tmp_path, store(influx.url, 'version = "1"\ndatabase = "nosuch"')))
    assert found["sink store: writing"]["grade"] == "problem", found
    assert "CREATE DATABASE" in found["sink store: writing"]["remedy"]

    ask(f"{influx.url}/query", {"q": "CREATE DATABASE doctor WITH DURATION 30d NAME month"})
    try:
        found = looked(Daemon(tmp_path, store(influx.url, 'version = "1"\ndatabase = "doctor"')))
        assert found["sink store: writing"]["grade"] == "ok", found
        assert found["sink store: retention"]["grade"] == "warning", found
        assert "30 days" in found["sink store: retention"]["found"]
        assert not influx.query("SHOW MEASUREMENTS", "doctor")  # nothing was left behind
    finally:
        ask(f"{influx.url}/query", {"q": "DROP DATABASE doctor"})


def test_a_store_whose_clock_is_wrong_and_which_refuses_us_is_told(tmp_path: Path) -> None:
    class Wrong(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(204 if self.path == "/ping" else 404)
            self.send_header("Date", "Thu, 01 Jan 2004 00:00:00 GMT")
            self.send_header("X-Influxdb-Version", "v2.7.1")
            self.end_headers()

        def do_POST(self) -> None:
            self.send_response_only(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Wrong)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        found = looked(Daemon(tmp_path, store(url, 'version = "2"\norg = "lab"\nbucket = "b"')))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert found["sink store: clock"]["grade"] == "warning", found
    assert "behind" in found["sink store: clock"]["found"]
    assert found["sink store: writing"]["grade"] == "problem"
    assert found["sink store: retention"]["grade"] == "unknown"


def test_a_data_directory_in_memory_is_told(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no /dev/shm here")
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(memory)], capture_output=True, text=True, check=True).stdout
    if kind.strip() != "tmpfs":
        pytest.skip("/dev/shm is no tmpfs here")
    daemon = Daemon(tmp_path, "")
    (daemon.folder / "assaygate.toml").write_text(
        (daemon.folder / "assaygate.toml").read_text().replace(str(daemon.data_dir), str(memory / "assaygate-nowhere"))
    )
    found = looked(daemon)
    assert found["file system"]["grade"] == "problem", found
    assert "power cut" in found["file system"]["found"]
