"""The configuration changes under load, is broken, or lacks what it names; and two daemons want one folder."""

from __future__ import annotations

import re
import signal
import subprocess
from typing import Final

from tests.system.daemon import Daemon, eventually, free_port
from tests.torture.load import BROKEN_CATCH_UP, Load
from tests.torture.row import Room, Row, Tally
from tests.torture.store import ScriptedStore

_SINK: Final = '[[sinks]]\nid = "{id}"\ntype = "influxdb"\nurl = "{url}"\ntimeout = "5s"\n{more}'
_CUT: Final = ("no end of line", "[[devices]\n", 'driver = "astm"\n', "\x00")


def broken_file(room: Room) -> Tally:
    """What cannot be read changes nothing, is said and shown, and over once the file is right."""
    load = Load(room)
    daemon = load.begin()
    text = daemon.config.read_text()
    for cut in _CUT * room.scale:
        before = len(daemon.log)
        _reload(room, daemon, text.replace("[[devices]]\n", cut, 1), "configuration not reloaded")
        room.check(load.goes_on(), "a broken file holds instruments up")
        status, said = daemon.get("/readyz")
        room.check(status == 503 and b"configuration" in said, f"not shown: {said[:200]!r}")
        room.check(str(daemon.config) in "".join(daemon.log[before:]), "the file is not named")
        room.check(not _hung_up(daemon, before), "a broken file ends conversations")
        if room.broken:
            break
    _reload(room, daemon, text, "configuration reloaded")
    room.check(eventually(lambda: daemon.get("/readyz")[0] == 200), "the right file does not mend it")
    return load.tally(daemon)


def others_untouched(room: Room) -> Tally:
    """A device comes and goes: nobody else's conversation ends, in mid-message neither."""
    load = Load(room)
    daemon = load.begin()
    text = daemon.config.read_text()
    before = len(daemon.log)
    for _ in range(3 * room.scale):
        more = f'[[devices]]\nid = "guest"\ndriver = "astm"\nlink = {{ type = "tcp-listen", port = {free_port()} }}\n'
        for now in (f"{text}\n{more}", text):
            _reload(room, daemon, now, "configuration reloaded")
            room.check(load.goes_on(), "a reload holds instruments up")
    room.check(not _hung_up(daemon, before), "a reload ends conversations of devices it does not touch")
    return load.tally(daemon)


def removed_and_back(room: Room) -> Tally:
    """Devices on each kind of link go and come back: what was acknowledged is decoded, what was not is sent again."""
    load = Load(room)
    daemon = load.begin()
    text = daemon.config.read_text()
    for _ in range(3 * room.scale):
        for device in ("astm", "hl7", "serial-0"):
            _reload(room, daemon, _without(text, "devices", device), "configuration reloaded")
            room.check(load.goes_on(5), "the others are not served")
            _reload(room, daemon, text, "configuration reloaded")
            room.check(load.goes_on(5), "does not go on")
    room.check(load.resent > 0, "nobody was ever cut off")
    tally = load.tally(daemon)
    unclaimed = [row for row in _quarantine(daemon) if "unclaimed" in row]
    room.check(not unclaimed, f"{len(unclaimed)} acknowledged messages belong to nobody")
    return tally.noting(room.broken)


def options_changed(room: Room) -> Tally:
    """A device's options change, again and again: it begins anew and loses nothing, the others go on."""
    load = Load(room)
    daemon = load.begin()
    text = daemon.config.read_text()
    for turn in range(6 * room.scale):
        label = f'label = "Room {turn}"\ntimezone = "{("UTC", "Europe/Berlin")[turn % 2]}"\ndriver'
        _reload(room, daemon, re.sub(r"^driver", label, text, flags=re.MULTILINE), "configuration reloaded")
        room.check(load.goes_on(10), "does not go on")
    room.check(load.resent > 0, "nobody was ever cut off")
    return load.tally(daemon)


def sink_back(room: Room) -> Tally:
    """A sink goes, and comes back at another address behind a new one: it goes on where it was, the new one begins
    at the beginning."""
    store, second = ScriptedStore(), ScriptedStore()
    load = Load(room, store=store)
    room.also.callback(second.stop)
    second.start()
    daemon = load.begin()
    # With nothing to be sent again a place is just where it ended.
    text = daemon.config.read_text().replace('timeout = "5s"\n', 'timeout = "5s"\nresend = "0s"\n')
    _reload(room, daemon, text, "configuration reloaded")
    for _ in range(room.scale):
        room.check(eventually(lambda: len(load.in_store()) > 100, 60), "the store gets nothing")
        _reload(room, daemon, _without(text, "sinks", "store"), "configuration reloaded")
        room.check(load.goes_on(), "instruments wait for a sink that is gone")
        new = text.replace("[[sinks]]\n", _SINK.format(id="second", url=second.url, more="") + "[[sinks]]\n", 1)
        _reload(room, daemon, new, "configuration reloaded")
        room.check(load.goes_on(), "does not go on")
    tally = load.tally(daemon)
    within = BROKEN_CATCH_UP if room.mutation else 60.0
    same = eventually(lambda: second.by_seq("value") == load.in_store(), within)
    room.check(same, f"the new sink has {len(second.by_seq('value'))} of {len(load.in_store())}")
    return tally.noting(room.broken)


