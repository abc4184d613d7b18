"""CLSI POCT1-A: a simulated device's side of the conversation, in whole documents."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal
from xml.etree.ElementTree import Element

from drivers.kit.exchange import DecodeError, Event, Send
from drivers.kit.poct1_messages import BARE, Style, acknowledged, acknowledgement, at, element, message
from drivers.kit.xmltree import parse

QUEUED: Final = 10_000  # results that may wait
WAIT: Final = 30.0  # seconds for an acknowledgement, or for the host to ask
AGAIN: Final = 5.0  # seconds until a refused result is sent again, or the next conversation begins
TRIES: Final = 3
FIRST: Final = 10_001  # control ids of a device, by custom
UNSET: Final = "2000-01-01T00:00:00+00:00"

_NUMBER = re.compile(rb'(<HDR\.control_id V=")[^"]*(")')
_TIME = re.compile(rb'<HDR\.creation_dttm V="([^"]*)"')
_NEW = re.compile(rb'(<SVC\.reason_cd V=")NEW(")')


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a device says of itself, and when it sends results: all on one request ("topic"), one for "each", or
    "never" on request, only in continuous mode."""

    vendor: str = "SIM"
    model: str = "Simulated"
    serial: str = "SIM-1"
    answers: Literal["topic", "each", "never"] = "topic"
    continuous: bool = True
    timeout: int = 60
    style: Style = BARE


class _State(Enum):
    DOWN = auto()  # no conversation
    HELLO = auto()  # said, not acknowledged yet
    STATUS = auto()
    HEARING = auto()  # the host asks
    SENDING = auto()  # a result is not acknowledged yet
    FREE = auto()  # continuous mode: results are sent as they come


