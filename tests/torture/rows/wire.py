"""Bytes are lost, changed, doubled, cut and joined; connections die, come in thousands, drip and flood."""

from __future__ import annotations

import contextlib
import os
import pty
import resource
import select
import socket
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import ENQ, Analyser, SerialAnalyser, frames
from tests.torture.daemon import OnFaultyDisk
from tests.torture.load import ENDLESS, FLOOD, Load
from tests.torture.relay import Relay
from tests.torture.row import Room, Row, Tally

ROOMY: Final = 120e6  # bytes a daemon may grow by at most, under any flood
THOUSANDS: Final = 10_000


def spoilt(
    inward: Mapping[str, float], outward: Mapping[str, float], room: Room, *, hl7: int = 0, many: int = 60
) -> Tally:
    """A wire that spoils what it carries; ASTM has a checksum for that, HL7 over TCP has not."""
    load, relays = _behind_relays(room, inward, outward, hl7=hl7)
    daemon = load.begin()
    room.check(load.goes_on(many * room.scale, 120), "nothing comes through any more")
    room.check(sum(relay.happened for relay in relays) > 3, "the faults never came")
    return load.tally(daemon)


def half_open(room: Room) -> Tally:
    """Instruments vanish without a word, again and again, and call anew: each new call is heard."""
    load, (relay, _) = _behind_relays(room)
    daemon = load.begin()
    for _ in range(2 * room.scale):
        before = load.resent
        relay.black.set()
        room.check(eventually(lambda: load.resent >= before + 2, 30), "the fault never came")  # noqa: B023
        relay.forget()
        relay.black.clear()
        room.check(load.goes_on(within=30), "who calls again is not heard")
    return load.tally(daemon)


def _behind_relays(
    room: Room, inward: Mapping[str, float] = {}, outward: Mapping[str, float] = {}, *, hl7: int = 0
) -> tuple[Load, tuple[Relay, Relay]]:
    """Two ASTM peers and `hl7` HL7 peers, each kind behind a wire of its own."""
    astm_port, hl7_port = free_port(), free_port()
    relays = (
        Relay(astm_port, inward=inward, outward=outward, seed=1),
        Relay(hl7_port, inward=inward, outward=outward, seed=2),
    )
    for relay in relays:
        room.also.callback(relay.stop)
    ports = relays[0].port, relays[1].port
    return Load(room, hl7=hl7, mqtt=False, serial=0, ports=ports, listening=(astm_port, hl7_port)), relays


def thousands(room: Room) -> Tally:
    """10,000 connections at once to instruments' ports and the page's; those who were there go on."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < THOUSANDS + 1000:
        pytest.skip(f"a process may have no more than {hard} descriptors here: ulimit -n")
    load = Load(room, mqtt=False)
    daemon = load.begin()  # with the limit it has everywhere
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, THOUSANDS + 1000), hard))
    room.also.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (before, hard))
    more = grown(daemon)
    flood: list[socket.socket] = []
    room.also.callback(_close, flood)
    ports = (load.astm_port, load.hl7_port, daemon.http)
    flood.extend(_half_connected(ports[number % 3]) for number in range(THOUSANDS))
    room.check(load.goes_on(20 * room.scale), "those who were there are not served any more")
    room.check(more() < ROOMY, f"grew by {more() / 1e6:.0f} MB")
    _close(flood)
    room.check(eventually(lambda: _answers(daemon, "/healthz"), 60), "/healthz does not come back")
    late = Analyser(load.astm_port, "LATE", 5)
    room.also.callback(late.stop)
    load.analysers.append(late)
    late.start()
    room.check(eventually(lambda: len(late.acknowledged) == 5, 60), "who comes after the flood is not served")
    return load.tally(daemon)


def drip(room: Room) -> Tally:
    """A byte at a time from many who never finish, on the instruments' port and the page's."""
    load = Load(room, mqtt=False)
    daemon = load.begin()
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    slow = [
        (_half_connected(port), said)
        for port, said in ((load.astm_port, ENQ + b"\x021H|"), (load.hl7_port, b"\x0bMSH|^~"), (daemon.http, request))
        for _ in range(30)
    ]
    room.also.callback(_close, [one for one, _ in slow])
    for at in range(20 * room.scale):
        for one, said in slow:
            with contextlib.suppress(OSError):
                one.setblocking(True)
                one.sendall(said[at : at + 1] or b"x")
        room.check(load.goes_on(2, 10), "good instruments wait for slow ones")
        if room.broken:
            break
    room.check(_answers(daemon, "/healthz"), "/healthz does not answer beside slow clients")
    return load.tally(daemon)


def flood(room: Room) -> Tally:
    """Results without waiting for an answer, more than a slow disk can flush: held back, not held in memory."""
    load = Load(room, hl7=0, mqtt=False)
    port = free_port()
    load.more = f'[[devices]]\nid = "{FLOOD}"\ndriver = "hl7"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    daemon = load.begin(obeying_disk=True)
    assert isinstance(daemon, OnFaultyDisk)
    more = grown(daemon)
    daemon.disk(slow=0.5)
    ended = threading.Event()
    pushers = [threading.Thread(target=_push, args=(port, n, ended), name=f"push{n}") for n in range(4)]
    for one in pushers:
        one.start()
    try:
        room.check(load.goes_on(4 * room.scale, 120), "the others are not served beside a flood")
        room.check(more() < ROOMY, f"grew by {more() / 1e6:.0f} MB")
    finally:
        ended.set()
        for one in pushers:
            one.join()
        daemon.disk()
    room.check(load.goes_on(), "does not recover from a flood")
    return load.tally(daemon)


def replugged(room: Room) -> Tally:
    """A serial adapter is pulled out in mid-frame and comes back under another name; its by-id link moves."""
    load = Load(room, astm=0, hl7=0, serial=0, mqtt=False)
    plugs = Replugged(room.folder / "by-id", "SERIAL0")
    room.also.callback(plugs.stop)
    load.serial, load.analysers = [plugs], [plugs]
    daemon = load.begin()
    for _ in range(3 * room.scale):
        plugs.replug()
        room.check(load.goes_on(5, 30), "the line is not taken up again")
    room.check(load.resent > 0, "no delivery was ever cut")
    return load.tally(daemon)


class Replugged(SerialAnalyser):
    """An analyser whose adapter can be pulled out and put in again; `tty` is a link that leads to it."""

    def __init__(self, link: Path, name: str) -> None:
        super().__init__(name, ENDLESS)
        self._link = link
        self._link.symlink_to(self.tty)
        self.tty = str(link)
        os.set_blocking(self._master, False)

    def replug(self) -> None:
        """Out, in the middle of a frame, and in again. Whoever holds our descriptors finds the new line behind them;
        a read that was about to begin finds nothing there, and must not wait for ever."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        name = os.ttyname(slave)
        with contextlib.suppress(OSError):
            os.write(self._master, ENQ + frames("HALF", "1")[0][:9])
        os.dup2(master, self._master)
        os.dup2(slave, self._slave)
        os.close(master)
        os.close(slave)
        new = self._link.with_suffix(".new")
        new.symlink_to(name)
        new.replace(self._link)


