"""Alarms that come and go on a clock of the test's own, and what people hear of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from gateway.alarms.options import AlarmOptions
from gateway.alarms.states import Transition
from gateway.alarms.view import AlarmView
from gateway.config import parse
from gateway.notify.dispatch import Dispatch
from gateway.notify.message import Message, compose

PEOPLE = """
[[notifiers]]
id = "oncall"
type = "log"
[[notifiers]]
id = "chief"
type = "log"
"""


def moment(written: str, zone: str = "UTC", fold: int = 0) -> float:
    """Unix seconds of a wall clock's time."""
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


START = moment("2026-03-02 12:00")  # a Monday


def rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


class Lab:
    """Alarms that come and go, and what people hear of them; `reachable`: whether messages arrive."""

    def __init__(self, config: str = PEOPLE, now: float = START) -> None:
        self._config = parse(config)
        self.dispatch = Dispatch(self._config, {})
        self.now = now
        self.reachable = True
        self.heard: dict[str, list[Message]] = {one.id: [] for one in self._config.notifiers}
        self.open: dict[str, tuple[AlarmView, AlarmOptions]] = {}
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self.dispatch.tick(now, [])

    def options(self, name: str, **more: Any) -> AlarmOptions:
        given = {"id": name, "when": {"above": 1.0}, "notify": ["oncall"], "priority": "high"} | more
        return AlarmOptions.model_validate(given)

    def rise(self, name: str = "warm", *, already_over: bool = False, **more: Any) -> None:
        options = self.options(name, **more)
        view = AlarmView(
            id=name, alarm=name, device="freezer-3", quantity="temperature", state="unacknowledged",
            priority=str(options.priority), title=options.title or name,
            text=options.text or "Move the samples.", raised=rfc3339(self.now),
            cleared=rfc3339(self.now) if already_over else None,
            acknowledged_at=None, acknowledged_by="", comment="", shelved_until=None,
            **{field: "" for field in AlarmView.__dataclass_fields__ if field in ("shelved_by", "aside_by")},
            **_further(), value=-60.0, limit=-70.0, explanation="-60 is above -70",
        )  # fmt: skip
        self.open[name] = (view, options)
        self.dispatch.moved(view, options, Transition.RAISED, self.now)

    def fall(self, name: str = "warm") -> None:
        view, options = self.open[name]
        state = "normal" if view.acknowledged_at else "returned-unacknowledged"
        view = replace(view, state=state, cleared=rfc3339(self.now))
        self.open[name] = (view, options)
        if state == "normal":
            del self.open[name]
        self.dispatch.moved(view, options, Transition.CLEARED, self.now)

    def acknowledge(self, name: str = "warm", by: str = "op7") -> None:
        view, options = self.open[name]
        state = "normal" if view.cleared else "acknowledged"
        view = replace(view, state=state, acknowledged_at=rfc3339(self.now), acknowledged_by=by)
        self.open[name] = (view, options)
        if state == "normal":
            del self.open[name]
        self.dispatch.moved(view, options, Transition.ACKNOWLEDGED, self.now)

    def shelve(self, name: str = "warm") -> None:
        view, options = self.open[name]
        self.open[name] = (replace(view, state="shelved"), options)
        self.dispatch.moved(self.open[name][0], options, Transition.SHELVED, self.now)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            self.look()

    def until(self, at: float, step: float = 30.0) -> None:
        self.wait(at - self.now, step)

    def look(self) -> None:
        """One tick, and deliveries."""
        self.dispatch.tick(self.now, list(self.open.values()))
        for name, box in self.dispatch.outboxes.items():
            while self.reachable and (batch := box.due(self.now)):
                note = box.note
                self.heard[name].append(compose(batch, note))
                self.dispatch.delivered(name, batch, note, 1)
        self.kept += self.dispatch.records
        self.dispatch.records.clear()

    def restart(self) -> None:
        self.dispatch = Dispatch(self._config, orjson.loads(orjson.dumps(self.dispatch.dump())))

    def titles(self, name: str) -> list[str]:
        return [message.title for message in self.heard[name]]

    def actions(self) -> Counter[str]:
        return Counter(action for action, _ in self.kept)


def _further() -> dict[str, Any]:
    """Whatever else a view may have, empty."""
    known = {
        "id", "alarm", "device", "quantity", "state", "priority", "title", "text", "raised", "cleared",
        "acknowledged_at", "acknowledged_by", "comment", "shelved_until", "value", "limit", "explanation",
        "shelved_by", "aside_by",
    }  # fmt: skip
    return {name: "" for name in AlarmView.__dataclass_fields__ if name not in known}
