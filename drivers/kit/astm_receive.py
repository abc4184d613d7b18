"""The receiving half of LIS01-A2 / E1381: ENQ, frames, EOT in; ACK and NAK out. Used by `drivers.kit.astm`.

An ACK carries no number, so the rule behind every line here is: one ACK for one question. An ACK too many
would acknowledge a frame never seen. Where bytes may be the echo of something answered a moment ago (a doubled
ENQ, a doubled frame) or the ruin of a frame (an ENQ among its bytes), the answer waits `GUARD` seconds and is
dropped when the peer goes on without it.
"""

from __future__ import annotations

import re

from drivers.kit.checks import sum8
from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.frames import ACK, ENQ, EOT, ETX, FRAME, NAK, RECORD, STX, UNCHECKED

GUARD = 1.0  # seconds a doubtful answer waits for the peer to go on without it
ECHO = 0.1  # an ENQ this soon after our ACK was sent before it arrived: one ACK answers both
TAIL = 0.5  # seconds the line end may follow the checksum
STALL = 5.0  # seconds of silence within a frame before it is refused
SESSION = 30.0  # seconds from a reply to the next frame or EOT (LIS01-A2 6.5.2.4)
GIVING_UP = 10.0  # seconds after our last reply an EOT without an L record is a sender giving up
OUTSIDE_RUN = 4096  # bytes outside any frame gathered into one event at most

BETWEEN = b"\x04\x05\r\n\0"  # what stands between two sessions
NOISE = re.compile(rb"[\r\n\0\x06\x15\x11\x13]+")  # says nothing to a receiver between frames
NEUTRAL_NOISE = re.compile(rb"[\r\n\0\x04\x06\x15\x11\x13]+")
BID = re.compile(rb"\x05(?![ -~])")  # an ENQ with text at its heels is a ruined byte, not a bid
OUTSIDE = re.compile(rb"(?s:.)(?:[^\x05]|\x05(?=[ -~]))*")
WHOLE = re.compile(rb"\x02([0-7])([^\x02\x03\x17]*)([\x03\x17])([0-9A-F]{2})\r\n")  # the usual frame
UNENDED = {each: re.compile(each.pattern + rb"\r?\Z") for each in (FRAME, UNCHECKED)}  # lacks only its line end
HALF = re.compile(rb"[0-9A-Fa-f]")  # of a checksum, at the end of what is here
MARK = re.compile(rb"[\x02\x03\x17]")
END = re.compile(rb"[\x03\x17]")
LINE_END = re.compile(rb"[\n\x02]")


