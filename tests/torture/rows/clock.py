"""The wall clock leaps, ours or an instrument's; what was said of the time is what can be known of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.moment import CHANGED, UNSET
from tests.system.daemon import Daemon, eventually, free_port
from tests.system.peers import START, HL7Sender
from tests.torture.daemon import OnWrongClock
from tests.torture.load import ENDLESS, Load
from tests.torture.row import Room, Row, Tally
from tests.torture.store import ScriptedStore

HOUR: Final = 3600.0
YEARS: Final = 20 * 366 * 24 * HOUR
KEEP: Final = '[journal]\nkeep = "30d"\n'


def steps(room: Room) -> Tally:
    """Forward and back by hours: served all the while, in order, and the store has everything once."""
    load, daemon = _begin(room, store=ScriptedStore())
    within = 10.0 if room.mutation else 60.0
    for hours in (5.0, 0.0, -5.0, -30.0, 0.0) * room.scale:
        daemon.clock(ahead=hours * HOUR)
        room.check(load.goes_on(30), "a step of the clock holds instruments up")
        there = len(load.in_store())
        room.check(eventually(lambda: len(load.in_store()) > there + 10, within), "a step holds the store up")  # noqa: B023
    tally = load.tally(daemon)
    rows = daemon.export()
    received = [_moment(row["received"]) for row in rows]
    room.check(max(received) - min(received) > timedelta(hours=30), "the clock never stepped")
    for device in {row["device"] for row in rows}:
        names = [
            row["attributes"]["n"] if device == "freezer" else row["specimen"]
            for row in rows
            if row["device"] == device
        ]
        firsts = [name for name in names if str(name)[:2] == str(names[0])[:2]] if device != "freezer" else names
        room.check(firsts == sorted(firsts), f"{device} is not in order")
    return tally.noting(room.broken)


def years_ahead(room: Room) -> Tally:
    """A leap of years makes nothing old, after a restart neither; put right, all is as before."""
    load, daemon = _begin(room, more=KEEP)
    within = 10.0 if room.mutation else 60.0
    for _ in range(room.scale):
        daemon.clock(ahead=YEARS)
        room.check(eventually(lambda: _not_ready(daemon, "retention"), within), "the leap is not shown")
        room.check(load.goes_on(), "a leap holds instruments up")
        daemon.kill()
        daemon.start()
        room.check(eventually(lambda: _not_ready(daemon, "retention"), within), "the leap is forgotten at a restart")
        room.check(load.goes_on(), "a leap holds instruments up")
        daemon.clock()
        room.check(eventually(lambda: daemon.get("/readyz")[0] == 200, within), "put right, it is not believed")
        room.check(load.goes_on(), "does not go on")
    return load.tally(daemon)


def before_ntp(room: Room) -> Tally:
    """Started in 1970, with the backlog of a store that was away; then the network tells the time."""
    store = ScriptedStore()
    load = Load(room, store=store)
    load.more = KEEP
    daemon = load.begin(obeying_clock=True, store=False)
    assert isinstance(daemon, OnWrongClock)
    daemon.kill()
    daemon.clock(datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC))
    daemon.start()
    store.start()
    room.check(load.goes_on(60 * room.scale), "nobody is served before the time is known")
    room.check(eventually(lambda: len(load.in_store()) > 60, 30), "the store gets nothing before the time is known")
    daemon.clock()
    room.check(load.goes_on(), "the first true time holds instruments up")
    tally = load.tally(daemon)
    _check_unset(room, daemon)
    return tally.noting(room.broken)


def epochs(room: Room) -> Tally:
    """1970, and over the end of 32 bits in 2038."""
    load, daemon = _begin(room)
    last = datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)
    for _ in range(room.scale):
        daemon.clock(datetime(1970, 1, 1, tzinfo=UTC))
        room.check(load.goes_on(), "nobody is served in 1970")
        for second in (-1, 1):
            daemon.clock(last + timedelta(seconds=second))
            room.check(load.goes_on(), "nobody is served in 2038")
        daemon.clock()
        room.check(load.goes_on(), "does not go on")
    tally = load.tally(daemon)
    room.check(any(_moment(row["received"]) > last for row in daemon.export()), "2038 is not what it was called")
    _check_unset(room, daemon)
    return tally.noting(room.broken)


def devices_clock(room: Room) -> Tally:
    """An instrument's clock leaps with every result: what cannot be is not believed, and said."""
    now = datetime.now(UTC).replace(microsecond=0)
    leaps = ((0, ""), (10 * 366 * 24, "impossible"), (-57 * 365 * 24, "impossible"), (3, "ahead by"), (-3, "behind by"))
    told = [f"{now + timedelta(hours=hours):%Y%m%d%H%M%S}" for hours, _ in leaps]
    load, daemon = _begin(room, told=told)
    room.check(eventually(lambda: len(load.senders[-1].acknowledged) > 50 * room.scale), "nothing is acknowledged")
    tally = load.tally(daemon)
    for row in _of(daemon, "told"):
        hours, why = leaps[_number(row) % len(leaps)]
        said = str(row["attributes"].get("quality_reason", ""))
        room.check(why in said and bool(why) == bool(said), f"{hours} hours: {said!r}")
        expected = "good" if hours in (0, -3) else "uncertain"
        room.check(row["quality"] == expected, f"{hours} hours: quality {row['quality']}")
        late = _moment(row["received"]) - _moment(row["time"])
        room.check(abs(late - timedelta(hours=3 * (hours == -3))) < timedelta(minutes=2), f"{hours} hours: {late} late")
    return tally.noting(room.broken)


