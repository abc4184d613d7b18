"""What a report says, whatever form it is given. Times are in UTC; durations in seconds unless named otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from gateway.equipment.asked import AlarmLimit


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the values of a stretch of time were. None: there was none."""

    start: datetime
    end: datetime
    samples: int
    low: float | None
    high: float | None
    mean: float | None
    sd: float | None
    kinetic: float | None  # degrees Celsius
    within: float
    above: float
    below: float
    unknown: float


@dataclass(frozen=True, slots=True)
class Excursion:
    start: datetime
    end: datetime
    seconds: float
    side: str  # above, below
    extreme: float
    area: float  # unit-minutes outside the limit
    begun: str  # "" at its start; else why that is not its beginning
    ended: str


@dataclass(frozen=True, slots=True)
class Gap:
    start: datetime
    end: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Samples that were not counted. `low` and `high` are what they would have said."""

    reason: str
    count: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of the audit chain about an alarm."""

    entry: int
    at: datetime
    alarm: str
    what: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the configuration says of it; `verdict` says whether it held."""

    done: date | None
    due: date | None
    certificate: str
    by: str
    note: str
    holds: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Where in the journal it comes from. `head`: of the first seal that covers all of it; "" while there is none."""

    rows: int
    first_seq: int | None
    last_seq: int | None
    audit: int  # the last entry of the audit chain that is listed
    corrected: int  # rows that a later reading of the same bytes stands for
    head: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Columns of equal width. `marks` bit by bit: 1 above, 2 below, 4 unknown."""

    step: float
    low: list[float | None]
    high: list[float | None]
    marks: list[int]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything. `excursion_count` and the like say how many there are where not all are listed."""

    site: str
    device: str
    label: str
    room: str
    quantity: str
    unit: str
    since: datetime
    until: datetime
    timezone: str
    low: float | None
    high: float | None
    limits_from: list[AlarmLimit]
    usual: float | None  # median time from sample to sample
    gap: float | None
    whole: Numbers
    parts: list[Numbers]
    excursion_count: int
    excursions: list[Excursion]
    gap_count: int
    gaps: list[Gap]
    silent: float
    kept_from: datetime | None  # what was before has been removed from the journal, and may be what looks like a gap
    left_out: list[LeftOut]
    late: int
    latest: float
    transition_count: int
    transitions: list[Transition]
    calibration: Calibration
    proof: Proof
    trace: Trace
