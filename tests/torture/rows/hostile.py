"""Whoever sends, drops or writes what harms: endless lines, bombs, tricks with names, formulas, markup."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import socket
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import ACK, ENQ, EOT, SerialAnalyser, frames
from tests.torture.load import FLOOD, Load
from tests.torture.row import Room, Row, Tally

HUGE: Final = 100_000_000  # bytes of a line that never ends
ROOMY: Final = 150e6  # bytes a daemon's memory may ever stand above where it began, whatever is sent
SECRET: Final = "a-secret-of-this-machine"
MARKUP: Final = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>'); DROP TABLE raw;--"
FORMULAS: Final = ("=1+2", "+1+2", "-1+2", "@SUM(1)", "\t=1+2", "=cmd|' /C calc'!A0")
CHROMIUM: Final = Path("/usr/bin/chromium")

_FOLDER = (
    '[[devices]]\nid = "{id}"\ndriver = "{driver}"\n{more}'
    'link = {{ type = "file", path = "{path}", settle = "100ms" }}\n'
)
_TABLE = 'specimen = "S"\nformat = "{form}"\n{more}results = [ {{ value = "V" }} ]\n'


def endless(room: Room) -> Tally:
    """100 MB without a line's end on every kind of link: it is cut and kept or refused, and nobody else notices."""
    load = Load(room)
    stranger = SerialAnalyser("STRANGER", 0)
    room.also.callback(stranger.stop)
    folder = _inbox(room, "files")
    ports = [free_port() for _ in range(3)]
    load.more = "".join(
        f'[[devices]]\nid = "tcp-{driver}"\ndriver = "{driver}"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
        for driver, port in zip(("hl7", "astm", "lateral-flow"), ports, strict=True)
    )
    load.more += (
        f'[[devices]]\nid = "line"\ndriver = "lateral-flow"\nlink = {{ type = "serial", port = "{stranger.tty}" }}\n'
    )
    load.more += (
        '[[devices]]\nid = "topic"\ndriver = "mqtt-json"\nlink = { type = "mqtt", broker = "bench", topic = "huge" }\n'
    )
    load.more += _FOLDER.format(id="files", driver="table", path=folder, more=_TABLE.format(form="csv", more=""))
    daemon = load.begin()
    peak = _peak(daemon)
    with (folder / "huge.csv").open("wb") as huge:
        huge.truncate(HUGE)
    for port, begin in zip(ports, (b"\x0bMSH|^~\\&|", ENQ + b"\x021R|", b""), strict=True):
        _pour(port, begin)
    _pour_line(stranger)
    room.check((grown := peak()) < ROOMY, f"grew by {grown / 1e6:.0f} MB")
    _publish(load, "huge", b"x" * HUGE)
    wanted = dict.fromkeys(("tcp-hl7", "tcp-astm", "tcp-lateral-flow", "line", "topic"), 1)
    room.check(eventually(lambda: _quarantined(daemon, wanted), 120), f"not refused: {wanted.keys() - _counts(daemon)}")
    room.check(eventually(lambda: any("file too large" in line for line in daemon.log), 60), "the file is not refused")
    # What a broker lets through comes in one piece.
    room.check((grown := peak()) < ROOMY + 3 * HUGE, f"grew by {grown / 1e6:.0f} MB over MQTT")
    room.check(load.goes_on(), "good instruments do not go on")
    return load.tally(daemon)


def bombs(room: Room) -> Tally:
    """Archives and entities that unpack to more than there is, entities that read files, nesting without an end."""
    load = Load(room)
    secret = room.folder / "secret"
    secret.write_text(SECRET)
    books, trees = _inbox(room, "books"), _inbox(room, "trees")
    load.more = _FOLDER.format(
        id=f"{FLOOD}-books", driver="table", path=books, more=_TABLE.format(form="xlsx", more="")
    )
    rows = _TABLE.format(form="xml", more='rows = "R"\n')
    load.more += _FOLDER.format(id=f"{FLOOD}-trees", driver="table", path=trees, more=rows)
    link = 'type = "mqtt", broker = "bench", topic = "nested"'
    load.more += f'[[devices]]\nid = "{FLOOD}-nested"\ndriver = "mqtt-json"\nlink = {{ {link} }}\n'
    load.more += 'readings = [ { quantity = "temperature", path = "$.temp", unit = "Cel" } ]\n'
    daemon = load.begin()
    peak = _peak(daemon)
    _put(books, "bomb.xlsx", _archive({"xl/workbook.xml": b"<a/>", "xl/worksheets/sheet1.xml": None}))
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    row = "<x><R><S>S</S><V>{}</V></R></x>"
    _put(trees, "laughs.xml", f'<!DOCTYPE x [<!ENTITY a0 "ha">{laughs}]>{row.format("&a9;")}'.encode())
    _put(trees, "reads.xml", f'<!DOCTYPE x [<!ENTITY b SYSTEM "{secret}">]>{row.format("&b;")}'.encode())
    _put(trees, "deep.xml", b"<a>" * 1_000_000)
    for nested in (b"[" * 5_000_000, b'{"temp":' * 500_000, b'{"temp":' + b"[" * 900 + b"]" * 900 + b"}", b'"\\ud800"'):
        _publish(load, "nested", nested)
    wanted = {f"{FLOOD}-books": 1, f"{FLOOD}-trees": 3, f"{FLOOD}-nested": 4}
    room.check(eventually(lambda: _quarantined(daemon, wanted), 120), f"not all is in quarantine: {_counts(daemon)}")
    _put(trees, "good.xml", row.format("1.5").encode())
    _publish(load, "nested", b'{"temp": 1.5}')
    good = {f"{FLOOD}-trees", f"{FLOOD}-nested"}
    room.check(eventually(lambda: good <= {one["device"] for one in daemon.export()}, 60), "what is good is not read")
    room.check(SECRET not in json.dumps(daemon.export()), "a file of this machine was read")
    room.check((grown := peak()) < ROOMY, f"grew by {grown / 1e6:.0f} MB")
    return load.tally(daemon)


