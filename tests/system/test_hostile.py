"""Hostile bytes on every link of the running daemon: they end in quarantine or a NAK, and the daemon goes on."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import socket
import tty
import urllib.request
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Analyser, Broker

ROUNDS = 40
GROWTH = 40e6  # bytes


def hostile(rng: random.Random) -> bytes:
    """Random, truncated, nested, oversized or half-right bytes."""
    return rng.choice(
        [
            rng.randbytes(rng.randrange(1, 3000)),
            b"\x05" + b"\x021H|\\^&|||" + rng.randbytes(200),
            b"\x05\x021H|\\^&\r\x0300\r\n" * rng.randrange(1, 50),
            b"[" * 50_000,
            b'{"temp": ' * 5_000,
            b'{"temp": 1e999, "temp": NaN, "a": "' + b"\xff\xfe" * 100 + b'"}',
            b"A" * 200_000,
            b"'; DROP TABLE raw; --<script>alert(1)</script>\r\n",
            b"\x02" * 5_000,
            b",".join([b'"'] * 3_000) + b"\r\n",
        ]
    )


def test_hostile_bytes_on_every_link_harm_nobody(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    broker.start()
    ports = [free_port(), free_port()]
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    folder = tmp_path / "inbox"
    folder.mkdir()
    daemon = Daemon(
        tmp_path,
        f'[[brokers]]\nid = "b"\nhost = "127.0.0.1"\nport = {broker.port}\n'
        f'[[devices]]\nid = "astm"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {ports[0]} }}\n'
        f'[[devices]]\nid = "xpert"\ndriver = "genexpert"\nlink = {{ type = "tcp-listen", port = {ports[1]} }}\n'
        '[[devices]]\nid = "rapid"\ndriver = "lateral-flow"\n'
        f'link = {{ type = "serial", port = "{os.ttyname(slave)}" }}\n'
        '[[devices]]\nid = "json"\ndriver = "mqtt-json"\nlink = { type = "mqtt", broker = "b", topic = "json/#" }\n'
        '[[devices]]\nid = "senml"\ndriver = "senml"\nlink = { type = "mqtt", broker = "b", topic = "senml/#" }\n'
        f'[[devices]]\nid = "files"\ndriver = "astm"\nframing = "none"\n'
        f'link = {{ type = "file", path = "{folder}", settle = "200ms" }}\n',
    )
    rng = random.Random(8)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "hostile")
    try:
        daemon.start()
        assert daemon.process
        process = psutil.Process(daemon.process.pid)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        before = 0.0
        for number in range(ROUNDS):
            for port in ports:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                    sock.sendall(hostile(rng))
            with contextlib.suppress(BlockingIOError):  # its buffer is full for the moment: enough hostility
                os.write(master, hostile(rng)[:3000])
            for topic in ("json/x", "senml/x"):
                client.publish(topic, hostile(rng), 1).wait_for_publish(10)
            (folder / f"{number}.txt").write_bytes(hostile(rng))
            if number == ROUNDS // 2:
                before = process.memory_info().rss
        good = Analyser(ports[0], "GOOD", 3)
        good.start()
        good.join(20)
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http}/readyz", timeout=5) as answer:
            ready = json.load(answer)
        assert len(good.acknowledged) == 3
        assert eventually(
            lambda: {row["specimen"] for row in daemon.export("--device", "astm")} >= good.acknowledged.keys()
        )
        assert ready["failing"] == []
        assert process.memory_info().rss - before < GROWTH
        report = daemon.verify()
        assert (report["journal"], report["unaccounted"]) == ("sound", 0)
        assert report["quarantined"] > ROUNDS
        assert not [
            line for line in daemon.log if "part failed" in line or "driver failed" in line or "exchange failed" in line
        ]
    finally:
        client.disconnect()
        client.loop_stop()
        daemon.stop()
        broker.stop()
        os.close(master)
        os.close(slave)
