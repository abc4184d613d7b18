"""Instruments that speak when they are asked: one question at a time, and no answer taken for another question's.

`Asking` is the gateway's side of any such protocol: it knows when to ask and when an answer is late. What an answer
looks like is said by an `Answers`, which cuts what arrives. An answer is kept with its question's name as channel.

After a question that was not answered the wire is left alone for `rest` seconds. Where an answer does not say by itself
what it answers, its question names another one as `sync`: that is asked next, once, and what is kept in step by it only
when it is answered. Instruments answer in order, so an answer to `sync`, which looks like no other question's, shows
that nothing older is still to come. Where it is not answered either, nothing that is kept in step by it is asked until
all answers that may be on their way are `PATIENCE` times as late as they may be: after that none is believed to come.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, Protocol

from drivers.kit.exchange import Event, Reason, Received, Rejected, Send
from drivers.kit.lines import BLANK, MAX_LINE

QUIET: Final = 1.0  # seconds of silence after which bytes that answer nothing are given up
TRIES: Final = 3  # of a question that is asked once
AGAIN: Final = 30.0  # seconds between them
PATIENCE: Final = 5  # times the longest wait, after which no answer is on its way any more
FOLLOW: Final = 32  # questions an answer may lead to that may wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, how often, and how long its answer may take (seconds)."""

    name: str  # kept beside what answers it: `Message.channel` of its `decode`
    ask: bytes  # what `Answers.ask` makes the bytes on the wire of
    every: float | None = None  # from one asking to the next; None: once a connection
    wait: float = 3.0
    sync: Question | None = None  # what brings this one back into step, see above


@dataclass(frozen=True, slots=True)
class Cut:
    """The first piece of what is held. `event.raw` is its bytes; `answers`: the open question is answered by it."""

    event: Event
    answers: bool = False
    then: tuple[Question, ...] = ()  # to be asked next, before anything else


class Answers(Protocol):
    """How one protocol asks, and how it tells answers from what answers nothing. Holds no bytes."""

    def ask(self, question: Question) -> bytes:
        """The bytes that ask it now."""
        ...

    def cut(self, held: bytearray, question: Question | None) -> Cut | None:
        """The first piece of `held`, with `question` open; None while its end is not there. The same at any cut."""
        ...

    def left(self, raw: bytes, question: Question | None) -> Event:
        """What becomes of bytes that did not become an answer in time, or before the link closed."""
        ...


@dataclass(slots=True)
class _Entry:
    question: Question
    due: float = 0.0  # 0: at once
    tries: int = 0  # in vain


