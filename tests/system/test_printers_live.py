"""Printing instruments on pseudo-terminals, with all that cables do to lines, read from the running daemon."""

from __future__ import annotations

import os
import pty
import select
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import Daemon, eventually

DEVICES: dict[str, str] = {
    "balance": 'driver = "text-lines"\nvariant = "sartorius-sbi"\npoll = "50ms"',
    "meter": 'driver = "text-lines"\nvariant = "orion-star"\npoll = "200ms"',
    "strips": 'driver = "text-lines"\nvariant = "urine-strip"',
    "probe": 'driver = "text-lines"\nvariant = "labelled"\nquiet = "200ms"',
    "cassettes": 'driver = "lateral-flow"\nfields = ["specimen", "test", "call"]\ndelimiter = ";"',
    "timed": 'driver = "lateral-flow"\nfields = ["time", "specimen", "call"]\ndelimiter = ";"',
    "counter": 'driver = "tagged-records"\nvariant = "abx"',
    "cards": 'driver = "tagged-records"\nvariant = "vitek-2"',
    "scale": 'driver = "mt-sics"',
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, dict[str, int]]]:
    ends = {name: pty.openpty() for name in DEVICES}
    text = ""
    for name, (_, slave) in ends.items():
        tty.setraw(slave)
        text += f'[[devices]]\nid = "{name}"\n{DEVICES[name]}\n'
        text += f'link = {{ type = "serial", port = "{os.ttyname(slave)}" }}\n'
    daemon = Daemon(tmp_path_factory.mktemp("printers"), text)
    daemon.start()
    yield daemon, {name: master for name, (master, _) in ends.items()}
    daemon.stop()
    for master, slave in ends.values():
        os.close(master)
        os.close(slave)


def answer(end: int, question: bytes, answers: list[bytes]) -> None:
    """Answer the question each time it is asked, with one answer after the other; what was asked before is too late."""
    while select.select((end,), (), (), 0)[0]:
        os.read(end, 4096)
    for one in answers:
        heard = b""
        while question not in heard:
            heard += os.read(end, 100)
        os.write(end, one)


def said(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["value"], row["unit"], row["quality"]) for row in rows]


def refused(daemon: Daemon, device: str) -> int:
    listed = daemon.command("quarantine").stdout
    return sum(f" {device} " in f" {' '.join(line.split())} " for line in listed.splitlines())


