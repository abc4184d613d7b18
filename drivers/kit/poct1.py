"""CLSI POCT1-A / POCT1-A2 device messaging: our side of the conversation, in whole documents.

The device says hello and how it is, and is acknowledged; we ask for its new results and events, topic after topic, and
then let it report by itself (continuous mode) or end the conversation until it connects again. One message is under
way in each direction at most. What puts documents on a wire is another's affair: `xml_documents` cuts at the root's
end tag, `mllp` between its bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum, auto
from typing import Final, Literal
from xml.etree.ElementTree import Element

from drivers.kit.exchange import DecodeError, Event, Reason, Received, Rejected, Send
from drivers.kit.poct1_messages import (
    Hello,
    Style,
    acknowledged,
    acknowledgement,
    at,
    control_id,
    count,
    element,
    hello,
    message,
    style_of,
    tree,
)

TIMEOUT: Final = 60.0  # seconds for an answer, of a device that does not announce its own
SHORTEST: Final = 5.0
LONGEST: Final = 600.0
BUSY: Final = 30.0  # seconds until a device that escaped (it runs a test) is asked again
PATIENCE: Final = 15.0  # seconds a device has to send, without being asked again, the results it announced
TRIES: Final = 3  # times one thing is asked for
FIRST, LAST = 4001, 9999  # control ids of a host, by custom

_LATEST: Final = 253_000_000_000.0  # seconds: the year 9987
_UNANSWERED = frozenset({"ACK", "EOT", "ESC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a maker's devices want to be spoken to.

    `ask`: one request for all new results ("topic"), one for "each" result, or "never" (they come by themselves).
    `continuous`: where the device lists the directive, always, or never. `acknowledge_topic_end`: answer the device's
    EOT with an ACK. `acknowledged_in`: the elements of our ACK that name what it acknowledges.
    """

    ask: Literal["topic", "each", "never"] = "topic"
    continuous: Literal["listed", "always", "never"] = "listed"
    events: bool = True
    set_time: bool = False
    acknowledge_topic_end: bool = False
    acknowledged_in: tuple[str, ...] = ("ACK.ack_control_id",)
    timeout: float | None = None


class _Step(Enum):
    RESULTS = auto()
    EVENTS = auto()
    TIME = auto()
    CONTINUOUS = auto()
    END = auto()


_TOPICS = (_Step.RESULTS, _Step.EVENTS)


