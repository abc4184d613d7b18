"""What of the gateway itself the alarms look at: journal, links, stores, quarantine, signs, calibrations, notifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from gateway.alarms.options import AlarmOptions
from gateway.links.link import LinkState

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.session import Session
    from gateway.sinks.state import Sink

LINK_LOST_FOR: Final = 60.0
CALIBRATION_AHEAD: Final = timedelta(days=14)


class Surroundings(Protocol):
    """What of the gateway the alarms watch besides observations."""

    @property
    def sessions(self) -> Mapping[str, Session]: ...

    @property
    def sinks(self) -> Mapping[str, Sink]: ...

    @property
    def signs(self) -> Mapping[str, float]: ...


class Finding(NamedTuple):
    """Whether something is so: of what (a device, a sink or nothing), in words, with a figure."""

    name: str
    is_true: bool
    words: str
    value: float | None = None


class Looked(NamedTuple):
    """Everything one look may see."""

    config: Config
    around: Surroundings
    trouble: str  # of the journal
    quarantined: int
    failing: Mapping[str, str]  # notifiers -> why
    path_test: tuple[bool, str]
    quality: Mapping[str, tuple[bool, str]]  # what quality control says: see gateway.qc.view.standing
    held: int  # results that wait for their release
    now: float


def _journal(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    yield Finding("", bool(at.trouble), at.trouble)


def _links(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    for name, session in at.around.sessions.items():
        yield Finding(name, session.link_state is LinkState.WAITING, session.link_detail)


def _calibrations(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    today = datetime.fromtimestamp(at.now, UTC).date()
    for device in at.config.devices:
        if device.calibration and (due := device.calibration.due):
            yield Finding(device.id, today >= due - CALIBRATION_AHEAD, _due(due, today), float((due - today).days))


def _due(due: date, today: date) -> str:
    return f"the calibration {'was due' if due < today else 'is due'} on {due}"


def _undelivered(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    for notifier in at.config.notifiers:
        why = at.failing.get(notifier.id, "")
        yield Finding(notifier.id, bool(why), why)


def _path_test(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    yield Finding("", *at.path_test)


def _quality(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    for name, (is_wrong, words) in at.quality.items():
        if name != "critical":
            yield Finding(name.replace(":", "-"), is_wrong, words)


def _critical(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    if "critical" in at.quality:
        yield Finding("", *at.quality["critical"])


def _held(_alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    yield Finding("", at.held > 0, f"{at.held} results wait for somebody to release them", at.held)


def _behind(alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    for name, sink in at.around.sinks.items():
        if fnmatchcase(name, alarm.when.sink):
            late, state = sink.state.behind_seconds, sink.state
            words = f"{state.behind} observations behind, the oldest {late:.0f} s: {state.last_error}"
            yield Finding(name, late >= (alarm.when.behind or 0.0), words, late)


def _quarantine(alarm: AlarmOptions, at: Looked) -> Iterator[Finding]:
    count = at.quarantined
    yield Finding("", count >= (alarm.when.quarantine or 1), f"{count} messages not understood", count)


Look = Callable[[AlarmOptions, Looked], Iterator[Finding]]
LOOKS: Final[Mapping[str, Look]] = {  # by the alarm's id
    "journal": _journal,
    "link-lost": _links,
    "calibration-due": _calibrations,
    "undelivered": _undelivered,
    "path-test": _path_test,
    "quality-control": _quality,
    "critical-value": _critical,
    "held-results": _held,
}


def look(alarm: AlarmOptions) -> Look | None:
    """How an alarm that is about the gateway is looked at; None: it is about observations, or a sign."""
    if alarm.id in LOOKS:
        return LOOKS[alarm.id]
    if alarm.when.behind is not None:
        return _behind
    return _quarantine if alarm.when.quarantine is not None else None
