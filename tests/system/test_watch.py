"""The terminal view on the real daemon: by its keys, and by the very bytes it sends to a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fcntl import ioctl
from pathlib import Path
from typing import Any

import paho.mqtt.publish as publish
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot

from gateway.cli import main
from gateway.config import load
from gateway.terminal.connection import configured
from gateway.terminal.connection import given as at
from gateway.terminal.picture import Picture
from gateway.terminal.rows import devices
from gateway.terminal.said import read
from gateway.terminal.screen import Watch
from gateway.terminal.words import clock, cut, figures, plain
from tests.gateway.served import until
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import Broker, deliver, frames, freezer_on

CONFIG = """
label = "-80 \\u001b[31m[red]\\u202efreezer[/red]"
room = "[bold]Cold\\u001b]0;hurt\\u0007 room"
readings = [ {{ quantity = "temperature", path = "$.t", unit = "Cel" }}, {{ quantity = "note", path = "$.note" }} ]
[[devices]]
id = "analyser-1"
driver = "astm"
room = "Chemistry"
link = {{ type = "tcp-listen", host = "127.0.0.1", port = {astm} }}
[[devices]]
id = "quiet-1"
driver = "mt-sics"
link = {{ type = "tcp", host = "127.0.0.1", port = {nobody} }}
[[alarms]]
id = "warm"
title = "Freezer [blink]warm\\u009b2J"
action = "move the samples\\u001b[2J"
when = {{ device = "freezer-*", quantity = "temperature", above = -70.0 }}
priority = "critical"
"""
ESCAPES = re.compile(rb"\x1b\[[0-9;]*m")  # colours and the like
HURTFUL = "\x1b]0;hurt\x07[red]\u202ex"


@dataclass
class Lab:
    daemon: Daemon
    broker: Broker
    astm: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.daemon.http}"

    def say(self, **readings: Any) -> None:
        publish.single("lab/freezer-1", json.dumps(readings), qos=1, hostname="127.0.0.1", port=self.broker.port)

    def alarms(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.daemon.get("/api/v1/alarms")[1])["items"]
        return found

    def history(self) -> list[tuple[str, str, str]]:
        items = json.loads(self.daemon.get("/api/v1/alarms/history")[1])["items"]
        return [(one["transition"], one["by"], one["why"]) for one in items]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    broker = Broker(tmp_path / "broker")
    broker.start()
    astm = free_port()
    daemon = Daemon(tmp_path, freezer_on(broker.port, CONFIG.format(astm=astm, nobody=free_port())))
    try:
        daemon.start()
        assert eventually(lambda: daemon.connected("freezer-1"))
        yield Lab(daemon, broker, astm)
    finally:
        daemon.kill()
        broker.stop()


@dataclass
class View:
    """The view and the fingers on its keys."""

    pilot: Pilot[None]

    def text(self) -> str:
        """What stands on the screen, a line a line."""
        strips = self.pilot.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def shows(self, *wanted: str, without: tuple[str, ...] = ()) -> str:
        """Wait until all of it stands there; the whole screen."""

        async def there() -> str:
            await self.pilot.pause()
            text = self.text()
            return text if all(w in text for w in wanted) and not any(w in text for w in without) else ""

        try:
            return str(await until(there, 30))
        except TimeoutError:
            raise AssertionError(f"{wanted} is not on\n{self.text()}") from None


@asynccontextmanager
async def viewed(lab: Lab, by: str = "", size: tuple[int, int] = (80, 24)) -> AsyncIterator[View]:
    async with Watch(at(lab.url, ""), by).run_test(size=size, notifications=True) as pilot:
        view = View(pilot)
        await view.shows("LIVE")
        yield view


async def test_an_alarm_appears_and_is_acknowledged_and_shelved_by_keys(lab: Lab) -> None:
    async with viewed(lab) as view:
        await view.shows("no alarms", "NO LINK", "0 in alarm")
        lab.say(t=-52.7)
        await view.shows("!!! critical NEW", "-52.7 °C is above -70")
        await view.pilot.press("a")
        await view.shows("Acknowledge:", "your name", "freezer-1 temperature")
        await view.pilot.press("enter", "enter")  # without a name nothing goes: back to its line
        await view.pilot.press(*"Ayesha Khan", "enter", *"on it", "enter")
        await view.shows("seen by Ayesha Khan: on it", "critical seen")
        assert [(one["state"], one["acknowledged_by"]) for one in lab.alarms()] == [("acknowledged", "Ayesha Khan")]
        assert ("acknowledged", "Ayesha Khan", "on it") in lab.history()
        await view.pilot.press("a")  # the name is known now
        await view.shows("comment", without=("your name",))
        await view.pilot.press("enter")
        await view.shows("Not done: this alarm is")
        await view.pilot.press("s", "enter", *"defrosting", "enter")
        await view.shows("shelved", "defrosting", "1 put aside")
        assert ("shelved", "Ayesha Khan", "defrosting") in lab.history()
        await view.pilot.press("u")
        await view.shows("critical NEW", "0 put aside")


async def test_a_lost_gateway_is_said_plainly_and_found_again(lab: Lab) -> None:
    lab.say(t=-80.0)
    async with viewed(lab) as view:
        await view.shows(" ok ", "-80 °C")
        lab.daemon.stop()
        await view.shows("VALUES ARE OLD since", "the gateway is not running", "? not known", without=("LIVE", " ok "))
        lab.daemon.start()
        await view.shows("LIVE", " ok ", without=("OLD", "not known"))
        assert eventually(lambda: lab.daemon.connected("freezer-1"))
        lab.say(t=-79.5)
        await view.shows("-79.5 °C")
    lab.daemon.stop()
    async with Watch(at(lab.url, "")).run_test() as pilot:
        await View(pilot).shows(f"NOT CONNECTED to {lab.url}: the gateway is not running")


GUARDED = """token = {{ env = "WATCH_TOKEN" }}
tls_cert = "{folder}/cert.pem"
tls_key = "{folder}/key.pem"
[people]
file = "{folder}/people.toml"
token_role = "technician"
"""


async def test_a_guarded_gateway_is_watched_with_its_token_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCH_TOKEN", token := "geheim-ü")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=lab", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    (tmp_path / "people.toml").touch(0o600)
    (tmp_path / "people.toml").write_text("[people]\n")
    broker = Broker(tmp_path / "broker")
    text = GUARDED.format(folder=tmp_path) + freezer_on(
        broker.port, CONFIG.format(astm=free_port(), nobody=free_port())
    )
    daemon = Daemon(tmp_path, text)
    lab = Lab(daemon, broker, 0)
    options = load(daemon.config).http
    try:
        broker.start()
        daemon.start()
        async with Watch(configured(options, "wrong")).run_test(notifications=True) as pilot:
            await View(pilot).shows("NOT CONNECTED to https://127.0.0.1:", "the gateway wants a token")
        async with Watch(configured(options, token)).run_test(notifications=True) as pilot:
            view = View(pilot)

            async def raised() -> bool:  # said again until the daemon's subscription is there
                lab.say(t=-52.7)
                await pilot.pause()
                return "critical NEW" in view.text()

            await until(raised, 60)
            await pilot.press("a")  # nobody is asked for a name: the gateway knows whose token it is
            await view.shows("comment", without=("your name",))
            await pilot.press(*"on it", "enter")
            await view.shows("seen by token: on it")
    finally:
        daemon.kill()
        broker.stop()


async def test_what_is_hostile_is_shown_as_text(lab: Lab) -> None:
    lab.say(t=-52.7, note=HURTFUL)
    with socket.create_connection(("127.0.0.1", lab.astm), 5) as sock:
        deliver(sock, b"\x05", *frames("S-[red]\u202e1", "5.2"))
    async with viewed(lab) as view:
        text = await view.shows("[red]", "Freezer [blink]warm", "S-[red]�1", "5.2 mg/L", "[bold]Cold�]0;hurt� room")
        assert all(line.isprintable() for line in text.splitlines())
        await view.pilot.press("d")
        text = await view.shows("x", "note", "�]0;hurt�[red]�x", "7b 22 74 22", "\\u001b")
        assert all(line.isprintable() for line in text.splitlines())
        await view.pilot.press("escape", "tab", "tab", "d")
        await view.shows("analyser-1", "<STX>3O|1|S-")


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_everything_has_its_place(lab: Lab, size: tuple[int, int]) -> None:
    lab.say(t=-52.7)
    async with viewed(lab, size=size) as view:
        text = await view.shows("-52.7 °C is above", "analyser-1", "quiet-1", "NO LINK", "no data", "device:quiet-1")
        lines = text.splitlines()
        assert len(lines) == size[1]
        assert re.search(r"alarms.*!!! critical NEW.*devices.*-52\.7 °C ", text, re.DOTALL)
        assert "a Acknowledge s Shelve d Device / Filter ? Help q Quit" in lines[-1]
        await view.pilot.press("slash", *"QUIET", "enter")
        await view.shows("ONLY LINES WITH 'quiet'", "quiet-1", without=("analyser-1",))
        await view.pilot.press("escape")
        await view.shows("analyser-1", without=("ONLY",))
        await view.pilot.press("question_mark")
        await view.shows("acknowledge the alarm, with a comment", "the gateway itself is not heard")


def run_on_terminal(lab: Lab, shown: bytes, **environment: str) -> tuple[bytes, int]:
    """The real command on a terminal of 80 by 24 until it has shown something, then `q`; its bytes, its status."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **environment}
    command = [sys.executable, "-m", "gateway.cli", "watch", "-c", str(lab.daemon.config)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    said = b""

    def more() -> bool:
        nonlocal said
        if select.select([ours], [], [], 0.1)[0]:
            said += os.read(ours, 65_536)
        return shown in ESCAPES.sub(b"", said)

    try:
        assert eventually(more, 60), said
        os.write(ours, b"q")
        with contextlib.suppress(OSError):  # the other end hangs up
            eventually(lambda: more() and process.poll() is not None)
        return said, process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_no_escape_sequence_of_an_instrument_reaches_the_terminal(lab: Lab) -> None:
    lab.say(t=-52.7, note=HURTFUL)
    said, status = run_on_terminal(lab, "-52.7 °C".encode(), TERM="linux", COLORTERM="")
    assert status == 0
    assert b"\x1b]0;hurt" not in said
    assert "\u009b".encode() not in said
    assert "\u202e".encode() not in said
    assert not re.search(rb"\x1b\[[0-9;]*[34]8;", said), "sixteen colours are enough"
    assert re.search(rb"\x1b\[[0-9;]*31", said), "a critical alarm is red"


def test_without_colours_it_says_the_same_in_words(lab: Lab) -> None:
    lab.say(t=-52.7)
    said, status = run_on_terminal(lab, "-52.7 °C".encode(), NO_COLOR="1")
    assert status == 0
    coloured = [one for one in ESCAPES.findall(said) if re.search(rb"[\[;](3[0-8]|4[0-8]|9[0-7]|10[0-7])\b", one)]
    assert coloured == []
    assert b"!!! critical NEW" in ESCAPES.sub(b"", said)
    assert re.search(rb"\x1b\[([0-9]+;)*7(;[0-9]+)*m!!! critical NEW", said), "the marked line is reversed"


def test_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["watch", *words])
        return done.exit_code, done.output

    url = "http://127.0.0.1:1"
    assert "watch needs a terminal" in told("--url", url)[1]
    assert "say which daemon" in told()[1]
    assert told("--url", url, "--token-env", "NOT_SET_ANYWHERE")[0] == 2
    assert "is not an address" in told("--url", "ftp://x")[1]
    monkeypatch.setitem(sys.modules, "textual", None)
    assert told("--url", url) == (1, "watch needs another package: pip install 'assaygate[watch]'\n")


