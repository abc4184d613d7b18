"""Exports of real software dropped into the folders a running daemon watches; files grown, replaced and half there."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import Daemon, eventually

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
CDX = SAMPLES / "instedd+cdx" / "spec" / "fixtures"
ASM = SAMPLES / "Benchling-Open-Source+allotropy" / "tests" / "parsers"

published = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recordings are not here")

# device, keys, file, and how many of each kind it must become
DROPPED = (
    ("pima", 'driver = "table"\nvariant = "pima"', CDX / "csvs/alere_pima.csv", {"result": 38}),
    ("alere-q", 'driver = "table"\nvariant = "alere-q"', CDX / "csvs/alere_q.csv", {"result": 231}),
    ("epicenter", 'driver = "table"\nvariant = "epicenter"', CDX / "csvs/epicenter_sample.csv", {"result": 31}),
    ("deki", 'driver = "table"\nvariant = "deki-reader"', CDX / "xmls/deki_reader_sample.xml", {"result": 2}),
    ("xpert", 'driver = "table"\nvariant = "genexpert-event"', CDX / "jsons/genexpert_sample_qc.json", {"qc": 2}),
    (
        "qs",
        'driver = "table"\nvariant = "quantstudio"',
        ASM / "appbio_quantstudio/testdata/example_quantsudio_results_only.txt",
        {"result": 36, "qc": 12},
    ),
    (
        "qs-asm",
        'driver = "allotropy"\nvendor = "APPBIO_QUANTSTUDIO"',
        ASM / "appbio_quantstudio/testdata/example_quantsudio_results_only.txt",
        {"result": 36, "qc": 12},
    ),
    (
        "qiacuity",
        'driver = "table"\nvariant = "qiacuity"',
        ASM / "qiacuity_dpcr/testdata/qiacuity_dpcr_example01.csv",
        {"result": 3, "qc": 3},
    ),
    (
        "nanodrop",
        'driver = "table"\nvariant = "nanodrop-one-workbook"',
        ASM / "thermo_fisher_nanodrop_one/testdata/example1.xlsx",
        {"result": 26},
    ),
    ("flex2", 'driver = "table"\nvariant = "flex2"', ASM / "novabio_flex2/testdata", {"result": 128}),
)
GROWING = """driver = "table"
specimen = "Sample"
time = "Time"
results = [{ value = "CRP", unit = "mg/L" }]
"""
HEAD = "Time,Sample,CRP\r\n"


def row(number: int) -> str:
    return f"2026-01-15 09:{number:02d}:00,S{number},{number}.5\r\n"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    folder = tmp_path_factory.mktemp("files")
    text = ""
    for device, keys in (*((device, keys) for device, keys, _, _ in DROPPED), ("grown", GROWING)):
        exports = folder / device
        exports.mkdir()
        link = f'{{ type = "file", path = "{exports}", settle = "200ms" }}'
        text += f'[[devices]]\nid = "{device}"\nlink = {link}\n{keys}\n'
    daemon = Daemon(folder, text)
    daemon.start()
    yield daemon, folder
    daemon.stop()


def drop(source: Path, folder: Path) -> None:
    """As a share does it: written under another name, then renamed into place."""
    for path in sorted(source.iterdir()) if source.is_dir() else [source]:
        half = folder / f".{path.name}"
        shutil.copy(path, half)
        half.rename(folder / path.name)


@published
@pytest.mark.parametrize(("device", "_keys", "source", "kinds"), DROPPED, ids=[row[0] for row in DROPPED])
def test_a_published_export_becomes_its_results(
    watched: tuple[Daemon, Path], device: str, _keys: str, source: Path, kinds: dict[str, int]
) -> None:
    daemon, folder = watched
    drop(source, folder / device)
    rows = daemon.until(sum(kinds.values()), "--device", device)
    assert Counter(row["kind"] for row in rows) == kinds
    (FACTS.get(device) or (lambda _rows: None))(rows)


def one(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    found = [each for each in rows if all(each.get(name) == value for name, value in wanted.items())]
    assert len(found) == 1, wanted
    return found[0]


def quantstudio(rows: list[dict[str, Any]]) -> None:
    well = [each for each in rows if each["attributes"]["well"] == "A4"]
    assert {(each["quantity"], each["value"], each["specimen"]) for each in well} == {
        ("cq", 25.711, "5000018696625"),
        ("quantity", 118248.2, "5000018696625"),
    }
    assert {each["time"] for each in rows} == {"2024-10-01T20:02:50Z"}
    standard = [each for each in rows if each["attributes"]["well"] == "A1"]
    assert {each["kind"] for each in standard} == {"qc"}


def alere_q(rows: list[dict[str, Any]]) -> None:
    assert Counter(each["interpretation"] for each in rows)["invalid"] == 63
    found = one(rows, run="91", quantity="hiv-1-mn")
    assert (found["interpretation"], found["specimen"], found["time"]) == (
        "detected",
        "0701-1398",
        "2015-12-01T10:02:00Z",
    )
    assert one(rows, run="91", quantity="hiv-2")["interpretation"] == "not-detected"


def deki(rows: list[dict[str, Any]]) -> None:
    assert {(each["attributes"].get("test", each["quantity"]), each["interpretation"]) for each in rows} == {
        ("P.f", "positive"),
        ("P.v", "negative"),
    }
    assert {each["time"] for each in rows} == {"2015-05-18T07:34:56Z"}


def xpert(rows: list[dict[str, Any]]) -> None:
    assert {(each["specimen"], each["interpretation"]) for each in rows} == {
        ("A-1234-6", "detected"),
        ("A-1234-6", "not-detected"),
    }


def epicenter(rows: list[dict[str, Any]]) -> None:
    calls = Counter(each["interpretation"] for each in rows)
    assert calls["resistant"] == 1
    assert calls["susceptible"] == 11
    assert "Femenino" not in str(rows)


def qiacuity(rows: list[dict[str, Any]]) -> None:
    first = one(rows, specimen="1")
    assert (first["value"], first["unit"], first["kind"]) == (86.32, "{copies}/uL", "result")
    assert one(rows, specimen="4")["kind"] == "qc"


def flex2(rows: list[dict[str, Any]]) -> None:
    told = [each for each in rows if each["specimen"] == "Test1"]
    assert {each["quantity"]: each["unit"] for each in told}["gluc"] == "g/L"
    assert one(rows, specimen="SAMPLE 0001", quantity="gluc")["time"] == "2021-02-18T10:28:04Z"


def pima(rows: list[dict[str, Any]]) -> None:
    good = one(rows, run="3")
    assert (good["value"], good["unit"], good["specimen"], good["device_time"]) == (
        *(659, "{cells}/mm3", "0010416450"),
        "2012-06-26 08:53",
    )
    failed = one(rows, run="108")
    assert (failed["value"], failed["interpretation"], failed["quality"]) == (None, "invalid", "bad")


FACTS = {
    "qs": quantstudio,
    "qs-asm": quantstudio,
    "alere-q": alere_q,
    "deki": deki,
    "xpert": xpert,
    "epicenter": epicenter,
    "qiacuity": qiacuity,
    "flex2": flex2,
    "pima": pima,
}


def results(daemon: Daemon) -> list[tuple[str, float]]:
    rows = daemon.export("--device", "grown")
    return sorted((each["specimen"], each["value"]) for each in rows if each["kind"] == "result")


def messages(daemon: Daemon) -> int:
    return int(daemon.verify()["messages"])


def test_a_growing_file_adds_its_new_rows_once(watched: tuple[Daemon, Path]) -> None:
    daemon, folder = watched
    exports = folder / "grown"
    path = exports / "history.csv"
    path.write_text(HEAD + row(1), newline="")
    assert eventually(lambda: len(results(daemon)) == 1)
    with path.open("a", newline="") as file:
        file.write(row(2))
    assert eventually(lambda: len(results(daemon)) == 2)
    # exported anew under its name, and once more under another: a rename into place
    half = exports / "history.csv.part"
    half.write_text(HEAD + row(3) + row(1) + row(2), newline="")
    half.rename(path)
    shutil.copy(path, exports / ".copy")
    (exports / ".copy").rename(exports / "HISTORY-2.CSV")
    assert eventually(lambda: len(results(daemon)) == 3)
    assert results(daemon) == [("S1", 1.5), ("S2", 2.5), ("S3", 3.5)]


def test_a_share_without_times_is_read_and_what_is_not_an_export_is_left(watched: tuple[Daemon, Path]) -> None:
    daemon, folder = watched
    exports = folder / "grown"
    before = messages(daemon)
    for name in ("~$history.xlsx", ".~lock.history.csv#", "history.csv.filepart", "history.tmp", "history.csv.lock"):
        (exports / name).write_text(HEAD + row(50), newline="")
    (exports / "link.csv").symlink_to(exports / "history.tmp")
    path = exports / ".zero"
    path.write_text(HEAD + row(10), newline="")
    os.utime(path, (0, 0))
    path.rename(exports / "zero.csv")
    assert eventually(lambda: ("S10", 10.5) in results(daemon))
    again = exports / ".again"  # as many bytes, no time, another content
    again.write_text(HEAD + row(11), newline="")
    os.utime(again, (0, 0))
    again.rename(exports / "zero.csv")
    assert eventually(lambda: ("S11", 11.5) in results(daemon))
    written = messages(daemon)
    with (exports / "zero.csv").open("r+", newline="") as file:  # and in its place
        file.write(HEAD + row(12))
    os.utime(exports / "zero.csv", (0, 0))
    assert eventually(lambda: ("S12", 12.5) in results(daemon))
    assert (written, messages(daemon)) == (before + 2, before + 3)
    assert not any(name == "S50" for name, _ in results(daemon))


def test_a_bad_row_is_an_event_and_a_file_of_another_kind_in_quarantine(watched: tuple[Daemon, Path]) -> None:
    daemon, folder = watched
    (folder / ".bad").write_text(HEAD + "2026-01-15 09:20:00,S20\r\n" + row(21), newline="")
    (folder / ".bad").rename(folder / "grown" / "bad.csv")
    (folder / ".other").write_bytes(b"Run,Well\r\n1,A1\r\n")
    (folder / ".other").rename(folder / "grown" / "other.csv")
    assert eventually(lambda: ("S21", 21.5) in results(daemon))
    events = [each for each in daemon.export("--device", "grown") if each["kind"] == "event"]
    bad = one(events, quantity="unreadable-row")
    assert (bad["value"], bad["attributes"]["row"], bad["quality"]) == ("2026-01-15 09:20:00,S20", 2, "uncertain")
    assert eventually(lambda: "no header row" in daemon.command("quarantine").stdout)


def test_nothing_is_unaccounted_for(watched: tuple[Daemon, Path]) -> None:
    daemon, _ = watched
    report = daemon.verify()
    assert (report["exit"], report["unaccounted"], report["journal"]) == (0, 0, "sound")
