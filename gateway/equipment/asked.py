"""What a report is asked about: device, quantity, period, limits. Whoever asks wrongly is told what to write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from drivers.kit.durations import seconds
from gateway.equipment.excursions import MINUTE
from gateway.equipment.tally import SECOND, Limits
from gateway.moment import EPOCH, instant, microseconds
from gateway.reports import moment

if TYPE_CHECKING:
    from gateway.config import Config, Device

USUAL: Final = "7d"  # before the end, where no beginning is asked for
YEARS: Final = 10  # a report is about no more
MOST_LIMIT: Final = 1e9


class NotThereError(LookupError):
    """No such device, or it has no such quantity."""


class TooManyError(LookupError):
    """More samples than may be read where others wait."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was written, before it was looked at. `gap`: a duration; None: three usual times from sample to sample."""

    device: str
    quantity: str = "temperature"
    since: str | None = None
    until: str | None = None
    low: float | None = None
    high: float | None = None
    timezone: str | None = None
    gap: str | None = None


@dataclass(frozen=True, slots=True)
class AlarmLimit:
    """A limit an alarm watches."""

    alarm: str
    title: str
    low: float | None
    high: float | None
    lasting: float  # seconds it must be out of range before the alarm


@dataclass(frozen=True, slots=True)
class Period:
    """Microseconds since 1970, the end not included."""

    since: int
    until: int
    zone: ZoneInfo


def device(config: Config, name: str) -> Device | None:
    return next((one for one in config.devices if one.id == name), None)


def period(asked: Asked, usual_zone: str, now: datetime | None = None) -> Period:
    """Times without a zone are meant in the report's. What has not come yet is not reported. Errors: LookupError."""
    zone = _zone(asked.timezone or usual_zone)
    now = now or datetime.now(UTC)
    try:
        until = _moment(asked.until, zone, now) if asked.until else microseconds(now)
        until = min(until, microseconds(now))
        since = _moment(asked.since, zone, now) if asked.since else moment(USUAL, instant(until * 1000))
    except (OverflowError, ValueError):
        raise LookupError("a time is too far away. Write one of this century.") from None
    if since >= until:
        raise LookupError("the period is empty: since is not before until, or not over yet. Write an earlier since.")
    if until - since > YEARS * 366 * 24 * 60 * MINUTE or since < 0:
        raise LookupError(f"a report is about {YEARS} years at most. Write a later since.")
    return Period(since, until, zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LookupError(f"no time zone is called {name!r}. Write one like Asia/Karachi.") from None


def _moment(text: str, zone: ZoneInfo, now: datetime) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return moment(text, now)
    return microseconds((at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC))


def limits(config: Config, asked: Asked) -> tuple[Limits, list[AlarmLimit]]:
    """Those asked for, or the narrowest of the configured alarms, which are listed. Errors: LookupError."""
    watched = [] if asked.low is not None or asked.high is not None else _watched(config, asked)
    if watched:
        low = max((one.low for one in watched if one.low is not None), default=None)
        high = min((one.high for one in watched if one.high is not None), default=None)
    else:
        low, high = asked.low, asked.high
    for limit in (low, high):
        if limit is not None and not abs(limit) <= MOST_LIMIT:
            raise LookupError(f"{limit} is no limit. Write a number.")
    if low is not None and high is not None and low > high:
        raise LookupError(f"the low limit {low:g} is above the high one {high:g}. Write --low and --high.")
    return Limits(low, high), watched


def _watched(config: Config, asked: Asked) -> list[AlarmLimit]:
    """Limits of the values themselves: not of what is made of them over a window."""
    found = []
    for alarm in config.alarms:
        when = alarm.when
        here = fnmatchcase(asked.device, when.device) and fnmatchcase(asked.quantity, when.quantity)
        of_values = when.gateway is None and when.statistic is None
        if here and of_values and (when.above is not None or when.below is not None):
            lasting = when.delay if when.out_for is None else when.out_for
            found.append(AlarmLimit(alarm.id, alarm.title or alarm.id, when.below, when.above, lasting))
    return found


def edges(asked: Period) -> list[int]:
    """Where the rows of the report's table begin, and its end: hours, days or months on the wall's clock."""
    days = (asked.until - asked.since) / (24 * 60 * MINUTE)
    unit = "hour" if days <= 2 else "day" if days <= 92 else "month"
    found = [asked.since]
    at = instant(asked.since * 1000).astimezone(asked.zone)
    while True:
        at = _next(at, unit)
        edge = microseconds(at.astimezone(UTC))
        if edge >= asked.until:
            return [*found, asked.until]
        if edge > found[-1]:
            found.append(edge)


def _next(at: datetime, unit: str) -> datetime:
    """The beginning of the next hour, day or month. Hours are counted in UTC: the clocks may change between two."""
    if unit == "hour":
        whole = at.replace(minute=0, second=0, microsecond=0)
        return (whole.astimezone(UTC) + timedelta(hours=1)).astimezone(at.tzinfo)
    midnight = datetime(at.year, at.month, at.day, tzinfo=at.tzinfo)
    if unit == "day":
        return midnight + timedelta(days=1)
    return midnight.replace(day=1, month=at.month % 12 + 1, year=at.year + at.month // 12)


def gap(asked: Asked, usual: int | None) -> int:
    """Microseconds after which nothing is known any more. Errors: LookupError."""
    if asked.gap is None:
        return 3 * usual if usual else 0
    try:
        given = int(seconds(asked.gap) * SECOND)
    except ValueError as error:
        raise LookupError(f"gap: {error}") from None
    if not given:
        raise LookupError("a gap is longer than nothing. Write a duration such as 15m.")
    return given


def at(micros: int) -> datetime:
    """In UTC."""
    return EPOCH + timedelta(microseconds=micros)
