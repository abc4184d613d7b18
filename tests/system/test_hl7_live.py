"""Real analysers' HL7 traffic, sent to the running daemon over MLLP. The recordings are skipped where not at hand."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.kit.mllp import block
from tests.system.daemon import Daemon, eventually, free_port

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
INTELIS = SAMPLES / "deforay+intelis-interfacing" / "reconstructed"
VLSM = SAMPLES / "deforay+vlsm-interfacing" / "reconstructed"
UDSM = SAMPLES / "udsm-dhis2-lab+universal-machine-interfacing-adapter" / "hl7.txt"
DEVICES = {
    "roche": "",
    "roche-4800": 'variant = "cobas-4800"',
    "abbott": 'variant = "alinity-m"\nthousands = ","',
    "any": "",
}

recorded = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recordings are not here")


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, dict[str, int]]]:
    folder = tmp_path_factory.mktemp("hl7")
    inbox = folder / "inbox"
    inbox.mkdir()
    ports = {name: free_port() for name in DEVICES}
    text = ""
    for name, keys in DEVICES.items():
        text += f'[[devices]]\nid = "{name}"\ndriver = "hl7"\n{keys}\n'
        text += f'link = {{ type = "tcp-listen", port = {ports[name]} }}\n'
    text += '[[devices]]\nid = "filed"\ndriver = "hl7"\n'
    text += f'link = {{ type = "file", path = "{inbox}", pattern = "*.hl7", settle = "200ms", after = "delete" }}\n'
    daemon = Daemon(folder, text)
    daemon.start()
    yield daemon, ports
    daemon.stop()


def answers(sock: socket.socket, count: int) -> list[list[list[str]]]:
    """The next blocks' segments, each split into fields."""
    held = b""
    while held.count(b"\x1c\r") < count:
        piece = sock.recv(65_536)
        assert piece, held
        held += piece
    texts = re.findall(rb"\x0b([^\x1c]*)\x1c\r", held)
    return [[line.split("|") for line in text.decode().split("\r") if line] for text in texts]