class Inbound:
    """What the peer sends, outside a session and in one. Events are appended to the list handed in."""

    def __init__(self, max_frame: int, max_message: int, unbidden: bool = False, checked: bool = True) -> None:
        self._shape = FRAME if checked else UNCHECKED
        self._unbidden = unbidden  # a header's frame begins a session without ENQ
        self._bidden = True  # this session was asked for
        self._max_frame = max_frame
        self._max_message = max_message
        self._buffer = b""
        self._scanned = 0  # how much of the buffer's unfinished frame is known to hold no end
        self._timer: float | None = None  # the session's 30 s
        self._quiet: float | None = None  # when silence settles what is in the buffer
        self._owed: float | None = None  # when a doubtful ACK becomes due
        self._replied = 0.0
        self.active = False  # in a session: ENQ answered, EOT not seen
        self.finished = 0  # sessions the peer has ended
        self.asked = False  # a message held a query; whoever answers it sets this back
        self._begin()

    def _begin(self) -> None:
        self._expected = -1  # the first frame of a session: 1, or 0 from instruments that count from it
        self._last: tuple[int, bytes, bytes] | None = None  # number, text and end of the last frame accepted
        self._refused = False  # a frame was refused and nothing accepted since
        self._restart = False  # the doubtful ACK is for an ENQ in mid session
        self._owed = None
        self._forget()

    def _forget(self) -> None:
        self.open = False  # between a message's first frame and its last
        self._size = 0
        self._unfinished = b""  # first byte of the record the last frame left unfinished
        self._whole = True  # the last frame ended where a record ends
        self._queried = False

    @property
    def deadline(self) -> float | None:
        """When `tick` must run next."""
        return min((time for time in (self._timer, self._quiet, self._owed) if time is not None), default=None)

    @property
    def untouched(self) -> bool:
        """A session was begun and nothing has come in it."""
        return self.active and self._last is None and not self._refused and not self._buffer

    def feed(self, data: bytes, now: float, out: list[Event]) -> None:
        """Take what arrived; what cannot be judged yet is held until more comes or silence settles it."""
        if self._buffer:
            more, data = data, self._buffer + data
            if self._scanned and len(data) <= self._max_frame and not MARK.search(more):
                self._buffer = data  # a long frame arriving in small pieces is looked at once
                self._scanned = len(data)
                self._stall(now)
                return
        else:
            self._scanned = 0
        self._quiet = None
        position, size = 0, len(data)
        while position < size:
            take = self._transfer if self.active else self._neutral
            reached = take(data, position, now, out)
            if reached == position:
                break
            position = reached
            self._scanned = 0
        self._buffer = data[position:]

    def tick(self, now: float, out: list[Event]) -> None:
        """Silence, a doubtful answer or the session's end is due."""
        if self._quiet is not None and now >= self._quiet:
            self._settle(now, out)
        if self._owed is not None and now >= self._owed:
            self._answer(now, out)
        if self._timer is not None and now >= self._timer:
            self._leave(out)

    def close(self, out: list[Event]) -> None:
        """The link is gone: a frame that lacked only its line end counts, a message without its end does not."""
        if self.active and self._buffer == EOT:
            self._settle(self._replied, out)
        elif match := UNENDED[self._shape].search(self._buffer) if self.active else None:
            held, self._buffer = self._buffer, b""
            self._judge(held, 0, match, len(held), self._replied, out)
        self._leave(out)

    def flush(self, out: list[Event]) -> None:
        """Give out what is held outside a session (before something is sent)."""
        if self._buffer and not self.active:
            self._stray(self._buffer, out)
            self._buffer, self._quiet = b"", None

    # -- outside a session

    def _neutral(self, data: bytes, position: int, now: float, out: list[Event]) -> int:
        if self._unbidden and (match := WHOLE.match(data, position)) and self._opens(data, match):
            self.active = True
            self._begin()
            self._bidden = False
            return self._judge(data, position, match, match.end(), now, out)
        if match := BID.match(data, position):
            self.active = self._bidden = True
            self._begin()
            self._reply(now)
            out.append(Send(ACK, ENQ))
            return match.end()
        if match := NEUTRAL_NOISE.match(data, position):
            out.append(Send(b"", match[0]))
            return match.end()
        match = OUTSIDE.match(data, position)
        end = match.end() if match else len(data)
        if end == len(data) and end - position < OUTSIDE_RUN:
            self._quiet = now + GUARD
            return position
        self._stray(data[position:end], out)
        return end

    def _opens(self, data: bytes, match: re.Match[bytes]) -> bool:
        """A whole frame that begins a message: where nobody bids, this is how a session begins."""
        sound = int(match[4], 16) == sum8(data[match.start(1) : match.end(3)])
        return sound and match[1] in b"01" and match[2][:1] in (b"H", b"h")

    def _stray(self, raw: bytes, out: list[Event]) -> None:
        what = "a frame" if STX in raw else "bytes"
        out.append(Rejected(raw, Reason.FRAMING, detail=f"{what} outside a session"))

    # -- in a session

    def _transfer(self, data: bytes, position: int, now: float, out: list[Event]) -> int:
        if match := WHOLE.match(data, position):
            return self._judge(data, position, match, match.end(), now, out)
        first = data[position : position + 1]
        if first == STX:
            return self._frame(data, position, position, now, out)
        if first == EOT:
            return self._stop_sign(data, position, now, out)
        if first == ENQ:
            self._enquiry(now, out)
            return position + 1
        if match := NOISE.match(data, position):
            out.append(Send(b"", match[0]))
            return match.end()
        return self._garbage(data, position, now, out)

    def _stop_sign(self, data: bytes, position: int, now: float, out: list[Event]) -> int:
        """EOT; in the middle of a message it may be a ruined byte of a frame, which what follows shows."""
        follows = data[position + 1 : position + 2]
        if self.open and not follows:
            self._quiet = now + GUARD
            return position
        if self.open and follows >= b" ":
            return self._garbage(data, position, now, out)
        if self.open and follows == STX:
            out.append(Send(b"", EOT))
        else:
            self._end(now, out)
        return position + 1

    def _frame(self, data: bytes, position: int, stx: int, now: float, out: list[Event]) -> int:
        """Judge the frame that begins at `stx`; bytes from `position` to it are line noise and go with it."""
        mark = MARK.search(data, max(stx + 1, position + self._scanned))
        if mark is None:
            self._scanned = len(data) - position
            return self._wait(data, position, now, out)
        self._scanned = 0
        end = mark.start()
        if mark[0] == STX:
            broken = data[position:end].rstrip(BETWEEN)
            self._refuse(broken, Reason.FRAMING, "a frame began before the last one ended", now, out, reply=b"")
            return position + len(broken)
        match = self._shape.match(data, stx)
        if match is None:  # no number, or no checksum where it belongs: up to the end of the line it is one ruin
            stop = self._line_end(data, end + 1)
            if stop < 0:
                self._quiet = now + TAIL
                return position
            self._refuse(data[position:stop], Reason.FRAMING, "no frame number or no checksum", now, out)
            return stop
        tail = data[match.end() : match.end() + 2]
        if tail in (b"", b"\r") or (match[4] is None and HALF.fullmatch(tail)):
            self._quiet = now + TAIL
            return position
        ending = 2 if tail == b"\r\n" else 1 if tail[:1] in b"\r\n" else 0
        return self._judge(data, position, match, match.end() + ending, now, out)

    def _garbage(self, data: bytes, position: int, now: float, out: list[Event]) -> int:
        """Bytes that begin no frame: noise before one, or a frame that lost its beginning."""
        stx = data.find(STX, position)
        stop = len(data) if stx < 0 else stx
        if mark := END.search(data, position, stop):
            end = self._line_end(data, mark.end())
            if end < 0:
                self._quiet = now + TAIL
                return position
            self._refuse(data[position:end], Reason.FRAMING, "a frame without its beginning", now, out)
            return end
        if stx < 0:
            return self._wait(data, position, now, out)
        noise = data[position:stx]
        if EOT in noise or ENQ in noise:  # the peer gave up and began again
            kept = noise.rstrip(BETWEEN) or noise[:1]
            self._refuse(kept, Reason.FRAMING, "bytes that belong to no frame", now, out, reply=b"")
            return position + len(kept)
        return self._frame(data, position, stx, now, out)

    def _wait(self, data: bytes, position: int, now: float, out: list[Event]) -> int:
        """Hold an unfinished frame for more, within the cap and for a time."""
        most = self._max_frame if data.find(STX, position) >= 0 else OUTSIDE_RUN
        if len(data) - position > most:
            detail = f"no end of frame within {most} bytes"
            self._refuse(data[position:], Reason.TOO_LONG, detail, now, out, reply=b"")
            return len(data)
        self._buffer = data
        self._stall(now)
        return position

    def _stall(self, now: float) -> None:
        """How long what is held may stay unfinished: an EOT or ENQ at its end may be meant."""
        self._quiet = now + (GUARD if self._buffer[-1:] in (EOT, ENQ) else STALL)

    def _line_end(self, data: bytes, start: int) -> int:
        """Where a ruined frame is over: after its LF, or where the next begins; -1: not here yet."""
        match = LINE_END.search(data, start)
        return -1 if match is None else match.start() if match[0] == STX else match.end()

    def _settle(self, now: float, out: list[Event]) -> None:
        """Silence has lasted long enough to judge what is held."""
        held, self._buffer, self._quiet, self._scanned = self._buffer, b"", None, 0
        if not self.active:
            self._stray(held, out)
        elif held == EOT:
            self._end(now, out)
        elif match := UNENDED[self._shape].search(held):
            self._judge(held, 0, match, len(held), now, out)
        else:
            body = held.rstrip(EOT + ENQ)
            asks = body == held and (STX in body or END.search(body) is not None)
            self._refuse(body, Reason.FRAMING, "a frame that never ended", now, out, reply=NAK if asks else b"")
            if body != held:
                self.feed(held[len(body) :], now, out)

    def _judge(
        self, data: bytes, position: int, match: re.Match[bytes], stop: int, now: float, out: list[Event]
    ) -> int:
        """A frame with all its parts: accept, refuse, or know it again."""
        raw = data[position:stop]
        _, text, end, check = match.groups()
        number = data[match.start(1)] - 48
        want = sum8(data[match.start(1) : match.end(3)])
        if check is not None and int(check, 16) != want:
            self._refuse(raw, Reason.CHECKSUM, f"want {want:02X}, got {check.decode()}", now, out)
            return stop
        if not (self._bidden or self.open) and number < 2 and text[:1] in (b"H", b"h"):
            self._begin()  # where nobody bids, nobody says EOT
        if self._restart and number < 2 and text[:1] in b"Hh":  # sent after an ENQ whose answer it did not await
            self._abandon(out)
            self._begin()
        if number != self._expected and (self._expected >= 0 or number > 1):
            if self._last == (number, text, end):
                self._again(raw, now, out)
            else:
                want = max(self._expected, 0) or (0 if self._last else 1)
                self._refuse(raw, Reason.FRAME_NUMBER, f"want {want}, got {number}", now, out)
        elif self._size + len(raw) > self._max_message:
            detail = f"a message of more than {self._max_message} bytes"
            self._refuse(raw, Reason.TOO_LONG, detail, now, out)
        else:
            complete = self._accept(number, text, end, len(raw))
            self._reply(now)
            out.append(Received(raw, ACK, complete))
        return stop

    def _accept(self, number: int, text: bytes, end: bytes, size: int) -> bool:
        """Take the frame's text into the message; True when it ends the message (its L record is whole)."""
        body = text.rstrip(b"\r\n")
        ended = len(body) != len(text)
        carried = self._unfinished
        if carried and self._last and self._last[2] == ETX and RECORD.match(text):
            carried = b""  # records without their CR, one a frame: the end of the frame ended the record
        begins = max(body.rfind(b"\r"), body.rfind(b"\n")) + 1
        letter = body[begins : begins + 1] if begins else carried or body[:1]
        self._queried |= b"\rQ" in text or (not carried and text[:1] == b"Q")
        self._last = (number, text, end)
        self._expected = (number + 1) % 8
        self._refused = False
        if letter in (b"L", b"l") and (ended or end == ETX):
            self.asked |= self._queried
            self._forget()
            return True
        self.open = True
        self._size += size
        self._unfinished = b"" if ended else letter
        self._whole = ended or end == ETX
        return False

    def _again(self, raw: bytes, now: float, out: list[Event]) -> None:
        """The last frame once more: its ACK was lost, or crossed it on the wire."""
        since = now - self._replied
        if since > GUARD or self._refused:
            self._refused = False
            self._reply(now)
            out.append(Send(ACK, raw))
            return
        if since > ECHO:
            self._owed = now + GUARD
        out.append(Send(b"", raw))

    def _enquiry(self, now: float, out: list[Event]) -> None:
        """ENQ in a session: the echo of one answered, or a peer that lost the session and begins again."""
        if self._last is None and not self._refused:
            if now - self._replied > GUARD:
                self._reply(now)
                out.append(Send(ACK, ENQ))
                return
            if now - self._replied > ECHO:
                self._owed = now + GUARD
        else:
            # So soon after a frame it is more likely a ruined line end: the peer waits for the answer to its next.
            self._restart = now - self._replied > GUARD
            self._owed = now + GUARD
        out.append(Send(b"", ENQ))

    def _answer(self, now: float, out: list[Event]) -> None:
        """The peer did not go on without a doubtful answer: it is owed, unless a frame is on its way.

        For a repeated frame that is a NAK, and for an ENQ at a frame's heels: whichever frame the peer waits for, it
        sends that one again, and whoever really bids, bids again.
        """
        self._owed = None
        if self._buffer:
            return
        again = (self._last is not None or self._refused) and not self._restart
        if self._restart:
            self._abandon(out)
            self._begin()
        self._refused |= again
        self._reply(now)
        out.append(Send(NAK if again else ACK))

    def _end(self, now: float, out: list[Event]) -> None:
        """EOT. A message without its L record is whole if its last record is, and the sender was not giving up:
        that comes after refusals, or after waiting 15 s for an answer that got lost."""
        if self.open:
            sound = self._whole and not self._refused and now - self._replied < GIVING_UP
            self.asked |= sound and self._queried
            out.append(Received(EOT, b"", sound=sound))
        else:
            out.append(Send(b"", EOT))
        self.finished += 1
        self._stop()

    def _refuse(
        self, raw: bytes, reason: Reason, detail: str, now: float, out: list[Event], reply: bytes = NAK
    ) -> None:
        if not raw:
            return
        self._refused = True
        if reply:
            self._reply(now)
        out.append(Rejected(raw, reason, reply, detail))

    def _reply(self, now: float) -> None:
        """Something is being answered: nothing older is owed, and the session's clock starts anew."""
        self._replied = now
        self._timer = now + SESSION
        self._owed = None
        self._restart = False

    def _abandon(self, out: list[Event], raw: bytes = b"") -> None:
        if self.open:
            out.append(Received(raw, b"", sound=False))
        elif raw:
            reason = Reason.INCOMPLETE if self.active else Reason.FRAMING
            out.append(Rejected(raw, reason, detail="the peer stopped in the middle"))
        self._forget()

    def _leave(self, out: list[Event]) -> None:
        """Thirty silent seconds, or no link any more: back to neutral without the message's end."""
        held, self._buffer = self._buffer, b""
        self._abandon(out, held)
        self._stop()

    def _stop(self) -> None:
        self.active = False
        self._timer = self._quiet = None
        self._begin()
