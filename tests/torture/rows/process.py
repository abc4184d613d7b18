"""The process is killed, and stopped, under load."""

from __future__ import annotations

import random
import signal
import time
from typing import Final

from tests.torture.load import Load
from tests.torture.row import Room, Row, Tally


def kill(room: Room) -> Tally:
    """kill -9 at random moments, on every kind of link, with a store behind."""
    chance = random.Random(20260117)
    load = Load(room, store=True)
    daemon = load.begin()
    for _ in range(10 * room.scale):
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


ROWS: Final = (
    Row("process", "kill -9 at random moments", kill, ("core.swallow", "core.double", "core.alter")),
    Row("process", "SIGTERM under load", terminate, ("core.swallow",)),
)
