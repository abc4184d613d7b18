"""What the journal knows about alarms: where they stand, what became of them, why one is on."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson

from gateway.alarms.annunciator import Annunciator
from gateway.alarms.defaults import TOLD, defaults
from gateway.alarms.instance import Instance, rfc3339
from gateway.alarms.statistics import Entry, Statistics, statistics
from gateway.config import Config
from gateway.journal.schema import ALARMS
from gateway.journal.transaction import read_cursor

LAST: Final = (1 << 63) - 1
AROUND: Final = 12  # readings before and after an alarm was raised
ACTIONS: Final = ("alarm.", "suppression.", "maintenance.")  # begin so


def standing(db: sqlite3.Connection, config: Config) -> Annunciator:
    """The panel as it was last saved: at every transition, and once a minute."""
    panel = Annunciator(defaults(config), config.suppressions, TOLD)
    cursor = read_cursor(db, ALARMS)
    panel.load(cursor.state if cursor else {})
    return panel


def history(
    db: sqlite3.Connection, since: float | None = None, until: float | None = None, alarm: str = "*"
) -> Iterator[dict[str, Any]]:
    """Every transition, oldest first: `n` and `at` (RFC 3339, when it was written) of the audit chain, `time` (RFC
    3339, when it happened by the readings), alarm, transition, by, why, priority. `since`, `until` in unix seconds."""
    query = "SELECT n, at, body FROM audit WHERE at >= ? AND at < ? ORDER BY n"
    for n, at, text in db.execute(query, (_nanoseconds(since or 0.0), _nanoseconds(until))):
        body = orjson.loads(text)
        if not body["action"].startswith(ACTIONS) or not fnmatchcase(body.get("alarm", body.get("device", "")), alarm):
            continue
        yield {
            "n": n,
            "at": rfc3339(at / 1e9),
            "time": rfc3339(body.get("at_device", at / 1e9)),
            "alarm": body.get("alarm", ""),
            "device": body.get("device", ""),
            "transition": body.get("transition", body["action"]),
            "priority": body.get("priority", ""),
            "by": body.get("by", ""),
            "why": body.get("why", ""),
        }


def measured(db: sqlite3.Connection, since: float, until: float) -> Statistics:
    """The figures of a period (unix seconds), by when people were told."""
    query = 'SELECT at, body FROM audit WHERE at < ? AND body LIKE \'%"action":"alarm.%\' ORDER BY n'

    def entries() -> Iterator[Entry]:
        for at, text in db.execute(query, (_nanoseconds(until),)):
            body = orjson.loads(text)
            told = body["alarm"], body["transition"], at / 1e9, body.get("by", ""), body.get("priority", "")
            yield Entry(*told)

    return statistics(entries(), since, until)


def explain(db: sqlite3.Connection, config: Config, alarm_id: str) -> dict[str, Any]:
    """Why an alarm is as it is: the rule, where it stands, its transitions and the readings around the last raise.

    Errors: LookupError (no such alarm)."""
    panel = standing(db, config)
    instance = panel.instances.get(alarm_id)
    if instance is None:
        known = ", ".join(sorted(panel.instances)[:20]) or "none yet"
        raise LookupError(f"no alarm is called {alarm_id!r}. Known are: {known}.")
    return story(db, facts(panel, instance))


def facts(panel: Annunciator, instance: Instance) -> dict[str, Any]:
    """Where an alarm stands and why, by the panel alone."""
    view = asdict(instance.view())
    suppressions = panel.suppressions.standing(instance.life.raised or 0.0)
    return {
        **{name: view[name] for name in ("id", "device", "quantity", "state", "priority", "title", "rule",
                                         "explanation", "consequence", "action", "text", "raised", "cleared",
                                         "acknowledged_at", "acknowledged_by", "comment", "aside_by", "aside_reason",
                                         "respond_by")},
        "suppressions": [one for one in suppressions if one["device"] == instance.device],
    }  # fmt: skip


def story(db: sqlite3.Connection, told: dict[str, Any]) -> dict[str, Any]:
    """The facts of an alarm with its last transitions and the readings around its raise."""
    transitions = list(deque(history(db, alarm=told["id"].replace("[", "[[]")), 20))
    return {**told, "transitions": transitions, "readings": _around(db, told)}


def _nanoseconds(moment: float | None) -> int:
    """As the audit chain has it; what lies beyond its numbers is their end."""
    return LAST if moment is None else max(-LAST, min(LAST, int(moment * 1e9)))


def _around(db: sqlite3.Connection, told: dict[str, Any]) -> list[dict[str, Any]]:
    if told["raised"] is None or not told["device"]:
        return []
    at = int(datetime.fromisoformat(told["raised"]).timestamp() * 1e6)
    series = (told["device"], told["quantity"] or "*", at, AROUND)
    before = db.execute(
        "SELECT body FROM observation WHERE device = ? AND quantity GLOB ? AND time <= ? ORDER BY time DESC LIMIT ?",
        series,
    ).fetchall()
    after = db.execute(
        "SELECT body FROM observation WHERE device = ? AND quantity GLOB ? AND time > ? ORDER BY time LIMIT ?", series
    ).fetchall()
    found = []
    for (body,) in [*reversed(before), *after]:
        row = orjson.loads(body)
        found.append({name: row[name] for name in ("time", "quantity", "value", "unit", "quality", "raw")})
    return found
