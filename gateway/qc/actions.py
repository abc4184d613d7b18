"""What people do about quality control: release, accept, reject, corrective action, read-back. Each in one transaction
with its entry in the audit chain, also beside a running daemon.

What is stored is never altered: a released result, or a control's other verdict, is one more observation whose
`attributes.corrects` names the one it stands for.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any, Final, Literal, TypeVar

import orjson

from gateway.config import Config
from gateway.journal.schema import FILE, connect
from gateway.journal.transaction import Row, Transaction
from gateway.observation import CORRECTS
from gateway.qc import control
from gateway.qc.control import Control
from gateway.qc.correction import COLUMNS, correction, said
from gateway.qc.correction import released as made
from gateway.qc.options import ControlOptions
from gateway.qc.result import written
from gateway.qc.state import CONTROL, CRITICAL, HELD, State
from gateway.qc.westgard import Outcome
from gateway.reports import open_journal

T = TypeVar("T")
Decision = Literal["accept", "reject", "rerun", "comment"]
DONE: Final = {"accept": "accepted", "reject": "rejected", "rerun": "rerun", "comment": "commented"}


def offline(config: Config, act: Callable[[Transaction], T]) -> T:
    """Act on the journal's file from a command. Errors: JournalError, LookupError (nothing is changed then)."""
    with open_journal(config):
        pass
    with closing(connect(config.gateway.data_dir / FILE)) as db:
        db.execute("BEGIN IMMEDIATE")
        answer = act(Transaction(db))
        db.execute("COMMIT")
    return answer


def release(transaction: Transaction, seqs: Sequence[int], by: str, why: str) -> list[int]:
    """Make held results final; the released ones' seqs. Errors: LookupError (one of them is not held)."""
    state, released = State(transaction.db), []
    for seq in dict.fromkeys(seqs):
        row, body = _standing(transaction.db, seq)
        if "hold" not in body["attributes"]:
            raise LookupError(f"{seq} is not held. `assaygate qc held -c FILE` lists what is.")
        new = _store(transaction, made(row, body, seq, by, why))
        for uid in _uids(transaction.db, row.raw, seq):
            state.drop(HELD + uid)
        transaction.audit(
            "qc.released", seq=seq, released=new, device=row.device, quantity=row.quantity, by=by, why=why
        )
        released.append(new)
    return released


def review(transaction: Transaction, seq: int, decision: Decision, by: str, why: str) -> int:
    """Say something of a control's measurement; the seq that stands for it now. Errors: LookupError."""
    row, body = _standing(transaction.db, seq)
    told = body["attributes"].get("qc")
    if told is None:
        raise LookupError(f"{seq} is no measurement of a control. `assaygate qc show -c FILE CONTROL` lists them.")
    outcome, stands = DONE[decision], seq
    if decision in ("accept", "reject"):
        told = {**told, "verdict": outcome}
        reviewed = said(by, why, was=body["attributes"]["qc"])
        attributes = {**body["attributes"], "qc": told, "reviewed": reviewed}
        stands = _store(transaction, correction(row, body, seq, body["status"], attributes))
        _remember(transaction, seq, row, told, reviewed["was"]["verdict"])
    transaction.audit(
        f"qc.{outcome}", seq=seq, stands=stands, control=told["control"], device=row.device, by=by, why=why
    )
    return stands