def _push(port: int, number: int, ended: threading.Event) -> None:
    """Send results as fast as they are taken, reading answers only so that nobody takes us for dead."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.setblocking(False)
        count, left = 0, b""
        while not ended.is_set():
            readable, writable, _ = select.select([sock], [sock], [], 0.2)
            if readable and not sock.recv(65536):
                return
            if writable:
                if not left:
                    count += 1
                    left = _result(f"F{number}-{count}")
                left = left[sock.send(left) :]


def _result(specimen: str) -> bytes:
    return (
        f"\x0bMSH|^~\\&|PUSH|LAB|LIS|LAB|20260115||ORU^R01|{specimen}|P|2.5.1\rOBR|1|{specimen}|{specimen}|CRP^CRP\r"
        f"OBX|1|NM|CRP^CRP||1.5|mg/L|||||F|||20260115093000\rNTE|1||{'x' * 4000}\r\x1c\r"
    ).encode()


def _half_connected(port: int) -> socket.socket:
    """A connection, or one on its way."""
    sock = socket.socket()
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect(("127.0.0.1", port))
    return sock


def _close(connections: list[socket.socket]) -> None:
    for one in connections:
        one.close()


def _answers(daemon: Daemon, path: str) -> bool:
    try:
        return daemon.get(path)[0] == 200
    except OSError:
        return False


def grown(daemon: Daemon) -> Callable[[], float]:
    """How much more memory the daemon holds than now, bytes."""
    assert daemon.process
    process = psutil.Process(daemon.process.pid)
    before = process.memory_info().rss
    return lambda: float(process.memory_info().rss - before)


def _rows() -> Iterator[Row]:
    yield Row("wire", "bytes lost", partial(spoilt, {"lose": 0.03}, {}), ("wire.no_checksum",))
    yield Row("wire", "bytes changed", partial(spoilt, {"change": 0.03}, {}), ("wire.no_checksum",))
    yield Row("wire", "frames sent twice", partial(spoilt, {"twice": 0.1}, {}, hl7=1), ("core.double", "core.alter"))
    split = partial(spoilt, {"split": 1.0}, {"split": 1.0}, hl7=1)
    yield Row("wire", "split into single bytes", split, ("wire.one_read_one_frame",))
    lost = partial(spoilt, {}, {"swallow": 0.05}, hl7=1, many=30)
    yield Row("wire", "acknowledgement lost after commit", lost, ("core.double",))
    reset = partial(spoilt, {"reset": 0.05}, {"reset": 0.05}, hl7=1)
    yield Row("wire", "connections reset", reset, ("core.double",))
    yield Row("wire", "half-open connections", half_open, ("wire.one_connection",))
    yield Row("wire", "10,000 connections", thousands, ("core.swallow",))
    yield Row("wire", "a slow drip", drip, ("wire.waits_for_the_rest",))
    yield Row("wire", "a flood without waiting for answers", flood, ("wire.no_pressure",))
    yield Row("wire", "unplugged, back under another name", replugged, ("wire.no_replug",))


ROWS: Final = tuple(_rows())
