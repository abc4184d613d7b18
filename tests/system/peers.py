"""Peers of our own making, apart from drivers and simulators: an analyser on TCP that does not give up, and a
publisher on a real broker. What they count as acknowledged is what the other side told them."""

from __future__ import annotations

import contextlib
import getpass
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
import tty
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.system.daemon import eventually, free_port
from tests.system.stores import needed

ENQ, ACK, EOT = b"\x05", b"\x06", b"\x04"
START = datetime(2026, 1, 15)  # of an analyser's clock, which goes on by a second a result


def frames(specimen: str, value: str, done: str = "20260115092830", encoding: str = "utf-8") -> list[bytes]:
    """One result message; `done` is when the analysis was complete."""
    records = [
        "H|\\^&|||Peer^1|||||||P|LIS2-A2|20260115093000",
        "P|1||PID-1",
        f"O|1|{specimen}||^^^CRP|R||20260115092000",
        f"R|1|^^^CRP|{value}|mg/L|0 to 5|H||F||op7||{done}|SN0042",
        "L|1|N",
    ]
    built = []
    for number, record in enumerate(records, 1):
        body = f"{number % 8}{record}\r\x03".encode(encoding)
        built.append(b"\x02" + body + f"{sum(body) % 256:02X}\r\n".encode())
    return built


class Wire(Protocol):
    """What of a socket is needed to speak with the gateway."""

    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


def deliver(sock: Wire, *pieces: bytes) -> bytes:
    """Send pieces, each after the answer to the one before, and EOT; the answers in a row."""
    answers = b""
    for piece in pieces:
        sock.sendall(piece)
        answers += sock.recv(1)
    sock.sendall(EOT)
    return answers


class Analyser(threading.Thread):
    """Sends results until told to stop; one whose last frame is not acknowledged is sent again from its start."""

    def __init__(self, port: int, name: str, count: int) -> None:
        super().__init__(name=name)
        self.acknowledged: dict[str, str] = {}
        self.sent: dict[str, str] = {}
        self.resent = 0
        self._port, self._count = port, count
        self._stop_now = threading.Event()

    def stop(self) -> None:
        self._stop_now.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        number, wire = 0, None
        while number < self._count and not self._stop_now.is_set():
            specimen, value = f"{self.name}-{number:05d}", f"{number}.{number % 10}"
            self.sent[specimen] = value
            try:
                wire = wire or self._connect()
                self._deliver(wire, self._message(number, specimen, value))
            except OSError:
                self.resent += 1
                if wire:
                    wire.close()
                wire = None
                self._stop_now.wait(0.05)
                continue
            self.acknowledged[specimen] = value
            number += 1
        if wire:
            wire.close()

    def _connect(self) -> Wire:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _message(self, number: int, specimen: str, value: str) -> list[bytes]:
        return frames(specimen, value, f"{START + timedelta(seconds=number):%Y%m%d%H%M%S}")

    def _deliver(self, wire: Wire, message: list[bytes]) -> None:
        for piece in (ENQ, *message):
            wire.sendall(piece)
            if wire.recv(1) != ACK:
                raise ConnectionError("not acknowledged")
        wire.sendall(EOT)


