"""Quality control between normalising and storing: observations in, the same observations with their marks out.

It works inside the transaction that stores them and moves the decoder's cursor, and all it remembers is in the journal:
whenever it is cut off, it goes on with the verdicts it would have given. An observation that is already stored is
looked at no more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import structlog

from drivers.kit.observation import Kind
from gateway.journal.transaction import Row, Transaction
from gateway.qc import control, patient, runs
from gateway.qc.options import (
    AverageOptions,
    Check,
    ControlOptions,
    CriticalOptions,
    DeltaOptions,
    LockoutOptions,
    RunOptions,
)
from gateway.qc.result import Result
from gateway.qc.state import CRITICAL, FORMER, State

if TYPE_CHECKING:
    from gateway.config import Config

log = structlog.get_logger()

MOST_ROUTES: Final = 10_000
UTC: Final = ZoneInfo("UTC")
JUDGED: Final = (Kind.RESULT, Kind.QC)


@dataclass(slots=True)
class Route:
    """What is looked at for one quantity of one device."""

    controls: list[ControlOptions] = field(default_factory=list)
    lockouts: list[LockoutOptions] = field(default_factory=list)
    deltas: list[DeltaOptions] = field(default_factory=list)
    criticals: list[CriticalOptions] = field(default_factory=list)
    averages: list[AverageOptions] = field(default_factory=list)
    runs: list[RunOptions] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not any((self.controls, self.lockouts, self.deltas, self.criticals, self.averages, self.runs))


def about(check: Check, device: str, quantity: str) -> bool:
    """Whether a table speaks of it."""
    return fnmatchcase(device, check.device) and fnmatchcase(quantity, check.quantity)


class Stage:
    """Marks the observations of one configuration. `secret`: what patients' names are hashed with."""

    def __init__(self, config: Config, secret: bytes) -> None:
        self._config = config
        self._secret = secret
        self._zones = {device.id: ZoneInfo(device.timezone) for device in config.devices}
        self._routes: dict[tuple[str, str], Route] = {}

    def mark(self, transaction: Transaction, rows: Iterable[Row]) -> list[Row]:
        """The rows as they are to be stored, in the same transaction."""
        marked = list(rows)
        state, seen = State(transaction.db), set[bytes]()
        judged: list[tuple[int, Route, Result]] = []
        for place, row in enumerate(marked):
            route = self._route(row.device, row.quantity) if row.kind in JUDGED else None
            if route and not route.empty and row.uid not in seen and not _stored(transaction, row):
                judged.append((place, route, Result(row, self._zones.get(row.device, UTC))))
            seen.add(row.uid)
        controlled: dict[str, RunOptions] = {}
        for _, route, result in judged:
            for run in route.runs:
                _safely(state, route, result, partial(_take, state, run, result, controlled))
        for place, route, result in judged:
            _safely(state, route, result, partial(self._judge, state, route, result))
            marked[place] = result.marked
        for name, run in controlled.items():
            marked += runs.settle(transaction, run, name)
        for name in (FORMER, CRITICAL) if judged else ():
            state.bound(name)
        return marked

    def _judge(self, state: State, route: Route, result: Result) -> None:
        measured = next((one for one in route.controls if _is(one, result)), None)
        if measured:
            control.measure(state, measured, result)
            return
        if not result.patient:
            return
        due = patient.controls(state, route.controls, result)
        for lockout in route.lockouts:
            patient.lockout(state, lockout, result, due)
        for run in route.runs:
            runs.judge(state, run, result)
        for delta in route.deltas:
            patient.delta(state, delta, result, self._secret)
        for critical in route.criticals:
            patient.critical(critical, result)
        for average in route.averages:
            patient.average(state, average, result)
        patient.wait(state, result)

    def _route(self, device: str, quantity: str) -> Route:
        key = (device, quantity)
        found = self._routes.get(key)
        if found is None:
            if len(self._routes) >= MOST_ROUTES:  # an instrument that invents quantities
                self._routes.clear()
            config = self._config

            def those(options: Iterable[Any]) -> list[Any]:
                return [one for one in options if about(one, device, quantity)]

            found = self._routes[key] = Route(
                those(config.controls),
                those(config.lockouts),
                those(config.delta_checks),
                those(config.critical_values),
                those(config.moving_averages),
                those(config.run_checks),
            )
        return found


def _safely(state: State, route: Route, result: Result, judge: Callable[[], None]) -> None:
    """A mistake of ours keeps no result back: it is stored, says that it was not judged, and waits where a failed
    control would have it wait."""
    try:
        judge()
    except sqlite3.Error:  # the disk, not the result: the journal knows what to do
        raise
    except Exception as error:
        log.exception("quality control failed", device=result.row.device, quantity=result.row.quantity)
        result.note("qc_failed", f"not judged: {type(error).__name__}")
        if result.patient and any(one.hold for one in route.controls):
            result.hold("quality control could not judge it")
            patient.wait(state, result)


def _take(state: State, options: RunOptions, result: Result, controlled: dict[str, RunOptions]) -> None:
    if name := runs.take(state, options, result):
        controlled[name] = options


def _is(options: ControlOptions, result: Result) -> bool:
    """Whether it was measured on this control: by its specimen id, or where none is declared by its kind."""
    if options.specimen is None:
        return not result.patient
    return result.row.specimen is not None and fnmatchcase(result.row.specimen, options.specimen)


def _stored(transaction: Transaction, row: Row) -> bool:
    return transaction.db.execute("SELECT 1 FROM observation WHERE uid=?", (row.uid,)).fetchone() is not None
