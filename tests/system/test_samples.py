"""Real instruments' traffic, sent to the running daemon over TCP and a serial pair. Skipped where it is not at hand."""

from __future__ import annotations

import os
import pty
import re
import socket
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.kit.frames import frame
from gateway.sinks.lines import CALLS, OTHER
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.stores import Victoria, victoria

__all__ = ["victoria"]

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
EXPERT = SAMPLES / "deforay+intelis-interfacing" / "reconstructed"
UNFRAMED = SAMPLES / "blutspende+go-astm"
HOST = SAMPLES / "harunergul+astm-for-pms" / "ASTM_PMS" / "samples.txt"
PIECE = re.compile(rb"\x05|\x04|\x02[^\x03\x17]*[\x03\x17][0-9A-Fa-f]{2}\r\n")

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recordings are not here")

# file, device, specimen, value (a number, a text, or None where none may be made), interpretation
FRAMED = [
    ("genexpert_EID26000576U.bin", "xpert", "EID26000576U", "DETECTED", "detected"),
    ("genexpert_EID26000580O.bin", "xpert", "EID26000580O", "NOT DETECTED", "not-detected"),
    ("genexpert_PATIENT_A1.bin", "xpert", "PATIENT A1", "ERROR", "invalid"),
    ("genexpert_bp26-00064.bin", "xpert", "bp26-00064", "NOT DETECTED", "not-detected"),
    ("genexpert_bp26-00065.bin", "xpert", "bp26-00065", 1234.56, None),
    ("genexpert_fr_number.bin", "xpert-fr", "VL-FR-1", 60.96, None),
    ("genexpert_fr_notdet.bin", "xpert-fr", "VL-FR-2", "NON DÉTECTÉ", "not-detected"),
    ("genexpert_fr_below.bin", "xpert-fr", "VL-FR-3", "DÉTECTÉ", "detected"),
    ("taqman_1.bin", "taqman", None, "Target Not Detected", "not-detected"),
    ("taqman_2.bin", "taqman", None, 2520, None),
]


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory, victoria: Victoria) -> Iterator[tuple[Daemon, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("samples")
    ports = {name: free_port() for name in ("xpert", "xpert-fr", "euroimmun", "bio-rad", "yumizen", "rvt", "host")}
    master, slave = pty.openpty()
    tty.setraw(slave)
    text = '[[devices]]\nid = "taqman"\ndriver = "astm"\nvariant = "amplilink"\n'
    text += f'link = {{ type = "serial", port = "{os.ttyname(slave)}" }}\n'
    plans = {
        "xpert": 'driver = "genexpert"',
        "xpert-fr": 'driver = "genexpert"\nvariant = "fr"\ndecimal = ","',
        "euroimmun": 'driver = "astm"\nvariant = "euroimmun"\nframing = "none"\ndecimal = ","',
        "bio-rad": 'driver = "astm"',  # which maker it is, and that it sends plain lines, its own words say
        "yumizen": 'driver = "astm"',
        "rvt": 'driver = "astm"\nframing = "none"',
        "host": 'driver = "astm"',
    }
    for name, keys in plans.items():
        text += f'[[devices]]\nid = "{name}"\n{keys}\nlink = {{ type = "tcp-listen", port = {ports[name]} }}\n'
    text += f'[[sinks]]\nid = "store"\ntype = "influxdb"\nurl = "{victoria.url}"\nmeasurement = "samples"\n'
    daemon = Daemon(folder, text)
    daemon.start()
    yield daemon, {**ports, "taqman": master}
    daemon.stop()
    os.close(master)
    os.close(slave)


def deliver(data: bytes, write: Callable[[bytes], Any], read: Callable[[], bytes]) -> None:
    """Say a recording piece by piece, each frame once the one before is acknowledged."""
    for piece in PIECE.findall(data):
        write(piece)
        if piece != b"\x04":
            assert read() == b"\x06", piece


@pytest.mark.parametrize(
    ("name", "device", "specimen", "value", "interpretation"), FRAMED, ids=[row[0] for row in FRAMED]
)
def test_a_framed_recording_becomes_the_result_its_index_names(
    wires: tuple[Daemon, dict[str, Any]],
    name: str,
    device: str,
    specimen: str | None,
    value: object,
    interpretation: str | None,
) -> None:
    daemon, ends = wires
    data = (EXPERT / name).read_bytes()
    before = {row["seq"] for row in daemon.export("--device", device)}
    if device == "taqman":
        deliver(data, lambda piece: os.write(ends[device], piece), lambda: os.read(ends[device], 1))
    else:
        with socket.create_connection(("127.0.0.1", ends[device]), timeout=5) as sock:
            deliver(data, sock.sendall, lambda: sock.recv(1))
    rows = [row for row in daemon.until(len(before) + 1, "--device", device) if row["seq"] not in before]
    main = next(row for row in rows if not row["quantity"].endswith("-ct"))
    assert (main["value"], main["interpretation"], main["kind"]) == (value, interpretation, "result")
    assert specimen is None or main["specimen"] == specimen


@pytest.mark.parametrize(
    ("device", "path"),
    [
        ("euroimmun", "examples/euroimmun_analyzer1_v10/sampleigg.astm"),
        ("bio-rad", "examples/ihcom_v52/bloodtype.astm"),
        ("yumizen", "examples/yumizen/result.astm"),
        ("rvt", "extracted/identify_test_02.astm"),
    ],
)
def test_an_unframed_recording_loses_no_result(wires: tuple[Daemon, dict[str, Any]], device: str, path: str) -> None:
    daemon, ends = wires
    data = (UNFRAMED / path).read_bytes()
    results = len(re.findall(rb"(?m)(?:^|[\r\n])R\|", data))
    with socket.create_connection(("127.0.0.1", ends[device]), timeout=5) as sock:
        sock.sendall(data)
    rows = [row for row in daemon.until(results, "--device", device) if row["kind"] in ("result", "qc")]
    assert len(rows) == results
    if device == "euroimmun":
        values = {(row["value"], row["comparator"]) for row in rows}
        assert {(8, ">"), (7.41, None)} <= values


@pytest.mark.parametrize("number", ["00", "01", "04"])
def test_a_recorded_query_is_kept_and_is_no_result(wires: tuple[Daemon, dict[str, Any]], number: str) -> None:
    daemon, ends = wires
    data = (UNFRAMED / f"extracted/identify_test_{number}.astm").read_bytes()
    before = daemon.verify()
    with socket.create_connection(("127.0.0.1", ends["rvt"]), timeout=5) as sock:
        sock.sendall(data)
    assert eventually(lambda: daemon.verify()["messages"] > before["messages"])
    after = daemon.verify()
    assert after["observations"] == before["observations"]


def test_what_an_instrument_calls_itself_decides_how_it_is_read(wires: tuple[Daemon, dict[str, Any]]) -> None:
    daemon, _ = wires
    assert {row["attributes"]["dialect"] for row in daemon.export("--device", "bio-rad")} == {"bio-rad-ih"}
    yumizen = daemon.export("--device", "yumizen")
    assert {row["kind"] for row in yumizen if row["quantity"] == "mcv"} == {"qc"}
    assert {row["code"] for row in yumizen if row["quantity"] == "mcv"} == {"loinc:787-2"}


def test_a_hosts_recorded_orders_are_no_results(wires: tuple[Daemon, dict[str, Any]]) -> None:
    """The trace of a middleware, its control bytes spelled out; names in it were replaced, checksums were not."""
    daemon, ends = wires
    texts = re.findall(r"\[STX\]\d(.*?)\[CR\]\[ETX\]", HOST.read_text())
    frames = b"".join(frame(number, text.encode() + b"\r") for number, text in enumerate(texts, 1))
    with socket.create_connection(("127.0.0.1", ends["host"]), timeout=5) as sock:
        deliver(b"\x05" + frames + b"\x04", sock.sendall, lambda: sock.recv(1))
    rows = daemon.until(1, "--device", "host")
    assert {row["kind"] for row in rows} == {"event"}


def test_what_the_recordings_said_is_in_the_store(wires: tuple[Daemon, dict[str, Any]], victoria: Victoria) -> None:
    daemon, _ = wires
    rows = daemon.export()
    numbers = {row["seq"]: float(row["value"]) for row in rows if isinstance(row["value"], int | float)}
    calls = {row["seq"]: CALLS.get(row["interpretation"], OTHER) for row in rows if row["interpretation"]}
    assert len(numbers) > 10
    assert len(calls) > 5
    assert eventually(lambda: len(victoria.by_seq("seq", "samples")) == len(rows), 30)
    assert victoria.by_seq("value", "samples") == numbers
    assert victoria.by_seq("call", "samples") == calls


def test_nothing_is_unaccounted_for(wires: tuple[Daemon, dict[str, Any]]) -> None:
    daemon, _ = wires
    report = daemon.verify()
    assert (report["exit"], report["unaccounted"], report["journal"]) == (0, 0, "sound")
