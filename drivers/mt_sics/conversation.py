"""MT-SICS on the wire: who asks what when. Commands and replies are ASCII lines ended by CR LF."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from drivers.kit.exchange import Event, Received, Send
from drivers.kit.lines import Lines
from drivers.mt_sics.options import MtSicsOptions

QUIET = 2.0  # seconds of silence that end an unfinished line
WAIT = {"S": 60.0, "SNR": 60.0}  # seconds to wait for a reply: these wait until the weight is stable
STREAM_SILENCE = {"SIR": 5.0, "SNR": 60.0}  # seconds without a line before streaming is asked for again
ERRORS = (b"ES", b"ET", b"EL")
STREAMED_FROM = 0.2  # seconds between two lines of SIR when nothing new is weighed


class Asker:
    """The gateway's side: asks for identity once, then polls, or starts the stream and watches over it. An `Exchange`.

    One question at a time; one that is not answered in time is asked again.
    """

    def __init__(self, options: MtSicsOptions) -> None:
        self._lines = Lines(max_line=1024, quiet=QUIET)
        self._poll = options.poll
        self._command = options.command
        self._stream = options.stream
        self._timeout = options.timeout
        speaking = options.poll is not None or options.stream is not None
        self._pending = deque(["I2", "I3", "I4"] if options.identify and speaking else [])
        self._asked = ""  # the question whose answer is awaited
        self._late = 0.0  # when that answer is late
        self._next = 0.0  # when the next poll, or the next look after the stream, is due; 0: at once

    @property
    def deadline(self) -> float | None:
        """When something is to be asked, or an answer is late."""
        if self._asked:
            own: float | None = self._late
        elif self._pending:
            own = 0.0
        else:
            own = self._next if self._poll is not None or self._stream else None
        theirs = self._lines.deadline
        return own if theirs is None else theirs if own is None else min(own, theirs)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        for event in self._lines.receive(data, now):
            yield event
            if isinstance(event, Received):
                yield from self._heard(event.raw, now)

    def tick(self, now: float) -> Iterator[Event]:
        """Ask what is due."""
        yield from self._lines.tick(now)
        if self._asked and now >= self._late:
            self._asked = ""
            self._next = min(self._next, now)
        if not self._asked:
            yield from self._ask(now)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        return self._lines.close()

    def _heard(self, line: bytes, now: float) -> Iterator[Event]:
        words = line.split() or [b""]
        if self._stream and not self._asked and words[0] == b"I4":
            self._next = now  # the balance announces itself after power-on or reset: it has stopped streaming
        elif self._stream and words[0] == b"S":
            self._next = now + STREAM_SILENCE[self._stream]
        if self._asked and (words[0] in ERRORS or words[0] == self._answer_to(self._asked)):
            self._asked = ""
            yield from self._ask(now)

    @staticmethod
    def _answer_to(command: str) -> bytes:
        return b"S" if command.startswith("S") else command.encode()

    def _ask(self, now: float) -> Iterator[Event]:
        if self._pending:
            command = self._pending.popleft()
        elif now < self._next:
            return
        elif self._stream:
            command = self._stream
            self._next = now + STREAM_SILENCE[self._stream]
        elif self._poll is not None:
            command = self._command
            self._next = self._next + self._poll if 0 < now - self._next < self._poll else now + self._poll
        else:
            return
        self._asked = command
        self._late = now + (self._timeout or WAIT.get(command, 3.0))
        yield Send(command.encode() + b"\r\n")


class Balance:
    """A simulated balance: answers commands, streams when asked to. A `Speaker`.

    What is offered (a weight reply) is what it weighs from then on. Each offered weight is told once, in order, as
    commands or the stream ask for it; without a new one the last is told again, and before the first one nothing.
    """

    def __init__(self) -> None:
        self._lines = Lines(max_line=256, quiet=QUIET)
        self._new: deque[bytes] = deque(maxlen=10_000)
        self._current = b""
        self._asked = 0  # S and SI that came before there was a first weight
        self._streaming = ""
        self._due: float | None = None  # the next line of the stream
        self._delivered = 0

    @property
    def deadline(self) -> float | None:
        """When the next line of the stream is due."""
        theirs = self._lines.deadline
        return theirs if self._due is None else self._due if theirs is None else min(self._due, theirs)

    @property
    def delivered(self) -> int:
        """Offered weights that were written: nobody acknowledges a weight."""
        return self._delivered

    @property
    def confirms(self) -> bool:
        """Whether `delivered` rests on the peer's word."""
        return False

    @property
    def idle(self) -> bool:
        """True when every offered weight was written."""
        return not self._new

    def offer(self, message: bytes, now: float) -> Iterator[Event]:
        """Put the next weight on the pan: a weight reply as `encode` makes it."""
        self._new.append(message)
        while self._asked:
            self._asked -= 1
            yield Send(self._weight())
        if self._streaming and self._new:
            yield from self._tell(now)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Commands."""
        for event in self._lines.receive(data, now):
            if not isinstance(event, Received):
                yield Send(b"ES\r\n" if event.raw.strip() else b"", event.raw)
                continue
            first = True
            for reply in self._obey(event.raw.rstrip(b"\r\n"), now):
                yield Send(reply, event.raw if first else b"")
                first = False
            if first:
                yield Send(b"", event.raw)

    def tick(self, now: float) -> Iterator[Event]:
        """The stream goes on."""
        for event in self._lines.tick(now):
            yield Send(b"ET\r\n", event.raw)
        if self._due is not None and now >= self._due:
            yield from self._tell(now)

    def close(self) -> Iterator[Event]:
        """The link is gone; a balance goes on weighing, and forgets what it was asked."""
        self._streaming, self._due, self._asked = "", None, 0
        for event in self._lines.close():
            yield Send(b"", event.raw)

    def _tell(self, now: float) -> Iterator[Event]:
        """One line of the stream; SIR repeats the weight, SNR tells a change only."""
        if self._new or (self._streaming == "SIR" and self._current):
            yield Send(self._weight())
        self._due = now + STREAMED_FROM if self._new or self._streaming == "SIR" else None

    def _weight(self) -> bytes:
        if self._new:
            self._current = self._new.popleft()
            self._delivered += 1
        return self._current

    def _obey(self, line: bytes, now: float) -> Iterator[bytes]:
        command = line.decode("ascii", "replace")
        if command in ("S", "SI", "@"):
            self._streaming, self._due = "", None
        if command in ("S", "SI"):
            if self._new or self._current:
                yield self._weight()
            else:
                self._asked += 1
        elif command in ("SIR", "SNR"):
            self._streaming, self._due = command, now
        elif command == "@":
            yield b'I4 A "%s"\r\n' % IDENTITY["I4"].encode()
        elif command in IDENTITY:
            yield f'{command} A "{IDENTITY[command]}"\r\n'.encode()
        elif command == "I1":
            yield b'I1 A "01" "2.30" "2.22" "" ""\r\n'
        elif command == "I0":
            for place, (level, name) in enumerate(LEVELS, start=1):
                yield f'I0 {"A" if place == len(LEVELS) else "B"} {level} "{name}"\r\n'.encode()
        elif command in ("Z", "ZI"):
            yield b"Z A\r\n" if command == "Z" else b"ZI S\r\n"
        elif command in ("T", "TI"):
            yield f"{command} S {0.0:10.4f} g\r\n".encode()
        else:
            yield b"ES\r\n"


IDENTITY = {"I2": "SIM204 Excellence 220.0090 g", "I3": "1.00 10.28.0.493.142", "I4": "SIM0000001", "I10": "BENCH"}
LEVELS = [
    *((0, name) for name in ("I0", "I1", "I2", "I3", "I4", "S", "SI", "SIR", "Z", "ZI", "@")),
    *((1, name) for name in ("SNR", "T", "TI")),
    (2, "I10"),
]
