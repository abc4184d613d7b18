"""`assaygate simulate`: control while it runs, a bench with the gateway it configures, recordings, a real instrument's
relay, and each fault of a link against the running daemon."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import shlex
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.kit import recording
from simulators.faults import FAULTS
from simulators.instrument import Instrument, Plan
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Broker, SerialLine, broker, deliver, frames

__all__ = ["broker"]

COMMAND = [sys.executable, "-m", "gateway.cli"]


class Running:
    """`assaygate simulate ARGUMENTS` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "simulate", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout:
            self.lines += self._process.stdout

    def said(self, pattern: str) -> str:
        """The first group of the first line that fits, once it has come."""
        found: list[str] = []

        def there() -> bool:
            found.extend(match[1] for line in list(self.lines) if (match := re.search(pattern, line)))
            return bool(found)

        assert eventually(there), "".join(self.lines)
        return found[0]

    def end(self) -> int:
        status = self._process.wait(30)
        self._reader.join()
        return status

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self.end()


@contextmanager
def simulated(*arguments: str) -> Iterator[Running]:
    running = Running(*arguments)
    try:
        yield running
    finally:
        running.stop()


class Control:
    """A client of the control port, made of a socket."""

    def __init__(self, running: Running) -> None:
        port = int(running.said(r"control at 127\.0\.0\.1:(\d+)"))
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._file = self._sock.makefile("rw", encoding="utf-8")

    def __call__(self, line: str) -> dict[str, Any]:
        self._file.write(line + "\n")
        self._file.flush()
        answer: dict[str, Any] = json.loads(self._file.readline())
        return answer

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def test_a_running_bench_obeys(tmp_path: Path) -> None:
    with simulated("mt-sics", "--link", f"pty:{tmp_path / 'b.tty'}", "--control", "0", "--rate", "50") as running:
        tell = Control(running)
        try:
            assert eventually(lambda: tell("status")["instruments"]["mt-sics"]["sent"] > 0)
            assert "a byte is lost" in tell("faults")["faults"]["drop"]
            assert tell("fault drop=0.25") == {"ok": True}
            assert tell("rate 2") == {"ok": True}
            assert tell("pause mt-sics") == {"ok": True}
            status = tell("status")["instruments"]["mt-sics"]
            assert (status["rates"], status["rate"], status["paused"]) == ({"drop": 0.25}, 2.0, True)
            for wrong in ("", "dance", "fault", "fault corupt=1", "fault drop=2", "rate -1", "rate x", "event x",
                          "pause nobody", "status a b"):  # fmt: skip
                answer = tell(wrong)
                assert (answer["ok"], bool(answer["why"])) == (False, True), wrong
            assert tell("stop") == {"ok": True}
        finally:
            tell.close()
        assert running.end() == 0


def test_a_control_line_without_an_end_is_hung_up_on(tmp_path: Path) -> None:
    with simulated("mt-sics", "--control", "0") as running:
        port = int(running.said(r"control at 127\.0\.0\.1:(\d+)"))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(b"x" * 100_000)
            assert sock.recv(100) == b""
        tell = Control(running)
        assert tell("status")["ok"]
        tell.close()


def test_a_whole_bench_and_the_gateway_it_configures(tmp_path: Path) -> None:
    bench = tmp_path / "bench.toml"
    bench.write_text(
        'title = "Two by two"\n'
        '[[instruments]]\nid = "chemistry"\ndriver = "astm"\nlink = "tcp"\nrate = 5.0\n'
        '[[instruments]]\nid = "rapid"\ndriver = "lateral-flow"\nlink = "pty"\nrate = 5.0\n'
        'options = { control_valid = 200.0 }\n'
        '[[instruments]]\nid = "files"\ndriver = "astm"\nlink = "folder"\nrate = 2.0\n'
        'options = { framing = "none" }\nfaults = { slow = 0.3 }\n'
        '[[instruments]]\nid = "balance"\ndriver = "mt-sics"\nlink = "tcp-listen"\nrate = 5.0\n'
        'device = { poll = "200ms" }\n'
        '[[events]]\nat = "1s"\ninstrument = "chemistry"\nevent = "control"\n'
    )  # fmt: skip
    config, ledgers = tmp_path / "made" / "assaygate.toml", tmp_path / "ledgers"
    with simulated(
        "--scenario", str(bench), "--config", str(config), "--ledger", str(ledgers), "--control", "0"
    ) as running:
        running.said("assaygate run -c (.*)")
        tell = Control(running)
        daemon = Daemon(tmp_path, "")
        daemon.config.write_text(config.read_text() + f'\n[http]\nlisten = "127.0.0.1:{daemon.http}"\n')
        daemon.start()
        try:
            assert eventually(
                lambda: {row["device"] for row in daemon.export()} == {"chemistry", "rapid", "files", "balance"}
            ), daemon.log
            assert eventually(lambda: any(row["kind"] == "qc" for row in daemon.export("--device", "chemistry")))
            tell("pause")
            sent = tell("status")["instruments"]["files"]["sent"]
            assert eventually(lambda: len({r["raw"] for r in daemon.export("--device", "files")}) >= sent, 30)
            tell("stop")
            running.end()
            report = daemon.verify(*ledgers.iterdir())
        finally:
            tell.close()
            daemon.stop()
    assert {name: report[name] for name in ("lost", "doubled", "altered", "invented")} == dict.fromkeys(
        ("lost", "doubled", "altered", "invented"), 0
    ), report
    assert report["acknowledged"] > 0