def deliver(port: int, data: bytes, count: int = 1) -> list[list[list[str]]]:
    """Send bytes in two pieces and read so many answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        half = len(data) // 2
        sock.sendall(data[:half])
        sock.sendall(data[half:])
        return answers(sock, count)


def control_id(data: bytes) -> str:
    return data[data.index(b"MSH") :].split(b"\r")[0].split(b"|")[9].decode()


def fresh(daemon: Daemon, device: str, before: set[int], count: int) -> list[dict[str, Any]]:
    return [row for row in daemon.until(len(before) + count, "--device", device) if row["seq"] not in before]


def seqs(daemon: Daemon, device: str) -> set[int]:
    return {row["seq"] for row in daemon.export("--device", device)}


# file, device, specimen, test, value, unit, comparator, interpretation, device_time
RESULTS = [
    (INTELIS / "cobas6800_1.hl7", "roche", "WB26-02146", "HIV", 76.3, "{copies}/mL", None, None, "20260308121433"),
    (INTELIS / "cobas6800_2.hl7", "roche", "BP26-15201", "HIV", 194, "{copies}/mL", None, None, "20260308121433"),
    (INTELIS / "cobas6800_3.hl7", "roche", "BP26-15202", "HIV", 2260000, "{copies}/mL", None, None, "20260308121433"),
    (VLSM / "alinitym_VL00000101.hl7", "abbott", "VL00000101", "1006", "Not Detected", None, None, "not-detected",
     "20260112142906"),
    (VLSM / "alinitym_VL00000102.hl7", "abbott", "VL00000102", "1006", 20, "{copies}/mL", "<", None, "20260112142906"),
    (VLSM / "alinitym_VL00000103.hl7", "abbott", "VL00000103", "1006", 161152, "{copies}/mL", None, None,
     "20260112142906"),
]  # fmt: skip


@recorded
@pytest.mark.parametrize("row", RESULTS, ids=[row[0].stem for row in RESULTS])
def test_a_recorded_result_is_acknowledged_and_stored_as_its_index_says(
    wires: tuple[Daemon, dict[str, int]], row: tuple[Any, ...]
) -> None:
    daemon, ports = wires
    path, device, specimen, test, value, unit, comparator, interpretation, at = row
    data = path.read_bytes()
    before = seqs(daemon, device)
    (reply,) = deliver(ports[device], data)
    msh, msa = reply[0], reply[1]
    assert (msa[0], msa[1], msa[2]) == ("MSA", "AA", control_id(data))
    assert msh[8] == "ACK^R22^ACK"
    assert msh[9] not in ("", control_id(data))
    rows = fresh(daemon, device, before, 2)
    main = next(each for each in rows if each["attributes"].get("test", each["quantity"]).upper() == test)
    assert (main["value"], main["unit"], main["comparator"]) == (value, unit, comparator)
    assert (main["interpretation"], main["specimen"], main["kind"]) == (interpretation, specimen, "result")
    assert (main["device_time"], main["quality"]) == (at, "good")
    assert not any(isinstance(each["value"], int | float) for each in rows if each is not main)


RUN = {
    "0PHJ100001N0QVJ": ("qc", 326000, None), "0PLJ100002N07UX": ("qc", 246, None),
    "0N1J100003O0OEZ": ("qc", "Target Not Detected", "not-detected"),
    "VL260001": ("result", "Target Not Detected", "not-detected"), "VL260002": ("result", "< Titer min", None),
    "VL260003": ("result", 67.3, None), "VL260004": ("result", "Invalid", "invalid"),
    "VL260005": ("result", 170000, None),
}  # fmt: skip


@recorded
@pytest.mark.parametrize("device", ["roche", "roche-4800"])
def test_a_recorded_run_of_many_specimens(wires: tuple[Daemon, dict[str, int]], device: str) -> None:
    daemon, ports = wires
    data = (INTELIS / "cobas4800_run_a.hl7").read_bytes()
    before = seqs(daemon, device)
    for _ in range(2):  # sent again it adds nothing
        (reply,) = deliver(ports[device], data)
        assert reply[1] == ["MSA", "AA", "MSG-4800-a"]
    rows = fresh(daemon, device, before, len(RUN))
    assert {row["specimen"]: (row["kind"], row["value"], row["interpretation"]) for row in rows} == RUN
    assert len(rows) == len(RUN)
    assert {row["unit"] for row in rows} == {"{copies}/mL", None}
    assert {row["quality"] for row in rows} == {"good"}


@recorded
@pytest.mark.parametrize(("name", "tag"), [("cobas6800_query.hl7", ""), ("cobas4800_query.hl7", "M1-WOS")])
def test_a_recorded_query_is_answered_and_is_no_result(
    wires: tuple[Daemon, dict[str, int]], name: str, tag: str
) -> None:
    daemon, ports = wires
    data = (INTELIS / name).read_bytes()
    before = daemon.verify()
    (reply,) = deliver(ports["any"], data)
    said = {segment[0]: segment for segment in reply}
    assert said["MSH"][8] == "RSP^K11^RSP_K11"
    assert said["MSA"][1:] == ["AA", control_id(data)]
    assert said["QAK"][1:3] == [tag, "NF"]
    assert eventually(lambda: daemon.verify()["messages"] > before["messages"])
    assert daemon.verify()["observations"] == before["observations"]


@recorded
def test_calls_among_the_flags_of_a_recorded_message(wires: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ports = wires
    data = block(UDSM.read_bytes().replace(b"\\n", b"\r").replace(b'\\"', b'"'))
    before = seqs(daemon, "any")
    (reply,) = deliver(ports["any"], data)
    assert reply[1][:3] == ["MSA", "AA", control_id(data)]
    rows = fresh(daemon, "any", before, 2)
    assert {(row["quantity"], row["interpretation"], row["value"]) for row in rows} == {
        ("tgt1", "negative", None),
        ("tgt2", "negative", None),
    }
    assert {(row["specimen"], row["device_time"], row["quality"]) for row in rows} == {
        ("TBY 7363", "20230516171442", "good")
    }


def test_equipment_status_and_two_messages_in_one_write(wires: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ports = wires
    status = b"MSH|^~\\&|X||LIS||20260115093000||ESU^U01^ESU_U01|S-1|P|2.5\rEQU|SN7|20260115093001|OP\r"
    result = (
        b"MSH|^~\\&|X||LIS||20260115093000||ORU^R01^ORU_R01|R-1|P|2.5|||AL|AL\rOBR|1||EQ-1|T\rOBX|1|SN|K||<^5|mg/L\r"
    )
    before = seqs(daemon, "any")
    replies = deliver(ports["any"], block(status) + block(result), 3)
    assert [reply[1][1:3] for reply in replies] == [["AA", "S-1"], ["CA", "R-1"], ["AA", "R-1"]]
    rows = fresh(daemon, "any", before, 2)
    assert {(row["kind"], row["value"], row["comparator"]) for row in rows} == {
        ("status", "OP", None),
        ("result", 5, "<"),
    }


def test_what_cannot_be_read_is_rejected_and_in_quarantine(wires: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ports = wires
    (reply,) = deliver(ports["any"], block(b"PID|1||P1\rOBX|1|NM|A||5\r"))
    assert reply[1][:2] == ["MSA", "AR"]
    (accepted,) = deliver(ports["any"], block(b"MSH|^~\\&|X||||20260115||ORU^R01|E-1|P|2.5\rPID|1||P1\r"))
    assert accepted[1][1:3] == ["AA", "E-1"]
    assert eventually(lambda: daemon.command("quarantine").stdout.count("unreadable") >= 2)


def test_a_file_of_messages_with_line_feeds(wires: tuple[Daemon, dict[str, int]]) -> None:
    daemon, _ = wires
    one = "MSH|^~\\&|X||||20260115||ORU^R01|F-{0}|P|2.5\nOBR|1||FILE-{0}|T\nOBX|1|NM|K||{0}.5|mmol/L\n"
    whole = daemon.folder / "inbox" / "results.tmp"
    whole.write_text(one.format(1) + one.format(2))
    whole.rename(whole.with_suffix(".hl7"))
    rows = daemon.until(2, "--device", "filed")
    assert {(row["specimen"], row["value"], row["unit"]) for row in rows} == {
        ("FILE-1", 1.5, "mmol/L"),
        ("FILE-2", 2.5, "mmol/L"),
    }


def test_nothing_is_unaccounted_for(wires: tuple[Daemon, dict[str, int]]) -> None:
    daemon, _ = wires
    report = daemon.verify()
    assert (report["exit"], report["unaccounted"], report["journal"]) == (0, 0, "sound")
