"""The commands beside a running daemon, as an operator or a driver's writer types them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyarrow import parquet

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import ACK, ENQ, Broker, deliver, frames

CONFIG = """
[[devices]]
id = "chemistry"
driver = "astm"
link = {{ type = "tcp-listen", port = {chemistry} }}
encoding = "ascii"

[[devices]]
id = "immunology"
driver = "astm"
link = {{ type = "tcp-listen", port = {immunology} }}
"""


class Lab:
    """A running daemon with two analysers' ports."""

    def __init__(self, folder: Path) -> None:
        self.ports = {"chemistry": free_port(), "immunology": free_port()}
        self.daemon = Daemon(folder, CONFIG.format(**self.ports))
        self.daemon.start()

    def connect(self, device: str = "chemistry") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[device]), timeout=5)

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that runs on."""
        name, *rest = arguments
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", name, "-c", str(self.daemon.config), *rest],
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.daemon.stop()


def assaygate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_tap_shows_traffic_and_what_a_bad_checksum_should_have_been(lab: Lab) -> None:
    tap = lab.started("tap", "chemistry")
    assert tap.stdout
    assert "listening to chemistry" in tap.stdout.readline()
    good = frames("S1", "12.4")
    with lab.connect() as sock:
        bad = good[0][:-4] + b"00\r\n"
        assert deliver(sock, ENQ, bad, *good) == ACK + b"\x15" + ACK * len(good)
    shown = ""
    while "<EOT>" not in shown:
        shown += tap.stdout.readline()
    tap.send_signal(signal.SIGINT)
    assert tap.wait(10) == 0
    assert re.search(r"!!.*want", shown)
    assert "R|1|^^^CRP|12.4" in shown
    assert re.search(r"\b02 3[0-9] ", shown), "no hex beside it"


def test_what_was_captured_can_be_decoded_and_sent_again(lab: Lab, tmp_path: Path) -> None:
    recording = tmp_path / "run.wire"
    capture = lab.started("capture", "chemistry", "-o", str(recording))
    assert eventually(recording.exists)
    time.sleep(0.5)
    with lab.connect() as sock:
        deliver(sock, ENQ, *frames("S1", "12.4"))
        assert eventually(lambda: "04" in recording.read_text() or "\\x04" in recording.read_text())
    capture.send_signal(signal.SIGINT)
    assert capture.wait(10) == 0

    decoded = assaygate("replay", str(recording), "--driver", "astm", cwd=tmp_path)
    (row,) = [json.loads(line) for line in decoded.stdout.splitlines()]
    assert (row["specimen"], row["value"], row["unit"]) == ("S1", 12.4, "mg/L")

    again = assaygate(
        "replay", str(recording), "--driver", "astm", "--to", f"127.0.0.1:{lab.ports['immunology']}", cwd=tmp_path
    )
    assert again.returncode == 0, again.stderr
    rows = lab.daemon.until(2)
    assert [(row["device"], row["specimen"], row["value"]) for row in rows] == [
        ("chemistry", "S1", 12.4),
        ("immunology", "S1", 12.4),
    ]


def test_export_as_csv_and_parquet_is_the_journal(lab: Lab, tmp_path: Path) -> None:
    with lab.connect() as sock:
        deliver(sock, ENQ, *frames("=1+1", "12.4"))
    lab.daemon.until(1)
    out = tmp_path / "out.csv"
    done = lab.daemon.command("export", "--format", "csv", "-o", str(out))
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig")))
    assert (row["device"], row["quantity"], row["value"], row["unit"]) == ("chemistry", "crp", "12.4", "mg/L")
    assert row["specimen"].lstrip("'") == "=1+1"
    assert not row["specimen"].startswith("="), "a spreadsheet would run it"
    table = tmp_path / "out.parquet"
    done = lab.daemon.command("export", "--format", "parquet", "-o", str(table))
    assert done.returncode == 0, done.stderr
    (row,) = parquet.read_table(table).to_pylist()
    assert (row["device"], row["number"], row["specimen"]) == ("chemistry", 12.4, "=1+1")
    assert lab.daemon.export("--device", "immun*") == []
    assert lab.daemon.export("--until", "2026-01-15T00:00:00Z") == []
    assert len(lab.daemon.export("--since", "2026-01-15T00:00:00Z", "--quantity", "c*")) == 1


@pytest.mark.parametrize(("command", "word"), [("export", b"%"), ("verify", b"audit chain")])
def test_long_work_shows_progress_on_a_terminal_and_nowhere_else(lab: Lab, command: str, word: bytes) -> None:
    with lab.connect() as sock:
        deliver(sock, ENQ, *frames("S1", "12.4"))
    lab.daemon.until(1)
    assert lab.daemon.command(command).stderr == ""
    master, slave = pty.openpty()
    arguments = [sys.executable, "-m", "gateway.cli", command, "-c", str(lab.daemon.config)]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=slave, check=True)
    assert done.stdout
    assert word in os.read(master, 4096)
    os.close(master)
    os.close(slave)


def test_what_was_not_understood_is_once_the_configuration_knows_better(lab: Lab) -> None:
    with lab.connect() as sock:
        deliver(sock, ENQ, *frames("Ren\xe9", "12.4", encoding="latin-1"))

    def listed() -> list[dict[str, object]]:
        return list(json.loads(lab.daemon.command("quarantine", "--json").stdout))

    assert eventually(lambda: len(listed()) == 1)
    (entry,) = listed()
    assert (entry["device"], entry["reason"]) == ("chemistry", "encoding")
    shown = lab.daemon.command("quarantine", "show", str(entry["id"]))
    assert "<STX>5L|1|N<CR><ETX>" in shown.stdout
    assert lab.daemon.command("quarantine", "retry").returncode == 1
    config = lab.daemon.config
    config.write_text(config.read_text().replace('"ascii"', '"latin-1"'))
    retried = lab.daemon.command("quarantine", "retry", str(entry["id"]))
    assert (retried.returncode, retried.stdout) == (0, "1 understood now, 0 still not\n")
    assert listed() == []
    (row,) = lab.daemon.until(1)
    assert row["specimen"] == "Ren\xe9"


def test_a_second_daemon_is_refused_in_one_line_that_names_the_first(lab: Lab) -> None:
    second = lab.daemon.command("run")
    assert second.returncode == 1
    assert lab.daemon.process
    assert f"process {lab.daemon.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    debugged = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "--debug", "run", "-c", str(lab.daemon.config)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" in debugged.stderr


def test_a_reload_touches_only_what_changed(lab: Lab) -> None:
    def reload(old: str, new: str) -> None:
        config = lab.daemon.config
        config.write_text(config.read_text().replace(old, new))
        assert lab.daemon.process
        lab.daemon.process.send_signal(signal.SIGHUP)

    extra = free_port()
    with lab.connect("chemistry") as kept, lab.connect("immunology") as dropped:
        pieces = frames("S1", "1.0")
        kept.sendall(ENQ)
        assert kept.recv(1) == ACK  # in the middle of a session
        kept.sendall(pieces[0])
        assert kept.recv(1) == ACK
        third = f'[[devices]]\nid = "third"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {extra} }}\n'
        reload('id = "immunology"', 'id = "immunology"\nlabel = "Room 2"')
        assert dropped.recv(1) == b"", "a changed device starts anew"
        reload('[[devices]]\nid = "chemistry"', f'{third}[[devices]]\nid = "chemistry"')
        assert eventually(lambda: _accepts(extra))
        assert deliver(kept, *pieces[1:]) == ACK * (len(pieces) - 1)
    (row,) = lab.daemon.until(1)
    assert row["specimen"] == "S1"

    reload('driver = "astm"', 'driver = "no-such-thing"')
    assert eventually(lambda: any("no-such-thing" in line for line in lab.daemon.log))
    with lab.connect() as sock:
        deliver(sock, ENQ, *frames("S2", "2.0"))
    reload('driver = "no-such-thing"', 'driver = "astm"')
    assert len(lab.daemon.until(2)) == 2, "a configuration that is wrong leaves the old one at work"
    reload(third, "")
    assert eventually(lambda: not _accepts(extra)), "a device no longer configured is gone"


def _accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_a_disk_that_is_full_stops_acknowledgements_and_nothing_else(lab: Lab) -> None:
    """The limit on a file's size stands for the disk: beyond it the journal cannot grow."""
    resource = pytest.importorskip("resource")
    assert lab.daemon.process
    pid = lab.daemon.process.pid
    with lab.connect() as sock:
        deliver(sock, ENQ, *frames("BEFORE", "1.0"))
    lab.daemon.until(1)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    with lab.connect() as sock:
        sock.settimeout(2.0)
        sock.sendall(ENQ)
        assert sock.recv(1) == ACK
        sock.sendall(frames("DURING", "2.0")[0])
        with pytest.raises(TimeoutError):
            sock.recv(1)
        ready = _ready(lab.daemon)
        assert ready["ok"] is False
        assert any(part["part"] == "journal" for part in ready["failing"]), ready
        assert _page_answers(lab.daemon)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert sock.recv(1) == ACK, "it goes on by itself, with what was waiting"
        assert deliver(sock, *frames("DURING", "2.0")[1:]) == ACK * 4
    assert {row["specimen"] for row in lab.daemon.until(2)} == {"BEFORE", "DURING"}
    assert eventually(lambda: bool(_ready(lab.daemon)["ok"]))