@given(st.text() | st.text(alphabet="\x00\x07\x1b\x9b\x85\u2028\u202e\u2066\u200d\ufeff\n[]x", max_size=50))
def test_plain_text_holds_nothing_a_terminal_acts_on(text: str) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text) or len(text) > 1000


@given(st.text(), st.integers(1, 60))
@settings(max_examples=300)
def test_a_line_is_as_wide_as_its_place(text: str, width: int) -> None:
    from rich.cells import cell_len

    assert cell_len(cut(plain(text), width)) == width


@pytest.mark.parametrize(("every", "stale"), [(5.0, True), (30.0, False), (None, False)])
def test_a_reading_is_stale_once_four_usual_intervals_are_over(every: float | None, stale: bool) -> None:
    now = time.time()
    at = datetime.fromtimestamp(now - 60, UTC).isoformat()
    last = {
        "seq": 7, "device": "f", "kind": "reading", "quantity": "t", "value": -80, "unit": "Cel", "comparator": None,
        "interpretation": None, "flags": [], "status": "final", "specimen": None, "time": at, "received": at,
        "quality": "good", "raw": 1,
    }  # fmt: skip
    device = {
        "id": "f", "label": "f", "room": "", "driver": "d", "link": "l", "address": "", "state": "connected",
        "detail": "", "peers": [], "messages": 1, "refused": 0, "clock_offset": None, "last_received": now,
    }  # fmt: skip
    points = [[now - 60 - every * n, -80] for n in (3, 2, 1, 0)] if every else []
    snapshot = {
        "type": "snapshot", "site": "s", "now": now, "failing": [], "devices": [device], "sinks": [], "seq": 7,
        "alarms": [], "values": [last], "results": [], "sparks": {"f": {"t": points}},
    }  # fmt: skip
    picture = Picture()
    picture.take(read(json.dumps(snapshot)))
    (row,) = devices(picture, 80)
    assert ("~ STALE" in row.line.plain) is stale
    assert "-80 °C" in row.line.plain
    assert len(row.line.plain) == 80


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "items", "seq", "now", "x"]), inner),
)


@given(JSON.map(json.dumps) | st.text() | st.sampled_from(["beat", "delta", "snapshot"]).map('{{"type":"{}"}}'.format))
def test_whatever_answers_there_is_understood_or_refused(sent: str) -> None:
    with contextlib.suppress(ValueError):
        Picture().take(read(sent))


@given(st.floats(allow_nan=False))
def test_any_moment_has_a_writing(moment: float) -> None:
    assert clock(moment).isprintable()


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_keeps_its_sign_and_seven_figures_in_its_column(number: float) -> None:
    shown = figures(number)
    assert len(shown) <= 16
    assert float(shown) == pytest.approx(number, rel=1e-6)
