"""The trace as shapes in a square of one by one, from the top left: the same for a page and for paper. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.equipment.report import Report
from gateway.equipment.sections import number
from gateway.equipment.walk import ABOVE, BELOW, UNKNOWN

LABELS: Final = 8  # at most, along the time
MOST: Final = 1e12  # what is beyond is drawn there
MARGIN: Final = 0.06  # of the range, above and below


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the time: out of range, or unknown."""

    start: float
    end: float
    kind: str  # out, unknown


@dataclass(frozen=True, slots=True)
class Mark:
    """A place and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """`outlines`: closed shapes between the least and the most of each column; a gap ends one."""

    outlines: list[list[tuple[float, float]]]
    bands: list[Band]
    values: list[Mark]
    times: list[Mark]
    limits: list[Mark]
    alarms: list[Mark]


def plot(report: Report) -> Plot:
    """What is drawn of a report."""
    bottom, top = _range(report)

    def y(value: float) -> float:
        return (top - _bounded(value)) / (top - bottom)

    limits = [
        Mark(y(value), f"{word} limit {number(value, report.unit).text}")
        for word, value in (("low", report.low), ("high", report.high))
        if value is not None
    ]
    span = (report.until - report.since).total_seconds()
    raised = {
        round((one.at - report.since).total_seconds() / span, 3): one
        for one in reversed(report.transitions)
        if one.what == "raised"
    }
    return Plot(
        outlines=[_outline(report, run, y) for run in _runs(report)],
        bands=[*_bands(report, UNKNOWN, "unknown"), *_bands(report, ABOVE | BELOW, "out")],
        values=[Mark(y(value), number(value).text) for value in _ticks(bottom, top)],
        times=_times(report),
        limits=limits,
        alarms=[Mark(place, one.alarm) for place, one in sorted(raised.items())],
    )


def _bounded(value: float) -> float:
    return max(-MOST, min(MOST, value))


def _range(report: Report) -> tuple[float, float]:
    found = [report.whole.low, report.whole.high, report.low, report.high]
    known = [_bounded(value) for value in found if value is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    margin = (high - low) * MARGIN or max(1.0, abs(high) * 1e-6)
    return low - margin, high + margin


def _ticks(bottom: float, top: float) -> list[float]:
    """Round numbers, about five."""
    rough = (top - bottom) / 5
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(ten * factor for factor in (1, 2, 5, 10) if ten * factor >= rough)
    first = math.ceil(bottom / step)
    return [n * step for n in range(first, math.floor(top / step) + 1)]


def _runs(report: Report) -> Iterator[list[int]]:
    """Neighbouring columns with values."""
    run: list[int] = []
    for n, low in enumerate(report.trace.low):
        if low is not None:
            run.append(n)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _outline(report: Report, run: list[int], y: Callable[[float], float]) -> list[tuple[float, float]]:
    columns = len(report.trace.low)
    places = [(n + 0.5) / columns for n in run]
    places[0], places[-1] = run[0] / columns, (run[-1] + 1) / columns
    lows, highs = ([side[n] or 0.0 for n in run] for side in (report.trace.low, report.trace.high))
    if len(run) == 1:
        places, lows, highs = [run[0] / columns, (run[0] + 1) / columns], lows * 2, highs * 2
    upper = [(x, y(value)) for x, value in zip(places, highs, strict=True)]
    lower = [(x, y(value)) for x, value in zip(places, lows, strict=True)]
    return upper + lower[::-1]


def _bands(report: Report, bits: int, kind: str) -> list[Band]:
    columns = len(report.trace.marks)
    found: list[Band] = []
    begun: int | None = None
    for n, mark in enumerate([*report.trace.marks, 0]):
        if mark & bits and begun is None:
            begun = n
        elif not mark & bits and begun is not None:
            found.append(Band(begun / columns, n / columns, kind))
            begun = None
    return found


def _times(report: Report) -> list[Mark]:
    """Labels where the table's rows begin, not too many."""
    zone, span = ZoneInfo(report.timezone), (report.until - report.since).total_seconds()
    starts = [one.start for one in report.parts]
    every = math.ceil(len(starts) / LABELS)
    hours = span <= 2 * 86_400
    form = "%m-%d %H:%M" if hours else "%Y-%m-%d" if span <= 92 * 86_400 else "%Y-%m"
    found: list[Mark] = []
    for start in reversed(starts[::-1][::every]):  # from the end: the first row is seldom a whole one
        place = (start - report.since).total_seconds() / span
        if place < 0.94:
            found.append(Mark(place, _local(start, zone, form)))
    return found


def _local(at: datetime, zone: ZoneInfo, form: str) -> str:
    return at.astimezone(zone).strftime(form)
