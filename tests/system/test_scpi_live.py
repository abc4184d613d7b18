"""SCPI with a foreign instrument: a hand-written one on TCP and on a serial line, asked by the running daemon."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.serial_pair import serial_pair

ANSWERS = {
    "*IDN?": "LSCI,MODEL218E,21EA4F,042109",
    "MEAS:TEMP? TC,K": "+2.61950000E+01",
    "MEAS:VOLT:DC?": "+9.90000000E+37",
    "FETC?": "-80.013,+0.5,9.91E37",
}


class Meter:
    """Answers what it knows and keeps what it does not know in its error queue; takes `pause` seconds to answer."""

    def __init__(self, end: bytes, pause: float = 0.0) -> None:
        self.end, self.pause = end, pause
        self.errors: list[str] = []
        self.heard: list[str] = []
        self.impatient: list[bytes] = []  # what came before the answer was out

    def converse(self, descriptor: int, ended: int) -> None:
        """Until the other end hangs up, or something can be read from `ended`."""
        pending, early = b"", b""
        with contextlib.suppress(ConnectionError):
            while ended not in select.select((descriptor, ended), (), ())[0]:
                data = os.read(descriptor, 4096)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                self.impatient += [early, *lines[1:]] if early else lines[1:]
                early = b""
                for line in lines:
                    if select.select((descriptor,), (), (), self.pause)[0]:
                        early = line  # or the other end has hung up: the next read says which
                    self.answer(line.decode().strip(), descriptor)

    def answer(self, query: str, descriptor: int) -> None:
        self.heard.append(query)
        answer = ANSWERS.get(query)
        if query == "SYST:ERR?":
            answer = self.errors.pop(0) if self.errors else '+0,"No error"'
        if answer is None:
            self.errors.append('-113,"Undefined header"')
            return
        os.write(descriptor, answer.encode())
        os.write(descriptor, self.end)


@contextlib.contextmanager
def running(serve: Callable[[int], None]) -> Iterator[None]:
    """`serve` in a thread of its own, given a descriptor that can be read when it is to end."""
    ended, end = os.pipe()
    thread = threading.Thread(target=serve, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        os.close(end)
        thread.join(10)
        os.close(ended)


@contextlib.contextmanager
def on_tcp(meter: Meter, port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve(ended: int) -> None:
            while ended not in select.select((server.fileno(), ended), (), ())[0]:
                connection, _ = server.accept()
                with connection:
                    meter.converse(connection.fileno(), ended)

        with running(serve):
            yield


@contextlib.contextmanager
def on_line(meter: Meter, path: str) -> Iterator[None]:
    line = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        with running(lambda ended: meter.converse(line, ended)):
            yield
    finally:
        os.close(line)


CONFIG = """
[[devices]]
id = "{name}"
driver = "scpi"
link = {link}
poll = "1s"
timeout = "1s"
queries = [
  {{ ask = "MEAS:TEMP? TC,K", quantity = "temperature", unit = "Cel" }},
  {{ ask = "MEAS:VOLT:DC?", quantity = "voltage", unit = "V" }},
  {{ ask = "FETC?", index = 1, quantity = "freezer", unit = "Cel" }},
  {{ ask = "FETC?", index = 3, quantity = "open-input", unit = "Cel" }},
  {{ ask = "CALC:NOTHING?", quantity = "nothing" }},
]
"""
SAID = {
    "temperature": (26.195, "good", "Cel", "reading"),
    "voltage": (None, "bad", "V", "reading"),
    "freezer": (-80.013, "good", "Cel", "reading"),
    "open-input": (None, "bad", "Cel", "reading"),
    "model": ("MODEL218E", "good", None, "status"),
    "error": ("Undefined header", "good", None, "event"),
}


def test_the_daemon_reads_a_foreign_instrument_over_tcp_and_a_serial_line(tmp_path: Path) -> None:
    meters = {"tcp": Meter(b"\n"), "line": Meter(b"\r\n")}
    port = free_port()
    with contextlib.ExitStack() as stack:
        near, far = stack.enter_context(serial_pair())
        stack.enter_context(on_tcp(meters["tcp"], port))
        stack.enter_context(on_line(meters["line"], far))
        config = CONFIG.format(name="tcp", link=f'{{ type = "tcp", host = "127.0.0.1", port = {port} }}')
        config += CONFIG.format(name="line", link=f'{{ type = "serial", port = "{near}" }}')
        daemon = Daemon(tmp_path, config)
        daemon.start()
        stack.callback(daemon.stop)
        for name, meter in meters.items():
            assert eventually(lambda name=name: said(daemon, name).keys() >= SAID.keys(), 40)  # type: ignore[misc]
            found = said(daemon, name)
            assert {quantity: found[quantity] for quantity in SAID} == SAID
            assert "nothing" not in found
            assert meter.heard[:2] == ["*IDN?", "SYST:ERR?"]
            assert all("?" in query for query in meter.heard)  # nothing was set
        report = daemon.verify()
        assert (report["unaccounted"], report["journal"]) == (0, "sound")


def said(daemon: Daemon, device: str) -> dict[str, tuple[object, str, str | None, str]]:
    rows = daemon.export("--device", device)
    return {row["quantity"]: (row["value"], row["quality"], row["unit"], row["kind"]) for row in rows}


def test_a_query_is_never_sent_before_the_last_one_is_answered(tmp_path: Path) -> None:
    """One query at a time on the wire, whatever is due."""
    port, meter = free_port(), Meter(b"\n", pause=0.1)
    with on_tcp(meter, port):
        link = f'{{ type = "tcp", host = "127.0.0.1", port = {port} }}'
        daemon = Daemon(tmp_path, CONFIG.format(name="tcp", link=link))
        daemon.start()
        try:
            assert eventually(lambda: len(daemon.export()) > 15, 40)
        finally:
            daemon.stop()
    assert len(meter.heard) > 10
    assert meter.impatient == []
