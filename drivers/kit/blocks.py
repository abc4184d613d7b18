"""Blocks on a wire: between a start and an end mark, or of a fixed size; greeted, checked and acknowledged or not.

An end may say that more of the message follows (ETB), a checksum may stand in several places, a conversation may begin
with ENQ, and a block may be known by its size alone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import xor
from types import MappingProxyType
from typing import Final

from drivers.kit.checks import sum8
from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.lines import ACK, BLANK, ETX, MAX_LINE, NAK, STX

ENQ, EOT, ETB = b"\x05", b"\x04", b"\x17"
ECHO: Final = 1.0  # seconds within which the same again is an echo of what was answered, not a peer that waited
QUEUED: Final = 10_000  # messages that may wait
STRAY: Final = 4096  # bytes outside any block of fixed size that are refused together


@dataclass(frozen=True, slots=True)
class Check:
    """A checksum: how it is computed and where it stands.

    `behind` the end mark, else right before it. Behind the end it covers the text and the end mark, before the end
    the text up to it. `width` bytes: hexadecimal digits, or one raw byte. `compute` None: not known, so not verified.
    """

    compute: Callable[[bytes], int] | None
    width: int
    behind: bool
    raw: bool = False
    lower: bool = False

    def written(self, data: bytes) -> bytes:
        """The checksum of `data` as it stands on the wire."""
        number = self.compute(data) & 0xFF if self.compute else 0
        if self.raw:
            return bytes([number])
        return (b"%02x" if self.lower else b"%02X") % number


def xor8(data: bytes) -> int:
    """All bytes combined by exclusive or."""
    return reduce(xor, data, 0)


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "sum8": Check(sum8, 2, behind=True),  # LIS01-A2 and what borrows from it
        "xor": Check(xor8, 1, behind=True, raw=True),  # Beckman AU "BCC"
        "sum8-inside": Check(sum8, 2, behind=False, lower=True),  # bioMerieux BCI, Clinitek
        "unverified": Check(None, 2, behind=True),  # two characters whose rule is not public
    }
)


@dataclass(frozen=True)
class Shape:
    """How a block looks. `more` ends a block whose message goes on; `trail` are bytes behind the checksum."""

    start: bytes = STX
    end: bytes = ETX
    more: bytes = b""
    check: Check | None = None
    trail: bytes = b""

    @cached_property
    def marks(self) -> re.Pattern[bytes]:
        """Whatever may end the text of a block."""
        return re.compile(b"|".join(re.escape(mark) for mark in (self.end, self.more, self.start) if mark))

    @property
    def tail(self) -> int:
        """How many bytes stand behind the end mark."""
        return (self.check.width if self.check and self.check.behind else 0) + len(self.trail)

    def write(self, text: bytes, *, goes_on: bool = False) -> bytes:
        """A block of this shape."""
        end = self.more if goes_on else self.end
        if self.check is None:
            return self.start + text + end + self.trail
        if self.check.behind:
            return self.start + text + end + self.check.written(text + end) + self.trail
        return self.start + text + self.check.written(text) + end + self.trail

    def fault(self, raw: bytes, begins: int, ends: int) -> str:
        """What the checksum of a whole block should have been; "" where it fits. Its end mark is `raw[begins:ends]`."""
        check = self.check
        if check is None or check.compute is None:
            return ""
        if check.behind:
            covered, found = raw[len(self.start) : ends], raw[ends : ends + check.width]
        else:
            place = max(len(self.start), begins - check.width)
            covered, found = raw[len(self.start) : place], raw[place:begins]
        wanted = check.written(covered)
        same = found == wanted if check.raw else found.lower() == wanted.lower()
        return "" if same else f"wanted {wanted!r}"

    def texts(self, data: bytes) -> list[bytes]:
        """The texts of a message's blocks, without marks and checksums; what is no block is left out."""
        found, at = [], 0
        while (start := data.find(self.start, at)) >= 0:
            match = self.marks.search(data, start + len(self.start))
            if match is None:
                break
            inner = self.check.width if self.check and not self.check.behind else 0
            found.append(data[start + len(self.start) : max(start + len(self.start), match.start() - inner)])
            at = match.start() if match[0] == self.start else match.end() + self.tail
        return found


Answer = Callable[[bytes], bytes]
"""The text of a block -> what is said to it, behind the acknowledgement; b"" where nothing is."""


def silent(_text: bytes) -> bytes:
    """No answer."""
    return b""


