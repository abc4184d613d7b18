"""Validity of a run of PCR: its blank is not detected, its positive control is, the internal control of each well too.

Results wait until the run has said so. What comes in one message is looked at together, controls first; results of an
earlier message are released by themselves once the run's controls are in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import orjson

from drivers.kit.observation import Quality
from gateway.journal.transaction import Row, Transaction
from gateway.qc.control import CALLS, MOST_RUN
from gateway.qc.correction import released, standing_of
from gateway.qc.options import RunOptions
from gateway.qc.result import Result
from gateway.qc.state import HELD, RUN, State

MOST_WELLS: Final = 1536  # of one run that are told apart, the largest plate there is
MOST_RUNS: Final = 500  # that are remembered
SELF: Final = "assaygate"  # releases what a run's controls let go

Role = Literal["blank", "positive", "internal", "well"]


def role(options: RunOptions, result: Result) -> Role:
    """What a row is in its run."""
    specimen = result.row.specimen or ""
    if options.internal and fnmatchcase(result.row.quantity, options.internal):
        return "internal"
    if fnmatchcase(specimen, options.blank):
        return "blank"
    return "positive" if fnmatchcase(specimen, options.positive) else "well"


def key(options: RunOptions, result: Result) -> str | None:
    """The name of the run's state; None where the result names no run."""
    run = result.body["run"]
    return f"{RUN}{result.row.device}:{options.id}:{run[:MOST_RUN]}" if run else None


def take(state: State, options: RunOptions, result: Result) -> str | None:
    """Remember a control of a run; the state's name where it was one."""
    part, name = role(options, result), key(options, result)
    if part == "well" or name is None:
        return None
    found = state.get(name) or {"blank": {}, "positive": {}, "internal": {}, "waiting": []}
    body = result.body
    if part == "internal":
        call = body["interpretation"]
        right = call in CALLS["positive"] or (call is None and isinstance(body["value"], int | float))
        right = right and body["quality"] != Quality.BAD
        where = result.row.specimen or ""
    else:
        call = body["interpretation"]
        right = call in CALLS["negative" if part == "blank" else "positive"] and body["quality"] != Quality.BAD
        where = result.row.quantity
        result.control()
        result.note("run_validity", {"check": options.id, "role": part, "valid": right})
    if where in found[part] or len(found[part]) < MOST_WELLS:
        # One that failed is not made good by another well of the same run.
        found[part][where] = right and found[part].get(where, True)
    state.put(name, found)
    state.bound(RUN, MOST_RUNS)
    return name


def judge(state: State, options: RunOptions, result: Result) -> None:
    """Mark a result of a run that is not, or not yet, valid."""
    if role(options, result) != "well" or not result.patient:
        return
    name = key(options, result)
    why, waits = ("it names no run", False) if name is None else verdict(state.get(name), options, result.row)
    if not why:
        return
    told = f"run {str(result.body['run'] or '')[:MOST_RUN]}: {why}"
    result.note("run_validity", {"check": options.id, "role": "well", "valid": False, "why": told})
    if not options.hold:
        return
    result.hold(told)
    found = state.get(name) if name else {}
    if waits and name and result.body["attributes"]["hold"] == told and len(found.get("waiting", ())) < MOST_WELLS:
        found = found or {"blank": {}, "positive": {}, "internal": {}, "waiting": []}
        state.put(name, {**found, "waiting": [*found["waiting"], result.uid]})


def verdict(found: dict[str, Any], options: RunOptions, row: Row) -> tuple[str, bool]:
    """("" or why a well's result does not count, whether it may still count later)."""
    if trouble := invalid(found):
        return trouble, False
    for part in ("blank", "positive"):
        if row.quantity not in found.get(part, {}):
            return f"its {part} has not been seen", True
    if options.internal:
        well = found["internal"].get(row.specimen or "")
        if well is None:
            return "the well's internal control has not been seen", True
        if not well:
            return "the well's internal control is not valid", False
    return "", False


def invalid(found: dict[str, Any]) -> str:
    """Why no result of a run counts; "" where its controls, so far, are in order."""
    for part, words in (("blank", "is not negative"), ("positive", "is not detected")):
        wrong = [quantity for quantity, right in found.get(part, {}).items() if not right]
        if wrong:
            return f"its {part} {words} for {', '.join(sorted(wrong)[:8])}"
    return ""


def settle(transaction: Transaction, options: RunOptions, name: str) -> Iterator[Row]:
    """Results of earlier messages that the run's controls let go, or say more of."""
    state = State(transaction.db)
    found = state.get(name)
    waiting = []
    for uid in found.get("waiting", ()):
        stored = standing_of(transaction.db, bytes.fromhex(uid))
        held = state.get(HELD + uid)
        if not held:  # released by a person
            continue
        if not stored:  # of this very message: judged already
            waiting.append(uid)
            continue
        seq, row = stored
        why, waits = verdict(found, options, row)
        if why:
            state.put(HELD + uid, {**held, "why": f"run {name.removeprefix(RUN).split(':', 2)[2]}: {why}"})
            waiting += [uid] if waits else []
            continue
        state.drop(HELD + uid)
        reason = "the run's controls are in order"
        transaction.audit("qc.released", seq=seq, device=row.device, quantity=row.quantity, by=SELF, why=reason)
        body = orjson.loads(row.body)
        body["attributes"]["run_validity"] |= {"valid": True, "why": reason}
        yield released(row, body, seq, SELF, reason)
    state.put(name, {**found, "waiting": waiting})
