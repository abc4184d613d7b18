"""Quality control on the real daemon: a control fails, results wait through kill -9 until somebody releases them."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import deliver, frames

CONTROL = """
[[controls]]
id = "crp-low"
quantity = "crp"
specimen = "QC-L"
target = 5.0
sd = 0.2
unit = "mg/L"
hold = true
tea = 20.0
"""


def configuration(port: int) -> str:
    link = f'link = {{ type = "tcp-listen", port = {port} }}'
    return f'[[devices]]\nid = "a"\ndriver = "astm"\n{link}\ntimezone = "UTC"\n{CONTROL}'


class Bench:
    """The daemon, and an analyser that measures one thing a minute."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.daemon = Daemon(folder, configuration(self.port))
        self.minute = 0
        self.count = 0

    def send(self, *results: tuple[str, float | str]) -> list[dict[str, Any]]:
        """Deliver results; all observations once they are in the journal."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            for specimen, value in results:
                self.minute += 1
                sent = frames(specimen, str(value), f"2026011509{self.minute:02}00")
                assert deliver(sock, b"\x05", *sent) == b"\x06" * 6
        self.count += len(results)
        found = self.daemon.until(self.count)
        assert len(found) == self.count
        return found

    def qc(self, *words: str) -> Any:
        done = self.daemon.command("qc", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "--json" in words else done.stdout


def test_a_failed_control_holds_results_through_kill_9_until_a_person_releases_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.daemon.start()
    try:
        bench.send(("QC-L", 5.1), ("S-1", 8.0), ("QC-L", 5.45))
        bench.daemon.kill()
        bench.daemon.start()
        rows = bench.send(("QC-L", 5.5), ("S-2", 9.0))
        verdicts = [row["attributes"]["qc"]["verdict"] for row in rows if row["kind"] == "qc"]
        assert verdicts == ["accepted", "warning", "rejected"]
        assert rows[3]["attributes"]["qc"]["rules"] == ["1-2s", "2-2s"], "the point before the kill counts"
        assert [row["status"] for row in rows] == ["final", "final", "final", "final", "preliminary"]
        bench.daemon.kill()

        (waits,) = bench.qc("held", "--json")  # without a daemon
        assert (waits["seq"], waits["quantity"]) == (rows[4]["seq"], "crp")
        bench.daemon.start()
        bench.qc("release", "--by", "A. Khan", "--why", "repeated on a new vial", str(waits["seq"]))
        *_, released = bench.daemon.until(6)
        assert (released["status"], released["value"], released["specimen"]) == ("final", 9.0, "S-2")
        assert released["attributes"]["corrects"] == waits["seq"]
        assert bench.qc("held", "--json") == []
        bench.count += 1

        bench.qc("action", "--by", "A. Khan", "--why", "calibrated", "crp-low")
        *_, control, patient = bench.send(("QC-L", 5.0), ("S-3", 7.0))
        assert control["attributes"]["qc"]["verdict"] == "accepted"
        assert patient["status"] == "final"
        (one,) = bench.qc("--json")
        assert (one["verdict"], one["n"], one["mean"], one["trouble"]) == ("accepted", 3, 5.1833333333333336, "")
        assert one["sigma"] is not None
        report = bench.daemon.verify()
        assert (report["exit"], report["unaccounted"]) == (0, 0)
        assert bench.daemon.command("replay", "--diff").stdout == "0 would be otherwise\n", "marks are no differences"
    finally:
        bench.daemon.kill()


def test_the_commands_show_chart_and_refuse(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.daemon.start()
    try:
        bench.send(("QC-L", 5.1), ("QC-L", 5.8))
        assert eventually(lambda: "rejected" in bench.qc())
        shown = bench.qc("show", "--since", "2026-01-01", "crp-low", "--json")
        assert [one["z"] for one in shown] == [0.5, 4.0]
        drawing = tmp_path / "crp.svg"
        bench.qc("chart", "--since", "2026-01-01", "crp-low", "-o", str(drawing))
        assert ElementTree.parse(drawing).getroot().tag.endswith("svg")
        status, page = bench.daemon.get("/api/v1/qc/crp-low/chart.svg")
        assert (status, page) == (200, drawing.read_bytes())
        bench.qc("review", "--by", "A", "--why", "typed wrongly", str(shown[1]["seq"]), "accept")
        assert [one["verdict"] for one in bench.qc("show", "--since", "2026-01-01", "crp-low", "--json")][
            1
        ] == "accepted"
        refused = bench.daemon.command("qc", "show", "crp-lo")
        assert (refused.returncode, "crp-low" in refused.stderr) == (2, True)
        refused = bench.daemon.command("qc", "release", "--by", "A", "--why", "b", "1")
        assert (refused.returncode, "not held" in refused.stderr) == (2, True)
        refused = bench.daemon.command_plain("qc", "held")
        assert (refused.returncode, "-c FILE" in refused.stderr) == (2, True)
        after = bench.daemon.command_plain("qc", "held", "-c", str(bench.daemon.config))
        assert (after.returncode, after.stdout) == (0, "nothing waits\n")
    finally:
        bench.daemon.stop()


def test_a_failed_control_raises_an_alarm_that_clears_with_an_accepted_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.daemon.start()

    def told() -> list[tuple[str, str]]:
        items = json.loads(bench.daemon.get("/api/v1/alarms")[1])["items"]
        return [(one["state"], one["explanation"]) for one in items if one["alarm"] == "quality-control"]

    try:
        bench.send(("QC-L", 5.8))
        assert eventually(lambda: [state for state, _ in told()] == ["unacknowledged"], within=60)
        assert "crp-low was rejected" in told()[0][1]
        bench.send(("QC-L", 5.0))
        assert eventually(lambda: [state for state, _ in told()] == ["returned-unacknowledged"], within=60)
    finally:
        bench.daemon.stop()


def test_another_target_is_taken_up_without_a_stop_and_old_verdicts_stay(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.daemon.start()
    try:
        bench.send(("QC-L", 5.8))
        bench.daemon.config.write_text(bench.daemon.config.read_text().replace("target = 5.0", "target = 5.8"))
        assert bench.daemon.process
        bench.daemon.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: any("configuration reloaded" in line for line in bench.daemon.log))
        rows = bench.send(("QC-L", 5.9))
        told = [(row["attributes"]["qc"]["target"], row["attributes"]["qc"]["verdict"]) for row in rows]
        assert told == [(5.0, "rejected"), (5.8, "accepted")]
    finally:
        bench.daemon.stop()


def test_a_correction_of_a_held_result_stays_held_and_is_the_one_to_release(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.daemon.start()
    try:
        *_, held = bench.send(("QC-L", 5.8), ("S-1", "12,4"))
        assert (held["status"], held["value"]) == ("preliminary", "12,4")
    finally:
        bench.daemon.stop()
    text = bench.daemon.config.read_text().replace('timezone = "UTC"', 'timezone = "UTC"\ndecimal = ","')
    bench.daemon.config.write_text(text)
    done = bench.daemon.command("replay", "--diff", "--apply")
    assert done.returncode == 0, done.stderr
    *_, corrected = bench.daemon.export()
    assert (corrected["status"], corrected["value"], corrected["attributes"]["corrects"]) == (
        "preliminary",
        12.4,
        held["seq"],
    )
    (waits,) = bench.qc("held", "--json")
    assert waits["seq"] == corrected["seq"]
    bench.qc("release", "--by", "A", "--why", "new vial", str(waits["seq"]))
    assert bench.daemon.export()[-1]["status"] == "final"
    assert bench.qc("held", "--json") == []
    assert bench.daemon.command("replay", "--diff").stdout == "0 would be otherwise\n"


def test_what_is_understood_out_of_quarantine_is_judged_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    text = bench.daemon.config.read_text()
    bench.daemon.start()
    try:
        bench.send(("QC-L", 5.8))
        bench.daemon.stop()
        # As if the device had not been configured when the message came.
        bench.daemon.config.write_text(text.replace('driver = "astm"', 'driver = "astm"\nencoding = "ascii"'))
        bench.daemon.start()
        with socket.create_connection(("127.0.0.1", bench.port), timeout=5) as sock:
            assert deliver(sock, b"\x05", *frames("S-\u00e9", "9.0", "20260115095900")) == b"\x06" * 6
        assert eventually(lambda: len(json.loads(bench.daemon.command("quarantine", "--json").stdout)) == 1)
        bench.daemon.stop()
        bench.daemon.config.write_text(text)
        assert bench.daemon.command("quarantine", "retry").returncode == 0
        *_, held = bench.daemon.export()
        assert (held["specimen"], held["status"]) == ("S-é", "preliminary")
    finally:
        bench.daemon.kill()