def names(room: Room) -> Tally:
    """Names that leave the folder, that no text can hold; links, pipes, sockets and devices in the folder."""
    load = Load(room)
    secret, folder = room.folder / "secret.csv", _inbox(room, "files")
    secret.write_text(f"S,V\n{SECRET},1.5\n")
    load.more = _FOLDER.format(id=FLOOD, driver="table", path=folder, more=_TABLE.format(form="csv", more=""))
    daemon = load.begin()
    (folder / "link.csv").symlink_to(secret)
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "out").symlink_to(room.folder)
    (folder / "directory.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as sock:
        place = os.open(folder, os.O_RDONLY)  # a socket's own path may be no longer than 108 bytes
        room.also.callback(os.close, place)
        sock.bind(f"/proc/self/fd/{place}/socket.csv")
    with contextlib.suppress(PermissionError):  # only root may
        os.mknod(folder / "device.csv", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    tricks = (
        b"M\xfcller.csv",
        b"a\nready.csv",
        b"a\\..\\evil.csv",
        b"x" * 251 + b".csv",
        b"$(reboot).csv",
        b"';--.csv",
        b"-rf.csv",
        MARKUP.replace("/", "").encode() + b".csv",
        b"\x1b[2J.csv",
        b"%2e%2e%2fevil.csv",
    )
    for number, name in enumerate(tricks):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:  # noqa: PTH123 - a name no Path may be made of
            file.write(b"S,V\nT%d,1.5\n" % number)
    wanted = {f"T{number}" for number in range(len(tricks))}
    came = eventually(lambda: wanted <= {row["specimen"] for row in _flood(daemon)}, 60)
    room.check(came, f"not read: {wanted - {row['specimen'] for row in _flood(daemon)}}")
    room.check(len(_flood(daemon)) == len(wanted), "something else was read")
    room.check(SECRET not in json.dumps(daemon.export()), "a file outside the folder was read")
    room.check(load.goes_on(), "good instruments do not go on")
    return load.tally(daemon)


def formulas(room: Room) -> Tally:
    """Texts a spreadsheet would run, from an instrument into an exported table: they stay texts, numbers numbers."""
    load = Load(room)
    port = free_port()
    load.more = f'[[devices]]\nid = "{FLOOD}"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    daemon = load.begin()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for number, text in enumerate((*FORMULAS, "plain")):
            _tell(sock, frames(text, f"-{number}.5", f"202601150928{number:02d}"))
            _tell(sock, frames(f"F{number}", text, f"202601150929{number:02d}"))
    sent = 2 * (len(FORMULAS) + 1)
    room.check(eventually(lambda: len(_flood(daemon)) == sent, 60), f"{len(_flood(daemon))} of {sent} came through")
    words = [*daemon.program, "export", "-c", str(daemon.config), "--device", FLOOD, "--format", "csv"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    live = [cell for row in table for name, cell in row.items() if name != "value" and cell[:1] in tuple("=+-@\t\r")]
    live += [row["value"] for row in table if row["value"][:1] in tuple("=+@\t\r") or row["value"] == "-1+2"]
    room.check(not live, f"a spreadsheet would run {live}")
    numbers = {f"-{number}.5" for number in range(len(FORMULAS) + 1)}
    room.check(numbers <= {row["value"] for row in table}, "negative numbers are numbers no more")
    room.check(any("=1+2" in row["specimen"] for row in table), "no formula came")
    return load.tally(daemon)


def markup(room: Room) -> Tally:
    """Scripts and SQL in every text an instrument may send, on the page in a real browser: shown, never run."""
    if not CHROMIUM.exists():
        pytest.skip("Debian package chromium is not installed")
    load = Load(room)
    port = free_port()
    load.more = f'[[devices]]\nid = "{FLOOD}"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    daemon = load.begin()
    load.stop()  # what is newest on the page is what follows
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        spoilt = [
            frame.replace(b"CRP", MARKUP.encode()).replace(b"mg/L", MARKUP.encode()) for frame in frames(MARKUP, MARKUP)
        ]
        _tell(sock, [_summed(frame) for frame in spoilt])
        _tell(sock, [_summed(b"\x021" + MARKUP.encode() + b"\r\x0300\r\n")])
    room.check(
        eventually(lambda: bool(_flood(daemon)) and _quarantined(daemon, {FLOOD: 1}), 60), "nothing came through"
    )
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.set_default_timeout(10_000 if room.mutation else 60_000)
            page.goto(f"http://127.0.0.1:{daemon.http}")
            try:
                page.locator("#result-rows").get_by_text(MARKUP).first.wait_for()
                page.locator("#result-rows tr").first.click()
                page.locator("#story-text .facts").get_by_text(MARKUP).first.wait_for()
                page.keyboard.press("Escape")
                page.get_by_role("button", name=f"Look at {FLOOD}").first.click()
                page.locator("#story-text").get_by_text("<script>").first.wait_for()
            except Error as error:
                room.check(False, f"is not shown as text: {error.message[:200]}")
            room.check(page.evaluate("window.hurt") is None, "an instrument's text was run in the browser")
        finally:
            browser.close()
    return load.tally(daemon)


def _inbox(room: Room, name: str) -> Path:
    folder = room.folder / name
    folder.mkdir()
    return folder


def _peak(daemon: Daemon) -> Callable[[], float]:
    """How much more memory than now the daemon ever held since, bytes."""
    assert daemon.process
    status = Path(f"/proc/{daemon.process.pid}/status")

    def held(what: str) -> float:
        line = next(line for line in status.read_text().splitlines() if line.startswith(what))
        return float(line.split()[1]) * 1024

    before = held("VmRSS")
    return lambda: held("VmHWM") - before


def _pour(port: int, begin: bytes) -> None:
    """A line without an end; whoever is hung up on has been heard."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(begin)
        piece = b"x" * 1_000_000
        for _ in range(HUGE // len(piece)):
            sock.sendall(piece)


def _pour_line(stranger: SerialAnalyser) -> None:
    """A tenth of it: a serial line is slow."""
    wire = stranger._connect()
    for _ in range(HUGE // 10 // 4096):
        wire.sendall(b"x" * 4096)


def _publish(load: Load, topic: str, payload: bytes) -> None:
    assert load.broker
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "hostile")
    client.connect("127.0.0.1", load.broker.port)
    client.loop_start()
    try:
        client.publish(topic, payload, 1).wait_for_publish(60)
    finally:
        client.disconnect()
        client.loop_stop()


def _put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)


def _archive(parts: dict[str, bytes | None]) -> bytes:
    """A zip archive; None: a part of 400 MB of blanks."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            with archive.open(name, "w") as part:
                part.write(content or b"<a>")
                for _ in range(0 if content else 400):
                    part.write(b" " * 1_000_000)
                part.write(b"" if content else b"</a>")
    return made.getvalue()


def _counts(daemon: Daemon) -> dict[str, int]:
    items = json.loads(daemon.get("/api/v1/quarantine?limit=1000")[1])["items"]
    return {device: sum(one["device"] == device for one in items) for device in {one["device"] for one in items}}


def _quarantined(daemon: Daemon, wanted: dict[str, int]) -> bool:
    counts = _counts(daemon)
    return all(counts.get(device, 0) >= count for device, count in wanted.items())


def _flood(daemon: Daemon) -> list[dict[str, Any]]:
    return daemon.export("--device", FLOOD)


def _summed(frame: bytes) -> bytes:
    """The frame with the checksum it should have."""
    body = frame[1 : frame.index(b"\x03") + 1]
    return b"\x02" + body + b"%02X\r\n" % (sum(body) % 256)


def _tell(sock: socket.socket, message: list[bytes]) -> None:
    """Errors: ConnectionError (not acknowledged)."""
    for piece in (ENQ, *message):
        sock.sendall(piece)
        if sock.recv(1) != ACK:
            raise ConnectionError("not acknowledged")
    sock.sendall(EOT)


ROWS: Final = (
    Row("hostile", "lines of 100 MB", endless, ("hostile.no_limits",)),
    Row("hostile", "bombs and entities", bombs, ("hostile.entities", "hostile.unpacks_all")),
    Row("hostile", "tricks in a folder", names, ("hostile.names_as_they_are", "hostile.follows_links")),
    Row("hostile", "formulas", formulas, ("hostile.formulas_run",)),
    Row("hostile", "markup on the page", markup, ("hostile.markup_runs",)),
)