def secret_missing(room: Room) -> Tally:
    """A new sink's secret is not there: it is named, and the old configuration goes on until it is; so at a start."""
    load = Load(room, store=ScriptedStore())
    daemon = load.begin()
    text, secret = daemon.config.read_text(), room.folder / "token"
    assert load.store
    for more, named in (
        ('token = {{ env = "NO_SUCH_TOKEN" }}\n', "NO_SUCH_TOKEN"),
        (f'token = {{{{ file = "{secret}" }}}}\n', str(secret)),
    ):
        before = len(daemon.log)
        extra = _SINK.format(id="second", url=load.store.url, more=more.format())
        _reload(room, daemon, f"{text}\n{extra}", "configuration not reloaded")
        room.check(any("second" in line and named in line for line in daemon.log[before:]), f"{named} is not named")
        status, said = daemon.get("/readyz")
        room.check(status == 503 and named.encode() in said, "not shown")
        room.check(load.goes_on(), "a missing secret holds instruments up")
    before = len(daemon.log)
    daemon.kill()
    daemon.start()
    named_again = any("secret is missing" in line and str(secret) in line for line in daemon.log[before:])
    room.check(named_again, "not named at a start")
    room.check(load.goes_on(), "without a secret instruments are not served")
    secret.write_text("a-token\n")
    _reload(room, daemon, f"{text}\n", "configuration reloaded")
    _reload(room, daemon, f"{text}\n{extra}", "configuration reloaded")
    room.check(eventually(lambda: daemon.get("/readyz")[0] == 200, 60), "the secret does not mend it")
    return load.tally(daemon)


def two_daemons(room: Room) -> Tally:
    """Another one on the same folder refuses, naming the first, which goes on."""
    load = Load(room)
    daemon = load.begin()
    assert daemon.process
    other = room.folder / "other.toml"
    http = f'data_dir = "{daemon.data_dir}"\n[http]\nlisten = "127.0.0.1:{free_port()}"\n'
    other.write_text(f"[gateway]\n{http}")
    for _ in range(2 * room.scale):
        words = [*daemon.program, "run", "-c", str(other)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            room.check(False, "the second runs beside the first")
            continue
        room.check(done.returncode != 0, "the second ends as if all were well")
        room.check(str(daemon.process.pid) in done.stderr, f"the first is not named: {done.stderr[-300:]}")
        room.check(load.goes_on(), "the first is harmed")
    return load.tally(daemon)


def _reload(room: Room, daemon: Daemon, text: str, said: str) -> None:
    """Write the file, ask for a reload, and wait until that is said of it."""
    before = len(daemon.log)
    daemon.config.write_text(text)
    assert daemon.process
    daemon.process.send_signal(signal.SIGHUP)
    within = BROKEN_CATCH_UP if room.mutation else 60.0
    room.check(eventually(lambda: any(said in line for line in daemon.log[before:]), within), f"never said: {said}")


def _hung_up(daemon: Daemon, before: int) -> bool:
    return any('"disconnected"' in line for line in daemon.log[before:])


def _without(text: str, table: str, name: str) -> str:
    """The file without one table."""
    tables = re.split(r"(?=^\[)", text, flags=re.MULTILINE)
    left = [one for one in tables if not (one.startswith(f"[[{table}]]") and f'\nid = "{name}"\n' in one)]
    assert len(left) == len(tables) - 1
    return "".join(left)


def _quarantine(daemon: Daemon) -> list[str]:
    return daemon.command("quarantine", "list").stdout.splitlines()


ROWS: Final = (
    Row("configuration", "a broken file", broken_file, ("configuration.broken_is_empty",)),
    Row("configuration", "others' conversations", others_untouched, ("configuration.all_changed",)),
    Row("configuration", "devices removed and back", removed_and_back, ("configuration.forgets_how_to_read",)),
    Row("configuration", "options changed", options_changed, ("configuration.reads_on",)),
    Row("configuration", "a sink removed and back", sink_back, ("configuration.place_by_order",)),
    Row("configuration", "a secret missing", secret_missing, ("configuration.secrets_later",)),
    Row("process", "two daemons on one folder", two_daemons, ("configuration.no_lock",)),
)