def test_a_stop_ends_a_reload_under_way(lab: Lab) -> None:
    """SIGTERM at any moment after SIGHUP: what the reload would start has nobody to stop it."""
    config, text = lab.daemon.config, lab.daemon.config.read_text()
    for turn in range(12):
        config.write_text(text.replace('id = "immunology"', f'id = "immunology"\nlabel = "Room {turn}"'))
        assert lab.daemon.process
        lab.daemon.process.send_signal(signal.SIGHUP)
        time.sleep(turn * 0.004)
        started = time.monotonic()
        assert lab.daemon.stop() == 0
        assert time.monotonic() - started < 5.0
        lab.daemon.start()


def test_a_stop_does_not_wait_for_a_disk_that_is_full(lab: Lab) -> None:
    resource = pytest.importorskip("resource")
    assert lab.daemon.process
    resource.prlimit(lab.daemon.process.pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    with lab.connect() as sock:
        sock.sendall(ENQ + frames("S1", "1.0")[0])
        assert sock.recv(1) == ACK
        assert eventually(lambda: not _ready(lab.daemon)["ok"])
        started = time.monotonic()
        assert lab.daemon.stop() == 0
        assert time.monotonic() - started < 5.0
        sock.settimeout(5)
        assert sock.recv(1) == b"", "nothing was acknowledged"
    lab.daemon.start()


def _ready(daemon: Daemon) -> dict[str, Any]:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http}/readyz", timeout=5) as answer:
            return dict(orjson.loads(answer.read())) | {"ok": True}
    except urllib.error.HTTPError as error:
        return dict(orjson.loads(error.read())) | {"ok": False}


