"""What people are told: entries, one an alarm, and the message that several of them make together. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from gateway.alarms.view import AlarmView

MOST_NAMED: Final = 20  # alarms a message names, the gravest first
MOST_CRITICAL: Final = 10  # in one message, so that each is named and none is cut off
MOST_TITLE: Final = 200
MOST_LINE: Final = 150  # of each alarm's text where there are several
MOST_ENTRY: Final = 2000  # of an alarm's text
MOST_TEXT: Final = 4000  # what common messengers take
RANKS: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3}
PATH_TEST: Final = "path-test"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]")


class What(StrEnum):
    RAISED = "raised"
    STILL = "still on"  # held back until now, or told again
    ESCALATED = "not acknowledged"  # nobody has, and the next group is told
    CLEARED = "cleared"
    OVER = "over meanwhile"  # it went before anybody could be told
    UNANSWERED = "not answered"  # the weekly test


_UNSEEN: Final = (What.STILL, What.ESCALATED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One alarm to be told of. Times are unix seconds."""

    alarm: str
    what: What
    priority: str
    title: str
    text: str
    raised: str  # RFC 3339; with `alarm` it names the occurrence
    at: float  # since when it waits to be told
    over: float | None = None  # None: it is on

    @property
    def on(self) -> bool:
        return self.over is None

    @property
    def critical(self) -> bool:
        return self.priority == "critical"

    @property
    def head(self) -> str:
        return f"{self.priority.upper()} {self.what}: {self.title}"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent at one time to one notifier."""

    title: str
    text: str
    items: tuple[Entry, ...] = ()
    test: bool = False

    def as_dict(self, notifier: str, site: str, now: float) -> dict[str, Any]:
        """For programs. `event` names one thing that happened: it is the same when a message comes twice."""
        items = [
            {**{key: value for key, value in asdict(one).items() if key not in ("at", "over")},
             "event": f"{one.alarm}@{one.raised}:{one.what}"}
            for one in self.items
        ]  # fmt: skip
        return {"site": site, "notifier": notifier, "sent": written(now), "test": self.test, "title": self.title,
                "text": self.text, "alarms": items}  # fmt: skip


def entry(view: AlarmView, what: What, now: float) -> Entry:
    """What is to be told of an alarm as it stands."""
    where = " ".join(part for part in (view.title, view.device, view.quantity) if part)
    over = datetime.fromisoformat(view.cleared).timestamp() if view.cleared else None
    since = f"Over since {view.cleared}, and nobody has acknowledged it." if over and what in _UNSEEN else ""
    acts = (f"What to do: {view.action}" if view.action else "", view.text)
    why = (f"If nobody acts: {view.consequence}" if view.consequence else "",)
    by = (f"Act by {view.respond_by}." if view.respond_by else "",)
    text = " ".join(part for part in (since, view.explanation, *acts, *why, *by) if part)
    title = _plain(where).replace("\n", " ")[:MOST_TITLE]
    if since:
        what = What.ESCALATED
    return Entry(view.id, what, view.priority, title, _cut(_plain(text), MOST_ENTRY), view.raised or "", now, over)


def compose(entries: Sequence[Entry], note: str = "") -> Message:
    """One message of several entries: the gravest first, what is over in one line."""
    order = sorted(entries, key=lambda one: (not one.on, RANKS.get(one.priority, 9)))
    over = [one for one in order if one.what is What.OVER]
    told = [one for one in order if one.what is not What.OVER]
    lines = [f"{one.head}. {_cut(one.text, MOST_LINE)}".rstrip() for one in told[:MOST_NAMED]]
    if left := len(told) - len(lines):
        lines.append(f"and {left} more: see the page")
    if over:
        lines.append("Over meanwhile: " + "; ".join(_over(one) for one in over[:MOST_NAMED]) + _more(over))
    if note:
        lines.append(note)
    first = order[0]
    title = first.head if len(order) == 1 else f"{len(order)} alarms, {first.head}"
    text = f"{first.text}\n{note}".strip() if len(told) == 1 and not over else "\n".join(lines)
    return Message(title[:MOST_TITLE], _cut(text, MOST_TEXT), tuple(order))


def written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _over(one: Entry) -> str:
    until = written(one.over) if one.over is not None else "?"
    return f"{one.title} ({one.raised} to {until})"


def _more(over: Sequence[Entry]) -> str:
    return f" and {len(over) - MOST_NAMED} more" if len(over) > MOST_NAMED else ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _plain(text: str) -> str:
    """Instruments send what they like: no control character reaches a mail's header or a terminal."""
    return _CONTROL.sub(" ", text)
