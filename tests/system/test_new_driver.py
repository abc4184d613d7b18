"""From a recording of an instrument nobody knows to a driver that passes the kit and runs, as the README says."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from drivers.kit.recording import Piece, write
from tests.system.daemon import Daemon
from tests.system.peers import frames

READER = (
    b"2026-01-15 09:30:00;S-1001;CRP;12,4;mg/L;pos\r\n"
    b"2026-01-15 09:31:20;S-1002;CRP;3,4;mg/L;neg\r\n"
    b"2026-01-15 09:33:20;S-1003;CRP;<0,5;mg/L;neg\r\n"
)
PANEL = b"S-1,35.9,5.4,140\r\nS-2,36.1,4.1,133\r\nS-3,37.0,3.9,137\r\n"
METER = b"pH 7.02 ATC 25.1 C\r\npH 7.03 ATC 25.0 C\r\nCAL OK\r\npH -0.01 ATC 25.0 C\r\n"


def framed(*texts: bytes) -> bytes:
    return b"".join(b"\x02%b\x03%02X" % (text, sum(text + b"\x03") & 0xFF) for text in texts)


FRAMES = framed(b"1|S-1|GLU|5.4|mmol/L", b"2|S-2|GLU|6.1|mmol/L", b"3|S-3|GLU|4.9|mmol/L")


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *words]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd, env=env)


@pytest.mark.parametrize(
    ("said", "recognised", "values"),
    [
        (READER, ["semicolons", "decimal comma", "a call"], ["12,4", "3,4", "<0,5"]),
        (METER, ["pH # ATC # C"], ["7.02", "25.1", "7.03", "25.0", "-0.01", "25.0"]),
        (FRAMES, ["between STX and ETX", "the sum of text and ETX", "bars"], ["5.4", "6.1", "4.9"]),
        (PANEL, ["4 columns between commas"], ["35.9", "5.4", "140", "36.1", "4.1", "133", "37.0", "3.9", "137"]),
    ],
    ids=["columns", "labels", "frames", "panel"],
)
def test_a_recording_becomes_a_driver_that_passes_the_kit(
    tmp_path: Path, said: bytes, recognised: list[str], values: list[str]
) -> None:
    (tmp_path / "it.wire").write_text(write([Piece(0.0, True, said)]))
    made = run("drivers", "--new", "acme-reader", "--from", "it.wire", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert not [one for one in recognised if one not in made.stdout], made.stdout
    text = (tmp_path / "acme_reader" / "driver.py").read_text()
    assert len([line for line in text.splitlines() if line.strip()]) < 60
    expected = [json.loads(line) for line in (tmp_path / "acme_reader" / "cases" / "recorded.ndjson").open()]
    assert [one["value"] for one in expected if one["value"] in values] == values
    checked = run("drivers", "--check", "acme_reader/", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert json.loads(checked.stdout)["ways"][0]["tier"] == "gold"


def test_a_broken_declaration_fails_the_kit_and_says_how_to_see_it_again(tmp_path: Path) -> None:
    (tmp_path / "it.wire").write_text(write([Piece(0.0, True, READER)]))
    run("drivers", "--new", "acme-reader", "--from", "it.wire", cwd=tmp_path)
    file = tmp_path / "acme_reader" / "driver.py"
    file.write_text(file.read_text().replace("(?P<unit>", "(?P<remark>").replace("{unit}", "{remark}"))
    checked = run("drivers", "--check", "acme_reader/", cwd=tmp_path)
    assert checked.returncode == 1
    assert "FAIL  silver    cases decode to what was meant: recorded: unit is None" in checked.stdout
    assert "Again: assaygate drivers --check acme_reader/ --seed 1" in checked.stdout
    assert run("drivers", "--expect", "acme_reader/", cwd=tmp_path).returncode == 0
    assert run("drivers", "--check", "acme_reader/", cwd=tmp_path).returncode == 0


def test_what_a_driver_reads_already_is_configured_not_written(tmp_path: Path) -> None:
    wire = b"\x05" + b"".join(frames("S-1", "12.4")) + b"\x04"
    (tmp_path / "it.bin").write_bytes(wire)
    made = run("drivers", "--new", "acme-analyser", "--from", "it.bin", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert 'driver = "astm"' in made.stdout
    assert 'tests."^^^CRP"' in made.stdout
    assert not (tmp_path / "acme_analyser").exists()


def test_a_new_driver_runs_in_the_daemon_once_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "it.wire").write_text(write([Piece(0.0, True, READER)]))
    run("drivers", "--new", "acme-reader", "--from", "it.wire", cwd=tmp_path)
    info = tmp_path / "assaygate_acme_reader-0.1.dist-info"  # what an installation leaves
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: assaygate-acme-reader\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[assaygate.drivers]\nacme-reader = acme_reader.driver:DRIVER\n")
    assert 'acme-reader = "acme_reader.driver:DRIVER"' in (tmp_path / "pyproject.toml").read_text()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), str(tmp_path)]))
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = f'{{ type = "serial", port = "{os.ttyname(slave)}" }}'
    daemon = Daemon(tmp_path, f'[[devices]]\nid = "a"\ndriver = "acme-reader"\ndecimal = ","\nlink = {link}\n')
    daemon.start()
    try:
        os.write(master, READER)
        rows = daemon.until(3)
    finally:
        daemon.stop()
        os.close(master)
        os.close(slave)
    assert [(r["specimen"], r["value"], r["comparator"], r["unit"], r["interpretation"]) for r in rows] == [
        ("S-1001", 12.4, None, "mg/L", "positive"),
        ("S-1002", 3.4, None, "mg/L", "negative"),
        ("S-1003", 0.5, "<", "mg/L", "negative"),
    ]
    assert [r["time"] for r in rows] == ["2026-01-15T09:30:00Z", "2026-01-15T09:31:20Z", "2026-01-15T09:33:20Z"]