def _remember(transaction: Transaction, seq: int, row: Row, told: dict[str, Any], was: str) -> None:
    """The control's standing and statistics follow a person's verdict."""
    state, name = State(transaction.db), f"{CONTROL}{row.device}:{told['control']}"
    found = state.get(name)
    if not found:
        return
    known, now, value = Control(**found), told["verdict"], told.get("value")
    if known.lot == told["lot"] and value is not None and (was == Outcome.REJECTED) != (now == Outcome.REJECTED):
        if now == Outcome.REJECTED:
            known.keep(known.tally.minus(value))
        else:
            known.count(value, row.time)
    if known.last.get("uid") in _uids(transaction.db, row.raw, seq):
        known.last = {**known.last, "outcome": now, "rules": told["rules"] if now == was else []}
    if now == Outcome.ACCEPTED:
        at = min(row.time, time.time_ns() // 1000)
        known.accepted = max(at, known.accepted or at)
    state.put(name, asdict(known))


def act(transaction: Transaction, options: Sequence[ControlOptions], device: str | None, by: str, why: str) -> None:
    """Record a corrective action: the counters of the controls' tests begin anew. Results stay held until a control is
    accepted, or a person releases them. Errors: LookupError (it was never measured on `device`)."""
    state, now = State(transaction.db), time.time_ns() // 1000
    for one in options:
        known = [name for name in state.names(CONTROL) if name.partition(":")[2] == one.id]
        chosen = [name for name in known if device in (None, name.partition(":")[0])]
        if device is not None and not chosen:
            on = ", ".join(name.partition(":")[0] for name in known) or "none"
            raise LookupError(f"{one.id} was not measured on {device!r}. It was on: {on}.")
        for name in chosen:
            control.forget(state, name.partition(":")[0], one.quantity)
            state.put(CONTROL + name, {**state.get(CONTROL + name), "action": now})
        transaction.audit("qc.action", control=one.id, device=device, by=by, why=why)


def read_back(
    transaction: Transaction, seq: int, by: str, to: str, repeated: bool, why: str = "", at: int | None = None
) -> None:
    """Record that somebody was told a critical value (`at` in unix microseconds; None: now), and whether it was read
    back; without that it stays listed. Errors: LookupError (it is no critical value)."""
    row, body = _standing(transaction.db, seq)
    if "critical" not in body["attributes"]:
        raise LookupError(f"{seq} is no critical value. `assaygate qc critical -c FILE` lists what is.")
    if repeated:
        state = State(transaction.db)
        for uid in _uids(transaction.db, row.raw, seq):
            state.drop(CRITICAL + uid)
    when = written(time.time_ns() // 1000 if at is None else at)
    transaction.audit("critical.acknowledged", seq=seq, by=by, to=to, told_at=when, read_back=repeated, why=why)


def controls(config: Config, control_id: str) -> list[ControlOptions]:
    """The control called so. Errors: LookupError."""
    found = [one for one in config.controls if one.id == control_id]
    if not found:
        known = ", ".join(one.id for one in config.controls) or "none"
        raise LookupError(f"no control is called {control_id!r}. Known are: {known}.")
    return found


# ---- observations that stand for others


def _standing(db: sqlite3.Connection, seq: int) -> tuple[Row, dict[str, Any]]:
    """A stored observation that none corrects. Errors: LookupError."""
    found = db.execute(f"SELECT {COLUMNS} FROM observation WHERE seq=?", (seq,)).fetchone()  # noqa: S608 - constants
    if found is None:
        raise LookupError(f"there is no observation {seq}. Take a seq of the list.")
    row = Row(*found)
    for later, body in db.execute("SELECT seq, body FROM observation WHERE raw=? AND seq>?", (row.raw, seq)):
        if orjson.loads(body)["attributes"].get(CORRECTS) == seq:
            raise LookupError(f"{seq} is corrected by {later} already. Name that one.")
    return row, dict(orjson.loads(row.body))


def _uids(db: sqlite3.Connection, raw: int, seq: int | None) -> list[str]:
    """Of an observation and those it corrects, newest first."""
    rows = db.execute("SELECT seq, uid, body FROM observation WHERE raw=?", (raw,)).fetchall()
    by_seq = {one: (uid.hex(), orjson.loads(body)["attributes"].get(CORRECTS)) for one, uid, body in rows}
    uids = []
    while seq in by_seq:
        uid, seq = by_seq.pop(seq)
        uids.append(uid)
    return uids


def _store(transaction: Transaction, row: Row) -> int:
    """Its seq."""
    transaction.observe([row])
    return int(transaction.db.execute("SELECT seq FROM observation WHERE uid=?", (row.uid,)).fetchone()[0])
