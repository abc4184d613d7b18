"""Checks of a patient's result: is its control in order, its lot in date, how it changed, who must be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.qc import control
from gateway.qc.numbers import Average
from gateway.qc.options import AverageOptions, ControlOptions, CriticalOptions, DeltaOptions, LockoutOptions
from gateway.qc.result import DAY_US, Result, UnusableError, expired, written
from gateway.qc.state import AVERAGE, CRITICAL, FORMER, HELD, LOCKOUT, State, hashed

MOST_LOCKED: Final = 1000  # tests that are remembered as locked out
AT_LEAST: Final = DAY_US // 24  # a rate per day is not read from results closer together than an hour


def controls(state: State, options: Sequence[ControlOptions], result: Result) -> bool:
    """Hold or flag what is measured while a control is rejected or due; True where one is due."""
    any_due = False
    for one in options:
        wrong, words = control.trouble(one, control.load(state, one, result.row.device), result.at)
        any_due |= wrong == "due"
        if wrong and one.hold:
            result.hold(words)
        elif wrong:
            result.reason("qc_failed", words)
    return any_due


def lockout(state: State, options: LockoutOptions, result: Result, due: bool) -> None:
    """Mark a rapid test that ought not to have been run, and remember whether the last one was."""
    reasons = []
    if expired(result.body["lot_expiry"], result.day):
        reasons.append(f"lot {result.body['lot'] or ''} expired on {result.body['lot_expiry']}".replace("  ", " "))
    if due:
        reasons.append("quality control is due")
    for reason in reasons:
        result.reason("lockout", reason)
        if options.lockout == "hold":
            result.hold(reason)
    name = f"{LOCKOUT}{result.row.device}:{options.id}:{result.row.quantity}"
    if reasons:
        state.put(name, {"why": "; ".join(reasons), "time": result.row.time})
        state.bound(LOCKOUT, MOST_LOCKED)
    else:
        state.drop(name)


def delta(state: State, options: DeltaOptions, result: Result, secret: bytes) -> None:
    """Compare with the former result of the same patient, else specimen, and remember this one in its place.

    Left out: what has a comparator, another unit, no time order. Who it is stands in the state as a keyed hash."""
    body = result.body
    who = ("patient", body["patient"]) if body["patient"] else ("specimen", body["specimen"])
    if not who[1] or body["comparator"]:
        return
    try:
        value = result.number(options.unit)
    except UnusableError:
        return
    unit = options.unit or body["unit"]
    name = FORMER + hashed(secret, options.id, *who)
    former = state.get(name)
    if former and result.row.time < former["time"]:
        return
    state.put(name, {"value": value, "unit": unit, "time": result.row.time})
    if not former or former["unit"] != unit or result.row.time - former["time"] > options.within * 1e6:
        return
    change = value - former["value"]
    if _too_much(options, change, former["value"], result.row.time - former["time"]):
        told = {"check": options.id, "change": change, "former": former["value"], "since": written(former["time"])}
        result.note("delta", told)
        result.flag("U" if change > 0 else "D")


def _too_much(options: DeltaOptions, change: float, former: float, between: int) -> bool:
    if options.absolute is not None:
        return abs(change) > options.absolute
    if options.percent is not None:
        return abs(change) > options.percent / 100 * abs(former)
    return options.rate is not None and abs(change) * DAY_US / max(between, AT_LEAST) > options.rate


def critical(options: CriticalOptions, result: Result) -> None:
    """Mark a result beyond a limit. One with a comparator counts where it cannot be otherwise: `<2` of a low limit of
    2.5 does, `<5` does not."""
    try:
        value = result.number(options.unit)
    except UnusableError:
        return
    comparator = result.body["comparator"] or ""
    low, high = options.low, options.high
    if low is not None and ">" not in comparator and (value < low or (comparator == "<" and value <= low)):
        side, limit, flag = "low", low, "LL"
    elif high is not None and "<" not in comparator and (value > high or (comparator == ">" and value >= high)):
        side, limit, flag = "high", high, "HH"
    else:
        return
    result.note("critical", {"check": options.id, "side": side, "limit": limit, "unit": options.unit})
    result.flag(flag)


def average(state: State, options: AverageOptions, result: Result) -> None:
    """Let the moving average follow, and mark the result at which it is out of its limits."""
    if result.body["comparator"] or "hold" in result.body["attributes"]:
        return
    try:
        value = result.number(options.unit)
    except UnusableError:
        return
    name = f"{AVERAGE}{result.row.device}:{options.id}"
    former = state.get(name)
    moved = Average(former.get("mean", options.target), former.get("n", 0)).plus(
        value, options.weight, options.low, options.high
    )
    out = moved.n >= options.warm_up and abs(moved.mean - options.target) > options.limit
    state.put(name, {**moved._asdict(), "out": out, "time": result.row.time})
    if out:
        result.note("moving_average", {"check": options.id, "mean": moved.mean, "n": moved.n, "target": options.target})


def wait(state: State, result: Result) -> None:
    """List what waits for a person."""
    attributes = result.body["attributes"]
    about = {name: result.body[name] for name in ("device", "quantity", "time")}
    if "hold" in attributes:
        state.put(HELD + result.uid, {**about, "why": attributes["hold"]})
    if "critical" in attributes:
        state.put(CRITICAL + result.uid, {**about, **attributes["critical"]})
