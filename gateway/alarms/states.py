"""The life of one alarm (ISA-18.2 / IEC 62682): pure transitions, each with its time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned-unacknowledged"  # over by itself, and nobody has seen it
    SHELVED = "shelved"  # out of sight for a time, by a person, with a reason


class Transition(StrEnum):
    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"


class NotNowError(ValueError):
    """What was asked does not fit the alarm's state."""


@dataclass(frozen=True, slots=True)
class Life:
    """Where one alarm stands. Times are unix seconds."""

    state: State = State.NORMAL
    active: bool = False  # the condition holds, whatever people have done
    raised: float | None = None
    cleared: float | None = None
    acknowledged: float | None = None
    by: str = ""  # who acknowledged
    comment: str = ""
    shelved_until: float | None = None
    shelved_by: str = ""
    reason: str = ""

    @property
    def open(self) -> bool:
        """True while people should see it somewhere."""
        return self.state is not State.NORMAL


def condition(life: Life, holds: bool, at: float) -> tuple[Life, Transition | None]:
    """The condition began or ended to hold. Shelved alarms follow it silently."""
    if holds == life.active:
        return life, None
    if holds:
        seen = replace(life, active=True, raised=at, cleared=None, acknowledged=None, by="", comment="")
        if life.state is State.SHELVED:
            return seen, None
        return replace(seen, state=State.UNACKNOWLEDGED), Transition.RAISED
    over = replace(life, active=False, cleared=at)
    match life.state:
        case State.UNACKNOWLEDGED:
            return replace(over, state=State.RETURNED), Transition.CLEARED
        case State.ACKNOWLEDGED:
            return replace(over, state=State.NORMAL), Transition.CLEARED
    return over, None


def acknowledge(life: Life, at: float, by: str, comment: str = "") -> tuple[Life, Transition]:
    """A person has seen it. Errors: NotNowError."""
    if life.state not in (State.UNACKNOWLEDGED, State.RETURNED):
        raise NotNowError(f"this alarm is {life.state}: there is nothing to acknowledge")
    state = State.ACKNOWLEDGED if life.state is State.UNACKNOWLEDGED else State.NORMAL
    return replace(life, state=state, acknowledged=at, by=by, comment=comment), Transition.ACKNOWLEDGED


def shelve(life: Life, until: float, by: str, reason: str) -> tuple[Life, Transition]:
    """A person puts it aside until a time. Errors: NotNowError."""
    if life.state in (State.NORMAL, State.SHELVED):
        raise NotNowError(f"this alarm is {life.state}: only one that is open can be shelved")
    put = replace(life, state=State.SHELVED, shelved_until=until, shelved_by=by, reason=reason)
    return put, Transition.SHELVED


def unshelve(life: Life) -> tuple[Life, Transition]:
    """Back in sight, by a person or because its time is over: as new where the condition holds. Errors: NotNowError."""
    if life.state is not State.SHELVED:
        raise NotNowError(f"this alarm is {life.state}, not shelved")
    state = State.UNACKNOWLEDGED if life.active else State.NORMAL
    back = replace(
        life, state=state, shelved_until=None, shelved_by="", reason="", acknowledged=None, by="", comment=""
    )
    return back, Transition.UNSHELVED