class Blocks:
    """Cuts what arrives into blocks of one shape. An `Exchange`.

    `reply` answers a block, `refusal` a damaged one. With `greeted`, ENQ outside a block is answered with ACK, and EOT
    ends a message that was left open. What else stands between blocks is refused unless it is blank. `answer` says
    what follows the reply to a block (what is known of a specimen asked for). `quiet`: seconds of silence after
    which an unfinished block, or a message whose next block does not come, is given up.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        reply: bytes = b"",
        refusal: bytes = b"",
        greeted: bool = False,
        answer: Answer = silent,
        max_block: int = MAX_LINE,
        quiet: float = 5.0,
    ) -> None:
        self._shape = shape
        self._reply, self._refusal, self._answer = reply, refusal, answer
        self._controls = {ENQ: ACK, EOT: b""} if greeted else {}
        self._stray = re.compile(b"|".join(re.escape(mark) for mark in (shape.start, *self._controls)))
        self._inner = re.compile(b"|".join([shape.marks.pattern, *map(re.escape, self._controls)]))
        self._max, self._quiet = max(max_block, 16), quiet
        self._held = bytearray()
        self._scanned = 0  # how much of what is held is known to hold no mark
        self._skipping = False  # the rest of a block that was too long
        self._open = False  # a block has said that more follows
        self._last, self._at = b"", float("-inf")  # what was answered last, and when
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence makes what is held an unfinished block."""
        return self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        held = self._held
        held += data
        while held:
            event = self._next(held, now)
            if event is None:
                break
            del held[: len(event.raw)]
            self._scanned = 0
            yield event
        self._due = now + self._quiet if held or self._open else None

    def tick(self, now: float) -> Iterator[Event]:
        """Silence may have made the held block unfinished."""
        if self._due is not None and now >= self._due:
            yield from self._unfinished("the block was not ended", self._refusal)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        yield from self._unfinished("the link closed within a block", b"")

    def _next(self, held: bytearray, now: float) -> Event | None:
        if held.startswith(self._shape.start):
            return self._block(held, now)
        control = bytes(held[:1])
        if control in self._controls:
            return self._control(control, now)
        return self._between(held)

    def _control(self, byte: bytes, now: float) -> Event:
        self._skipping = False
        if byte == EOT and self._open:
            self._open = False
            return Received(byte, sound=False)
        if not self._controls[byte] or self._echo(byte, now):
            return Send(b"", byte)
        return Send(self._controls[byte], byte)

    def _echo(self, raw: bytes, now: float) -> bool:
        """The same as before, so soon that its answer cannot have been missed: an answer more would be taken for one
        to something else."""
        if raw == self._last and now - self._at < ECHO:
            return True
        self._last, self._at = raw, now
        return False

    def _between(self, held: bytearray) -> Event | None:
        match = self._stray.search(held, self._scanned, self._max)
        start = self._shape.start
        if match is None and len(held) < self._max:
            self._scanned = max(0, len(held) - len(start) + 1)
            return None
        raw = bytes(held[: match.start() if match else self._max])
        skipped, self._skipping = self._skipping, self._skipping and match is None
        if skipped or not raw.strip(BLANK):
            return Send(b"", raw)
        return Rejected(raw, Reason.FRAMING, detail="bytes outside a block")

    def _block(self, held: bytearray, now: float) -> Event | None:
        shape = self._shape
        match = self._inner.search(held, max(len(shape.start), self._scanned), self._max)
        if match is None:
            self._scanned = max(0, len(held) - max(len(shape.start), len(shape.end)) + 1)
            if len(held) < self._max:
                return None
            self._skipping = True
            detail = f"no end within {self._max} bytes"
            return Rejected(bytes(held[: self._max]), Reason.TOO_LONG, self._refusal, detail)
        if match[0] not in (shape.end, shape.more):
            return Rejected(bytes(held[: match.start()]), Reason.INCOMPLETE, detail="another began within a block")
        size = match.end() + shape.tail
        if len(held) < size:
            return None
        raw = bytes(held[:size])
        if why := shape.fault(raw, match.start(), match.end()):
            return Rejected(raw, Reason.CHECKSUM, self._refusal, why)
        if self._reply and self._echo(raw, now):
            return Send(b"", raw)
        self._open = match[0] != shape.end
        said = b"" if self._open else self._answer(raw[len(shape.start) : match.start()])
        return Received(raw, self._reply + said, complete=not self._open)

    def _unfinished(self, why: str, refusal: bytes) -> Iterator[Event]:
        raw, self._held, self._scanned, self._due = bytes(self._held), bytearray(), 0, None
        skipped, self._skipping = self._skipping, False
        if skipped or not raw.strip(BLANK):
            if raw:
                yield Send(b"", raw)
        else:
            yield Rejected(raw, Reason.INCOMPLETE, refusal if raw.startswith(self._shape.start) else b"", why)
        if self._open:
            self._open = False
            yield Received(b"", sound=False)