def test_a_balance_says_only_what_it_weighed(bench: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ends = bench
    lines = [
        *(b"+   255.09 g  \r\n", b"N     -     0.03 g  \r\n", b"+   254.31    \r\n", b"      High    \r\n"),
        *(b"+   25.09 g  \r\n", b"+   255.10 g  +   255.11 g  \r\n", b"+   255.12 \r\n"),  # lost, glued, cut
        b"+  123.5[6]g  \r\n",
    ]
    answer(ends["balance"], b"\x1bP\r\n", lines)
    rows = daemon.until(5, "--device", "balance")
    assert said(rows) == [
        (255.09, "g", "good"),
        (-0.03, "g", "good"),
        (254.31, None, "uncertain"),
        (None, None, "bad"),
        (123.56, "g", "good"),
    ]
    assert refused(daemon, "balance") == 3


def test_a_meter_that_echoes_and_prompts_is_asked_again(bench: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ends = bench
    measured = b"A215 pH,X00001,3.04,OP1,01/15/26  09:30:%02d,---,CH-1,pH,%s,pH,111.2, mV,25.0,C,89.1,%%,M100,#1"
    answers = [
        b"GETMEAS         \r\n\r\n\r" + measured % (second, value) + b"\n\r\r> "
        for second, value in ((1, b"4.61"), (2, b"----"), (3, b"4.61"))
    ]
    answer(ends["meter"], b"GETMEAS\r", answers)
    rows = daemon.until(9, "--device", "meter")
    assert [row["value"] for row in rows if row["quantity"] == "ph"] == [4.61, None, 4.61]
    assert [row["quality"] for row in rows if row["quantity"] == "ph"] == ["good", "bad", "good"]
    assert refused(daemon, "meter") == 0


def test_a_strip_is_read_whole_or_not_at_all(bench: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ends = bench
    whole = b"\x02 ID:S-1\r\n Date:15-01-2026 16:51\r\n No. 100002\r\n*LEU  3+   500 Leu/uL\r\n pH        6.0\r\n\x03"
    glued = whole.replace(b"S-1", b"S-2").replace(b"Leu/uL\r\n", b"Leu/uL")
    for piece in (
        b"noise",
        *(whole[at : at + 1] for at in range(len(whole))),
        glued,
        whole[:60],
        whole.replace(b"S-1", b"S-3"),
    ):
        os.write(ends["strips"], piece)
    rows = daemon.until(4, "--device", "strips")
    assert [(row["specimen"], row["quantity"], row["value"], row["interpretation"]) for row in rows] == [
        ("S-1", "leukocytes", "3+", "positive"),
        ("S-1", "ph", 6.0, None),
        ("S-3", "leukocytes", "3+", "positive"),
        ("S-3", "ph", 6.0, None),
    ]
    assert {row["device_time"] for row in rows} == {"15-01-2026 16:51"}


def test_a_probe_with_eighth_bits_and_without_line_ends_is_not_read_wrongly(
    bench: tuple[Daemon, dict[str, int]],
) -> None:
    daemon, ends = bench
    probe = ends["probe"]
    parity = bytes(byte | (byte.bit_count() % 2) << 7 for byte in b"T=23.30 C")
    for line in (b"T=23.40 \xb0C", parity, b"T=23.50 CT=23.60 C", b"T=2x3.70 C", b"T=12.", b"T=-5,5 C", b"T=24.00 C"):
        os.write(probe, line + b"\r\n")
    os.write(probe, b"T=12")  # the number goes on, but nothing comes
    rows = daemon.until(3, "--device", "probe")
    assert [(row["value"], row["quality"]) for row in rows] == [(23.4, "good"), ("-5,5", "uncertain"), (24.0, "good")]
    assert eventually(lambda: refused(daemon, "probe") == 5)


def test_equal_lines_without_a_time_are_two_results_and_with_one_they_are_one(
    bench: tuple[Daemon, dict[str, int]],
) -> None:
    daemon, ends = bench
    os.write(ends["cassettes"], b"A-1;FLU;NEG\r\nA-1;FLU;NEG\r\n")
    os.write(ends["timed"], b"2026-01-15 09:30:00;A-1;NEG\r\n" * 2 + b"2026-01-15 09:31:00;A-1;NEG\r\n")
    assert len(daemon.until(2, "--device", "cassettes")) == 2
    assert len(daemon.until(2, "--device", "timed")) == 2


def test_a_count_and_a_folded_card(bench: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ends = bench
    head = b"\x0200368\r\xff RESULT  \rq 15/01/26 10h23mn12s\ru 0000000000004711\r"
    os.write(ends["counter"], head + b"! 007.3 h\r4  .412 l\r\x03" + head + b"! 07.3 h\r\x03")
    rows = daemon.until(2, "--device", "counter")
    assert [(row["quantity"], row["value"], row["flags"]) for row in rows] == [
        ("wbc", 7.3, ["H"]),
        ("hct", 0.412, ["L"]),
    ]
    assert refused(daemon, "counter") == 1
    text = b"mtrsl|pi1|si|ciA-1|ta|rtAST|rr8|t11|o1citfre|o2Citrobacter|ra|a1an|a2Amikacin|a3<=2.25|a4S|anS|zz|\x1d"
    cut = text.index(b"25|a4")
    body = b"\x1e" + text[:cut] + b"\x1e" + text[cut:]
    os.write(ends["cards"], b"\x05")
    assert os.read(ends["cards"], 1) == b"\x06"
    os.write(ends["cards"], b"\x02" + body + b"%02x" % (sum(body) & 0xFF) + b"\x03")
    assert os.read(ends["cards"], 1) == b"\x06"
    os.write(ends["cards"], b"\x04")
    (organism, drug) = daemon.until(2, "--device", "cards")
    assert (organism["value"], drug["value"], drug["comparator"], drug["interpretation"]) == (
        *("citfre", 2.25, "<="),
        "susceptible",
    )


def test_a_listened_scale_that_lost_a_digit_is_doubted(bench: tuple[Daemon, dict[str, int]]) -> None:
    daemon, ends = bench
    os.write(
        ends["scale"],
        b"0.00 g\r\nS S     100.00 g\r\nS S     10.00 g\r\nS D     100.02 g\r\nS +\r\nS S   100.00 gS S\r\n",
    )
    rows = daemon.until(4, "--device", "scale")
    assert [(row["value"], row["quality"]) for row in rows] == [
        *((100, "good"), (10, "uncertain"), (100.02, "uncertain")),
        (None, "bad"),
    ]


def test_every_byte_was_kept(bench: tuple[Daemon, dict[str, int]]) -> None:
    daemon, _ = bench
    assert daemon.verify()["exit"] == 0
    assert Path(daemon.data_dir).is_dir()
