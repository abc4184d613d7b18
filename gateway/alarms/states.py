"""The life of one alarm (ISA-18.2 / IEC 62682, figure of the alarm states): pure transitions, each with its time.

An alarm that people have before them stays there until they have dealt with it: suppression by design keeps one from
being raised, it never takes one away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class State(StrEnum):
    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned-unacknowledged"  # over by itself, and nobody has seen it
    LATCHED_UNACKNOWLEDGED = "latched-unacknowledged"  # over by itself, nobody has seen it, and somebody must reset it
    LATCHED = "latched-acknowledged"  # over and seen; somebody must reset it
    SHELVED = "shelved"  # out of sight for a time, by a person, with a reason
    SUPPRESSED = "suppressed"  # would be raised, but for a cause that the configuration names
    OUT_OF_SERVICE = "out-of-service"  # by a person, with a reason, until a person takes it back


class Transition(StrEnum):
    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    REMOVED = "out-of-service"
    RETURNED_TO_SERVICE = "in-service"
    LATE = "late"  # readings that came late would have raised it while it is open anyway


ASIDE: Final = frozenset({State.SHELVED, State.SUPPRESSED, State.OUT_OF_SERVICE})  # follow their condition silently
RINGING: Final = frozenset({State.UNACKNOWLEDGED, State.RETURNED, State.LATCHED_UNACKNOWLEDGED})


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
    aside_by: str = ""  # who shelved it or took it out of service, or what suppresses it
    reason: str = ""
    unseen: bool = False  # latches, and was over while it was aside

    @property
    def open(self) -> bool:
        """True while people should see it somewhere."""
        return self.state is not State.NORMAL


def condition(
    life: Life, holds: bool, at: float, *, latch: bool = False, suppressed: tuple[str, str] | None = None
) -> tuple[Life, Transition | None]:
    """The condition began or ended to hold. `suppressed`: by what and why, while something does. An alarm that was put
    aside follows silently."""
    if holds == life.active:
        return life, None
    if holds:
        seen = replace(life, active=True, raised=at, cleared=None, acknowledged=None, by="", comment="", unseen=False)
        if life.state in ASIDE:
            return seen, None
        if suppressed and life.state is State.NORMAL:
            by, why = suppressed
            return replace(seen, state=State.SUPPRESSED, aside_by=by, reason=why), Transition.SUPPRESSED
        return replace(seen, state=State.UNACKNOWLEDGED), Transition.RAISED
    over = replace(life, active=False, cleared=at)
    match life.state:
        case State.UNACKNOWLEDGED:
            return replace(over, state=State.LATCHED_UNACKNOWLEDGED if latch else State.RETURNED), Transition.CLEARED
        case State.ACKNOWLEDGED:
            return replace(over, state=State.LATCHED if latch else State.NORMAL), Transition.CLEARED
        case State.SUPPRESSED:
            return replace(over, state=State.NORMAL, aside_by="", reason=""), Transition.CLEARED
    return replace(over, unseen=latch), None


def passed(life: Life, at: float, until: float, *, latch: bool = False) -> tuple[Life, Transition]:
    """Readings that came late show that the condition held from `at` to `until` and is over: somebody has to see it."""
    if life.state is not State.NORMAL:
        return life, Transition.LATE
    state = State.LATCHED_UNACKNOWLEDGED if latch else State.RETURNED
    return Life(state=state, raised=at, cleared=until), Transition.RAISED


def acknowledge(life: Life, at: float, by: str, comment: str = "") -> tuple[Life, Transition]:
    """A person has seen it. Errors: NotNowError."""
    to = {
        State.UNACKNOWLEDGED: State.ACKNOWLEDGED,
        State.RETURNED: State.NORMAL,
        State.LATCHED_UNACKNOWLEDGED: State.LATCHED,
    }.get(life.state)
    if to is None:
        raise NotNowError(f"this alarm is {life.state}: there is nothing to acknowledge")
    return replace(life, state=to, acknowledged=at, by=by, comment=comment), Transition.ACKNOWLEDGED


def reset(life: Life) -> tuple[Life, Transition]:
    """A person lets go an alarm that latches. Errors: NotNowError."""
    if life.state is State.LATCHED_UNACKNOWLEDGED:
        raise NotNowError("this alarm has not been acknowledged: acknowledge it, then reset it")
    if life.state is not State.LATCHED:
        raise NotNowError(f"this alarm is {life.state}: there is nothing to reset")
    return replace(life, state=State.NORMAL), Transition.RESET


def shelve(life: Life, until: float, by: str, reason: str) -> tuple[Life, Transition]:
    """A person puts it aside until a time. Errors: NotNowError."""
    if life.state not in (State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.RETURNED):
        raise NotNowError(f"this alarm is {life.state}: it cannot be shelved")
    put = replace(life, state=State.SHELVED, shelved_until=until, aside_by=by, reason=reason)
    return put, Transition.SHELVED


def unshelve(life: Life) -> tuple[Life, Transition]:
    """Back in sight, by a person or because its time is over: as new where the condition holds. Errors: NotNowError."""
    if life.state is not State.SHELVED:
        raise NotNowError(f"this alarm is {life.state}, not shelved")
    return _back(life), Transition.UNSHELVED


def unsuppress(life: Life) -> tuple[Life, Transition]:
    """What suppressed it is over: as new where the condition holds. Errors: NotNowError."""
    if life.state is not State.SUPPRESSED:
        raise NotNowError(f"this alarm is {life.state}, not suppressed")
    return _back(life), Transition.UNSUPPRESSED


def remove(life: Life, by: str, reason: str) -> tuple[Life, Transition]:
    """A person takes it out of service. Errors: NotNowError."""
    if life.state is State.OUT_OF_SERVICE:
        raise NotNowError("this alarm is out of service already")
    return replace(life, state=State.OUT_OF_SERVICE, shelved_until=None, aside_by=by, reason=reason), Transition.REMOVED


def take_back(life: Life) -> tuple[Life, Transition]:
    """A person takes it back into service: as new where the condition holds. Errors: NotNowError."""
    if life.state is not State.OUT_OF_SERVICE:
        raise NotNowError(f"this alarm is {life.state}, not out of service")
    return _back(life), Transition.RETURNED_TO_SERVICE


def _back(life: Life) -> Life:
    over = State.LATCHED_UNACKNOWLEDGED if life.unseen else State.NORMAL
    back = replace(life, state=State.UNACKNOWLEDGED if life.active else over, shelved_until=None, unseen=False)
    return replace(back, aside_by="", reason="", acknowledged=None, by="", comment="")
