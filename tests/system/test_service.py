"""The daemon among its neighbours: systemd, a broker behind TLS, people who are to be told."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.system.daemon import Daemon, eventually, free_port, listens
from tests.system.peers import ACK, ENQ, Broker, deliver, frames
from tests.system.stores import Victoria, needed, own_victoria

__all__ = ["own_victoria"]

ANALYSER = '[[devices]]\nid = "chemistry"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'


def send(port: int, specimen: str, value: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        assert deliver(sock, ENQ, *frames(specimen, value)) == ACK * 6


def asked(daemon: Daemon, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http}{path}", timeout=5) as answer:
        return json.load(answer)


# ---- systemd


def test_systemd_is_told_when_it_is_ready_alive_and_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a store that is away, which must not keep it from stopping within five seconds."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(10)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    port, away = free_port(), free_port()
    sink = f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "http://127.0.0.1:{away}"\n'
    daemon = Daemon(tmp_path, ANALYSER.format(port=port) + sink)
    daemon.start()
    send(port, "S1", "1.0")
    heard = {told.recv(100) for _ in range(4)}
    assert heard == {b"READY=1", b"WATCHDOG=1"}
    started = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - started < 5.0, "issue and unit promise it"
    while (state := told.recv(100)) == b"WATCHDOG=1":
        pass
    assert state == b"STOPPING=1"
    told.close()


# ---- what is kept


def test_what_is_older_than_kept_is_removed_when_it_was_delivered(tmp_path: Path) -> None:
    port, out = free_port(), tmp_path / "out.ndjson"
    daemon = Daemon(
        tmp_path,
        ANALYSER.format(port=port)
        + f'[journal]\nkeep = "1s"\n[[sinks]]\nid = "file"\ntype = "ndjson"\npath = "{out}"\n',
    )
    daemon.start()
    for specimen in ("S1", "S2", "S3"):
        send(port, specimen, "1.0")
    daemon.until(3)
    assert eventually(lambda: out.exists() and len(out.read_text().splitlines()) == 3)
    daemon.stop()
    time.sleep(1.5)
    daemon.start()
    try:
        assert eventually(lambda: [row["specimen"] for row in daemon.export()] == ["S3"]), "all but the newest"
        assert daemon.verify()["exit"] == 0
    finally:
        daemon.stop()


# ---- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and a broker's certificate for 127.0.0.1 signed by it; other.pem signed nothing."""
    folder = tmp_path_factory.mktemp("certificates")
    openssl = needed("openssl", "openssl")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for name in ("ca", "other"):
        run(*new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN=test {name}")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1")
    run(*new, "-keyout", "broker.key", "-out", "broker.pem", "-subj", "/CN=broker", *signed)
    return folder


@pytest.fixture
def guarded(tmp_path: Path, certificates: Path) -> Iterator[Broker]:
    """A broker that speaks TLS only, and to those who know the password."""
    passwords = tmp_path / "passwords"
    program = shutil.which("mosquitto_passwd") or needed("mosquitto_passwd", "mosquitto")
    subprocess.run([program, "-c", "-b", str(passwords), "gateway", "right"], check=True, capture_output=True)
    passwords.chmod(0o644)
    for path in certificates.iterdir():
        path.chmod(0o644)
    broker = Broker(
        tmp_path / "broker",
        f"allow_anonymous false\npassword_file {passwords}\n"
        f"certfile {certificates}/broker.pem\nkeyfile {certificates}/broker.key\n",
    )
    broker.start()
    yield broker
    broker.stop()


def secured(broker: Broker, ca: Path) -> str:
    return (
        f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {broker.port}\nusername = "gateway"\n'
        f'password = {{ env = "MQTT_PASSWORD" }}\ntls = {{ ca = "{ca}" }}\n'
        '[[devices]]\nid = "freezer"\ndriver = "mqtt-json"\n'
        'link = { type = "mqtt", broker = "bench", topic = "lab/freezer" }\n'
        'readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]\n'
        '[[sinks]]\nid = "north"\ntype = "mqtt"\nbroker = "bench"\n'
    )


def test_readings_come_and_go_over_tls_with_a_password(
    tmp_path: Path, guarded: Broker, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "right")
    daemon = Daemon(tmp_path, secured(guarded, certificates / "ca.pem"))
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "probe")
    client.tls_set(str(certificates / "ca.pem"))
    client.username_pw_set("gateway", "right")
    heard: list[dict[str, Any]] = []
    client.on_message = lambda _c, _u, message: heard.append(json.loads(message.payload))
    client.on_connect = lambda c, *_: c.subscribe("assaygate/#", 1)
    client.connect("127.0.0.1", guarded.port)
    client.loop_start()
    try:
        daemon.start()
        assert eventually(lambda: asked(daemon, "/api/v1/devices")["items"][0]["state"] == "connected")
        client.publish("lab/freezer", '{"temp": -80.1}', 1).wait_for_publish(10)
        assert eventually(lambda: bool(heard))
        assert not any("right" in line for line in daemon.log), "a secret in the log"
    finally:
        client.loop_stop()
        daemon.stop()
    assert (heard[0]["value"], heard[0]["unit"]) == (-80.1, "Cel")