class Sized:
    """Cuts what arrives into blocks that begin with `magic` and are `size` bytes long, whatever stands in them.

    `check` says of a whole block what is wrong with it, "" where nothing is. An `Exchange`.
    """

    def __init__(self, magic: bytes, size: int, check: Callable[[bytes], str], *, quiet: float = 2.0) -> None:
        self._magic, self._size, self._check, self._quiet = magic, size, check, quiet
        self._held = bytearray()
        self._due: float | None = None

    @property
    def deadline(self) -> float | None:
        """When silence makes the block that is held an unfinished one."""
        return self._due

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        held = self._held
        held += data
        while event := self._next(held):
            del held[: len(event.raw)]
            yield event
        self._due = now + self._quiet if held else None

    def tick(self, now: float) -> Iterator[Event]:
        """Silence may have made the held block unfinished."""
        if self._due is not None and now >= self._due:
            yield from self._unfinished("the block was not ended")

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        yield from self._unfinished("the link closed within a block")

    def _next(self, held: bytearray) -> Event | None:
        limit = STRAY + len(self._magic) - 1
        begins = held.find(self._magic, 0, limit)
        if begins < 0 and len(held) < limit:
            return None
        if begins:
            raw = bytes(held[: begins if begins > 0 else STRAY])
            return Rejected(raw, Reason.FRAMING, detail="bytes outside a block") if raw.strip(BLANK) else Send(b"", raw)
        if len(held) < self._size:
            return None
        raw = bytes(held[: self._size])
        if why := self._check(raw):  # a byte may be lost: the next block may begin within this one
            return Rejected(raw[: self._again(raw)], Reason.CHECKSUM, detail=why)
        return Received(raw)

    def _again(self, raw: bytes) -> int:
        """Where the next block may begin in one that is wrong."""
        place = raw.find(self._magic, 1)
        begun = next((n for n in range(len(self._magic) - 1, 0, -1) if raw.endswith(self._magic[:n])), 0)
        return place if place > 0 else len(raw) - begun

    def _unfinished(self, why: str) -> Iterator[Event]:
        raw, self._held, self._due = bytes(self._held), bytearray(), None
        if raw.strip(BLANK):
            yield Rejected(raw, Reason.INCOMPLETE, detail=why)
        elif raw:
            yield Send(b"", raw)


@dataclass
class Greeter:
    """The instrument's side where it greets: ENQ, a block, EOT, each waiting for its acknowledgement. A `Speaker`.

    `wait` seconds without an answer, or `pause` after a NAK, it begins again with ENQ.
    """

    wait: float = 5.0
    pause: float = 1.5
    confirms: bool = True
    delivered: int = 0
    deadline: float | None = None
    _queue: deque[bytes] = field(default_factory=deque)
    _told: bool = False  # the block is on its way, else the ENQ

    @property
    def idle(self) -> bool:
        """True when nothing waits for its acknowledgement."""
        return not self._queue

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Queue one block."""
        if len(self._queue) < QUEUED:
            self._queue.append(message)
        if self.deadline is None:
            yield from self._greet(now)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """What the host answers; anything but ACK and NAK is not understood and ignored."""
        for byte in (data[index : index + 1] for index in range(len(data))):
            if not self._queue or self.deadline is None or byte not in (ACK, NAK):
                yield Send(b"", byte)
            elif byte == NAK:
                self._told, self.deadline = False, now + self.pause
                yield Send(EOT, byte)
            elif self._told:
                self._queue.popleft()
                self.delivered += 1
                self._told = False
                self.deadline = now + self.wait if self._queue else None
                yield Send(EOT + ENQ if self._queue else EOT, byte)
            else:
                self._told, self.deadline = True, now + self.wait
                yield Send(self._queue[0], byte)

    def tick(self, now: float) -> Iterator[Event]:
        """No answer came: again from the beginning."""
        if self.deadline is not None and now >= self.deadline:
            yield from self._greet(now)

    def close(self) -> Iterator[Event]:
        """The link is gone. What was not acknowledged is sent anew when it is back."""
        self._told, self.deadline = False, 0.0 if self._queue else None
        return iter(())

    def _greet(self, now: float) -> Iterator[Event]:
        self._told, self.deadline = False, now + self.wait
        yield Send(ENQ)
