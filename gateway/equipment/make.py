"""A report made from the journal and the configuration."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from gateway.equipment import asked as asking
from gateway.equipment import report as shape
from gateway.equipment.asked import Asked, NotThereError, Period, TooManyError, at
from gateway.equipment.reading import Series, covering, kept_from, quantities, transitions
from gateway.equipment.tally import SECOND, Side, Tally
from gateway.equipment.walk import COLUMNS, Walk
from gateway.units import UnitError, converter

if TYPE_CHECKING:
    from gateway.config import Config, Device


def make(
    db: sqlite3.Connection, config: Config, asked: Asked, now: datetime | None = None, most: int | None = None
) -> shape.Report:
    """Reads the period once, in pieces; no more than `most` samples.

    Errors: LookupError (asked wrongly: what to write instead), of it NotThereError and TooManyError.
    """
    device = asking.device(config, asked.device)
    _check(db, config, asked, device)
    period = asking.period(asked, device.timezone if device else "UTC", now)
    limits, watched = asking.limits(config, asked)
    series = Series.open(db, asked.device, asked.quantity)
    if most is not None and series.more_than(most, period):
        raise TooManyError(f"there are more than {most} samples. Ask for less, or: assaygate report -c FILE DEVICE.")
    series.find_unit(period.until)
    usual = series.usual(period)
    gap = asking.gap(asked, usual)
    edges = asking.edges(period)
    walk = Walk(edges, limits, gap, _celsius(series.unit))
    corrected = series.corrected()
    for sample in series.samples(period, corrected):
        walk.feed(sample)
    whole = walk.finish()
    moved, count = transitions(db, asked.device, (one.id for one in config.devices), period)
    kept = kept_from(db)
    last_audit = max((one.entry for one in moved), default=0)
    return shape.Report(
        site=config.gateway.site,
        device=asked.device,
        label=device.label if device else "",
        room=device.room if device else "",
        quantity=asked.quantity,
        unit=series.unit,
        since=at(period.since),
        until=at(period.until),
        timezone=period.zone.key,
        low=limits.low,
        high=limits.high,
        limits_from=watched,
        usual=usual / SECOND if usual else None,
        gap=gap / SECOND if gap else None,
        whole=_numbers(whole, period.since, period.until),
        parts=[_numbers(one, *ends) for one, *ends in zip(walk.parts, edges, edges[1:], strict=False)],
        excursion_count=walk.excursions.found.count,
        excursions=[
            shape.Excursion(
                at(one.start), at(one.end), (one.end - one.start) / SECOND,
                one.side.name.lower(), one.extreme, one.area, one.begun, one.ended,
            )
            for one in walk.excursions.found.listed()
        ],
        gap_count=walk.gaps.count,
        gaps=[shape.Gap(at(one.start), at(one.end), (one.end - one.start) / SECOND) for one in walk.gaps.listed()],
        silent=walk.silent / SECOND,
        kept_from=at(kept) if kept is not None and kept > period.since else None,
        left_out=[shape.LeftOut(why, one.count, one.low, one.high) for why, one in sorted(walk.left_out.items())],
        late=walk.late,
        latest=walk.latest / SECOND,
        transition_count=count,
        transitions=moved,
        calibration=_calibration(device, period),
        proof=shape.Proof(
            series.rows, series.first, series.last, last_audit, len(corrected),
            covering(db, series.last or 0, last_audit, period.until),
        ),
        trace=shape.Trace(
            (period.until - period.since) / SECOND / COLUMNS, walk.trace.low, walk.trace.high, walk.trace.marks
        ),
    )  # fmt: skip


def _check(db: sqlite3.Connection, config: Config, asked: Asked, device: Device | None) -> None:
    """Whether there is such a device and quantity, before years are read for nothing."""
    there = db.execute(
        "SELECT 1 FROM observation WHERE device = ? AND quantity = ? LIMIT 1", (asked.device, asked.quantity)
    ).fetchone()
    if there:
        return
    known = quantities(db, asked.device)
    if known:
        raise NotThereError(f"{asked.device} has no quantity {asked.quantity!r}. It has: {', '.join(known)}.")
    if device is None:
        names = ", ".join(one.id for one in config.devices) or "none"
        raise NotThereError(f"no device is called {asked.device!r}. Known are: {names}.")


def _celsius(unit: str) -> Callable[[float], float] | None:
    """How values of a unit become degrees Celsius; None: they are no temperature."""
    try:
        convert = converter(unit, "Cel")
    except UnitError:
        return None
    zero = float(convert(Decimal(0)))
    step = (float(convert(Decimal(100))) - zero) / 100
    return lambda value: value * step + zero


def _numbers(tally: Tally, start: int, end: int) -> shape.Numbers:
    low, high = tally.extremes or (None, None)
    above, below = (tally.outside[side] / SECOND for side in (Side.ABOVE, Side.BELOW))
    within = tally.known / SECOND - above - below
    return shape.Numbers(
        at(start), at(end), tally.samples, low, high, tally.average, tally.spread, tally.kinetic,
        within, above, below, tally.unknown / SECOND,
    )  # fmt: skip


def _calibration(device: Device | None, period: Period) -> shape.Calibration:
    """Whether the calibration that is configured held through the period, by the days of its time zone."""
    one = device.calibration if device else None
    if one is None:
        return shape.Calibration(None, None, "", "", "", False, "No calibration is configured for this device.")
    first = at(period.since).astimezone(period.zone).date()
    last = (at(period.until) - timedelta(microseconds=1)).astimezone(period.zone).date()
    holds, verdict = False, ""
    if one.due is not None and one.due < first:
        verdict = f"Overdue: calibration was due on {one.due}, before this period began."
    elif one.due is not None and one.due < last:
        verdict = f"Overdue: calibration was due on {one.due}, within this period."
    elif one.done is not None and one.done > first:
        verdict = f"Calibrated on {one.done}, after this period began: what was in force before that is not known."
    elif one.due is None:
        verdict = "No date is configured until which the calibration holds."
    else:
        holds, verdict = True, f"In force throughout this period: due on {one.due}."
    return shape.Calibration(one.done, one.due, one.certificate, one.by, one.note, holds, verdict)
