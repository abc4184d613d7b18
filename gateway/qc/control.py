"""A measurement of a control: its verdict, and what is remembered of the control afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from drivers.kit.observation import Quality
from gateway.qc.numbers import Tally
from gateway.qc.options import ControlOptions
from gateway.qc.result import DAY_US, Result, UnusableError, written
from gateway.qc.state import CONTROL, GROUP, State
from gateway.qc.westgard import History, Outcome, Point, Verdict, Violation, judge

COLLECTING: Final = "collecting"  # no target yet: its own statistics are still being gathered
LOTS: Final = 8  # of one control whose statistics are kept
MOST_RUN: Final = 64  # characters of a run's name that are compared
CALLS: Final[Mapping[str, frozenset[str]]] = {
    "positive": frozenset({"positive", "detected", "reactive"}),
    "negative": frozenset({"negative", "not-detected", "non-reactive"}),
}
UNSURE: Final = frozenset({None, "invalid", "indeterminate"})


@dataclass
class Control:
    """What is remembered of one control on one device."""

    lot: str
    last: dict[str, Any] = field(default_factory=dict)  # uid, time, outcome, rules
    accepted: int | None = None  # unix microseconds of the last accepted measurement
    lots: dict[str, list[float]] = field(default_factory=dict)  # lot -> Tally
    own: list[float] | None = None  # mean and SD of the lot's first points, once there are enough
    action: int | None = None  # unix microseconds of the last corrective action

    @property
    def tally(self) -> Tally:
        return tally_of(self.lots.get(self.lot))

    def keep(self, tally: Tally) -> None:
        self.lots.pop(self.lot, None)
        self.lots[self.lot] = list(tally)
        for old in list(self.lots)[:-LOTS]:
            del self.lots[old]

    def target(self, options: ControlOptions) -> tuple[float, float] | None:
        """Mean and SD in force for the next point."""
        if options.statistics == "own" and self.own:
            return self.own[0], self.own[1]
        if options.statistics == "cumulative" and self.tally.enough and (sd := self.tally.sd):
            return self.tally.mean, sd
        return (options.target, options.sd) if options.target is not None and options.sd is not None else None

    def count(self, value: float, time: int) -> None:
        """One more accepted value."""
        self.keep(self.tally.plus(value, time // DAY_US))
        if self.own is None and self.tally.enough and (sd := self.tally.sd):
            self.own = [self.tally.mean, sd]


def tally_of(found: Sequence[float] | None) -> Tally:
    """As it was remembered."""
    if not found:
        return Tally()
    n, mean, m2, days, day = found
    return Tally(int(n), mean, m2, int(days), int(day))


def load(state: State, options: ControlOptions, device: str) -> Control:
    """As it was left. Another lot has statistics of its own; the last verdict stands until it is measured: that a vial
    was changed does not say that the instrument is right."""
    found = state.get(f"{CONTROL}{device}:{options.id}")
    control = Control(**found) if found else Control(options.lot)
    return control if control.lot == options.lot else replace(control, lot=options.lot, own=None)


def save(state: State, options: ControlOptions, device: str, control: Control) -> None:
    state.put(f"{CONTROL}{device}:{options.id}", asdict(control))


def trouble(options: ControlOptions, control: Control, at: int) -> tuple[str, str]:
    """("rejected" or "due" or "", words) of a control at a moment in unix microseconds."""
    last = control.last
    if last.get("outcome") == Outcome.REJECTED:
        rules = ", ".join(last["rules"]) or "by a person"
        return "rejected", f"control {options.id} was rejected at {written(last['time'])}: {rules}"
    if options.due is not None:
        if control.accepted is None:
            return "due", f"control {options.id} has not been accepted yet"
        if at > control.accepted + options.due * 1e6:
            return "due", f"control {options.id} is due: it was accepted last at {written(control.accepted)}"
    return "", ""


def measure(state: State, options: ControlOptions, result: Result) -> None:
    """Judge a measurement, mark it, remember it."""
    device = result.row.device
    control = load(state, options, device)
    if state.get(f"{CONTROL}{device}:{options.id}").get("lot", options.lot) != options.lot:
        forget(state, device, options.quantity, options.id)
    told: dict[str, Any] = {"control": options.id, "level": options.name, "lot": options.lot}
    value: float | None = None
    result.control()
    if options.lot_expiry and result.day > options.lot_expiry:
        told |= {"verdict": Outcome.REJECTED, "rules": ["expired"], "why": f"the lot expired on {options.lot_expiry}"}
    elif options.expect:
        told |= _qualitative(options, result.body)
    else:
        try:
            value = result.number(options.unit)
            if result.body["comparator"]:
                raise UnusableError(f"it is {result.body['comparator']} a limit")
            told |= {"value": value, **_quantitative(state, options, control, result, value)}
        except UnusableError as error:
            value = None
            told |= {"verdict": Outcome.REJECTED, "rules": ["no-value"], "why": str(error)}
    result.note("qc", told)
    _remember(control, told, result, value)
    save(state, options, device, control)


def _qualitative(options: ControlOptions, body: Mapping[str, Any]) -> dict[str, Any]:
    call = body["interpretation"]
    right = call not in UNSURE if options.expect == "valid" else call in CALLS[str(options.expect)]
    if right and body["quality"] != Quality.BAD:
        return {"verdict": Outcome.ACCEPTED, "rules": [], "expected": options.expect}
    why = f"it reads {call or 'nothing'}, expected is {options.expect}"
    return {"verdict": Outcome.REJECTED, "rules": ["not-as-expected"], "expected": options.expect, "why": why}


def _quantitative(
    state: State, options: ControlOptions, control: Control, result: Result, value: float
) -> dict[str, Any]:
    target = control.target(options)
    if target is None:
        return {"verdict": COLLECTING, "rules": [], "z": None, "target": None, "sd": None}
    mean, sd = target
    z = (value - mean) / sd
    if not math.isfinite(z):
        raise UnusableError("it is too far from the target to be compared")
    name = f"{GROUP}{result.row.device}:{options.quantity}"
    group = state.get(name)
    history = _history(group)
    run = _run(group, options, result)
    point = Point(result.at, result.uid, options.id, run, z)
    history, verdict = judge(history, point, options.rules, form=options.r4s, warn=options.warn)
    points, running = [list(one) for one in history.points], [asdict(one) for one in history.running]
    state.put(name, {"points": points, "running": running, "run": group.get("run")})
    return {"z": round(z, 4), "target": mean, "sd": sd, **_told(verdict)}


def _told(verdict: Verdict) -> dict[str, Any]:
    """`new`: rules violated here first; the others' stretch goes on."""
    found = verdict.violations
    return {
        "verdict": verdict.outcome,
        "rules": [one.rule for one in found],
        "points": {one.rule: list(one.points) for one in found},
        "new": [one.rule for one in found if one.new],
    }


