"""When something was measured: the instrument's clock, its zone, and what to think of both. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from drivers.kit.observation import Draft
from drivers.kit.values import TimeOrder, device_time

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST: Final = datetime(2015, 1, 1, tzinfo=UTC)  # a clock of ours that says less has never been set
OLDEST: Final = datetime(2005, 1, 1, tzinfo=UTC)  # of an instrument's: old results are exported, too
DAY: Final = 86_400.0  # seconds
MOST_WAIT: Final = timedelta(days=30)  # between a measurement and its message, believed of a clock that is wrong
MOST_AGE: Final = 10 * 366 * 86_400.0  # seconds
MICROSECOND: Final = timedelta(microseconds=1)
UNSET = "the gateway's clock was not set"
CHANGED = "local time happens twice or never: the clocks changed"


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of an instrument's clock."""

    zone: tzinfo
    order: TimeOrder | None  # of day, month and year, where it must be declared
    limit: float  # seconds it may be ahead


@dataclass(frozen=True, slots=True)
class Moment:
    """The best knowledge of when, in UTC.

    `doubt` makes the observation uncertain; `note` is only said. `offset` are the seconds the instrument's clock
    was found to be ahead (behind where negative), where that is more than it may be.
    """

    at: datetime
    doubt: str = ""
    note: str = ""
    day_only: bool = False
    offset: int | None = None


def instant(nanoseconds: int) -> datetime:
    """Unix nanoseconds in UTC, to the microsecond."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def microseconds(moment: datetime) -> int:
    """Unix microseconds."""
    return (moment - EPOCH) // MICROSECOND


@lru_cache(maxsize=512)
def rfc3339(moment: datetime) -> str:
    """UTC with as many digits of a second as there are."""
    text = moment.replace(microsecond=0, tzinfo=None).isoformat()
    if moment.microsecond:
        text += f".{moment.microsecond:06d}".rstrip("0")
    return text + "Z"


def offset(draft: Draft, received: datetime, clock: Clock) -> float | None:
    """Seconds the instrument's clock was ahead when it sent this, by what it said of the present; None where it
    said nothing of use. A message that waited on its way makes the clock look behind by so much."""
    now = _read(draft.now, clock) if draft.now else None
    if now is None or now.day_only or received < EARLIEST:
        return None
    return (now.at - received).total_seconds()


def best(draft: Draft, received: datetime, clock: Clock) -> Moment:
    """When it was measured: by the instrument's clock where that can be, else by how long before it was sent, else
    when it was received.

    A time before 2005 (of a clock that is not right now), more than a day ahead, or ahead by more than the device's
    `clock_limit` is not believed. One with only a date is not midnight: the date stands in `device_time`. Whatever came
    before our own clock was set is in doubt.
    """
    moment = _best(draft, received, clock)
    if received >= EARLIEST:
        return moment
    return replace(moment, doubt="; ".join(filter(None, (moment.doubt, UNSET))))


def _best(draft: Draft, received: datetime, clock: Clock) -> Moment:
    if draft.device_time is None:
        if draft.age is not None and 0 <= draft.age < MOST_AGE:
            return Moment(received - timedelta(seconds=draft.age))
        return Moment(received)
    clock = _zoned(draft.now, clock)
    said = _read(draft.device_time, clock)
    if said is None:
        return Moment(received, doubt=f"time not understood: {draft.device_time[:40]}")
    off = offset(draft, received, clock)
    ahead = max((said.at - received).total_seconds(), float("-inf") if off is None else off)
    set_right = off is not None and abs(off) <= DAY
    if (said.at < OLDEST and not set_right) or (ahead > DAY and received >= EARLIEST):
        at = _by_age(said, off, received)
        return Moment(at, f"device clock impossible: {draft.device_time[:40]}", day_only=said.day_only)
    if said.day_only:
        return Moment(received, day_only=True)
    if received < EARLIEST:
        return said
    if ahead > clock.limit:
        return Moment(_by_age(said, off, received), f"device clock ahead by {round(ahead)} s", offset=round(ahead))
    if off is not None and off < -clock.limit:
        note = f"device clock behind by {round(-off)} s, or the message waited so long"
        return Moment(said.at, note="; ".join(filter(None, (said.note, note))), offset=round(off))
    return said


@lru_cache(maxsize=512)
def _zoned(now: str | None, clock: Clock) -> Clock:
    """A message that says its zone with its own time says it for every time in it (HL7 2.5.1, MSH-7). "-00:00" says
    that it is not known (RFC 3339, 4.3)."""
    read = device_time(now, clock.order) if now and not now.endswith(("-00:00", "-0000")) else None
    zone = read.local.tzinfo if read else None
    return clock if zone is None else replace(clock, zone=zone)


def _by_age(said: Moment, off: float | None, received: datetime) -> datetime:
    """How long before it was sent, by a clock that is wrong but runs; else when it was received."""
    if off is None or said.day_only:
        return received
    at = said.at - timedelta(seconds=off)
    return at if timedelta() <= received - at <= MOST_WAIT else received


@lru_cache(maxsize=512)
def _read(text: str, clock: Clock) -> Moment | None:
    """A device time in UTC; None where it is none. Results of one message share theirs."""
    read = device_time(text, clock.order)
    if read is None:
        at = _unix(text)
        return Moment(at) if at else None
    note = read.note
    local = read.local
    try:
        if local.tzinfo is None:
            local = local.replace(tzinfo=clock.zone)
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                note = "; ".join(filter(None, (note, CHANGED)))
        return Moment(local.astimezone(UTC), note=note, day_only=read.precision == "day")
    except (OverflowError, ValueError):
        return None  # the first or the last day of the calendar


def _unix(text: str) -> datetime | None:
    """Unix seconds with their fraction, as drivers give them where the protocol says so: "unix:1700000000"."""
    if not text.startswith("unix:"):
        return None
    try:
        return datetime.fromtimestamp(float(text[5:]), UTC)
    except (ValueError, OverflowError, OSError):
        return None