def test_the_faults_are_listed() -> None:
    done = subprocess.run(
        [*COMMAND, "simulate", "--fault", "list"], capture_output=True, text=True, timeout=30, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(FAULTS)


def test_what_is_asked_wrongly_is_said_in_one_line(tmp_path: Path) -> None:
    for arguments, why in (
        ([], "Name a DRIVER"),
        (["nothing-such"], "no driver is called"),
        (["astm", "--link", "carrier-pigeon"], "is no link"),
        (["astm", "--fault", "corupt=1"], "no fault is called"),
        (["astm", "--fault", "corrupt"], "Write corrupt=0.01"),
        (["astm", "--relay", "usb:1"], "is no real instrument"),
        (["astm", "--scenario", str(tmp_path)], "Leave DRIVER away"),
    ):
        done = subprocess.run(
            [*COMMAND, "simulate", *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 2, done
        assert why in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1


# ---- recordings


def test_what_a_simulated_analyser_said_is_recorded_and_decodes(tmp_path: Path) -> None:
    port, tape = free_port(), tmp_path / "run.wire"
    daemon = Daemon(
        tmp_path, f'[[devices]]\nid = "a"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    )
    daemon.start()
    try:
        with simulated("astm", "--link", f"tcp:127.0.0.1:{port}", "--rate", "0", "--count", "3",
                       "--record", str(tape)) as running:  # fmt: skip
            assert running.end() == 0
        stored = daemon.until(12)
    finally:
        daemon.stop()
    replayed = subprocess.run(
        [*COMMAND, "replay", str(tape), "--driver", "astm"], capture_output=True, text=True, timeout=60, check=True
    )
    again = [json.loads(line) for line in replayed.stdout.splitlines()]
    assert [(row["specimen"], row["quantity"], row["value"]) for row in again] == [
        (row["specimen"], row["quantity"], row["value"]) for row in stored
    ]
    assert any(not piece.incoming for piece in recording.read(tape.read_text()))


def test_a_relay_hands_on_a_serial_instrument_and_records_it(tmp_path: Path) -> None:
    """The instrument is a pseudo-terminal and a script; the host a socket: neither is ours."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    tape = tmp_path / "real.wire"
    with simulated(
        "astm", "--relay", f"serial:{os.ttyname(slave)}@9600", "--link", "tcp-listen:127.0.0.1:0", "--record", str(tape)
    ) as running:
        port = int(running.said(r"handed on at 127\.0\.0\.1:(\d+)"))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as host:
            running.said("(joined)")  # what an instrument says before that, nobody hears
            wanted = b"\x05" + b"".join(frames("R-1", "4.2")) + b"\x04"
            heard: list[bytes] = []

            def listen() -> None:
                while len(b"".join(heard)) < len(wanted):
                    heard.append(host.recv(4096))
                    if heard[-1][-1:] in (b"\x05", b"\n"):
                        host.sendall(b"\x06")

            hearing = threading.Thread(target=listen)
            hearing.start()
            assert deliver(SerialLine(master), b"\x05", *frames("R-1", "4.2")) == b"\x06" * 6
            hearing.join(20)
            assert b"".join(heard) == wanted
    pieces = list(recording.read(tape.read_text()))
    assert b"".join(piece.data for piece in pieces if piece.incoming) == wanted
    assert b"".join(piece.data for piece in pieces if not piece.incoming) == b"\x06" * 6
    os.close(master)
    os.close(slave)


# ---- faults of real links


def run_all(plans: Sequence[Plan], until: Callable[[], bool] = lambda: True) -> list[Instrument]:
    """Run instruments to their counts, in a loop of their own; `until` is waited for before they begin."""
    made: list[Instrument] = []

    async def main() -> None:
        made.extend(Instrument(plan) for plan in plans)
        while not await asyncio.to_thread(until):
            await asyncio.sleep(0.1)
        async with asyncio.timeout(150), asyncio.TaskGroup() as group:
            for instrument in made:
                group.create_task(instrument.run())

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join(170)
    again = "; ".join(shlex.quote(plan.command()) for plan in plans)
    assert not thread.is_alive(), again
    assert all(one.acknowledged >= (one.plan.count or 0) for one in made), f"not all was said. Again: {again}"
    return made


LINK_FAULTS = {
    "disconnect": {"disconnect": 0.05},
    "reset": {"reset": 0.05},
    "pieces": {"split": 0.5, "merge": 0.05, "slow": 0.05},
    "answers": {"nak": 0.02, "wrong-frame-number": 0.05, "enq-contention": 0.2},
    "damage": {"corrupt": 0.05, "wrong-checksum": 0.05, "duplicate": 0.05},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LINK_FAULTS)
def test_an_analyser_on_a_bad_link_loses_nothing(tmp_path: Path, name: str) -> None:
    port, ledger = free_port(), tmp_path / "ledger.ndjson"
    daemon = Daemon(
        tmp_path, f'[[devices]]\nid = "a"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    )
    plan = Plan("astm", f"tcp:127.0.0.1:{port}", rate=0, count=15, device="a", faults=LINK_FAULTS[name],
                ledger=ledger, seed=11)  # fmt: skip
    daemon.start()
    try:
        (instrument,) = run_all([plan])
        daemon.until(60)
        report = daemon.verify(ledger)
    finally:
        daemon.stop()
    assert instrument.faults.count > 0
    counts = {one: report[one] for one in ("acknowledged", "lost", "doubled", "altered", "invented")}
    assert counts == {"acknowledged": 15, "lost": 0, "doubled": 0, "altered": 0, "invented": 0}, (
        f"{report} Again: {plan.command()}"
    )


@pytest.mark.slow
def test_an_unplugged_serial_line_comes_back_under_another_name(tmp_path: Path) -> None:
    link, ledger = tmp_path / "framed.tty", tmp_path / "ledger.ndjson"
    daemon = Daemon(
        tmp_path, f'[[devices]]\nid = "a"\ndriver = "astm"\nlink = {{ type = "serial", port = "{link}" }}\n'
    )
    plan = Plan("astm", f"pty:{link}", rate=0, count=3, device="a", faults={"unplug": 0.04}, ledger=ledger, seed=4)
    daemon.start()
    try:
        (instrument,) = run_all([plan])
        daemon.until(12)
        report = daemon.verify(ledger)
    finally:
        daemon.stop()
    assert instrument.faults.struck["unplug"] > 0
    assert (report["lost"], report["doubled"], report["altered"]) == (0, 0, 0), f"{report} Again: {plan.command()}"
    assert sum("connected" in line for line in daemon.log) > instrument.faults.struck["unplug"]


def test_what_a_broker_gives_twice_retains_or_wills(tmp_path: Path, broker: Broker) -> None:
    """A duplicate is one reading; a retained one is known again by a gateway that has never been there."""
    ledger = tmp_path / "ledger.ndjson"
    config = (
        f'[[brokers]]\nid = "b"\nhost = "127.0.0.1"\nport = {broker.port}\n'
        '[[devices]]\nid = "f"\ndriver = "mqtt-json"\nlink = { type = "mqtt", broker = "b", topic = "lab/f" }\n'
        'time = "$.time"\nreadings = [{ quantity = "temperature", path = "$.temperature", unit = "Cel" }]\n'
        '[[devices]]\nid = "will"\ndriver = "mqtt-json"\n'
        'link = { type = "mqtt", broker = "b", topic = "lab/f/state" }\n'
        'readings = [{ quantity = "state", path = "$" }]\n'
    )
    daemon = Daemon(tmp_path, config)
    options = {"time": "$.time", "readings": [{"quantity": "temperature", "path": "$.temperature", "unit": "Cel"}]}
    faults = {"mqtt-duplicate": 0.3, "mqtt-retained": 0.2, "mqtt-will": 0.03}
    plan = Plan("mqtt-json", f"mqtt:127.0.0.1:{broker.port}/lab/f", "", options, rate=100, count=200, device="f",
                faults=faults, ledger=ledger)  # fmt: skip
    daemon.start()
    try:
        (instrument,) = run_all([plan])
        daemon.until(instrument.acknowledged, "--device", "f")
        assert eventually(lambda: bool(daemon.export("--device", "will")))
        rows = daemon.export("--device", "f")
        report = daemon.verify(ledger)
    finally:
        daemon.stop()
    struck = instrument.faults.struck
    assert min(struck["mqtt-duplicate"], struck["mqtt-retained"], struck["mqtt-will"]) > 1
    assert len(rows) == len({row["uid"] for row in rows})
    assert {name: report[name] for name in ("lost", "doubled", "altered")} == {"lost": 0, "doubled": 0, "altered": 0}, (
        f"{report} Again: {plan.command()}"
    )
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    newcomer = Daemon(fresh, config.replace('site = "test"', 'site = "new"'))
    newcomer.config.write_text(newcomer.config.read_text().replace('site = "test"', 'site = "new"'))
    newcomer.start()
    try:
        (retained,) = newcomer.until(1, "--device", "f")
    finally:
        newcomer.stop()
    assert retained["uid"] in {row["uid"] for row in rows}
    assert retained["quality"] == "uncertain"
