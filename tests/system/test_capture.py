"""A recorder between an instrument and the host it has: nothing changes for either, and nobody is named."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.kit import recording
from tests.system.daemon import eventually, free_port
from tests.system.peers import deliver, frames


@contextmanager
def capturing(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command, interrupted at the end as a person would."""
    process = subprocess.Popen([sys.executable, "-m", "gateway.cli", "capture", *words], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert process.stdout
        process.stdout.close()


class Host(threading.Thread):
    """Another maker's host: acknowledges everything, and keeps what it heard."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.heard = b""
        self._server = socket.create_server(("127.0.0.1", port))
        self.start()

    def run(self) -> None:
        sock, _ = self._server.accept()
        with sock:
            while data := sock.recv(65536):
                self.heard += data
                if data != b"\x04":
                    sock.sendall(b"\x06")
        self._server.close()


def connected(port: int) -> socket.socket:
    found: list[socket.socket] = []

    def there() -> bool:
        try:
            found.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        except OSError:
            return False
        return True

    assert eventually(there)
    return found[0]


@pytest.mark.parametrize("masked", [True, False])
def test_between_analyser_and_host_over_tcp(tmp_path: Path, masked: bool) -> None:
    here, there, tape = free_port(), free_port(), tmp_path / "run.wire"
    host = Host(there)
    more = [] if masked else ["--unmasked"]
    words = ("--between", f"tcp-listen:127.0.0.1:{here}", f"tcp:127.0.0.1:{there}", "-o", str(tape), *more)
    said = b"".join([b"\x05", *frames("S-4711", "12.4"), b"\x04"])
    with capturing(*words):
        with connected(here) as sock:
            assert deliver(sock, b"\x05", *frames("S-4711", "12.4")) == b"\x06" * 6
        host.join(20)
    assert host.heard == said
    pieces = list(recording.read(tape.read_text()))
    taped = b"".join(piece.data for piece in pieces if piece.incoming)
    assert b"".join(piece.data for piece in pieces if not piece.incoming) == b"\x06" * 6
    assert (taped == said) is not masked
    assert len(taped) == len(said)
    assert (b"S-4711" in taped, b"PID-1" in taped) == (not masked, not masked)
    replayed = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "replay", str(tape), "--driver", "astm"], capture_output=True, check=True
    )
    assert b'"value":12.4' in replayed.stdout
    assert b"refused" not in replayed.stdout


def test_between_two_serial_lines(tmp_path: Path) -> None:
    """The instrument's line on one adapter, its host's on another."""
    ends = [pty.openpty() for _ in range(2)]
    for _, slave in ends:
        tty.setraw(slave)
    instrument, host = (master for master, _ in ends)
    names = [os.ttyname(slave) for _, slave in ends]
    tape = tmp_path / "run.wire"
    with capturing("--between", f"serial:{names[0]}", f"serial:{names[1]}", "-o", str(tape), "--unmasked"):
        heard = b""
        for _ in range(200):  # until both ends are open what is said is lost, as on a cable nobody listens to
            os.write(instrument, b"S S     100.00 g\r\n")
            os.set_blocking(host, False)
            if eventually(lambda: _ready(host), 0.2):
                heard = os.read(host, 65536)
                break
        assert heard.startswith(b"S S     100.00 g\r\n")
        os.write(host, b"SI\r\n")
        os.set_blocking(instrument, False)
        assert eventually(lambda: _ready(instrument))
        assert os.read(instrument, 100) == b"SI\r\n"
    pieces = list(recording.read(tape.read_text()))
    assert {(piece.incoming, piece.data[:2]) for piece in pieces} == {(True, b"S "), (False, b"SI")}
    for master, slave in ends:
        os.close(master)
        os.close(slave)


def _ready(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def test_asked_wrongly_it_says_what_to_write() -> None:
    for words in (["-o", "x"], ["--between", "usb:1", "tcp:127.0.0.1:1", "-o", "/dev/null"]):
        done = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "capture", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2, done.stderr
        assert "--between" in done.stderr or "Write serial:" in done.stderr
