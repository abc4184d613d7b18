"""SCPI with a foreign instrument: a meter of a few lines, on TCP and on a serial line, asked by the running daemon."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.serial_pair import serial_pair

QUERIES = """
poll = "500ms"
timeout = "300ms"
queries = [
  { ask = "MEAS:TEMP?", quantity = "temperature", unit = "Cel" },
  { ask = "MEAS:HUM?", quantity = "humidity", unit = "%" },
  { ask = "MEAS:CO2?", quantity = "co2", unit = "[ppm]" },
]
"""


class Meter:
    """Answers what it is asked, one line a line; knows no CO2."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.temperature = "+2.35E+01"
        self._held = b""

    def hear(self, data: bytes) -> bytes:
        """What it says to some bytes."""
        self._held += data
        answer = b""
        while b"\n" in self._held:
            line, _, self._held = self._held.partition(b"\n")
            answer += self._answer(line.decode().strip())
        return answer

    def _answer(self, question: str) -> bytes:
        self.asked.append(question)
        match question:
            case "*IDN?":
                return b"ACME,TH-2,SN7,1.0\n"
            case "SYST:ERR?":
                return ((self.errors.pop(0) if self.errors else '0,"No error"') + "\n").encode()
            case "MEAS:TEMP?":
                return f"{self.temperature}\n".encode()
            case "MEAS:HUM?":
                return b"9.91E+37\n"
        self.errors.append('-113,"Undefined header"')
        return b""


@contextlib.contextmanager
def over_tcp(meter: Meter) -> Iterator[str]:
    port = free_port()
    server = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = server.accept()
                with sock, contextlib.suppress(ConnectionError):
                    while data := sock.recv(4096):
                        sock.sendall(meter.hear(data))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f'{{ type = "tcp", host = "127.0.0.1", port = {port} }}'
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@contextlib.contextmanager
def over_serial(meter: Meter) -> Iterator[str]:
    with serial_pair() as (ours, theirs):
        stop = threading.Event()
        descriptor = os.open(theirs, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

        def serve() -> None:
            while not stop.wait(0.01):
                with contextlib.suppress(BlockingIOError):
                    if answer := meter.hear(os.read(descriptor, 4096)):
                        os.write(descriptor, answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f'{{ type = "serial", port = "{ours}" }}'
        finally:
            stop.set()
            thread.join()
            os.close(descriptor)


@pytest.mark.parametrize("plugged", [over_tcp, over_serial])
def test_a_meter_is_asked_and_understood(
    tmp_path: Path, plugged: Callable[[Meter], contextlib.AbstractContextManager[str]]
) -> None:
    meter = Meter()
    with plugged(meter) as link:
        daemon = Daemon(tmp_path, f'[[devices]]\nid = "a"\ndriver = "scpi"\nlink = {link}\n{QUERIES}')
        daemon.start()
        try:
            assert eventually(lambda: meter.asked.count("MEAS:TEMP?") > 3)
            meter.temperature = "-8.00E+01"
            assert eventually(lambda: any(row["value"] == -80 for row in daemon.export("--quantity", "temperature")))
        finally:
            daemon.stop()
        rows = daemon.export()
        report = daemon.verify()
    temperatures = [row for row in rows if row["quantity"] == "temperature"]
    assert {(row["value"], row["unit"], row["quality"]) for row in temperatures} == {
        (23.5, "Cel", "good"),
        (-80, "Cel", "good"),
    }
    assert {(row["value"], row["quality"]) for row in rows if row["quantity"] == "humidity"} == {(None, "bad")}
    assert not [row for row in rows if row["quantity"] == "co2" and row["value"] is not None]
    assert any("Undefined header" in str(row) for row in rows if row["kind"] == "event")
    assert any("TH-2" in str(row) for row in rows if row["kind"] == "status")
    assert not [one for one in meter.asked if not one.endswith("?")]  # nothing was set
    assert (report["exit"], report["unaccounted"]) == (0, 0)
