"""The store is away, dies, refuses, is slow or talks nonsense; instruments are served, and it has all in the end."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import partial
from typing import Final

from tests.system.daemon import eventually
from tests.torture.load import Load
from tests.torture.row import Room, Row, Tally
from tests.torture.store import Fault, ScriptedStore, Writing

SENT_IS_STORED: Final = ("store.sent_is_stored",)
AT_ANOTHER_TIME: Final = ("store.another_time",)
POISON: Final = 40  # of the journal's positions one in so many


class Poisoned:
    """The positions the store will not have."""

    def __contains__(self, seq: object) -> bool:
        return isinstance(seq, int) and seq % POISON == 0


def away(room: Room) -> Tally:
    """Down for the whole load, then there."""
    load = Load(room, store=True)
    daemon = load.begin(store=False)
    room.check(load.goes_on(100 * room.scale), "instruments are not served while the store is away")
    room.check(eventually(lambda: any("sink waits" in line for line in daemon.log)), "the store was not missed")
    load.stop()
    assert load.store
    load.store.start()
    return load.tally(daemon)


def killed(room: Room) -> Tally:
    """Killed at random moments, right after it acknowledged too: what it had not flushed is gone."""
    chance = random.Random(20260119)
    load = Load(room, store=True)
    daemon = load.begin()
    store = load.store
    assert store and not isinstance(store, ScriptedStore)
    for _ in range(6 * room.scale):
        time.sleep(chance.uniform(0.3, 1.0))
        store.kill()
        time.sleep(chance.uniform(0, 0.2))
        store.start()
        room.check(load.goes_on(2), "instruments wait for the store")
    return load.tally(daemon)


def answers(fault: Fault, room: Room, *, times: int = 3) -> Tally:
    """A store that answers badly for a while."""
    store = ScriptedStore()
    load = Load(room, store=store)
    daemon = load.begin()
    room.check(eventually(lambda: len(load.in_store()) > 10, 60), "the store gets nothing")
    store.fault = fault
    room.check(eventually(lambda: store.faults >= times * room.scale, 90), "the fault never came")
    room.check(load.goes_on(), "instruments wait for the store")
    store.fault = None
    return load.tally(daemon)


def poison(room: Room) -> Tally:
    """Some points are refused for good: they are listed, with why, and hold nobody up."""
    store = ScriptedStore()
    store.fault = _poisoned
    load = Load(room, store=store)
    load.refused = Poisoned()
    daemon = load.begin()
    room.check(load.goes_on(100 * room.scale), "instruments wait for the store")
    tally = load.tally(daemon)
    due = {row["seq"] for row in daemon.export() if row["seq"] in load.refused}
    said = daemon.command("sinks", "refused", "store").stdout.splitlines()
    listed = {int(line.split()[0]): line for line in said}
    room.check(listed.keys() == due, f"listed as refused are {sorted(listed)}, not {sorted(due)}")
    room.check(bool(listed) and all("field type conflict" in why for why in listed.values()), "not said why")
    return tally.noting(room.broken)


def _poisoned(writing: Writing) -> None:
    if any(int(line.partition("seq=")[2].partition("i")[0]) in Poisoned() for line in writing.lines):
        writing.say(400, '{"code": "invalid", "message": "partial write: field type conflict"}')


def _partial(writing: Writing) -> None:
    """Every other point is kept, and the batch is said to have failed."""
    writing.keep(writing.lines[::2])
    writing.say(500, '{"error": "partial write"}')


def _cut(writing: Writing) -> None:
    """Written, and the answer breaks off."""
    writing.keep()
    writing.hang_up(b"HTTP/1.1 204 No Cont")


def _busy(writing: Writing) -> None:
    """Retry-After in seconds, or as a date."""
    later = formatdate(time.time() + 1, usegmt=True)
    writing.say(429, "", Retry_After="1" if len(writing.lines) % 2 else later)


def _slow(writing: Writing) -> None:
    """Written, and said later than we wait."""
    writing.keep()
    writing.wait(6)


def _large(writing: Writing) -> None:
    if len(writing.lines) > 2:
        writing.say(413, "too large")


def _wrong_clock(writing: Writing) -> None:
    writing.store.ahead = random.Random(len(writing.lines)).choice((-1e9, 1e9, 0.0))


def _nonsense(writing: Writing) -> None:
    """Nothing at all, another protocol, a way elsewhere, a page that says "fine"."""
    kind = writing.store.faults % 4
    if kind == 0:
        writing.hang_up()
    elif kind == 1:
        writing.hang_up(b"\x00\xff SSH-2.0 hello\r\n\r\n")
    elif kind == 2:
        writing.say(503, "", Retry_After="soon")
    else:
        writing.say(200, "<html>Please sign in</html>")


def _rows() -> Iterator[Row]:
    yield Row("store", "down for the whole load", away, ("store.gives_up",))
    yield Row("store", "killed after acknowledging", killed, ("store.never_back",))
    for name, fault, times, mutations in (
        ("401, then right", lambda w: w.say(401, '{"code": "unauthorized"}'), 1, SENT_IS_STORED),
        ("404, then there", lambda w: w.say(404, '{"error": "database not found"}'), 1, SENT_IS_STORED),
        ("413", _large, 3, ("store.refused_is_over",)),
        ("429 with Retry-After", _busy, 3, SENT_IS_STORED),
        ("500", lambda w: w.say(500, "internal error"), 3, SENT_IS_STORED),
        ("nonsense for an answer", _nonsense, 4, SENT_IS_STORED),
        ("partial writes", _partial, 3, (*SENT_IS_STORED, *AT_ANOTHER_TIME)),
        ("response cut off after writing", _cut, 3, AT_ANOTHER_TIME),
        ("slower than we wait", _slow, 1, AT_ANOTHER_TIME),
    ):
        yield Row("store", name, partial(answers, fault, times=times), mutations)
    yield Row("store", "a clock years off", partial(answers, _wrong_clock), ("core.swallow",))
    yield Row("store", "poison points among the good", poison, ("store.refused_is_over", "store.one_spoils_all"))


ROWS: Final = tuple(_rows())
