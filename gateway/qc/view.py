"""What people see of quality control: how each control stands, what waits for them, the points of a chart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final

import orjson

from gateway.config import Config
from gateway.observation import CORRECTS
from gateway.qc import control
from gateway.qc.correction import standing_of
from gateway.qc.numbers import sigma
from gateway.qc.options import ControlOptions
from gateway.qc.result import written
from gateway.qc.runs import invalid
from gateway.qc.state import AVERAGE, CRITICAL, HELD, LOCKOUT, RUN, State

MOST_POINTS: Final = 2000
MOST_LISTED: Final = 1000
MOST_AT_RISK: Final = 10_000
LAST: Final = 2**62  # unix microseconds


@dataclass(frozen=True, slots=True)
class ControlView:
    """One control on one device. Statistics are of the present lot, rejected points left out."""

    id: str
    device: str
    quantity: str
    level: str
    lot: str
    unit: str | None
    verdict: str | None  # of the last measurement
    rules: list[str]
    time: str | None
    trouble: str  # rejected, due or nothing
    why: str
    at_risk: int  # results since it was accepted last, while it is rejected: they are to be looked at again
    target: float | None  # in force for the next measurement
    sd: float | None
    n: int
    mean: float | None
    own_sd: float | None
    cv: float | None  # percent
    sigma: float | None
    lots: dict[str, dict[str, Any]]  # lot -> n, mean, sd
    last_action: str | None


def controls(db: sqlite3.Connection, config: Config, now: int) -> list[ControlView]:
    """Every control on every device it is for. `now` in unix microseconds."""
    state = State(db)
    return [
        _view(db, options, device, control.load(state, options, device), now)
        for options in config.controls
        for device in devices(config, options)
    ]


def _view(
    db: sqlite3.Connection, options: ControlOptions, device: str, current: control.Control, now: int
) -> ControlView:
    lots = {lot: control.tally_of(found) for lot, found in current.lots.items()}
    tally, last = current.tally, current.last
    mean, sd = current.target(options) or (None, None)
    trouble, why = control.trouble(options, current, now)
    true_value = options.true_value if options.true_value is not None else options.target
    return ControlView(
        id=options.id,
        device=device,
        quantity=options.quantity,
        level=options.name,
        lot=options.lot,
        unit=options.unit,
        verdict=last.get("outcome"),
        rules=last.get("rules", []),
        time=written(last["time"]) if last else None,
        trouble=trouble,
        why=why,
        at_risk=_results(db, options, device, current.accepted or 0) if trouble == "rejected" else 0,
        target=mean,
        sd=sd,
        n=tally.n,
        mean=tally.mean if tally.n else None,
        own_sd=tally.sd,
        cv=tally.cv,
        sigma=sigma(options.tea, true_value, tally),
        lots={lot: {"n": one.n, "mean": one.mean, "sd": one.sd} for lot, one in lots.items()},
        last_action=written(current.action) if current.action else None,
    )


def _results(db: sqlite3.Connection, options: ControlOptions, device: str, since: int) -> int:
    query = (
        "SELECT count(*) FROM (SELECT 1 FROM observation WHERE device=? AND quantity=? AND time>? AND kind='result'"
        " LIMIT ?)"
    )
    return int(db.execute(query, (device, options.quantity, since, MOST_AT_RISK)).fetchone()[0])


def standing(db: sqlite3.Connection, config: Config, now: int) -> dict[str, tuple[bool, str]]:
    """What an alarm may watch -> is it wrong, and why: `control:ID`, `lockout:ID`, `average:ID`, `run:ID`, `critical`
    (nobody has been told). Beside them `held_count`.

    Every configured one is there, so that an alarm clears. `now` in unix microseconds.
    """
    told: dict[str, list[str]] = {f"control:{one.id}": [] for one in config.controls}
    told |= {f"lockout:{one.id}": [] for one in config.lockouts}
    told |= {f"average:{one.id}": [] for one in config.moving_averages}
    state = State(db)
    for options in config.controls:
        for device in devices(config, options):
            _, why = control.trouble(options, control.load(state, options, device), now)
            if why:
                told[f"control:{options.id}"].append(f"{device} {options.quantity}: {why}")
    for name, found in state.all(LOCKOUT):
        device, check, quantity = name.split(":", 2)
        if (key := f"lockout:{check}") in told:
            told[key].append(f"{device} {quantity}: {found['why']}")
    for name, found in state.all(AVERAGE):
        device, _, check = name.partition(":")
        if found["out"] and (key := f"average:{check}") in told:
            told[key].append(f"{device}: the moving average of patients' results is at {found['mean']:g}")
    told |= _runs(state, config)
    answer = {key: (bool(words), "; ".join(words)) for key, words in told.items()}
    count = state.count(CRITICAL)
    answer["critical"] = (bool(count), f"{count} critical values nobody has been told of" if count else "")
    return answer


def _runs(state: State, config: Config) -> dict[str, list[str]]:
    """Of each check the last run of each device."""
    told: dict[str, list[str]] = {f"run:{one.id}": [] for one in config.run_checks}
    last = {tuple(name.split(":", 2)[:2]): name for name in (state.names(RUN) if told else ())}
    for (device, check), name in last.items():
        if (key := f"run:{check}") in told and (why := invalid(state.get(RUN + name))):
            told[key].append(f"{device}: run {name.split(':', 2)[2]}: {why}")
    return told


def held_count(db: sqlite3.Connection) -> int:
    """How many results wait for their release."""
    return State(db).count(HELD)


def waiting(db: sqlite3.Connection, what: str = HELD) -> list[dict[str, Any]]:
    """The first results that wait for a person, oldest first: HELD or CRITICAL ones."""
    rows = db.execute(
        "SELECT name, state FROM cursor WHERE name>=? AND name<? ORDER BY rowid LIMIT ?",
        (what, what[:-1] + chr(ord(what[-1]) + 1), MOST_LISTED),
    ).fetchall()
    found = []
    for name, state in rows:
        uid = bytes.fromhex(name.removeprefix(what))
        if stands := standing_of(db, uid):  # retention may have removed it
            found.append({"seq": stands[0], **orjson.loads(state)})
    return found


def devices(config: Config, options: ControlOptions) -> list[str]:
    """The devices a control is measured on."""
    return [device.id for device in config.devices if fnmatchcase(device.id, options.device)]


def points(
    db: sqlite3.Connection, options: ControlOptions, on: Iterable[str], since: int = 0, until: int = LAST
) -> list[dict[str, Any]]:
    """The measurements of a control on these devices for a Levey-Jennings chart, oldest first, of each device at most
    MOST_POINTS of the newest. Each has the target and SD that were in force, and a person's verdict where there is one.
    """
    found: list[tuple[int, int, dict[str, Any]]] = []
    for device in on:
        found += islice(_measured(db, options, device, since, until), MOST_POINTS)
    return [point for _, _, point in sorted(found, key=lambda one: one[:2])]


def _measured(
    db: sqlite3.Connection, options: ControlOptions, device: str, since: int, until: int
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(time, seq, point), newest first; the last verdict on each."""
    rows = db.execute(
        "SELECT time, seq, body FROM observation WHERE device=? AND quantity=? AND time BETWEEN ? AND ? AND kind='qc'"
        " ORDER BY time DESC, seq DESC",
        (device, options.quantity, since, until),
    )
    corrected: set[int] = set()
    for time, seq, body in rows:
        told = orjson.loads(body)
        attributes = told["attributes"]
        corrected.add(attributes.get(CORRECTS))
        if seq not in corrected and attributes.get("qc", {}).get("control") == options.id:
            yield time, seq, _point(seq, device, time, told)


def _point(seq: int, device: str, time: int, told: Mapping[str, Any]) -> dict[str, Any]:
    qc = told["attributes"]["qc"]
    reviewed = told["attributes"].get("reviewed")
    return {
        "seq": seq,
        "device": device,
        "time": written(time),
        "value": qc.get("value", told["value"]),
        "interpretation": told["interpretation"],
        "lot": qc["lot"],
        "z": qc.get("z"),
        "verdict": qc["verdict"],
        "rules": qc["rules"],
        "new": qc.get("new", qc["rules"]),
        "target": qc.get("target"),
        "sd": qc.get("sd"),
        "why": qc.get("why"),
        "reviewed": {name: reviewed[name] for name in ("by", "why", "at")} if reviewed else None,
    }