class Asking:
    """Asks `questions`, each at its own pace, never two at once. An `Exchange`.

    `gap`: seconds of silence between an answer and the next question (Modbus RTU wants 3.5 characters).
    `rest`: seconds of silence after an unanswered question, in which a late answer is refused; None: as long as the
    question was waited for.
    """

    def __init__(
        self, questions: Sequence[Question], answers: Answers, *, gap: float = 0.0, rest: float | None = None
    ) -> None:
        self._entries = [_Entry(question) for question in questions]
        self._answers = answers
        self._gap, self._rest = gap, rest
        self._held = bytearray()
        self._open: Question | None = None
        self._late = 0.0  # when the open question's answer is late
        self._free = 0.0  # when the wire may be asked again
        self._quiet = 0.0  # when held bytes that answer nothing are given up
        self._lost: dict[Question, _Entry] = {}  # what brings back into step
        self._next: deque[Question] = deque(maxlen=FOLLOW)

    @property
    def deadline(self) -> float | None:
        """When something is to be asked, an answer is late, or bytes that answer nothing are given up."""
        if self._open is not None:
            return self._late
        if self._held:
            return self._quiet  # nothing is asked while something comes in
        due = self._due()
        return None if due is None else max(due, self._free)

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Feed what arrived."""
        self._held += data
        self._quiet = now + QUIET
        if self._open is None:
            self._free = max(self._free, now + self._gap)
        while self._held:
            cut = self._answers.cut(self._held, self._open)
            if cut is None:
                break
            del self._held[: len(cut.event.raw)]
            yield from self._take(cut, now)

    def tick(self, now: float) -> Iterator[Event]:
        """Ask what is due; give up what is late."""
        if self._open is not None and now >= self._late:
            yield from self._unanswered(self._open, now)
        elif self._open is None and now >= self._quiet:
            yield from self._give_up()
        if self._open is None and not self._held:
            yield from self._ask(now)

    def close(self) -> Iterator[Event]:
        """The link is gone."""
        yield from self._give_up()
        self._open = None

    def put_off(self, name: str, until: float) -> None:
        """Ask the question of this name at `until`, whenever it was due."""
        for entry in self._entries:
            if entry.question.name == name:
                entry.due = until

    @property
    def waiting(self) -> bool:
        """Whether a question is open."""
        return self._open is not None

    def _take(self, cut: Cut, now: float) -> Iterator[Event]:
        event, question = cut.event, self._open
        if question is None or not cut.answers:
            yield event
            return
        self._open, self._free = None, now + self._gap
        self._entries = [entry for entry in self._entries if entry.question is not question or question.every]
        self._lost.pop(question, None)
        self._next.extend(cut.then)
        yield replace(event, channel=question.name) if isinstance(event, Received) else event

    def _unanswered(self, question: Question, now: float) -> Iterator[Event]:
        yield from self._give_up()
        self._open = None
        self._next.clear()
        self._free = now + (question.wait if self._rest is None else self._rest)
        sync = question.sync or question
        if sync.ask == question.ask and any(entry.question.sync == sync for entry in self._entries):
            self._lost[sync] = _Entry(sync, now + PATIENCE * question.wait, 1)  # a second one could take its answer
        elif sync is not question:
            self._lost[sync] = _Entry(sync, now)
        for entry in [entry for entry in self._entries if entry.question is question and not question.every]:
            entry.tries += 1
            entry.due = now + AGAIN
            if entry.tries >= TRIES:
                self._entries.remove(entry)

    def _give_up(self) -> Iterator[Event]:
        raw = bytes(self._held)
        self._held.clear()
        if raw:
            yield self._answers.left(raw, self._open)

    def _due(self) -> float | None:
        """When the next question is due; 0: at once."""
        if self._next:
            return 0.0
        return min((entry.due for entry in self._askable()), default=None)

    def _askable(self) -> Iterator[_Entry]:
        yield from self._lost.values()
        yield from (entry for entry in self._entries if entry.question.sync not in self._lost)

    def _ask(self, now: float) -> Iterator[Event]:
        for sync in [sync for sync, entry in self._lost.items() if entry.tries and entry.due <= now]:
            del self._lost[sync]
        due = self._due()
        if due is None or now < due or now < self._free:
            return
        self._open = question = self._choose(now)
        self._late = now + question.wait
        yield Send(self._answers.ask(question))

    def _choose(self, now: float) -> Question:
        if self._next:
            return self._next.popleft()
        entry = min(self._askable(), key=lambda one: one.due)
        every = entry.question.every or 0.0
        entry.due = entry.due + every if now - entry.due < every else now + every
        return entry.question


class Says(Enum):
    """What a line is to the open question."""

    ANSWER = auto()
    NEWS = auto()  # kept, but no answer: streamed values, what an instrument announces by itself
    NOTHING = auto()  # refused


Judge = Callable[[bytes, Question | None], Says]  # a line without its end, the open question
Then = Callable[[bytes, Question], tuple[Question, ...]]  # an answering line, its question -> what to ask next


class LineAnswers:
    """Answers that are lines of text, ended by CR, LF or both. `end` ends a question. An `Answers`."""

    def __init__(self, judge: Judge, *, end: bytes, then: Then | None = None, longest: int = MAX_LINE) -> None:
        self._judge, self._then = judge, then
        self._end, self._longest = end, longest
        self._mark = re.compile(rb"[\r\n]")
        self._scanned = 0  # how much of what is held is known to hold no line's end
        self._skipping = False  # the rest of a line of which the beginning was given up

    def ask(self, question: Question) -> bytes:
        """The question and its end."""
        return question.ask + self._end

    def cut(self, held: bytearray, question: Question | None) -> Cut | None:
        """The first line."""
        match = self._mark.search(held, self._scanned, self._longest)
        if match is None and len(held) < self._longest:
            self._scanned = len(held)
            return None
        raw = bytes(held[: match.end() if match else self._longest])
        self._scanned, skipped = 0, self._skipping
        self._skipping = match is None
        if skipped:
            return Cut(Rejected(raw, Reason.INCOMPLETE, detail="the rest of a line that was given up"))
        if match is None:
            return Cut(Rejected(raw, Reason.TOO_LONG, detail=f"no line end within {self._longest} bytes"))
        if not raw.strip(BLANK):
            return Cut(Send(b"", raw))
        return self._line(raw, question)

    def _line(self, raw: bytes, question: Question | None) -> Cut:
        line = raw.strip(BLANK)
        if question is not None and line == question.ask:
            return Cut(Send(b"", raw))  # an instrument that echoes what it hears
        says = self._judge(line, question)
        if says is Says.NOTHING:
            why = f"it does not answer {question.name}" if question else "nothing was asked"
            return Cut(Rejected(raw, Reason.UNCLAIMED, detail=why))
        answers = says is Says.ANSWER and question is not None
        then = self._then(line, question) if self._then and question and answers else ()
        return Cut(Received(raw), answers, then)

    def left(self, raw: bytes, question: Question | None) -> Event:
        """An unfinished line, which may have been cut in the middle of a number."""
        self._scanned = 0
        if not raw.strip(BLANK):
            return Send(b"", raw)
        self._skipping = True
        return Rejected(raw, Reason.INCOMPLETE, detail="the line was not ended")
