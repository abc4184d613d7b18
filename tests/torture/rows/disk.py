"""A disk that fails under load: what cannot be kept is not acknowledged, and all goes on once the disk does."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from typing import Final

from gateway.journal.schema import FILE
from tests.system.daemon import eventually
from tests.torture.daemon import OnFaultyDisk
from tests.torture.disk import FULL, IOERR_FSYNC, IOERR_WRITE, READONLY
from tests.torture.load import Load
from tests.torture.row import Room, Row, Tally

TOO_EARLY: Final = ("core.acknowledge_first", "core.forget_what_failed")


def refuses(orders: dict[str, int], room: Room) -> Tally:
    """Nothing is acknowledged while it lasts; the page, the readings stored before, and /healthz stay."""
    load, daemon = _bench(room)
    for _ in range(room.scale):
        daemon.disk(**orders)
        room.check(load.stands_still(), "acknowledged what is not on the disk")
        room.check(daemon.get("/healthz")[0] == 200, "/healthz fails")
        status, said = daemon.get("/readyz")
        room.check(status == 503 and b"journal" in said, f"/readyz says {status} {said[:200]!r}")
        room.check(daemon.get("/api/v1/observations?limit=5")[0] == 200, "what is stored cannot be read")
        room.check(daemon.get("/")[0] == 200, "no page")
        daemon.disk()
        room.check(load.goes_on(), "does not resume by itself")
        room.check(eventually(lambda: daemon.get("/readyz")[0] == 200), "stays not ready")
    return load.tally(daemon)


def slow(room: Room) -> Tally:
    """Half a second a flush: everything is acknowledged in its time."""
    load, daemon = _bench(room)
    daemon.disk(slow=0.5)
    room.check(load.goes_on(4 * room.scale), "nothing is acknowledged any more")
    room.check(daemon.get("/healthz")[0] == 200, "/healthz fails")
    daemon.disk()
    room.check(load.goes_on(), "does not recover")
    return load.tally(daemon)


def held(room: Room) -> Tally:
    """A backup tool holds the journal: it delays, and loses nothing."""
    load, daemon = _bench(room)
    with closing(sqlite3.connect(daemon.data_dir / FILE, isolation_level=None)) as other:
        for _ in range(room.scale):
            other.execute("BEGIN IMMEDIATE")
            room.check(load.stands_still(), "acknowledged what cannot be written")
            room.check(daemon.get("/api/v1/observations?limit=5")[0] == 200, "what is stored cannot be read")
            other.execute("ROLLBACK")
            room.check(load.goes_on(), "does not go on")
    return load.tally(daemon)


def moved(room: Room) -> Tally:
    """Somebody moves the journal's file away: what is written now nobody would find. It comes back, and all goes on."""
    load, daemon = _bench(room)
    file = daemon.data_dir / FILE
    for _ in range(room.scale):
        file.rename(file.with_suffix(".away"))
        room.check(load.stands_still(), "acknowledged what is in no journal")
        status, said = daemon.get("/readyz")
        room.check(status == 503 and b"moved" in said, f"/readyz says {status} {said[:200]!r}")
        file.with_suffix(".away").rename(file)
        room.check(load.goes_on(), "does not go on")
    return load.tally(daemon)


def killed_at_every_boundary(room: Room) -> Tally:
    """Before and after a page is written, before and after it is flushed: the acknowledgement comes after all four."""
    chance = random.Random(20260115)
    load, daemon = _bench(room)
    for what in ("write", "sync"):
        for when in ("before", "after"):
            for _ in range(4 * room.scale):
                daemon.disk(kill=[what, chance.randint(1, 40), when])
                room.check(eventually(lambda: not daemon.alive, 60), "the kill never came")
                daemon.kill()
                daemon.disk()
                daemon.start()
                room.check(load.goes_on(2), "does not go on")
    room.check(load.resent > 0, "no kill ever hit a delivery")
    return load.tally(daemon)


def power(room: Room) -> Tally:
    """The power goes at any moment of a recorded run; unflushed sectors survive or not, at random."""
    words = [sys.executable, "-m", "tests.torture.power", str(room.folder), str(150 * room.scale), room.mutation]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=True)
    said = json.loads(done.stdout)
    promised, missing = said["promised"], said["missing"]
    return Tally(promised, promised, promised - missing, missing, 0, 0, tuple(said["broken"]))


def _bench(room: Room) -> tuple[Load, OnFaultyDisk]:
    load = Load(room, mqtt=False)
    daemon = load.begin(obeying_disk=True)
    assert isinstance(daemon, OnFaultyDisk)
    return load, daemon


ROWS: Final = (
    Row("disk", "full", partial(refuses, {"write": FULL}), TOO_EARLY),
    Row("disk", "read-only", partial(refuses, {"write": READONLY}), TOO_EARLY),
    Row("disk", "write error", partial(refuses, {"write": IOERR_WRITE}), TOO_EARLY),
    Row("disk", "flush error", partial(refuses, {"sync": IOERR_FSYNC}), TOO_EARLY),
    Row("disk", "500 ms a flush", slow, ("core.swallow",)),
    Row("disk", "held by another program", held, ("core.acknowledge_first",)),
    Row("disk", "journal moved while in use", moved, ("core.wherever_it_is",)),
    Row("disk", "kill -9 at every boundary of a commit", killed_at_every_boundary, ("core.acknowledge_first",)),
    Row("disk", "power cut at any moment", power, ("core.lazy",)),
)