def _page_answers(daemon: Daemon) -> bool:
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http}/", timeout=5) as answer:
        return bool(answer.status == 200)


# ---- without a daemon


def test_init_writes_a_configuration_that_check_accepts_and_run_starts(tmp_path: Path) -> None:
    assert assaygate("init", "lab", cwd=tmp_path).returncode == 0
    checked = assaygate("check", "-c", "lab/assaygate.toml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    again = assaygate("init", "lab", cwd=tmp_path)
    assert again.returncode == 2, "a configuration is never overwritten"


def test_check_names_file_line_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('[gateway]\nsite = "a"\n\n[[devices]]\nid = "x"\ndrivr = "astm"\n')
    done = assaygate("check", "-c", "bad.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"bad\.toml:6: devices.*drivr.*driver", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_finds_what_is_missing_and_says_what_to_do(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    broker.start()
    text = (
        f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {broker.port}\n'
        f'[[devices]]\nid = "reader"\ndriver = "lateral-flow"\nlink = {{ type = "serial", port = "{tmp_path}/tty" }}\n'
        f'[[devices]]\nid = "chemistry"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {free_port()} }}\n'
        f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "http://127.0.0.1:{free_port()}"\n'
        'token = { env = "NO_SUCH_TOKEN" }\norg = "lab"\nbucket = "b"\n'
    )
    daemon = Daemon(tmp_path, text)
    try:
        found = {one["name"]: one for one in json.loads(daemon.command("doctor", "--json").stdout)}
    finally:
        broker.stop()
    assert found["broker bench"]["ok"]
    assert found["chemistry: port"]["ok"]
    assert not found["reader: port"]["ok"]
    assert "link.port" in found["reader: port"]["remedy"]
    assert not found["sink store"]["ok"]
    assert found["sink store: secret"]["ok"] is False
    assert "NO_SUCH_TOKEN" in found["sink store: secret"]["found"]
    assert daemon.command("doctor").returncode == 1


def test_doctor_has_nothing_to_say_against_a_daemon_at_work(lab: Lab) -> None:
    done = lab.daemon.command("doctor")
    assert done.returncode == 0, done.stdout
    assert "running assaygate" in done.stdout


def test_doctor_tells_a_broker_that_wants_a_password(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", "allow_anonymous false\n")
    broker.start()
    daemon = Daemon(tmp_path, f'[[brokers]]\nid = "bench"\nhost = "127.0.0.1"\nport = {broker.port}\n')
    try:
        found = {one["name"]: one for one in json.loads(daemon.command("doctor", "--json").stdout)}
    finally:
        broker.stop()
    assert not found["broker bench"]["ok"]
    assert "authori" in found["broker bench"]["found"].lower()


def test_every_command_explains_itself(tmp_path: Path) -> None:
    commands = re.findall(
        r"^  (\w+) ", assaygate("--help", cwd=tmp_path).stdout.partition("Commands:")[2], re.MULTILINE
    )
    assert len(commands) >= 13
    for command in commands:
        assert assaygate(command, "--help", cwd=tmp_path).stdout.startswith("Usage:")
    assert not list(tmp_path.iterdir())
