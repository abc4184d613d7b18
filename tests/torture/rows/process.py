"""The process is killed, and stopped, under load."""

from __future__ import annotations

import configparser
import contextlib
import random
import resource
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Final

import psutil

from tests.system.daemon import Daemon, eventually, free_port
from tests.torture.load import FLOOD, Load
from tests.torture.row import Room, Row, Tally


def kill(room: Room) -> Tally:
    """kill -9 at random moments, on every kind of link, with a store behind."""
    chance = random.Random(20260117)
    load = Load(room, store=True)
    daemon = load.begin()
    for _ in range(25 * room.scale):
        time.sleep(chance.uniform(0.05, 0.6))
        daemon.kill()
        daemon.start()
    room.check(load.resent > 0, "no kill ever hit a delivery")
    return load.tally(daemon)


def terminate(room: Room) -> Tally:
    """SIGTERM under load: a clean stop with status 0, in time, and nothing acknowledged is left behind."""
    chance = random.Random(20260118)
    load = Load(room, store=True)
    daemon = load.begin()
    for _ in range(5 * room.scale):
        time.sleep(chance.uniform(0.3, 1.0))
        status = daemon.kill(signal.SIGTERM)
        room.check(status == 0, f"SIGTERM ends it with {status}")
        daemon.start()
    return load.tally(daemon)


def frozen(room: Room) -> Tally:
    """SIGSTOP for longer than instruments wait for an answer: they hang up, call again, and are heard afterwards."""
    load = Load(room, store=True)
    daemon = load.begin()
    for _ in range(room.scale):
        before = load.resent
        _signal(daemon, signal.SIGSTOP)
        room.check(eventually(lambda: load.resent >= before + 8), "nobody gave up waiting")  # noqa: B023
        _signal(daemon, signal.SIGCONT)
        room.check(load.goes_on(), "does not go on")
    return load.tally(daemon)


def out_of_memory(room: Room) -> Tally:
    """Every request for memory is refused: it goes on when there is some, or ends and is started anew."""
    load = Load(room)
    port = free_port()
    load.more = f'[[devices]]\nid = "{FLOOD}"\ndriver = "hl7"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
    daemon = load.begin()
    for _ in range(3 * room.scale):
        assert daemon.process
        process = psutil.Process(daemon.process.pid)
        process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms + 100_000, resource.RLIM_INFINITY))
        said = len(daemon.log)
        hungry = threading.Thread(target=_want, args=(port,), name="hungry")
        hungry.start()
        room.check(eventually(lambda: not daemon.alive or _speaks_of_memory(daemon.log[said:])), "memory sufficed")  # noqa: B023
        hungry.join()
        if daemon.alive:
            process.rlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            daemon.kill()
            daemon.start()
        room.check(load.goes_on(), "neither goes on nor ends")
    return load.tally(daemon)


def crash_loop(room: Room) -> Tally:
    """It dies while it starts, time and again, and is started as configs/assaygate.service has it."""
    unit = configparser.ConfigParser(strict=False)
    unit.read(Path(__file__).parents[3] / "configs" / "assaygate.service")
    room.check(unit["Service"]["Restart"] == "always", "systemd does not start it again")
    room.check(unit["Unit"].get("StartLimitIntervalSec") == "0", "systemd gives up after a few crashes")
    chance = random.Random(20260120)
    load = Load(room, store=True)
    daemon = load.begin()
    for _ in range(8 * room.scale):
        daemon.kill(signal.SIGABRT)
        daemon.begin()
        time.sleep(chance.uniform(0, 1.0))
    daemon.kill()
    daemon.start()
    room.check(load.goes_on(), "does not go on")
    return load.tally(daemon)


def _signal(daemon: Daemon, number: int) -> None:
    assert daemon.process
    daemon.process.send_signal(number)


def _speaks_of_memory(lines: list[str]) -> bool:
    return any("MemoryError" in line or "out of memory" in line for line in lines)


def _want(port: int) -> None:
    """Messages of some megabytes, without an end."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
        for _ in range(50):
            sock.sendall(b"\x0bMSH|" + b"x" * 1_000_000)


ROWS: Final = (
    Row("process", "kill -9 at random moments", kill, ("core.swallow", "core.double", "core.alter")),
    Row("process", "SIGTERM under load", terminate, ("core.swallow",)),
    Row("process", "frozen, then awake", frozen, ("core.double",)),
    Row("process", "out of memory", out_of_memory, ("core.swallow",)),
    Row("process", "crash loop", crash_loop, ("core.acknowledge_first",)),
)
