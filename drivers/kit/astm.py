"""CLSI LIS01-A2 / ASTM E1381: how messages travel between an instrument and its host, both roles, both ways.

`Transfer` is one end of the wire. The gateway's end (`host`) mostly receives and can offer orders or answers to
queries; the simulated instrument's end (`instrument`) mostly offers results and receives those. Timers, retry
limits and priorities are the standard's (LIS01-A2 6.2 to 6.5).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from drivers.kit.astm_receive import Inbound
from drivers.kit.exchange import Event, Send
from drivers.kit.frames import ACK, ENQ, EOT, TEXT, cut, frame

Role = Literal["host", "instrument"]

REPLY = 15.0  # seconds to wait for the answer to an ENQ or a frame
BUSY = 10.0  # seconds between a NAK to our ENQ and the next ENQ; also before a failed session is tried again
YIELD = {"instrument": 1.0, "host": 20.0}  # seconds to stand back when both sides sent ENQ
SILENCE = 15.0  # seconds to stay silent after the receiver asked us to stop
TRIES = 6  # times one frame is sent before the session is given up
ANSWER_TRIES = 2  # sessions an answer to a query is tried in: later nobody waits for it

_REPLIES = re.compile(rb"[\x04\x05\x06\x15]")
_NOISE = b"\r\n\0\x11\x13"


class _State(Enum):
    NEUTRAL = auto()  # or receiving: `Inbound` knows
    BIDDING = auto()  # ENQ sent
    SENDING = auto()  # a frame sent


@dataclass(slots=True)
class _Outgoing:
    text: bytes
    tries: int | None  # sessions left to try it in; None: until it is delivered


class Transfer:
    """One end of an ASTM wire; a `Speaker`.

    `frame_size` counts bytes of text in the frames sent; `split` puts one record into a frame ("record") or cuts
    the whole text by size ("text"); with `run_on` messages that wait are sent in one session, frame numbers
    running on. `answer` is offered whenever a message with a query (Q record) has been received. `unbidden`: a peer
    that sends its first frame without asking for the line is heard all the same. Without `checked` frames have no
    checksums.
    Caps are in bytes: a longer frame or message is refused.
    """

    def __init__(
        self,
        role: Role = "host",
        *,
        frame_size: int = TEXT,
        split: Literal["record", "text"] = "record",
        run_on: bool = False,
        answer: bytes | None = None,
        unbidden: bool = False,
        checked: bool = True,
        max_frame: int = 65_536,
        max_message: int = 16 * 1024 * 1024,
    ) -> None:
        self._role: Role = role
        self._frame_size = frame_size
        self._by_record = split == "record"
        self._run_on = run_on
        self._reply_to_query = answer
        self._checked = checked
        self._inbound = Inbound(max_frame, max_message, unbidden, checked)
        self._state = _State.NEUTRAL
        self._queue: deque[_Outgoing] = deque()
        self._frames: list[bytes] = []  # of the message being sent
        self._index = 0
        self._number = 0  # frames sent in this session
        self._tries = 0
        self._until = 0.0  # when the answer we wait for is late; in neutral state: when we may bid
        self._yielded_at = 0  # sessions the peer had finished when we stood back
        self._interrupted = False
        self._crossed = False  # the peer bids in our session: it has lost it, its EOT accepts nothing
        self._delivered = 0

    @property
    def deadline(self) -> float | None:
        """When `tick` must run next."""
        theirs = self._inbound.deadline
        if self._state is _State.NEUTRAL and (not self._queue or self._inbound.active):
            return theirs
        return self._until if theirs is None else min(theirs, self._until)

    @property
    def delivered(self) -> int:
        """How many offered messages had their last frame acknowledged."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """Whether `delivered` rests on the peer's word."""
        return True

    @property
    def idle(self) -> bool:
        """True when nothing offered still waits for its acknowledgement."""
        return not self._queue

    @property
    def at_rest(self) -> bool:
        """True when neither side is speaking and nothing heard waits to be judged."""
        return self._state is _State.NEUTRAL and not self._inbound.active and self._inbound.deadline is None

    @property
    def expectant(self) -> bool:
        """True at rest, and when the peer was given the line and has not used it yet."""
        return self.at_rest or (self._state is _State.NEUTRAL and self._inbound.untouched)

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue the text of one message (records, each ending with CR)."""
        out: list[Event] = []
        self._queue.append(_Outgoing(message, None))
        self._bid(now, out)
        return iter(out)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        out: list[Event] = []
        if self._state is not _State.NEUTRAL:
            if data:
                self._answered(data, now, out)
        else:
            self._inbound.feed(data, now, out)
        if self._inbound.asked:
            self._inbound.asked = False
            if self._reply_to_query is not None and not any(item.tries for item in self._queue):
                self._queue.append(_Outgoing(self._reply_to_query, ANSWER_TRIES))
        if self._queue:
            self._bid(now, out)
        return iter(out)

    def tick(self, now: float) -> Iterator[Event]:
        """A timer is due."""
        out: list[Event] = []
        self._inbound.tick(now, out)
        if self._state is not _State.NEUTRAL and now >= self._until:
            self._give_up(now, out)
        self._bid(now, out)
        return iter(out)

    def close(self) -> Iterator[Event]:
        """The link is gone. What was offered stays queued and is sent anew when the link is back."""
        out: list[Event] = []
        self._inbound.close(out)
        self._state = _State.NEUTRAL
        self._until = 0.0
        return iter(out)

    def _bid(self, now: float, out: list[Event]) -> None:
        """Ask for the line when there is something to say and nobody is speaking."""
        if self._state is not _State.NEUTRAL or not self._queue or self._inbound.active:
            return
        stood_back = self._yielded_at == self._inbound.finished  # a session of theirs since then frees us
        if now < self._until and stood_back:
            return
        self._inbound.flush(out)
        self._state = _State.BIDDING
        self._until = now + REPLY
        self._interrupted = self._crossed = False
        out.append(Send(ENQ))

    def _rest(self, until: float) -> None:
        self._state = _State.NEUTRAL
        self._until = until
        self._yielded_at = self._inbound.finished

    def _answered(self, data: bytes, now: float, out: list[Event]) -> None:
        """One question, one answer: further bytes of the same chunk were sent before the peer saw our next."""
        match = _REPLIES.search(data)
        reply = match[0] if match else b""
        if not match and not data.strip(_NOISE):
            out.append(Send(b"", data))
        elif self._state is _State.BIDDING:
            self._bid_answered(reply, data, now, out)
        elif reply == ACK or (reply == EOT and not self._crossed):
            self._interrupted |= reply == EOT
            self._accepted(data, now, out)
        elif self._tries >= TRIES or reply == EOT:
            out.append(Send(b"", data))
            self._give_up(now, out)
        else:
            self._crossed |= reply == ENQ
            self._tries += 1
            self._send(data, now, out)

    def _bid_answered(self, reply: bytes, data: bytes, now: float, out: list[Event]) -> None:
        if reply == ACK:
            self._state = _State.SENDING
            self._number = 0
            self._load()
            self._next(data, now, out)
            return
        out.append(Send(b"", data))
        if reply == ENQ:
            self._rest(now + YIELD[self._role])
        elif reply and reply != EOT:
            self._rest(now + BUSY)

    def _load(self) -> None:
        pieces = cut(self._queue[0].text, self._frame_size, self._by_record)
        self._frames = [
            frame(self._number + place, text, end, self._checked) for place, (text, end) in enumerate(pieces, start=1)
        ]
        self._index = -1

    def _next(self, raw: bytes, now: float, out: list[Event]) -> None:
        self._index += 1
        self._number += 1
        self._tries = 1
        self._send(raw, now, out)

    def _send(self, raw: bytes, now: float, out: list[Event]) -> None:
        out.append(Send(self._frames[self._index], raw))
        self._until = now + REPLY

    def _accepted(self, raw: bytes, now: float, out: list[Event]) -> None:
        if self._index + 1 < len(self._frames):
            self._next(raw, now, out)
            return
        self._queue.popleft()
        self._delivered += 1
        if self._run_on and self._queue and not self._interrupted:
            self._load()
            self._next(raw, now, out)
            return
        out.append(Send(EOT, raw))
        self._rest(now + SILENCE if self._interrupted else now)

    def _give_up(self, now: float, out: list[Event]) -> None:
        """End the session; the whole message is kept and tried again later."""
        out.append(Send(EOT))
        item = self._queue[0]
        if item.tries is not None:
            item.tries -= 1
            if item.tries <= 0:
                self._queue.popleft()
        self._rest(now + BUSY)
