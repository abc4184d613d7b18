"""What `[[notifiers]]`, `[alarm_test]` and `[[heartbeats]]` tables may say."""

from __future__ import annotations

import difflib
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from drivers.kit.durations import Duration
from gateway.secrets import SecretRef

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Grave = Literal["critical", "high", "medium", "low"]


def _zone(name: str) -> str:
    if name not in available_timezones():
        near = difflib.get_close_matches(name, available_timezones(), 1, 0.5)
        raise ValueError(f"no time zone is called {name!r}. {f'Did you mean {near[0]!r}?' if near else ''}".strip())
    return name


def _clock(given: Any) -> time:
    try:
        return given if isinstance(given, time) else datetime.strptime(given, "%H:%M").time()  # noqa: DTZ007 - no date
    except (TypeError, ValueError):
        raise ValueError(f'{given!r} is no time of day. Write "22:00".') from None


def _day(given: Any) -> str:
    day = str(given).strip().lower()[:3]
    if day not in DAYS:
        raise ValueError(f"{given!r} is no day of the week. Write one of {', '.join(DAYS)}.")
    return day


Zone = Annotated[str, AfterValidator(_zone)]
ClockTime = Annotated[
    time, BeforeValidator(_clock), WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d{2}$"}, mode="validation")
]
Day = Annotated[str, BeforeValidator(_day)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Hours(Strict):
    """Hours of the day on a wall clock, over midnight where `until` is not later than `from`."""

    start: ClockTime = Field(alias="from")
    until: ClockTime
    timezone: Zone
    days: tuple[Day, ...] = Field((), description="on which they begin: mon to sun; every day where left out")

    def covers(self, now: float) -> bool:
        """Whether `now` (unix seconds) lies in them; an hour that a clock change repeats lies in them twice."""
        local = datetime.fromtimestamp(now, ZoneInfo(self.timezone))
        at, begun = local.time(), local.weekday()
        if self.start < self.until:
            inside = self.start <= at < self.until
        else:
            inside = at >= self.start or at < self.until
            begun = begun if at >= self.start else (begun - 1) % 7
        return inside and (not self.days or DAYS[begun] in self.days)


class Quiet(Hours):
    """Hours in which somebody is told nothing, but for the gravest."""

    exempt: tuple[Grave, ...] = Field(
        ("critical",), alias="except", description="priorities that are told all the same"
    )

    @model_validator(mode="after")
    def _part_of_a_day(self) -> Quiet:
        if self.start == self.until and not self.days:
            raise ValueError("covers every hour: nobody would ever be told. Make from and until differ.")
        return self


# What a notifier's type needs, and what else it takes.
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "apprise": ("urls",),
    "log": (),
    "mqtt": ("broker", "topic"),
    "sounder": ("command",),
    "webhook": ("url",),
}
TAKES: Final[dict[str, tuple[str, ...]]] = {
    "mqtt": ("retain",),
    "sounder": ("repeat", "limit"),
    "webhook": ("secret",),
}
_EXAMPLES: Final = {
    "urls": '[{ env = "ONCALL_URL" }]',
    "broker": '"bench"',
    "topic": '"lab/alarms"',
    "command": '["aplay", "/usr/share/sounds/alarm.wav"]',
    "url": '{ env = "WEBHOOK_URL" }',
}
LOCAL: Final = frozenset({"log", "mqtt", "sounder"})  # need no Internet


class NotifierOptions(Strict):
    """Who is told, and how: through apprise's addresses (https://github.com/caronc/apprise/wiki), in the log, by an
    MQTT message, a local sounder or a signed HTTP request."""

    id: Id
    type: Literal["apprise", "log", "mqtt", "sounder", "webhook"] = "apprise"
    urls: tuple[SecretRef, ...] = Field((), description="apprise: addresses")
    broker: str = Field("", description="mqtt: one of the [[brokers]]")
    topic: str = Field("", max_length=1000, pattern=r"^[^+#\x00-\x1f]*$", description="mqtt: where messages go")
    retain: bool = Field(False, description="mqtt: the broker keeps the last one")
    command: tuple[str, ...] = Field((), description="sounder: a program and its words; no shell")
    repeat: Duration = Field(30.0, ge=1, le=3600, description="sounder: again after so long")
    limit: Duration = Field(20.0, ge=0.1, le=300, description="sounder: one run is ended after so long")
    url: SecretRef | None = Field(None, description="webhook: an http or https address")
    secret: SecretRef | None = Field(None, description="webhook: signs each request (HMAC-SHA256)")
    quiet: Quiet | None = Field(None, description="hours in which only the gravest is told")
    hours: Hours | None = Field(None, description="hours on duty: outside them others of the same alarm are told")

    @model_validator(mode="after")
    def _of_its_type(self) -> NotifierOptions:
        for key in NEEDS[self.type]:
            if not getattr(self, key):
                raise ValueError(f"has no {key}. Write {key} = {_EXAMPLES[key]}.")
        own = {*NEEDS[self.type], *TAKES.get(self.type, ())}
        for kind in NEEDS:
            for key in (*NEEDS[kind], *TAKES.get(kind, ())):
                if key in self.model_fields_set and key not in own:
                    raise ValueError(f"{key} belongs to type {kind!r}, not {self.type!r}.")
        if any("\0" in word for word in self.command):
            raise ValueError("a word of command has a NUL character.")
        return self

    def channels(self) -> dict[str, NotifierOptions]:
        """Each address by itself, so that one that fails makes no other be told twice."""
        if len(self.urls) < 2:
            return {self.id: self}
        return {f"{self.id}#{n}": self.model_copy(update={"urls": (url,)}) for n, url in enumerate(self.urls, 1)}


class Escalation(Strict):
    """Who is told next when nobody has acknowledged."""

    after: Duration = Field(gt=0, description="so long after it was raised")
    notify: tuple[str, ...] = Field(min_length=1)


class AlarmTest(Strict):
    """A weekly message through the whole path that somebody must acknowledge."""

    at: str = Field(description='"Mon 09:00"')
    timezone: Zone
    notify: tuple[str, ...] = Field(min_length=1)
    answer_within: Duration = Field(3600.0, ge=60, le=86_400)

    @model_validator(mode="after")
    def _moment(self) -> AlarmTest:
        self.weekly()
        return self

    def weekly(self) -> tuple[int, time]:
        """Day of the week (0: Monday) and time of day. Errors: ValueError."""
        day, _, clock = self.at.strip().partition(" ")
        try:
            return DAYS.index(_day(day)), _clock(clock.strip())
        except ValueError:
            raise ValueError(f'{self.at!r} is no moment of a week. Write "Mon 09:00".') from None

    def latest(self, now: float) -> float:
        """The last time it was due, at or before `now` (unix seconds). A time that a clock change skips is due as much
        later as the clock was put on; one that it repeats is due the first time."""
        zone, (day, clock) = ZoneInfo(self.timezone), self.weekly()
        today = datetime.fromtimestamp(now, zone).date()
        moments = (
            datetime.combine(date, clock, zone).timestamp()
            for date in (today - timedelta(days=back) for back in range(15))
            if date.weekday() == day
        )
        return next(moment for moment in moments if moment <= now)


class HeartbeatOptions(Strict):
    """An outside watcher that raises its own alarm when it hears nothing from us."""

    id: Id = "watcher"
    url: SecretRef = Field(description="an http or https address")
    method: Literal["GET", "POST"] = "GET"
    every: Duration = Field(60.0, ge=5, le=86_400)