@pytest.mark.parametrize(("ca", "password"), [("other.pem", "right"), ("ca.pem", "wrong")])
def test_a_broker_that_is_not_ours_or_will_not_have_us_is_said(
    tmp_path: Path, guarded: Broker, certificates: Path, monkeypatch: pytest.MonkeyPatch, ca: str, password: str
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", password)
    daemon = Daemon(tmp_path, secured(guarded, certificates / ca))
    try:
        daemon.start()
        told = "certificate" if ca == "other.pem" else "uthori"
        assert eventually(lambda: told in asked(daemon, "/api/v1/devices")["items"][0]["detail"])
        assert eventually(lambda: told in asked(daemon, "/api/v1/sinks")["items"][0]["last_error"])
        assert not any(password in line for line in daemon.log)
    finally:
        daemon.stop()


# ---- alarms


@contextmanager
def listener(port: int) -> Iterator[list[dict[str, Any]]]:
    """What is posted as JSON to a port."""
    heard: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_people_are_told_once_even_if_they_cannot_be_reached_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, port = free_port(), free_port()
    monkeypatch.setenv("ONCALL_URL", f"json://127.0.0.1:{there}/")
    daemon = Daemon(
        tmp_path,
        ANALYSER.format(port=port)
        + '[[alarms]]\nid = "crp-high"\nwhen = { device = "chemistry", quantity = "crp", above = 100.0 }\n'
        'priority = "high"\nnotify = ["oncall"]\n'
        '[[notifiers]]\nid = "oncall"\nurls = [{ env = "ONCALL_URL" }]\n',
    )
    try:
        daemon.start()
        send(port, "S1", "180.5")
        assert eventually(lambda: any("notification not delivered yet" in line for line in daemon.log))
        send(port, "S2", "181.5")
        assert len(daemon.until(2)) == 2, "results come in all the while"
        with listener(there) as heard:
            assert eventually(lambda: bool(heard), 30)
            send(port, "S3", "5.0")
            assert eventually(lambda: len(heard) >= 2, 30)
    finally:
        daemon.stop()
    assert [message["title"].split()[1].rstrip(":") for message in heard] == ["raised", "cleared"]
    assert not any(str(there) in line for line in daemon.log if "oncall" in line), "an address is a secret"


def test_a_sink_that_falls_behind_and_messages_not_understood_raise_alarms(
    tmp_path: Path, own_victoria: Victoria
) -> None:
    port = free_port()
    daemon = Daemon(
        tmp_path,
        ANALYSER.format(port=port) + f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "{own_victoria.url}"\n'
        '[[alarms]]\nid = "store-behind"\nwhen = { sink = "store", behind = "1s" }\n'
        '[[alarms]]\nid = "strange"\nwhen = { quarantine = 2, within = "1h" }\n',
    )

    def state(alarm: str) -> str | None:
        return next((one["state"] for one in asked(daemon, "/api/v1/alarms")["items"] if one["alarm"] == alarm), None)

    try:
        daemon.start()
        send(port, "S1", "1.0")
        assert eventually(lambda: state("store-behind") == "unacknowledged")
        assert state("strange") is None
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            for bad in (b"\x021nonsense\r\x0300\r\n", b"\x021more of it\r\x0300\r\n"):
                sock.sendall(ENQ + bad)
                sock.recv(2)
        assert eventually(lambda: state("strange") == "unacknowledged")
        own_victoria.start()
        assert eventually(lambda: state("store-behind") == "returned-unacknowledged", 40)
    finally:
        daemon.stop()


@pytest.mark.parametrize("taken", ["an instrument's port", "the page's port"])
def test_a_port_that_somebody_else_has_stops_nothing_else(tmp_path: Path, taken: str) -> None:
    """Stores are fed, other instruments served, SIGTERM ends it; once the port is free it is had, and `ready` said."""
    port, other = free_port(), free_port()
    text = ANALYSER.format(port=port) + ANALYSER.format(port=other).replace("chemistry", "haematology")
    out = tmp_path / "out.ndjson"
    daemon = Daemon(tmp_path, text + f'[[sinks]]\nid = "file"\ntype = "ndjson"\npath = "{out}"\n')
    stranger = socket.create_server(("127.0.0.1", port if taken.startswith("an") else daemon.http))
    ready = daemon.begin()
    try:
        assert eventually(lambda: listens(other))
        send(other, "S-1", "12.4")
        assert eventually(lambda: out.exists() and "S-1" in out.read_text())
        assert not ready.is_set()
        stranger.close()
        assert ready.wait(60)
        assert daemon.stop() == 0
        stranger = socket.create_server(("127.0.0.1", port if taken.startswith("an") else daemon.http))
        daemon.begin()
        assert eventually(lambda: listens(other))
    finally:
        stranger.close()
        ended = daemon.stop()
    assert ended == 0
