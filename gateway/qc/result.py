"""One observation on its way into the journal, and the marks quality control leaves on it.

What the instrument said stays: marks stand in attributes of their own, and what they change (status, kind, flags) can
be undone by `unmarked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from drivers.kit.observation import Kind, Quality, Status
from gateway.journal.transaction import Row
from gateway.moment import microseconds
from gateway.units import UnitError, converter

MARKS: Final = (
    *("qc", "hold", "lockout", "qc_failed", "delta", "critical", "moving_average", "run_validity"),
    *("released", "reviewed", "flags_added", "status_as_read", "kind_as_read"),
)
DAY_US: Final = 86_400_000_000
LARGEST: Final = 1e100  # the square of a larger number leaves the range of numbers


class UnusableError(ValueError):
    """A value that cannot be compared with a limit; the message says why."""


@dataclass
class Result:
    """A journal row and its body, which is marked in place."""

    row: Row
    zone: ZoneInfo
    touched: bool = False

    @cached_property
    def body(self) -> dict[str, Any]:
        return dict(orjson.loads(self.row.body))

    @property
    def uid(self) -> str:
        return self.row.uid.hex()

    @property
    def day(self) -> date:
        """Of the measurement, where the device stands."""
        return datetime.fromtimestamp(self.row.time / 1e6, self.zone).date()

    @cached_property
    def at(self) -> int:
        """When it was measured, in unix microseconds, and not after it came: an instrument's clock that is ahead would
        else make its last verdict stand over all that follow."""
        return min(self.row.time, microseconds(datetime.fromisoformat(self.body["received"])))

    @property
    def patient(self) -> bool:
        return bool(self.body["kind"] == Kind.RESULT)

    def number(self, unit: str | None) -> float:
        """The value in `unit`. Errors: UnusableError."""
        return number(self.body, unit)

    def note(self, name: str, value: Any) -> None:
        """Leave a mark."""
        self.touched = True
        self.body["attributes"][name] = value

    def reason(self, name: str, text: str) -> None:
        """Leave a mark that collects reasons."""
        former = self.body["attributes"].get(name)
        self.note(name, f"{former}; {text}" if former else text)

    def hold(self, text: str) -> None:
        """Not final until a person releases it; what is cancelled never will be."""
        if self.body["status"] == Status.CANCELLED:
            return
        self.reason("hold", text)
        if self.body["status"] != Status.PRELIMINARY:
            self.body["attributes"].setdefault("status_as_read", self.body["status"])
            self.body["status"] = Status.PRELIMINARY

    def control(self) -> None:
        """It is of a control material, whatever the instrument took it for."""
        if self.body["kind"] != Kind.QC:
            self.note("kind_as_read", self.body["kind"])
            self.body["kind"] = Kind.QC

    def flag(self, name: str) -> None:
        """A code of HL7 table 0078."""
        if name not in self.body["flags"]:
            self.body["flags"] = [*self.body["flags"], name]
            self.note("flags_added", [*self.body["attributes"].get("flags_added", ()), name])

    @property
    def marked(self) -> Row:
        """The row as it is stored."""
        if not self.touched:
            return self.row
        return self.row._replace(kind=str(self.body["kind"]), body=orjson.dumps(self.body))


def number(body: Mapping[str, Any], unit: str | None) -> float:
    """The value as a number in `unit` (None: whatever its unit). Errors: UnusableError."""
    value = body["value"]
    if body["quality"] == Quality.BAD:
        raise UnusableError("its quality is bad")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnusableError("the value is no number")
    if abs(value) > LARGEST:
        raise UnusableError("it is too large to be compared")
    if unit is None or body["unit"] == unit:
        return float(value)
    try:
        return float(converter(body["unit"] or "1", unit)(Decimal(str(value))))
    except (UnitError, ArithmeticError) as error:
        raise UnusableError(f"{body['unit'] or 'no unit'} is not {unit}: {error}") from None


def unmarked(body: Mapping[str, Any]) -> dict[str, Any]:
    """The observation as it was read, without what quality control has left on it."""
    attributes = dict(body.get("attributes", {}))
    told = dict(body)
    if not any(name in attributes for name in MARKS):
        return told
    told["status"] = attributes.get("status_as_read", body["status"])
    told["kind"] = attributes.get("kind_as_read", body["kind"])
    told["flags"] = [flag for flag in body["flags"] if flag not in attributes.get("flags_added", ())]
    told["attributes"] = {name: value for name, value in attributes.items() if name not in MARKS}
    return told


def carried(stored: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """A correction of a marked observation, with the marks of the stored one: what is held stays held, what is of a
    control stays of a control."""
    marks = {name: value for name, value in stored["attributes"].items() if name in MARKS}
    told = {**body, "attributes": {**marks, **body["attributes"]}}
    if "kind_as_read" in marks:
        told["kind"] = stored["kind"]
    if "hold" in marks:
        told["status"] = Status.PRELIMINARY
    told["flags"] = [*dict.fromkeys((*body["flags"], *marks.get("flags_added", ())))]
    return told


def expired(lot_expiry: str | None, day: date) -> bool:
    """Whether a lot's expiry, as the instrument wrote it, lies before that day. A month holds until its last day.
    What cannot be read with certainty is not expired: 03/04/26 is two days."""
    last = last_day(lot_expiry or "")
    return last is not None and last < day


def last_day(text: str) -> date | None:
    """ "2026-05-31", "20260531", "2026-05" or an RFC 3339 time: the last day of use; None for anything else."""
    text = text.strip()
    try:
        if len(text) == 7 and text[4] == "-":
            first = date.fromisoformat(f"{text}-01")
            return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        return datetime.fromisoformat(text).date()
    except (ValueError, OverflowError):
        return None


def written(microseconds: int) -> str:
    """Unix microseconds as people read them."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