class Host:
    """The host's side. An `Exchange` whose every `receive` is one whole document.

    What the device reports is kept before its acknowledgement is written; acknowledgements, ends and keep-alives are
    not kept. `Received.channel` says which device spoke. `recognise` gives the manner for a device that says hello;
    `zone` is of the times in our messages, `encoding` the device's character set where its documents do not say it.
    """

    def __init__(
        self,
        manner: Manner = Manner(),
        *,
        recognise: Callable[[Hello], Manner] | None = None,
        zone: tzinfo = UTC,
        encoding: str | None = None,
    ) -> None:
        self._manner = manner
        self._recognise = recognise or (lambda _hello: manner)
        self._zone = zone
        self._encoding = encoding
        self._hello = Hello()
        self._channel = ""
        self._style = Style()
        self._number = FIRST - 1
        self._plan: deque[_Step] = deque()
        self._doing: _Step | None = None
        self._asked = ""  # the control id of what waits for its answer
        self._tries = 0
        self._left = 0  # results the device announced and has not sent
        self._each = manner.ask == "each"  # it sends one result a request
        self._continuous = False
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When an answer is late, or the next question is due."""
        return self._due

    def receive(self, document: bytes, now: float) -> Iterator[Event]:
        """One whole document."""
        try:
            root, _guessed = tree(document, self._encoding)
        except DecodeError as error:
            yield Rejected(document, Reason.UNREADABLE, self.refuse(document, now), str(error))
            return
        number, kind = at(root, "HDR/HDR.control_id"), root.tag.partition(".")[0]
        if root.find("HDR") is None and kind not in ("OBS", "EVS"):
            yield Rejected(document, Reason.UNREADABLE, detail=f"{root.tag[:40]} is no POCT1-A message")
            return
        if kind == "HEL":
            self._greeted(hello(root), style_of(document, root))
        reply = b"" if kind in _UNANSWERED else self._acknowledge(number, now)
        match kind:
            case "ACK":
                yield Send(b"", document)
                yield from self._acknowledged(*acknowledged(root), now)
            case "EOT":
                yield Send(self._acknowledge(number, now) if self._manner.acknowledge_topic_end else b"", document)
                yield from self._topic_over(now)
            case "ESC":
                yield Received(document, channel=self._channel)
                self._escaped(at(root, "ESC/ESC.esc_control_id"), now)
            case "END":
                yield Send(reply, document)
                self._rest()
            case "KPA":
                yield Send(reply, document)
                self._reports()
            case "REQ":
                yield self._requested(root, reply, document, now)
            case "DST":
                yield Received(document, reply, channel=self._channel)
                yield from self._status(root, now)
            case "OBS":
                yield Received(document, reply, channel=self._channel)
                yield from self._result(sum(1 for _ in root.iter("SVC")), now)
            case _:
                yield Received(document, reply, channel=self._channel)

    def tick(self, now: float) -> Iterator[Event]:
        """An answer is late, or a question is due."""
        if self._due is None or now < self._due:
            return
        self._due = None
        if self._doing is None:
            yield from self._next(now)
        elif self._tries < TRIES and (self._doing is not _Step.RESULTS or self._left):
            yield self._say(self._doing, now)
        else:
            yield from self._given_up(now)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        self._rest()
        return iter(())

    def refuse(self, raw: bytes, now: float) -> bytes:
        """The answer to a document that cannot be read, where it can be told which that is."""
        number = control_id(raw)
        if not number:
            return b""
        return self._message("ACK.R01", acknowledgement(number, "AE", "unreadable", self._manner.acknowledged_in), now)

    # ---- what the device says

    def _greeted(self, who: Hello, style: Style) -> None:
        self._rest()
        self._hello, self._channel, self._style = who, who.channel, style
        self._manner = self._recognise(who)
        self._each = self._manner.ask == "each"

    def _status(self, root: Element, now: float) -> Iterator[Event]:
        """DST: what is new, and what is to be done about it."""
        new = count(at(root, "DST/DST.new_observations_qty"))
        events = count(at(root, "DST/DST.new_events_qty")) or 0
        manner, directives = self._manner, self._hello.directives
        self._left = 1 if new is None else new
        plan: deque[_Step] = deque()
        if self._left and manner.ask != "never":
            plan.append(_Step.RESULTS)
        if self._continuous:
            if plan and self._doing is None:
                self._plan, self._due = plan, now + PATIENCE
            return
        if events and manner.events and manner.ask != "never":
            plan.append(_Step.EVENTS)
        if manner.set_time and "SET_TIME" in directives:
            plan.append(_Step.TIME)
        listed = manner.continuous == "listed" and "START_CONTINUOUS" in directives
        if listed or manner.continuous == "always":
            plan.append(_Step.CONTINUOUS)
        elif manner.ask != "never":
            plan.append(_Step.END)
        self._plan = plan
        yield from self._next(now)

    def _reports(self) -> None:
        """The device speaks by itself: it has begun continuous mode, whether it says so or not."""
        if self._doing is _Step.CONTINUOUS:
            self._doing, self._due, self._continuous = None, None, True

    def _result(self, services: int, now: float) -> Iterator[Event]:
        self._left = max(0, self._left - max(services, 1))
        self._reports()
        if self._doing is _Step.RESULTS:
            self._each = self._each or self._tries > 1  # it sent this one only when it was asked again
            self._tries = 1
            self._due = now + (min(self._timeout, PATIENCE) if self._left else self._timeout)
            if self._each:
                if self._left:
                    yield self._say(_Step.RESULTS, now)
                    self._tries = 1
                else:
                    yield from self._next(now)
        elif self._doing is None and self._plan and self._continuous:
            self._due = now + PATIENCE
            if not self._left:
                self._plan.clear()
                self._due = None

    def _topic_over(self, now: float) -> Iterator[Event]:
        if self._doing in _TOPICS:
            self._left = 0 if self._doing is _Step.RESULTS else self._left
            yield from self._next(now)

    def _acknowledged(self, number: str, accepted: bool, now: float) -> Iterator[Event]:
        """An ACK; of a request it says only that it was heard (some devices send one)."""
        if self._doing is None or (number and number != self._asked) or (self._doing in _TOPICS and accepted):
            return
        if self._doing is _Step.CONTINUOUS:
            self._continuous = accepted
            if not accepted:
                self._plan.append(_Step.END)
        if self._doing is _Step.END:
            self._rest()
        else:
            yield from self._next(now)

    def _escaped(self, number: str, now: float) -> None:
        """The device cannot just now: later again."""
        if self._doing is None or (number and number != self._asked):
            return
        if self._tries < TRIES:
            self._due = now + BUSY
        else:
            self._due = now

    def _requested(self, root: Element, reply: bytes, document: bytes, now: float) -> Event:
        """The device asks us: we know no patients."""
        if at(root, "REQ/REQ.request_cd").upper() == "RPAT":
            reply = self._message("PTL.R01", "", now)
        return Send(reply, document)

    # ---- what we say

    def _next(self, now: float) -> Iterator[Event]:
        self._doing, self._due, self._tries = None, None, 0
        if self._plan:
            yield self._say(self._plan.popleft(), now)

    def _given_up(self, now: float) -> Iterator[Event]:
        if self._doing is _Step.CONTINUOUS:
            self._plan.append(_Step.END)
        yield from self._next(now)

    def _say(self, step: _Step, now: float) -> Event:
        self._tries = self._tries + 1 if step is self._doing else 1
        self._doing = step
        self._due = None if step is _Step.END else now + self._timeout
        match step:
            case _Step.RESULTS | _Step.EVENTS:
                code = "ROBS" if step is _Step.RESULTS else "RDEV"
                said = self._message("REQ.R01", f"<REQ>{element('REQ.request_cd', code)}</REQ>", now)
            case _Step.TIME:
                body = f"<DTV>{element('DTV.command_cd', 'SET_TIME')}</DTV>"
                body += f"<TM>{element('TM.dttm', self._time(now))}</TM>"
                said = self._message("DTV.R02", body, now)
            case _Step.CONTINUOUS:
                body = f"<DTV>{element('DTV.command_cd', 'START_CONTINUOUS')}</DTV>"
                said = self._message("DTV.R01", body, now)
            case _Step.END:
                said = self._message("END.R01", f"<TRM>{element('TRM.reason_cd', 'NRM')}</TRM>", now)
        self._asked = str(self._number)
        return Send(said)

    def _rest(self) -> None:
        """Nothing is under way: the device goes on, or nobody does."""
        self._plan.clear()
        self._doing, self._asked, self._tries, self._left = None, "", 0, 0
        self._continuous, self._due = False, None

    def _acknowledge(self, number: str, now: float) -> bytes:
        return self._message("ACK.R01", acknowledgement(number, names=self._manner.acknowledged_in), now)

    def _message(self, root: str, body: str, now: float) -> bytes:
        self._number = self._number + 1 if self._number < LAST else FIRST
        return message(root, str(self._number), self._time(now), body, self._style)

    def _time(self, now: float) -> str:
        moment = datetime.fromtimestamp(min(max(now, 0.0), _LATEST), self._zone)
        return moment.isoformat(timespec="seconds")

    @property
    def _timeout(self) -> float:
        announced = self._manner.timeout or self._hello.timeout or TIMEOUT
        return min(max(announced, SHORTEST), LONGEST)