def summer_time(room: Room) -> Tally:
    """The night the clocks are put back: local times that come twice or never are marked, others are not."""
    told = ["20261025023000", "20260329023000", "20261025013000"]  # twice, never, once in Berlin
    load, daemon = _begin(room, told=told)
    for _ in range(room.scale):
        daemon.clock(datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC))
        room.check(load.goes_on(60), "a change of clocks holds instruments up")
    room.check(eventually(lambda: len(load.senders[-1].acknowledged) > 30), "nothing is acknowledged")
    tally = load.tally(daemon)
    for row in _of(daemon, "told"):
        which = _number(row) % len(told)
        marked = CHANGED in str(row["attributes"].get("quality_reason", ""))
        room.check(marked == (which < 2), f"{told[which]} is{'' if marked else ' not'} marked")
        if which != 1:
            expected = ("2026-10-25T00:30:00Z", "", "2026-10-24T23:30:00Z")[which]
            room.check(row["time"] == expected, f"{told[which]} in Berlin is {row['time']}")
    return tally.noting(room.broken)


class Telling(HL7Sender):
    """Tells these times, one after the other, as its own."""

    def __init__(self, port: int, told: list[str]) -> None:
        super().__init__(port, "T0", ENDLESS)
        self._told = told

    def _message(self, number: int, specimen: str, value: str) -> list[bytes]:
        control_id, payload = super()._message(number, specimen, value)
        honest = f"{START + timedelta(seconds=number):%Y%m%d%H%M%S}"
        return [control_id, payload.replace(honest.encode(), self._told[number % len(self._told)].encode())]


def _begin(
    room: Room, *, store: ScriptedStore | bool = False, more: str = "", told: list[str] | None = None
) -> tuple[Load, OnWrongClock]:
    load = Load(room, store=store)
    load.more = more
    if told:
        port = free_port()
        load.more += (
            f'[[devices]]\nid = "told"\ndriver = "hl7"\nlink = {{ type = "tcp-listen", port = {port} }}\n'
            f'timezone = "{"Europe/Berlin" if len(told) == 3 else "UTC"}"\n'
        )
        load.senders.append(Telling(port, told))
        room.also.callback(load.senders[-1].stop)
    daemon = load.begin(obeying_clock=True)
    assert isinstance(daemon, OnWrongClock)
    return load, daemon


def _check_unset(room: Room, daemon: Daemon) -> None:
    """What came in 1970 says that it did not, and nothing else does."""
    rows = daemon.export()
    early = [row for row in rows if row["received"].startswith("1970")]
    room.check(bool(early), "the clock never was in 1970")
    marked = [row for row in rows if UNSET in str(row["attributes"].get("quality_reason", ""))]
    room.check(
        early == marked and all(row["quality"] != "good" for row in early), f"{len(marked)} of {len(early)} are marked"
    )


def _not_ready(daemon: Daemon, part: str) -> bool:
    status, said = daemon.get("/readyz")
    return status == 503 and f'"{part}"'.encode() in said


def _of(daemon: Daemon, device: str) -> list[dict[str, Any]]:
    return [row for row in daemon.export() if row["device"] == device]


def _number(row: dict[str, Any]) -> int:
    return int(row["specimen"].partition("-")[2])


_moment: Final[Callable[[str], datetime]] = datetime.fromisoformat

ROWS: Final = (
    Row("clock", "steps by hours, forward and back", steps, ("clock.timers_by_the_wall", "clock.order_by_time")),
    Row("clock", "years ahead", years_ahead, ("clock.believed_at_once",)),
    Row("clock", "started before the network told the time", before_ntp, ("clock.never_unset", "clock.too_far_ahead")),
    Row("clock", "1970 and 2038", epochs, ("clock.thirty_two_bits", "clock.never_unset")),
    Row("clock", "an instrument's clock leaps", devices_clock, ("clock.instruments_are_right",)),
    Row("clock", "the night the clocks change", summer_time, ("clock.no_summer_time",)),
)
