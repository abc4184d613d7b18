"""Bytes are lost, changed, doubled, cut and joined; connections die, come in thousands, drip and flood."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

import psutil

from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import ENQ, Analyser
from tests.torture.load import Load
from tests.torture.relay import Relay
from tests.torture.row import Room, Row, Tally

ROOMY: Final = 250e6  # bytes a daemon may grow by at most, under any flood
HEART: Final = ("core.acknowledge_first", "core.swallow", "core.double", "core.alter")


def spoilt(
    inward: Mapping[str, float],
    outward: Mapping[str, float],
    room: Room,
    *,
    astm: int = 2,
    hl7: int = 0,
    many: int = 60,
) -> Tally:
    """A wire that spoils what it carries; ASTM has a checksum for that, HL7 over TCP has not."""
    load = Load(room, astm=0, hl7=0, mqtt=False, serial=0)
    relays = [
        Relay(port, inward=inward, outward=outward, seed=seed)
        for seed, port in enumerate((load.astm_port, load.hl7_port))
    ]
    load = Load(
        room,
        astm=astm,
        hl7=hl7,
        mqtt=False,
        serial=0,
        ports=(relays[0].port, relays[1].port),
        listening=(load.astm_port, load.hl7_port),
    )
    daemon = room.daemon(load.config)
    for relay in relays:
        room.also.callback(relay.stop)
    daemon.start()
    load.start()
    room.check(load.goes_on(many * room.scale, 120), "nothing comes through any more")
    room.check(sum(relay.happened for relay in relays) > 3, "the faults never came")
    return load.tally(daemon)


def half_open(room: Room) -> Tally:
    """Instruments vanish without a word, again and again, and call anew: each new call is heard."""
    ports = free_port(), free_port()
    relay = Relay(ports[0])
    room.also.callback(relay.stop)
    load = Load(room, astm=2, hl7=0, mqtt=False, serial=0, ports=(relay.port, 0), listening=ports)
    daemon = room.daemon(load.config)
    daemon.start()
    load.start()
    for _ in range(2 * room.scale):
        assert load.goes_on()
        before = sum(one.resent for one in load.analysers)
        relay.black.set()
        vanished = eventually(lambda: sum(one.resent for one in load.analysers) >= before + 2, 30)  # noqa: B023
        room.check(vanished, "the fault never came")
        relay.forget()
        relay.black.clear()
    room.check(load.goes_on(), "who calls again is not heard")
    return load.tally(daemon)


def thousands(room: Room) -> Tally:
    """10,000 connections at once to an instrument's port and to the page's; those who were there go on."""
    wanted = 10_000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    mine = min(hard, wanted + 1000)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], mine), hard))
    room.also.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
    load = Load(room, mqtt=False)
    daemon = room.daemon(load.config)
    daemon.start()
    load.start()
    assert load.goes_on()
    grown = _grown(daemon)
    flood: list[socket.socket] = []
    room.also.callback(_close, flood)
    made = 0
    for number in range(wanted * room.scale):
        with contextlib.suppress(OSError):
            flood.append(_half_connected((load.astm_port, load.hl7_port, daemon.http)[number % 3]))
            made += 1
        if len(flood) > mine - 500:
            flood.pop(0).close()
    room.check(made > wanted // 2, f"only {made} connections could be made")
    room.check(load.goes_on(), "those who were there are not served any more")
    room.check(grown() < ROOMY, f"grew by {grown() / 1e6:.0f} MB")
    _close(flood)
    room.check(eventually(lambda: _answers(daemon, "/healthz"), 60), "/healthz does not come back")
    late = Analyser(load.astm_port, "LATE", 5)
    load.analysers.append(late)
    late.start()
    room.check(eventually(lambda: len(late.acknowledged) == 5, 60), "who comes after the flood is not served")
    return load.tally(daemon)


def drip(room: Room) -> Tally:
    """A byte at a time from many who never finish, on the instruments' port and the page's."""
    load = Load(room, mqtt=False)
    daemon = room.daemon(load.config)
    daemon.start()
    load.start()
    assert load.goes_on()
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
        assert load.goes_on(2), "good instruments wait for slow ones"
    room.check(_answers(daemon, "/healthz"), "/healthz does not answer beside slow clients")
    return load.tally(daemon)


def flood(room: Room) -> Tally:
    """Results without waiting for an answer, far more than a disk can flush: they are held back, not held in memory."""
    load = Load(room, mqtt=False)
    daemon = room.daemon(load.config)
    daemon.start()
    load.start()
    assert load.goes_on()
    grown = _grown(daemon)
    ended = threading.Event()
    pushers = [threading.Thread(target=_push, args=(load.hl7_port, n, ended), name=f"push{n}") for n in range(4)]
    for one in pushers:
        one.start()
    try:
        room.check(load.goes_on(40 * room.scale, 120), "the others are not served beside a flood")
        room.check(grown() < ROOMY, f"grew by {grown() / 1e6:.0f} MB")
    finally:
        ended.set()
        for one in pushers:
            one.join()
    room.check(eventually(lambda: load.goes_on(5), 60), "does not recover from a flood")
    return load.tally(daemon)


def _push(port: int, number: int, ended: threading.Event) -> None:
    """Send HL7 without reading answers, until the daemon does not take more; then read, and go on."""
    note = "x" * 2000
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
                    left = (
                        f"\x0bMSH|^~\\&|PUSH|LAB|LIS|LAB|20260115||ACK^R01|F{number}-{count}|P|2.5.1\r"
                        f"MSA|AA|{count}|{note}\r\x1c\r"
                    ).encode()
                left = left[sock.send(left) :]


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


def _grown(daemon: Daemon) -> Callable[[], float]:
    """How much more memory the daemon holds than now, bytes."""
    assert daemon.process
    process = psutil.Process(daemon.process.pid)
    before = process.memory_info().rss
    return lambda: float(process.memory_info().rss - before)


def _rows() -> Iterator[Row]:
    yield Row("wire", "bytes lost", partial(spoilt, {"lose": 0.03}, {}), ("wire.no_checksum",))
    yield Row("wire", "bytes changed", partial(spoilt, {"change": 0.03}, {}), ("wire.no_checksum",))
    yield Row("wire", "frames sent twice", partial(spoilt, {"twice": 0.1}, {}, hl7=1), HEART[2:])
    split = partial(spoilt, {"split": 0.5}, {"split": 0.5}, hl7=1)
    yield Row("wire", "split into single bytes", split, ("wire.one_read_one_frame",))
    lost = partial(spoilt, {}, {"swallow": 0.05}, hl7=1, many=30)
    yield Row("wire", "acknowledgement lost after commit", lost, HEART[2:3])
    reset = partial(spoilt, {"reset": 0.05}, {"reset": 0.05}, hl7=1)
    yield Row("wire", "connections reset", reset, HEART[2:3])
    yield Row("wire", "half-open connections", half_open, ("wire.one_connection",))
    yield Row("wire", "10,000 connections", thousands, HEART[1:2])
    yield Row("wire", "a slow drip", drip, ("wire.one_connection",))
    yield Row("wire", "a flood without waiting for answers", flood, ("wire.no_pressure",))


ROWS: Final = tuple(_rows())
