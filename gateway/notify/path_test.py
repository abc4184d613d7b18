"""The weekly test of the whole path: due, sent, answered by somebody. Pure, its time is given to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.kit.durations import written
from gateway.notify.message import PATH_TEST
from gateway.notify.options import AlarmTest

Record = tuple[str, dict[str, Any]]


class PathTest:
    """Where the test of one configuration stands. Times are unix seconds."""

    def __init__(self, options: AlarmTest | None, state: Mapping[str, Any]) -> None:
        """`state`: a former `dump`."""
        self._options = options
        self._last: float | None = state.get("last")  # when the latest one that was begun was due
        self._since: float | None = state.get("since")  # None: none waits for an answer
        self._late: bool = state.get("late", False)
        self._sent: list[str] = list(state.get("sent", ()))  # notifiers it has gone to

    def dump(self) -> dict[str, Any]:
        return {"last": self._last, "since": self._since, "late": self._late, "sent": list(self._sent)}

    @property
    def standing(self) -> tuple[bool, str]:
        """Whether the alarm of the test is on, and its words."""
        if self._options is None or self._since is None:
            return False, ""
        within = written(self._options.answer_within)
        if self._late:
            return False, f"nobody acknowledged it within {within}"
        return True, f"acknowledge it within {within}: so it is known that alarms reach you"

    @property
    def unanswered(self) -> bool:
        return self._since is not None and self._late

    def tick(self, now: float) -> list[Record]:
        """Begin one that is due, once however many were missed; note one that nobody answers."""
        options = self._options
        if options is None:
            self._since = None
            return []
        due = options.latest(now)
        if self._last is None or self._last > now:  # the first start, or the clock was put back
            self._last = due
        elif due > self._last:
            self._last, self._since, self._late, self._sent = due, now, False, []
        if self._since is not None:
            self._since = min(self._since, now)  # the clock was put back
        if self._since is not None and not self._late and now - self._since > options.answer_within:
            self._late = True
            return [("test.unanswered", {"due": self._last, "within": options.answer_within})]
        return []

    def sent(self, notifier: str) -> list[Record]:
        """It has gone to a notifier."""
        if self._since is None or notifier in self._sent:
            return []
        self._sent.append(notifier)
        return [("test.sent", {"notifier": notifier, "by": PATH_TEST, "due": self._last})]

    def answered(self, by: str, now: float) -> list[Record]:
        """Somebody acknowledged it."""
        if self._since is None:
            return []
        record = {"by": by, "after": round(now - self._since, 3), "in_time": not self._late}
        self._since, self._late = None, False
        return [("test.answered", record)]