class Device:
    """A `Speaker` whose every `receive` and offered message is one whole document.

    A result is numbered when it is sent; sent again it has another number, and RES as its reason.
    """

    def __init__(self, profile: Profile = Profile()) -> None:
        self._profile = profile
        self._queue: deque[bytes] = deque()
        self._state = _State.DOWN
        self._free = False
        self._number = FIRST - 1
        self._time = UNSET
        self._waiting: set[str] = set()  # the control ids whose acknowledgement is the one waited for
        self._request = ""  # the control id of the request being answered
        self._tries = 0
        self._sent_before = False
        self._due: float | None = 0.0
        self._delivered = 0

    @property
    def deadline(self) -> float | None:
        """When an answer is late, or a conversation is due."""
        return self._due

    @property
    def delivered(self) -> int:
        """Results acknowledged."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """The host's word is waited for."""
        return True

    @property
    def idle(self) -> bool:
        """True when no result waits for its acknowledgement."""
        return not self._queue

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue one OBS message."""
        if len(self._queue) < QUEUED:
            self._queue.append(message)
        if found := _TIME.search(message):
            self._time = found[1].decode("utf-8", "replace")
        if self._state is _State.DOWN and (self._due is None or self._due <= now):
            yield self._greet(now)
        elif self._state is _State.FREE:
            yield from self._result(now)
        elif self._state is _State.HEARING and self._due is None:
            self._due = now + WAIT  # the host may have said its END into the void

    def receive(self, document: bytes, now: float) -> Iterator[Event]:
        """What the host says; what is not understood is acknowledged, so that it goes on."""
        yield Send(b"", document)
        try:
            root = parse(document)
        except DecodeError:
            return
        number = at(root, "HDR/HDR.control_id")
        match root.tag.partition(".")[0]:
            case "ACK":
                yield from self._acknowledged(*acknowledged(root), now)
            case "REQ":
                yield from self._asked(at(root, "REQ/REQ.request_cd"), number, now)
            case "DTV":
                yield self._acknowledge(number)
                yield from self._directed(root, now)
            case "END":
                yield self._acknowledge(number)
                self._down(now)
            case "ESC":
                return
            case _:
                yield self._acknowledge(number)

    def tick(self, now: float) -> Iterator[Event]:
        """An answer did not come: the result again, or a new conversation."""
        if self._due is None or now < self._due:
            return
        self._due = None
        if self._state is _State.SENDING and self._tries < TRIES:
            yield self._send(now)
        elif self._state is not _State.FREE:
            yield self._greet(now)

    def close(self) -> Iterator[Event]:
        """The link is gone; with the next one a conversation begins."""
        self._state, self._free, self._due = _State.DOWN, False, 0.0
        self._waiting.clear()
        return iter(())

    # ---- what the host says

    def _acknowledged(self, number: str, accepted: bool, now: float) -> Iterator[Event]:
        if number not in self._waiting:
            return
        if self._state is _State.HELLO and accepted:
            body = element("DST.status_dttm", self._time)
            body += element("DST.new_observations_qty", str(len(self._queue)))
            body += element("DST.new_events_qty", "0") + element("DST.condition_cd", "R")
            self._state, self._due = _State.STATUS, now + WAIT
            yield self._waited("DST.R01", f"<DST>{body}</DST>")
        elif self._state is _State.STATUS and accepted:
            self._waiting.clear()
            self._hear(now)
        elif self._state is _State.SENDING:
            yield from self._answered(accepted, now)

    def _answered(self, accepted: bool, now: float) -> Iterator[Event]:
        if not accepted:
            self._due, self._tries = now + AGAIN, 1
            return
        self._waiting.clear()
        self._queue.popleft()
        self._delivered += 1
        self._sent_before = False
        if self._free:
            self._state, self._due = _State.FREE, None
            yield from self._result(now)
        elif self._profile.answers == "each":
            self._hear(now)
        else:
            yield from self._result(now)

    def _asked(self, code: str, number: str, now: float) -> Iterator[Event]:
        if self._state not in (_State.HEARING, _State.FREE):
            return
        self._request = number
        if code == "ROBS" and self._profile.answers != "never":
            yield from self._result(now)
        elif code == "RDEV":
            yield from self._topic_over("D_EV", now)
        else:
            body = element("ESC.esc_control_id", number) + element("ESC.detail_cd", "OTH")
            yield Send(self._message("ESC.R01", f"<ESC>{body}</ESC>"))

    def _directed(self, root: Element, now: float) -> Iterator[Event]:
        if at(root, "DTV/DTV.command_cd") == "START_CONTINUOUS" and self._profile.continuous:
            self._free, self._due = True, None
            self._state = _State.FREE
            yield from self._result(now)

    # ---- what it says

    def _greet(self, now: float) -> Event:
        profile = self._profile
        self._state, self._free, self._due, self._tries = _State.HELLO, False, now + WAIT, 0
        self._waiting.clear()
        body = element("DEV.device_id", f"{profile.vendor}^{profile.model}^{profile.serial}")
        body += element("DEV.vendor_id", profile.vendor) + element("DEV.model_id", profile.model)
        body += element("DEV.serial_id", profile.serial)
        body += f"<DCP>{element('DCP.application_timeout', str(profile.timeout))}</DCP>"
        can = element("DSC.connection_profile_cd", "SA") + element("DSC.topics_supported_cd", "DTV")
        if profile.continuous:
            can += element("DSC.directives_supported_cd", "START_CONTINUOUS")
        can += element("DSC.max_message_sz", "16000")
        return self._waited("HEL.R01", f"<DEV>{body}<DSC>{can}</DSC></DEV>")

    def _result(self, now: float) -> Iterator[Event]:
        """The next result, or the end of the topic."""
        if self._queue:
            self._tries = 0
            yield self._send(now)
        elif not self._free:
            yield from self._topic_over("OBS", now)

    def _send(self, now: float) -> Event:
        self._state, self._due, self._tries = _State.SENDING, now + WAIT, self._tries + 1
        self._number += 1
        self._waiting.add(str(self._number))
        told = _NUMBER.sub(rb"\g<1>%d\2" % self._number, self._queue[0], count=1)
        if self._sent_before:
            told = _NEW.sub(rb"\1RES\2", told)
        self._sent_before = True
        return Send(told)

    def _topic_over(self, topic: str, now: float) -> Iterator[Event]:
        body = element("EOT.eot_control_id", self._request) + element("EOT.topic_cd", topic)
        if not self._free:
            self._hear(now)
        yield Send(self._message("EOT.R01", f"<EOT>{body}</EOT>"))

    def _hear(self, now: float) -> None:
        self._state = _State.HEARING
        self._due = now + WAIT if self._queue else None

    def _down(self, now: float) -> None:
        self._state, self._free = _State.DOWN, False
        self._due = now + AGAIN if self._queue else None

    def _acknowledge(self, number: str) -> Event:
        return Send(self._message("ACK.R01", acknowledgement(number)))

    def _waited(self, root: str, body: str) -> Event:
        said = self._message(root, body)
        self._waiting.add(str(self._number))
        return Send(said)

    def _message(self, root: str, body: str) -> bytes:
        self._number += 1
        return message(root, str(self._number), self._time, body, self._profile.style)