def _run(group: dict[str, Any], options: ControlOptions, result: Result) -> str:
    """The instrument's, or a number of our own: controls measured soon after each other are one, a control measured
    again begins the next. `group` remembers it."""
    said = result.body["run"]
    if said:
        return f"={said[:MOST_RUN]}"
    began, levels = group.get("run") or [None, []]
    if began is None or abs(result.at - began) > options.together * 1e6 or options.id in levels:
        began, levels = result.at, []
    group["run"] = [began, [*levels, options.id]]
    return f"@{began}"


def _history(group: Mapping[str, Any]) -> History:
    points = tuple(Point(*one) for one in group.get("points", ()))
    running = tuple(
        Violation(one["rule"], tuple(one["points"]), one["began"], one["new"]) for one in group.get("running", ())
    )
    return History(points, running)


def forget(state: State, device: str, quantity: str, control: str | None = None) -> None:
    """Begin the counters of a test anew, or one control's."""
    name = f"{GROUP}{device}:{quantity}"
    group = state.get(name)
    if control is None or not group:
        state.drop(name)
        return
    points = [one for one in group["points"] if Point(*one).level != control]
    state.put(name, {**group, "points": points, "running": []})


def _remember(control: Control, told: Mapping[str, Any], result: Result, value: float | None) -> None:
    verdict, time = told["verdict"], result.at
    if verdict != Outcome.REJECTED and value is not None:
        control.count(value, time)
    if verdict in (Outcome.ACCEPTED, Outcome.WARNING):
        control.accepted = max(time, control.accepted or time)
    if verdict != COLLECTING and time >= control.last.get("time", time):
        control.last = {"uid": result.uid, "time": time, "outcome": str(verdict), "rules": list(told["rules"])}
