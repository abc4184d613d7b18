"""The doctor listens to a device and says in plain words what is wrong, promising it nothing."""

from __future__ import annotations

import json
import os
import pty
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import deliver, frames

ASTM = b"\x05" + b"".join(frames("S-1", "12.4")) + b"\x04"


def framed(*records: bytes) -> bytes:
    """ASTM frames around any text."""
    built = b""
    for number, record in enumerate(records, 1):
        body = b"%d%b\r\x03" % (number % 8, record)
        built += b"\x02%b%02X\r\n" % (body, sum(body) % 256)
    return b"\x05" + built + b"\x04"


def with_parity(data: bytes, odd: bool = False) -> bytes:
    return bytes(byte | 0x80 if (byte.bit_count() % 2 == 1) != odd else byte for byte in data)


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """A serial line: the instrument's end, and the name of ours."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def listened(daemon: Daemon, say: bytes, master: int, seconds: str = "2") -> tuple[int, list[dict[str, str]]]:
    """What the doctor finds while the instrument says something again and again."""
    stop = threading.Event()

    def speak() -> None:
        while not stop.wait(0.2):
            os.write(master, say)

    speaker = threading.Thread(target=speak)
    if say:
        speaker.start()
    try:
        done = daemon.command("doctor", "a", "--json", "--listen", seconds)
    finally:
        stop.set()
        if say:
            speaker.join()
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def serial(path: str, driver: str = "astm", more: str = "") -> str:
    return f'[[devices]]\nid = "a"\ndriver = "{driver}"\nlink = {{ type = "serial", port = "{path}" }}\n{more}\n'


@pytest.mark.parametrize(
    ("say", "found", "remedy"),
    [
        (b"", "nothing was said", "cable"),
        (with_parity(ASTM), "even parity", 'parity = "E"'),
        (with_parity(ASTM, odd=True), "odd parity", 'parity = "O"'),
        (bytes([0x80, 0xFE, 0x00, 0xF8, 0xE0, 0x78, 0x9F, 0xC3]) * 20, "make no sense at 9600 baud", "baud rates"),
        (framed(b"MSH|^~\\&|Reader||||20260115||ORU^R01|1|P|2.5"), "HL7 inside ASTM", "MLLP"),
        (b"\x0bMSH|^~\\&|Reader||||20260115||ORU^R01|1|P|2.5\r\x1c\r", "it speaks HL7 v2", 'driver = "hl7"'),
        (b"S S     100.00 g\r\n", "it speaks MT-SICS", 'driver = "mt-sics"'),
        (ASTM.replace(b"12.4", b"13.4"), "checksum", "cable"),
    ],
    ids=["silent", "even", "odd", "baud", "hl7-in-astm", "hl7", "balance", "damaged"],
)
def test_the_doctor_names_what_is_wrong(
    tmp_path: Path, line: tuple[int, str], say: bytes, found: str, remedy: str
) -> None:
    master, path = line
    code, checks = listened(Daemon(tmp_path, serial(path)), say, master)
    assert code == 1
    assert [c for c in checks if not c["ok"] and found in c["found"] and remedy in c["remedy"]], checks


def test_a_device_whose_clock_stands_in_1970_is_told_from_a_good_one(tmp_path: Path, line: tuple[int, str]) -> None:
    master, path = line
    records = [
        b"H|\\^&|||Reader|||||||P|1|19700101000500",
        b"P|1",
        b"O|1|S-1",
        b"R|1|^^^CRP|3|mg/L||||F||||19700101000400",
    ]
    code, checks = listened(Daemon(tmp_path, serial(path)), framed(*records, b"L|1|N"), master)
    assert code == 1
    assert [c for c in checks if "clock" in c["found"] and "clock" in c["remedy"]], checks


def test_a_query_that_nobody_answers_is_said(tmp_path: Path, line: tuple[int, str]) -> None:
    master, path = line
    query = framed(b"H|\\^&|||Reader", b"Q|1|^S-1||ALL||||||||O", b"L|1|N")
    code, checks = listened(Daemon(tmp_path, serial(path, more='host_query = "ignore"')), query, master)
    assert code == 1
    assert [c for c in checks if "waits for an answer" in c["found"] and "host_query" in c["remedy"]], checks


def test_listening_acknowledges_no_frame(tmp_path: Path) -> None:
    """What the doctor heard was promised to nobody: the instrument still has it."""
    port = free_port()
    daemon = Daemon(
        tmp_path, f'[[devices]]\nid = "a"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    )
    answers: list[bytes] = []

    def instrument() -> None:
        def there() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
                    sock.sendall(b"\x05")
                    answers.append(sock.recv(1))
                    sock.sendall(frames("S-1", "12.4")[0])
                    sock.settimeout(1.0)
                    answers.append(sock.recv(1))
            except TimeoutError:
                return True
            except OSError:
                return False
            return True

        eventually(there)

    thread = threading.Thread(target=instrument)
    thread.start()
    done = daemon.command("doctor", "a", "--json", "--listen", "6")
    thread.join()
    assert done.stdout, done.stderr
    assert [one for one in answers if one] == [b"\x06"]  # the ENQ's, not the frame's
    assert not (daemon.data_dir / "journal.sqlite").exists()


def test_beside_the_running_daemon_its_wire_is_tapped(tmp_path: Path) -> None:
    port = free_port()
    daemon = Daemon(
        tmp_path, f'[[devices]]\nid = "a"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    )
    daemon.start()
    try:
        stop = threading.Event()

        def instrument() -> None:
            number = 0
            while not stop.wait(0.1):
                number += 1
                with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                    deliver(sock, b"\x05", *frames(f"S-{number}", "12.4"))

        thread = threading.Thread(target=instrument)
        thread.start()
        done = daemon.command("doctor", "a", "--json", "--listen", "3")
        stop.set()
        thread.join()
    finally:
        daemon.stop()
    checks = json.loads(done.stdout)
    assert [c for c in checks if c["ok"] and "messages understood" in c["found"]], checks
