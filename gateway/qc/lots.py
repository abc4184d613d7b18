"""Kit lots beside each other, from the journal: how many results, invalid, positive, their mean and SD, and how the
control line of a lateral-flow test has gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gateway.observation import CORRECTS
from gateway.qc.control import CALLS
from gateway.qc.numbers import Tally
from gateway.qc.result import DAY_US, written

NO_LOT: Final = ""
MOST_LOTS: Final = 200
MOST_RESULTS: Final = 200_000  # the newest of a device that are looked at


@dataclass(slots=True)
class Trend:
    """A straight line through values by time (least squares), gathered one by one."""

    values: Tally = field(default_factory=Tally)
    days: Tally = field(default_factory=Tally)
    product: float = 0.0  # sum of (day - mean day) (value - mean value)

    def add(self, day: float, value: float) -> None:
        before = day - self.days.mean
        self.days, self.values = self.days.plus(day, 0), self.values.plus(value, 0)
        self.product += before * (value - self.values.mean)

    @property
    def slope(self) -> float | None:
        """Per day; None where all came at one time."""
        return self.product / self.days.m2 if self.days.m2 > 0 else None


@dataclass(slots=True)
class Lot:
    """What is known of one lot."""

    first: int
    last: int
    n: int = 0
    invalid: int = 0
    positive: int = 0
    negative: int = 0
    values: Tally = field(default_factory=Tally)
    line: Trend = field(default_factory=Trend)

    def add(self, time: int, body: dict[str, Any]) -> None:
        self.first, self.last, self.n = min(self.first, time), max(self.last, time), self.n + 1
        call, value, line = body["interpretation"], body["value"], body["attributes"].get("control_line")
        self.positive += call in CALLS["positive"]
        self.negative += call in CALLS["negative"]
        if call == "invalid":
            self.invalid += 1
        elif _number(value) and not body["comparator"] and body["quality"] != "bad":
            self.values = self.values.plus(value, time // DAY_US)
        if _number(line):
            self.line.add(time / DAY_US, line)

    def told(self, name: str) -> dict[str, Any]:
        called, line = self.positive + self.negative, self.line.values
        return {
            "lot": name or None,
            "first": written(self.first),
            "last": written(self.last),
            "n": self.n,
            "invalid": self.invalid,
            "invalid_rate": self.invalid / self.n,
            "positive": self.positive,
            "positive_share": self.positive / called if called else None,
            "mean": self.values.mean if self.values.n else None,
            "sd": self.values.sd,
            "control_line": line.mean if line.n else None,
            "control_line_sd": line.sd,
            "control_line_per_day": self.line.slope,
        }


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e100


def lots(db: sqlite3.Connection, quantity: str, on: Iterable[str], since: int) -> list[dict[str, Any]]:
    """The lots of a quantity's results on these devices since then (unix microseconds), by their first use.

    What was corrected counts as it stands today; controls do not count."""
    found: dict[str, Lot] = {}
    for device in on:
        rows = db.execute(
            "SELECT time, seq, body FROM observation WHERE device=? AND quantity=? AND time>=? AND kind='result'"
            " ORDER BY time DESC, seq DESC LIMIT ?",
            (device, quantity, since, MOST_RESULTS),
        )
        corrected: set[int] = set()
        for time, seq, text in rows:
            body = orjson.loads(text)
            if (former := body["attributes"].get(CORRECTS)) is not None:
                corrected.add(former)
            if seq in corrected or body["status"] == "cancelled":
                continue
            name = body["lot"] or NO_LOT
            if name in found or len(found) < MOST_LOTS:
                found.setdefault(name, Lot(time, time)).add(time, body)
    return [one.told(name) for name, one in sorted(found.items(), key=lambda item: (item[1].first, item[0]))]
