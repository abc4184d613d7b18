"""How an alarm system does, by its transitions: rates, floods, chattering, what stands. Pure.

Figures it is measured by: EEMUA 191 and ISA-18.2 (IEC 62682), per operator: on average one alarm in ten minutes is very
likely acceptable and two can be dealt with, more than ten in ten minutes is a flood (it ends below five), under a
hundredth of the time in flood, fewer than five standing for over a day, priorities about 80, 15 and 5 in a hundred,
the ten worst together under a twentieth.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

TEN_MINUTES: Final = 600.0
FLOOD_BEGINS, FLOOD_ENDS = 10, 5  # alarms in ten minutes: more than, fewer than
CHATTERS: Final = 3  # raised and cleared so often within a minute
FLEETING: Final = 60.0  # seconds: over before anybody can respond
STANDING: Final = 86_400.0
WORST: Final = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One transition as the audit chain has it. `at` in unix seconds."""

    alarm: str
    transition: str
    at: float
    by: str = ""
    priority: str = ""


@dataclass(slots=True)
class _Course:
    """What is known of one alarm so far."""

    raised: float | None = None
    unanswered: float | None = None
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=CHATTERS))


@dataclass(slots=True)
class Statistics:
    """Made by `statistics`. Times in seconds."""

    since: float
    until: float
    raised: int = 0
    per_hour: float = 0.0
    per_ten_minutes: float = 0.0
    peak: int = 0  # in any ten minutes
    flood_share: float = 0.0  # of the time
    chattering: list[str] = field(default_factory=list)
    fleeting: int = 0
    standing: list[str] = field(default_factory=list)  # active for more than a day, at the end
    unanswered: list[str] = field(default_factory=list)  # at the end
    answered_within: float | None = None  # median
    priorities: dict[str, float] = field(default_factory=dict)  # shares
    worst: list[tuple[str, int]] = field(default_factory=list)
    worst_share: float = 0.0

    def verdicts(self) -> list[tuple[str, bool, str]]:
        """What is measured, whether it is as it should be, and the figure it is measured by."""
        high = self.priorities.get("critical", 0.0) + self.priorities.get("high", 0.0)
        return [
            ("alarms in ten minutes", self.per_ten_minutes <= 1.0, "at most 1 on average (2 can be dealt with)"),
            ("alarms in the worst ten minutes", self.peak <= FLOOD_BEGINS, "at most 10"),
            ("time in flood", self.flood_share < 0.01, "under 1 %"),
            ("chattering alarms", not self.chattering, "none"),
            ("alarms standing for over a day", len(self.standing) < 5, "fewer than 5"),
            ("critical and high alarms", self.raised == 0 or high <= 0.2, "about 5 % and 15 %"),
            ("the ten worst together", self.raised < 100 or self.worst_share <= 0.05, "under 5 % of 100 or more"),
        ]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in self.__slots__}
        checks = [{"what": what, "ok": ok, "wanted": wanted} for what, ok, wanted in self.verdicts()]
        return {**told, "worst": [{"alarm": alarm, "raised": count} for alarm, count in self.worst], "verdicts": checks}


def statistics(entries: Iterable[Entry], since: float, until: float) -> Statistics:
    """Of transitions in the order of their times; those before `since` only tell what stood then."""
    found = Statistics(since, until)
    courses: dict[str, _Course] = {}
    counts: Counter[str] = Counter()
    priorities: Counter[str] = Counter()
    answers: list[float] = []
    chatter: dict[str, None] = {}
    rings: list[float] = []
    for entry in entries:
        if entry.at > until:
            break
        course = courses.setdefault(entry.alarm, _Course())
        within = entry.at >= since
        if entry.transition in ("raised", "cleared"):
            course.changes.append(entry.at)
            if within and len(course.changes) == CHATTERS and entry.at - course.changes[0] <= 60.0:
                chatter[entry.alarm] = None
        if entry.transition == "raised":
            course.raised, course.unanswered = entry.at, entry.at
            if within:
                counts[entry.alarm] += 1
                priorities[entry.priority] += 1
                rings.append(entry.at)
        elif entry.transition == "cleared":
            if within and course.raised is not None and entry.at - course.raised < FLEETING:
                found.fleeting += 1
            course.raised = None
        elif entry.transition == "acknowledged":
            if within and course.unanswered is not None:
                answers.append(entry.at - course.unanswered)
            course.unanswered = None
    _rates(found, rings)
    found.chattering = list(chatter)
    found.standing = [name for name, one in courses.items() if one.raised is not None and until - one.raised > STANDING]
    found.unanswered = [name for name, one in courses.items() if one.unanswered is not None]
    found.answered_within = sorted(answers)[len(answers) // 2] if answers else None
    found.priorities = _shares(priorities)
    found.worst = counts.most_common(WORST)
    found.worst_share = sum(count for _, count in found.worst) / found.raised if found.raised else 0.0
    return found


def _rates(found: Statistics, rings: list[float]) -> None:
    span = max(found.until - found.since, 1.0)
    found.raised = len(rings)
    found.per_hour = len(rings) * 3600.0 / span
    found.per_ten_minutes = len(rings) * TEN_MINUTES / span
    lately: deque[float] = deque()
    newest: deque[float] = deque(maxlen=FLOOD_ENDS)
    began: float | None = None
    flooded = 0.0
    for at in [*rings, math.inf]:
        if began is not None and (over := newest[0] + TEN_MINUTES) <= at:  # from then on fewer than five are left
            flooded += min(over, found.until) - began
            began = None
        if at == math.inf:
            break
        lately.append(at)
        newest.append(at)
        while lately[0] <= at - TEN_MINUTES:
            lately.popleft()
        found.peak = max(found.peak, len(lately))
        if began is None and len(lately) > FLOOD_BEGINS:
            began = at
    found.flood_share = flooded / span


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    whole = sum(counts.values())
    return {name: count / whole for name, count in counts.items()}
