"""A meter of our own making, written from the standard's text and apart from drivers, sends to the running daemon."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.instrument import Instrument, Plan
from tests.system.daemon import Daemon, eventually, free_port

WHOLE = re.compile(rb"^\s*(?:<\?xml[^>]*\?>)?\s*<([\w.]+)[\s>].*?</\1\s*>", re.DOTALL)


class Meter:
    """One connection of a glucose meter to its host. It numbers its messages and waits for each acknowledgement."""

    def __init__(self, port: int, serial: str, number: int = 10_000) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.serial, self.number = serial, number
        self._held = b""

    def say(self, root: str, body: str) -> str:
        """Write one message, in pieces; its control id."""
        self.number += 1
        header = f'<HDR.control_id V="{self.number}"/><HDR.version_id V="POCT1"/>'
        header += '<HDR.creation_dttm V="2026-01-15T09:30:00+05:00"/>'
        data = f"<{root}><HDR>{header}</HDR>{body}</{root}>".encode()
        for at in range(0, len(data), 97):
            self.sock.sendall(data[at : at + 97])
        return str(self.number)

    def hear(self) -> str:
        """The next whole message of the host."""
        while not (found := WHOLE.match(self._held)):
            data = self.sock.recv(400)
            if not data:
                raise ConnectionError("the host hung up")
            self._held += data
        self._held = self._held[found.end() :]
        return found[0].decode()

    def acknowledged(self, number: str) -> None:
        """The host must acknowledge exactly this message next."""
        text = self.hear()
        assert "<ACK.R01>" in text
        assert 'ACK.type_cd V="AA"' in text
        assert f'ACK.ack_control_id V="{number}"' in text

    def acknowledge(self, text: str) -> None:
        found = re.search(r'HDR\.control_id V="(\d+)"', text)
        assert found
        self.say("ACK.R01", f'<ACK><ACK.type_cd V="AA"/><ACK.ack_control_id V="{found[1]}"/></ACK>')

    def begin(self, waiting: int, directives: str = "") -> None:
        """Hello and status, both acknowledged."""
        device = f'<DEV.vendor_id V="ACME"/><DEV.model_id V="M1"/><DEV.serial_id V="{self.serial}"/>'
        can = f'<DSC><DSC.connection_profile_cd V="SA"/>{directives}</DSC>'
        self.acknowledged(self.say("HEL.R01", f"<DEV>{device}{can}</DEV>"))
        state = f'<DST.new_observations_qty V="{waiting}"/><DST.condition_cd V="R"/>'
        self.acknowledged(self.say("DST.R01", f"<DST>{state}</DST>"))

    def result(self, patient: str, value: str, second: int, reason: str = "NEW") -> str:
        run = f'<SVC.role_cd V="OBS"/><SVC.observation_dttm V="2026-01-15T09:28:{second:02d}+05:00"/>'
        run += f'<SVC.reason_cd V="{reason}"/>'
        test = f'<OBS><OBS.observation_id V="GLU"/><OBS.value V="{value}" U="mmol/L"/><OBS.method_cd V="M"/></OBS>'
        more = '<OPR><OPR.operator_id V="op7"/></OPR><ORD><ORD.order_id V="ACC-9"/></ORD>'
        more += '<RGT><RGT.lot_number V="140403"/><RGT.expiration_date V="2027-04-03"/></RGT>'
        return self.say("OBS.R01", f'<SVC>{run}<PT><PT.patient_id V="{patient}"/>{test}</PT>{more}</SVC>')

    def control(self, value: str) -> str:
        run = '<SVC.role_cd V="OBS"/><SVC.observation_dttm V="2026-01-15T08:00:00+05:00"/>'
        test = f'<OBS><OBS.observation_id V="GLU"/><OBS.value V="{value}" U="mmol/L"/></OBS>'
        material = f'<CTC><CTC.name V="High"/><CTC.lot_number V="Q7"/>{test}</CTC>'
        return self.say("OBS.R02", f"<SVC>{run}{material}</SVC>")

    def kill(self) -> None:
        self.sock.close()


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[tuple[Daemon, int]]:
    port = free_port()
    daemon = Daemon(
        tmp_path,
        f'[[devices]]\nid = "meters"\ndriver = "poct1a"\nlink = {{ type = "tcp-listen", port = {port} }}\n',
    )
    daemon.start()
    yield daemon, port
    daemon.stop()


def results(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    kept = [row for row in rows if row["kind"] in ("result", "qc")]
    return sorted((row["kind"], row["patient"] or "", row["value"], row["unit"], row["time"]) for row in kept)


WANTED = [
    ("qc", "", 16.2, "mmol/L", "2026-01-15T03:00:00Z"),
    ("result", "PID-1", 5.4, "mmol/L", "2026-01-15T04:28:01Z"),
    ("result", "PID-2", 7.1, "mmol/L", "2026-01-15T04:28:02Z"),
]


def polled(port: int) -> None:
    """Asked for its results; the connection dies before one is acknowledged, and all are sent again."""
    meter = Meter(port, "SN7")
    meter.begin(3)
    assert 'REQ.request_cd V="ROBS"' in meter.hear()
    meter.acknowledged(meter.result("PID-1", "5.4", 1))
    meter.result("PID-2", "7.1", 2)
    meter.kill()
    meter = Meter(port, "SN7", 10_050)
    meter.begin(3)
    assert 'REQ.request_cd V="ROBS"' in meter.hear()
    meter.acknowledged(meter.result("PID-1", "5.4", 1, "RES"))
    meter.acknowledged(meter.result("PID-2", "7.1", 2, "RES"))
    meter.acknowledged(meter.control("16.2"))
    meter.say("EOT.R01", '<EOT><EOT.topic_cd V="OBS"/></EOT>')
    end = meter.hear()
    assert 'TRM.reason_cd V="NRM"' in end
    meter.acknowledge(end)
    meter.kill()


def continuous(port: int) -> None:
    """Reports by itself once it may; the connection dies before one is acknowledged."""
    listed = '<DSC.directives_supported_cd V="START_CONTINUOUS"/>'
    meter = Meter(port, "SN8")
    meter.begin(0, listed)
    start = meter.hear()
    assert 'DTV.command_cd V="START_CONTINUOUS"' in start
    meter.acknowledge(start)
    meter.acknowledged(meter.result("PID-1", "5.4", 1))
    meter.acknowledged(meter.say("KPA.R01", ""))
    meter.result("PID-2", "7.1", 2)
    meter.kill()
    meter = Meter(port, "SN8", 10_050)
    meter.begin(1, listed)
    asked = meter.hear()
    assert 'REQ.request_cd V="ROBS"' in asked
    meter.acknowledged(meter.result("PID-2", "7.1", 2, "RES"))
    meter.say("EOT.R01", '<EOT><EOT.topic_cd V="OBS"/></EOT>')
    meter.acknowledge(meter.hear())
    meter.acknowledged(meter.control("16.2"))
    meter.kill()


@pytest.mark.parametrize("way", [polled, continuous])
def test_each_result_is_there_once(wired: tuple[Daemon, int], way: Any) -> None:
    daemon, port = wired
    way(port)
    assert eventually(lambda: len(results(daemon.export())) >= 3)
    rows = daemon.export()
    assert results(rows) == WANTED
    one = next(row for row in rows if row["patient"] == "PID-1")
    assert (one["operator"], one["lot"], one["lot_expiry"], one["specimen"]) == ("op7", "140403", "2027-04-03", "ACC-9")
    assert one["attributes"]["instrument"] in ("SN7", "SN8")
    states = [row for row in rows if row["kind"] == "status"]
    assert len([row for row in states if row["quantity"] == "device"]) == 1
    report = daemon.verify()
    assert (report["exit"], report["unaccounted"], report["journal"]) == (0, 0, "sound")


def test_meters_side_by_side_and_one_that_talks_nonsense(wired: tuple[Daemon, int]) -> None:
    daemon, port = wired
    nonsense = socket.create_connection(("127.0.0.1", port), timeout=10)
    nonsense.sendall(b"\xff" * 500 + b"<OBS.R01><SVC><PT>")

    def send(serial: str) -> None:
        meter = Meter(port, serial)
        meter.begin(1)
        meter.hear()
        meter.acknowledged(meter.result("PID-1", "5.4", 1))
        meter.kill()

    threads = [threading.Thread(target=send, args=(f"SN{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nonsense.close()
    assert eventually(lambda: len(results(daemon.export())) == 8)  # the same reading of eight meters is eight
    assert {row["attributes"]["instrument"] for row in daemon.export() if row["kind"] == "result"} == {
        f"SN{n}" for n in range(8)
    }


def test_what_cannot_be_read_is_refused_and_kept(wired: tuple[Daemon, int]) -> None:
    daemon, port = wired
    meter = Meter(port, "SN9")
    meter.begin(1)
    meter.hear()
    meter.say("OBS.R01", "<SVC><PT></SVC>")
    assert 'ACK.type_cd V="AE"' in meter.hear()
    meter.acknowledged(meter.result("PID-1", "5.4", 1))
    meter.kill()
    assert eventually(lambda: len(results(daemon.export())) == 1)
    assert "unreadable" in daemon.command("quarantine").stdout


@pytest.mark.parametrize("variant", ["", "hemoscreen", "i-stat", "sofia"])
async def test_the_simulated_device_delivers_over_tcp(tmp_path: Path, variant: str) -> None:
    port, ledger = free_port(), tmp_path / "ledger"
    named = f'variant = "{variant}"\n' if variant else ""
    daemon = Daemon(
        tmp_path,
        f'[[devices]]\nid = "meters"\ndriver = "poct1a"\n{named}link = {{ type = "tcp-listen", port = {port} }}\n',
    )
    daemon.start()
    try:
        plan = Plan(
            "poct1a",
            f"tcp:127.0.0.1:{port}",
            count=5,
            rate=20,
            ledger=ledger,
            device="meters",
            variant=variant,
            seconds=40,
        )
        await Instrument(plan).run()
        assert eventually(lambda: daemon.verify(ledger)["stored"] >= 20)
        report = daemon.verify(ledger)
        counted = ("acknowledged", "lost", "doubled", "altered", "invented")
        assert [report[name] for name in counted] == [5, 0, 0, 0, 0]
    finally:
        daemon.stop()