class HL7Sender(Analyser):
    """The same over HL7 and MLLP: a result is acknowledged by AA with its own control id."""

    def _message(self, number: int, specimen: str, value: str) -> list[bytes]:
        done = f"{START + timedelta(seconds=number):%Y%m%d%H%M%S}"
        segments = [
            f"MSH|^~\\&|PEER|LAB|LIS|LAB|{done}||ORU^R01|{specimen}|P|2.5.1",
            "PID|1||PID-1",
            f"OBR|1|{specimen}|{specimen}|CRP^CRP|||{done}",
            f"OBX|1|NM|CRP^CRP||{value}|mg/L|0-5|H|||F|||{done}",
        ]
        return [specimen.encode(), "".join(f"{segment}\r" for segment in segments).encode()]

    def _deliver(self, wire: Wire, message: list[bytes]) -> None:
        control_id, payload = message
        wire.sendall(b"\x0b" + payload + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            piece = wire.recv(4096)
            if not piece:
                raise ConnectionError("hung up")
            answer += piece
        if b"\rMSA|AA|" + control_id not in answer:
            raise ConnectionError("not acknowledged")


class SerialAnalyser(Analyser):
    """The same at the end of a serial line (a pseudo-terminal), which stays when the gateway goes."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(0, name, count)
        self._master, self._slave = pty.openpty()  # ours stays open too, or the line would hang up
        tty.setraw(self._slave)
        self.tty = os.ttyname(self._slave)

    def _connect(self) -> Wire:
        line = SerialLine(self._master)
        while line.waiting(0.2):  # whatever was said to a delivery given up answers none to come
            line.recv(1)
        line.sendall(EOT)
        return line

    def stop(self) -> None:
        super().stop()
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class SerialLine:
    """A descriptor that looks like a socket; a `Wire`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def waiting(self, seconds: float) -> bool:
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    def recv(self, size: int) -> bytes:
        if not self.waiting(3.0):
            raise TimeoutError("no answer")
        return os.read(self._descriptor, size)

    def close(self) -> None:
        """The line stays."""


def freezer_on(port: int, more: str = "") -> str:
    """A configuration's freezer-1 on a broker at `port`, heard at lab/freezer-1; `more`: lines of the device."""
    return (
        f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {port}\n'
        '[[devices]]\nid = "freezer-1"\ndriver = "mqtt-json"\n'
        f'link = {{ type = "mqtt", broker = "bench", topic = "lab/freezer-1" }}\n{more}\n'
    )


class Broker:
    """A real mosquitto with persistence on."""

    def __init__(self, folder: Path, more: str = "allow_anonymous true\n") -> None:
        needed("mosquitto", "mosquitto")
        self.port = free_port()
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._config = folder / "mosquitto.conf"
        self.configure(more)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, more: str) -> None:
        """What it does from its next start on."""
        self._config.write_text(
            # As root it would become a user who may not write here, and persist nothing.
            f"user {getpass.getuser()}\npersistence true\npersistence_location {self.folder}/\n"
            f"max_queued_messages 0\nmax_inflight_messages 1000\nlistener {self.port} 127.0.0.1\n{more}"
        )

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        pytest.fail("mosquitto did not start")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut would, but for what the system has of its file."""
        self._end(signal.SIGKILL)

    def forget(self) -> None:
        """While it is stopped: lose every session, what was queued for it, and what was retained."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def _end(self, number: int) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that runs."""
    made = Broker(tmp_path / "broker")
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Publisher(threading.Thread):
    """Publishes readings at QoS 1; acknowledged is what the broker acknowledged and had a subscriber for."""

    def __init__(self, port: int, topic: str, count: int, pause: float = 0.0) -> None:
        super().__init__(name=f"publisher:{topic}")
        self.acknowledged: set[int] = set()
        self.sent = 0
        self._port, self._topic, self._count, self._pause = port, topic, count, pause
        self._stop_now = threading.Event()
        self._told: deque[tuple[int, bool]] = deque()  # packet, somebody is to have it
        self._answers = 0

    def stop(self) -> None:
        self._stop_now.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        name = f"peer-{self._topic.replace('/', '-')}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(1, 1)
        client.on_publish = lambda _c, _u, packet, reason, _p: self._told.append((packet, reason.value == 0))
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        numbers: dict[int, int] = {}  # of the reading a packet carries
        for number in range(self._count):
            if self._stop_now.wait(self._pause):
                break
            # The value repeats; only `n` tells the readings apart.
            self.sent = number + 1
            packet = client.publish(self._topic, f'{{"temp": -80.1, "n": {number}}}', 1).mid
            numbers[packet] = number
            self._hear(numbers)
        eventually(lambda: self._hear(numbers) == self.sent)
        client.disconnect()
        client.loop_stop()

    def _hear(self, numbers: dict[int, int]) -> int:
        """Take in what the broker has answered; how many answers there have been."""
        while self._told:
            packet, taken = self._told.popleft()
            self._answers += 1
            if taken:
                self.acknowledged.add(numbers[packet])
        return self._answers
