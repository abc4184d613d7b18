"""MT-SICS on the wire: who asks what when. Commands and replies are ASCII lines ended by CR LF."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from drivers.kit.asking import Asking, LineAnswers, Question, Says
from drivers.kit.exchange import Event, Received, Send
from drivers.kit.lines import Lines
from drivers.mt_sics.options import MtSicsOptions

QUIET = 2.0  # seconds of silence that end an unfinished line
WAIT = {"S": 60.0, "SNR": 60.0}  # seconds to wait for a reply: these wait until the weight is stable
STREAM_SILENCE = {"SIR": 5.0, "SNR": 60.0}  # seconds without a line before streaming is asked for again
ERRORS = (b"ES", b"ET", b"EL")
STREAMED_FROM = 0.2  # seconds between two lines of SIR when nothing new is weighed


def judge(line: bytes, question: Question | None) -> Says:
    """Whether a line answers the open question; every other one is news: the print key, the stream, a restart."""
    word = (line.split() or [b""])[0]
    wanted = b"S" if question and question.ask.startswith(b"S") else question.ask if question else b""
    return Says.ANSWER if question and (word == wanted or word in ERRORS) else Says.NEWS


class Asker:
    """The gateway's side: asks for identity once, then polls, or starts the stream and watches over it. An `Exchange`.

    A weight says itself what it is, so one that comes late is as good as any.
    """

    def __init__(self, options: MtSicsOptions) -> None:
        command = options.stream or options.command
        every = STREAM_SILENCE[options.stream] if options.stream else options.poll
        asked: list[tuple[str, float | None]] = [] if every is None else [(command, every)]
        if asked and options.identify:
            asked = [*((name, None) for name in ("I2", "I3", "I4")), *asked]
        questions = [
            Question(name=name, ask=name.encode(), every=pace, wait=options.timeout or WAIT.get(name, 3.0))
            for name, pace in asked
        ]
        self._stream = options.stream
        self._asking = Asking(questions, LineAnswers(judge, end=b"\r\n", longest=1024), rest=0.0)

    @property
    def deadline(self) -> float | None:
        """When something is to be asked, or an answer is late."""
        return self._asking.deadline

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        for event in self._asking.receive(data, now):
            if self._stream and isinstance(event, Received):
                self._watch(self._stream, event, now)
            yield event

    def tick(self, now: float) -> Iterator[Event]:
        """Ask what is due."""
        return self._asking.tick(now)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        return self._asking.close()

    def _watch(self, stream: str, event: Received, now: float) -> None:
        word = (event.raw.split() or [b""])[0]
        if word == b"S":
            self._asking.put_off(stream, now + STREAM_SILENCE[stream])
        elif word == b"I4" and not event.channel:
            self._asking.put_off(stream, now)  # announced after power-on or reset: it has stopped streaming


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
